#include "base/ascii.h"
#include "base/escape.h"
#include "doctor/report.h"

namespace http01::doctor {
namespace {

constexpr std::size_t kShownOctets = 300;
// A terminal's width, within which people read.
constexpr std::size_t kWidth = 100;

class Text {
 public:
  explicit Text(bool colors) : colors_(colors) {}

  // ECMA-48 8.3.117: bold, red, yellow, green, faint.
  std::string bold(std::string_view text) const { return colored("1", text); }
  std::string faint(std::string_view text) const { return colored("2", text); }
  std::string of_severity(Severity severity, std::string_view text) const {
    switch (severity) {
      case Severity::kFault:
        return colored("1;31", text);
      case Severity::kWarning:
        return colored("1;33", text);
      case Severity::kNote:
        return colored("1", text);
    }
    return std::string(text);
  }
  std::string of_verdict(bool good, std::string_view text) const {
    return colored(good ? "1;32" : "1;31", text);
  }

 private:
  std::string colored(std::string_view code, std::string_view text) const {
    if (!colors_) return std::string(text);
    return "\033[" + std::string(code) + "m" + std::string(text) + "\033[0m";
  }

  bool colors_;
};

// Sentences in lines of a readable length, each after `indent` blanks.
std::string wrapped(std::string_view text, std::size_t indent) {
  std::string lines;
  std::size_t column = 0;
  while (!text.empty()) {
    const std::size_t size = std::min(text.find(' '), text.size());
    const std::string_view piece = text.substr(0, size);
    text.remove_prefix(std::min(size + 1, text.size()));
    if (column == 0 || column + 1 + size > kWidth) {
      lines.append(column == 0 ? "" : "\n").append(indent, ' ');
      column = indent;
    } else {
      lines += ' ';
      ++column;
    }
    lines += piece;
    column += size;
  }
  return lines + "\n";
}

std::string verdict(const Report& report, const Text& text) {
  const protocol::Reply& reply = report.evidence.reply;
  const bool good = reply.is_success();
  std::string lines = text.bold(report.evidence.given) + ": " +
                      text.of_verdict(good, good ? "redirect" : "no redirect") + " (" +
                      std::string(protocol::info(reply.reason).word) + ", " +
                      std::to_string(code(reply.response.status)) + "), " + tally(report.findings) +
                      "\n";
  if (const auto url = redirect_for(reply, "{token}")) lines += "  to " + *url + "\n";
  if (!is_explained(report)) lines += "  " + reply.response.body;
  return lines;
}

std::string observation_lines(const Observation& observation, const Text& text) {
  std::string lines = "  " + std::string(to_string(observation.question.type)) + " " +
                      observation.question.name.text() + "\n";
  std::string more;
  const auto records = records_of(observation.answer);
  if (!records.empty() || observation.answer.ttl_s > 0) {
    more = "TTL " + std::to_string(observation.answer.ttl_s) + " s, ";
  }
  more += of_whom(observation);
  if (observation.answer.authenticated) more += ", DNSSEC";
  const std::string tail = text.faint("  (" + more + ")");
  if (records.empty() || observation.answer.outcome != protocol::Outcome::kData) {
    std::string answer(to_string(observation.answer.outcome));
    for (const std::string& record : records) answer += ", by way of " + record;
    return lines + "    " + answer + tail + "\n";
  }
  for (std::size_t i = 0; i < records.size(); ++i) {
    lines += "    " + records[i] + (i + 1 == records.size() ? tail : "") + "\n";
  }
  return lines;
}

std::string probe_lines(const Probe& probe, const Text& text) {
  if (!probe.done) return {};
  std::string lines = "\n" + text.bold("probed") + "\n";
  for (const auto* results : {&probe.domain, &probe.gateway}) {
    for (const ProbeResult& result : *results) {
      lines += "  GET " + base::escaped(result.url, kShownOctets) + " at " + result.address.text() +
               "\n    ";
      if (result.error.empty()) {
        lines += std::to_string(result.status);
        if (!result.location.empty()) {
          lines += ", to " + base::escaped(result.location, kShownOctets);
        }
        lines += ", " + std::string(result.body_cut ? "more than " : "") +
                 std::to_string(result.body_octets) + " octets";
      } else {
        lines += result.error;
      }
      lines += text.faint("  (" + milliseconds(result.took) + " ms)") + "\n";
    }
  }
  return lines;
}

std::string finding_lines(const Finding& finding, const Text& text) {
  std::string lines =
      "  " +
      text.of_severity(finding.severity, std::string(to_string(finding.severity)) + " " +
                                             std::string(to_string(finding.id))) +
      "\n" + wrapped(finding.text, 4);
  for (const ZoneLine& line : finding.lines) {
    lines += "    " + std::string(to_string(line.action)) + ": " + text.bold(line.line) + "\n";
  }
  return lines;
}

}  // namespace

std::string to_text(const Report& report, bool colors) {
  const Text text(colors);
  std::string out = verdict(report, text);
  if (!report.evidence.observations.empty()) out += "\n" + text.bold("asked") + "\n";
  for (const Observation& observation : report.evidence.observations)
    out += observation_lines(observation, text);
  for (const Opinion& opinion : report.evidence.opinions) {
    out += "  each by itself: " + opinion.server + "\n";
    for (const auto& [question, answer] : opinion.answers.entries()) {
      const std::string said = base::joined(records_of(answer));
      out += "    " + std::string(to_string(question.type)) + " " + question.name.text() + ": " +
             (said.empty() ? std::string(to_string(answer.outcome)) : said) + "\n";
    }
  }
  out += probe_lines(report.evidence.probe, text);
  if (!report.findings.empty()) out += "\n" + text.bold("found") + "\n";
  for (const Finding& finding : report.findings) out += finding_lines(finding, text);
  return out;
}

}  // namespace http01::doctor
