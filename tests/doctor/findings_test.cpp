// Every finding, by a zone that causes it; the zone that causes none is the first test's.
#include <fstream>
#include <iterator>
#include <map>

#include "tests/doctor/evidence.h"

namespace http01::doctor {

using namespace protocol;

BOOST_AUTO_TEST_SUITE(doctor_findings)

BOOST_AUTO_TEST_CASE(a_domain_in_order_has_none) {
  BOOST_TEST(Case().found() == "");
  BOOST_TEST((Case().evidence().reply.reason == Reason::kOk));
}

BOOST_AUTO_TEST_CASE(every_finding_has_a_word_of_its_own) {
  std::map<std::string_view, int> words;
  for (const FindingId id : base::kAllOf<FindingId>) ++words[to_string(id)];
  BOOST_TEST(words.size() == base::kCountOf<FindingId>);
  BOOST_TEST(!words.contains(""));
}

BOOST_AUTO_TEST_CASE(every_word_is_in_the_manual) {
  std::ifstream file(TESTS_DIR "/../deploy/man/http01-relay.8");
  const std::string manual{std::istreambuf_iterator<char>(file), {}};
  for (const FindingId id : base::kAllOf<FindingId>) {
    const std::string known(to_string(id));
    const std::size_t at =
        std::min(manual.find(" " + known + "\n"), manual.find(" " + known + " "));
    BOOST_TEST(at != std::string::npos, known);
  }
}

BOOST_AUTO_TEST_CASE(what_the_relay_refuses_by_its_own_rules_is_all_that_is_said) {
  Case refused;
  refused.policy.domains_deny = {name_of("example.com")};
  BOOST_TEST(refused.found() == "fault domain-refused");
  Case gateway;
  gateway.domain = "x.dstack-prod5.phala.network";
  BOOST_TEST(gateway.found() == "fault gateway-name");
  for (const char* domain : {"*.example.com", "example", "192.0.2.1", "a b.example", ""}) {
    Case bad;
    bad.domain = domain;
    BOOST_TEST(bad.found() == "fault bad-domain", domain);
  }
  Case own;
  own.domain = "relay.example.net";
  own.policy.relay_hosts = {"relay.example.net"};
  BOOST_TEST(has(own.only(FindingId::kBadDomain).text, "of the relay itself"));
}

// ---- the app address

BOOST_AUTO_TEST_CASE(a_record_that_is_missing) {
  Case c;
  c.drop("TXT _dstack-app-address.app.example.com");
  BOOST_TEST(c.found() == "fault txt-missing");
  BOOST_TEST(lines_of(c.only(FindingId::kTxtMissing)) ==
             "set: _dstack-app-address.app.example.com. 300 IN TXT \"<app id>:<port>\"\n");
  BOOST_TEST(has(c.only(FindingId::kTxtMissing).text, "_dstack-app-address-wildcard.example.com"));
}

BOOST_AUTO_TEST_CASE(a_record_that_is_malformed_and_what_was_meant) {
  struct Text {
    std::string text;
    const char* wrong;
    std::string meant;  // "" for the placeholder
  };
  const std::string good = kAppId + ":443";
  for (const Text& t : {
           Text{" " + good, "there is a blank in it", good},
           {good + " ", "there is a blank in it", good},
           {kAppId + ": 443", "there is a blank in it", good},
           {"\"" + good + "\"", "the quotes are part of the text", good},
           {"'" + good + "'", "the quotes are part of the text", good},
           {kAppId, "the port is missing", good},
           {kAppId + ":", "there is no port behind the colon", good},
           {kAppId + ":0", "the port is 0", good},
           {kAppId + ":00", "the port is 0", good},
           {kAppId + ":65536", "the port is more than 65535", ""},
           {kAppId + ":999999", "the port is more than 65535", ""},
           {kAppId + ":http", "the port is no number", ""},
           {kAppId + ":++443", "the port is no number", good},
           {kAppId + ":-1", "the port is no number", ""},
           {kAppId + ":80:90", "there is more than one colon", ""},
           {kAppId.substr(1) + ":443", "the app id has 39 characters, not 40", ""},
           {kAppId + "0:443", "the app id has 41 characters, not 40", ""},
           {"g" + kAppId.substr(1) + ":443", "the app id has \"g\" in it, allowed are 0-9 and a-f",
            ""},
           {kAppId + "-8080:80", "the port belongs behind the colon only, not into the app id", ""},
           {":443", "there is no app id before the colon", ""},
           {"gateway:443", "the gateway keeps \"gateway\" for itself", ""},
           {"app.example.com:443", "is an address or a host name, not an app id", ""},
           {"https://app.example.com", "it is a URL, not an app address", ""},
           {"junk", "there is no colon and no port in it", ""},
           {good + "\n", "there is the octet \\010 in it", good},
           {good + std::string(1, '\0'), "there is the octet \\000 in it", good},
           {"", "it is empty", ""},
       }) {
    Case c;
    c.set("TXT _dstack-app-address.app.example.com", txt({t.text}));
    BOOST_TEST(c.found() == "fault txt-malformed", t.text);
    const Finding finding = c.only(FindingId::kTxtMalformed);
    BOOST_TEST(has(finding.text, t.wrong), finding.text);
    BOOST_TEST(finding.lines.back().line == "_dstack-app-address.app.example.com. 300 IN TXT \"" +
                                                (t.meant.empty() ? "<app id>:<port>" : t.meant) +
                                                "\"");
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_app_address_says_why_whatever_the_octets) {
  // Whatever `decide` refuses, and nothing else, has a reason here.
  const Policy policy = default_policy();
  for (int octet = 0; octet < 256; ++octet) {
    for (const std::string& text :
         {std::string(1, static_cast<char>(octet)), kAppId + static_cast<char>(octet) + ":443",
          kAppId + ":44" + static_cast<char>(octet)}) {
      if (read_app_address(policy.app_id, text)) continue;
      Case c;
      c.set("TXT _dstack-app-address.app.example.com", txt({text}));
      BOOST_TEST(c.found() == "fault txt-malformed", octet);
    }
  }
}

BOOST_AUTO_TEST_CASE(two_strings_in_one_record) {
  Case c;
  Answer answer = txt({kAppId + ":443"});
  answer.texts[0].strings = 2;
  answer.texts[0].first_size = 41;
  c.set("TXT _dstack-app-address.app.example.com", answer);
  BOOST_TEST(c.found() == "warning txt-two-strings");
  BOOST_TEST(has(c.only(FindingId::kTxtTwoStrings).text, "\"" + kAppId + ":\""));
  // The gateway takes it too.
  answer.texts[0] = {kAppId + ":443junk", 2, 44};
  c.set("TXT _dstack-app-address.app.example.com", answer);
  BOOST_TEST(c.found() == "note txt-two-strings");
  answer.texts[0] = {kAppId + ":4x43", 2, 41};
  c.set("TXT _dstack-app-address.app.example.com", answer);
  BOOST_TEST(c.found() == "fault txt-malformed");
}

BOOST_AUTO_TEST_CASE(a_port_as_only_the_gateway_writes_it_is_in_order) {
  for (const char* port : {"0443", "+443"}) {
    Case c;
    c.set("TXT _dstack-app-address.app.example.com", txt({kAppId + ":" + port}));
    BOOST_TEST(c.found() == "", port);
  }
}

BOOST_AUTO_TEST_CASE(upper_case_is_taken_here_but_not_by_the_gateway) {
  Case c;
  std::string upper = kAppId;
  for (char& letter : upper) letter = static_cast<char>(std::toupper(letter));
  c.set("TXT _dstack-app-address.app.example.com", txt({upper + ":443"}));
  BOOST_TEST(c.found() == "warning txt-upper-case");
  BOOST_TEST(has(lines_of(c.only(FindingId::kTxtUpperCase)), "\"" + kAppId + ":443\""));
}

BOOST_AUTO_TEST_CASE(several_records) {
  Case two;
  two.set("TXT _dstack-app-address.app.example.com", txt({kAppId + ":443", kOtherAppId + ":443"}));
  BOOST_TEST(two.found() == "fault txt-ambiguous");
  Case ports;
  ports.set("TXT _dstack-app-address.app.example.com", txt({kAppId + ":443", kAppId + ":0080"}));
  BOOST_TEST(ports.found() == "warning txt-ambiguous");
  BOOST_TEST(has(ports.only(FindingId::kTxtAmbiguous).text, "one app with different ports"));
  BOOST_TEST(has(lines_of(ports.only(FindingId::kTxtAmbiguous)),
                 "remove: _dstack-app-address."
                 "app.example.com. 300 IN TXT \"" +
                     kAppId + ":0080\"\n"));
  ports.policy.target = TargetTemplate::parse("https://{app_id}-{port}s.{gateway}").value();
  BOOST_TEST(ports.found() == "fault txt-ambiguous");
  Case twice;
  twice.set("TXT _dstack-app-address.app.example.com", txt({kAppId + ":443", kAppId + ":443"}));
  BOOST_TEST(twice.found() == "");
  Case junk;
  junk.set("TXT _dstack-app-address.app.example.com", txt({"junk", kAppId + ":443"}));
  BOOST_TEST(junk.found() == "warning txt-junk");
  BOOST_TEST(lines_of(junk.only(FindingId::kTxtJunk)) ==
             "remove: _dstack-app-address.app.example.com. 300 IN TXT \"junk\"\n");
}

BOOST_AUTO_TEST_CASE(a_dns_wildcard_shines_through) {
  Case alias;
  alias.set("TXT _dstack-app-address.app.example.com",
            through("_.dstack-prod5.phala.network", with_outcome(Outcome::kNoData)));
  BOOST_TEST(alias.found() == "fault txt-missing, fault txt-alias");
  Case spf;
  spf.set("TXT _dstack-app-address.app.example.com", txt({"v=spf1 -all"}));
  BOOST_TEST(spf.found() == "fault txt-missing, fault txt-foreign");
  spf.set("TXT _dstack-app-address.app.example.com", txt({"V=SPF1 -all", kAppId + ":443"}));
  BOOST_TEST(spf.found() == "warning txt-foreign");
  // A record that is delegated by an alias is in order.
  Case delegated;
  delegated.set("TXT _dstack-app-address.app.example.com",
                through("txt.example.net", txt({kAppId + ":443"})));
  BOOST_TEST(delegated.found() == "");
}

BOOST_AUTO_TEST_CASE(below_a_public_suffix_no_wildcard_record_is_spoken_of) {
  Case c;
  c.domain = "me.github.io";
  c.set("TXT _dstack-app-address-wildcard.github.io", txt({kAppId + ":443"}));
  BOOST_TEST(has(c.found(), "fault txt-missing"));
  for (const Finding& finding : c.findings()) {
    BOOST_TEST(!has(finding.text + lines_of(finding), "-wildcard"), finding.text);
  }
}

BOOST_AUTO_TEST_CASE(the_other_names_of_the_record) {
  Case legacy;
  legacy.drop("TXT _dstack-app-address.app.example.com")
      .set("TXT _tapp-address.app.example.com", txt({kAppId + ":443"}));
  BOOST_TEST(legacy.found() == "note txt-legacy");
  Case wildcard;
  wildcard.drop("TXT _dstack-app-address.app.example.com")
      .set("TXT _dstack-app-address-wildcard.example.com", txt({kAppId + ":443"}));
  BOOST_TEST(wildcard.found() == "note txt-wildcard");
  BOOST_TEST(lines_of(wildcard.only(FindingId::kTxtWildcard)) ==
             "set: _dstack-app-address.app.example.com. 300 IN TXT \"" + kAppId + ":443\"\n");
}

// ---- the gateway

BOOST_AUTO_TEST_CASE(no_cname) {
  Case c;
  c.drop("CNAME app.example.com").set("A app.example.com", address(kRelayAddress));
  BOOST_TEST(c.found() == "fault cname-missing");
  BOOST_TEST(lines_of(c.only(FindingId::kCnameMissing)) ==
             "set: app.example.com. 300 IN CNAME _.<gateway>.phala.network.\n");
  Case apex;
  apex.domain = "example.com";
  apex.set("TXT _dstack-app-address.example.com", txt({kAppId + ":443"}))
      .set("A example.com", address(kRelayAddress));
  BOOST_TEST(apex.found() == "fault apex-without-cname");
  apex.policy.gateways.fallback = name_of("dstack-prod5.phala.network");
  BOOST_TEST(apex.found() == "note gateway-fallback");
}

BOOST_AUTO_TEST_CASE(a_cname_elsewhere) {
  Case c;
  c.set("CNAME app.example.com", cname("cdn.example.net"))
      .set("A app.example.com", through("cdn.example.net", address(kRelayAddress)));
  BOOST_TEST(c.found() == "fault cname-elsewhere");
  BOOST_TEST(lines_of(c.only(FindingId::kCnameElsewhere)) ==
             "remove: app.example.com. 300 IN CNAME cdn.example.net.\n"
             "set: app.example.com. 300 IN CNAME _.<gateway>.phala.network.\n");
  Answer several = cname("cdn.example.net");
  several.aliases.push_back(name_of("_.dstack-prod5.phala.network"));
  c.set("CNAME app.example.com", several);
  BOOST_TEST(c.found() == "fault cname-elsewhere");
  BOOST_TEST(has(c.only(FindingId::kCnameElsewhere).text, "several CNAME records"));
  c.policy.gateways.fallback = name_of("dstack-prod5.phala.network");
  c.set("CNAME app.example.com", cname("cdn.example.net"));
  BOOST_TEST(c.found() == "note gateway-fallback");
}

BOOST_AUTO_TEST_CASE(what_is_wrong_with_one_record_hides_nothing_of_the_other) {
  Case c;
  c.set("TXT _dstack-app-address.app.example.com", txt({"junk"}))
      .set("CNAME app.example.com", cname("a.example.net"))
      .set("CNAME a.example.net", cname("b.example.net"));
  BOOST_TEST(c.found() == "fault txt-malformed, fault cname-elsewhere");
  c.drop("TXT _dstack-app-address.app.example.com").drop("CNAME app.example.com");
  BOOST_TEST(c.found() == "fault txt-missing, fault cname-missing");
  // The gateway is known without the app, by its entry name.
  c.set("CNAME app.example.com", cname("_.dstack-prod5.phala.network"));
  BOOST_TEST(c.found() == "fault txt-missing");
  c.drop("A _.dstack-prod5.phala.network");
  BOOST_TEST(c.found() == "fault txt-missing, fault gateway-unresolved");
}

BOOST_AUTO_TEST_CASE(a_chain_and_a_loop) {
  Case chain;
  chain.set("CNAME app.example.com", cname("apps.example.net"))
      .set("CNAME apps.example.net", cname("_.dstack-prod5.phala.network"));
  BOOST_TEST(chain.found() == "note cname-chain");
  BOOST_TEST(has(chain.only(FindingId::kCnameChain).text,
                 "in 2 steps: apps.example.net, then _.dstack-prod5.phala.network. "));
  Case loop;
  loop.set("CNAME app.example.com", cname("a.example.net"))
      .set("CNAME a.example.net", cname("app.example.com"))
      .set("A app.example.com", address(kRelayAddress));
  BOOST_TEST(loop.found() == "fault cname-loop");
}

BOOST_AUTO_TEST_CASE(the_gateways_own_name) {
  Case unresolved;
  unresolved.drop("A " + kAppId + ".dstack-prod5.phala.network");
  BOOST_TEST(unresolved.found() == "fault gateway-unresolved");
  BOOST_TEST(has(lines_of(unresolved.only(FindingId::kGatewayUnresolved)),
                 "*.dstack-prod5.phala.network. 300 IN A"));
  Case internal;
  internal.policy.gateways.bases = {name_of("gateway.internal")};
  internal.set("CNAME app.example.com", cname("_.gateway.internal"))
      .set("A " + kAppId + ".gateway.internal", address(kRelayAddress));
  BOOST_TEST(internal.found() == "fault gateway-suffix");
}

// ---- addresses

BOOST_AUTO_TEST_CASE(addresses_that_are_not_the_relays) {
  Case none;
  none.drop("A app.example.com");
  BOOST_TEST(none.found() == "fault no-address");
  Case elsewhere;
  elsewhere.set("A app.example.com", address("45.99.99.99"));
  BOOST_TEST(elsewhere.found() == "fault address-elsewhere");
  BOOST_TEST(lines_of(elsewhere.only(FindingId::kAddressElsewhere)) ==
             "remove: app.example.com. 300 IN A 45.99.99.99\n"
             "set: app.example.com. 300 IN A 45.10.20.30\n");
  // Not where the name is to be an alias.
  Case old;
  old.drop("CNAME app.example.com").set("A app.example.com", address("45.99.99.99"));
  BOOST_TEST(old.found() == "fault cname-missing, fault address-elsewhere");
  BOOST_TEST(lines_of(old.only(FindingId::kAddressElsewhere)) ==
             "remove: app.example.com. 300 IN A 45.99.99.99\n");
  // One of two: the other stays.
  Answer both = address("45.99.99.99");
  both.addresses.push_back(*base::IpAddress::parse(kRelayAddress));
  elsewhere.set("A app.example.com", both);
  BOOST_TEST(elsewhere.found() == "fault address-elsewhere");
  BOOST_TEST(lines_of(elsewhere.only(FindingId::kAddressElsewhere)) ==
             "remove: app.example.com. 300 IN A 45.99.99.99\n");
  // An alias's address is not the owner's to set.
  elsewhere.set("A app.example.com", through("x.example.net", address("45.99.99.99")));
  BOOST_TEST(lines_of(elsewhere.only(FindingId::kAddressElsewhere)) == "");
  // This machine's interfaces are only a guess.
  elsewhere.relay.certain = false;
  BOOST_TEST(elsewhere.found() == "warning address-elsewhere");
  elsewhere.relay.addresses.clear();
  BOOST_TEST(elsewhere.found() == "note relay-address-unknown");
}

BOOST_AUTO_TEST_CASE(ipv6_that_leads_elsewhere) {
  Case domain;
  domain.set("AAAA app.example.com", address("2a00:1::1"));
  BOOST_TEST(domain.found() == "fault address6-elsewhere");
  domain.relay.addresses.push_back(*base::IpAddress::parse("2a00:1::1"));
  BOOST_TEST(domain.found() == "");
  Case gateway;
  gateway.set("AAAA " + kAppId + ".dstack-prod5.phala.network", address("2a00:1::1"));
  BOOST_TEST(gateway.found() == "warning gateway-address6");
  gateway.extra.probe.done = true;  // it has been tried, and has answered
  BOOST_TEST(gateway.found() == "");
}

BOOST_AUTO_TEST_CASE(reserved_addresses) {
  for (const char* reserved :
       {"10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.1.1", "172.31.0.1", "192.168.1.1",
        "192.0.2.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "fd00::1", "fe80::1",
        "2001:db8::1", "2002::1", "::ffff:1.2.3.4", "fec0::1", "64:ff9b::10.0.0.1", "::10.0.0.1"}) {
    Case c;
    const base::IpAddress parsed = *base::IpAddress::parse(reserved);
    c.relay.addresses = {parsed};
    c.set(parsed.v6 ? "AAAA app.example.com" : "A app.example.com", address(reserved));
    if (parsed.v6) c.drop("A app.example.com");
    BOOST_TEST(c.found() == "fault reserved-address", reserved);
  }
  for (const char* open :
       {"9.9.9.9", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "198.20.0.1",
        "223.255.255.255", "2a00::1", "2001:db7::1", "64:ff9b::909:909"}) {
    Case c;
    const base::IpAddress parsed = *base::IpAddress::parse(open);
    c.relay.addresses = {parsed};
    c.set(parsed.v6 ? "AAAA app.example.com" : "A app.example.com", address(open));
    if (parsed.v6) c.drop("A app.example.com");
    BOOST_TEST(c.found() == "", open);
  }
  Case gateway;
  gateway.set("A " + kAppId + ".dstack-prod5.phala.network", address("10.0.0.1"));
  BOOST_TEST(gateway.found() == "fault reserved-address");
}

BOOST_AUTO_TEST_CASE(faults_come_first_and_the_common_ones_before_the_rare) {
  Case c;
  c.set("CNAME app.example.com", cname("apps.example.net"))
      .set("CNAME apps.example.net", cname("_.dstack-prod5.phala.network"))
      .set("CAA example.com", issue(";"))
      .set("AAAA app.example.com", address("2a00:1::1"))
      .set("AAAA " + kAppId + ".dstack-prod5.phala.network", address("2a00:1::1"))
      .set("A app.example.com", address("10.0.0.1"));
  BOOST_TEST(c.found() ==
             "fault address-elsewhere, fault address6-elsewhere, fault caa-forbids, fault "
             "reserved-address, warning gateway-address6, note cname-chain");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::doctor
