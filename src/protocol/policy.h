// What the operator has decided, as values that `decide` reads: the configuration without its text.
// Built once by config, then never changed; must outlive the requests decided by it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ip_network.h"
#include "base/pattern.h"
#include "protocol/name.h"
#include "protocol/status.h"
#include "protocol/target.h"

namespace http01::protocol {

// Which names are gateways. All names here are domains (Name::is_domain) but wildcard_parents,
// which may have one label.
struct GatewayPolicy {
  std::vector<Name> bases;                     // gateways.allow without "*."
  std::vector<Name> wildcard_parents;          // gateways.allow: P for "*.P"
  std::optional<base::Pattern> regex;          // gateways.allow_regex
  int capture_group = 1;                       // of regex, at most regex->groups()
  std::optional<Name> fallback;                // gateways.fallback
  std::vector<std::pair<Name, Name>> aliases;  // gateways.aliases: a CNAME target, its base
  bool match_addresses = false;
};

enum class OtherPaths : std::uint8_t { kHttps, kApp, kNone };

struct Policy {
  GatewayPolicy gateways;
  base::Pattern app_id = base::Pattern::compile("[0-9a-f]{40}").value();
  TargetTemplate target = TargetTemplate::parse(TargetTemplate::kDefault).value();
  HttpStatus redirect_status = HttpStatus::kTemporaryRedirect;  // any redirect
  OtherPaths other_paths = OtherPaths::kHttps;
  bool breadcrumb = false;
  std::vector<Name> domains_allow;  // empty: all
  std::vector<Name> domains_deny;
  Name record_prefix = Name::from_text("_dstack-app-address").value();  // dns.prefix
  bool legacy_prefix = true;
  bool wildcard = true;
  bool require_dnssec = false;
  std::vector<std::string>
      relay_hosts;             // service.hosts: lower case, no port, no final dot, no brackets
  std::optional<Name> canary;  // service.canary, a domain
  bool public_check = false;   // service.public_check
  // service.metrics_from: whose clients see /metrics and /ready. Empty: nobody's.
  std::vector<base::IpNetwork> metrics_from{base::IpNetwork::parse("127.0.0.0/8").value(),
                                            base::IpNetwork::parse("::1").value()};
};

}  // namespace http01::protocol
