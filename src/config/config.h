// The configuration: TOML file and environment in, values out, or every fault there is with its
// place. Called at start-up and on reload; reads the file, the environment and nothing else (the
// name servers of /etc/resolv.conf are the resolver's business). Never throws, whatever the octets.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dns/settings.h"
#include "log/settings.h"
#include "protocol/policy.h"

namespace http01 {

struct Limits {
  std::size_t in_flight = 10'000;           // requests that wait for DNS
  std::size_t in_flight_per_client = 100;   // of one address, or one IPv6 /64
  std::size_t in_flight_per_domain = 1000;  // for names of one registrable domain
};

// Not yet the defaults where it is not from parse_config(): gateways.allow is empty.
struct Config {
  protocol::Policy policy;
  dns::Settings dns;
  std::chrono::milliseconds deadline{4000};  // dns.deadline_ms: all DNS of one request
  dns::CacheSettings cache;
  Limits limits;
  std::string state_file;  // service.state_file, "" for none
  LogSettings log;
};

// One line each: "file:line:column: key: what is wrong, what is allowed", or "environment: NAME:
// ...".
using ConfigFaults = std::vector<std::string>;

// getenv, or what a test puts in its place; nullopt: not set.
using Environment = std::function<std::optional<std::string>(const char* name)>;
Environment process_environment();

// Where the configuration is: `option` (from -c) if not empty, else $HTTP01_RELAY_CONFIG, else
// /etc/http01-relay/http01-relay.toml. Only the last may be missing: then the defaults hold.
base::Result<Config, ConfigFaults> load_config(const std::string& option,
                                               const Environment& environment);

// The same again, while serving: never waits. A pipe was read to its end the first time, and would
// be taken for an empty file: what is no regular file is a fault.
base::Result<Config, ConfigFaults> reload_config(const std::string& option,
                                                 const Environment& environment);

// Which file that is.
std::string config_path(const std::string& option, const Environment& environment);

// The text of a file called `file`, and the environment.
base::Result<Config, ConfigFaults> parse_config(std::string_view text, const std::string& file,
                                                const Environment& environment);

// All of it as TOML that parse_config() reads back to the same values.
std::string to_toml(const Config& config);

}  // namespace http01
