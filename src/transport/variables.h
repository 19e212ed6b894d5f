// The CGI variables that count (RFC 3875 4.1), from whatever carries them: the environment or a
// FastCGI PARAMS stream. No other variable is ever looked at. A value; never throws.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/request.h"

namespace http01::transport {

// Of the value of this variable no request has more octets that is served, whatever else it has. Of
// a longer value the beginning is enough.
std::size_t max_value(std::string_view name);

struct CgiVariables {
  static constexpr std::array kNames{"REQUEST_METHOD", "REQUEST_URI", "HTTP_HOST",
                                     "REMOTE_ADDR",    "HTTPS",       "CONTENT_LENGTH"};

  protocol::RawRequest request;                 // body_too_large by what CONTENT_LENGTH says
  std::optional<std::uint64_t> content_length;  // nullopt where it is not known

  // Where a name comes twice the last one counts: a web server's later setting overrides. A value
  // is cut behind max_value() octets, a path in a way that it still is too long.
  void set(std::string_view name, std::string_view value) {
    // Of the thirty variables of a request most are no name's size.
    if (name.size() < 32 && (kSizes >> name.size() & 1) != 0) set_known(name, value);
  }

 private:
  static constexpr std::uint32_t kSizes = [] {
    std::uint32_t sizes = 0;
    for (const std::string_view name : kNames) sizes |= std::uint32_t{1} << name.size();
    return sizes;
  }();

  void set_known(std::string_view name, std::string_view value);
};

// The variables that name the path where a web server sets no REQUEST_URI, or an empty one. The
// server has percent-decoded the first two, and not the query (RFC 3875 4.1.5, 4.1.7, 4.1.13).
struct PathVariables {
  static constexpr std::array kNames{"SCRIPT_NAME", "PATH_INFO", "QUERY_STRING"};

  std::string script_name;
  std::string path_info;
  std::string query;

  void set(std::string_view name, std::string_view value);

  // Takes the place of REQUEST_URI; "" where no variable is set. '%', '?' and '#' of the path are
  // encoded again. All other bytes stay, so that those that may not be in a path are still refused.
  std::string uri() const;
};

}  // namespace http01::transport
