#include "transport/fastcgi.h"

#include <fcgiapp.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <csignal>
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
constexpr std::size_t kReadsAtOnce = 16;
constexpr int kRoundsPerTurn = 4;

// At the end of service: as many as may wait in a listening socket (net.core.somaxconn).
constexpr std::size_t kAcceptsAtDrain = 4096;

// How long accept() may wait, should somebody make the socket block between the look at its flags
// and the call: the shortest time that the kernel can count.
constexpr timeval kAcceptPatience{0, 1000};

// When the process or the kernel has no descriptor or memory left for a connection, the listening
// socket stays readable; looking away for a moment keeps the loop from spinning.
constexpr std::chrono::milliseconds kAcceptPause{50};

// A request has one or two KB.
constexpr std::size_t kReadSize = std::size_t{16} * 1024;

// Reads of one turn from a connection: what the largest request takes. When its time is over, no
// part of a request that is there lies unread.
constexpr int kReadsPerTurn = 16;

// Reads of one turn from a connection whose octets are thrown away.
constexpr int kDiscardsPerTurn = 16;

bool would_wait(int error) { return base::would_block(error) || error == EINTR; }

// The flags are those of the socket, not of this process: systemd has it block whenever it runs a
// command of a service with StandardInput=socket, ExecReload= too.
void keep_from_blocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) == 0) ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

// Reads and drops what is there, within bounds; true at the end of the stream.
bool discard(int fd) {
  std::array<char, kReadSize> buffer;
  for (int i = 0; i < kDiscardsPerTurn; ++i) {
    const ssize_t count = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (count > 0) continue;
    return count == 0 || !would_wait(errno);
  }
  return false;
}

}  // namespace

bool standard_input_is_fastcgi() {
  // FCGX_IsCGI runs FCGX_Init, which puts its own handlers over SIG_DFL and SIG_IGN.
  constexpr std::array kSignals{SIGPIPE, SIGTERM, SIGUSR1};
  std::array<struct sigaction, kSignals.size()> before{};
  for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], nullptr, &before[i]);
  const bool is_cgi = ::FCGX_IsCGI() != 0;
  for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before[i], nullptr);
  return !is_cgi;
}

FastCgiServer::FastCgiServer(base::Loop& loop, base::Fd listener, Handlers handlers,
                             FastCgiTimeouts timeouts)
    : loop_(loop), listener_(std::move(listener)), handlers_(std::move(handlers)) {
  stages_[Phase::kReading].limit = timeouts.read;
  stages_[Phase::kIdle].limit = timeouts.idle;
  stages_[Phase::kWriting].limit = timeouts.write;
  stages_[Phase::kLingering].limit = timeouts.linger;
  ::setsockopt(listener_.get(), SOL_SOCKET, SO_RCVTIMEO, &kAcceptPatience, sizeof kAcceptPatience);
  start_accepting();
}

FastCgiServer::~FastCgiServer() {
  loop_.forget(listener_watch_);
  loop_.cancel(pause_timer_);
  loop_.cancel(unread_timer_);
  for (const Stage& stage : stages_) {
    loop_.cancel(stage.timer);
    for (const Connection& connection : stage.connections) loop_.forget(connection.watch);
  }
}

std::size_t FastCgiServer::connections() const {
  std::size_t count = unread_.size();
  for (const Stage& stage : stages_) count += stage.connections.size();
  return count;
}

void FastCgiServer::start_accepting() {
  // Of the processes that share the socket, one is woken for a connection.
  listener_watch_ =
      loop_.watch(listener_.get(), EPOLLIN | EPOLLEXCLUSIVE, [this](std::uint32_t) { take_new(); });
}

void FastCgiServer::pause_accepting() {
  if (pause_timer_ != 0) return;
  loop_.forget(std::exchange(listener_watch_, 0));
  pause_timer_ = loop_.after(kAcceptPause, [this] {
    pause_timer_ = 0;
    try {
      start_accepting();
    } catch (const std::system_error&) {
      pause_accepting();
    }
  });
}

