#include "base/escape.h"
#include "doctor/report.h"

namespace http01::doctor {
namespace {

using base::html_escaped;

constexpr std::size_t kShownOctets = 253;

// No script, nothing from another place; readable on a phone, in light and in dark.
constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Check a domain</title>
<style>
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, code, td, pre { overflow-wrap: anywhere; }
pre { white-space: pre-wrap; padding: .5rem; border: 1px solid #8886; border-radius: .3rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
td, th { text-align: left; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
input { font: inherit; width: 100%; max-width: 24rem; box-sizing: border-box; }
button { font: inherit; }
.fault { border-left: .4rem solid #c33; padding-left: .8rem; }
.warning { border-left: .4rem solid #c90; padding-left: .8rem; }
.note { border-left: .4rem solid #888; padding-left: .8rem; }
</style>
</head>
<body>
)";

constexpr std::string_view kTail = "</body>\n</html>\n";

std::string form(std::string_view asked) {
  return "<form method=\"get\" action=\"/check\">\n<p><label for=\"domain\">Domain</label><br>\n"
         "<input id=\"domain\" name=\"domain\" value=\"" +
         html_escaped(base::escaped(asked, kShownOctets)) +
         "\" placeholder=\"app.example.com\" autocapitalize=\"none\" spellcheck=\"false\" "
         "maxlength=\"253\" required> <button>Check</button></p>\n</form>\n";
}

std::string findings(const Findings& all) {
  std::string page;
  for (const Finding& finding : all) {
    const std::string severity(to_string(finding.severity));
    page.append("<div class=\"").append(severity).append("\">\n<h3>").append(severity);
    page.append(": ").append(html_escaped(to_string(finding.id))).append("</h3>\n<p>");
    page.append(html_escaped(finding.text)).append("</p>\n");
    for (const ZoneLine& line : finding.lines) {
      const bool set = line.action == ZoneLine::Action::kSet;
      page.append(set ? "<p>Set:</p>\n<pre>" : "<p>Remove:</p>\n<pre>");
      page.append(html_escaped(line.line)).append("</pre>\n");
    }
    page += "</div>\n";
  }
  return page;
}

std::string row(const protocol::Question& question, const protocol::Answer& answer,
                const std::string& by) {
  std::string records;
  for (const std::string& record : records_of(answer)) {
    records += (records.empty() ? "" : "<br>") + html_escaped(record);
  }
  if (answer.outcome != protocol::Outcome::kData) {
    records += (records.empty() ? "" : "<br>") + std::string(to_string(answer.outcome));
  }
  return "<tr><td>" + std::string(to_string(question.type)) + " " +
         html_escaped(question.name.text()) + "</td><td>" + records + "</td><td>" +
         std::to_string(answer.ttl_s) + " s</td><td>" + html_escaped(by) + "</td></tr>\n";
}

std::string steps(const Evidence& evidence) {
  std::string page =
      "<h2>What was asked</h2>\n<table>\n"
      "<tr><th>question</th><th>answer</th><th>TTL</th><th>by</th></tr>\n";
  for (const Step& step : evidence.steps) {
    page += row(step.question, step.answer, of_whom(step));
  }
  for (const Opinion& opinion : evidence.opinions) {
    for (const auto& [question, answer] : opinion.answers.entries()) {
      page += row(question, answer, opinion.server + ", by itself");
    }
  }
  return page + "</table>\n";
}

std::string verdict(const Report& report) {
  const protocol::Reply& reply = report.evidence.reply;
  const bool good = reply.reason == protocol::Reason::kOk;
  std::string page =
      "<h1>" + html_escaped(report.evidence.given) + "</h1>\n<p><strong>" +
      (good ? "Challenges are redirected to the app" : "Challenges are not redirected") +
      "</strong> (" + html_escaped(protocol::info(reply.reason).word) + ", " +
      std::to_string(code(reply.response.status)) + "), " + tally(report.findings) + ".</p>\n";
  if (good) {
    const std::string& location = reply.response.location;
    page += "<pre>" + html_escaped(location.substr(0, location.rfind('/') + 1)) + "{token}</pre>\n";
  }
  if (!is_explained(report)) page += "<pre>" + html_escaped(reply.response.body) + "</pre>\n";
  return page;
}

}  // namespace

std::string to_html(const Report* report, std::string_view asked) {
  std::string page(kHead);
  if (report == nullptr) {
    page +=
        "<h1>Check a domain</h1>\n<p>What this relay would answer a certificate authority, and "
        "what is wrong with the domain's records.</p>\n";
  } else {
    page += verdict(*report) + findings(report->findings);
    if (!report->evidence.steps.empty()) page += steps(report->evidence);
    page += "<h2>Another one</h2>\n";
  }
  page += form(asked);
  page += kTail;
  return page;
}

}  // namespace http01::doctor
