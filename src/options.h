// The command line as values. Whether an address can be bound or a domain has a target is for
// others to find out. May be called more than once; one thread (getopt keeps its state in globals).
// Never throws.
#pragma once

#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"

namespace http01 {

struct Options {
  enum class Command { kServe, kCheck, kConfig, kHelp, kVersion };

  Command command = Command::kServe;
  std::string config;                // -c, "" where it is not given
  std::string listen;                // --listen as given; "" is standard input or CGI
  std::string socket_mode = "0660";  // --socket-mode as given
  bool json = false;
  bool probe = false;
  std::string ca = "letsencrypt.org";            // --ca, lower case
  std::vector<base::IpAddress> relay_addresses;  // --relay-address
  std::vector<std::string> domains;              // of check, as given
};

// The failure is one line that says what is wrong with the command line.
base::Result<Options> parse_options(int argc, const char* const* argv);

// Both end their last line.
const char* usage_text();
std::string version_text();  // "http01-relay 1.2.3"

}  // namespace http01
