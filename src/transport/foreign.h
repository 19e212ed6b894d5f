// What it is that speaks on the FastCGI socket and is not FastCGI: a web server that is told to use
// another protocol, as a rule. Pure; never throws.
#pragma once

#include <cstdint>
#include <string_view>

namespace http01::transport {

enum class Foreign : std::uint8_t { kHttp, kTls, kScgi, kUwsgi, kProxyProtocol, kUnknown };

// By the first octets of the connection; eight are enough.
Foreign recognize_foreign(std::string_view octets);

// A sentence for the log: what came, and what to set instead.
std::string_view to_string(Foreign foreign);

}  // namespace http01::transport
