// How evidence and findings are shown: as text, as JSON.
#include "doctor/report.h"

#include "tests/doctor/hostile.h"

namespace http01::doctor {

using namespace protocol;

BOOST_AUTO_TEST_SUITE(doctor_report)

BOOST_AUTO_TEST_CASE(the_verdict_comes_first) {
  const std::string good = to_text(report_of(Case()), false);
  BOOST_TEST(
      good.starts_with("app.example.com: redirect (ok, 307), nothing found wrong\n  to "
                       "https://" +
                       kAppId +
                       ".dstack-prod5.phala.network/.well-known/"
                       "acme-challenge/{token}\n"));
  Case missing;
  missing.drop("TXT _dstack-app-address.app.example.com");
  const std::string bad = to_text(report_of(missing), false);
  BOOST_TEST(bad.starts_with("app.example.com: no redirect (txt-missing, 404), 1 fault\n"));
  BOOST_TEST(has(bad, "\nfound\n  fault txt-missing\n"));
  BOOST_TEST(has(bad, "    set: _dstack-app-address.app.example.com. 300 IN TXT "));
}

BOOST_AUTO_TEST_CASE(a_step_says_what_of_whom_what_came_and_when) {
  Evidence evidence = Case().evidence();
  evidence.observations[0].server = "192.0.2.53:53";
  evidence.observations[0].took = std::chrono::microseconds(12345);
  evidence.observations[0].answer.ttl_s = 60;
  evidence.observations[0].answer.authenticated = true;
  const std::string text = to_text(make_report(Case().policy, evidence), false);
  BOOST_TEST(has(text, "  TXT _dstack-app-address.app.example.com\n    \"" + kAppId +
                           ":443\"  (TTL 60 s, 192.0.2.53:53, 12.3 ms, DNSSEC)\n"));
  BOOST_TEST(has(text, "(nobody in time)"));
}

BOOST_AUTO_TEST_CASE(colors_are_only_where_they_are_wanted) {
  Case c;
  c.drop("TXT _dstack-app-address.app.example.com");
  BOOST_TEST(!has(to_text(report_of(c), false), "\033"));
  BOOST_TEST(has(to_text(report_of(c), true), "\033[1;31mno redirect\033[0m"));
}

BOOST_AUTO_TEST_CASE(lines_are_no_wider_than_people_read) {
  Case c;
  c.drop("TXT _dstack-app-address.app.example.com").set("A app.example.com", address("10.0.0.1"));
  for (const Finding& finding : report_of(c).findings) BOOST_TEST(finding.text.size() > 0u);
  std::size_t begin = 0;
  const std::string text = to_text(report_of(c), false);
  while (begin < text.size()) {
    const std::size_t end = text.find('\n', begin);
    const std::string line = text.substr(begin, end - begin);
    if (line.find(". 300 IN ") == std::string::npos && line.find("(") == std::string::npos) {
      BOOST_TEST(line.size() <= 100u, line);
    }
    begin = end + 1;
  }
}

BOOST_AUTO_TEST_CASE(nothing_from_outside_reaches_a_terminal_as_it_is) {
  for (const std::string& text :
       {to_text(report_of(hostile()), false), to_json(report_of(hostile()))}) {
    for (const char c : text) {
      BOOST_TEST((c == '\n' || (c >= ' ' && c <= '~')), static_cast<int>(c));
    }
  }
}

BOOST_AUTO_TEST_CASE(json_has_its_members_on_one_line) {
  const std::string json = to_json(report_of(Case()));
  BOOST_TEST(
      json.starts_with("{\"domain\":\"app.example.com\",\"reason\":\"ok\",\"status\":307,"
                       "\"location\":\"https://" +
                       kAppId));
  for (const char* member : {"app_id", "port", "gateway", "explanation", "ca", "relay_addresses",
                             "findings", "steps", "resolvers", "time_ms"}) {
    BOOST_TEST(has(json, "\"" + std::string(member) + "\":"), member);
  }
  BOOST_TEST(!has(json, "\n"));
  BOOST_TEST(!has(json, "\"probe\""));
  BOOST_TEST(has(to_json(report_of(hostile())), "\"probe\":{\"domain\":[{"));
  // A control character stays a character, not an octet of the line.
  BOOST_TEST(has(to_json(report_of(hostile())), "\\u001b[31m\\u000d\\u000a\\\\\\u00ff"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::doctor
