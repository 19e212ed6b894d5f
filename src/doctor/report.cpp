#include "doctor/report.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/escape.h"
#include "doctor/findings.h"

namespace http01::doctor {
namespace {

// Of a value from outside, as much as a line can show.
constexpr std::size_t kShownOctets = 255;

}  // namespace

Report make_report(const protocol::Policy& policy, Evidence evidence) {
  Report report{std::move(evidence), {}};
  report.findings = judge(policy, report.evidence);
  return report;
}

std::vector<std::string> records_of(const protocol::Answer& answer) {
  std::vector<std::string> records;
  for (const protocol::Name& alias : answer.aliases) records.push_back(alias.text() + ".");
  for (const protocol::TxtRecord& text : answer.texts) {
    records.push_back('"' + base::escaped(text.text, kShownOctets, true) + '"');
    if (text.strings > 1) records.back() += " in " + std::to_string(text.strings) + " strings";
  }
  for (const base::IpAddress& address : answer.addresses) records.push_back(address.text());
  for (const protocol::CaaRecord& caa : answer.caas) {
    records.push_back((caa.critical ? "128 " : "0 ") + base::escaped(caa.tag, kShownOctets) +
                      " \"" + base::escaped(caa.value, kShownOctets, true) + "\"");
  }
  // Only the public report has such.
  if (records.empty() && answer.outcome == protocol::Outcome::kData) {
    records.emplace_back("not shown here");
  }
  return records;
}

std::string of_whom(const Observation& observation) {
  if (!observation.server.empty())
    return observation.server + ", " + milliseconds(observation.took) + " ms";
  // A failure is kept for a second (RFC 9520), also from the doctor.
  return observation.answer.outcome == protocol::Outcome::kFailure ? "a moment ago"
                                                                   : "nobody in time";
}

std::string milliseconds(base::Duration duration) {
  std::array<char, 32> text{};
  const double value = std::chrono::duration<double, std::milli>(duration).count();
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, 1);
  return {text.data(), end.ptr};
}

std::string tally(const Findings& findings) {
  std::string text;
  for (const Severity severity : {Severity::kFault, Severity::kWarning, Severity::kNote}) {
    const auto count = std::ranges::count(findings, severity, &Finding::severity);
    if (count == 0) continue;
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " ";
    text.append(to_string(severity)).append(count == 1 ? "" : "s");
  }
  return text.empty() ? "nothing found wrong" : text;
}

bool is_explained(const Report& report) {
  return report.evidence.reply.is_success() ||
         (!report.findings.empty() && report.findings.front().severity == Severity::kFault);
}

}  // namespace http01::doctor
