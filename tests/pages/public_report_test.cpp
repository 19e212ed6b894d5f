// What strangers get to see at /check: nothing of a private network or a private zone, whether they
// ask for its names or lead there with an alias of their own.
#include <boost/test/unit_test.hpp>

#include "pages/check_page.h"
#include "tests/doctor/hostile.h"

namespace http01::doctor {

using namespace protocol;

BOOST_AUTO_TEST_SUITE(public_report)

// The page and the JSON, which is all that leaves the relay.
std::string shown(const Report& report) { return check_page(&report, "") + to_json(report); }
std::string shown(const Case& c, const std::vector<Opinion>& opinions = {}) {
  Evidence evidence = c.evidence();
  evidence.opinions = opinions;
  return shown(make_public_report(c.policy, std::move(evidence)));
}
std::string words(const Case& c) {
  std::string text;
  for (const Finding& finding : make_public_report(c.policy, c.evidence()).findings) {
    text += (text.empty() ? "" : ", ") + std::string(to_string(finding.id));
  }
  return text;
}

BOOST_AUTO_TEST_CASE(of_a_public_domain_in_order_all_is_shown) {
  const Case c;
  const Report plain = make_report(c.policy, c.evidence());
  BOOST_TEST(shown(c) == shown(plain));
}

BOOST_AUTO_TEST_CASE(addresses_of_private_networks_are_found_and_not_shown) {
  for (const char* address : {"10.1.2.3", "172.16.9.9", "192.168.7.7", "100.64.3.2", "127.9.9.9",
                              "169.254.169.254", "198.18.0.77", "fd00:1:2::77", "fe80::77:1",
                              "fec0::77", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3"}) {
    const base::IpAddress parsed = *base::IpAddress::parse(address);
    const std::string type = parsed.v6 ? "AAAA " : "A ";
    Case own;
    own.set(type + "app.example.com", protocol::address(address));
    Case gateway;
    gateway.set(type + kAppId + ".dstack-prod5.phala.network", protocol::address(address));
    for (const Case* c : {&own, &gateway}) {
      const std::string page = shown(*c);
      BOOST_TEST(!has(page, parsed.text()), address);
      BOOST_TEST(has(page, "reserved-address"), address);
      BOOST_TEST(has(page, "has an address, not shown here, which is "), address);
      BOOST_TEST(has(page, "not shown here</td>"), address);
      BOOST_TEST(has(shown(make_report(c->policy, c->evidence())), parsed.text()), address);
    }
  }
  // Nobody's network has those for documentation.
  Case documented;
  documented.set("A app.example.com", protocol::address("192.0.2.77"));
  BOOST_TEST(has(shown(documented), "192.0.2.77"));
  // Beside a public one, and where it is the relay's own.
  Case mixed;
  Answer both = protocol::address("45.0.0.1");
  both.addresses.push_back(*base::IpAddress::parse("10.1.2.3"));
  mixed.set("A app.example.com", both);
  mixed.relay.addresses.push_back(*base::IpAddress::parse("10.7.7.7"));
  const std::string page = shown(mixed);
  BOOST_TEST(has(page, "45.0.0.1"));
  BOOST_TEST(!has(page, "10.1.2.3"));
  BOOST_TEST(!has(page, "10.7.7.7"));
}

BOOST_AUTO_TEST_CASE(resolvers_in_a_private_network_have_a_number) {
  Case c;
  const Question question{name_of("app.example.com"), RecordType::kA};
  std::vector<Opinion> opinions;
  for (const char* server : {"10.0.0.53:53", "9.9.9.9:53", "[fd00::53]:53"}) {
    opinions.push_back({server, {}});
    opinions.back().answers.put(
        question, server[0] == '1' ? with_outcome(Outcome::kTimeout) : c.zone(question));
  }
  Evidence evidence = c.evidence();
  evidence.opinions = opinions;
  evidence.observations.front().server = "[fd00::53]:53";
  evidence.observations.back().server = "127.0.0.53:53";
  const std::string page = shown(make_public_report(c.policy, std::move(evidence)));
  for (const char* hidden : {"10.0.0.53", "fd00", "127.0.0.53"}) BOOST_TEST(!has(page, hidden));
  for (const char* there : {"9.9.9.9:53, by itself", "#1, by itself", "#2, by itself", "#2, 0.0 ms",
                            "#3, 0.0 ms", "The resolver #1 does not answer"}) {
    BOOST_TEST(has(page, there), there);
  }
}

// A domain that only the relay's resolver knows, with something in each kind of record.
Case internal(const std::string& domain) {
  Case c;
  c.zone.answers.clear();
  c.domain = domain;
  c.set("TXT _dstack-app-address." + domain, txt({"secret-text"}));
  c.set("CNAME " + domain, cname("secret-alias.corp"));
  c.set("CNAME secret-alias.corp", cname("_.secret-gw.example.com"));
  c.set("A " + domain, through("secret-alias.corp", protocol::address("45.6.7.8")));
  c.set("CAA " + domain, issue("secret-ca.example"));
  return c;
}

BOOST_AUTO_TEST_CASE(of_a_domain_under_no_public_suffix_nothing_is_shown_that_stands_there) {
  for (const char* domain : {"db.internal", "x.corp", "host.local", "nas.home.arpa", "a.test"}) {
    Case c = internal(domain);
    const std::string page = shown(c);
    for (const char* hidden : {"secret", "45.6.7.8"}) BOOST_TEST(!has(page, hidden), domain);
    BOOST_TEST(has(page, "is under no public suffix. This page does not show"), domain);
    BOOST_TEST(has(page, "http01-relay check " + std::string(domain)), domain);
    BOOST_TEST(has(page, "txt-malformed"), domain);  // what the relay answers any client
    BOOST_TEST(has(shown(make_report(c.policy, c.evidence())), "secret-text"), domain);
    // With an app address it would lead to an app.
    c.set("TXT _dstack-app-address." + c.domain, txt({kAppId + ":443"}));
    c.set("CNAME " + c.domain, cname("_.dstack-prod5.phala.network"));
    const std::string good = shown(c);
    BOOST_TEST(has(good, "Challenges are redirected to the app"));
    BOOST_TEST(!has(good, kAppId));
    BOOST_TEST(!has(good, "{token}"));
  }
}

// evil.example.com is the stranger's own, and leads into the zone that is to be read.
BOOST_AUTO_TEST_CASE(an_alias_of_ones_own_shows_nothing_of_a_private_zone) {
  Case c;
  c.set("TXT _dstack-app-address.app.example.com", through("first.internal", txt({"secret-text"})));
  c.set("CNAME app.example.com", cname("first.internal"));
  c.set("CNAME first.internal", cname("secret-second.internal"));
  Answer address = protocol::address("45.6.7.8");
  address.aliases = {name_of("first.internal"), name_of("secret-second.internal")};
  c.set("A app.example.com", address);
  Answer none = with_outcome(Outcome::kNoData);
  none.aliases = address.aliases;
  c.set("AAAA app.example.com", none);
  c.set("CAA app.example.com", through("first.internal", issue("secret-ca.example")));
  const std::string page = shown(c);
  for (const char* hidden : {"secret", "45.6.7.8"}) BOOST_TEST(!has(page, hidden), page);
  // It stands in a public zone.
  BOOST_TEST(has(page, "CNAME of app.example.com leads to first.internal"));
  BOOST_TEST(has(page, "Some of the answers come from names under no public suffix."));
  BOOST_TEST(words(c) == "cname-elsewhere, not-shown");
  BOOST_TEST(has(shown(make_report(c.policy, c.evidence())), "secret-text"));
  // A name whose label only looks like one of a public suffix.
  Case odd;
  odd.set("A app.example.com", through("first.internal", protocol::address("45.6.7.8")));
  Answer dotted = odd.zone.answers["A app.example.com"];
  dotted.aliases = {name_of_labels({"x", "internal.com"}), name_of("secret.internal")};
  odd.set("A app.example.com", dotted);
  BOOST_TEST(!has(shown(odd), "45.6.7.8"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::doctor
