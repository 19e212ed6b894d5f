// Cases collected from the gateway's and the original relay's behaviour, by their numbers. Others
// of the list are about other parts and are tested there:
//    9      which variables of the web server are read       33, 55-60  DNS transport, cache and
//    limits
//   62, 67  environment and configuration                    68         metrics
//   61, 63, 66  what a configuration may say (here: what becomes of it)
//   69-72   deployment: what the app publishes, which gateway serves it, how many replicas there
//   are

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

BOOST_AUTO_TEST_CASE(hosts_1_to_8) {
  BOOST_TEST(for_host("app.example.com") == kOk);       // 1
  BOOST_TEST(for_host("app.example.com:80") == kOk);    // 2
  BOOST_TEST(for_host("app.example.com:8081") == kOk);  // 3
  BOOST_TEST(for_host("app.example.com:abc") == "400 bad-host");
  BOOST_TEST(for_host("app.example.com:") == "400 bad-host");
  BOOST_TEST(for_host("APP.Example.COM") == kOk);   // 4
  BOOST_TEST(for_host("app.example.com.") == kOk);  // 5
  BOOST_TEST(for_host("app.example.com..") == "400 bad-host");
  for (const char* host : {"", "app.example.com, other.example.com"}) {  // 6
    const Story story = decided(default_policy(), get(host, kPath), good());
    BOOST_TEST(story.answer == "400 bad-host");
    BOOST_TEST(story.asked == "");
  }
  for (const char* host : {"203.0.113.9", "[::1]:80"}) {  // 7
    const Story story = decided(default_policy(), get(host, kPath), good());
    BOOST_TEST(story.answer == "404 not-found");
    BOOST_TEST(story.asked == "");
  }
  for (const std::string& host :
       {std::string("-a.example.com"), std::string("a_b.example.com"), std::string("a..b"),
        std::string(64, 'a') + ".com", std::string("e xample"), std::string("d/../x"),
        std::string("d@evil"), std::string("d%00"), std::string("\xc3\xa4.example"),
        std::string(120, 'a') + "." + std::string(130, 'b') + ".com"}) {  // 8
    BOOST_TEST(for_host(host) == "400 bad-host", host);
  }
}

BOOST_AUTO_TEST_CASE(hosts_10_to_13) {
  BOOST_TEST(for_uri("http://other.example.com" + kPath) == kOk);  // 10: the Host decides
  for (const std::string& host : {kId + "." + kGateway, "gateway." + kGateway, kGateway}) {  // 11
    BOOST_TEST(for_host(host) == "421 gateway-name", host);
  }
  BOOST_TEST(for_host("_." + kGateway) == "400 bad-host");
  const Zone apex{{{"TXT _dstack-app-address.example.com", app()},
                   {"A example.com", address("192.0.2.1")},
                   {"A _.gw1.example.org", address("192.0.2.1")}}};
  Policy policy = default_policy();  // 12
  BOOST_TEST(answer(get("example.com", kPath), apex, policy) == "502 gateway-missing");
  policy.gateways.fallback = name_of("fallback.example.org");
  BOOST_TEST(answer(get("example.com", kPath), apex, policy) == at_base("fallback.example.org"));
  policy.gateways.match_addresses = true;
  policy.gateways.bases = {name_of("gw1.example.org")};
  BOOST_TEST(answer(get("example.com", kPath), apex, policy) == at_base("gw1.example.org"));
  BOOST_TEST(for_host("*.example.com") == "400 bad-host");  // 13
  BOOST_TEST(for_host("_acme-challenge.app.example.com") == "400 bad-host");
}

