#include "doctor/ca_rules.h"

#include <boost/test/unit_test.hpp>

#include "tests/protocol/random_world.h"

namespace http01 {

using doctor::refusal_by_ca;

BOOST_AUTO_TEST_SUITE(ca_rules)

// The redirects on which Boulder tests itself, and what it makes of them.
BOOST_AUTO_TEST_CASE(the_check_agrees_with_boulder) {
  struct Vector {
    std::string location;
    const char* refusal;
  };
  for (const Vector& v : {
           Vector{"gopher://letsencrypt.org", "scheme"},
           Vector{"https://weird.port.letsencrypt.org:9999", "port"},
           Vector{"https:///who/needs/a/hostname?not=me", "empty host"},
           Vector{"https://my.webserver.is.misconfigured.well-known/acme-challenge/xxx",
                  "missing slash"},
           Vector{"https://my.tld.is.cpu/pretty/cool/right?yeah=Ithoughtsotoo", "public suffix"},
           Vector{"https://10.10.10.*", "public suffix"},
           Vector{"http://127.0.0.1", ""},
           Vector{"http://127.0.0.1:80", ""},
           Vector{"https://127.0.0.1", ""},
           Vector{"http://127.0.0.1:9999", "port"},
           Vector{"http://10.10.10.10", "reserved address"},
           Vector{"http://[::1]", ""},
           Vector{"http://[::1]:80", ""},
           Vector{"https://[::1]", ""},
           Vector{"http://[::1]:9999", "port"},
           Vector{"http://[3fff:aaa:aaaa:aaaa:abad:0ff1:cec0:ffee]", "reserved address"},
           Vector{"http://[::1%25lo]", "zone"},
           Vector{"http://cpu.letsencrypt.org:80", ""},
           Vector{"http://cpu.letsencrypt.org", ""},
           Vector{"https://cpu.letsencrypt.org:443/hello.world", ""},
           Vector{"https://cpu.letsencrypt.org/hello.world", ""},
           Vector{"http://example.COM/ok", ""},
           Vector{"https://co.uk/x", ""},
           Vector{"https://example.com:1987", "port"},
           Vector{"http://other.valid.com:8080/path", "port"},
           Vector{"http://invalid.invalid/path", "public suffix"},
           Vector{"https://app.gateway.internal/x", "public suffix"},
           Vector{"https://gw.example.com./x", "public suffix"},
           Vector{"https://b\xc3\xbc"
                  "cher.example.com/x",
                  "octets"},
           Vector{"/relative", "not absolute"},
           Vector{"", "not absolute"},
           Vector{"https://example.com/" + std::string(1999, 'a'), ""},
           Vector{"https://example.com/" + std::string(2000, 'a'), "too long"},
           Vector{"https://example.com/?" + std::string(5000, 'a'), ""},
       }) {
    BOOST_TEST(refusal_by_ca(302, v.location) == v.refusal, v.location);
  }
}

BOOST_AUTO_TEST_CASE(four_statuses_are_followed) {
  for (const int status : {301, 302, 307, 308})
    BOOST_TEST(refusal_by_ca(status, "http://example.com/") == "");
  for (const int status : {200, 300, 303, 304, 305, 404}) {
    BOOST_TEST(refusal_by_ca(status, "http://example.com/") == "status", status);
  }
}

BOOST_AUTO_TEST_CASE(a_ca_follows_every_redirect_of_a_challenge) {
  int redirects = 0;
  int breadcrumbs = 0;
  for (std::uint32_t seed = 0; seed < 6000; ++seed) {
    const protocol::World world(seed);
    const protocol::Request request = protocol::read_request(world.policy, world.raw);
    if (request.kind != protocol::PathKind::kChallenge) continue;
    const protocol::Story story = protocol::decided(world.policy, world.raw, world);
    const protocol::Response& response = story.reply.response;
    if (response.location.empty()) continue;
    // A CA asks on port 80 or 443, and gets back the port it came by.
    const bool by_port_of_ca = request.host.port.empty() || request.host.port == ":80";
    ++(response.reason == protocol::Reason::kOk ? redirects : breadcrumbs);
    const std::string refusal = refusal_by_ca(protocol::code(response.status), response.location);
    if (!refusal.empty() && (response.reason == protocol::Reason::kOk || by_port_of_ca)) {
      BOOST_ERROR("world " << seed << ": " << refusal << ": " << response.location);
    }
    // It gives up where it comes by a URL twice.
    const std::string scheme = request.https ? "https://" : "http://";
    if (response.location == scheme + request.host.text + request.host.port + request.target) {
      BOOST_ERROR("world " << seed << ": leads to itself: " << response.location);
    }
  }
  BOOST_TEST(redirects > 200);
  BOOST_TEST(breadcrumbs > 200);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
