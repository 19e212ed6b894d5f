#include "transport/cgi.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <utility>

#include "base/posix.h"
#include "transport/variables.h"

namespace http01::transport {
namespace {

// False once the deadline has passed with nothing to do. A descriptor that has ended or failed is
// ready: the read or write says so.
bool wait_until_ready(int fd, short events, base::TimePoint deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - base::Clock::now());
    pollfd entry{fd, events, 0};
    const int count = ::poll(&entry, 1, static_cast<int>(std::max<long>(left.count(), 0)));
    if (count > 0) return true;
    if (count == 0 || errno != EINTR) return false;
  }
}

bool is_passing(int error) { return error == EINTR || base::would_block(error); }

// A web server that still writes the body when this process ends may take the answer for lost.
void discard_body(int fd, std::size_t left, base::TimePoint deadline) {
  std::array<char, 4096> buffer;
  while (left > 0 && wait_until_ready(fd, POLLIN, deadline)) {
    const ssize_t count = ::read(fd, buffer.data(), std::min(left, buffer.size()));
    if (count == 0 || (count < 0 && !is_passing(errno))) return;
    if (count > 0) left -= static_cast<std::size_t>(count);
  }
}

}  // namespace

bool is_cgi_environment(const CgiEnvironment& environment) {
  const auto interface = environment("GATEWAY_INTERFACE");
  return interface && !interface->empty();
}

protocol::RawRequest read_cgi_request(const CgiEnvironment& environment, int body_fd,
                                      base::Duration timeout) {
  CgiVariables variables;
  for (const char* name : CgiVariables::kNames) {
    if (const auto value = environment(name)) variables.set(name, *value);
  }
  if (!variables.request.body_too_large) {
    discard_body(body_fd, variables.content_length, base::Clock::now() + timeout);
  }
  return std::move(variables.request);
}

bool write_cgi_response(int fd, std::string_view response, base::Duration timeout) {
  while (!response.empty()) {
    if (!wait_until_ready(fd, POLLOUT, base::Clock::now() + timeout)) return false;
    // So much a pipe that is ready takes without blocking, whatever its flags (pipe(7)).
    const ssize_t count =
        ::write(fd, response.data(), std::min<std::size_t>(response.size(), PIPE_BUF));
    if (count < 0 && !is_passing(errno)) return false;
    if (count > 0) response.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

}  // namespace http01::transport