BOOST_AUTO_TEST_CASE(txt_14_to_25) {
  BOOST_TEST(for_txt({kId + ":443"}) == kOk);  // 14
  for (const std::string& text : {kId, kId + ":", std::string(":80"), kId + ":80:90", kId + ":0",
                                  kId + ":65536", kId + ":http", kId + ":-1"}) {  // 15
    BOOST_TEST(for_txt({text}) == "502 txt-malformed", text);
  }
  for (const std::string& text : {kId + ":+443", kId + ": 443", " " + kId + ":443", kId + ":443 ",
                                  "\"" + kId + ":443\"", kId + ":443\n"}) {  // 16
    BOOST_TEST(for_txt({text}) == "502 txt-malformed", text);
  }
  Answer two_strings = with_outcome(Outcome::kData);  // 17
  two_strings.texts = {{kId + ":443", 2, 41}};
  BOOST_TEST(for_zone({{{kExact, two_strings}, {kCname, to_gateway()}}}) == kOk);
  BOOST_TEST(for_txt({kId + ":443junk"}) == "502 txt-malformed");
  BOOST_TEST(for_txt({"v=spf1 -all", kId + ":443"}) == kOk);                      // 18
  BOOST_TEST(for_txt({kId + ":443", kOtherId + ":443"}) == "502 txt-ambiguous");  // 19
  BOOST_TEST(for_txt({"v=spf1 ip4:192.0.2.1 -all"}) == "404 txt-missing");        // 20
  for (const char* text :
       {"evil.com/:80", "evil.com/?:80", "evil.com#:80", "user@evil.com:80", "evil.com\\:80"}) {
    BOOST_TEST(for_txt({text}) == "502 txt-malformed", text);  // 21
  }
  BOOST_TEST(for_txt({kId + "\r\nSet-Cookie: x:80"}) == "502 txt-malformed");  // 22
  BOOST_TEST(for_txt({kId + "-8080:80"}) == "502 txt-malformed");              // 23
  BOOST_TEST(for_txt({kId + "-443s:443"}) == "502 txt-malformed");
  for (const char* text : {"gateway:80", "health:80", "localhost:80"}) {  // 24
    BOOST_TEST(for_txt({text}) == "502 txt-malformed", text);
    Policy policy = default_policy();
    policy.app_id = base::Pattern::compile("[a-z0-9]+").value();
    BOOST_TEST(
        for_zone({{{kExact, txt({text})}, {kCname, to_gateway()}}}, policy) == "502 txt-malformed",
        text);
  }
  BOOST_TEST(for_txt({"00112233445566778899AABBCCDDEEFF00112233:80"}) == kOk);  // 25
}

BOOST_AUTO_TEST_CASE(txt_26_to_34) {
  BOOST_TEST(for_zone({{{kLegacy, app()}, {kCname, to_gateway()}}}) == kOk);    // 26
  BOOST_TEST(for_zone({{{kWildcard, app()}, {kCname, to_gateway()}}}) == kOk);  // 27
  BOOST_TEST(answer(get("a.b.example.com", kPath),
                    {{{kWildcard, app()}, {"CNAME a.b.example.com", to_gateway()}}}) ==
             "404 txt-missing");  // 28
  BOOST_TEST(for_zone({{{kExact, txt({"junk"})}, {kWildcard, app()}, {kCname, to_gateway()}}}) ==
             "502 txt-malformed");                                        // 29
  for (const Outcome outcome : {Outcome::kFailure, Outcome::kTimeout}) {  // 30
    const Story story = decided(
        default_policy(), get("app.example.com", kPath),
        Zone{{{kExact, with_outcome(outcome)}, {kWildcard, app()}, {kCname, to_gateway()}}});
    BOOST_TEST(code(story.reply.response.status) == (outcome == Outcome::kFailure ? 503 : 504));
    BOOST_TEST(story.asked.find("wildcard") == std::string::npos);
  }
  BOOST_TEST(decided(default_policy(), get("example.com", kPath), Zone{}).asked.find("wildcard") ==
             std::string::npos);  // 31
  Answer delegated = app();       // 32
  delegated.aliases = {name_of("app.deleg.example.net")};
  BOOST_TEST(for_zone({{{kExact, delegated}, {kCname, to_gateway()}}}) == kOk);
  BOOST_TEST(for_zone({{{kExact, with_outcome(Outcome::kLoop)}, {kCname, to_gateway()}}}) ==
             "502 cname-loop");
  for (const std::string& text : {kId + ":80" + std::string(1, '\0'), "\xff" + kId + ":80",
                                  std::string(), std::string(255, 'a')}) {  // 34
    BOOST_TEST(for_txt({text}) == "502 txt-malformed");
  }
}

BOOST_AUTO_TEST_CASE(cname_35_to_43) {
  BOOST_TEST(for_cname(cname("_." + kGateway + ".")) == kOk);           // 35
  BOOST_TEST(for_cname(cname("_.DSTACK-PROD5.Phala.Network")) == kOk);  // 36
  BOOST_TEST(for_cname(cname(kGateway)) == kOk);                        // 37
  BOOST_TEST(for_cname(cname(kId + "." + kGateway)) == kOk);
  BOOST_TEST(for_cname(cname(kId + "-443s." + kGateway)) == kOk);
  BOOST_TEST(for_cname(cname("_.a.b." + kGateway)) == "502 gateway-refused");             // 38
  BOOST_TEST(for_cname(cname("_.docs.phala.network")) == at_base("docs.phala.network"));  // 39
  BOOST_TEST(for_zone({{{kExact, app()}, {kCname, cname("_.docs.phala.network")}}},
                      only(kGateway)) == "502 gateway-refused");
  for (const char* label : {"evil.com/x", "evil.com\\x", "evil.com"}) {  // 40
    BOOST_TEST(
        for_cname(cname(name_of_labels({"_", label, "phala", "network"}))) == "502 gateway-refused",
        label);
  }
  BOOST_TEST(for_zone({{{kExact, app()},
                        {kCname, cname("app.deleg.example.net")},
                        {"CNAME app.deleg.example.net", to_gateway()}}}) == kOk);  // 41
  BOOST_TEST(for_cname(cname("_.xn--gteway-5wa.phala.network")) ==
             at_base("xn--gteway-5wa.phala.network"));  // 42
  Answer two = to_gateway();                            // 43
  two.aliases.push_back(name_of("cdn.example.net"));
  BOOST_TEST(for_cname(two) == "502 gateway-refused");
}

