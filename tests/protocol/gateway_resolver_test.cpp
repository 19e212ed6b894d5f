// The relay beside the gateway: both read the same TXT records, and a challenge that is sent to
// another app than the site's own would prove the domain to a stranger. Many random worlds, looked
// at by decide() and by the gateway's rules, which are written here as the gateway has them: the
// first string of the first record, split at its first colon, the port as Rust's u16 parses it; a
// name that cannot be looked up is a name without records. Where the two differ, there is a reason.

#include <array>
#include <boost/test/unit_test.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/protocol/random_case.h"

namespace http01::protocol {

BOOST_AUTO_TEST_SUITE(gateway_resolver)

constexpr std::uint32_t kWorlds = 16'000;

const std::string kApp = "00112233445566778899aabbccddeeff00112233";
const std::string kOtherApp = "ffeeddccbbaa99887766554433221100ffeeddcc";

struct Record {
  std::vector<std::string> strings;

  std::string joined() const {
    std::string text;
    for (const std::string& string : strings) text += string;
    return text;
  }
};

struct Node {
  Outcome outcome = Outcome::kNxDomain;
  std::vector<Record> records;  // of kData, in the order of the answer
};

// The TXT records at the three names, in the order in which both try them.
struct World {
  std::string domain;
  std::array<Node, 3> nodes;  // exact, legacy, wildcard
  bool port_in_target = false;

  std::array<std::string, 3> names() const {
    return {"_dstack-app-address." + domain, "_tapp-address." + domain,
            "_dstack-app-address-wildcard." + domain.substr(domain.find('.') + 1)};
  }
};

std::string random_text(Dice& dice) {
  static const std::vector<std::string> kIds{
      kApp,      kApp, kApp,        kOtherApp,     "00112233445566778899AABBCCDDEEFF00112233",
      "gateway", "",   "v=" + kApp, kApp.substr(1)};
  static const std::vector<std::string> kPorts{
      ":443",  ":443",  ":443",  ":80",   ":0443", ":+443", ":+0443", ":00080", ":0",
      ":+",    ":++80", ":-0",   ":-80",  ":",     "",      ":80:90", ":65535", ":65536",
      ":http", ": 443", ":443 ", ":443x", "::80",  ":+080", ":0x50"};
  static const std::vector<std::string> kOthers{"", "junk", "v=spf1 ip4:192.0.2.1 -all", "V=DMARC1",
                                                "a:b:c"};
  return dice.one_in(6) ? dice.of(kOthers) : dice.of(kIds) + dice.of(kPorts);
}

Record random_record(Dice& dice) {
  std::string text = dice.one_in(2) ? kApp + ":443" : random_text(dice);
  Record record{{text}};
  if (dice.one_in(6)) {  // cut in two anywhere
    const std::size_t at = dice.below(text.size() + 1);
    record.strings = {text.substr(0, at), text.substr(at)};
  }
  if (dice.one_in(6)) record.strings.push_back(dice.one_in(2) ? "junk" : random_text(dice));
  return record;
}

Node random_node(Dice& dice) {
  static const std::vector<Outcome> kWithout{Outcome::kNxDomain, Outcome::kNoData,
                                             Outcome::kFailure, Outcome::kTimeout};
  Node node;
  node.outcome = dice.one_in(3) ? dice.of(kWithout) : Outcome::kData;
  if (node.outcome != Outcome::kData) return node;
  do {
    node.records.push_back(random_record(dice));
  } while (dice.one_in(3));
  return node;
}

World random_world(std::uint32_t seed) {
  Dice dice(seed);
  World world;
  world.domain = dice.of(std::vector<std::string>{"app.example.com", "app.example.com",
                                                  "example.com", "site.co.uk", "me.github.io"});
  for (Node& node : world.nodes) node = random_node(dice);
  world.port_in_target = dice.one_in(3);
  return world;
}

// ---- the gateway

// str::parse::<u16>: one "+" at most, digits, 65535 at most.
std::optional<unsigned> rust_u16(std::string text) {
  if (text.starts_with('+')) text.erase(0, 1);
  if (text.empty()) return std::nullopt;
  unsigned value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
    if (value > 65535) return std::nullopt;
  }
  return value;
}

struct Route {
  std::string app;
  unsigned port;

  bool operator==(const Route&) const = default;
};

std::optional<Route> parsed_by_gateway(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return std::nullopt;
  const auto port = rust_u16(text.substr(colon + 1));
  if (!port) return std::nullopt;
  return Route{text.substr(0, colon), *port};
}

// Nothing where the site is not reached.
std::optional<Route> gateway_route(const World& world) {
  for (const Node& node : world.nodes) {
    if (node.outcome != Outcome::kData) continue;
    const auto route = parsed_by_gateway(node.records.front().strings.front());
    // Apps are known by their ids, byte by byte; nothing listens on port 0.
    if (!route || (route->app != kApp && route->app != kOtherApp) || route->port == 0) {
      return std::nullopt;
    }
    return route;
  }
  return std::nullopt;
}

// ---- the relay

