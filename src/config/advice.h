// What is odd about a configuration without being wrong: keys that defeat each other, and values
// that would surprise their operator. For the command `config`. Looks at the file system for the
// files that are named; what else it must know of the machine it is given. Never throws.
#pragma once

#include <string>
#include <vector>

#include "base/ip_address.h"
#include "config/config.h"

namespace http01 {

struct Machine {
  std::vector<base::Endpoint> name_servers;  // of /etc/resolv.conf
  std::vector<base::IpAddress> addresses;    // of its interfaces
};
Machine this_machine();

// One line each: "key: what would happen, what to do". Empty where there is nothing to say.
std::vector<std::string> config_advice(const Config& config, const Machine& machine);

}  // namespace http01
