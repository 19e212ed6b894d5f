// From a challenge to its redirect: which records are asked for, in which order, and what becomes
// of each thing they can say.

#include "protocol/decide.h"

#include <boost/test/unit_test.hpp>
#include <string>

#include "tests/protocol/zone.h"

namespace http01::protocol {

BOOST_AUTO_TEST_SUITE(challenges)

const std::string kId = "00112233445566778899aabbccddeeff00112233";
const std::string kOtherId = "ffeeddccbbaa99887766554433221100ffeeddcc";
const std::string kPath = "/.well-known/acme-challenge/evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA";
const std::string kOk = "307 ok https://" + kId + ".dstack-prod5.phala.network" + kPath;

const std::string kExact = "TXT _dstack-app-address.app.example.com";
const std::string kLegacy = "TXT _tapp-address.app.example.com";
const std::string kWildcard = "TXT _dstack-app-address-wildcard.example.com";
const std::string kCname = "CNAME app.example.com";
const std::string kFirst = kExact + ", " + kCname;

Answer app() { return txt({kId + ":443"}); }
Answer to_gateway() { return cname("_.dstack-prod5.phala.network"); }

Story challenge(const Zone& zone, const Policy& policy = default_policy()) {
  return decided(policy, get("app.example.com", kPath), zone);
}

BOOST_AUTO_TEST_CASE(txt_and_cname_are_asked_for_together_and_make_the_redirect) {
  const Story story = challenge({{{kExact, app()}, {kCname, to_gateway()}}});
  BOOST_TEST(story.asked == kFirst);
  BOOST_TEST(story.answer == kOk);
  BOOST_TEST((story.reply.target.app == AppAddress{kId, "443"}));
  BOOST_TEST(story.reply.target.gateway->text() == "dstack-prod5.phala.network");
}

BOOST_AUTO_TEST_CASE(the_redirect_has_the_status_of_the_policy) {
  for (const int status : {301, 302, 307, 308}) {
    Policy policy = default_policy();
    policy.redirect_status = http_status(status).value();
    const Story story = challenge({{{kExact, app()}, {kCname, to_gateway()}}}, policy);
    BOOST_TEST(code(story.reply.response.status) == status);
  }
}

BOOST_AUTO_TEST_CASE(the_query_of_a_challenge_is_dropped) {
  const Zone zone{{{kExact, app()}, {kCname, to_gateway()}}};
  for (const char* query : {"?", "?x=1", "?relay=txt-missing", "#x"}) {
    BOOST_TEST(decided(default_policy(), get("app.example.com", kPath + query), zone).answer == kOk,
               query);
  }
}

BOOST_AUTO_TEST_CASE(the_names_of_the_record_are_tried_in_order) {
  const std::string all = kFirst + " | " + kLegacy + " | " + kWildcard;
  BOOST_TEST(challenge({{{kLegacy, app()}, {kCname, to_gateway()}}}).asked ==
             kFirst + " | " + kLegacy);
  BOOST_TEST(challenge({{{kLegacy, app()}, {kCname, to_gateway()}}}).answer == kOk);
  BOOST_TEST(challenge({{{kWildcard, app()}, {kCname, to_gateway()}}}).asked == all);
  BOOST_TEST(challenge({{{kWildcard, app()}, {kCname, to_gateway()}}}).answer == kOk);
  BOOST_TEST(challenge({{{kCname, to_gateway()}}}).asked == all);
  BOOST_TEST(challenge({{{kCname, to_gateway()}}}).answer == "404 txt-missing");
}

BOOST_AUTO_TEST_CASE(names_can_be_switched_off) {
  Policy policy = default_policy();
  policy.legacy_prefix = false;
  BOOST_TEST(challenge({}, policy).asked == kFirst + " | " + kWildcard);
  policy.wildcard = false;
  BOOST_TEST(challenge({}, policy).asked == kFirst);
  policy.legacy_prefix = true;
  BOOST_TEST(challenge({}, policy).asked == kFirst + " | " + kLegacy);
}

// The gateway takes the prefix as text and appends "-wildcard", so of "_app.relay" it is the last
// label that changes. Asked for at another name, the record that the gateway reads is not found.
BOOST_AUTO_TEST_CASE(the_prefix_can_be_another) {
  Policy policy = default_policy();
  policy.record_prefix = name_of("_app.relay");
  BOOST_TEST(challenge({}, policy).asked ==
             "TXT _app.relay.app.example.com, CNAME app.example.com | " + kLegacy +
                 " | TXT _app.relay-wildcard.example.com");
}

BOOST_AUTO_TEST_CASE(the_wildcard_record_stands_one_level_up_and_never_at_a_top_level_domain) {
  const auto asked = [](std::string_view host) {
    return decided(default_policy(), get(host, kPath), Zone{}).asked;
  };
  BOOST_TEST(
      asked("a.b.example.com").ends_with(" | TXT _dstack-app-address-wildcard.b.example.com"));
  BOOST_TEST(asked("example.com") ==
             "TXT _dstack-app-address.example.com, CNAME example.com | "
             "TXT _tapp-address.example.com");
}

BOOST_AUTO_TEST_CASE(nodata_and_somebody_elses_records_are_no_record) {
  for (const Answer& absent :
       {with_outcome(Outcome::kNoData), with_outcome(Outcome::kNxDomain),
        txt({"v=spf1 ip4:192.0.2.1 -all"}), txt({"V=DMARC1; p=none", "v=spf1 -all"})}) {
    const Story story = challenge(
        {{{kExact, absent}, {kLegacy, absent}, {kWildcard, app()}, {kCname, to_gateway()}}});
    BOOST_TEST(story.answer == kOk);
  }
}

BOOST_AUTO_TEST_CASE(after_a_wrong_record_no_further_name_is_tried) {
  const Story malformed = challenge(
      {{{kExact, txt({"junk"})}, {kLegacy, app()}, {kWildcard, app()}, {kCname, to_gateway()}}});
  BOOST_TEST(malformed.answer == "502 txt-malformed");
  BOOST_TEST(malformed.asked == kFirst);
  const Story ambiguous =
      challenge({{{kExact, txt({kId + ":443", kOtherId + ":443"})}, {kLegacy, app()}}});
  BOOST_TEST(ambiguous.answer == "502 txt-ambiguous");
  BOOST_TEST(ambiguous.asked == kFirst);
  const Story legacy =
      challenge({{{kLegacy, txt({"junk"})}, {kWildcard, app()}, {kCname, to_gateway()}}});
  BOOST_TEST(legacy.answer == "502 txt-malformed");
  BOOST_TEST(legacy.asked == kFirst + " | " + kLegacy);
}

BOOST_AUTO_TEST_CASE(for_want_of_an_answer_no_further_name_is_tried) {
  struct Case {
    Outcome outcome;
    const char* answer;
  };
  for (const Case& c :
       {Case{Outcome::kFailure, "503 dns-failure"}, Case{Outcome::kTimeout, "504 dns-timeout"},
        Case{Outcome::kOverloaded, "503 overloaded"}, Case{Outcome::kLoop, "502 cname-loop"}}) {
    const Answer failed = with_outcome(c.outcome);
    const Story exact = challenge(
        {{{kExact, failed}, {kLegacy, app()}, {kWildcard, app()}, {kCname, to_gateway()}}});
    BOOST_TEST(exact.answer == c.answer);
    BOOST_TEST(exact.asked == kFirst);
    const Story legacy =
        challenge({{{kLegacy, failed}, {kWildcard, app()}, {kCname, to_gateway()}}});
    BOOST_TEST(legacy.answer == c.answer);
    BOOST_TEST(legacy.asked == kFirst + " | " + kLegacy);
    const Story wildcard = challenge({{{kWildcard, failed}, {kCname, to_gateway()}}});
    BOOST_TEST(wildcard.answer == c.answer);
  }
}

BOOST_AUTO_TEST_CASE(a_fault_of_the_txt_record_is_told_before_one_of_the_gateway) {
  for (const Answer& gateway :
       {with_outcome(Outcome::kNoData), cname("cdn.example"), cname("app.example.com"),
        with_outcome(Outcome::kFailure), with_outcome(Outcome::kTimeout)}) {
    BOOST_TEST(challenge({{{kExact, txt({"junk"})}, {kCname, gateway}}}).answer ==
               "502 txt-malformed");
    BOOST_TEST(challenge({{{kCname, gateway}}}).answer == "404 txt-missing");
    BOOST_TEST(challenge({{{kExact, with_outcome(Outcome::kTimeout)}, {kCname, gateway}}}).answer ==
               "504 dns-timeout");
  }
}

BOOST_AUTO_TEST_CASE(a_template_without_gateway_asks_for_none) {
  Policy policy = default_policy();
  policy.target = TargetTemplate::parse("https://{domain}").value();
  const Story story = challenge({{{kExact, app()}}}, policy);
  BOOST_TEST(story.asked == kExact);
  BOOST_TEST(story.answer == "307 ok https://app.example.com" + kPath);
  BOOST_TEST(challenge({}, policy).answer == "404 txt-missing");
}

BOOST_AUTO_TEST_CASE(a_template_can_honour_the_port) {
  Policy policy = default_policy();
  policy.target = TargetTemplate::parse("https://{app_id}-{port}s.{gateway}").value();
  BOOST_TEST(challenge({{{kExact, txt({kId + ":8443"})}, {kCname, to_gateway()}}}, policy).answer ==
             "307 ok https://" + kId + "-8443s.dstack-prod5.phala.network" + kPath);
}

BOOST_AUTO_TEST_CASE(a_redirect_over_tls_never_leads_to_itself) {
  Policy policy = default_policy();
  policy.target = TargetTemplate::parse("https://{domain}").value();
  RawRequest raw = get("app.example.com", kPath);
  raw.https = true;
  BOOST_TEST(decided(policy, raw, Zone{{{kExact, app()}}}).answer == "404 not-found");
  // To another host it does, for a CA that was sent to port 443 by somebody else.
  BOOST_TEST(
      decided(default_policy(), raw, Zone{{{kExact, app()}, {kCname, to_gateway()}}}).answer ==
      kOk);
}

BOOST_AUTO_TEST_CASE(an_app_id_that_makes_no_host_is_a_wrong_record) {
  Policy policy = default_policy();
  policy.app_id = base::Pattern::compile("[0-9a-z]+").value();
  policy.target = TargetTemplate::parse("https://{app_id}-{port}s.{gateway}").value();
  const auto answer = [&](std::size_t size) {
    return challenge({{{kExact, txt({std::string(size, 'a') + ":443"})}, {kCname, to_gateway()}}},
                     policy)
        .answer;
  };
  BOOST_TEST(answer(58).starts_with("307 ok "));
  BOOST_TEST(answer(59) == "502 txt-malformed");
  BOOST_TEST(answer(63) == "502 txt-malformed");
}

BOOST_AUTO_TEST_CASE(with_require_dnssec_every_answer_must_be_authenticated) {
  Policy policy = default_policy();
  policy.require_dnssec = true;
  const Answer no_name = authenticated(with_outcome(Outcome::kNxDomain));
  const auto answer = [&](const Answer& exact, const Answer& legacy, const Answer& gateway) {
    return challenge({{{kExact, exact}, {kLegacy, legacy}, {kCname, gateway}}, no_name}, policy)
        .answer;
  };
  BOOST_TEST(answer(authenticated(app()), no_name, authenticated(to_gateway())) == kOk);
  BOOST_TEST(answer(app(), no_name, authenticated(to_gateway())) == "503 dns-failure");
  BOOST_TEST(answer(authenticated(app()), no_name, to_gateway()) == "503 dns-failure");
  BOOST_TEST(answer(no_name, authenticated(app()), authenticated(to_gateway())) == kOk);
  // That there is nothing must be proved too, or the wildcard record could be forced on a name.
  BOOST_TEST(answer(with_outcome(Outcome::kNxDomain), authenticated(app()),
                    authenticated(to_gateway())) == "503 dns-failure");
  BOOST_TEST(answer(authenticated(app()), no_name, with_outcome(Outcome::kNoData)) ==
             "503 dns-failure");
  BOOST_TEST(answer(no_name, no_name, no_name) == "404 txt-missing");
}

BOOST_AUTO_TEST_CASE(a_name_of_a_gateway_gets_no_redirect_and_no_look_up) {
  Policy policy = default_policy();
  policy.gateways.fallback = name_of("fallback.example.org");
  policy.gateways.aliases = {{name_of("prod5.relay.example.net"), name_of("aliased.example.org")}};
  for (const std::string& host :
       {std::string("dstack-prod5.phala.network"), kId + ".dstack-prod5.phala.network",
        std::string("x.phala.network"), std::string("fallback.example.org"),
        std::string("a.fallback.example.org"), std::string("prod5.relay.example.net"),
        std::string("a.aliased.example.org")}) {
    const Story story = decided(policy, get(host, kPath), Zone{});
    BOOST_TEST(story.answer == "421 gateway-name", host);
    BOOST_TEST(story.asked == "", host);
  }
}

BOOST_AUTO_TEST_CASE(a_domain_under_the_base_that_a_regex_made_of_its_cname_gets_no_redirect) {
  // What this regex allows cannot be seen from the Host alone.
  Policy policy;
  policy.gateways.regex = base::Pattern::compile("entry-[a-z]+\\.(gw\\.example\\.org)").value();
  const Zone zone{{{"TXT _dstack-app-address.x.gw.example.org", app()},
                   {"CNAME x.gw.example.org", cname("entry-a.gw.example.org")}}};
  BOOST_TEST(decided(policy, get("x.gw.example.org", kPath), zone).answer == "421 gateway-name");
}

BOOST_AUTO_TEST_CASE(domains_are_refused_before_any_look_up) {
  struct Case {
    std::vector<Name> allow;
    std::vector<Name> deny;
    const char* host;
    bool served;
  };
  const Name com = name_of("example.com");
  const Name app_name = name_of("app.example.com");
  for (const Case& c : {
           Case{{}, {}, "app.example.com", true},
           Case{{com}, {}, "app.example.com", true},
           Case{{com}, {}, "example.com", true},
           Case{{com}, {}, "xexample.com", false},
           Case{{com}, {}, "app.example.org", false},
           Case{{app_name}, {}, "example.com", false},
           Case{{}, {com}, "app.example.com", false},
           Case{{}, {com}, "example.com", false},
           Case{{}, {com}, "app.example.org", true},
           Case{{com}, {app_name}, "app.example.com", false},
           Case{{com}, {app_name}, "a.app.example.com", false},
           Case{{com}, {app_name}, "other.example.com", true},
           Case{{app_name}, {com}, "app.example.com", false},
       }) {
    Policy policy = default_policy();
    policy.domains_allow = c.allow;
    policy.domains_deny = c.deny;
    for (const std::string& path : {kPath, std::string("/x")}) {
      const Story story = decided(policy, get(c.host, path), Zone{});
      BOOST_TEST(story.answer == (c.served ? "404 txt-missing" : "403 domain-refused"), c.host);
      BOOST_TEST((story.asked == "") == !c.served, c.host);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_challenge_that_is_refused_by_its_form_costs_no_look_up) {
  struct Case {
    const char* method;
    const char* host;
    std::string uri;
    const char* answer;
  };
  for (const Case& c : {
           Case{"GET", "", kPath, "400 bad-host"},
           Case{"GET", "a_b.example.com", kPath, "400 bad-host"},
           Case{"POST", "app.example.com", kPath, "405 bad-method"},
           Case{"PUT", "203.0.113.9", kPath, "405 bad-method"},
           Case{"OPTIONS", "app.example.com", kPath + "/", "405 bad-method"},
           Case{"get", "app.example.com", kPath, "405 bad-method"},
           Case{"", "app.example.com", kPath, "405 bad-method"},
           Case{"POST", "dstack-prod5.phala.network", kPath, "405 bad-method"},
           Case{"GET", "app.example.com", kPath + "/", "404 bad-token"},
           Case{"GET", "app.example.com", "/.well-known/acme-challenge/", "404 bad-token"},
           Case{"HEAD", "app.example.com", "/.well-known/acme-challenge/a%2Fb", "404 bad-token"},
           Case{"GET", "203.0.113.9", kPath, "404 not-found"},
           Case{"GET", "[::1]:80", kPath, "404 not-found"},
           Case{"GET", "localhost", kPath, "404 not-found"},
           Case{"GET", "app.example.com", kPath + " ", "400 bad-path"},
           Case{"GET", "app.example.com", kPath + "?" + std::string(2000, 'x'), "414 too-long"},
           Case{"GET", "app.example.com", "*", "404 not-found"},
       }) {
    RawRequest raw = get(c.host, c.uri);
    raw.method = c.method;
    const Story story = decided(default_policy(), raw, Zone{});
    BOOST_TEST(story.answer == c.answer);
    BOOST_TEST(story.asked == "");
  }
  RawRequest large = get("app.example.com", kPath);
  large.body_too_large = true;
  BOOST_TEST(decided(default_policy(), large, Zone{}).answer == "413 too-large");
}

BOOST_AUTO_TEST_CASE(head_is_answered_as_get_is) {
  RawRequest raw = get("app.example.com", kPath);
  raw.method = "HEAD";
  BOOST_TEST(
      decided(default_policy(), raw, Zone{{{kExact, app()}, {kCname, to_gateway()}}}).answer ==
      kOk);
  BOOST_TEST(decided(default_policy(), raw, Zone{}).answer == "404 txt-missing");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::protocol
