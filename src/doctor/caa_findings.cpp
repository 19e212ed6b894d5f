// What CAA records say of this CA, and of HTTP-01.
#include "base/ascii.h"
#include "base/escape.h"
#include "doctor/caa.h"
#include "doctor/findings.h"
#include "protocol/explain.h"

namespace http01::doctor {
namespace {

using protocol::CaaRecord;
using Action = ZoneLine::Action;

constexpr std::size_t kShownOctets = 200;

std::string data_of(const CaaRecord& record) {
  return base::escaped(record.tag, kShownOctets) + " \"" +
         base::escaped(record.value, kShownOctets, true) + "\"";
}

std::string line_of(const protocol::Name& name, const CaaRecord& record) {
  return protocol::zone_line(name.text(), "CAA",
                             (record.critical ? "128 " : "0 ") + data_of(record));
}

// The records that speak of issuing, as they stand.
std::string shown(const CaaResult& result) {
  std::vector<std::string> issuing;
  for (const CaaRecord& record : result.records) {
    if (record.tag == "issue") issuing.push_back(data_of(record));
  }
  return base::joined(issuing);
}

// Whose records they are, where not the domain's.
std::string origin(const Evidence& evidence, const CaaResult& result) {
  std::string text = "The CAA records of " + result.at.text();
  if (!result.aliases.empty()) {
    text += ", by its alias those of " + result.aliases.back().text() + ",";
  } else if (result.at != evidence.domain()) {
    text += ", the nearest above " + evidence.domain().text() + ",";
  }
  return text;
}

}  // namespace

void judge_caa(const Evidence& evidence, Findings& found) {
  const CaaResult result = evaluate_caa(evidence);
  const bool aliased = !result.aliases.empty();
  const protocol::Name& owner = aliased ? result.aliases.back() : result.at;
  const auto line = [&](const std::string& value) {
    return ZoneLine{Action::kSet,
                    protocol::zone_line(owner.text(), "CAA", "0 issue \"" + value + "\"")};
  };
  const std::string whose = aliased ? " They belong to the owner of " + owner.text() +
                                          "; a name that is an alias can have none of its own."
                                    : "";
  switch (result.verdict) {
    case CaaVerdict::kOpen:
    case CaaVerdict::kAllowed:
      return;
    case CaaVerdict::kForbidden:
      found.push_back({FindingId::kCaaForbids,
                       Severity::kFault,
                       origin(evidence, result) + " do not allow " + evidence.ca + " (" +
                           shown(result) + ")." +
                           (result.issuewild_would
                                ? " issuewild does allow it, but that is for wildcard names only."
                                : "") +
                           whose,
                       {line(evidence.ca)}});
      return;
    case CaaVerdict::kMethod:
      found.push_back({FindingId::kCaaMethod,
                       Severity::kFault,
                       origin(evidence, result) + " allow " + evidence.ca +
                           ", but not by HTTP-01 (" + shown(result) + ")." + whose,
                       {line(evidence.ca + ";validationmethods=http-01")}});
      for (const CaaRecord& record : result.records) {
        if (record.tag != "issue" || record.value.find("validationmethods") == std::string::npos) {
          continue;
        }
        found.back().lines.insert(found.back().lines.begin(),
                                  {Action::kRemove, line_of(owner, record)});
      }
      return;
    case CaaVerdict::kAccount: {
      const auto shown_account = [](const std::string& account) {
        return base::escaped(account, kShownOctets);
      };
      found.push_back({FindingId::kCaaAccount, Severity::kNote,
                       origin(evidence, result) + " allow the account " +
                           base::joined(result.accounts, ", ", shown_account) +
                           " only. An ACME client with any other is refused." + whose});
      return;
    }
    case CaaVerdict::kCritical:
      found.push_back({FindingId::kCaaForbids, Severity::kFault,
                       origin(evidence, result) +
                           " have a critical property that CAs do not know, so none may issue." +
                           whose});
      for (const CaaRecord& record : result.records) {
        if (record.critical)
          found.back().lines.push_back({Action::kRemove, line_of(owner, record)});
      }
      return;
    case CaaVerdict::kFailure:
      // Where nothing at all is answered it is not the zone that fails.
      if (!evidence.anything_answered()) return;
      found.push_back({FindingId::kCaaFailure, Severity::kFault,
                       "The CAA records of " + result.at.text() +
                           " could not be looked up. A CA takes that for a no: all name servers "
                           "of the zone must answer for CAA, if only that there are none."});
      return;
  }
}

}  // namespace http01::doctor
