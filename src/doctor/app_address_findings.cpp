// What the TXT records say, to the relay and to the gateway.
#include <algorithm>

#include "base/escape.h"
#include "doctor/app_address_text.h"
#include "doctor/findings.h"
#include "protocol/explain.h"
#include "protocol/lookup.h"

namespace http01::doctor {
namespace {

using protocol::Answer;
using protocol::AppAddress;
using protocol::Name;
using protocol::Policy;
using protocol::Reason;
using protocol::RecordType;
using protocol::TxtRecord;
using Action = ZoneLine::Action;

constexpr std::size_t kShownOctets = 100;

std::string shown(std::string_view text) {
  return "\"" + base::escaped(text, kShownOctets, true) + "\"";
}

std::string line_of(const Name& name, std::string_view text) {
  return protocol::zone_line(name.text(), "TXT", shown(text));
}

// The TXT records at one name.
class Judge {
 public:
  Judge(const Policy& policy, const Observation& observation, bool counts, Findings& found)
      : policy_(policy), observation_(observation), counts_(counts), found_(found) {}

  void run() {
    alias();
    foreign();
    for (const TxtRecord& record : observation_.answer.texts) {
      if (protocol::is_versioned(record.text)) continue;
      const auto address = protocol::read_app_address(policy_.app_id, record);
      address ? valid(record, *address) : malformed(record, address.error());
    }
    several();
  }

 private:
  const Name& name() const { return observation_.question.name; }

  // A DNS wildcard answers for all the names that are tried.
  bool is_told(FindingId id) const {
    return std::ranges::find(found_, id, &Finding::id) != found_.end();
  }

  // An alias that leads to a text is a delegation. One that leads to none hides the record.
  void alias() {
    const Answer& answer = observation_.answer;
    if (answer.aliases.empty() || !answer.texts.empty() || is_told(FindingId::kTxtAlias)) return;
    found_.push_back(
        {FindingId::kTxtAlias, counts_ ? Severity::kFault : Severity::kWarning,
         name().text() + " is an alias of " + answer.aliases.front().text() +
             ", which has no TXT record. Most likely a wildcard CNAME (*." +
             name().parent().text() +
             " or above) answers for it, as for every name that has no record of its own: set the "
             "TXT record and it will no more."});
  }

  void foreign() {
    const auto& texts = observation_.answer.texts;
    const auto versioned = std::ranges::find_if(
        texts, [](const TxtRecord& record) { return protocol::is_versioned(record.text); });
    if (versioned == texts.end() || is_told(FindingId::kTxtForeign)) return;
    const bool alone = std::ranges::all_of(
        texts, [](const TxtRecord& record) { return protocol::is_versioned(record.text); });
    found_.push_back(
        {FindingId::kTxtForeign, alone && counts_ ? Severity::kFault : Severity::kWarning,
         "TXT " + name().text() + " has " + shown(versioned->text) +
             ", which is not for here: most likely a wildcard TXT record (*." +
             name().parent().text() + " or above) shines through. The relay passes it over" +
             (alone ? "; set the app address itself and it is gone."
                    : ", but the gateway takes whichever record comes first.")});
  }

  void valid(const TxtRecord& record, const AppAddress& address) {
    if (record.strings > 1) several_strings(record, address);
    if (!record.text.starts_with(address.id)) {
      found_.push_back({FindingId::kTxtUpperCase,
                        Severity::kWarning,
                        "The app id in TXT " + name().text() +
                            " has upper-case letters. The relay takes it; the gateway compares it "
                            "as it stands and does not find the app.",
                        {{Action::kSet, line_of(name(), address.id + ":" + address.port)}}});
    }
    if (std::ranges::find(valid_, address, &Valid::address) == valid_.end()) {
      valid_.push_back({address, record.text});
    }
  }

  void several_strings(const TxtRecord& record, const AppAddress& address) {
    const std::string_view text = std::string_view(record.text).substr(0, record.first_size);
    const auto first = protocol::read_app_address(policy_.app_id, text);
    const bool same = first && *first == address;
    found_.push_back(
        {FindingId::kTxtTwoStrings,
         same ? Severity::kNote : Severity::kWarning,
         "The TXT record " + name().text() + " is made of " + std::to_string(record.strings) +
             " strings. " +
             (same ? "The gateway reads only the first, " + shown(text) +
                         ", and so does the relay where all of them joined are no app address."
                   : "The relay joins them; the gateway reads only the first, " + shown(text) +
                         ", so that the site itself is not reached."),
         {{Action::kSet, line_of(name(), address.id + ":" + address.port)}}});
  }

