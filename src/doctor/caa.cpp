#include "doctor/caa.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/ascii.h"

namespace http01::doctor {
namespace {

using protocol::Answer;
using protocol::CaaRecord;
using protocol::Name;
using protocol::Outcome;
using protocol::Question;
using protocol::RecordType;

// Nobody's zones are deeper; each label is a question.
constexpr std::size_t kMaxClimb = 16;

constexpr std::array<std::string_view, 6> kKnownTags{"issue",     "issuewild", "iodef",
                                                     "issuemail", "issuevmc",  "contactemail"};

// RFC 8659 4.2: "ca.example; tag=value; tag=value".
struct IssueValue {
  std::string_view ca;
  std::optional<std::string_view> methods;
  std::optional<std::string_view> account;
  bool sound = true;
};

IssueValue read_issue(std::string_view value) {
  IssueValue issue;
  issue.ca = base::trimmed(base::split_off(value, ';'));
  while (!value.empty()) {
    const std::string_view parameter = base::trimmed(base::split_off(value, ';'));
    if (parameter.empty()) continue;
    const std::size_t equals = parameter.find('=');
    if (equals == std::string_view::npos) {
      issue.sound = false;
      continue;
    }
    const std::string_view tag = base::trimmed(parameter.substr(0, equals));
    const std::string_view text = base::trimmed(parameter.substr(equals + 1));
    // Twice is never fulfilled (RFC 8657 3).
    if (base::equal_ignoring_case(tag, "validationmethods")) {
      if (issue.methods) issue.sound = false;
      issue.methods = text;
    } else if (base::equal_ignoring_case(tag, "accounturi")) {
      if (issue.account) issue.sound = false;
      issue.account = text;
    }
  }
  return issue;
}

bool allows_http01(std::string_view methods) {
  while (!methods.empty()) {
    if (base::trimmed(base::split_off(methods, ',')) == "http-01") return true;
  }
  return false;
}

CaaVerdict judge_records(const std::vector<CaaRecord>& records, std::string_view ca,
                         CaaResult& result) {
  // RFC 8659 4.1: whatever else is allowed, and wherever it is among the records.
  if (std::ranges::any_of(records, [](const CaaRecord& record) {
        return record.critical && std::ranges::find(kKnownTags, record.tag) == kKnownTags.end();
      })) {
    return CaaVerdict::kCritical;
  }
  bool any_issue = false;
  bool named = false;
  bool by_method = false;
  for (const CaaRecord& record : records) {
    if (record.tag == "issuewild") {
      result.issuewild_would |= base::equal_ignoring_case(read_issue(record.value).ca, ca);
    }
    if (record.tag != "issue") continue;
    any_issue = true;
    const IssueValue issue = read_issue(record.value);
    if (!issue.sound || !base::equal_ignoring_case(issue.ca, ca)) continue;
    named = true;
    if (issue.methods && !allows_http01(*issue.methods)) continue;
    by_method = true;
    if (!issue.account) return CaaVerdict::kAllowed;
    result.accounts.emplace_back(*issue.account);
  }
  if (!any_issue) return CaaVerdict::kOpen;
  if (!named) return CaaVerdict::kForbidden;
  return by_method ? CaaVerdict::kAccount : CaaVerdict::kMethod;
}

}  // namespace

std::vector<Question> caa_questions(const Name& domain) {
  std::vector<Question> questions;
  for (Name name = domain; !name.is_root() && questions.size() < kMaxClimb; name = name.parent()) {
    questions.push_back({name, RecordType::kCaa});
  }
  return questions;
}

CaaResult evaluate_caa(const Evidence& evidence) {
  CaaResult result;
  for (const Question& question : caa_questions(evidence.domain())) {
    const Answer* const answer = evidence.answer(question.name, question.type);
    if (answer == nullptr) return result;
    switch (answer->outcome) {
      case Outcome::kNoData:
      case Outcome::kNxDomain:
      case Outcome::kOverloaded:  // ours, not the domain's
        continue;
      case Outcome::kFailure:
      case Outcome::kTimeout:
      case Outcome::kLoop:
        result.verdict = CaaVerdict::kFailure;
        result.at = question.name;
        return result;
      case Outcome::kData:
        break;
    }
    // RFC 8659 3: the first name with records, whatever they say, and no name above it.
    result.at = question.name;
    result.aliases = answer->aliases;
    result.records = answer->caas;
    result.verdict = judge_records(answer->caas, evidence.ca, result);
    if (result.verdict == CaaVerdict::kAllowed || result.verdict == CaaVerdict::kOpen) {
      result.accounts.clear();
    }
    return result;
  }
  return result;
}

}  // namespace http01::doctor
