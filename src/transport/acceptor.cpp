#include "transport/acceptor.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <new>
#include <system_error>
#include <utility>

#include "base/posix.h"

namespace http01::transport {
namespace {

// A request costs many times what it costs to accept its connection, and a web server that finds
// the kernel's queue full fails its client at once. So in a rush more are accepted than read: up to
// 64, then 16 are read, four times in a turn of the loop, so that the rush does not starve the
// others. Not simply all: other processes that share the socket are to have their part.
constexpr std::size_t kAcceptsAtOnce = 64;
constexpr std::size_t kHandedOnAtOnce = 16;
constexpr int kRoundsPerTurn = 4;

// At the end of service: as many as may wait in a listening socket (net.core.somaxconn).
constexpr std::size_t kAcceptsAtEnd = 4096;

// How long accept() may wait, should somebody make the socket block between the look at its flags
// and the call: the shortest time that the kernel can count.
constexpr timeval kAcceptPatience{0, 1000};

// When the process or the kernel has no descriptor or memory left for a connection, the listening
// socket stays readable; looking away for a moment keeps the loop from spinning.
constexpr std::chrono::milliseconds kPause{50};

// The flags are those of the socket, not of this process: systemd has it block whenever it runs a
// command of a service with StandardInput=socket, ExecReload= too.
void keep_from_blocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) == 0) ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

}  // namespace

Acceptor::Acceptor(base::Loop& loop, base::Fd listener, OnConnection on_connection)
    : loop_(loop), listener_(std::move(listener)), on_connection_(std::move(on_connection)) {
  ::setsockopt(listener_.get(), SOL_SOCKET, SO_RCVTIMEO, &kAcceptPatience, sizeof kAcceptPatience);
  start();
}

Acceptor::~Acceptor() {
  loop_.forget(watch_);
  loop_.cancel(pause_timer_);
  loop_.cancel(waiting_timer_);
}

void Acceptor::start() {
  // Of the processes that share the socket, one is woken for a connection.
  watch_ =
      loop_.watch(listener_.get(), EPOLLIN | EPOLLEXCLUSIVE, [this](std::uint32_t) { take_new(); });
}

void Acceptor::pause() {
  if (pause_timer_ != 0) return;
  try {
    pause_timer_ = loop_.after(kPause, [this] {
      pause_timer_ = 0;
      try {
        start();
      } catch (const std::exception&) {
        pause();
      }
    });
  } catch (const std::bad_alloc&) {
    return;  // better watched all the time than never again
  }
  loop_.forget(std::exchange(watch_, 0));
}

void Acceptor::keep_on() {
  if (listener_ && watch_ == 0) pause();
}

void Acceptor::take_new() {
  keep_from_blocking(listener_.get());
  for (int round = 0; round < kRoundsPerTurn; ++round) {
    // Paused, there is no watch.
    if (watch_ != 0 && !accept_some(kAcceptsAtOnce)) pause();
    hand_on_some(kHandedOnAtOnce);
    if (waiting_.empty()) return;
  }
  if (waiting_timer_ != 0) return;
  try {
    waiting_timer_ = loop_.at(loop_.now(), [this] {
      waiting_timer_ = 0;
      take_new();
    });
  } catch (const std::bad_alloc&) {
    hand_on_some(waiting_.size());
  }
}

// False where the system cannot give a connection for now.
bool Acceptor::accept_some(std::size_t limit) {
  for (std::size_t i = 0; i < limit && waiting_.size() < max_waiting_; ++i) {
    base::Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      try {
        waiting_.push_back(std::move(fd));
      } catch (const std::bad_alloc&) {
        return false;
      }
      continue;
    }
    if (base::would_block(errno)) return true;
    if (errno != EINTR && errno != ECONNABORTED) return false;
  }
  return true;
}

void Acceptor::hand_on_some(std::size_t limit) {
  for (std::size_t i = 0; i < limit && !waiting_.empty(); ++i) {
    base::Fd fd = std::move(waiting_.front());
    waiting_.pop_front();
    on_connection_(std::move(fd));
  }
}

void Acceptor::finish() {
  loop_.forget(std::exchange(watch_, 0));
  loop_.cancel(std::exchange(pause_timer_, 0));
  loop_.cancel(std::exchange(waiting_timer_, 0));
  if (!listener_) return;
  // To the web server these are connected; closing the socket would reset them.
  keep_from_blocking(listener_.get());
  max_waiting_ = kAcceptsAtEnd;
  accept_some(kAcceptsAtEnd);
  listener_.reset();
  hand_on_some(waiting_.size());
}

}  // namespace http01::transport
