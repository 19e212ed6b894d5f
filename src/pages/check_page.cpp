#include "pages/check_page.h"

#include "base/ascii.h"
#include "base/escape.h"
#include "pages/form.h"
#include "pages/html.h"

namespace http01 {
namespace {

// A domain has 253 bytes; what is longer is none, but is shown as what it is.
constexpr std::size_t kMaxDomain = 300;
constexpr std::size_t kShownOctets = 253;

std::string form(std::string_view asked) {
  return "<form method=\"get\" action=\"/check\">\n<label>Domain\n<input name=\"domain\" value=\"" +
         html_escaped(base::escaped(asked, kShownOctets)) +
         "\" placeholder=\"app.example.com\" autocapitalize=\"none\" spellcheck=\"false\" "
         "maxlength=\"253\" required></label>\n<button>Check</button>\n</form>\n";
}

std::string findings(const doctor::Findings& all) {
  std::string page;
  for (const doctor::Finding& finding : all) {
    const std::string severity(to_string(finding.severity));
    page.append("<div class=\"finding ").append(severity).append("\">\n<h3>").append(severity);
    page.append(": ").append(html_escaped(to_string(finding.id))).append("</h3>\n<p>");
    page.append(html_escaped(finding.text)).append("</p>\n");
    for (const doctor::ZoneLine& line : finding.lines) {
      const bool set = line.action == doctor::ZoneLine::Action::kSet;
      page.append(set ? "<p>Set:</p>\n<pre>" : "<p>Remove:</p>\n<pre>");
      page.append(html_escaped(line.line)).append("</pre>\n");
    }
    page += "</div>\n";
  }
  return page;
}

std::string row(const protocol::Question& question, const protocol::Answer& answer,
                const std::string& by) {
  std::string records = base::joined(doctor::records_of(answer), "<br>", html_escaped);
  if (answer.outcome != protocol::Outcome::kData) {
    records += (records.empty() ? "" : "<br>") + std::string(to_string(answer.outcome));
  }
  return "<tr><td>" + std::string(to_string(question.type)) + " " +
         html_escaped(question.name.text()) + "</td><td>" + records + "</td><td>" +
         std::to_string(answer.ttl_s) + " s</td><td>" + html_escaped(by) + "</td></tr>\n";
}

std::string observations(const doctor::Evidence& evidence) {
  std::string page =
      "<h2>What was asked</h2>\n<table>\n"
      "<tr><th>question</th><th>answer</th><th>TTL</th><th>by</th></tr>\n";
  for (const doctor::Observation& observation : evidence.observations) {
    page += row(observation.question, observation.answer, of_whom(observation));
  }
  for (const doctor::Opinion& opinion : evidence.opinions) {
    for (const auto& [question, answer] : opinion.answers.entries()) {
      page += row(question, answer, opinion.server + ", by itself");
    }
  }
  return page + "</table>\n";
}

std::string verdict(const doctor::Report& report) {
  const protocol::Reply& reply = report.evidence.reply;
  const bool good = reply.is_success();
  std::string page =
      "<h1>" + html_escaped(report.evidence.given) + "</h1>\n<p><strong>" +
      (good ? "Challenges are redirected to the app" : "Challenges are not redirected") +
      "</strong> (" + html_escaped(protocol::info(reply.reason).word) + ", " +
      std::to_string(code(reply.response.status)) + "), " + tally(report.findings) + ".</p>\n";
  if (const auto url = doctor::redirect_for(reply, "{token}")) {
    page += "<pre>" + html_escaped(*url) + "</pre>\n";
  }
  if (!is_explained(report)) page += "<pre>" + html_escaped(reply.response.body) + "</pre>\n";
  return page;
}

}  // namespace

CheckQuery read_check_query(std::string_view query) {
  return {form_field(query, "domain").value_or("").substr(0, kMaxDomain),
          form_field(query, "format") == "json"};
}

std::string check_page(const doctor::Report* report, std::string_view asked) {
  std::string page = html_head("Check a domain", "<meta name=\"robots\" content=\"noindex\">\n");
  if (report == nullptr) {
    page +=
        "<h1>Check a domain</h1>\n<p>What this relay would answer a certificate authority, and "
        "what is wrong with the domain's records.</p>\n";
  } else {
    page += verdict(*report) + findings(report->findings);
    if (!report->evidence.observations.empty()) page += observations(report->evidence);
    page += "<h2>Another one</h2>\n";
  }
  page += form(asked);
  page += kHtmlTail;
  return page;
}

}  // namespace http01
