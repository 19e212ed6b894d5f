#include "transport/fastcgi.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

#include "base/posix.h"

namespace http01::transport {
namespace {

// What the system refuses to a connection, a watch or memory for its octets, is asked for again
// after so long.
constexpr std::chrono::milliseconds kRetryPause{50};

// A request has one or two KB.
constexpr std::size_t kReadSize = std::size_t{16} * 1024;

// Reads of one turn from a connection: what the largest request takes. When its time is over, no
// part of a request that is there lies unread.
constexpr int kReadsPerTurn = 16;

// Reads of one turn from a connection whose octets are thrown away.
constexpr int kDiscardsPerTurn = 16;

bool would_wait(int error) { return base::would_block(error) || error == EINTR; }

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

FastCgiServer::FastCgiServer(base::Loop& loop, base::Fd listener, Handlers handlers,
                             FastCgiTimeouts timeouts)
    : loop_(loop),
      handlers_(std::move(handlers)),
      acceptor_(loop, std::move(listener), [this](base::Fd fd) { admit(std::move(fd)); }) {
  stages_[Phase::kReading].limit = timeouts.read;
  stages_[Phase::kIdle].limit = timeouts.idle;
  stages_[Phase::kWriting].limit = timeouts.write;
  stages_[Phase::kLingering].limit = timeouts.linger;
}

FastCgiServer::~FastCgiServer() {
  loop_.cancel(retry_timer_);
  loop_.cancel(trim_timer_);
  for (const Stage& stage : stages_) {
    loop_.cancel(stage.timer);
    for (const Connection& connection : stage.connections) loop_.forget(connection.watch);
  }
}

std::size_t FastCgiServer::connections() const {
  std::size_t count = acceptor_.waiting();
  for (const Stage& stage : stages_) count += stage.connections.size();
  return count;
}

void FastCgiServer::admit(base::Fd fd) {
  Connections& reading = stages_[Phase::kReading].connections;
  Position connection;
  try {
    connection = reading.emplace(reading.end());
  } catch (const std::bad_alloc&) {
    return;
  }
  connection->fd = std::move(fd);
  start_time(connection);
  // The request is mostly there already: it is then answered without a look at epoll.
  read(connection);
}

void FastCgiServer::start_time(Position connection) {
  Stage& its_stage = stages_[connection->phase];
  connection->deadline = loop_.now() + its_stage.limit;
  if (its_stage.timer == 0) set_timer(its_stage);
}

// Without memory for it, the timer is set with the next connection of this phase.
void FastCgiServer::set_timer(Stage& stage) {
  try {
    stage.timer = loop_.at(stage.connections.front().deadline, [this, &stage] { expire(stage); });
  } catch (const std::bad_alloc&) {
  }
}

void FastCgiServer::expire(Stage& stage) {
  stage.timer = 0;
  Connections& waiting = stage.connections;
  while (!waiting.empty() && waiting.front().deadline <= loop_.heard_until()) {
    close(waiting.begin());
  }
  if (!waiting.empty()) set_timer(stage);
}

// A hang-up or an error is always told, whatever events are waited for.
void FastCgiServer::wait_for(Position connection, std::uint32_t events) {
  if (connection->watch == 0) {
    try {
      connection->watch =
          loop_.watch(connection->fd.get(), events,
                      [this, connection](std::uint32_t seen) { on_events(connection, seen); });
    } catch (const std::exception&) {
      retry_later(connection);
      return;
    }
  } else if (connection->events != events && !loop_.rewatch(connection->watch, events)) {
    retry_later(connection);
    return;
  }
  connection->events = events;
}

// A connection that the kernel does not watch for us is looked after by a timer.
void FastCgiServer::retry_later(Position connection) {
  loop_.forget(std::exchange(connection->watch, 0));
  if (retry_timer_ != 0) return;
  try {
    retry_timer_ = loop_.after(kRetryPause, [this] { retry(); });
  } catch (const std::bad_alloc&) {
    close(connection);
  }
}

void FastCgiServer::retry() {
  retry_timer_ = 0;
  for (Stage& stage : stages_) {
    Position next = stage.connections.begin();
    for (std::size_t left = stage.connections.size(); left > 0; --left) {
      const Position connection = next++;
      if (connection->watch == 0) on_events(connection, EPOLLIN | EPOLLOUT);
    }
  }
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
      if (hung_up) {
        close(connection);
      } else if (connection->deaf) {
        listen(connection);
      } else {
        read(connection);
      }
      return;
    case Phase::kWriting:
      hung_up ? close(connection) : write(connection);
      return;
    case Phase::kLingering:
      discard(connection->fd.get()) ? close(connection) : wait_for(connection, EPOLLIN);
      return;
  }
}

void FastCgiServer::read(Position connection) {
  std::array<char, kReadSize> buffer;
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const ssize_t count = ::recv(connection->fd.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && would_wait(errno)) break;
    if (count < 0 && base::is_shortage(errno)) {
      retry_later(connection);
      return;
    }
    // Some shut down their half of the connection and wait for the answer.
    if (count == 0 && connection->phase == Phase::kHeld) {
      connection->deaf = true;
      break;
    }
    if (count <= 0) {
      close(connection);
      return;
    }
    const bool all_read = count < static_cast<ssize_t>(buffer.size());
    connection->all_read = all_read;
    if (!take(connection, {buffer.data(), static_cast<std::size_t>(count)})) return;
    if (all_read) break;
  }
  listen(connection);
}

