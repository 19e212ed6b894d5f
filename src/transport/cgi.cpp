#include "transport/cgi.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <ctime>
#include <utility>

#include "base/posix.h"
#include "transport/variables.h"

namespace http01::transport {
namespace {

// What the system refuses for want of memory is asked for again, so often and with such pauses.
constexpr int kRefusals = 10;
void pause() {
  const timespec moment{0, 10'000'000};
  ::nanosleep(&moment, nullptr);
}

// False once the deadline has passed with nothing to do. A descriptor that has ended or failed is
// ready: the read or write says so. Where the system does not let us wait, only a write is tried:
// an answer fits into a pipe at once, mostly, but a body may never come.
bool wait_until_ready(int fd, short events, base::TimePoint deadline) {
  int refusals = 0;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - base::Clock::now());
    pollfd entry{fd, events, 0};
    const int count = ::poll(&entry, 1, static_cast<int>(std::max<long>(left.count(), 0)));
    if (count > 0) return true;
    if (count == 0) return false;
    if (errno == EINTR) continue;
    if (++refusals == kRefusals) return events == POLLOUT;
    pause();
  }
}

bool is_passing(int error) { return error == EINTR || base::would_block(error); }

// Apache's mod_cgid loses an answer if bytes are left unread, fcgiwrap makes it a 502. Larger
// bodies than this are an attack, and their answer may be lost.
constexpr std::uint64_t kMaxRead = std::uint64_t{16} * 1024 * 1024;

// Reads `left` bytes or up to the end, within the times. Returns how many there were.
std::uint64_t discard_body(int fd, std::uint64_t left, const CgiBodyTimes& times) {
  left = std::min(left, kMaxRead);
  std::uint64_t total = 0;
  std::array<char, 16384> buffer;
  const base::TimePoint end = base::Clock::now() + times.total;
  while (left > 0 &&
         wait_until_ready(fd, POLLIN, std::min(end, base::Clock::now() + times.silence))) {
    const ssize_t count = ::read(fd, buffer.data(), std::min<std::uint64_t>(left, buffer.size()));
    if (count == 0 || (count < 0 && !is_passing(errno))) break;
    if (count < 0) continue;
    total += static_cast<std::uint64_t>(count);
    left -= static_cast<std::uint64_t>(count);
  }
  return total;
}

void read_body(const CgiEnvironment& environment, int fd, const CgiBodyTimes& times,
               CgiVariables& variables) {
  if (variables.content_length) {
    discard_body(fd, *variables.content_length, times);
  } else if (environment("HTTP_TRANSFER_ENCODING")) {
    const std::uint64_t size = discard_body(fd, kMaxRead, times);
    variables.request.body_too_large = size > protocol::RawRequest::kMaxBody;
  }
}

}  // namespace

bool is_cgi_environment(const CgiEnvironment& environment) {
  const auto interface = environment("GATEWAY_INTERFACE");
  return interface && !interface->empty();
}

protocol::RawRequest read_cgi_request(const CgiEnvironment& environment, int body_fd,
                                      const CgiBodyTimes& times) {
  CgiVariables variables;
  for (const char* name : CgiVariables::kNames) {
    if (const auto value = environment(name)) variables.set(name, *value);
  }
  if (variables.request.uri.empty()) {
    PathVariables path;
    for (const char* name : PathVariables::kNames) {
      if (const auto value = environment(name)) path.set(name, *value);
    }
    variables.request.uri = path.uri();
  }
  read_body(environment, body_fd, times, variables);
  return std::move(variables.request);
}

bool write_cgi_response(int fd, std::string_view response, base::Duration timeout) {
  int refusals = 0;
  while (!response.empty()) {
    if (!wait_until_ready(fd, POLLOUT, base::Clock::now() + timeout)) return false;
    // So much a pipe that is ready takes without blocking, whatever its flags (pipe(7)).
    const ssize_t count =
        ::write(fd, response.data(), std::min<std::size_t>(response.size(), PIPE_BUF));
    if (count < 0 && base::is_shortage(errno) && ++refusals < kRefusals) {
      pause();
      continue;
    }
    if (count < 0 && !is_passing(errno)) return false;
    if (count > 0) response.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

}  // namespace http01::transport
