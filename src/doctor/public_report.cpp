// What strangers may see of a report. A private zone that the relay's resolver knows must not be
// read through the page, neither by asking for its names nor by way of an alias of one's own. So
// what is not to be shown is taken out before anything is judged, not out of the texts after.
#include <algorithm>
#include <utility>

#include "doctor/questions.h"
#include "doctor/report.h"
#include "doctor/reserved.h"
#include "protocol/explain.h"
#include "protocol/public_name.h"

namespace http01::doctor {
namespace {

using protocol::Answer;
using protocol::is_public;
using protocol::Name;
using protocol::Outcome;
using protocol::Question;
using protocol::RecordType;

class Withholder {
 public:
  Withholder(const protocol::Policy& policy, Evidence& evidence)
      : evidence_(evidence), relay_names_(relay_names(policy)), host_(gateway_host(evidence)) {}

  // Whether something that stands at a name under no public suffix was taken out.
  bool run() {
    std::size_t before = 0;
    do {
      before = evidence_.observations.size();
      std::erase_if(evidence_.observations, [this](Observation& of) {
        if (keep(of.question, of.answer, &of.withheld)) return false;
        if (of.question.type == RecordType::kCname || of.decides) hide_target();
        return true;
      });
    } while (evidence_.observations.size() != before);
    for (Opinion& opinion : evidence_.opinions) {
      opinion.server = shown_server(opinion.server);
      protocol::Answers kept;
      for (const auto& [question, answer] : opinion.answers.entries()) {
        Answer copy = answer;
        if (keep(question, copy)) kept.put(question, std::move(copy));
      }
      opinion.answers = std::move(kept);
    }
    for (Observation& of : evidence_.observations) of.server = shown_server(of.server);
    std::erase_if(evidence_.relay.addresses, private_purpose);
    return names_;
  }

 private:
  // False: all of it is to be taken out.
  bool keep(const Question& question, Answer& answer,
            std::vector<std::string_view>* withheld = nullptr) {
    if (!is_public(question.name) || is_learned(question.name)) {
      names_ |= std::ranges::find(relay_names_, question.name) == relay_names_.end();
      learn(answer.aliases.begin(), answer.aliases.end());
      return false;
    }
    if (question.type != RecordType::kCname && !keep_aliases(answer)) return false;
    std::erase_if(answer.addresses, [&](const base::IpAddress& address) {
      const auto purpose = private_purpose(address);
      if (purpose && withheld != nullptr) withheld->push_back(*purpose);
      return purpose.has_value();
    });
    return true;
  }

  // The first alias under no public suffix stands at a name that is under one. What comes after it
  // does not.
  bool keep_aliases(Answer& answer) {
    const auto first = std::ranges::find_if_not(answer.aliases, is_public);
    if (first == answer.aliases.end()) return true;
    names_ = true;
    learn(first + 1, answer.aliases.end());
    answer.aliases.erase(first + 1, answer.aliases.end());
    return answer.outcome != Outcome::kData;
  }

  // Names that only what is not to be shown has led to: they are text of it.
  template <class Iterator>
  void learn(Iterator begin, Iterator end) {
    learned_.insert(learned_.end(), begin, end);
  }
  bool is_learned(const Name& name) const {
    return std::ranges::find(learned_, name) != learned_.end() &&
           !evidence_.domain().is_at_or_under(name);
  }

  // The redirect is made of what has been taken out.
  void hide_target() {
    evidence_.reply.response.location.clear();
    evidence_.reply.target.gateway.reset();
    if (evidence_.gateway() != nullptr) evidence_.chain.reset();
    if (host_) learned_.push_back(*std::exchange(host_, std::nullopt));
  }

  // "#1", "#2" where it is at an address of a private network.
  std::string shown_server(const std::string& server) {
    const auto endpoint = base::Endpoint::parse(server, 53);
    if (!endpoint || !private_purpose(endpoint->address)) return server;
    auto known = std::ranges::find(private_servers_, server);
    if (known == private_servers_.end()) {
      known = private_servers_.insert(private_servers_.end(), server);
    }
    return "#" + std::to_string(known - private_servers_.begin() + 1);
  }

  Evidence& evidence_;
  std::vector<Name> relay_names_;
  std::optional<Name> host_;  // that a CA is sent to
  std::vector<Name> learned_;
  std::vector<std::string> private_servers_;
  bool names_ = false;
};

}  // namespace

Report make_public_report(const protocol::Policy& policy, Evidence evidence) {
  evidence.names_withheld = Withholder(policy, evidence).run();
  Report report = make_report(policy, std::move(evidence));
  protocol::Reply& reply = report.evidence.reply;
  if (!report.evidence.names_withheld) return report;

  // Without what was found.
  if (!reply.is_success()) {
    reply.response.body = protocol::explain(policy, report.evidence.request, reply.reason, {});
  }
  if (reply.response.location.empty()) reply.target = {};
  const Name& domain = report.evidence.domain();
  report.findings.push_back(
      {FindingId::kNotShown, Severity::kNote,
       (is_public(domain) ? "Some of the answers come from names under no public suffix."
                          : domain.text() + " is under no public suffix.") +
           std::string(" This page does not show what is at such names. The operator sees it with "
                       "\"http01-relay check ") +
           domain.text() + "\" on the relay's host."});
  return report;
}

}  // namespace http01::doctor
