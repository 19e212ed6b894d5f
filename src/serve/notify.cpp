#include "serve/notify.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>
#include <optional>
#include <utility>

#include "base/ascii.h"
#include "base/posix.h"

namespace http01 {
namespace {

constexpr const char* kSocketVariable = "NOTIFY_SOCKET";
constexpr const char* kWatchdogVariable = "WATCHDOG_USEC";
constexpr const char* kWatchdogPidVariable = "WATCHDOG_PID";

constexpr std::string_view kAlive = "WATCHDOG=1";

// Less than half of the time, as sd_watchdog_enabled(3) wants it, with room for one that is late.
constexpr std::uint64_t kFeedsPerTime = 3;
// However short the manager's patience is, the loop must not spin; however long, the sum must fit.
constexpr std::uint64_t kMinFeedMicroseconds = 10'000;
constexpr std::uint64_t kMaxFeedMicroseconds = 3'600'000'000;

// Empty counts as unset, as everywhere.
std::optional<std::string> value_of(const Environment& environment, const char* variable) {
  auto value = environment(variable);
  if (value && value->empty()) value.reset();
  return value;
}

std::uint64_t monotonic_microseconds() {
  // Clock is CLOCK_MONOTONIC, which the manager compares with.
  const auto now = base::Clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

}  // namespace

Notifier::Notifier(const Environment& environment) {
  const auto name = value_of(environment, kSocketVariable);
  if (!name) return;
  name_ = *name;
  open_socket();
  if (socket_) start_watchdog(environment);
}

Notifier::~Notifier() {
  if (loop_ == nullptr) return;
  loop_->forget(writable_);
  loop_->forget(feeding_);
}

void Notifier::open_socket() {
  const bool is_abstract = name_.starts_with('@');
  // A path needs a NUL byte behind it.
  const std::size_t most = sizeof address_.sun_path - (is_abstract ? 0 : 1);
  if ((!is_abstract && !name_.starts_with('/')) || name_.size() < 2 || name_.size() > most) {
    return report(std::string(kSocketVariable) + ": " + name_ +
                  " is neither a path nor @NAME: the service manager is not notified");
  }
  address_.sun_family = AF_UNIX;
  std::memcpy(address_.sun_path, name_.data(), name_.size());
  if (is_abstract) address_.sun_path[0] = '\0';
  address_size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size() +
                                         (is_abstract ? 0 : 1));
  socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_) return report("no socket for the service manager: " + base::error_text(errno));
  // A failure shows when the first message is sent, which tries again.
  connect();
}

// A timer of the kernel's: it goes on where there is no memory for one of the loop's.
void Notifier::start_watchdog(const Environment& environment) {
  const auto time = value_of(environment, kWatchdogVariable);
  const auto pid = value_of(environment, kWatchdogPidVariable);
  if (!time || (pid && base::parse_number<pid_t>(*pid) != ::getpid())) return;
  const auto microseconds = base::parse_number<std::uint64_t>(*time);
  if (!microseconds || *microseconds == 0) {
    return report(std::string(kWatchdogVariable) + ": " + *time +
                  " is not a number of microseconds: the watchdog is not fed");
  }
  const std::uint64_t every =
      std::clamp(*microseconds / kFeedsPerTime, kMinFeedMicroseconds, kMaxFeedMicroseconds);
  const timespec interval{static_cast<std::time_t>(every / 1'000'000),
                          static_cast<long>(every % 1'000'000 * 1000)};
  const itimerspec timer{interval, interval};
  watchdog_.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!watchdog_ || ::timerfd_settime(watchdog_.get(), 0, &timer, nullptr) != 0) {
    report("the watchdog is not fed: " + base::error_text(errno));
    watchdog_.reset();
  }
}

void Notifier::ready(base::Loop& loop, OnFault on_fault) {
  on_fault_ = std::move(on_fault);
  for (const std::string& fault : std::exchange(faults_, {})) on_fault_(fault);
  if (!socket_) return;
  loop_ = &loop;
  writable_ = loop.watch(socket_.get(), EPOLLONESHOT, [this](std::uint32_t) {
    if (unsent_) send_state();
    if (owes_feed_ && !unsent_) owes_feed_ = !try_to_send(kAlive);
  });
  if (watchdog_) {
    feeding_ = loop.watch(watchdog_.get(), EPOLLIN, [this](std::uint32_t) { feed_watchdog(); });
  }
  enter(State::kServing);
}

void Notifier::reload_begins() { enter(State::kReloading); }

void Notifier::reload_ends() { enter(State::kServing); }

void Notifier::stops() { enter(State::kStopping); }

void Notifier::enter(State state) {
  // A reload during a stop is no way back.
  if (!socket_ || state_ == State::kStopping) return;
  state_ = state;
  since_ = monotonic_microseconds();
  send_state();
}

void Notifier::send_state() {
  // Not a string: for a reload there may be no memory.
  std::array<char, 64> message{};
  switch (state_) {
    case State::kNone:
      return;
    case State::kServing:
      std::snprintf(message.data(), message.size(), "READY=1");
      break;
    case State::kReloading:
      std::snprintf(message.data(), message.size(), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, since_);
      break;
    case State::kStopping:
      std::snprintf(message.data(), message.size(), "STOPPING=1");
      break;
  }
  unsent_ = !try_to_send(message.data());
}

void Notifier::feed_watchdog() {
  std::uint64_t times = 0;
  if (::read(watchdog_.get(), &times, sizeof times) != sizeof times) return;
  if (unsent_) send_state();
  owes_feed_ = !try_to_send(kAlive);
}

bool Notifier::try_to_send(std::string_view message) {
  int error = send(message);
  // The manager's socket may have been made again. An abstract one is out of reach by now.
  if (error != 0 && !base::would_block(error) && !base::is_shortage(error)) {
    if (connect()) {
      error = send(message);
    } else if (error == ENOTCONN) {
      error = errno;
    }
  }
  if (error == 0) {
    gone_ = false;
    return true;
  }
  if (base::would_block(error)) {
    loop_->rewatch(writable_, EPOLLOUT | EPOLLONESHOT);
  } else if (!std::exchange(gone_, true)) {
    try {
      report(std::string(kSocketVariable) + ": " + name_ + ": " + base::error_text(error) +
             "; the service manager is not notified");
    } catch (const std::bad_alloc&) {
    }
  }
  return false;
}

int Notifier::send(std::string_view message) const {
  while (::send(socket_.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

bool Notifier::connect() const {
  return ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address_), address_size_) == 0;
}

void Notifier::report(std::string fault) {
  if (on_fault_) {
    on_fault_(fault);
  } else {
    faults_.push_back(std::move(fault));
  }
}

}  // namespace http01