void FastCgiServer::take_new() {
  keep_from_blocking(listener_.get());
  for (int round = 0; round < kRoundsPerTurn; ++round) {
    // Paused, there is no watch.
    if (listener_watch_ != 0 && !accept_some(kAcceptsAtOnce)) pause_accepting();
    admit_some(kReadsAtOnce);
    if (unread_.empty()) return;
  }
  if (unread_timer_ != 0) return;
  unread_timer_ = loop_.at(loop_.now(), [this] {
    unread_timer_ = 0;
    take_new();
  });
}

// False where the kernel cannot give a connection for now.
bool FastCgiServer::accept_some(std::size_t limit) {
  for (std::size_t i = 0; i < limit && unread_.size() < max_unread_; ++i) {
    base::Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      unread_.push_back(std::move(fd));
      continue;
    }
    if (base::would_block(errno)) return true;
    if (errno != EINTR && errno != ECONNABORTED) return false;
  }
  return true;
}

void FastCgiServer::admit_some(std::size_t limit) {
  Connections& reading = stages_[Phase::kReading].connections;
  for (std::size_t i = 0; i < limit && !unread_.empty(); ++i) {
    const Position connection = reading.emplace(reading.end());
    connection->fd = std::move(unread_.front());
    unread_.pop_front();
    start_time(connection);
    // The request is mostly there already: it is then answered without a look at epoll.
    read(connection);
  }
}

void FastCgiServer::move_to(Position connection, Phase phase) {
  Connections& to = stages_[phase].connections;
  to.splice(to.end(), stages_[connection->phase].connections, connection);
  connection->phase = phase;
  if (phase != Phase::kHeld) start_time(connection);
}

void FastCgiServer::start_time(Position connection) {
  Stage& its_stage = stages_[connection->phase];
  connection->deadline = loop_.now() + its_stage.limit;
  if (its_stage.timer != 0) return;
  its_stage.timer = loop_.at(connection->deadline, [this, &its_stage] { expire(its_stage); });
}

void FastCgiServer::expire(Stage& stage) {
  stage.timer = 0;
  Connections& waiting = stage.connections;
  while (!waiting.empty() && waiting.front().deadline <= loop_.heard_until()) {
    close(waiting.begin());
  }
  if (waiting.empty()) return;
  stage.timer = loop_.at(waiting.front().deadline, [this, &stage] { expire(stage); });
}

// A hang-up or an error is always told, whatever events are waited for.
void FastCgiServer::wait_for(Position connection, std::uint32_t events) {
  if (connection->watch == 0) {
    try {
      connection->watch =
          loop_.watch(connection->fd.get(), events,
                      [this, connection](std::uint32_t seen) { on_events(connection, seen); });
    } catch (const std::system_error&) {
      close(connection);
      return;
    }
  } else if (connection->events != events) {
    loop_.rewatch(connection->watch, events);
  }
  connection->events = events;
}

void FastCgiServer::on_events(Position connection, std::uint32_t events) {
  const bool hung_up = (events & (EPOLLHUP | EPOLLERR)) != 0;
  switch (connection->phase) {
    case Phase::kReading:
    case Phase::kIdle:
      if (connection->unread.empty()) {
        read(connection);
      } else {
        const std::string octets = std::exchange(connection->unread, {});
        if (take(connection, octets)) read(connection);
      }
      return;
    case Phase::kHeld:
      // The other side's mere end of writing is not waited for: some shut down that half and listen
      // on.
      if (hung_up) close(connection);
      return;
    case Phase::kWriting:
      hung_up ? close(connection) : write(connection);
      return;
    case Phase::kLingering:
      if (discard(connection->fd.get())) close(connection);
      return;
  }
}

void FastCgiServer::read(Position connection) {
  std::array<char, kReadSize> buffer;
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const ssize_t count = ::recv(connection->fd.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && would_wait(errno)) break;
    if (count <= 0) {
      close(connection);
      return;
    }
    const bool all_read = count < static_cast<ssize_t>(buffer.size());
    connection->all_read = all_read;
    if (!take(connection, {buffer.data(), static_cast<std::size_t>(count)})) return;
    if (all_read) break;
  }
  wait_for(connection, EPOLLIN);
}

