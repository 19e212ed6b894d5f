#include "config/advice.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/ascii.h"
#include "base/interfaces.h"
#include "base/public_suffix.h"
#include "dns/resolv_conf.h"
#include "metrics/state_file.h"
#include "protocol/decide.h"
#include "protocol/gateway.h"

namespace http01 {
namespace {

using protocol::Name;

// A CA gives 10 to 20 s to all hops and vantage points together.
constexpr std::chrono::milliseconds kLongDeadline{8000};
constexpr std::chrono::minutes kLongLife{5};

class Adviser {
 public:
  Adviser(const Config& config, const Machine& machine) : config_(config), machine_(machine) {}

  std::vector<std::string> run() {
    gateways();
    domains();
    dns();
    service();
    return std::move(advice_);
  }

 private:
  void say(const std::string& key, const std::string& what) {
    advice_.push_back(key + ": " + what);
  }

  void base_name(const std::string& key, const Name& base) {
    if (base::ends_in_public_suffix(base.text())) return;
    say(key, base.text() + " is under no public suffix: Let's Encrypt follows no redirect there");
  }

  void gateways() {
    const auto& gateways = config_.policy.gateways;
    for (const Name& base : gateways.bases) base_name("gateways.allow", base);
    for (const Name& parent : gateways.wildcard_parents) {
      base_name("gateways.allow", parent);
      if (base::registrable_domain(parent.text()) == parent.text() && is_suffix(parent)) {
        say("gateways.allow", "\"*." + parent.text() +
                                  "\" is every name that anybody registers there: whoever does is "
                                  "sent the challenges of the domains that name it");
      }
    }
    if (gateways.fallback) base_name("gateways.fallback", *gateways.fallback);
    for (const auto& [alias, base] : gateways.aliases) base_name("gateways.aliases", base);
    if (gateways.regex && is_wide()) {
      say("gateways.allow_regex",
          "accepts names of any domain: whoever makes one is sent the "
          "challenges of the domains that name it; end it with a domain of "
          "yours, its dots as \\.");
    }
    if (gateways.match_addresses && protocol::named_bases(gateways).empty()) {
      say("gateways.match_addresses",
          "has nothing to compare with: name a gateway in full, in "
          "gateways.allow or gateways.fallback");
    }
  }

  // Where nobody owns the name itself.
  static bool is_suffix(const Name& name) {
    return base::ends_in_public_suffix(name.text()) &&
           (name.label_count() == 1 ||
            base::registrable_domain("a." + name.text()) == "a." + name.text());
  }

  bool is_wide() const {
    protocol::GatewayPolicy only;
    only.capture_group = config_.policy.gateways.capture_group;
    auto regex = base::Pattern::compile(config_.policy.gateways.regex->text());
    if (!regex) return false;
    only.regex = std::move(*regex);
    return std::ranges::any_of(
        std::initializer_list<const char*>{"_.gateway.attacker.example", "gateway.attacker.example",
                                           "_.attacker.example"},
        [&](const char* name) {
          return protocol::base_named_by(only, Name::from_text(name).value()).has_value();
        });
  }

  void domains() {
    const protocol::Policy& policy = config_.policy;
    for (const Name& allowed : policy.domains_allow) {
      for (const Name& denied : policy.domains_deny) {
        if (!allowed.is_at_or_under(denied)) continue;
        say("domains.allow", allowed.text() + " is denied by domains.deny, which wins");
      }
    }
    if (!policy.domains_allow.empty() && policy.relay_hosts.empty()) {
      say("service.hosts",
          "is empty, so that this host's own name is one more domain that "
          "domains.allow refuses, and its pages are seen at its address only");
    }
  }

  void dns() {
    resolvers();
    if (config_.dns.timeout >= config_.dns.deadline && config_.dns.attempts > 1) {
      say("dns.timeout_ms",
          "is all of dns.deadline_ms: where the first server is silent, no other "
          "is asked");
    }
    if (config_.dns.deadline > kLongDeadline) {
      say("dns.deadline_ms", "is longer than a CA waits, which has 10 to 20 s for all it does");
    }
    if (config_.cache.max_ttl > kLongLife) {
      say("cache.max_ttl_s", "a record that is mended is seen after that time only");
    }
  }

