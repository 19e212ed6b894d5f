#include "pages/index_page.h"

#include <string_view>
#include <vector>

#include "base/public_suffix.h"
#include "pages/html.h"
#include "pages/index_form.h"
#include "protocol/explain.h"
#include "protocol/gateway.h"
#include "protocol/lookup.h"
#include "protocol/reason.h"

namespace http01 {
namespace {

using protocol::Name;
using protocol::Policy;

constexpr std::string_view kIntroduction = R"(<h1>http01-relay</h1>
<p>This host answers port 80 for apps that run behind a dstack gateway, so that they can get certificates
for their owners’ domains by ACME HTTP-01. It looks up in the DNS which app a domain belongs to, and redirects
the certificate authority’s challenge there. It keeps nothing of what you enter here.</p>
)";

// Where a CNAME may lead, as far as it can be listed.
std::vector<Name> entries(const Policy& policy) {
  std::vector<Name> names;
  for (const auto& [alias, base] : policy.gateways.aliases) names.push_back(alias);
  for (const Name& base : protocol::named_bases(policy.gateways)) {
    if (auto entry = protocol::entry_name(base)) names.push_back(std::move(*entry));
  }
  return names;
}

// What the page shows: of the reader's own names those that are known, else placeholders.
struct Records {
  Name domain;
  std::string zone;  // what the reader's DNS panel most likely calls the domain
  std::string txt_name;
  std::string txt;
  std::string entry;
};

Records records_of(const Policy& policy, const IndexForm& form, const std::vector<Name>& entries) {
  static const Name kExample = Name::from_text("app.example.com").value();
  Records records;
  records.domain = form.domain.value_or(kExample);
  records.zone = base::registrable_domain(records.domain.text());
  records.txt_name = protocol::app_address_name(policy, records.domain).text();
  records.txt = form.app ? form.app->id + ":" + form.app->port : "<app id>:443";
  if (form.entry) {
    records.entry = form.entry->text();
  } else if (!entries.empty()) {
    records.entry = entries.front().text();
  } else if (!policy.gateways.wildcard_parents.empty()) {
    records.entry = "_.<gateway>." + policy.gateways.wildcard_parents.front().text();
  } else {
    records.entry = "_.<gateway>";
  }
  return records;
}

void append_field(std::string& page, std::string_view label, std::string_view hint,
                  std::string_view name, std::string_view example, std::string_view value) {
  page.append("<label>").append(label).append(" <small>").append(hint).append("</small>\n");
  page.append("<input name=\"").append(name).append("\" value=\"").append(html_escaped(value));
  page.append("\" placeholder=\"").append(html_escaped(example));
  page.append("\" autocapitalize=\"none\" autocomplete=\"off\" spellcheck=\"false\"></label>\n");
}

void append_gateway_field(std::string& page, const Policy& policy, const IndexForm& form,
                          const std::vector<Name>& entries) {
  const auto& gateways = policy.gateways;
  if (!gateways.wildcard_parents.empty() || gateways.regex) {
    const std::string example = gateways.wildcard_parents.empty()
                                    ? std::string()
                                    : "dstack." + gateways.wildcard_parents.front().text();
    append_field(page, "Gateway", "what follows the first dot of the app’s address",
                 IndexForm::kGatewayField, example, form.entry ? form.entry->text() : "");
    return;
  }
  if (entries.size() < 2) return;
  page.append("<label>Gateway\n<select name=\"").append(IndexForm::kGatewayField).append("\">\n");
  for (const Name& entry : entries) {
    page.append(form.entry == entry ? "<option selected>" : "<option>");
    page.append(html_escaped(entry.text())).append("</option>\n");
  }
  page.append("</select></label>\n");
}

void append_form(std::string& page, const Policy& policy, const IndexForm& form,
                 const std::vector<Name>& entries) {
  for (const std::string_view fault : form.faults) {
    page.append("<p class=\"fault\" role=\"alert\">").append(html_escaped(fault)).append("</p>\n");
  }
  page += "<form method=\"get\" action=\"/\">\n";
  append_field(page, "Your domain", "the name people will open", IndexForm::kDomainField,
               "app.example.com", form.domain ? form.domain->text() : "");
  append_field(page, "App id", "and port, as in id:8443, if it is not 443", IndexForm::kAppField,
               "00112233445566778899aabbccddeeff00112233",
               form.app ? form.app->id + ":" + form.app->port : "");
  append_gateway_field(page, policy, form, entries);
  page += "<button>Show my records</button>\n</form>\n";
}

// "app" for app.example.com in the zone example.com.
std::string name_in_zone(const std::string& name, const std::string& zone) {
  if (name == zone) return "@";
  if (!name.ends_with("." + zone)) return name;
  return name.substr(0, name.size() - zone.size() - 1);
}

void append_panel_row(std::string& page, std::string_view type, const std::string& name,
                      const std::string& value) {
  page.append("<tr><td data-is=\"Type\">").append(type).append("</td><td data-is=\"Name\"><code>");
  page.append(html_escaped(name))
      .append("</code></td><td data-is=\"Value\"><code>")
      .append(html_escaped(value));
  page.append("</code></td><td data-is=\"TTL\">300</td></tr>\n");
}

// A line that is wrapped shows where the next one begins.
void append_line(std::string& page, std::string_view line) {
  page.append("<span>").append(html_escaped(line)).append("\n</span>");
}

void append_records(std::string& page, const Records& records) {
  const std::string domain = records.domain.text();
  page += "<p>As lines of a zone file:</p>\n<pre id=\"zone-lines\">";
  append_line(page, protocol::zone_line(domain, "CNAME", records.entry + "."));
  append_line(page, protocol::zone_line(records.txt_name, "TXT", '"' + records.txt + '"'));
  page += "</pre>\n<p>In the panel of a DNS provider, for the zone <code>" +
          html_escaped(records.zone) +
          "</code>:</p>\n<table class=\"records\">\n<thead><tr><th>Type</th><th>Name</th>"
          "<th>Value</th><th>TTL</th></tr></thead>\n<tbody>\n";
  append_panel_row(page, "CNAME", name_in_zone(domain, records.zone), records.entry);
  append_panel_row(page, "TXT", name_in_zone(records.txt_name, records.zone), records.txt);
  page += "</tbody>\n</table>\n";
  if (domain == records.zone) {
    page +=
        "<p>A domain with records of its own, as the apex of a zone always is, cannot have a "
        "CNAME. Use <code>www." +
        html_escaped(domain) +
        "</code> or another name below it, or what your provider calls ALIAS, ANAME or CNAME "
        "flattening, if the operator of this relay has set a gateway for such names.</p>\n";
  }
  page +=
      "<p>The name must have no other address records, and no AAAA record that leads elsewhere: a "
      "certificate authority tries that first.</p>\n";
}

void append_cause(std::string& page, const Policy& policy, protocol::Reason reason,
                  const protocol::ReasonInfo& known) {
  const auto status = reason == protocol::Reason::kOk ? policy.redirect_status : known.status;
  page.append("<tr><td>")
      .append(std::to_string(code(status)))
      .append("</td><td>")
      .append(known.word);
  page.append("</td><td>").append(html_escaped(known.means)).append("</td></tr>\n");
}

void append_check(std::string& page, const Policy& policy, const Records& records) {
  page += "<h2>Check a domain</h2>\n<pre>";
  append_line(page,
              "curl -si http://" + records.domain.text() + "/.well-known/acme-challenge/test");
  page +=
      "</pre>\n<p>A redirect to the app means that the records are right. Anything else says why, "
      "in the status, which is all that most certificate authorities show, in the header "
      "<code>X-Relay-Reason</code>, and in the text below it:</p>\n<table class=\"causes\">\n"
      "<thead><tr><th>Status</th><th>Reason</th><th>Cause</th></tr></thead>\n<tbody>\n";
  // First what comes of the records, which the reader can mend.
  for (const bool of_records : {true, false}) {
    for (const protocol::Reason reason : base::kAllOf<protocol::Reason>) {
      const protocol::ReasonInfo& known = protocol::info(reason);
      const bool first = known.breadcrumb || reason == protocol::Reason::kOk;
      if (first == of_records) append_cause(page, policy, reason, known);
    }
  }
  page += "</tbody>\n</table>\n";
}

}  // namespace

std::string index_page(const Policy& policy, const protocol::Request& request) {
  const IndexForm form = read_index_form(policy, request);
  const std::vector<Name> known = entries(policy);
  const Records records = records_of(policy, form, known);
  std::string page = html_head("http01-relay");
  page += kIntroduction;
  page += "<h2>Records to set</h2>\n";
  append_form(page, policy, form, known);
  append_records(page, records);
  append_check(page, policy, records);
  page += kHtmlTail;
  return page;
}

}  // namespace http01
