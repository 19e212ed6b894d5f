// What is answered where no challenge is asked for: other paths, the service pages, /ready, and the
// breadcrumb that a failed challenge leaves.

#include <boost/test/unit_test.hpp>
#include <string>

#include "protocol/decide.h"
#include "tests/protocol/zone.h"

namespace http01::protocol {

BOOST_AUTO_TEST_SUITE(pages)

const std::string kId = "00112233445566778899aabbccddeeff00112233";
const std::string kOtherId = "ffeeddccbbaa99887766554433221100ffeeddcc";
const std::string kPath = "/.well-known/acme-challenge/x";
const std::string kExact = "TXT _dstack-app-address.app.example.com";
const std::string kNames =
    kExact + " | TXT _tapp-address.app.example.com | TXT _dstack-app-address-wildcard.example.com";

Zone app_zone() {
  return {{{kExact, txt({kId + ":443"})}, {"CNAME app.example.com", cname("_.gw1.phala.network")}}};
}

Policy policy_for(OtherPaths other_paths) {
  Policy policy = default_policy();
  policy.other_paths = other_paths;
  return policy;
}

BOOST_AUTO_TEST_CASE(other_paths_of_an_app_go_to_its_https_site) {
  const Policy policy = policy_for(OtherPaths::kHttps);
  for (const char* path :
       {"/", "/a?b=c", "/health", "/ready", "/metrics", "//evil.example/x", "/\\evil.example",
        "/%2e%2e/?", "/.well-known/acme-challenge", "//.well-known/acme-challenge/x"}) {
    const Story story = decided(policy, get("APP.example.com.:8081", path), app_zone());
    BOOST_TEST(story.answer == "307 ok https://app.example.com" + std::string(path));
    BOOST_TEST(story.asked == kExact);  // no gateway is needed for that
  }
}

BOOST_AUTO_TEST_CASE(other_paths_can_go_to_the_app_at_its_gateway) {
  const Policy policy = policy_for(OtherPaths::kApp);
  const Story story = decided(policy, get("app.example.com", "/a?b=c"), app_zone());
  BOOST_TEST(story.answer == "307 ok https://" + kId + ".gw1.phala.network/a?b=c");
  BOOST_TEST(story.asked == kExact + ", CNAME app.example.com");
  Zone no_gateway = app_zone();
  no_gateway.answers.erase("CNAME app.example.com");
  BOOST_TEST(decided(policy, get("app.example.com", "/a"), no_gateway).answer ==
             "502 gateway-missing");
}

BOOST_AUTO_TEST_CASE(other_paths_can_be_not_found) {
  for (const char* path : {"/a?b=c", "/", "/health", "/metrics"}) {
    BOOST_TEST(
        decided(policy_for(OtherPaths::kNone), get("app.example.com", path), app_zone()).answer ==
            "404 not-found",
        path);
  }
}

BOOST_AUTO_TEST_CASE(other_paths_are_redirected_alike_for_every_method) {
  for (const char* method : {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "X"}) {
    for (const int status : {301, 302, 307, 308}) {
      Policy policy = policy_for(OtherPaths::kHttps);
      policy.redirect_status = http_status(status).value();
      RawRequest raw = get("app.example.com", "/a");
      raw.method = method;
      BOOST_TEST(decided(policy, raw, app_zone()).answer ==
                 std::to_string(status) + " ok https://app.example.com/a");
    }
  }
}

BOOST_AUTO_TEST_CASE(over_tls_a_path_is_never_sent_to_itself) {
  RawRequest raw = get("app.example.com", "/a");
  raw.https = true;
  BOOST_TEST(decided(policy_for(OtherPaths::kHttps), raw, app_zone()).answer == "404 not-found");
  BOOST_TEST(decided(policy_for(OtherPaths::kApp), raw, app_zone()).answer ==
             "307 ok https://" + kId + ".gw1.phala.network/a");
  raw.host = "x.gw1.phala.network";
  BOOST_TEST(decided(policy_for(OtherPaths::kHttps), raw, Zone{}).answer == "404 not-found");
}

BOOST_AUTO_TEST_CASE(other_paths_of_a_gateway_name_cost_no_look_up) {
  for (const char* host :
       {"gw1.phala.network", "x.gw1.phala.network", "gateway.gw1.phala.network"}) {
    const auto answer = [&](OtherPaths other_paths, const char* path) {
      const Story story = decided(policy_for(other_paths), get(host, path), Zone{});
      BOOST_TEST(story.asked == "");
      return story.answer;
    };
    BOOST_TEST(answer(OtherPaths::kHttps, "/a?b") ==
               "307 ok https://" + std::string(host) + "/a?b");
    BOOST_TEST(answer(OtherPaths::kHttps, "/health") ==
               "307 ok https://" + std::string(host) + "/health");
    for (const OtherPaths as_relay : {OtherPaths::kApp, OtherPaths::kNone}) {
      BOOST_TEST(answer(as_relay, "/a?b") == "404 not-found");
      BOOST_TEST(answer(as_relay, "/health") == "200 ok [health]");
      BOOST_TEST(answer(as_relay, "/") == "200 ok [index]");
    }
  }
}

BOOST_AUTO_TEST_CASE(other_paths_tell_what_is_wrong_with_the_records) {
  struct Case {
    Answer exact;
    const char* answer;
  };
  for (const Case& c : {Case{txt({"junk"}), "502 txt-malformed"},
                        Case{txt({kId + ":1", kOtherId + ":1"}), "502 txt-ambiguous"},
                        Case{with_outcome(Outcome::kFailure), "503 dns-failure"},
                        Case{with_outcome(Outcome::kTimeout), "504 dns-timeout"},
                        Case{with_outcome(Outcome::kNoData), "404 txt-missing"}}) {
    for (const OtherPaths other_paths : {OtherPaths::kHttps, OtherPaths::kApp, OtherPaths::kNone}) {
      BOOST_TEST(
          decided(policy_for(other_paths), get("app.example.com", "/a"), Zone{{{kExact, c.exact}}})
              .answer == c.answer);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_relay_itself_shows_its_pages_without_a_look_up) {
  Policy policy = default_policy();
  policy.relay_hosts = {"relay.example.net"};
  for (const char* host :
       {"203.0.113.9", "[2001:db8::9]:8081", "localhost:8081", "relay", "relay.example.net"}) {
    const auto answer = [&](const char* path) {
      const Story story = decided(policy, get(host, path), Zone{});
      BOOST_TEST(story.asked == "");
      return story.answer;
    };
    BOOST_TEST(answer("/") == "200 ok [index]");
    BOOST_TEST(answer("/health") == "200 ok [health]");
    BOOST_TEST(answer("/health?x") == "200 ok [health]");
    const bool listed = host == std::string("relay.example.net");
    BOOST_TEST(answer("/metrics") == (listed ? "404 not-found" : "200 ok [metrics]"), host);
    BOOST_TEST(answer("/favicon.ico") == "404 not-found");
    BOOST_TEST(answer("/health/") == "404 not-found");
  }
}

BOOST_AUTO_TEST_CASE(a_domain_without_a_record_shows_the_pages_too) {
  for (const char* page : {"index", "health"}) {
    const std::string path = page == std::string("index") ? "/" : "/" + std::string(page);
    for (const OtherPaths other_paths : {OtherPaths::kHttps, OtherPaths::kNone}) {
      const Story story = decided(policy_for(other_paths), get("app.example.com", path), Zone{});
      BOOST_TEST(story.answer == "200 ok [" + std::string(page) + "]");
      BOOST_TEST(story.asked == kNames);
    }
    BOOST_TEST(
        decided(default_policy(), get("app.example.com", path), Zone{{{kExact, txt({"junk"})}}})
            .answer == "502 txt-malformed");
  }
}

BOOST_AUTO_TEST_CASE(the_check_page_is_the_relays_own_and_only_where_it_is_wanted) {
  Policy policy = default_policy();
  BOOST_TEST(decided(policy, get("localhost", "/check?domain=a.example"), Zone{}).answer ==
             "404 not-found");
  policy.public_check = true;
  const Story story = decided(policy, get("localhost", "/check?domain=a.example"), Zone{});
  BOOST_TEST(story.answer == "200 ok [check]");
  BOOST_TEST(story.asked == "");
  for (const char* path : {"/check/", "/check/a.example", "//check", "/Check", "/%63heck"}) {
    BOOST_TEST(decided(policy, get("localhost", path), Zone{}).answer == "404 not-found", path);
  }
  // On a domain without records, as all pages, and on no other's.
  BOOST_TEST(decided(policy, get("app.example.com", "/check"), Zone{}).answer == "200 ok [check]");
  BOOST_TEST(
      decided(policy, get("app.example.com", "/check"), Zone{{{kExact, txt({kId + ":443"})}}})
          .answer == "307 ok https://app.example.com/check");
  RawRequest tls = get("app.example.com", "/check");
  tls.https = true;
  BOOST_TEST(decided(policy, tls, Zone{{{kExact, txt({kId + ":443"})}}}).answer == "404 not-found");
  RawRequest post = get("localhost", "/check?domain=a.example");
  post.method = "POST";
  BOOST_TEST(decided(policy, post, Zone{}).answer == "405 bad-method");
}

// An owner has no other name of the relay than the one in the CNAME record.
BOOST_AUTO_TEST_CASE(check_is_on_the_names_that_owners_set_as_the_gateway) {
  Policy policy = default_policy();
  policy.public_check = true;
  policy.gateways.bases = {name_of("gw.example.net")};
  policy.gateways.fallback = name_of("gw.example.org");
  policy.gateways.aliases = {{name_of("relay.example.net"), name_of("gw.example.net")}};
  struct Case {
    const char* host;
    bool shown;
  };
  const auto check = [&](const Case& c) {
    const Story story = decided(policy, get(c.host, "/check?domain=a.example"), Zone{});
    BOOST_TEST(story.asked == "");
    BOOST_TEST(story.answer ==
                   (c.shown ? "200 ok [check]"
                            : "307 ok https://" + std::string(c.host) + "/check?domain=a.example"),
               c.host);
  };
  for (const Case& c : {
           Case{"relay.example.net", true},
           {"x.relay.example.net", false},
           {"gateway.relay.example.net", false},
           {"gw.example.net", true},
           {"gateway.gw.example.net", true},
           {"gateway.gateway.gw.example.net", false},
           {"app.gw.example.net", false},
           {"gw.example.org", true},
           {"gateway.gw.example.org", true},
           {"app.gw.example.org", false},
           {"gw1.phala.network", true},
           {"gateway.gw1.phala.network", true},
           {"x.gw1.phala.network", false},
       }) {
    check(c);
  }
  policy.gateways = {};
  policy.gateways.regex = base::Pattern::compile("_\\.(.+\\.phala\\.network)").value();
  for (const Case& c : {Case{"gw2.phala.network", true}, {"gateway.gw2.phala.network", true}})
    check(c);
  policy.public_check = false;
  check({"gw2.phala.network", false});
  // What is under a gateway is the relay itself where other paths lead nowhere.
  policy.other_paths = OtherPaths::kNone;
  policy.gateways.bases = {name_of("gw.example.net")};
  BOOST_TEST(decided(policy, get("app.gw.example.net", "/check"), Zone{}).answer ==
             "404 not-found");
  policy.public_check = true;
  BOOST_TEST(decided(policy, get("app.gw.example.net", "/check"), Zone{}).answer ==
             "200 ok [check]");
}

BOOST_AUTO_TEST_CASE(ready_without_canary_asks_the_resolver_for_a_name_that_it_cannot_know) {
  const auto story = [](const Answer& answer) {
    return decided(default_policy(), get("localhost", "/ready"),
                   Zone{{{"TXT phala.network", answer}}});
  };
  BOOST_TEST(story(with_outcome(Outcome::kData)).answer == "200 ok [ready]");
  BOOST_TEST(story(with_outcome(Outcome::kNxDomain)).answer == "200 ok [ready]");
  BOOST_TEST(story(with_outcome(Outcome::kNoData)).answer == "200 ok [ready]");
  BOOST_TEST(story(with_outcome(Outcome::kData)).asked == "TXT phala.network");
  BOOST_TEST(story(with_outcome(Outcome::kFailure)).answer == "503 dns-failure [ready]");
  BOOST_TEST(story(with_outcome(Outcome::kTimeout)).answer == "503 dns-timeout [ready]");
  BOOST_TEST(story(with_outcome(Outcome::kOverloaded)).answer == "503 overloaded [ready]");
  for (const Outcome outcome : {Outcome::kFailure, Outcome::kTimeout, Outcome::kOverloaded}) {
    const Story told = story(with_outcome(outcome));
    const std::string& body = told.reply.response.body;
    BOOST_TEST(body.starts_with(std::string(info(told.reply.reason).word) + ": "), body);
    BOOST_TEST(body.find("app-address") == std::string::npos, body);
    BOOST_TEST((body.find("dns.servers") != std::string::npos) == (outcome != Outcome::kOverloaded),
               body);
  }
}

BOOST_AUTO_TEST_CASE(ready_without_canary_reports_why_the_resolver_is_of_no_use) {
  const auto body = [](Outcome outcome, Cause cause) {
    Answer answer = with_outcome(outcome);
    answer.cause = cause;
    const std::string told =
        decided(default_policy(), get("localhost", "/ready"), Zone{{{"TXT phala.network", answer}}})
            .reply.response.body;
    return told.substr(0, told.find('\n'));
  };
  BOOST_TEST(body(Outcome::kTimeout, Cause::kConnectionRefused) ==
             "dns-timeout: The resolver could not be reached (connection refused). "
             "The question was TXT phala.network.");
  BOOST_TEST(body(Outcome::kTimeout, Cause::kNone) ==
             "dns-timeout: The resolver did not answer. The question was TXT phala.network.");
  BOOST_TEST(body(Outcome::kFailure, Cause::kTooManyBytes) ==
             "dns-failure: The resolver answered with a failure (more than 8192 bytes). "
             "The question was TXT phala.network.");
}

BOOST_AUTO_TEST_CASE(what_ready_asks_for_is_under_the_first_name_that_the_gateways_have) {
  Policy policy;
  const auto asked = [&](const char* label) {
    Request request = read_request(policy, get("localhost", "/ready"));
    request.unknown_label = label;
    const auto ask = std::get<Ask>(decide(policy, request, {}));
    BOOST_TEST(ask.questions.size() == 1u);
    return to_text(ask.questions.front());
  };
  GatewayPolicy& gateways = policy.gateways;
  gateways.regex = base::Pattern::compile("_\\.(.+)").value();
  BOOST_TEST(asked("abc") == "TXT abc.phala.network");
  gateways.aliases = {{name_of("a.example.net"), name_of("gw.example.net")}};
  BOOST_TEST(asked("abc") == "TXT abc.gw.example.net");
  gateways.fallback = name_of("gw.example.com");
  BOOST_TEST(asked("abc") == "TXT abc.gw.example.com");
  gateways.wildcard_parents = {name_of("example.org"), name_of("example.com")};
  BOOST_TEST(asked("abc") == "TXT abc.example.org");
  gateways.bases = {name_of("gw.example.org"), name_of("gw.example.com")};
  BOOST_TEST(asked("abc") == "TXT abc.gw.example.org");
  // Where no name is left for the label.
  const std::string label(63, 'x');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'y');
  gateways.bases = {name_of(longest)};
  BOOST_TEST(asked("abc") == "TXT " + longest);
}

BOOST_AUTO_TEST_CASE(what_ready_asks_is_to_be_answered_now_and_what_its_host_needs_is_not) {
  Policy policy = default_policy();
  const auto asks_fresh = [&](const char* host, const char* path, const Answers& known) {
    return std::get<Ask>(decide(policy, read_request(policy, get(host, path)), known)).fresh;
  };
  BOOST_TEST(asks_fresh("localhost", "/ready", {}));
  BOOST_TEST(!asks_fresh("app.example.com", "/ready", {}));
  policy.canary = name_of("app.example.com");
  BOOST_TEST(asks_fresh("localhost", "/ready", {}));
  BOOST_TEST(!asks_fresh("app.example.com", "/.well-known/acme-challenge/x", {}));
}

BOOST_AUTO_TEST_CASE(ready_with_canary_takes_it_through_the_whole_pipeline) {
  Policy policy = default_policy();
  policy.canary = name_of("app.example.com");
  const auto story = [&](const Zone& zone) {
    return decided(policy, get("localhost", "/ready"), zone);
  };
  BOOST_TEST(story(app_zone()).answer == "200 ok [ready]");
  BOOST_TEST(story(app_zone()).asked == kExact + ", CNAME app.example.com");
  BOOST_TEST(story({}).answer == "503 txt-missing [ready]");
  BOOST_TEST(story({}).reply.response.body.starts_with("txt-missing: "));
  BOOST_TEST(story({{{kExact, txt({kId + ":443"})}}}).answer == "503 gateway-missing [ready]");
  BOOST_TEST(story({{{kExact, with_outcome(Outcome::kTimeout)}}}).answer ==
             "503 dns-timeout [ready]");

  policy.breadcrumb = true;
  BOOST_TEST(story({}).answer == "503 txt-missing [ready]");
  policy.other_paths = OtherPaths::kNone;
  BOOST_TEST(story(app_zone()).answer == "200 ok [ready]");
  policy.canary = name_of("x.gw1.phala.network");
  BOOST_TEST(story({}).answer == "503 gateway-name [ready]");
}

BOOST_AUTO_TEST_CASE(the_request_of_a_canary_is_a_challenge) {
  const Request request = challenge_request(default_policy(), "APP.example.com.");
  BOOST_TEST(!request.fault);
  BOOST_TEST((request.kind == PathKind::kChallenge));
  BOOST_TEST(is_token(request.token()));
  BOOST_TEST(request.host.text == "app.example.com");
  BOOST_TEST((challenge_request(default_policy(), "a b").fault == Reason::kBadHost));
}

Policy with_breadcrumb() {
  Policy policy = default_policy();
  policy.breadcrumb = true;
  return policy;
}

BOOST_AUTO_TEST_CASE(a_breadcrumb_leads_to_the_same_url_with_the_reason) {
  struct Case {
    const char* host;
    std::string uri;
    std::string location;
  };
  for (const Case& c : {
           Case{"app.example.com", kPath, "http://app.example.com" + kPath + "?relay=txt-missing"},
           Case{"APP.example.com.:8081", kPath,
                "http://app.example.com:8081" + kPath + "?relay=txt-missing"},
           Case{"app.example.com", kPath + "?a=b",
                "http://app.example.com" + kPath + "?a=b&relay=txt-missing"},
           Case{"app.example.com", kPath + "#x",
                "http://app.example.com" + kPath + "?relay=txt-missing"},
           Case{"app.example.com", "http://other.example" + kPath,
                "http://app.example.com" + kPath + "?relay=txt-missing"},
       }) {
    BOOST_TEST(decided(with_breadcrumb(), get(c.host, c.uri), Zone{}).answer ==
               "302 txt-missing " + c.location);
  }
  RawRequest tls = get("app.example.com", kPath);
  tls.https = true;
  BOOST_TEST(decided(with_breadcrumb(), tls, Zone{}).answer ==
             "302 txt-missing https://app.example.com" + kPath + "?relay=txt-missing");
}

BOOST_AUTO_TEST_CASE(who_comes_by_a_breadcrumb_gets_the_real_answer) {
  for (const char* query :
       {"?relay=txt-missing", "?relay=", "?relay=ok", "?a=b&relay=txt-missing"}) {
    BOOST_TEST(decided(with_breadcrumb(), get("app.example.com", kPath + query), Zone{}).answer ==
                   "404 txt-missing",
               query);
    BOOST_TEST(
        decided(with_breadcrumb(), get("app.example.com", kPath + query), app_zone()).answer ==
            "307 ok https://" + kId + ".gw1.phala.network" + kPath,
        query);
  }
}

BOOST_AUTO_TEST_CASE(every_reason_of_policy_or_dns_leaves_a_breadcrumb_and_no_other) {
  const auto answer = [](std::string_view host, const std::string& uri, const Zone& zone) {
    Policy policy = with_breadcrumb();
    policy.domains_deny = {name_of("denied.example.com")};
    return decided(policy, get(host, uri), zone).answer;
  };
  const auto exact = [&](const Answer& record) {
    return answer("app.example.com", kPath, Zone{{{kExact, record}}});
  };
  const std::string own = " http://app.example.com" + kPath + "?relay=";
  BOOST_TEST(exact(txt({"junk"})) == "302 txt-malformed" + own + "txt-malformed");
  BOOST_TEST(exact(txt({kId + ":1", kOtherId + ":1"})) ==
             "302 txt-ambiguous" + own + "txt-ambiguous");
  BOOST_TEST(exact(with_outcome(Outcome::kFailure)) == "302 dns-failure" + own + "dns-failure");
  BOOST_TEST(exact(with_outcome(Outcome::kTimeout)) == "302 dns-timeout" + own + "dns-timeout");
  BOOST_TEST(exact(txt({kId + ":1"})) == "302 gateway-missing" + own + "gateway-missing");
  BOOST_TEST(answer("denied.example.com", kPath, {}).starts_with("302 domain-refused "));
  BOOST_TEST(answer("gw1.phala.network", kPath, {}).starts_with("302 gateway-name "));

  BOOST_TEST(answer("app.example.com", kPath + "/", {}) == "404 bad-token");
  BOOST_TEST(answer("192.0.2.1", kPath, {}) == "404 not-found");
  BOOST_TEST(answer("", kPath, {}) == "400 bad-host");
  BOOST_TEST(answer("app.example.com", kPath + "\n", {}) == "400 bad-path");
  BOOST_TEST(answer("app.example.com", "/x", {}) == "404 txt-missing");
  BOOST_TEST(exact(with_outcome(Outcome::kOverloaded)) == "503 overloaded");
}

BOOST_AUTO_TEST_CASE(a_breadcrumb_that_would_be_too_long_is_not_left) {
  const std::string word = "&relay=txt-missing";
  const std::string fits = kPath + "?" + std::string(2000 - kPath.size() - 1 - word.size(), 'x');
  const auto answer = [](const std::string& uri) {
    return decided(with_breadcrumb(), get("app.example.com", uri), Zone{}).answer;
  };
  BOOST_TEST(answer(fits) == "302 txt-missing http://app.example.com" + fits + word);
  BOOST_TEST(answer(fits + "x") == "404 txt-missing");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::protocol
