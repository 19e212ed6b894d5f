#include "protocol/target.h"

#include <boost/test/unit_test.hpp>
#include <string>

#include "doctor/ca_rules.h"

namespace http01::protocol {

using doctor::refusal_by_ca;

BOOST_AUTO_TEST_SUITE(target)

const std::string kId = "00112233445566778899aabbccddeeff00112233";

std::string expanded(std::string_view text, std::string_view gateway = "dstack-prod5.phala.network",
                     std::string_view domain = "app.example.com") {
  const auto parsed = TargetTemplate::parse(text);
  if (!parsed) return "refused: " + parsed.error();
  return parsed->expand({kId, "443", gateway, domain}).value_or("nothing");
}

BOOST_AUTO_TEST_CASE(good_templates_become_a_scheme_and_a_host) {
  struct Case {
    const char* text;
    std::string url;
    bool needs_gateway;
  };
  for (const Case& c : {
           Case{"https://{app_id}.{gateway}", "https://" + kId + ".dstack-prod5.phala.network",
                true},
           Case{"https://{app_id}-{port}s.{gateway}",
                "https://" + kId + "-443s.dstack-prod5.phala.network", true},
           Case{"https://{app_id}-{port}.{gateway}",
                "https://" + kId + "-443.dstack-prod5.phala.network", true},
           Case{"https://{domain}", "https://app.example.com", false},
           Case{"https://{app_id}.gw.example.org", "https://" + kId + ".gw.example.org", false},
           Case{"https://acme.example.org", "https://acme.example.org", false},
           Case{"http://{app_id}.gw.example.org", "http://" + kId + ".gw.example.org", false},
           Case{"HTTPS://{app_id}.GW.Example.ORG", "https://" + kId + ".gw.example.org", false},
           Case{"https://{domain}.gw.example.org", "https://app.example.com.gw.example.org", false},
           Case{"https://x.{gateway}", "https://x.dstack-prod5.phala.network", true},
       }) {
    BOOST_TEST(expanded(c.text) == c.url);
    BOOST_TEST(TargetTemplate::parse(c.text)->needs_gateway() == c.needs_gateway, c.text);
    BOOST_TEST(!refusal_by_ca(307, c.url + "/.well-known/acme-challenge/x"), c.text);
  }
  BOOST_TEST(TargetTemplate::kDefault == "https://{app_id}.{gateway}");
}

BOOST_AUTO_TEST_CASE(only_http_leads_to_port_80) {
  const auto host = TargetTemplate::parse("http://{app_id}.GW.example.org")->port_80_host();
  BOOST_REQUIRE(host);
  BOOST_TEST(host->parent().text() == "gw.example.org");
  BOOST_TEST(!TargetTemplate::parse("https://{app_id}.gw.example.org")->port_80_host());
}

BOOST_AUTO_TEST_CASE(templates_that_a_ca_would_refuse_or_that_lead_back_are_refused) {
  struct Case {
    const char* text;
    const char* says;  // a part of the failure
  };
  for (const Case& c : {
           Case{"", "https://"},
           Case{"{app_id}.{gateway}", "https://"},
           Case{"//{app_id}.{gateway}", "https://"},
           Case{"gopher://{app_id}.{gateway}", "https://"},
           Case{"ftp://{app_id}.{gateway}", "https://"},
           Case{" https://{app_id}.{gateway}", "https://"},
           Case{"https:{app_id}.{gateway}", "https://"},
           Case{"https://", "no host"},
           Case{"https:///x", "path"},
           Case{"https://{app_id}.{gateway}:443", "no port"},
           Case{"https://{app_id}.{gateway}:9999", "no port"},
           Case{"https://{app_id}.{gateway}:{port}", "no port"},
           Case{"https://{app_id}.{gateway}/", "path"},
           Case{"https://{app_id}.{gateway}/x", "path"},
           Case{"https://{app_id}.{gateway}?x", "path"},
           Case{"https://{app_id}.{gateway}#x", "path"},
           Case{"https://user@{app_id}.{gateway}", "user name"},
           Case{"https://{app_id}_.{gateway}", "letters, digits"},
           Case{"https://{app_id}.{gateway} ", "letters, digits"},
           Case{"https://{app_id}.{gateway}\n", "letters, digits"},
           Case{"https://[2001:db8::1]", "letters, digits"},
           Case{"https://192.0.2.1", "domain name"},
           Case{"https://localhost", "domain name"},
           Case{"https://{app_id}", "domain name"},
           Case{"https://{app_id}.{gateway}.", "final"},
           Case{"https://.{gateway}", "domain name"},
           Case{"https://{app_id}..{gateway}", "domain name"},
           Case{"https://-{app_id}.{gateway}", "domain name"},
           Case{"https://{app_id}-.{gateway}", "domain name"},
           Case{"https://{app_id}{app_id}.{gateway}", "domain name"},
           Case{"https://x.{app_id}", "public suffix"},
           Case{"https://x.y{port}", "public suffix"},
           Case{"https://x.{port}", ""},
           Case{"https://{app_id}.well-known", "slash"},
           Case{"https://{gateway}.well-known", "slash"},
           Case{"https://x{gateway}", "between dots"},
           Case{"https://{gateway}x", "between dots"},
           Case{"https://{app_id}{gateway}", "between dots"},
           Case{"https://{app_id}-{gateway}", "between dots"},
           Case{"https://{app_id}.{gateway}-x.example.org", "between dots"},
           Case{"https://{gateway}{app_id}.example.org", "between dots"},
           Case{"https://{domain}{port}.example.org", "between dots"},
           Case{"https://x{domain}", "between dots"},
           Case{"https://{app}.{gateway}", "in braces"},
           Case{"https://{app_id.{gateway}", "in braces"},
           Case{"https://{}.{gateway}", "in braces"},
           Case{"https://app_id}.{gateway}", "letters, digits"},
           Case{"http://{domain}", "https://"},
           Case{"http://{app_id}.{gateway}", "https://"},
           Case{"http://x.{domain}", "https://"},
       }) {
    const auto parsed = TargetTemplate::parse(c.text);
    BOOST_TEST(!parsed, c.text);
    if (!parsed)
      BOOST_TEST(parsed.error().find(c.says) != std::string::npos,
                 c.text << ": " << parsed.error());
  }
}

BOOST_AUTO_TEST_CASE(values_that_make_no_domain_name_give_nothing) {
  const std::string label(60, 'a');
  const std::string long_gateway =
      label + "." + label + "." + label + ".example.org";  // 194 octets
  BOOST_TEST(expanded("https://{app_id}.{gateway}", long_gateway) ==
             "https://" + kId + "." + long_gateway);
  BOOST_TEST(expanded("https://{app_id}.{gateway}", "a234567890123456789." + long_gateway) ==
             "nothing");
  const auto parsed = TargetTemplate::parse("https://{app_id}-{port}s.{gateway}");
  BOOST_TEST(!parsed->expand({std::string(60, 'a'), "443", "gw.example.org", ""}));
  BOOST_TEST(bool(parsed->expand({std::string(58, 'a'), "443", "gw.example.org", ""})));
}

BOOST_AUTO_TEST_CASE(the_text_is_kept_as_it_was_written) {
  BOOST_TEST(TargetTemplate::parse("HTTPS://{Domain}")->text() == "HTTPS://{Domain}");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::protocol
