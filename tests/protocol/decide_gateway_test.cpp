// From a domain to its gateway: the CNAME chain, the addresses, the fallback.

#include <boost/test/unit_test.hpp>
#include <string>

#include "protocol/decide.h"
#include "tests/protocol/zone.h"

namespace http01::protocol {

BOOST_AUTO_TEST_SUITE(gateway_of_a_domain)

const std::string kId = "00112233445566778899aabbccddeeff00112233";
const std::string kPath = "/.well-known/acme-challenge/x";
const std::string kExact = "TXT _dstack-app-address.app.example.com";
const std::string kFirst = kExact + ", CNAME app.example.com";

std::string ok(const std::string& base) { return "307 ok https://" + kId + "." + base + kPath; }

// The story of a domain whose app address is right.
Story challenge(Zone zone, const Policy& policy = default_policy()) {
  Answer app = txt({kId + ":443"});
  app.authenticated = policy.require_dnssec;
  zone.answers.emplace(kExact, app);
  return decided(policy, get("app.example.com", kPath), zone);
}

Policy with_fallback() {
  Policy policy = default_policy();
  policy.gateways.fallback = name_of("fallback.example.org");
  return policy;
}

// A chain of `hops` hops, the last of them to `end`.
Zone chain(int hops, const Name& end) {
  Zone zone;
  std::string at = "app.example.com";
  for (int hop = 1; hop < hops; ++hop) {
    const std::string next = "hop" + std::to_string(hop) + ".deleg.example.net";
    zone.answers["CNAME " + at] = cname(next);
    at = next;
  }
  zone.answers["CNAME " + at] = cname(end);
  return zone;
}

BOOST_AUTO_TEST_CASE(a_chain_is_followed_to_the_first_hop_that_is_a_gateway) {
  const Story story = challenge(chain(3, name_of("_.gw1.phala.network")));
  BOOST_TEST(story.answer == ok("gw1.phala.network"));
  BOOST_TEST(story.asked ==
             kFirst + " | CNAME hop1.deleg.example.net | CNAME hop2.deleg.example.net");

  Zone zone = chain(2, name_of("_.gw1.phala.network"));
  zone.answers["CNAME _.gw1.phala.network"] = cname("_.gw2.phala.network");
  BOOST_TEST(challenge(zone).answer == ok("gw1.phala.network"));
}

BOOST_AUTO_TEST_CASE(a_chain_is_followed_for_eight_hops) {
  const Name gateway = name_of("_.gw1.phala.network");
  BOOST_TEST(challenge(chain(8, gateway)).answer == ok("gw1.phala.network"));
  const Story story = challenge(chain(9, gateway));
  BOOST_TEST(story.answer == "502 gateway-refused");
  BOOST_TEST(story.asked.find("CNAME hop8") == std::string::npos);
}

// The resolver's answer for the address has all of the chain in it, which is too long for it.
BOOST_AUTO_TEST_CASE(a_longer_chain_may_have_the_fallback_with_match_addresses_too) {
  Zone zone = chain(9, name_of("_.gw1.phala.network"));
  for (const char* type : {"A", "AAAA"}) {
    zone.answers[std::string(type) + " app.example.com"] = with_outcome(Outcome::kLoop);
  }
  Policy policy = with_fallback();
  policy.gateways.match_addresses = true;
  BOOST_TEST(challenge(zone, policy).answer == ok("fallback.example.org"));
  policy.gateways.fallback.reset();
  policy.gateways.bases = {name_of("gw1.phala.network")};
  BOOST_TEST(challenge(zone, policy).answer == "502 gateway-refused");
  zone.answers["CNAME hop8.deleg.example.net"] = cname("app.example.com");
  zone.answers["CNAME hop7.deleg.example.net"] = cname("app.example.com");
  BOOST_TEST(challenge(zone, policy).answer == "502 cname-loop");
}

BOOST_AUTO_TEST_CASE(a_chain_that_comes_back_to_itself_is_a_loop) {
  for (const char* back : {"app.example.com", "hop1.deleg.example.net", "hop2.deleg.example.net"}) {
    BOOST_TEST(challenge(chain(3, name_of(back))).answer == "502 cname-loop", back);
    BOOST_TEST(challenge(chain(3, name_of(back)), with_fallback()).answer == "502 cname-loop",
               back);
  }
  BOOST_TEST(challenge(chain(1, name_of("app.example.com"))).answer == "502 cname-loop");
  BOOST_TEST(challenge({{{"CNAME app.example.com", with_outcome(Outcome::kLoop)}}}).answer ==
             "502 cname-loop");
}

BOOST_AUTO_TEST_CASE(an_alias_in_the_chain_names_its_base) {
  Policy policy = default_policy();
  policy.gateways.aliases = {
      {name_of("prod5.relay.example.net"), name_of("dstack-prod5.phala.network")}};
  BOOST_TEST(challenge(chain(1, name_of("prod5.relay.example.net")), policy).answer ==
             ok("dstack-prod5.phala.network"));
  const Story story = challenge(chain(2, name_of("PROD5.relay.example.net")), policy);
  BOOST_TEST(story.answer == ok("dstack-prod5.phala.network"));
  BOOST_TEST(story.asked == kFirst + " | CNAME hop1.deleg.example.net");
}

BOOST_AUTO_TEST_CASE(no_cname_is_missing_and_one_elsewhere_is_refused) {
  BOOST_TEST(challenge({}).answer == "502 gateway-missing");
  BOOST_TEST(challenge({{{"CNAME app.example.com", with_outcome(Outcome::kNoData)}}}).answer ==
             "502 gateway-missing");
  const Story story = challenge(chain(1, name_of("d111.cdn.example")));
  BOOST_TEST(story.answer == "502 gateway-refused");
  BOOST_TEST(story.asked == kFirst + " | CNAME d111.cdn.example");
}

BOOST_AUTO_TEST_CASE(the_root_and_hostile_names_are_no_gateways) {
  for (const Name& target : {Name(), name_of("com"), name_of("_.a.b.phala.network"),
                             name_of_labels({"_", "evil.com/x", "phala", "network"}),
                             name_of_labels({"_", "evil.com", "phala", "network"}),
                             name_of_labels({"\r\n", "phala", "network"})}) {
    BOOST_TEST(challenge(chain(1, target)).answer == "502 gateway-refused", target.text());
  }
}

BOOST_AUTO_TEST_CASE(two_cnames_at_one_name_are_refused) {
  Answer two = cname("_.gw1.phala.network");
  two.aliases.push_back(name_of("_.gw2.phala.network"));
  BOOST_TEST(challenge({{{"CNAME app.example.com", two}}}).answer == "502 gateway-refused");
  BOOST_TEST(challenge({{{"CNAME app.example.com", two}}}, with_fallback()).answer ==
             "502 gateway-refused");
  // The same one twice is one.
  two.aliases = {name_of("_.gw1.phala.network"), name_of("_.GW1.phala.network")};
  BOOST_TEST(challenge({{{"CNAME app.example.com", two}}}).answer == ok("gw1.phala.network"));
}

BOOST_AUTO_TEST_CASE(the_fallback_is_for_answers_that_name_no_gateway) {
  const Policy policy = with_fallback();
  BOOST_TEST(challenge({}, policy).answer == ok("fallback.example.org"));
  BOOST_TEST(challenge(chain(1, name_of("d111.cdn.example")), policy).answer ==
             ok("fallback.example.org"));
  BOOST_TEST(challenge(chain(1, name_of("_.gw1.phala.network")), policy).answer ==
             ok("gw1.phala.network"));
}

BOOST_AUTO_TEST_CASE(the_fallback_is_not_for_want_of_an_answer) {
  struct Case {
    Outcome outcome;
    const char* answer;
  };
  for (const Case& c :
       {Case{Outcome::kFailure, "503 dns-failure"}, Case{Outcome::kTimeout, "504 dns-timeout"},
        Case{Outcome::kOverloaded, "503 overloaded"}}) {
    const Answer failed = with_outcome(c.outcome);
    BOOST_TEST(challenge({{{"CNAME app.example.com", failed}}}, with_fallback()).answer ==
               c.answer);
    Zone zone = chain(1, name_of("hop.example.net"));
    zone.answers["CNAME hop.example.net"] = failed;
    BOOST_TEST(challenge(zone, with_fallback()).answer == c.answer);
  }
  Policy policy = with_fallback();
  policy.require_dnssec = true;
  BOOST_TEST(challenge({}, policy).answer == "503 dns-failure");
}

Policy with_addresses() {
  Policy policy = default_policy();
  policy.gateways.match_addresses = true;
  policy.gateways.bases = {name_of("gw1.example.org"), name_of("gw2.example.org")};
  return policy;
}

const std::string kAddressQuestions =
    "A app.example.com, AAAA app.example.com, A _.gw1.example.org, AAAA _.gw1.example.org, "
    "A _.gw2.example.org, AAAA _.gw2.example.org";

BOOST_AUTO_TEST_CASE(an_address_in_common_names_the_base) {
  const Story v4 = challenge({{{"A app.example.com", address("192.0.2.2")},
                               {"A _.gw1.example.org", address("192.0.2.1")},
                               {"A _.gw2.example.org", address("192.0.2.2")}}},
                             with_addresses());
  BOOST_TEST(v4.answer == ok("gw2.example.org"));
  BOOST_TEST(v4.asked == kFirst + " | " + kAddressQuestions);

  BOOST_TEST(challenge({{{"AAAA app.example.com", address("2001:db8::1")},
                         {"AAAA _.gw1.example.org", address("2001:db8:0::1")}}},
                       with_addresses())
                 .answer == ok("gw1.example.org"));
  BOOST_TEST(challenge({{{"A app.example.com", address("192.0.2.2")},
                         {"A _.gw1.example.org", address("192.0.2.1")}}},
                       with_addresses())
                 .answer == "502 gateway-missing");
}

BOOST_AUTO_TEST_CASE(of_two_bases_at_one_address_the_first_of_the_policy_is_named) {
  BOOST_TEST(challenge({{{"A app.example.com", address("192.0.2.1")},
                         {"A _.gw1.example.org", address("192.0.2.1")},
                         {"A _.gw2.example.org", address("192.0.2.1")}}},
                       with_addresses())
                 .answer == ok("gw1.example.org"));
}

BOOST_AUTO_TEST_CASE(an_address_of_the_fallback_counts_and_one_that_matches_comes_before_it) {
  Policy policy = with_addresses();
  policy.gateways.fallback = name_of("fallback.example.org");
  const Zone zone{
      {{"A app.example.com", address("192.0.2.2")}, {"A _.gw2.example.org", address("192.0.2.2")}}};
  BOOST_TEST(challenge(zone, policy).answer == ok("gw2.example.org"));
  const Story none = challenge({}, policy);
  BOOST_TEST(none.answer == ok("fallback.example.org"));
  BOOST_TEST(none.asked == kFirst + " | " + kAddressQuestions +
                               ", A _.fallback.example.org, AAAA _.fallback.example.org");
}

BOOST_AUTO_TEST_CASE(addresses_are_looked_up_only_where_they_are_needed) {
  const Zone named = chain(1, name_of("_.gw1.example.org"));
  BOOST_TEST(challenge(named, with_addresses()).asked == kFirst);
  Policy off = with_addresses();
  off.gateways.match_addresses = false;
  BOOST_TEST(challenge({}, off).asked == kFirst);
}

BOOST_AUTO_TEST_CASE(a_domain_with_a_foreign_cname_can_match_by_address) {
  Zone zone = chain(1, name_of("alias.example.net"));
  zone.answers["A app.example.com"] = address("192.0.2.1");
  zone.answers["A _.gw1.example.org"] = address("192.0.2.1");
  BOOST_TEST(challenge(zone, with_addresses()).answer == ok("gw1.example.org"));
}

BOOST_AUTO_TEST_CASE(an_address_that_could_not_be_looked_up_counts_only_where_nothing_matches) {
  Policy policy = with_addresses();
  policy.gateways.fallback = name_of("fallback.example.org");
  Zone zone{{{"A app.example.com", address("192.0.2.1")},
             {"A _.gw1.example.org", with_outcome(Outcome::kTimeout)},
             {"A _.gw2.example.org", address("192.0.2.1")}}};
  BOOST_TEST(challenge(zone, policy).answer == ok("gw2.example.org"));
  zone.answers["A _.gw2.example.org"] = address("192.0.2.9");
  BOOST_TEST(challenge(zone, policy).answer == "504 dns-timeout");
  zone.answers["A _.gw1.example.org"] = with_outcome(Outcome::kFailure);
  BOOST_TEST(challenge(zone, policy).answer == "503 dns-failure");
}

BOOST_AUTO_TEST_CASE(a_base_that_makes_too_long_a_host_is_no_target) {
  const std::string label(60, 'a');
  const std::string base =
      label + "." + label + "." + label + ".a2345678901234567890.example.org";  // 215
  Policy policy = default_policy();
  policy.gateways.bases = {name_of(base)};
  const Zone zone = chain(1, name_of("_." + base));
  BOOST_TEST(challenge(zone, policy).reply.response.location == "");
  BOOST_TEST(code(challenge(zone, policy).reply.response.status) >= 400);

  policy.other_paths = OtherPaths::kApp;
  Zone whole = zone;
  whole.answers.emplace(kExact, txt({kId + ":443"}));
  const Story other = decided(policy, get("app.example.com", "/x"), whole);
  BOOST_TEST(other.reply.response.location == "");
  BOOST_TEST(code(other.reply.response.status) >= 400);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::protocol
