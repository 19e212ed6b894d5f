// What the probe's results mean. The probe itself is tested with real servers.
#include "tests/doctor/evidence.h"

namespace http01::doctor {

BOOST_AUTO_TEST_SUITE(doctor_probe)

const std::string kPath = "/.well-known/acme-challenge/TOKEN";
const std::string kTarget = "https://" + kAppId + ".dstack-prod5.phala.network" + kPath;

ProbeResult at(const std::string& address) {
  ProbeResult result;
  result.url = "http://app.example.com" + kPath;
  result.address = *base::IpAddress::parse(address);
  return result;
}
ProbeResult answer(int status, const std::string& location = "", const std::string& reason = "") {
  ProbeResult result = at(kRelayAddress);
  result.status = status;
  result.location = location;
  result.reason = reason;
  return result;
}
ProbeResult failure(const std::string& error, bool tls = false) {
  ProbeResult result = at(kRelayAddress);
  result.error = error;
  result.tls_failed = tls;
  return result;
}

Case probed(std::vector<ProbeResult> domain, std::vector<ProbeResult> gateway = {}) {
  Case c;
  c.extra.probe = {true, kPath, std::move(domain), std::move(gateway)};
  return c;
}

BOOST_AUTO_TEST_CASE(the_way_that_is_in_order) {
  BOOST_TEST(probed({answer(307, kTarget, "ok")}, {answer(404)}).found() == "");
  // A token that the app does not know may be told so with a short text.
  ProbeResult text = answer(200);
  text.body_octets = 128;
  BOOST_TEST(probed({answer(302, kTarget, "ok")}, {text}).found() == "");
}

BOOST_AUTO_TEST_CASE(port_80) {
  BOOST_TEST(probed({failure("Connection refused")}).found() == "fault probe-unreachable");
  BOOST_TEST(probed({answer(404)}).found() == "fault probe-other-server");
  BOOST_TEST(probed({answer(200)}).found() == "fault probe-other-server");
  // Another relay, or another configuration.
  BOOST_TEST(probed({answer(404, "", "txt-missing")}).found() == "fault probe-redirect");
  BOOST_TEST(probed({answer(307, "https://other.example.com" + kPath, "ok")}).found() ==
             "fault probe-redirect");
  // Each address by itself.
  BOOST_TEST(probed({answer(307, kTarget, "ok"), failure("timeout")}).found() ==
             "fault probe-unreachable");
}

BOOST_AUTO_TEST_CASE(redirects_that_are_not_the_relays) {
  const auto text = [](int status, const std::string& location) {
    const Case c = probed({answer(status, location)});
    const Finding finding = c.only(FindingId::kProbeRedirect);
    return std::string(to_string(finding.severity)) + ": " + finding.text;
  };
  BOOST_TEST(has(text(301, "https://app.example.com" + kPath), "warning: "));
  BOOST_TEST(has(text(301, "https://www.example.net/"), "fault: "));
  BOOST_TEST(has(text(303, "https://app.example.com" + kPath), "status that CAs do not follow"));
  BOOST_TEST(has(text(301, "https://app.example.com:8443" + kPath), "other than 80 and 443"));
  BOOST_TEST(has(text(301, "ftp://app.example.com" + kPath), "another scheme"));
  BOOST_TEST(has(text(301, "https://app.internal" + kPath), "no public suffix"));
  BOOST_TEST(has(text(301, "https://10.0.0.1" + kPath), "no CA connects to"));
  BOOST_TEST(has(text(301, "https://app.example.com.well-known/x"), "without the slash"));
  BOOST_TEST(has(text(301, "/x\n"), "no absolute URL"));
  BOOST_TEST(!has(text(301, "https://e.example/\x1b[2J"), "\x1b"));
}

BOOST_AUTO_TEST_CASE(a_redirect_of_ours_that_a_ca_does_not_follow) {
  Case c = probed({answer(303, kTarget, "ok")});
  BOOST_TEST(c.found() == "fault probe-redirect");
}

BOOST_AUTO_TEST_CASE(the_gateway) {
  const auto found = [](ProbeResult result) {
    return probed({answer(307, kTarget, "ok")}, {std::move(result)}).found();
  };
  BOOST_TEST(found(failure("Connection refused")) == "fault probe-gateway-unreachable");
  BOOST_TEST(found(failure("SSL connect error", true)) == "fault probe-gateway-unreachable");
  BOOST_TEST(found(answer(502)) == "fault probe-gateway-answer");
  BOOST_TEST(found(answer(403)) == "fault probe-gateway-answer");
  BOOST_TEST(found(answer(301, "https://app.example.com/")) == "warning probe-gateway-answer");
  ProbeResult page = answer(200);
  page.body_octets = 129;
  BOOST_TEST(found(page) == "warning probe-gateway-answer");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::doctor