Reply relay_reply(const World& world) {
  Zone zone;
  for (std::size_t i = 0; i < world.nodes.size(); ++i) {
    Answer answer = with_outcome(world.nodes[i].outcome);
    for (const Record& record : world.nodes[i].records) {
      answer.texts.push_back({record.joined(), static_cast<std::uint16_t>(record.strings.size()),
                              static_cast<std::uint16_t>(record.strings.front().size())});
    }
    zone.answers["TXT " + world.names()[i]] = answer;
  }
  zone.answers["CNAME " + world.domain] = cname("_.dstack-prod5.phala.network");
  Policy policy = default_policy();
  if (world.port_in_target) {
    policy.target = TargetTemplate::parse("https://{app_id}-{port}s.{gateway}").value();
  }
  return decided(policy, get(world.domain, "/.well-known/acme-challenge/x"), zone).reply;
}

// ---- why they may differ

bool has_app_address(const Record& record) {
  for (const std::string& text : {record.joined(), record.strings.front()}) {
    const auto route = parsed_by_gateway(text);
    if (route && route->port != 0 && (route->app == kApp || route->app == kOtherApp)) return true;
  }
  return false;
}

// The gateway reaches an app and the relay refuses.
std::string why_refused(const World& world, const Route& route, Reason reason) {
  std::size_t at = 0;  // the name that the gateway went by
  bool failed = false;
  for (; world.nodes[at].outcome != Outcome::kData; ++at) {
    failed |= world.nodes[at].outcome == Outcome::kFailure ||
              world.nodes[at].outcome == Outcome::kTimeout;
  }
  if (reason == Reason::kDnsFailure || reason == Reason::kDnsTimeout) {
    return failed ? "a name before it failed" : "";
  }
  if (reason == Reason::kTxtMissing) {
    return at == 2 && world.domain != "app.example.com" ? "the wildcard of a public suffix" : "";
  }
  if (reason != Reason::kTxtAmbiguous) return "";
  for (const Record& record : world.nodes[at].records) {
    for (const std::string& text : {record.joined(), record.strings.front()}) {
      const auto other = parsed_by_gateway(text);
      if (!other) continue;
      std::string app = other->app;
      for (char& c : app) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
      if (app != route.app && (app == kApp || app == kOtherApp)) return "records of two apps";
      if (app == route.app && other->port != route.port && world.port_in_target) {
        return "two ports";
      }
    }
  }
  return "";
}

// The relay redirects and the gateway reaches nothing.
std::string why_redirected(const World& world) {
  for (const Node& node : world.nodes) {
    if (node.outcome != Outcome::kData) continue;
    const Record& first = node.records.front();
    const std::string joined = first.joined();
    if (joined.starts_with("v=") || joined.starts_with("V=")) return "somebody else's first";
    if (!parsed_by_gateway(first.strings.front())) {
      return has_app_address(first) ? "split over strings" : "junk first";
    }
    return joined.starts_with("00112233445566778899AAB") ? "upper case" : "no app first";
  }
  return "";
}

BOOST_AUTO_TEST_CASE(the_relay_and_the_gateway_never_lead_to_different_apps) {
  std::map<std::string, std::size_t> seen;
  for (std::uint32_t seed = 0; seed < kWorlds; ++seed) {
    const World world = random_world(seed);
    const auto route = gateway_route(world);
    const Reply reply = relay_reply(world);
    const bool redirects = reply.reason == Reason::kOk;
    std::string kind;
    if (route && redirects) {
      kind = reply.target.app->id == route->app ? "the same app" : "";
    } else if (route) {
      kind = why_refused(world, *route, reply.reason);
    } else if (redirects) {
      kind = why_redirected(world);
    } else {
      kind = "neither";
    }
    if (kind.empty()) {
      BOOST_ERROR("world " << seed << ": the gateway leads to "
                           << (route ? route->app + ":" + std::to_string(route->port) : "nothing")
                           << ", the relay: " << summary(reply) << " " << reply.response.body);
    }
    ++seen[kind];
  }
  // Or the test would be about nothing.
  for (const char* kind :
       {"the same app", "neither", "a name before it failed", "the wildcard of a public suffix",
        "records of two apps", "two ports", "somebody else's first", "split over strings",
        "junk first", "upper case", "no app first"}) {
    BOOST_TEST(seen[kind] > 20U, kind << ": " << seen[kind]);
  }
}

// A record of one string, well formed: whatever the gateway makes of it, so does the relay.
BOOST_AUTO_TEST_CASE(the_relay_takes_every_port_that_the_gateway_takes) {
  const base::Pattern pattern = base::Pattern::compile("[0-9a-f]{40}").value();
  const std::string kAlphabet = "+-0129 x:";
  std::vector<std::string> ports{""};
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const auto theirs = rust_u16(ports[i]);
    const auto ours = read_app_address(pattern, kApp + ":" + ports[i]);
    const bool taken = theirs && *theirs != 0;
    BOOST_TEST_REQUIRE(bool(ours) == taken, ports[i]);
    if (ours) BOOST_TEST_REQUIRE(ours->port == std::to_string(*theirs), ports[i]);
    if (ports[i].size() == 4) continue;
    for (const char c : kAlphabet) ports.push_back(ports[i] + c);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::protocol
