// A random policy, request and DNS, made of parts that are likely to meet: the same for the same
// seed, or for the same octets that a fuzzer made.
#pragma once

#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/decide.h"
#include "tests/protocol/zone.h"

namespace http01::protocol {

class Dice {
 public:
  explicit Dice(std::uint32_t seed) : random_(seed) {}
  // Each throw is the next octet, or two where there are that many sides. After the last one every
  // throw is the highest.
  explicit Dice(std::string_view octets) : octets_(octets) {}

  std::size_t below(std::size_t end) {
    if (!octets_) return random_() % end;
    std::size_t thrown = 0;
    for (std::size_t sides = end; sides > 0; sides /= 256) {
      if (octets_->empty()) return end - 1;
      thrown = thrown << 8 | static_cast<unsigned char>(octets_->front());
      octets_->remove_prefix(1);
    }
    return thrown % end;
  }
  bool one_in(std::size_t sides) { return below(sides) == 0; }
  template <class T>
  const T& of(const std::vector<T>& choices) {
    return choices[below(choices.size())];
  }
  std::string octets(std::size_t most) {
    std::string text;
    for (std::size_t size = below(most + 1); text.size() < size;)
      text += static_cast<char>(below(256));
    return text;
  }

 private:
  std::mt19937 random_;
  std::optional<std::string_view> octets_;
};

// The same in each run.
inline std::uint32_t hash_of(const Question& question) {
  std::uint32_t hash = static_cast<std::uint32_t>(question.type);
  for (const char c : question.name.labels()) hash = hash * 31 + static_cast<unsigned char>(c);
  return hash;
}

class RandomCase {
 public:
  static inline const std::string kId = "00112233445566778899aabbccddeeff00112233";

  explicit RandomCase(std::uint32_t seed) : seed_(seed), dice_(seed) { begin(); }
  // The octets must outlive the world.
  explicit RandomCase(std::string_view octets) : dice_(octets) { begin(); }

  // The answer to this question in this world, always the same.
  Answer operator()(const Question& question) const {
    if (seed_) {
      Dice dice(*seed_ * 2654435761u ^ hash_of(question));
      return random_answer(question, dice);
    }
    if (!given_.find(question)) given_.put(question, random_answer(question, dice_));
    return *given_.find(question);
  }

  Policy policy;
  RawRequest raw;

 private:
  void begin() {
    policy = random_policy(dice_);
    raw = random_request(dice_);
    // Some worlds are sane, or most would end at the first look-up.
    trouble_ = dice_.one_in(2);
  }

  Answer random_answer(const Question& question, Dice& dice) const {
    Answer answer = random_data(question, dice);
    answer.authenticated = !trouble_ || !dice.one_in(8);
    if (dice.one_in(trouble_ ? 3 : 8)) {
      static const std::vector<Outcome> kNothing{Outcome::kNoData, Outcome::kNxDomain};
      answer = with_outcome(dice.of(kNothing));
      answer.authenticated = true;
    }
    if (trouble_ && dice.one_in(6)) {
      static const std::vector<Outcome> kTrouble{Outcome::kFailure, Outcome::kTimeout,
                                                 Outcome::kLoop, Outcome::kOverloaded};
      answer.outcome = dice.of(kTrouble);
    }
    return answer;
  }

