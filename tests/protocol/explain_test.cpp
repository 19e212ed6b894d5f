#include "protocol/explain.h"

#include <boost/test/unit_test.hpp>
#include <string>

#include "tests/protocol/zone.h"

namespace http01::protocol {

BOOST_AUTO_TEST_SUITE(explanation)

const std::string kId = "00112233445566778899aabbccddeeff00112233";
const std::string kOtherId = "ffeeddccbbaa99887766554433221100ffeeddcc";
const std::string kPath = "/.well-known/acme-challenge/x";
const std::string kExact = "TXT _dstack-app-address.app.example.com";

const std::string kTxtLine = "_dstack-app-address.app.example.com. 300 IN TXT \"<app id>:<port>\"";
const std::string kCnameLine = "app.example.com. 300 IN CNAME _.gw1.example.org.";

std::string body(const Zone& zone, std::string_view host = "app.example.com") {
  Policy policy;
  policy.gateways.bases = {name_of("gw1.example.org")};
  policy.domains_deny = {name_of("denied.example.com")};
  return decided(policy, get(host, kPath), zone).reply.response.body;
}

std::string body_for_cname(const Answer& target) {
  return body({{{kExact, txt({kId + ":443"})}, {"CNAME app.example.com", target}}});
}

BOOST_AUTO_TEST_CASE(a_reason_about_records_says_what_was_found_and_which_record_to_set) {
  BOOST_TEST(
      body({}) ==
      "txt-missing: There is no app address at TXT _dstack-app-address.app.example.com, nor at "
      "_tapp-address.app.example.com, nor at _dstack-app-address-wildcard.example.com.\n"
      "Set: " +
          kTxtLine + "\n");
  BOOST_TEST(body({{{kExact, txt({"junk"})}}}) ==
             "txt-malformed: TXT _dstack-app-address.app.example.com is \"junk\", which is no app "
             "address.\n"
             "Set: " +
                 kTxtLine + "\n");
  BOOST_TEST(
      body({{{kExact, txt({kId + ":1", kOtherId + ":1"})}}}) ==
      "txt-ambiguous: TXT _dstack-app-address.app.example.com has different app addresses: \"" +
          kId + ":1\", \"" + kOtherId + ":1\".\nLeave one record only: " + kTxtLine + "\n");
  BOOST_TEST(body_for_cname(with_outcome(Outcome::kNoData)) ==
             "gateway-missing: app.example.com has no CNAME record.\nSet: " + kCnameLine + "\n");
  BOOST_TEST(body_for_cname(cname("cdn.example.net")) ==
             "gateway-refused: The CNAME of app.example.com leads to cdn.example.net: no gateway "
             "of this relay.\n"
             "Set: " +
                 kCnameLine + "\n");
}

BOOST_AUTO_TEST_CASE(a_failed_look_up_says_which_and_both_records) {
  for (const Outcome outcome : {Outcome::kFailure, Outcome::kTimeout}) {
    const std::string failed = body({{{kExact, with_outcome(outcome)}}});
    BOOST_TEST(failed.find(kExact) != std::string::npos, failed);
    BOOST_TEST(failed.find(kTxtLine) != std::string::npos, failed);
    BOOST_TEST(failed.find(kCnameLine) != std::string::npos, failed);
  }
}

BOOST_AUTO_TEST_CASE(a_loop_says_which_chain_and_the_record_that_would_end_it) {
  const std::string of_txt = body({{{kExact, with_outcome(Outcome::kLoop)}}});
  BOOST_TEST(of_txt.find("_dstack-app-address.app.example.com comes back") != std::string::npos,
             of_txt);
  BOOST_TEST(of_txt.find(kTxtLine) != std::string::npos, of_txt);
  const std::string of_cname = body_for_cname(cname("app.example.com"));
  BOOST_TEST(of_cname.find("app.example.com comes back") != std::string::npos, of_cname);
  BOOST_TEST(of_cname.find(kCnameLine) != std::string::npos, of_cname);
}

BOOST_AUTO_TEST_CASE(the_gateway_in_the_hint_is_one_of_this_relay) {
  Policy policy;
  const Zone zone{{{kExact, txt({kId + ":443"})}}};
  const auto hint = [&] {
    const std::string text =
        decided(policy, get("app.example.com", kPath), zone).reply.response.body;
    return text.substr(text.find("CNAME _.", text.find("Set: ")));
  };
  BOOST_TEST(hint() == "CNAME _.<gateway>.\n");
  policy.gateways.wildcard_parents = {name_of("phala.network")};
  BOOST_TEST(hint() == "CNAME _.<gateway>.phala.network.\n");
  policy.gateways.bases = {name_of("gw1.example.org")};
  BOOST_TEST(hint() == "CNAME _.gw1.example.org.\n");
}

BOOST_AUTO_TEST_CASE(every_failure_begins_with_its_word_and_says_what_it_means) {
  const Policy policy = default_policy();
  const Request request = read_request(policy, get("app.example.com", kPath));
  for (const Reason reason : base::kAllOf<Reason>) {
    const std::string text = explain(policy, request, reason, "");
    BOOST_TEST(text.starts_with(std::string(info(reason).word) + ": " +
                                std::string(info(reason).means) + ".\n"),
               text);
    BOOST_TEST(text.ends_with("\n"));
  }
  BOOST_TEST(
      explain(policy, request, Reason::kTxtMissing, "Found.").starts_with("txt-missing: Found.\n"));
}

// Aliases of a stranger's own read the private zone that the relay's resolver knew.
BOOST_AUTO_TEST_CASE(what_is_at_a_private_name_is_not_shown_to_whoever_leads_there) {
  for (const char* secret_name : {"intranet.corp", "nas.home.arpa", "a.b.internal"}) {
    for (Answer private_text : {txt({"password=hunter2"}), txt({kId + ":1", kOtherId + ":1"})}) {
      private_text.aliases = {name_of(secret_name)};
      const std::string told = body({{{kExact, private_text}}});
      BOOST_TEST(told.find("not shown") != std::string::npos, told);
      for (const TxtRecord& secret : private_text.texts) {
        BOOST_TEST(told.find(secret.text) == std::string::npos, told);
      }
    }
    const std::string first = std::string("CNAME ") + secret_name;
    const Zone led{{{kExact, txt({kId + ":443"})},
                    {"CNAME app.example.com", cname(secret_name)},
                    {first, cname("secret.dc1.corp")}}};
    for (const Answer& end : {with_outcome(Outcome::kNoData), with_outcome(Outcome::kFailure),
                              cname("secret.dc1.corp"), cname("deeper.secret.corp")}) {
      Zone zone = led;
      zone.answers["CNAME secret.dc1.corp"] = end;
      const std::string told = body(zone);
      BOOST_TEST(told.find("secret") == std::string::npos, told);
    }
  }
}

// An owner was sent to the name servers of a domain that nobody had asked yet.
BOOST_AUTO_TEST_CASE(a_resolver_that_is_not_there_is_no_fault_of_the_domain) {
  const Policy policy = default_policy();
  const Request request = read_request(policy, get("app.example.com", kPath));
  const auto blames_domain = [&](Cause cause) {
    return explain(policy, request, Reason::kDnsTimeout, "", cause).find("name servers answer") !=
           std::string::npos;
  };
  BOOST_TEST(blames_domain(Cause::kNone));
  BOOST_TEST(!blames_domain(Cause::kConnectionRefused));
  BOOST_TEST(!blames_domain(Cause::kUnreachable));
}

BOOST_AUTO_TEST_CASE(a_client_without_an_address_is_not_sent_to_the_log_for_it) {
  const Policy policy = default_policy();
  Request request = read_request(policy, get("192.0.2.1", "/metrics"));
  for (const char* client : {"", "unix:"}) {
    request.client = client;
    BOOST_TEST(explain(policy, request, Reason::kForbidden, "").find("REMOTE_ADDR") !=
               std::string::npos);
  }
  request.client = "192.0.2.9";
  BOOST_TEST(explain(policy, request, Reason::kForbidden, "").find("service.metrics_from") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_request_that_is_refused_by_its_form_has_a_body_without_its_text) {
  for (const char* host : {"", "<script>", "a b", "a\r\nX: y"}) {
    BOOST_TEST(body({}, host) == "bad-host: the Host is missing or is not a name.\n");
  }
  BOOST_TEST(body({}, "denied.example.com").starts_with("domain-refused: "));
  BOOST_TEST(body({}, "gw1.example.org").starts_with("gateway-name: "));
}

BOOST_AUTO_TEST_CASE(hostile_txt_records_come_out_escaped_and_on_one_line) {
  using namespace std::string_literals;
  struct Case {
    std::string text;
    const char* shown;
  };
  for (const Case& c : {
           Case{"evil\r\nSet-Cookie: x:80", "\"evil\\013\\010Set-Cookie: x:80\""},
           Case{"<script>alert(1)</script>:80", "\"\\060script\\062alert(1)\\060/script\\062:80\""},
           Case{"\"quoted\":80", "\"\\034quoted\\034:80\""},
           Case{"back\\slash:80", "\"back\\092slash:80\""},
           Case{"\0\x1b[31m\x7f"s, "\"\\000\\027[31m\\127\""},
           Case{"\xc3\xa4\xff:80", "\"\\195\\164\\255:80\""},
           Case{"", "\"\""},
       }) {
    const std::string text = body({{{kExact, txt({c.text})}}});
    BOOST_TEST(text == "txt-malformed: TXT _dstack-app-address.app.example.com is "s + c.shown +
                           ", which is no app address.\nSet: " + kTxtLine + "\n");
  }
}

BOOST_AUTO_TEST_CASE(many_and_long_records_make_a_short_body) {
  Answer many = txt({std::string(60'000, '\n')});
  for (int i = 0; i < 500; ++i) many.texts.push_back({std::string(255, '\xff'), 1, 255});
  const std::string text = body({{{kExact, many}}});
  BOOST_TEST(text.size() < 2000u);
  BOOST_TEST(text.find("...") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(hostile_cname_targets_come_out_escaped_once_and_on_one_line) {
  const std::string text =
      body_for_cname(cname(name_of_labels({"_", "evil.com/\r\n\"x", "phala", "network"})));
  BOOST_TEST(text ==
             "gateway-refused: The CNAME of app.example.com leads to "
             "_.evil\\046com\\047\\013\\010\\034x.phala.network: "
             "no gateway of this relay.\nSet: " +
                 kCnameLine + "\n");
}

BOOST_AUTO_TEST_CASE(long_chains_make_a_short_body) {
  const std::string label(60, '\xff');
  Zone zone{{{kExact, txt({kId + ":443"})}}};
  Name at = name_of("app.example.com");
  for (char hop = 'a'; hop < 'k'; ++hop) {
    const Name next = name_of_labels({label, label, label, std::string(1, hop)});
    zone.answers[to_text({at, RecordType::kCname})] = cname(next);
    at = next;
  }
  const std::string text = body(zone);
  BOOST_TEST(text.starts_with("gateway-refused: "));
  BOOST_TEST(text.size() < 2000u);
}

BOOST_AUTO_TEST_CASE(the_body_of_a_redirect_is_short_and_shows_no_request_unescaped) {
  const std::string uri = "/\"<script>&'\\" + std::string(1900, 'x');
  const Reply reply =
      decided(default_policy(), get("app.example.com", uri), Zone{{{kExact, txt({kId + ":443"})}}})
          .reply;
  BOOST_TEST(reply.response.location == "https://app.example.com" + uri);
  BOOST_TEST(reply.response.body.find("<script>") == std::string::npos);
  BOOST_TEST(reply.response.body.find('"') == std::string::npos);
  // Up to 2 KiB of a redirect's body are read by Boulder before it goes on.
  BOOST_TEST(reply.response.body.size() < 2048u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::protocol
