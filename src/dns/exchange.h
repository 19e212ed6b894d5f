// One packet to one server on a socket of its own, and what comes back on it: over UDP connected,
// so that the kernel picks a fresh port, drops what strangers send and says at once that nobody
// listens; or over TCP (RFC 7766), in as many pieces as it pleases the other side. Its owner is
// called from the loop and then takes what there is with receive(). The loop must outlive it; one
// thread; never throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/ip_address.h"
#include "base/loop.h"
#include "dns/message.h"
#include "protocol/answer.h"

namespace http01::dns {

class Exchange {
 public:
  explicit Exchange(base::Loop& loop) : loop_(loop) {}
  ~Exchange() { close(); }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  enum class Opened : std::uint8_t {
    kYes,
    kFailed,    // the server cannot be reached
    kNoSocket,  // the machine gives no more sockets
    kNoMemory,  // there is none for the socket
  };

  // Closes what was open. `on_ready` is called from the loop, never from here.
  Opened open(const base::Endpoint& server, bool tcp, std::vector<std::uint8_t> packet,
              base::Loop::OnEvents on_ready);
  void close();
  // Why open() has failed.
  protocol::Cause cause() const { return cause_; }

  struct Received {
    enum class What : std::uint8_t {
      kNothing,
      kConnected,  // TCP: the packet has been written
      kMessage,
      kError
    } what = What::kNothing;
    // Until the next call; of one that is too large the first kMaxMessage + 1 octets.
    Bytes message{};
    protocol::Cause cause = protocol::Cause::kNone;  // of kError, as Query::on_error() takes it
  };
  // To be called until it says kNothing, or something closes the exchange. `buffer` has room for
  // kMaxMessage + 1 octets.
  Received receive(std::span<std::uint8_t> buffer);

 private:
  Received receive_datagram(std::span<std::uint8_t> buffer);
  Received receive_from_stream();
  bool write_some();

  base::Loop& loop_;
  base::Fd socket_;
  base::Loop::WatchId watch_ = 0;
  bool tcp_ = false;
  protocol::Cause cause_ = protocol::Cause::kNone;
  std::vector<std::uint8_t> out_;  // TCP: what is still to be written
  std::vector<std::uint8_t> in_;   // TCP: the length and the message, as far as they are here
  bool handed_on_ = false;         // TCP: in_ holds a message that was given to the owner
  bool out_of_step_ = false;       // TCP: the rest of a message that is too large comes next
};

}  // namespace http01::dns
