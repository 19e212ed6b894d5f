// Whether the DNS answers, whether all of it says the same, and how soon.
#include <algorithm>

#include "base/ascii.h"
#include "doctor/findings.h"

namespace http01::doctor {
namespace {

using protocol::Answer;
using protocol::Cause;
using protocol::Outcome;
using protocol::Question;
using protocol::Reason;

// Of the 10 to 20 s that a CA has for everything, at all its vantage points.
constexpr std::chrono::seconds kSlow{2};

std::string asked(const Question& question) {
  return std::string(to_string(question.type)) + " " + question.name.text();
}

// What an answer says, whatever the order of its records and whatever is left of their time.
std::vector<std::string> said(const Answer& answer) {
  std::vector<std::string> records;
  for (const auto& text : answer.texts) records.push_back("t" + text.text);
  for (const auto& alias : answer.aliases) records.push_back("c" + alias.text());
  for (const auto& address : answer.addresses) records.push_back("a" + address.text());
  std::ranges::sort(records);
  if (records.empty()) records.emplace_back(answer.outcome == Outcome::kLoop ? "loop" : "nothing");
  return records;
}

// A CAA question has a finding of its own.
bool is_ours(const Observation& observation) {
  return observation.question.type != protocol::RecordType::kCaa;
}

std::string names_of(const std::vector<const Observation*>& observations) {
  return base::joined(observations, ", ",
                      [](const Observation* of) { return asked(of->question); });
}

void judge_failures(const protocol::Policy& policy, const Evidence& evidence, Findings& found) {
  std::vector<const Observation*> failed;
  std::vector<const Observation*> too_large;
  std::vector<const Observation*> silent;
  std::vector<const Observation*> bogus;
  std::vector<const Observation*> unproved;
  std::vector<const Observation*> refused;
  bool decides_failed = false;
  for (const Observation& observation : evidence.observations) {
    if (observation.held_back) bogus.push_back(&observation);
    if (observation.answer.outcome == Outcome::kOverloaded) refused.push_back(&observation);
    if (!is_ours(observation)) continue;
    if (observation.answer.outcome == Outcome::kFailure && !observation.held_back)
      (observation.answer.cause == Cause::kNone ? failed : too_large).push_back(&observation);
    if (observation.answer.outcome == Outcome::kTimeout) silent.push_back(&observation);
    if (observation.decides && is_answer(observation.answer) && !observation.answer.authenticated) {
      unproved.push_back(&observation);
    }
    decides_failed |= observation.decides && observation.answer.outcome == Outcome::kFailure;
  }
  if (!bogus.empty()) {
    found.push_back({FindingId::kDnssecBogus, Severity::kFault,
                     "DNSSEC validation fails for " + names_of(bogus) +
                         ": without it there is an answer. Signatures that have expired, or a DS "
                         "record left from another DNS provider, are the usual causes; remove the "
                         "DS record at the registrar until the zone is signed right."});
  }
  if (policy.require_dnssec && evidence.reply.reason == Reason::kDnsFailure && !unproved.empty() &&
      !decides_failed) {
    found.push_back({FindingId::kDnssecMissing, Severity::kFault,
                     "This relay wants DNSSEC proof (dns.require_dnssec), and there is none for " +
                         names_of(unproved) +
                         ". Sign the zone, and check that the relay's resolver validates."});
  }
  if (!failed.empty()) {
    found.push_back({FindingId::kDnsFailure, Severity::kFault,
                     "The DNS answered with a failure (SERVFAIL or REFUSED) for " +
                         names_of(failed) +
                         ". Check that all name servers of the zone answer, over UDP and TCP."});
  }
  if (!refused.empty() && evidence.reply.reason != Reason::kOverloaded) {
    found.push_back({FindingId::kOverloaded, Severity::kWarning,
                     "Too many look-ups are under way here, so that this was not asked: " +
                         names_of(refused) + ". Try again in a few seconds."});
  }
  for (const Observation* const observation : too_large) {
    found.push_back({FindingId::kDnsFailure, Severity::kFault,
                     "The answer for " + asked(observation->question) + " has " +
                         std::string(to_string(observation->answer.cause)) +
                         ", which the relay does not read. Remove records at that name."});
  }
  if (!silent.empty()) {
    const bool all = !evidence.anything_answered();
    const Cause cause = silent.front()->answer.cause;
    const std::string why = cause == Cause::kNone ? "" : ": " + std::string(to_string(cause));
    found.push_back({FindingId::kDnsTimeout, Severity::kFault,
                     all ? "No resolver answered anything" + why +
                               ". Is there one at dns.servers, or at the nameserver lines of "
                               "/etc/resolv.conf?"
                         : "No answer came in time for " + names_of(silent) +
                               ". Check that all name servers of the zone answer, over UDP and "
                               "TCP."});
  }
}

void judge_opinions(const Evidence& evidence, Findings& found) {
  if (evidence.opinions.size() < 2 || !evidence.anything_answered()) return;
  for (const Opinion& opinion : evidence.opinions) {
    const auto& entries = opinion.answers.entries();
    std::vector<std::string> silent;
    std::size_t alone = 0;  // where others have answered
    for (const auto& [question, answer] : entries) {
      if (answer.outcome != Outcome::kTimeout) continue;
      silent.push_back(asked(question));
      const Answer* const serving = evidence.answer(question.name, question.type);
      if (serving != nullptr && is_answer(*serving)) ++alone;
    }
    if (silent.empty()) continue;
    if (silent.size() == entries.size()) {
      const Cause cause = entries.front().second.cause;
      found.push_back({FindingId::kResolverSilent, Severity::kWarning,
                       "The resolver " + opinion.server + " does not answer" +
                           (cause == Cause::kNone ? "" : ": " + std::string(to_string(cause))) +
                           ". Look-ups that go to it first are slow."});
    } else if (alone != 0) {
      found.push_back({FindingId::kResolverSilent, Severity::kWarning,
                       "The resolver " + opinion.server + " has not answered in time for " +
                           base::joined(silent) + ". Look-ups that go to it first are slow."});
    }
  }
  for (const auto& [question, answer] : evidence.opinions.front().answers.entries()) {
    std::string text;
    bool differ = false;
    const Opinion* first = nullptr;
    for (const Opinion& opinion : evidence.opinions) {
      const Answer* const other = opinion.answers.find(question);
      if (other == nullptr || other->outcome == Outcome::kTimeout ||
          other->outcome == Outcome::kOverloaded) {
        continue;
      }
      text += (text.empty() ? "" : ", ") + opinion.server + " says " +
              std::string(is_answer(*other) ? to_string(other->outcome) : "that it failed");
      if (first == nullptr) {
        first = &opinion;
        continue;
      }
      const Answer& reference = *first->answers.find(question);
      differ |= is_answer(reference) != is_answer(*other) || said(reference) != said(*other);
    }
    if (!differ) continue;
    found.push_back(
        {FindingId::kResolversDiffer, Severity::kWarning,
         "The configured resolvers do not agree on " + asked(question) + " (" + text +
             "). A change may still be on its way, or the zone's name servers differ; a "
             "CA asks from several places."});
  }
}

}  // namespace

void judge_resolution(const protocol::Policy& policy, const Evidence& evidence, Findings& found) {
  judge_failures(policy, evidence, found);
  judge_opinions(evidence, found);
  const auto slowest = std::ranges::max_element(
      evidence.observations, {}, [](const Observation& observation) { return observation.took; });
  if (slowest != evidence.observations.end() && slowest->took >= kSlow &&
      is_answer(slowest->answer)) {
    found.push_back(
        {FindingId::kSlow, Severity::kWarning,
         "The answer for " + asked(slowest->question) + " took " +
             std::to_string(
                 std::chrono::duration_cast<std::chrono::milliseconds>(slowest->took).count()) +
             " ms. A CA has 10 to 20 s for all it does."});
  }
}

}  // namespace http01::doctor
