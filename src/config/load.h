// Reads the configuration: TOML file and environment in, values out, or every fault there is with
// its place. Called at start-up and on reload; reads the file, the environment and nothing else
// (the name servers of /etc/resolv.conf are the resolver's business). Never throws, whatever the
// octets.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "config/config.h"
#include "config/environment.h"

namespace http01 {

// Where the configuration is: `option` (from -c) if not empty, else $HTTP01_RELAY_CONFIG, else
// /etc/http01-relay/http01-relay.toml. Only the last may be missing: then the defaults hold.
base::Result<Config, ConfigFaults> load_config(const std::string& option,
                                               const Environment& environment);

// The same again, while serving: never waits. A pipe was read to its end the first time, and would
// be taken for an empty file: what is no regular file is a fault. So is a file that is gone or sets
// no key, if `running` has come from one that did: it was lost, and nobody wants the defaults.
base::Result<Config, ConfigFaults> reload_config(const std::string& option,
                                                 const Environment& environment,
                                                 const Config& running);

// Which file that is.
std::string config_path(const std::string& option, const Environment& environment);

// The text of a file called `file`, and the environment.
base::Result<Config, ConfigFaults> parse_config(std::string_view text, const std::string& file,
                                                const Environment& environment);

// All of it as TOML that parse_config() reads back to the same values.
std::string to_toml(const Config& config);

}  // namespace http01