  static Policy random_policy(Dice& dice) {
    Policy policy;
    GatewayPolicy& gateways = policy.gateways;
    if (!dice.one_in(3)) gateways.wildcard_parents = {name_of("phala.network")};
    if (dice.one_in(2)) gateways.bases = {name_of("gw.example.org")};
    if (dice.one_in(4)) gateways.bases.push_back(name_of("dstack-prod5.phala.network"));
    if (dice.one_in(4)) {
      static const std::vector<std::string> kRegexes{"^_\\.(.+\\.phala\\.network)$",
                                                     "_\\.(gw[0-9]\\.example\\.org)",
                                                     "(phala\\.network)",
                                                     "gw-[a-z]+\\.(tdxlab\\.example\\.org)",
                                                     "_\\.(.+)",
                                                     "(?s)(.*)"};
      gateways.regex = base::Pattern::compile(dice.of(kRegexes)).value();
      gateways.capture_group = dice.one_in(6) ? 0 : 1;
    }
    if (dice.one_in(4)) gateways.fallback = name_of("fallback.example.org");
    if (dice.one_in(3))
      gateways.aliases = {{name_of("relay.example.net"), name_of("aliased.example.org")}};
    gateways.match_addresses = dice.one_in(3);

    static const std::vector<std::string> kTargets{
        std::string(TargetTemplate::kDefault), std::string(TargetTemplate::kDefault),
        "https://{app_id}-{port}s.{gateway}", "https://{domain}"};
    policy.target = TargetTemplate::parse(dice.of(kTargets)).value();
    if (dice.one_in(6)) policy.app_id = base::Pattern::compile("(?s).*").value();
    policy.redirect_status = *http_status(dice.of(std::vector<int>{301, 302, 307, 308}));
    policy.other_paths =
        dice.of(std::vector<OtherPaths>{OtherPaths::kHttps, OtherPaths::kApp, OtherPaths::kNone});
    policy.breadcrumb = dice.one_in(3);
    if (dice.one_in(10)) policy.domains_deny = {name_of("foo.example.com")};
    if (dice.one_in(10)) policy.domains_allow = {name_of("example.com")};
    policy.legacy_prefix = !dice.one_in(3);
    policy.wildcard = !dice.one_in(3);
    policy.require_dnssec = dice.one_in(6);
    if (dice.one_in(3)) policy.relay_hosts = {"relay.example.net"};
    if (dice.one_in(3)) policy.canary = name_of("app.example.com");
    return policy;
  }

  static RawRequest random_request(Dice& dice) {
    static const std::vector<std::string> kHosts{
        "app.example.com", "app.example.com", "foo.example.com", "example.com", "a.b.example.com",
        "APP.Example.com:80", "app.example.com.", "app.example.com:8081",
        "dstack-prod5.phala.network", "x.dstack-prod5.phala.network", "phala.network",
        "gw.example.org", "x.gw7.example.org", "fallback.example.org", "x.tdxlab.example.org",
        "relay.example.net", "a.relay.example.net", "aliased.example.org", "192.0.2.1", "[::1]:80",
        "localhost", "", "a_b.example.com", "app.example.com/x", "app.example.com@evil.example.com",
        // 233 octets: with an app id in front it is too long for a name.
        std::string(60, 'a') + "." + std::string(60, 'b') + "." + std::string(60, 'c') + "." +
            std::string(38, 'd') + ".example.com"};
    static const std::vector<std::string> kChallenges{
        "/.well-known/acme-challenge/evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA",
        "/.well-known/acme-challenge/x",
        "/.well-known/acme-challenge/x?a=b",
        "http://other.example.com/.well-known/acme-challenge/x",
        "/.well-known/acme-challenge/x?relay=txt-missing",
        "/.well-known/acme-challenge/x?a&relay=txt-missing",
        "/.well-known/acme-challenge/",
        "/.well-known/acme-challenge/../x",
        "/.well-known/acme-challenge/a%2Fb",
        "/.well-known/acme-challenge/x?\"<script>&'\\",
        "/.well-known/acme-challenge/" + std::string(128, 'x'),
        "/.well-known/acme-challenge/x?" + std::string(1960, 'q')};
    static const std::vector<std::string> kOthers{"/",
                                                  "/health",
                                                  "/ready",
                                                  "/metrics",
                                                  "/a?b=c",
                                                  "/\"<script>&'\\",
                                                  "//evil.example.com/",
                                                  "/\\evil.example.com",
                                                  "/@evil.example.com",
                                                  "/a#b",
                                                  "*",
                                                  "",
                                                  "http://other.example.com/x",
                                                  "/" + std::string(1999, 'p'),
                                                  "/" + std::string(2000, 'p'),
                                                  "/a b",
                                                  "/a\r\nLocation: https://evil.example.com/"};
    RawRequest raw;
    raw.method = dice.one_in(8) ? "HEAD" : dice.one_in(12) ? "POST" : "GET";
    raw.host = dice.one_in(3)
                   ? dice.of(kHosts)
                   : dice.of(std::vector<std::string>{"app.example.com", "foo.example.com"});
    raw.uri = dice.one_in(3) ? dice.of(kOthers) : dice.of(kChallenges);
    if (dice.one_in(20)) raw.uri += dice.octets(12);
    if (dice.one_in(40)) raw.host += dice.octets(4);
    // From what has been drawn, so that octets that were found keep their meaning.
    raw.client = raw.host.size() % 2 == 0  ? "127.0.0.1"
                 : raw.uri.size() % 2 == 0 ? "192.0.2.7"
                                           : "";
    raw.https = dice.one_in(6);
    raw.body_too_large = dice.one_in(50);
    return raw;
  }

