// One look-up as a state machine (RFC 1035 7.2, RFC 5452, RFC 7766): which server to ask now, in
// which form, until when, and when the answer is there. No socket and no clock: it is told what
// happened. One try is under way at a time; an earlier one is forgotten, except the first to a
// server that is asked again at once: a server that takes its time for each query answers that one
// first. Never throws.
//
// A try that meets silence is followed by one in another form, so that a forwarder that drops EDNS,
// or answers over TCP only, is understood by the third try. A server that answers over UDP is never
// asked over TCP for being silent. `Servers` remembers what worked.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "dns/message.h"
#include "dns/server_status.h"
#include "protocol/answer.h"

namespace http01::dns {

// Where message ids come from; must outlive the queries.
class Ids {
 public:
  virtual std::uint16_t next() = 0;

 protected:
  ~Ids() = default;
};

enum class Form : std::uint8_t {
  kEdns,   // over UDP with EDNS
  kPlain,  // over UDP without
  kTcp,    // over TCP, where EDNS has no use
};

// Close the socket of the try before (or see `first`), ask on a new one, call on_timeout() at
// `until`.
struct Send {
  enum class Why : std::uint8_t {
    kTurn,       // this is how the server is asked at first
    kGlance,     // to see whether a better form works again; no answer means nothing
    kSilence,    // no answer came to another form
    kTruncated,  // over TCP: the answer did not fit a datagram
    kForgeries,  // over TCP: too many answers with a wrong id
  };

  std::size_t server = 0;  // its place in the order given
  bool tcp = false;
  bool edns = true;
  Why why = Why::kTurn;
  std::uint16_t id = 0;
  base::TimePoint until;
  // The packet with this id may still be answered: its socket may stay open, for on_late_packet().
  std::optional<std::uint16_t> first{};
};
// Nothing new: the time-out of the last Send still holds.
struct Wait {};
using Next = std::variant<Send, Wait, protocol::Answer>;

class Query {
 public:
  // Each of them may be a forgery, or a late answer to the same port.
  static constexpr int kMaxForeign = 16;
  // How long a glance waits for its answer.
  static constexpr std::chrono::milliseconds kGlance{100};

  // How to ask a server.
  struct Server {
    Form form = Form::kEdns;
    bool glance = false;     // first over UDP with EDNS, for a moment
    bool tcp_alone = false;  // never over UDP
  };
  struct Plan {
    std::vector<Server> servers;  // in the order they are to be asked; one at least
    base::Duration timeout;       // of a try
    std::size_t attempts;         // tries in all, at least one
    base::Duration deadline;      // of all together; the last try waits until then
  };

  Query(protocol::Question question, Plan plan, Ids& ids);

  Next on_start(base::TimePoint now);
  Next on_packet(Bytes packet, base::TimePoint now);
  // What has come to the socket of Send::first, while that is set: Wait, or the answer.
  Next on_late_packet(Bytes packet);
  bool listens_to_first() const { return first_.has_value(); }
  // The socket could not be used, or the other side closed it. `cause` is kConnectionRefused,
  // kUnreachable or kNone. The answer may be Wait: for the time-out.
  Next on_error(protocol::Cause cause, base::TimePoint now);
  Next on_timeout(base::TimePoint now);
  // The query has been written to a TCP connection. Returns the new time of the time-out, if it is
  // another one.
  std::optional<base::TimePoint> on_connected() const;
  // Another look-up has heard from this server over UDP.
  void on_heard_over_udp(std::size_t server) { servers_[server].heard_over_udp = true; }

  // What on_packet() or on_late_packet() has just read, where it returned anything but Wait.
  ServerStatus said() const { return said_; }

  // Whether the server asked last has refused EDNS, or sent what cannot be read for it.
  bool refused_edns() const { return servers_[server_].no_edns; }

  // How it would end if it ended now: kFailure if a server has answered with one, else kTimeout.
  protocol::Answer so_far() const;

 private:
  struct State {
    bool errored = false;         // it could not be reached over UDP
    bool no_edns = false;         // it refused EDNS
    bool heard_over_udp = false;  // it lives, so silence is the name's fault
    bool no_tcp = false;          // TCP was refused, or nothing came of it
    bool moved_to_tcp = false;    // because of forgeries, once
    bool glanced = false;
    std::optional<protocol::Cause> last;  // of its silence: kNone if it was silence
  };

  const Server& plan() const { return plan_.servers[server_]; }
  State& state() { return servers_[server_]; }
  bool is_last_try() const { return tries_ >= plan_.attempts; }
  bool may_give_up_tcp() const;
  Form form() const;
  Next ask_server(base::TimePoint now);
  Next ask_over_udp(base::TimePoint now);
  Next ask(bool tcp, bool edns, Send::Why why, base::TimePoint now);
  Next next_try(base::TimePoint now);
  Next fail(protocol::Cause cause, base::TimePoint now);

  protocol::Question question_;
  Plan plan_;
  Ids& ids_;
  std::vector<State> servers_;
  base::TimePoint deadline_;
  std::size_t tries_ = 1;
  std::size_t silences_ = 0;
  bool waits_out_error_ = false;
  int foreign_ = 0;                     // packets of this try
  std::optional<std::uint16_t> first_;  // Send::first
  std::size_t first_server_ = 0;
  int late_foreign_ = 0;
  // The last Send.
  std::size_t server_ = 0;
  bool tcp_ = false;
  bool edns_ = true;
  Send::Why why_ = Send::Why::kTurn;
  std::uint16_t id_ = 0;
  ServerStatus said_ = ServerStatus::kFailure;
  // The worst that a server has said.
  bool failed_ = false;
  protocol::Cause cause_ = protocol::Cause::kNone;
};

}  // namespace http01::dns
