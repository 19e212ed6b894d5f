// Cases collected from what the gateway and the original relay do with odd hosts, records, CNAMEs,
// paths and settings. Cases of the same kind that concern other parts are tested with those: which
// variables of the web server are read, DNS transport and cache, limits, environment and
// configuration file (here: what becomes of its values), and counters.

#include <boost/test/unit_test.hpp>
#include <string>

#include "protocol/decide.h"
#include "tests/protocol/zone.h"

namespace http01::protocol {

BOOST_AUTO_TEST_SUITE(cases)

const std::string kId = "00112233445566778899aabbccddeeff00112233";
const std::string kOtherId = "ffeeddccbbaa99887766554433221100ffeeddcc";
const std::string kGateway = "dstack-prod5.phala.network";
const std::string kPrefix = "/.well-known/acme-challenge/";
const std::string kPath = kPrefix + "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA";
const std::string kOk = "307 ok https://" + kId + "." + kGateway + kPath;

const std::string kExact = "TXT _dstack-app-address.app.example.com";
const std::string kLegacy = "TXT _tapp-address.app.example.com";
const std::string kWildcard = "TXT _dstack-app-address-wildcard.example.com";
const std::string kCname = "CNAME app.example.com";

Answer app() { return txt({kId + ":80"}); }
Answer to_gateway() { return cname("_." + kGateway); }
Zone good() { return {{{kExact, app()}, {kCname, to_gateway()}}}; }

std::string answer(const RawRequest& raw, const Zone& zone,
                   const Policy& policy = default_policy()) {
  return decided(policy, raw, zone).answer;
}

std::string for_host(std::string_view host) { return answer(get(host, kPath), good()); }
std::string for_uri(const std::string& uri) { return answer(get("app.example.com", uri), good()); }
std::string for_zone(const Zone& zone, const Policy& policy = default_policy()) {
  return answer(get("app.example.com", kPath), zone, policy);
}
std::string for_txt(std::initializer_list<std::string> texts) {
  return for_zone({{{kExact, txt(texts)}, {kCname, to_gateway()}}});
}
std::string for_cname(const Answer& target) {
  return for_zone({{{kExact, app()}, {kCname, target}}});
}

std::string at_base(const std::string& base) {
  return "307 ok https://" + kId + "." + base + kPath;
}

Policy only(const std::string& base) {
  Policy policy;
  policy.gateways.bases = {name_of(base)};
  return policy;
}

BOOST_AUTO_TEST_CASE(a_good_domain_is_redirected_to_its_app) {
  BOOST_TEST(for_host("app.example.com") == kOk);
}

BOOST_AUTO_TEST_CASE(the_port_of_a_host_is_ignored_and_must_be_a_number) {
  BOOST_TEST(for_host("app.example.com:80") == kOk);
  BOOST_TEST(for_host("app.example.com:8081") == kOk);
  BOOST_TEST(for_host("app.example.com:abc") == "400 bad-host");
  BOOST_TEST(for_host("app.example.com:") == "400 bad-host");
}

BOOST_AUTO_TEST_CASE(a_host_may_be_in_capitals_and_end_in_one_dot) {
  BOOST_TEST(for_host("APP.Example.COM") == kOk);
  BOOST_TEST(for_host("app.example.com.") == kOk);
  BOOST_TEST(for_host("app.example.com..") == "400 bad-host");
}

BOOST_AUTO_TEST_CASE(no_host_and_two_hosts_are_bad_and_nothing_is_asked) {
  for (const char* host : {"", "app.example.com, other.example.com"}) {
    const Story story = decided(default_policy(), get(host, kPath), good());
    BOOST_TEST(story.answer == "400 bad-host");
    BOOST_TEST(story.asked == "");
  }
}

BOOST_AUTO_TEST_CASE(an_address_as_host_has_no_challenge_and_nothing_is_asked) {
  for (const char* host : {"203.0.113.9", "[::1]:80"}) {
    const Story story = decided(default_policy(), get(host, kPath), good());
    BOOST_TEST(story.answer == "404 not-found");
    BOOST_TEST(story.asked == "");
  }
}

BOOST_AUTO_TEST_CASE(a_host_that_is_not_a_domain_name_is_bad) {
  for (const std::string& host :
       {std::string("-a.example.com"), std::string("a_b.example.com"), std::string("a..b"),
        std::string(64, 'a') + ".com", std::string("e xample"), std::string("d/../x"),
        std::string("d@evil"), std::string("d%00"), std::string("\xc3\xa4.example"),
        std::string(120, 'a') + "." + std::string(130, 'b') + ".com"}) {
    BOOST_TEST(for_host(host) == "400 bad-host", host);
  }
  // A wildcard, and the name of a DNS-01 challenge.
  BOOST_TEST(for_host("*.example.com") == "400 bad-host");
  BOOST_TEST(for_host("_acme-challenge.app.example.com") == "400 bad-host");
}

BOOST_AUTO_TEST_CASE(the_host_header_decides_where_the_request_line_has_a_whole_url) {
  BOOST_TEST(for_uri("http://other.example.com" + kPath) == kOk);
}

BOOST_AUTO_TEST_CASE(a_gateway_and_the_names_under_it_are_not_redirected) {
  for (const std::string& host : {kId + "." + kGateway, "gateway." + kGateway, kGateway}) {
    BOOST_TEST(for_host(host) == "421 gateway-name", host);
  }
  BOOST_TEST(for_host("_." + kGateway) == "400 bad-host");
}

BOOST_AUTO_TEST_CASE(an_apex_has_no_cname_so_its_gateway_is_the_fallback_or_the_one_it_points_to) {
  const Zone apex{{{"TXT _dstack-app-address.example.com", app()},
                   {"A example.com", address("192.0.2.1")},
                   {"A _.gw1.example.org", address("192.0.2.1")}}};
  Policy policy = default_policy();
  BOOST_TEST(answer(get("example.com", kPath), apex, policy) == "502 gateway-missing");
  policy.gateways.fallback = name_of("fallback.example.org");
  BOOST_TEST(answer(get("example.com", kPath), apex, policy) == at_base("fallback.example.org"));
  policy.gateways.match_addresses = true;
  policy.gateways.bases = {name_of("gw1.example.org")};
  BOOST_TEST(answer(get("example.com", kPath), apex, policy) == at_base("gw1.example.org"));
}

BOOST_AUTO_TEST_CASE(an_app_address_is_an_id_and_a_port_and_nothing_else) {
  BOOST_TEST(for_txt({kId + ":443"}) == kOk);
  for (const std::string& text : {kId, kId + ":", std::string(":80"), kId + ":80:90", kId + ":0",
                                  kId + ":65536", kId + ":http", kId + ":-1"}) {
    BOOST_TEST(for_txt({text}) == "502 txt-malformed", text);
  }
  for (const std::string& text :
       {kId + ": 443", " " + kId + ":443", kId + ":443 ", "\"" + kId + ":443\"", kId + ":443\n"}) {
    BOOST_TEST(for_txt({text}) == "502 txt-malformed", text);
  }
}

BOOST_AUTO_TEST_CASE(the_strings_of_a_record_are_joined) {
  Answer two_strings = with_outcome(Outcome::kData);
  two_strings.texts = {{kId + ":443", 2, 41}};
  BOOST_TEST(for_zone({{{kExact, two_strings}, {kCname, to_gateway()}}}) == kOk);
  BOOST_TEST(for_txt({kId + ":443junk"}) == "502 txt-malformed");
}

BOOST_AUTO_TEST_CASE(what_the_gateway_takes_for_an_app_address_is_one) {
  Answer junk_behind = with_outcome(Outcome::kData);
  junk_behind.texts = {{kId + ":443junk", 2, 44}};
  Policy policy = default_policy();
  policy.target = TargetTemplate::parse("https://{app_id}-{port}s.{gateway}").value();
  const std::string with_port = "307 ok https://" + kId + "-443s." + kGateway + kPath;
  for (const Answer& texts : {txt({kId + ":+443"}), txt({kId + ":0443"}), junk_behind}) {
    const Zone zone{{{kExact, texts}, {kCname, to_gateway()}}};
    BOOST_TEST(for_zone(zone) == kOk);
    BOOST_TEST(for_zone(zone, policy) == with_port);
  }
  // Beside another app's it makes two, not none.
  BOOST_TEST(for_txt({kId + ":0443", kOtherId + ":443"}) == "502 txt-ambiguous");
}

BOOST_AUTO_TEST_CASE(two_ports_of_one_app_are_ambiguous_only_where_the_target_has_a_port) {
  const Zone zone{{{kExact, txt({kId + ":8443", kId + ":443"})}, {kCname, to_gateway()}}};
  const Story story = decided(default_policy(), get("app.example.com", kPath), zone);
  BOOST_TEST(story.answer == kOk);
  BOOST_TEST(story.reply.target.app.value().port == "443");
  Policy policy = default_policy();
  policy.target = TargetTemplate::parse("https://{app_id}-{port}s.{gateway}").value();
  BOOST_TEST(for_zone(zone, policy) == "502 txt-ambiguous");
  // No other path's target has one.
  policy.other_paths = OtherPaths::kApp;
  BOOST_TEST(answer(get("app.example.com", "/a"), zone, policy) ==
             "307 ok https://" + kId + "." + kGateway + "/a");
}

// A wildcard TXT record of the zone, such as SPF, is also an answer for the record's name.
BOOST_AUTO_TEST_CASE(records_for_other_purposes_are_passed_over) {
  BOOST_TEST(for_txt({"v=spf1 -all", kId + ":443"}) == kOk);
  BOOST_TEST(for_txt({"v=spf1 ip4:192.0.2.1 -all"}) == "404 txt-missing");
}

BOOST_AUTO_TEST_CASE(records_of_two_apps_are_ambiguous) {
  BOOST_TEST(for_txt({kId + ":443", kOtherId + ":443"}) == "502 txt-ambiguous");
}

BOOST_AUTO_TEST_CASE(an_app_id_cannot_lead_to_another_site_or_end_the_header) {
  for (const char* text :
       {"evil.com/:80", "evil.com/?:80", "evil.com#:80", "user@evil.com:80", "evil.com\\:80"}) {
    BOOST_TEST(for_txt({text}) == "502 txt-malformed", text);
  }
  BOOST_TEST(for_txt({kId + "\r\nSet-Cookie: x:80"}) == "502 txt-malformed");
}

// The gateway reads "{app id}-{port}" and "{app id}-{port}s" in a host.
BOOST_AUTO_TEST_CASE(an_app_id_cannot_name_a_port_of_the_gateway) {
  BOOST_TEST(for_txt({kId + "-8080:80"}) == "502 txt-malformed");
  BOOST_TEST(for_txt({kId + "-443s:443"}) == "502 txt-malformed");
}

BOOST_AUTO_TEST_CASE(an_app_id_cannot_be_a_name_of_the_gateway_whatever_the_pattern_allows) {
  for (const char* text : {"gateway:80", "health:80", "localhost:80"}) {
    BOOST_TEST(for_txt({text}) == "502 txt-malformed", text);
    Policy policy = default_policy();
    policy.app_id = base::Pattern::compile("[a-z0-9]+").value();
    BOOST_TEST(
        for_zone({{{kExact, txt({text})}, {kCname, to_gateway()}}}, policy) == "502 txt-malformed",
        text);
  }
}

// The gateway itself compares ids byte by byte.
BOOST_AUTO_TEST_CASE(an_app_id_in_capitals_is_lowered) {
  BOOST_TEST(for_txt({"00112233445566778899AABBCCDDEEFF00112233:80"}) == kOk);
}

BOOST_AUTO_TEST_CASE(bytes_that_are_not_text_and_the_empty_string_are_malformed) {
  for (const std::string& text : {kId + ":80" + std::string(1, '\0'), "\xff" + kId + ":80",
                                  std::string(), std::string(255, 'a')}) {
    BOOST_TEST(for_txt({text}) == "502 txt-malformed");
  }
}

BOOST_AUTO_TEST_CASE(without_a_record_of_its_own_the_legacy_one_counts_then_the_wildcard_one) {
  BOOST_TEST(for_zone({{{kLegacy, app()}, {kCname, to_gateway()}}}) == kOk);
  BOOST_TEST(for_zone({{{kWildcard, app()}, {kCname, to_gateway()}}}) == kOk);
}

BOOST_AUTO_TEST_CASE(a_wildcard_record_covers_one_label) {
  BOOST_TEST(answer(get("a.b.example.com", kPath),
                    {{{kWildcard, app()}, {"CNAME a.b.example.com", to_gateway()}}}) ==
             "404 txt-missing");
}

BOOST_AUTO_TEST_CASE(a_malformed_record_does_not_fall_back_to_the_wildcard_one) {
  BOOST_TEST(for_zone({{{kExact, txt({"junk"})}, {kWildcard, app()}, {kCname, to_gateway()}}}) ==
             "502 txt-malformed");
}

// It might be another app's.
BOOST_AUTO_TEST_CASE(a_record_that_cannot_be_looked_up_does_not_fall_back_to_the_wildcard_one) {
  for (const Outcome outcome : {Outcome::kFailure, Outcome::kTimeout}) {
    const Story story = decided(
        default_policy(), get("app.example.com", kPath),
        Zone{{{kExact, with_outcome(outcome)}, {kWildcard, app()}, {kCname, to_gateway()}}});
    BOOST_TEST(code(story.reply.response.status) == (outcome == Outcome::kFailure ? 503 : 504));
    BOOST_TEST(story.asked.find("wildcard") == std::string::npos);
  }
}

// A stranger registered "_dstack-app-address-wildcard" there, and spoke for everyone else.
BOOST_AUTO_TEST_CASE(a_wildcard_record_directly_below_a_public_suffix_is_never_asked_for) {
  struct Row {
    const char* domain;
    const char* parent;
    bool asked;
  };
  for (const Row& row : {
           Row{"site.co.uk", "co.uk", false}, Row{"me.github.io", "github.io", false},
           Row{"home.duckdns.org", "duckdns.org", false},
           Row{"x.any.ck", "any.ck", false},  // by the list's *.ck
           Row{"x.www.ck", "www.ck", true},   // its exception
           Row{"app.site.co.uk", "site.co.uk", true}, Row{"app.me.github.io", "me.github.io", true},
           Row{"app.example.com", "example.com", true},
           Row{"app.example.test", "example.test", true},  // the list knows no such domain
       }) {
    const std::string name = std::string("_dstack-app-address-wildcard.") + row.parent;
    const Zone zone{{{"TXT " + name, app()}, {std::string("CNAME ") + row.domain, to_gateway()}}};
    const Story story = decided(default_policy(), get(row.domain, kPath), zone);
    BOOST_TEST(story.answer == (row.asked ? kOk : "404 txt-missing"), row.domain);
    BOOST_TEST((story.asked.find(name) != std::string::npos) == row.asked, row.domain);
    BOOST_TEST((story.reply.response.body.find("-wildcard") == std::string::npos), row.domain);
  }
}

BOOST_AUTO_TEST_CASE(no_wildcard_record_of_a_top_level_domain_is_asked_for) {
  BOOST_TEST(decided(default_policy(), get("example.com", kPath), Zone{}).asked.find("wildcard") ==
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_record_may_be_behind_an_alias_but_not_in_a_circle) {
  Answer delegated = app();
  delegated.aliases = {name_of("app.deleg.example.net")};
  BOOST_TEST(for_zone({{{kExact, delegated}, {kCname, to_gateway()}}}) == kOk);
  BOOST_TEST(for_zone({{{kExact, with_outcome(Outcome::kLoop)}, {kCname, to_gateway()}}}) ==
             "502 cname-loop");
}

BOOST_AUTO_TEST_CASE(a_cname_names_the_gateway_with_or_without_a_label_before_it) {
  BOOST_TEST(for_cname(cname("_." + kGateway + ".")) == kOk);
  BOOST_TEST(for_cname(cname("_.DSTACK-PROD5.Phala.Network")) == kOk);
  BOOST_TEST(for_cname(cname(kGateway)) == kOk);
  BOOST_TEST(for_cname(cname(kId + "." + kGateway)) == kOk);
  BOOST_TEST(for_cname(cname(kId + "-443s." + kGateway)) == kOk);
}

BOOST_AUTO_TEST_CASE(a_gateway_is_one_label_under_an_allowed_parent_or_is_allowed_itself) {
  BOOST_TEST(for_cname(cname("_.a.b." + kGateway)) == "502 gateway-refused");
  BOOST_TEST(for_cname(cname("_.docs.phala.network")) == at_base("docs.phala.network"));
  BOOST_TEST(for_zone({{{kExact, app()}, {kCname, cname("_.docs.phala.network")}}},
                      only(kGateway)) == "502 gateway-refused");
}

BOOST_AUTO_TEST_CASE(a_label_with_a_slash_or_a_dot_in_it_does_not_name_a_gateway) {
  for (const char* label : {"evil.com/x", "evil.com\\x", "evil.com"}) {
    BOOST_TEST(
        for_cname(cname(name_of_labels({"_", label, "phala", "network"}))) == "502 gateway-refused",
        label);
  }
}

BOOST_AUTO_TEST_CASE(a_cname_may_lead_to_the_gateway_by_another_cname) {
  BOOST_TEST(for_zone({{{kExact, app()},
                        {kCname, cname("app.deleg.example.net")},
                        {"CNAME app.deleg.example.net", to_gateway()}}}) == kOk);
}

BOOST_AUTO_TEST_CASE(an_internationalized_gateway_stays_in_its_ascii_form) {
  BOOST_TEST(for_cname(cname("_.xn--gteway-5wa.phala.network")) ==
             at_base("xn--gteway-5wa.phala.network"));
}

BOOST_AUTO_TEST_CASE(two_cnames_at_one_name_are_refused) {
  Answer two = to_gateway();
  two.aliases.push_back(name_of("cdn.example.net"));
  BOOST_TEST(for_cname(two) == "502 gateway-refused");
}

BOOST_AUTO_TEST_CASE(the_fallback_serves_where_no_gateway_is_named_not_where_the_dns_fails) {
  Policy policy = default_policy();
  policy.gateways.fallback = name_of("fallback.example.org");
  const auto with = [&](const Answer& target) {
    return for_zone({{{kExact, app()}, {kCname, target}}}, policy);
  };
  BOOST_TEST(with(with_outcome(Outcome::kNoData)) == at_base("fallback.example.org"));
  BOOST_TEST(with(cname("cdn.example.net")) == at_base("fallback.example.org"));
  BOOST_TEST(with(with_outcome(Outcome::kFailure)) == "503 dns-failure");
  BOOST_TEST(with(with_outcome(Outcome::kTimeout)) == "504 dns-timeout");
}

BOOST_AUTO_TEST_CASE(the_query_of_a_challenge_is_dropped_and_that_of_another_path_is_kept) {
  BOOST_TEST(for_uri(kPath + "?x=1") == kOk);
  BOOST_TEST(for_uri("/a?b=c") == "307 ok https://app.example.com/a?b=c");
}

BOOST_AUTO_TEST_CASE(a_token_may_not_climb_out_of_its_directory) {
  for (const char* token : {"a%2Fb", "..%2f..%2fadmin", "%2e%2e"}) {
    BOOST_TEST(for_uri(kPrefix + token) == "404 bad-token", token);
  }
}

BOOST_AUTO_TEST_CASE(what_is_not_a_token_is_refused_and_nothing_is_asked) {
  for (const std::string& token :
       {std::string("%0d%0aX:1"), std::string("%00"), std::string("a%20b"), std::string("tok.html"),
        std::string("tok/"), std::string(), std::string("tok//x"), std::string(1900, 'a')}) {
    const Story story = decided(default_policy(), get("app.example.com", kPrefix + token), good());
    BOOST_TEST(story.answer == "404 bad-token", token);
    BOOST_TEST(story.asked == "");
  }
  BOOST_TEST(for_uri(kPrefix + std::string(5000, 'a')) == "414 too-long");
}

// As those who debug a setup send them.
BOOST_AUTO_TEST_CASE(short_tokens_are_redirected) {
  for (const char* token : {"x", "test-token", "letsdebug-test"}) {
    BOOST_TEST(for_uri(kPrefix + token) ==
               "307 ok https://" + kId + "." + kGateway + kPrefix + token);
  }
}

BOOST_AUTO_TEST_CASE(a_path_that_only_resembles_a_challenge_is_like_any_other) {
  for (const char* path :
       {"//.well-known/acme-challenge/tok", "/.well-known/../.well-known/acme-challenge/tok",
        "/.WELL-KNOWN/acme-challenge/tok"}) {
    BOOST_TEST(for_uri(path) == "307 ok https://app.example.com" + std::string(path));
  }
}

BOOST_AUTO_TEST_CASE(only_get_and_head_of_a_challenge_are_redirected) {
  RawRequest raw = get("app.example.com", kPath);
  raw.method = "HEAD";
  BOOST_TEST(answer(raw, good()) == kOk);
  for (const char* method : {"POST", "PUT", "OPTIONS"}) {
    raw.method = method;
    const Reply reply = decided(default_policy(), raw, good()).reply;
    BOOST_TEST(summary(reply) == "405 bad-method");
    BOOST_TEST(to_cgi(reply.response, reply.reason, false).find("\r\nAllow: GET, HEAD\r\n") !=
               std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(the_relays_own_pages_are_served_at_its_address_and_nothing_is_asked) {
  for (const char* path : {"/", "/metrics", "/health"}) {
    const Story story = decided(default_policy(), get("203.0.113.9", path), good());
    BOOST_TEST(code(story.reply.response.status) == 200);
    BOOST_TEST(story.asked == "");
  }
}

BOOST_AUTO_TEST_CASE(neither_a_redirect_nor_a_refusal_may_be_kept_in_a_cache) {
  const Reply redirect = decided(default_policy(), get("app.example.com", kPath), good()).reply;
  BOOST_TEST(
      to_cgi(redirect.response, redirect.reason, false).find("\r\nCache-Control: no-store\r\n") !=
      std::string::npos);
  const Reply missing = decided(default_policy(), get("app.example.com", kPath), Zone{}).reply;
  BOOST_TEST(summary(missing) == "404 txt-missing");
  BOOST_TEST(
      to_cgi(missing.response, missing.reason, false).find("\r\nCache-Control: no-store\r\n") !=
      std::string::npos);
}

// The original relay took a pattern that does not compile for none, which allowed all gateways.
BOOST_AUTO_TEST_CASE(a_gateway_pattern_must_compile) { BOOST_TEST(!base::Pattern::compile("([")); }

BOOST_AUTO_TEST_CASE(what_a_gateway_pattern_captures_must_be_all_of_a_gateways_name) {
  const auto with_regex = [](const char* regex, int group, std::string_view target) {
    Policy policy;
    policy.gateways.regex = base::Pattern::compile(regex).value();
    policy.gateways.capture_group = group;
    return for_zone({{{kExact, app()}, {kCname, cname(target)}}}, policy);
  };
  BOOST_TEST(with_regex("^_\\.(.+\\.phala\\.network)$", 1, "_." + kGateway) == kOk);
  // The whole match begins with "_.", which is not part of a gateway's name.
  BOOST_TEST(with_regex("^_\\..+\\.phala\\.network$", 0, "_." + kGateway) == "502 gateway-refused");
  // "prod5" alone is not a domain.
  BOOST_TEST(with_regex("^(.+)\\.phala\\.network$", 1, "prod5.phala.network") ==
             "502 gateway-refused");
  // Without anchors it matches inside a stranger's name.
  BOOST_TEST(with_regex("phala\\.network", 0, "_.phala.network.evil.com") == "502 gateway-refused");
}

BOOST_AUTO_TEST_CASE(a_fallback_that_is_not_a_domain_cannot_be_named) {
  for (const char* text : {"", "x.", "http://x", "x"}) {
    const auto name = Name::from_text(text);
    BOOST_TEST((!name || !name->is_domain()), text);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::protocol
