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

// A body of up to RawRequest::kMaxBody octets is read from `body_fd` and dropped, until it is all
// there, ends, or `timeout` has passed; a larger one is not touched.
protocol::RawRequest read_cgi_request(const CgiEnvironment& environment, int body_fd,
                                      base::Duration timeout = std::chrono::seconds{3});

// Writes all of it; false where the reader has gone, takes nothing for `timeout`, or the descriptor
// fails. SIGPIPE must be blocked or ignored.
bool write_cgi_response(int fd, std::string_view response,
                        base::Duration timeout = std::chrono::seconds{5});

}  // namespace http01::transport
