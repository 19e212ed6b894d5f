#include "pages/html.h"

namespace http01 {
namespace {

// No script, nothing from another place; readable on a phone, in light and in dark. The policy is
// in the page because no header of other answers needs one. The empty icon keeps browsers from
// asking for one.
constexpr std::string_view kBegin = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
)";

constexpr std::string_view kStyle = R"(<style>
:root { color-scheme: light dark; --line: #8885; --soft: #8881; --accent: #2563eb; --fault: #b42318; }
@media (prefers-color-scheme: dark) { :root { --accent: #7aa7ff; --fault: #ff8a80; } }
* { box-sizing: border-box; }
body { font: 1rem/1.55 system-ui, sans-serif; max-width: 48rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre span { display: block; padding-left: 1.5em; text-indent: -1.5em; }
pre { padding: .75rem; background: var(--soft); border: 1px solid var(--line); border-radius: .4rem; white-space: pre-wrap; overflow-wrap: anywhere; }
form { display: grid; gap: .8rem; padding: 1rem; border: 1px solid var(--line); border-radius: .4rem; }
label { display: grid; gap: .2rem; font-weight: 600; }
input, select, button { font: inherit; font-weight: 400; width: 100%; padding: .5rem .6rem; border: 1px solid var(--line); border-radius: .3rem; }
button { width: auto; justify-self: start; padding: .5rem 1.2rem; cursor: pointer; color: #fff; background: #2563eb; border-color: #2563eb; }
small { font-weight: 400; opacity: .8; }
h1, h2, code { overflow-wrap: anywhere; }
.fault { border-left: .25rem solid var(--fault); padding-left: .75rem; color: var(--fault); }
.finding { border-left: .4rem solid #888; padding-left: .8rem; color: inherit; }
.finding.fault { border-color: #c33; }
.finding.warning { border-color: #c90; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line); }
td { overflow-wrap: anywhere; }
.records td:first-child { overflow-wrap: normal; }
.causes td:nth-child(2) { white-space: nowrap; font-weight: 600; }
@media (max-width: 36rem) {
  thead { display: none; }
  .records tr { display: block; padding: .5rem 0; border-bottom: 1px solid var(--line); }
  .records td { display: grid; grid-template-columns: 5rem 1fr; padding: .1rem 0; border: 0; }
  .records td::before { content: attr(data-is); font-weight: 600; }
  .causes tr { display: grid; grid-template-columns: 3.5rem 1fr; padding: .4rem 0; border-bottom: 1px solid var(--line); }
  .causes td { padding: 0; border: 0; }
  .causes td:nth-child(3) { grid-column: 2; }
}
</style>
</head>
<body>
)";

}  // namespace

std::string html_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '&':
        escaped += "&amp;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string html_head(std::string_view title, std::string_view head_html) {
  std::string head(kBegin);
  head.append(head_html).append("<title>").append(html_escaped(title)).append("</title>\n");
  return head.append(kStyle);
}

}  // namespace http01