// Waits for more, and sends what is to be replied meanwhile.
void FastCgiServer::listen(Position connection) {
  if (!send_output(connection)) return;
  if (!connection->output.empty() && !has_room(connection)) return;
  const std::uint32_t in = connection->deaf ? 0u : std::uint32_t{EPOLLIN};
  wait_for(connection, connection->output.empty() ? in : in | EPOLLOUT);
}

// True if more is to be read than these octets; otherwise the connection may be gone after.
bool FastCgiServer::take(Position connection, std::string_view octets) {
  try {
    return take_octets(connection, octets);
  } catch (const std::bad_alloc&) {
    close(connection);
    return false;
  }
}

// Throws std::bad_alloc while the connection is there, and nothing has been handed on.
bool FastCgiServer::take_octets(Position connection, std::string_view octets) {
  RequestReader& reader = connection->reader;
  const auto [status, consumed] = reader.feed(octets);
  const std::string_view rest = octets.substr(consumed);
  if (reader.has_replies()) connection->output += reader.take_replies();
  switch (status) {
    case RequestReader::Status::kNeedMore:
      if (connection->phase == Phase::kIdle && reader.has_begun()) {
        move_to(connection, Phase::kReading);
      }
      return has_room(connection);
    case RequestReader::Status::kRequest:
      connection->body_unread = false;
      hand_on(connection, rest);
      break;
    case RequestReader::Status::kBodyTooLarge:
      connection->body_unread = true;
      hand_on(connection, {});
      break;
    case RequestReader::Status::kEnded:
      end(connection, rest);
      break;
    case RequestReader::Status::kNext:
      connection->unread = rest;
      connection->deaf = true;
      if (has_room(connection)) listen(connection);
      break;
    case RequestReader::Status::kBad:
      if (const std::string_view foreign = reader.foreign_octets();
          !foreign.empty() && handlers_.foreign) {
        handlers_.foreign(recognize_foreign(foreign));
      }
      close(connection);
      break;
  }
  return false;
}

void FastCgiServer::hand_on(Position connection, std::string_view rest) {
  const RequestId id = next_request_++;
  RequestReader& reader = connection->reader;
  connection->request = id;
  connection->keep = reader.keep_connection() && !connection->body_unread;
  connection->deaf = connection->body_unread;
  connection->unread = rest;
  const protocol::RawRequest request = reader.take_request();
  move_to(connection, Phase::kHeld);
  held_.emplace(id, connection);
  handlers_.request(id, request);  // which does not throw
  // Answered from inside the handler, the connection may be gone.
  if (!held_.contains(id)) return;
  const std::string unread = std::exchange(connection->unread, {});
  if (unread.empty() || take(connection, unread)) listen(connection);
}

// The web server wants no answer any more, or none that there is: END_REQUEST is in the output.
void FastCgiServer::end(Position connection, std::string_view rest) {
  const RequestId given_up = connection->phase == Phase::kHeld ? connection->request : 0;
  held_.erase(given_up);
  connection->keep = connection->reader.keep_connection();
  connection->body_unread = !connection->keep;
  connection->unread = rest;
  move_to(connection, Phase::kWriting);
  write(connection);
  if (given_up != 0) handlers_.gone(given_up);
}

void FastCgiServer::reply(RequestId id, const std::string& cgi) {
  const auto found = held_.find(id);
  if (found == held_.end()) return;
  const Position connection = found->second;
  held_.erase(found);
  move_to(connection, Phase::kWriting);
  try {
    connection->output += frame_answer(connection->reader.id(), cgi);
  } catch (const std::bad_alloc&) {
    close(connection);
    return;
  }
  connection->reader.answered();
  write(connection);
}

// False if the connection is not to be touched any more for now.
bool FastCgiServer::send_output(Position connection) {
  std::string& output = connection->output;
  if (output.empty()) return true;
  const ssize_t count = ::send(connection->fd.get(), output.data(), output.size(), MSG_NOSIGNAL);
  if (count < 0 && base::is_shortage(errno)) {
    retry_later(connection);
    return false;
  }
  if (count < 0 && !would_wait(errno)) {
    close(connection);
    return false;
  }
  if (count > 0) output.erase(0, static_cast<std::size_t>(count));
  return true;
}

void FastCgiServer::write(Position connection) {
  if (!send_output(connection)) return;
  if (connection->output.empty()) {
    finish(connection);
  } else if (has_room(connection)) {
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
    connection->deaf = false;
    const bool more = !connection->unread.empty() || connection->reader.has_begun();
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
  stages_[connection->phase].kept -= connection->kept;
  stages_[connection->phase].connections.erase(connection);
  if (was_held) handlers_.gone(request);
  acceptor_.keep_on();
  tell_if_drained();
}

void FastCgiServer::drain(std::function<void()> drained) {
  drained_ = std::move(drained);
  if (!draining_) {
    acceptor_.finish();
    draining_ = true;
    Connections& idle = stages_[Phase::kIdle].connections;
    while (!idle.empty()) close(idle.begin());
  }
  tell_if_drained();
}

void FastCgiServer::tell_if_drained() {
  if (!draining_ || !drained_ || connections() != 0) return;
  try {
    loop_.defer([this] {
      if (drained_) std::exchange(drained_, nullptr)();
    });
  } catch (const std::bad_alloc&) {
    // The owner has a limit of time for this.
  }
}

}  // namespace http01::transport