  void malformed(const TxtRecord& record, protocol::AppAddressFault fault) {
    malformed_.push_back({FindingId::kTxtMalformed, Severity::kFault,
                          "TXT " + name().text() + " is " + shown(record.text) +
                              ", which is no app address: " +
                              explain_fault(fault, policy_.app_id, record.text) + "."});
    Finding& finding = malformed_.back();
    if (record.strings > 1) {
      finding.text += " It is made of " + std::to_string(record.strings) +
                      " strings, and the first alone is none either.";
    }
    if (!record.text.empty()) {
      finding.lines.push_back({Action::kRemove, line_of(name(), record.text)});
    }
    const auto meant = meant_by(policy_.app_id, record.text);
    finding.lines.push_back(
        {Action::kSet, meant ? line_of(name(), meant->id + ":" + meant->port)
                             : protocol::zone_line(name().text(), "TXT", "\"<app id>:<port>\"")});
  }

  void several() {
    if (valid_.size() > 1) ambiguous();
    for (Finding& finding : malformed_) {
      if (!valid_.empty()) {
        finding.id = FindingId::kTxtJunk;
        finding.severity = Severity::kWarning;
        finding.text +=
            " The valid one beside it counts here, but the gateway takes whichever "
            "comes first.";
        finding.lines.resize(finding.lines.size() - 1);  // nothing to set but the one there is
      } else if (!counts_) {
        finding.severity = Severity::kWarning;
      }
      found_.push_back(std::move(finding));
    }
  }

  void ambiguous() {
    const bool one_app = std::ranges::all_of(valid_, [&](const Valid& record) {
      return record.address.id == valid_.front().address.id;
    });
    const bool chosen = one_app && policy_.target.port_use() == protocol::PortUse::kNone;
    Finding finding{
        FindingId::kTxtAmbiguous, counts_ && !chosen ? Severity::kFault : Severity::kWarning,
        "TXT " + name().text() +
            (one_app ? " names one app with different ports. " : " names different apps. ") +
            (chosen ? "The relay's redirect has no port in it; the gateway takes "
                    : "The relay refuses to choose; the gateway takes ") +
            "whichever comes first. Keep one."};
    for (const Valid& record : valid_) {
      finding.lines.push_back({Action::kRemove, line_of(name(), record.text)});
    }
    finding.lines.front().action = Action::kSet;
    found_.push_back(std::move(finding));
  }

  struct Valid {
    AppAddress address;
    std::string text;  // as the record has it
  };

  const Policy& policy_;
  const Observation& observation_;
  bool counts_;  // no record was found elsewhere in its place
  Findings& found_;
  std::vector<Valid> valid_;
  Findings malformed_;
};

}  // namespace

void judge_app_address(const Policy& policy, const Evidence& evidence, Findings& found) {
  const std::vector<Name> names = protocol::app_address_names(policy, evidence.domain());
  const bool has_app = evidence.reply.target.app.has_value();
  for (const Name& name : names) {
    const Observation* const observation = evidence.find(name, RecordType::kTxt);
    if (observation == nullptr || !observation->decides) continue;
    Judge(policy, *observation, !has_app, found).run();
    const auto app = protocol::select_app_address(policy.app_id, observation->answer.texts,
                                                  policy.target.port_use());
    if (!std::holds_alternative<AppAddress>(app) || name == names.front()) continue;
    const AppAddress& address = std::get<AppAddress>(app);
    const bool wildcard = name.parent() != evidence.domain();
    const ZoneLine line{Action::kSet, line_of(names.front(), address.id + ":" + address.port)};
    found.push_back(
        wildcard
            ? Finding{FindingId::kTxtWildcard,
                      Severity::kNote,
                      "The app address comes from the wildcard record " + name.text() +
                          ", which holds for all names beside this one. For an app of its own:",
                      {line}}
            : Finding{FindingId::kTxtLegacy,
                      Severity::kNote,
                      "The app address comes from " + name.text() +
                          ", the record's older name. The present one:",
                      {line}});
  }
  if (evidence.reply.reason == Reason::kTxtMissing) {
    std::string text = "There is no app address record at " + names.front().text() + ".";
    for (std::size_t i = 1; i < names.size(); ++i) {
      text += (i == 1 ? " Nor is there one at " : " or ") + names[i].text();
    }
    if (names.size() > 1) text += ".";
    text += " It tells the relay and the gateway which app the domain belongs to.";
    found.push_back({FindingId::kTxtMissing,
                     Severity::kFault,
                     std::move(text),
                     {{Action::kSet, protocol::app_address_line(policy, evidence.domain())}}});
  }
}

}  // namespace http01::doctor