  Answer random_data(const Question& question, Dice& dice) const {
    switch (question.type) {
      case RecordType::kTxt:
        return random_txt(dice);
      case RecordType::kCname:
        return random_cname(dice);
      case RecordType::kA:
        return address(dice.of(std::vector<std::string>{"192.0.2.1", "192.0.2.2"}));
      case RecordType::kAaaa:
        return address(dice.of(std::vector<std::string>{"2001:db8::1", "2001:db8::2"}));
      case RecordType::kNs:
      case RecordType::kSoa:
      case RecordType::kCaa:
        break;
    }
    return with_outcome(Outcome::kData);
  }

  Answer random_txt(Dice& dice) const {
    static const std::vector<std::string> kTexts{kId + ":80",
                                                 "ffeeddccbbaa99887766554433221100ffeeddcc:443",
                                                 "00112233445566778899AABBCCDDEEFF00112233:80",
                                                 "v=spf1 ip4:192.0.2.1 -all",
                                                 kId,
                                                 kId + ":0",
                                                 kId + ":+0443",
                                                 kId + "-8080:80",
                                                 "evil.com:80",
                                                 "evil.com/:80",
                                                 "evil.com/?:80",
                                                 "evil.com#:80",
                                                 "user@evil.com:80",
                                                 "evil.com\\:80",
                                                 kId + "\r\nSet-Cookie: x:80",
                                                 "gateway:80",
                                                 "localhost:80",
                                                 ":80",
                                                 "",
                                                 "\"quoted\":80",
                                                 "<script>:80",
                                                 std::string(200, 'x') + ":80",
                                                 std::string(1, '\0') + kId + ":80"};
    Answer answer = txt({trouble_ && !dice.one_in(3) ? dice.of(kTexts) : kId + ":443"});
    while (trouble_ && dice.one_in(3))
      answer.texts.push_back({dice.one_in(2) ? dice.of(kTexts) : dice.octets(80), 1, 0});
    return answer;
  }

  Answer random_cname(Dice& dice) const {
    static const std::vector<Name> kTargets{
        name_of("_.dstack-prod5.phala.network"),
        name_of("dstack-prod5.phala.network"),
        name_of("_.gw.example.org"),
        name_of("x.gw.example.org"),
        name_of("_.a.b.phala.network"),
        name_of("_.phala.network.evil.com"),
        name_of("_.evil.com"),
        name_of("evil.com"),
        name_of("relay.example.net"),
        name_of("a.relay.example.net"),
        name_of("_.gw7.example.org"),
        name_of("gw-a.tdxlab.example.org"),
        name_of("_.phala.network"),
        Name(),
        name_of("a.deleg.example.net"),
        name_of("b.deleg.example.net"),
        name_of("c.deleg.example.net"),
        name_of("app.example.com"),
        name_of("_.foo.example.com"),
        name_of_labels({"_", "evil.com/x", "phala", "network"}),
        name_of_labels({"_", "evil.com\\", "phala", "network"}),
        name_of_labels({"_", "evil.com", "phala", "network"}),
        name_of_labels({"_.gw.example.org"}),
        name_of_labels({"\r\nX: y", "gw", "example", "org"}),
        name_of_labels({"_", "\"<b>", "phala", "network"}),
        name_of("_." + std::string(60, 'a') + "." + std::string(60, 'b') + "." +
                std::string(60, 'c') + ".0123456789012345678901234567890." + "example.org")};
    Answer answer =
        cname(trouble_ && !dice.one_in(3) ? dice.of(kTargets) : kTargets[dice.below(12)]);
    if (trouble_ && dice.one_in(8)) answer.aliases.push_back(dice.of(kTargets));
    if (trouble_ && dice.one_in(8)) {
      const std::string label = "\xff" + dice.octets(20);
      answer.aliases = {name_of_labels({"_", label, "phala", "network"})};
    }
    return answer;
  }

  std::optional<std::uint32_t> seed_;
  mutable Dice dice_;      // what is left of the octets
  mutable Answers given_;  // from the octets
  bool trouble_ = false;
};

}  // namespace http01::protocol
