// The log's line at the start of service: what an operator asks first of a process that runs.
#pragma once

#include <string>
#include <string_view>

#include "config/config.h"

namespace http01 {

// "serving version=... socket=... config=... gateways=...", with "fallback=..." and
// "allow_regex=..." where they are set. `config_path` is where the configuration was looked for;
// `socket` is a listening socket.
std::string serving_line(std::string_view version, int socket, const std::string& config_path,
                         const Config& config);

}  // namespace http01