  // The cache gives one forged answer to all the places that a CA asks from.
  void resolvers() {
    const bool listed = !config_.dns.servers.empty();
    std::vector<base::Endpoint> far = listed ? config_.dns.servers : machine_.name_servers;
    std::erase_if(far, [this](const base::Endpoint& server) { return is_here(server.address); });
    if (far.empty()) return;
    const std::string names = base::joined(far, ", ", &base::Endpoint::text);
    const bool several = far.size() > 1;
    say("dns.servers",
        names + (listed ? std::string() : std::string(" of /etc/resolv.conf")) +
            (several ? " are" : " is") +
            " not on this machine: an answer that is forged on the way decides where a domain's "
            "challenges go, for all places that a CA asks from, for up to " +
            std::to_string(config_.cache.max_ttl.count()) +
            " s. Run a validating resolver on this machine");
    if (config_.policy.require_dnssec) {
      say("dns.require_dnssec", "trusts " + names +
                                    ", whose answers come over the network "
                                    "unprotected: use a validating resolver on this machine");
    }
  }

  bool is_here(const base::IpAddress& address) const {
    // The kernel takes 0.0.0.0 and :: for this machine.
    const bool unspecified = address.octets == base::IpAddress().octets;
    return unspecified || address.is_loopback() || address.client_network().is_loopback() ||
           std::ranges::find(machine_.addresses, address) != machine_.addresses.end();
  }

  void service() {
    for (const base::IpNetwork& network : config_.policy.metrics_from) {
      if (network.prefix > 0) continue;
      say("service.metrics_from",
          network.text() + " is every address: the whole internet sees /metrics and /ready");
    }
    for (const std::string& host : config_.policy.relay_hosts) {
      if (!Name::is_host_label(host)) continue;
      say("service.hosts", host +
                               " is a name of the relay anyway; listed here, it does not show "
                               "/metrics and /ready");
    }
    if (config_.policy.canary) canary(config_.policy.canary->text());
    if (!config_.state_file.empty()) {
      state_file();
    } else if (config_.policy.public_check) {
      say("service.public_check",
          "without service.state_file each process counts limits.checks alone, and under CGI "
          "/check is off: set service.state_file");
    }
    if (config_.log.target != "stderr" && config_.log.target != "syslog") {
      writable("log.target", config_.log.target);
    }
  }

  void state_file() {
    const auto checked = StateFile::check_path(config_.state_file);
    if (checked) return writable("service.state_file", config_.state_file);
    say("service.state_file", checked.error() + ": each process counts alone");
  }

  void canary(const std::string& domain) {
    const protocol::Step step = protocol::decide(
        config_.policy, protocol::challenge_request(config_.policy, domain), protocol::Answers());
    if (const auto* const reply = std::get_if<protocol::Reply>(&step)) {
      say("service.canary", "/ready is never ready: " + domain + " is refused, " +
                                std::string(protocol::info(reply->reason).word));
    }
  }

  void writable(const std::string& key, const std::string& path) {
    const std::string directory = std::filesystem::path(path).parent_path().string();
    std::error_code error;
    if (!std::filesystem::is_directory(directory, error)) {
      say(key, directory + " is no directory; whoever starts the service must make it");
    } else if (std::filesystem::is_directory(path, error)) {
      say(key, path + " is a directory");
    } else if (::access(directory.c_str(), W_OK) != 0 && ::access(path.c_str(), W_OK) != 0) {
      say(key, path + " cannot be written to by this user; check that the service's can");
    }
  }

  const Config& config_;
  const Machine& machine_;
  std::vector<std::string> advice_;
};

}  // namespace

Machine this_machine() {
  dns::ResolvConf file("/etc/resolv.conf");
  file.refresh(base::Clock::now());
  return {file.servers(), base::interface_addresses()};
}

std::vector<std::string> config_advice(const Config& config, const Machine& machine) {
  return Adviser(config, machine).run();
}

}  // namespace http01
