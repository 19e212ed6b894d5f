// The CGI variables that count (RFC 3875 4.1), from whatever carries them: the environment or a
// FastCGI PARAMS stream. No other variable is ever looked at. A value; never throws.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "protocol/request.h"

namespace http01::transport {

struct CgiVariables {
  static constexpr std::array kNames{"REQUEST_METHOD", "REQUEST_URI", "HTTP_HOST",
                                     "REMOTE_ADDR",    "HTTPS",       "CONTENT_LENGTH"};

  protocol::RawRequest request;    // body_too_large by what CONTENT_LENGTH says
  std::size_t content_length = 0;  // 0 where it is not known, kMaxBody + 1 at most

  // Where a name comes twice the last one counts: a web server's later setting overrides.
  void set(std::string_view name, std::string_view value);
};

}  // namespace http01::transport