// True if the request needs more than these octets; otherwise the connection may be gone after.
bool FastCgiServer::take(Position connection, std::string_view octets) {
  const auto [status, consumed] = connection->reader.feed(octets);
  switch (status) {
    case RequestReader::Status::kNeedMore:
      if (connection->phase == Phase::kIdle) move_to(connection, Phase::kReading);
      return true;
    case RequestReader::Status::kRequest:
      connection->body_unread = false;
      hand_on(connection, octets.substr(consumed));
      break;
    case RequestReader::Status::kBodyTooLarge:
      connection->body_unread = true;
      hand_on(connection, {});
      break;
    case RequestReader::Status::kBad:
      close(connection);
      break;
  }
  return false;
}

void FastCgiServer::hand_on(Position connection, std::string_view rest) {
  const RequestId id = next_request_++;
  RequestReader& reader = connection->reader;
  connection->request = id;
  connection->fastcgi_id = reader.id();
  connection->keep = reader.keep_connection() && !connection->body_unread;
  if (connection->keep) connection->unread = rest;
  const protocol::RawRequest request = reader.take_request();
  reader = RequestReader();
  move_to(connection, Phase::kHeld);
  held_.emplace(id, connection);
  handlers_.request(id, request);
  // Answered from inside the handler, the connection may be gone.
  if (held_.contains(id)) wait_for(connection, 0);
}

void FastCgiServer::reply(RequestId id, const std::string& cgi) {
  const auto found = held_.find(id);
  if (found == held_.end()) return;
  const Position connection = found->second;
  held_.erase(found);
  connection->output = frame_answer(connection->fastcgi_id, cgi);
  move_to(connection, Phase::kWriting);
  write(connection);
}

void FastCgiServer::write(Position connection) {
  std::string& output = connection->output;
  const ssize_t count = ::send(connection->fd.get(), output.data(), output.size(), MSG_NOSIGNAL);
  if (count < 0 && !would_wait(errno)) {
    close(connection);
    return;
  }
  if (count > 0) output.erase(0, static_cast<std::size_t>(count));
  if (output.empty()) {
    finish(connection);
  } else {
    wait_for(connection, EPOLLOUT);
  }
}

void FastCgiServer::finish(Position connection) {
  if (connection->body_unread) {
    ::shutdown(connection->fd.get(), SHUT_WR);
    move_to(connection, Phase::kLingering);
    wait_for(connection, EPOLLIN);
  } else if (connection->keep && !draining_) {
    std::string().swap(connection->output);  // gives its memory back
    const bool more = !connection->unread.empty();
    move_to(connection, more ? Phase::kReading : Phase::kIdle);
    // The next request is read in a turn of its own, never from inside reply(): a connection that
    // can be written to brings that turn at once.
    wait_for(connection, more ? EPOLLIN | EPOLLOUT : EPOLLIN);
  } else {
    // Closing over octets that nobody has read resets the connection and could eat the answer. A
    // request that was answered as soon as it was read has had no time to be followed by any.
    if (connection->watch != 0 || !connection->all_read) discard(connection->fd.get());
    close(connection);
  }
}

void FastCgiServer::close(Position connection) {
  const bool was_held = connection->phase == Phase::kHeld;
  const RequestId request = connection->request;
  loop_.forget(connection->watch);
  if (was_held) held_.erase(request);
  stages_[connection->phase].connections.erase(connection);
  if (was_held) handlers_.gone(request);
  tell_if_drained();
}

void FastCgiServer::drain(std::function<void()> drained) {
  drained_ = std::move(drained);
  if (!draining_) {
    loop_.forget(std::exchange(listener_watch_, 0));
    loop_.cancel(std::exchange(pause_timer_, 0));
    loop_.cancel(std::exchange(unread_timer_, 0));
    // To the web server these are connected; closing the socket would reset them.
    keep_from_blocking(listener_.get());
    max_unread_ = kAcceptsAtDrain;
    accept_some(kAcceptsAtDrain);
    listener_.reset();
    admit_some(unread_.size());
    draining_ = true;
    Connections& idle = stages_[Phase::kIdle].connections;
    while (!idle.empty()) close(idle.begin());
  }
  tell_if_drained();
}

void FastCgiServer::tell_if_drained() {
  if (!draining_ || !drained_ || connections() != 0) return;
  loop_.defer(std::exchange(drained_, nullptr));
}

}  // namespace http01::transport
