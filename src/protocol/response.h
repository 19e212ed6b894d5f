// An answer, and its form as a CGI response (RFC 3875 6.2). Whatever it holds is fit to be sent:
// nothing from a request or from the DNS gets in unescaped. Pure; never throws.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol/reason.h"

namespace http01::protocol {

inline constexpr std::string_view kPlainText = "text/plain; charset=utf-8";

struct Response {
  HttpStatus status = HttpStatus::kOk;
  std::string location;                        // "" for none
  std::string_view content_type = kPlainText;  // of static storage
  std::string body;
  // How long a client should wait for a cause that passes. Failures are kept for one second, and a
  // CA asks again after some seconds if it asks again at all.
  int retry_after_s = 5;
};

// Header lines, an empty line and, unless it answers a HEAD, the body. No reason: an error of the
// relay's own, which is no decision.
std::string to_cgi(const Response& response, std::optional<Reason> reason, bool head);

}  // namespace http01::protocol
