#include "protocol/response.h"

#include <boost/test/unit_test.hpp>
#include <string>

namespace http01::protocol {

BOOST_AUTO_TEST_SUITE(response)

Response response_of(int status, std::string body) {
  Response response;
  response.status = http_status(status).value();
  response.body = std::move(body);
  return response;
}

BOOST_AUTO_TEST_CASE(a_redirect_is_these_lines_and_no_others) {
  Response response = response_of(307, "ok\n");
  response.location = "https://a.gw.example.org/.well-known/acme-challenge/x";
  const std::string head =
      "Status: 307 Temporary Redirect\r\n"
      "Location: https://a.gw.example.org/.well-known/acme-challenge/x\r\n"
      "Content-Type: text/plain; charset=utf-8\r\n"
      "Content-Length: 3\r\n"
      "Cache-Control: no-store\r\n"
      "X-Content-Type-Options: nosniff\r\n"
      "X-Relay-Reason: ok\r\n"
      "\r\n";
  BOOST_TEST(to_cgi(response, Reason::kOk, false) == head + "ok\n");
  BOOST_TEST(to_cgi(response, Reason::kOk, true) == head);
}

BOOST_AUTO_TEST_CASE(every_reason_is_sent_with_its_own_lines) {
  for (const Reason reason : base::kAllOf<Reason>) {
    const int status = code(info(reason).status);
    const std::string cgi = to_cgi(response_of(status, "why\n"), reason, false);
    BOOST_TEST(cgi.starts_with("Status: " + std::to_string(status) + " "), cgi);
    BOOST_TEST(cgi.find("Internal Server Error") == std::string::npos, cgi);
    BOOST_TEST(
        (cgi.find("\r\nRetry-After: ") != std::string::npos) == (status == 503 || status == 504),
        cgi);
    BOOST_TEST((cgi.find("\r\nAllow: GET, HEAD\r\n") != std::string::npos) == (status == 405), cgi);
    BOOST_TEST(cgi.find("\r\nX-Relay-Reason: " + std::string(info(reason).word) + "\r\n") !=
                   std::string::npos,
               cgi);
    BOOST_TEST(cgi.find("\r\nCache-Control: no-store\r\n") != std::string::npos, cgi);
    BOOST_TEST(cgi.find("\r\nX-Content-Type-Options: nosniff\r\n") != std::string::npos, cgi);
    BOOST_TEST(cgi.find("\r\nContent-Type: text/plain; charset=utf-8\r\n") != std::string::npos,
               cgi);
    BOOST_TEST(cgi.find("\r\nContent-Length: 4\r\n") != std::string::npos, cgi);
    BOOST_TEST(cgi.find("Location") == std::string::npos, cgi);
    BOOST_TEST(cgi.ends_with("\r\n\r\nwhy\n"), cgi);
  }
}

BOOST_AUTO_TEST_CASE(retry_after_says_seconds) {
  const std::string cgi = to_cgi(response_of(503, ""), Reason::kOverloaded, false);
  BOOST_TEST(cgi.find("\r\nRetry-After: 5\r\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_redirect_for_a_passing_cause_is_not_to_be_waited_for) {
  Response response = response_of(302, "");
  response.location = "http://app.example.com/x?relay=dns-failure";
  BOOST_TEST(to_cgi(response, Reason::kDnsFailure, false).find("Retry-After") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(every_status_of_a_redirect_has_its_phrase) {
  const auto first_line = [](int status) {
    const std::string cgi = to_cgi(response_of(status, ""), Reason::kOk, false);
    return cgi.substr(0, cgi.find("\r\n"));
  };
  BOOST_TEST(first_line(200) == "Status: 200 OK");
  BOOST_TEST(first_line(301) == "Status: 301 Moved Permanently");
  BOOST_TEST(first_line(302) == "Status: 302 Found");
  BOOST_TEST(first_line(307) == "Status: 307 Temporary Redirect");
  BOOST_TEST(first_line(308) == "Status: 308 Permanent Redirect");
}

BOOST_AUTO_TEST_CASE(a_page_says_what_it_is) {
  Response response = response_of(200, "x 1\n");
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  const std::string cgi = to_cgi(response, Reason::kOk, true);
  BOOST_TEST(cgi.find("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n") !=
             std::string::npos);
  BOOST_TEST(cgi.find("\r\nContent-Length: 4\r\n") != std::string::npos);
  BOOST_TEST(cgi.ends_with("\r\n\r\n"));
}

BOOST_AUTO_TEST_CASE(a_fault_of_the_relay_s_own_has_no_reason) {
  Response response;
  response.status = HttpStatus::kInternalServerError;
  const std::string cgi = to_cgi(response, std::nullopt, false);
  BOOST_TEST(cgi.starts_with("Status: 500 "));
  BOOST_TEST(cgi.find("X-Relay-Reason") == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::protocol
