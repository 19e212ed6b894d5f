#include "protocol/gateway.h"

#include <boost/test/unit_test.hpp>
#include <string>

#include "base/escape.h"
#include "tests/protocol/zone.h"

namespace http01::protocol {

BOOST_AUTO_TEST_SUITE(gateway)

const std::string kBase = "dstack-prod5.phala.network";
const std::string kId = "00112233445566778899aabbccddeeff00112233";

GatewayPolicy exactly(std::string_view base) {
  GatewayPolicy gateways;
  gateways.bases = {name_of(base)};
  return gateways;
}

GatewayPolicy one_label_under(std::string_view parent) {
  GatewayPolicy gateways;
  gateways.wildcard_parents = {name_of(parent)};
  return gateways;
}

GatewayPolicy matching(std::string_view regex, int group = 1) {
  GatewayPolicy gateways;
  gateways.regex = base::Pattern::compile(regex).value();
  gateways.capture_group = group;
  return gateways;
}

// "" for none.
std::string named(const GatewayPolicy& gateways, const Name& target) {
  const auto base = base_named_by(gateways, target);
  return base ? base->text() : "";
}

std::string named(const GatewayPolicy& gateways, std::string_view target) {
  return named(gateways, name_of(target));
}

BOOST_AUTO_TEST_CASE(an_exact_base_is_named_by_itself_and_by_one_label_below_it) {
  const GatewayPolicy gateways = exactly(kBase);
  for (const std::string& target :
       {"_." + kBase, "_." + kBase + ".", std::string("_.DSTACK-PROD5.Phala.Network"), kBase,
        kId + "." + kBase, kId + "-443s." + kBase, "anything." + kBase, "_x." + kBase}) {
    BOOST_TEST(named(gateways, target) == kBase, target);
  }
}

BOOST_AUTO_TEST_CASE(no_other_name_names_an_exact_base) {
  const GatewayPolicy gateways = exactly(kBase);
  for (const std::string& target :
       {std::string("phala.network"), std::string("_.phala.network"),
        std::string("_.docs.phala.network"), "_.a." + kBase, "a.b." + kBase, "_.a.b." + kBase,
        "_._." + kBase, kBase + ".evil.example", "_." + kBase + ".evil.example", "x" + kBase,
        "_.x" + kBase, std::string("cdn.example"), std::string("."), std::string("network"),
        std::string("_")}) {
    BOOST_TEST(named(gateways, target) == "", target);
  }
}

BOOST_AUTO_TEST_CASE(a_wildcard_is_one_host_label) {
  const GatewayPolicy gateways = one_label_under("phala.network");
  BOOST_TEST(named(gateways, "_." + kBase) == kBase);
  BOOST_TEST(named(gateways, kBase) == kBase);
  BOOST_TEST(named(gateways, kId + "." + kBase) == kBase);
  BOOST_TEST(named(gateways, "_.docs.phala.network") == "docs.phala.network");
  for (const std::string& target :
       {std::string("phala.network"), std::string("_.phala.network"), "_.a.b." + kBase,
        "a.b." + kBase, std::string("_._x.phala.network"), std::string("_.-x.phala.network"),
        std::string("_.a_b.phala.network"), std::string("_.dstack.phala.network.evil.example"),
        std::string("_.dstack.xphala.network"), std::string("_.network"), std::string(".")}) {
    BOOST_TEST(named(gateways, target) == "", target);
  }
}

BOOST_AUTO_TEST_CASE(an_idn_base_stays_in_its_ascii_form) {
  BOOST_TEST(named(one_label_under("phala.network"), "_.xn--gteway-5wa.phala.network") ==
             "xn--gteway-5wa.phala.network");
}

BOOST_AUTO_TEST_CASE(a_label_with_other_octets_never_matches) {
  using namespace std::string_view_literals;
  GatewayPolicy all = one_label_under("phala.network");
  all.bases = {name_of(kBase), name_of("evil.com")};
  all.regex = base::Pattern::compile("(?s)(?:.*_\\.)?(.+\\.network)").value();
  for (const Name& target : {
           name_of_labels({"_", "evil.com/x", "phala", "network"}),
           name_of_labels({"_", "evil.com\\x", "phala", "network"}),
           name_of_labels({"_", "evil.com", "phala", "network"}),
           name_of_labels({"_.dstack-prod5", "phala", "network"}),
           name_of_labels({"_", "dstack-prod5.phala.network"}),
           name_of_labels({"_.dstack-prod5.phala.network"}),
           name_of_labels({"a/b", "dstack-prod5", "phala", "network"}),
           name_of_labels({"a b", "dstack-prod5", "phala", "network"}),
           name_of_labels({"\r\nX: y", "dstack-prod5", "phala", "network"}),
           name_of_labels({"*", "dstack-prod5", "phala", "network"}),
           name_of_labels({"\0"sv, "dstack-prod5", "phala", "network"}),
           name_of_labels({"\xc3\xa4", "dstack-prod5", "phala", "network"}),
           name_of_labels({"\x0c"
                           "dstack-prod5",
                           "phala", "network"}),
       }) {
    BOOST_TEST(named(all, target) == "", target.text());
  }
}

BOOST_AUTO_TEST_CASE(an_alias_stands_for_its_base) {
  GatewayPolicy gateways;
  gateways.aliases = {{name_of("prod5.relay.example.net"), name_of(kBase)},
                      {name_of("relay.example.net"), name_of("other.example.org")}};
  BOOST_TEST(named(gateways, "prod5.relay.example.net") == kBase);
  BOOST_TEST(named(gateways, "PROD5.Relay.example.net.") == kBase);
  BOOST_TEST(named(gateways, "relay.example.net") == "other.example.org");
  // An alias is one name, not a base, and does not make its base one that a CNAME may name.
  BOOST_TEST(named(gateways, "_.prod5.relay.example.net") == "");
  BOOST_TEST(named(gateways, "_." + kBase) == "");
}

BOOST_AUTO_TEST_CASE(an_alias_under_an_allowed_base_comes_first) {
  GatewayPolicy gateways = exactly("example.org");
  gateways.aliases = {{name_of("old.example.org"), name_of("new.example.org")}};
  BOOST_TEST(named(gateways, "old.example.org") == "new.example.org");
  BOOST_TEST(named(gateways, "older.example.org") == "example.org");
}

BOOST_AUTO_TEST_CASE(a_regex_names_what_its_group_captures) {
  BOOST_TEST(named(matching("^_\\.(.+\\.phala\\.network)$"), "_." + kBase) == kBase);
  BOOST_TEST(named(matching("_\\.(.+\\.phala\\.network)"), "_." + kBase) == kBase);
  BOOST_TEST(named(matching("^_\\.(.+\\.phala\\.network)$"), "_.DSTACK-prod5.PHALA.network") ==
             kBase);
  BOOST_TEST(named(matching("^_\\.(.+\\.PHALA\\.network)$"), "_." + kBase) == kBase);
  BOOST_TEST(named(matching("(_\\.)(.+)", 2), "_." + kBase) == kBase);
  BOOST_TEST(named(matching(".+\\.phala\\.network", 0), kBase) == kBase);
  BOOST_TEST(named(matching("_\\.(.+)"), "_.a.b.gw.example.org") == "a.b.gw.example.org");
}

BOOST_AUTO_TEST_CASE(a_regex_matches_the_whole_name_or_not_at_all) {
  BOOST_TEST(named(matching("(phala\\.network)"), "_.phala.network.evil.com") == "");
  BOOST_TEST(named(matching("_\\.(.+\\.phala\\.network)"), "_." + kBase + ".evil.com") == "");
  BOOST_TEST(named(matching("_\\.(.+\\.phala\\.network)"), "x_." + kBase) == "");
  BOOST_TEST(named(matching("_\\.(a\\.example|b\\.example)"), "_.b.example") == "b.example");
  BOOST_TEST(named(matching("_\\.(a\\.example|b\\.example)"), "_.b.example.org") == "");
}

BOOST_AUTO_TEST_CASE(a_capture_that_is_no_domain_is_no_match) {
  BOOST_TEST(named(matching("^(.+)\\.phala\\.network$"), "prod5.phala.network") ==
             "");                                                    // one label
  BOOST_TEST(named(matching("^_\\.(.+)$", 0), "_." + kBase) == "");  // "_." is in it
  BOOST_TEST(named(matching("^(_\\..+)$"), "_." + kBase) == "");
  BOOST_TEST(named(matching("^_\\.([a-z0-9-]+\\.).+$"), "_." + kBase) == "");  // ends in a dot
  BOOST_TEST(named(matching("^_(\\..+)$"), "_." + kBase) == "");               // begins with one
  BOOST_TEST(named(matching("^_\\.(x)?.+$"), "_." + kBase) == "");             // took no part
  BOOST_TEST(named(matching("^_\\.(x*).+$"), "_." + kBase) == "");             // empty
  BOOST_TEST(named(matching("^(.*)$"), ".") == "");
  BOOST_TEST(named(matching("^_\\.(.+)$"), "_.192.0.2.1") == "");
}

BOOST_AUTO_TEST_CASE(
    a_regex_matches_no_name_with_other_octets_even_where_it_does_not_capture_them) {
  const GatewayPolicy gateways = matching("(?s).*\\.(gw\\.example\\.org)");
  BOOST_TEST(named(gateways, "_.gw.example.org") == "gw.example.org");
  for (const char* label : {"a/b", "a.b", "a\\b", "a b", "\n", "\xff"}) {
    BOOST_TEST(named(gateways, name_of_labels({label, "gw", "example", "org"})) == "",
               base::escaped(label, 80));
  }
}

BOOST_AUTO_TEST_CASE(a_regex_adds_to_what_is_allowed) {
  GatewayPolicy gateways = matching("_\\.(gw[0-9]\\.example\\.org)");
  gateways.bases = {name_of(kBase)};
  BOOST_TEST(named(gateways, "_." + kBase) == kBase);
  BOOST_TEST(named(gateways, "_.gw7.example.org") == "gw7.example.org");
  BOOST_TEST(named(gateways, "_.gwx.example.org") == "");
}

BOOST_AUTO_TEST_CASE(a_regex_that_does_not_compile_and_a_missing_group_can_be_told) {
  BOOST_TEST(!base::Pattern::compile("(["));
  BOOST_TEST(!base::Pattern::compile("([").error().empty());
  BOOST_TEST(base::Pattern::compile("^_\\..+$")->groups() == 0);
  BOOST_TEST(base::Pattern::compile("^_\\.(.+)$")->groups() == 1);
}

bool is_gateway(const GatewayPolicy& gateways, std::string_view host) {
  return is_gateway_name(gateways, name_of(host));
}

BOOST_AUTO_TEST_CASE(a_host_at_or_under_an_exact_base_is_a_gateway_name) {
  const GatewayPolicy gateways = exactly(kBase);
  for (const std::string& host : {kBase, kId + "." + kBase, "gateway." + kBase, "a.b.c." + kBase}) {
    BOOST_TEST(is_gateway(gateways, host), host);
  }
  for (const std::string& host :
       {std::string("phala.network"), std::string("docs.phala.network"), "x" + kBase,
        kBase + ".evil.example", std::string("app.example.com")}) {
    BOOST_TEST(!is_gateway(gateways, host), host);
  }
}

BOOST_AUTO_TEST_CASE(a_host_under_a_wildcard_is_a_gateway_name_its_parent_is_not) {
  const GatewayPolicy gateways = one_label_under("phala.network");
  for (const std::string& host :
       {std::string("x.phala.network"), kBase, kId + "." + kBase, "a.b.c." + kBase}) {
    BOOST_TEST(is_gateway(gateways, host), host);
  }
  BOOST_TEST(!is_gateway(gateways, "phala.network"));
  BOOST_TEST(!is_gateway(gateways, "x.aphala.network"));
}

BOOST_AUTO_TEST_CASE(fallback_and_both_sides_of_an_alias_are_gateway_names) {
  GatewayPolicy gateways;
  gateways.fallback = name_of("fallback.example.org");
  gateways.aliases = {{name_of("prod5.relay.example.net"), name_of("aliased.example.org")}};
  for (const char* host :
       {"fallback.example.org", "a.fallback.example.org", "prod5.relay.example.net",
        "a.prod5.relay.example.net", "aliased.example.org", "a.b.aliased.example.org"}) {
    BOOST_TEST(is_gateway(gateways, host), host);
  }
  for (const char* host :
       {"example.org", "relay.example.net", "other.relay.example.net", "app.example.com"}) {
    BOOST_TEST(!is_gateway(gateways, host), host);
  }
}

BOOST_AUTO_TEST_CASE(a_host_at_or_under_what_a_regex_allows_is_a_gateway_name) {
  for (const char* regex :
       {"^_\\.(.+\\.phala\\.network)$", "_\\.([a-z0-9-]+\\.phala\\.network)",
        "(?:[^.]+\\.)?([a-z0-9-]+\\.phala\\.network)", "([a-z0-9-]+\\.phala\\.network)"}) {
    const GatewayPolicy gateways = matching(regex);
    BOOST_TEST(is_gateway(gateways, kBase), regex);
    BOOST_TEST(is_gateway(gateways, kId + "." + kBase), regex);
    BOOST_TEST(is_gateway(gateways, "a.b." + kBase), regex);
    BOOST_TEST(!is_gateway(gateways, "phala.network"), regex);
    BOOST_TEST(!is_gateway(gateways, "app.example.com"), regex);
  }
}

BOOST_AUTO_TEST_CASE(no_policy_makes_no_gateway_names) {
  BOOST_TEST(!is_gateway(GatewayPolicy(), "app.example.com"));
  BOOST_TEST(!is_gateway(GatewayPolicy(), kBase));
}

BOOST_AUTO_TEST_CASE(addresses_are_compared_with_bases_known_by_name) {
  GatewayPolicy gateways = exactly("b.example.org");
  gateways.bases.push_back(name_of("a.example.org"));
  gateways.wildcard_parents = {name_of("phala.network")};
  gateways.fallback = name_of("a.example.org");
  BOOST_TEST((named_bases(gateways) ==
              std::vector<Name>{name_of("b.example.org"), name_of("a.example.org")}));
  gateways.fallback = name_of("fallback.example.org");
  BOOST_TEST(named_bases(gateways).size() == 3u);
  BOOST_TEST(named_bases(GatewayPolicy()).empty());
}

BOOST_AUTO_TEST_CASE(the_entry_name_is_an_underscore_under_the_base) {
  BOOST_TEST(entry_name(name_of(kBase))->text() == "_." + kBase);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::protocol
