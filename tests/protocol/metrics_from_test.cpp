// /metrics and /ready: paths like any other at a domain, and at the relay itself for the clients of
// service.metrics_from only.

#include <boost/test/unit_test.hpp>
#include <string>

#include "protocol/decide.h"
#include "tests/protocol/zone.h"

namespace http01::protocol {

BOOST_AUTO_TEST_SUITE(metrics_from)

const std::string kAppId = "00112233445566778899aabbccddeeff00112233";

Zone zone_of_app() {
  return {{{"TXT _dstack-app-address.app.example.com", txt({kAppId + ":443"})},
           {"CNAME app.example.com", cname("_.gw1.phala.network")}}};
}

Policy with_other_paths(OtherPaths other_paths) {
  Policy policy = default_policy();
  policy.other_paths = other_paths;
  return policy;
}

// Any Host that led nowhere once got the whole page, where no web server kept it from strangers.
BOOST_AUTO_TEST_CASE(metrics_and_ready_of_a_domain_are_paths_like_any_other) {
  for (const char* path : {"/metrics", "/ready", "/metrics?x"}) {
    for (const char* client : {"127.0.0.1", "192.0.2.7"}) {
      const auto story = [&](OtherPaths other_paths, const char* host, const Zone& zone) {
        RawRequest raw = get(host, path);
        raw.client = client;
        return decided(with_other_paths(other_paths), raw, zone);
      };
      BOOST_TEST(story(OtherPaths::kHttps, "app.example.com", zone_of_app()).answer ==
                 "307 ok https://app.example.com" + std::string(path));
      BOOST_TEST(story(OtherPaths::kApp, "app.example.com", zone_of_app()).answer ==
                 "307 ok https://" + kAppId + ".gw1.phala.network" + path);
      BOOST_TEST(story(OtherPaths::kNone, "app.example.com", zone_of_app()).answer ==
                 "404 not-found");
      for (const OtherPaths other_paths :
           {OtherPaths::kHttps, OtherPaths::kApp, OtherPaths::kNone}) {
        BOOST_TEST(story(other_paths, "app.example.com", Zone{}).answer == "404 txt-missing");
        BOOST_TEST(story(other_paths, "app.example.com", Zone{}).asked != "");
        BOOST_TEST(story(other_paths, "nosuch.invalid", Zone{}).answer == "404 txt-missing");
        const Story gateway = story(other_paths, "x.gw1.phala.network", Zone{});
        BOOST_TEST(gateway.answer == (other_paths == OtherPaths::kHttps
                                          ? "307 ok https://x.gw1.phala.network" + std::string(path)
                                          : "404 not-found"));
        BOOST_TEST(gateway.asked == "");
      }
    }
  }
  // Over TLS, where the redirect would lead to itself.
  RawRequest raw = get("app.example.com", "/metrics");
  raw.https = true;
  BOOST_TEST(decided(default_policy(), raw, zone_of_app()).answer == "404 not-found");
}

BOOST_AUTO_TEST_CASE(metrics_and_ready_are_for_the_clients_of_metrics_from) {
  Policy policy = default_policy();
  policy.relay_hosts = {"relay.example.net", "192.0.2.9", "relay"};
  const auto answer = [&](const char* path, const char* host, std::string_view client) {
    RawRequest raw = get(host, path);
    raw.client = client;
    const Story story = decided(policy, raw, Zone{});
    if (!story.answer.ends_with("[ready]")) BOOST_TEST(story.asked == "");
    return story.answer;
  };
  // How a name of the relay may be written.
  for (const char* host :
       {"127.0.0.1", "192.0.2.9:80", "192.0.2.1.", "[::1]", "[::1]:8081", "[::ffff:127.0.0.1]",
        "localhost", "LOCALHOST:80", "localhost.", "localhost.:80", "x", "x.", "2130706433"}) {
    for (const char* client : {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"}) {
      BOOST_TEST(answer("/metrics", host, client) == "200 ok [metrics]", host << ' ' << client);
      BOOST_TEST(answer("/ready", host, client) == "200 ok [ready]", host << ' ' << client);
    }
    for (const char* client :
         {"128.0.0.1", "192.0.2.9", "::ffff:192.0.2.9", "::127.0.0.1", "::2", "", "localhost",
          "[::1]", "::1%lo", "127.0.0.1:1234", " 127.0.0.1", "127.0.0.1, 192.0.2.9", "127.1"}) {
      for (const char* path : {"/metrics", "/ready", "/metrics?x"}) {
        BOOST_TEST(answer(path, host, client) == "403 forbidden", host << ' ' << client);
      }
      BOOST_TEST(answer("/health", host, client) == "200 ok [health]");
      BOOST_TEST(answer("/", host, client) == "200 ok [index]");
    }
  }
  // Paths are compared as they were sent.
  for (const char* path : {"/metrics/", "//metrics", "/%6detrics", "/METRICS", "/./ready"}) {
    BOOST_TEST(answer(path, "localhost", "127.0.0.1") == "404 not-found", path);
  }
  for (const char* client : {"127.0.0.1", "192.0.2.7"}) {
    // A name that leads here from anywhere has neither, for anybody.
    for (const char* host : {"relay.example.net", "Relay.Example.Net.:80", "relay", "RELAY."}) {
      BOOST_TEST(answer("/metrics", host, client) == "404 not-found", host);
      BOOST_TEST(answer("/ready", host, client) == "404 not-found", host);
      BOOST_TEST(answer("/health", host, client) == "200 ok [health]", host);
    }
    for (const char* host : {"127.1", "[::1", "::1", "a..", "localhost..", ""}) {
      BOOST_TEST(answer("/metrics", host, client) == "400 bad-host", host);
    }
  }

  policy.metrics_from = {base::IpNetwork::parse("192.0.2.0/24").value(),
                         base::IpNetwork::parse("2001:db8::/32").value()};
  for (const char* client : {"192.0.2.7", "::ffff:192.0.2.7", "2001:db8::7"}) {
    BOOST_TEST(answer("/metrics", "localhost", client) == "200 ok [metrics]", client);
  }
  for (const char* client : {"127.0.0.1", "::1", "192.0.3.0", "2001:db9::"}) {
    BOOST_TEST(answer("/metrics", "localhost", client) == "403 forbidden", client);
  }
  policy.metrics_from.clear();
  BOOST_TEST(answer("/metrics", "localhost", "127.0.0.1") == "403 forbidden");
  BOOST_TEST(answer("/ready", "localhost", "127.0.0.1") == "403 forbidden");
}

BOOST_AUTO_TEST_CASE(a_refusal_of_metrics_says_which_key_decides) {
  RawRequest raw = get("localhost", "/metrics");
  raw.client = "192.0.2.7";
  const Reply reply = decided(default_policy(), raw, Zone{}).reply;
  BOOST_TEST(reply.response.body.starts_with("forbidden: "));
  BOOST_TEST(reply.response.body.find("service.metrics_from") != std::string::npos);
  BOOST_TEST((reply.page == Page::kNone));  // so it is counted as a decision
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::protocol
