// The CGI side (RFC 3875): one request from the environment and standard input, one answer to
// standard output. These calls block, within the times given. Never throws.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "protocol/request.h"

namespace http01::transport {

// getenv, or what a test puts in its place; nullopt: not set.
using CgiEnvironment = std::function<std::optional<std::string>(const char* name)>;

// Whether a web server started this process for one request: GATEWAY_INTERFACE is set and not
// empty.
bool is_cgi_environment(const CgiEnvironment& environment);

// How long a body is waited for: a client that sends it slowly must not hold the process.
struct CgiBodyTimes {
  base::Duration silence = std::chrono::seconds{1};  // since the last byte
  base::Duration total = std::chrono::seconds{3};
};

// The body is read to its end and dropped, within the times and 16 MB, also where it is too large:
// some web servers lose an answer that is written while they still write the body. Without a
// CONTENT_LENGTH there is a body only if HTTP_TRANSFER_ENCODING is set.
protocol::RawRequest read_cgi_request(const CgiEnvironment& environment, int body_fd,
                                      const CgiBodyTimes& times = {});

// Writes all of it; false where the reader has gone, takes nothing for `timeout`, or the descriptor
// fails. SIGPIPE must be blocked or ignored.
bool write_cgi_response(int fd, std::string_view response,
                        base::Duration timeout = std::chrono::seconds{5});

}  // namespace http01::transport
