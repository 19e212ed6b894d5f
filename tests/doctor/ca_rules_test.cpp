#include "doctor/ca_rules.h"

#include <boost/test/unit_test.hpp>

#include "tests/protocol/random_case.h"

namespace http01 {

using doctor::CaRefusal;
using doctor::refusal_by_ca;

BOOST_AUTO_TEST_SUITE(ca_rules)

// The redirects on which Boulder tests itself, and what it makes of them.
BOOST_AUTO_TEST_CASE(the_check_agrees_with_boulder) {
  constexpr auto kFollowed = std::nullopt;
  struct Vector {
    std::string location;
    std::optional<CaRefusal> refusal;
  };
  for (const Vector& v : {
           Vector{"gopher://letsencrypt.org", CaRefusal::kScheme},
           Vector{"https://weird.port.letsencrypt.org:9999", CaRefusal::kPort},
           Vector{"https:///who/needs/a/hostname?not=me", CaRefusal::kNoHost},
           Vector{"https://my.webserver.is.misconfigured.well-known/acme-challenge/xxx",
                  CaRefusal::kMissingSlash},
           Vector{"https://my.tld.is.cpu/pretty/cool/right?yeah=Ithoughtsotoo",
                  CaRefusal::kPublicSuffix},
           Vector{"https://10.10.10.*", CaRefusal::kPublicSuffix},
           Vector{"http://127.0.0.1", kFollowed},
           Vector{"http://127.0.0.1:80", kFollowed},
           Vector{"https://127.0.0.1", kFollowed},
           Vector{"http://127.0.0.1:9999", CaRefusal::kPort},
           Vector{"http://10.10.10.10", CaRefusal::kReservedAddress},
           Vector{"http://[::1]", kFollowed},
           Vector{"http://[::1]:80", kFollowed},
           Vector{"https://[::1]", kFollowed},
           Vector{"http://[::1]:9999", CaRefusal::kPort},
           Vector{"http://[3fff:aaa:aaaa:aaaa:abad:0ff1:cec0:ffee]", CaRefusal::kReservedAddress},
           Vector{"http://[::1%25lo]", CaRefusal::kZone},
           Vector{"http://cpu.letsencrypt.org:80", kFollowed},
           Vector{"http://cpu.letsencrypt.org", kFollowed},
           Vector{"https://cpu.letsencrypt.org:443/hello.world", kFollowed},
           Vector{"https://cpu.letsencrypt.org/hello.world", kFollowed},
           Vector{"http://example.COM/ok", kFollowed},
           Vector{"https://co.uk/x", kFollowed},
           Vector{"https://example.com:1987", CaRefusal::kPort},
           Vector{"http://other.valid.com:8080/path", CaRefusal::kPort},
           Vector{"http://invalid.invalid/path", CaRefusal::kPublicSuffix},
           Vector{"https://app.gateway.internal/x", CaRefusal::kPublicSuffix},
           Vector{"https://gw.example.com./x", CaRefusal::kPublicSuffix},
           Vector{"https://b\xc3\xbc"
                  "cher.example.com/x",
                  CaRefusal::kOctets},
           Vector{"/relative", CaRefusal::kNotAbsolute},
           Vector{"", CaRefusal::kNotAbsolute},
           Vector{"https://example.com/" + std::string(1999, 'a'), kFollowed},
           Vector{"https://example.com/" + std::string(2000, 'a'), CaRefusal::kTooLong},
           Vector{"https://example.com/?" + std::string(5000, 'a'), kFollowed},
       }) {
    BOOST_TEST((refusal_by_ca(302, v.location) == v.refusal), v.location);
  }
}

BOOST_AUTO_TEST_CASE(four_statuses_are_followed) {
  for (const int status : {301, 302, 307, 308})
    BOOST_TEST(!refusal_by_ca(status, "http://example.com/"));
  for (const int status : {200, 300, 303, 304, 305, 404}) {
    BOOST_TEST((refusal_by_ca(status, "http://example.com/") == CaRefusal::kStatus), status);
  }
}

BOOST_AUTO_TEST_CASE(a_ca_follows_every_redirect_of_a_challenge) {
  int redirects = 0;
  int breadcrumbs = 0;
  for (std::uint32_t seed = 0; seed < 6000; ++seed) {
    const protocol::RandomCase world(seed);
    const protocol::Request request = protocol::read_request(world.policy, world.raw);
    if (request.kind != protocol::PathKind::kChallenge) continue;
    const protocol::Story story = protocol::decided(world.policy, world.raw, world);
    const protocol::Response& response = story.reply.response;
    if (response.location.empty()) continue;
    // A CA asks on port 80 or 443, and gets back the port it came by.
    const bool by_port_of_ca = request.host.port.empty() || request.host.port == ":80";
    ++(story.reply.is_success() ? redirects : breadcrumbs);
    const auto refusal = refusal_by_ca(protocol::code(response.status), response.location);
    if (refusal && (story.reply.is_success() || by_port_of_ca)) {
      BOOST_ERROR("world " << seed << ": " << to_string(*refusal) << ": " << response.location);
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
