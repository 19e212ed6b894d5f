#include "dns/exchange.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/posix.h"

namespace http01::dns {

using protocol::Cause;

namespace {

constexpr std::size_t kPrefixOctets = 2;

// EAGAIN: connect() found no free port.
bool is_shortage(int error) { return base::is_shortage(error) || error == EAGAIN; }

Cause cause_of(int error) {
  switch (error) {
    case ECONNREFUSED:
      return Cause::kConnectionRefused;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EACCES:  // a broadcast address, or a rule of this machine
    case EPERM:
      return Cause::kUnreachable;
    default:
      return Cause::kNone;
  }
}

Exchange::Received failure(int error) {
  return {Exchange::Received::What::kError, {}, cause_of(error)};
}

}  // namespace

Exchange::Opened Exchange::open(const base::Endpoint& server, bool tcp,
                                std::vector<std::uint8_t> packet, base::Loop::OnEvents on_ready) {
  close();
  const auto failed = [this](int error) {
    close();
    cause_ = cause_of(error);
    return is_shortage(error) ? Opened::kNoSocket : Opened::kFailed;
  };

  sockaddr_storage address;
  const socklen_t address_size = server.to_sockaddr(address);
  tcp_ = tcp;
  socket_.reset(::socket(address.ss_family,
                         (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_) return failed(errno);
  if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), address_size) != 0 &&
      errno != EINPROGRESS) {
    return failed(errno);
  }
  if (tcp) {
    // Length and message go out together (RFC 7766 8).
    out_.resize(kPrefixOctets + packet.size());
    out_[0] = static_cast<std::uint8_t>(packet.size() >> 8);
    out_[1] = static_cast<std::uint8_t>(packet.size());
    std::ranges::copy(packet, out_.begin() + kPrefixOctets);
  } else if (::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0 &&
             !base::would_block(errno)) {
    // A datagram for which there is no room is a lost one.
    return failed(errno);
  }
  try {
    watch_ = loop_.watch(socket_.get(), tcp ? EPOLLOUT : EPOLLIN, std::move(on_ready));
  } catch (const std::system_error&) {
    close();
    return Opened::kNoSocket;
  }
  return Opened::kYes;
}

void Exchange::close() {
  if (watch_ != 0) loop_.forget(std::exchange(watch_, 0));
  socket_.reset();
  out_ = {};
  in_ = {};
  handed_on_ = false;
  out_of_step_ = false;
}

Exchange::Received Exchange::receive(std::span<std::uint8_t> buffer) {
  if (!socket_) return {};
  if (!tcp_) return receive_datagram(buffer);
  if (!out_.empty()) {
    if (!write_some()) return failure(errno);
    if (!out_.empty()) return {};
    if (!loop_.rewatch(watch_, EPOLLIN)) return failure(0);
    return {Received::What::kConnected};
  }
  return receive_from_stream();
}

Exchange::Received Exchange::receive_datagram(std::span<std::uint8_t> buffer) {
  ssize_t size;
  do {
    size = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
  } while (size < 0 && errno == EINTR);
  if (size >= 0) return {Received::What::kMessage, buffer.first(static_cast<std::size_t>(size))};
  return base::would_block(errno) ? Received{} : failure(errno);
}

// False if the connection is broken; a connection that could not be made says so here too.
bool Exchange::write_some() {
  const ssize_t written = ::send(socket_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
  if (written < 0) return base::would_block(errno) || errno == EINTR;
  out_.erase(out_.begin(), out_.begin() + written);
  return true;
}

Exchange::Received Exchange::receive_from_stream() {
  if (handed_on_) {
    in_.clear();
    handed_on_ = false;
  }
  if (out_of_step_) return failure(0);
  while (true) {
    std::size_t wanted = kPrefixOctets;
    if (in_.size() >= kPrefixOctets) {
      const std::size_t announced = static_cast<std::size_t>(in_[0] << 8 | in_[1]);
      const std::size_t taken = std::min(announced, kMaxMessage + 1);
      wanted += taken;
      if (in_.size() == wanted) {
        handed_on_ = true;
        out_of_step_ = taken != announced;
        return {Received::What::kMessage, Bytes(in_).subspan(kPrefixOctets)};
      }
    }
    const std::size_t had = in_.size();
    in_.resize(wanted);
    const ssize_t got = ::recv(socket_.get(), in_.data() + had, wanted - had, 0);
    const int error = errno;
    in_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got > 0 || (got < 0 && error == EINTR)) continue;
    if (got < 0 && base::would_block(error)) return {};
    return failure(got < 0 ? error : 0);
  }
}

}  // namespace http01::dns