BOOST_AUTO_TEST_CASE(fallback_44) {
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

BOOST_AUTO_TEST_CASE(paths_45_to_49) {
  BOOST_TEST(for_uri(kPath + "?x=1") == kOk);                         // 45
  for (const char* token : {"a%2Fb", "..%2f..%2fadmin", "%2e%2e"}) {  // 46
    BOOST_TEST(for_uri(kPrefix + token) == "404 bad-token", token);
  }
  for (const std::string& token :
       {std::string("%0d%0aX:1"), std::string("%00"), std::string("a%20b"), std::string("tok.html"),
        std::string("tok/"), std::string(), std::string("tok//x"), std::string(1900, 'a')}) {  // 47
    const Story story = decided(default_policy(), get("app.example.com", kPrefix + token), good());
    BOOST_TEST(story.answer == "404 bad-token", token);
    BOOST_TEST(story.asked == "");
  }
  BOOST_TEST(for_uri(kPrefix + std::string(5000, 'a')) == "414 too-long");
  for (const char* path :
       {"//.well-known/acme-challenge/tok", "/.well-known/../.well-known/acme-challenge/tok",
        "/.WELL-KNOWN/acme-challenge/tok"}) {  // 48: paths like any other
    BOOST_TEST(for_uri(path) == "307 ok https://app.example.com" + std::string(path));
  }
  RawRequest raw = get("app.example.com", kPath);  // 49
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

BOOST_AUTO_TEST_CASE(paths_50_to_54) {
  for (const char* path : {"/", "/metrics", "/health"}) {  // 50
    const Story story = decided(default_policy(), get("203.0.113.9", path), good());
    BOOST_TEST(code(story.reply.response.status) == 200);
    BOOST_TEST(story.asked == "");
  }
  BOOST_TEST(for_uri("/a?b=c") == "307 ok https://app.example.com/a?b=c");  // 51
  for (const char* token : {"x", "test-token", "letsdebug-test"}) {         // 52
    BOOST_TEST(for_uri(kPrefix + token) ==
               "307 ok https://" + kId + "." + kGateway + kPrefix + token);
  }
  const Reply redirect =
      decided(default_policy(), get("app.example.com", kPath), good()).reply;  // 53
  BOOST_TEST(
      to_cgi(redirect.response, redirect.reason, false).find("\r\nCache-Control: no-store\r\n") !=
      std::string::npos);
  const Reply missing =
      decided(default_policy(), get("app.example.com", kPath), Zone{}).reply;  // 54
  BOOST_TEST(summary(missing) == "404 txt-missing");
  BOOST_TEST(
      to_cgi(missing.response, missing.reason, false).find("\r\nCache-Control: no-store\r\n") !=
      std::string::npos);
}

BOOST_AUTO_TEST_CASE(policies_61_to_66) {
  BOOST_TEST(!base::Pattern::compile("(["));  // 61
  const auto with_regex = [](const char* regex, int group, std::string_view target) {
    Policy policy;
    policy.gateways.regex = base::Pattern::compile(regex).value();
    policy.gateways.capture_group = group;
    return for_zone({{{kExact, app()}, {kCname, cname(target)}}}, policy);
  };
  BOOST_TEST(with_regex("^_\\.(.+\\.phala\\.network)$", 1, "_." + kGateway) == kOk);
  BOOST_TEST(with_regex("^_\\..+\\.phala\\.network$", 0, "_." + kGateway) ==
             "502 gateway-refused");  // 63
  BOOST_TEST(with_regex("^(.+)\\.phala\\.network$", 1, "prod5.phala.network") ==
             "502 gateway-refused");  // 64
  BOOST_TEST(with_regex("phala\\.network", 0, "_.phala.network.evil.com") ==
             "502 gateway-refused");                      // 65
  for (const char* text : {"", "x.", "http://x", "x"}) {  // 66: no domains, so never a fallback
    const auto name = Name::from_text(text);
    BOOST_TEST((!name || !name->is_domain()), text);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::protocol
