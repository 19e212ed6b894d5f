// The FastCGI side: accepts the web server's connections on a listening socket, reads whole
// requests, hands them on, writes the answers. Connections, slow or hostile ones too, cost their
// descriptor for FastCgiTimeouts::read and nothing else. Lives on the loop, which must outlive it;
// one thread. Nothing is thrown once it is built; what goes wrong with a connection ends that
// connection. Where the kernel refuses to watch it, it is served by a timer meanwhile. Not to be
// destroyed from inside its handlers, which must not throw.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/enum.h"
#include "base/fd.h"
#include "base/loop.h"
#include "protocol/request.h"
#include "transport/acceptor.h"
#include "transport/foreign.h"
#include "transport/framing.h"

namespace http01::transport {

// What a connection may take, from a fixed point in time: octets that drip do not put the end off.
struct FastCgiTimeouts {
  base::Duration read = std::chrono::seconds{3};    // until a whole request is there
  base::Duration idle = std::chrono::minutes{5};    // between the requests of a kept connection
  base::Duration write = std::chrono::seconds{5};   // until the answer is taken
  base::Duration linger = std::chrono::seconds{2};  // after the answer to a body that was not read
};

class FastCgiServer {
 public:
  // What all connections of a phase may keep in memory: parts of requests, or of answers that are
  // not taken. An honest request comes within milliseconds and keeps nothing, so in a crowd the
  // oldest goes first, with a 503 where its request is known.
  static constexpr std::size_t kMaxKept = std::size_t{16} * 1024 * 1024;

  using RequestId = std::uint64_t;  // never used twice

  // Called from the loop. A request is answered with reply(), at once or later; `gone`: the web
  // server closed the connection or aborted the request first, and a reply has nowhere to go.
  // `foreign`, which may be empty: a connection that did not begin with FastCGI was closed.
  struct Handlers {
    std::function<void(RequestId, const protocol::RawRequest&)> request;
    std::function<void(RequestId)> gone;
    std::function<void(Foreign)> foreign = {};
  };

  FastCgiServer(base::Loop& loop, base::Fd listener, Handlers handlers,
                FastCgiTimeouts timeouts = {});
  ~FastCgiServer();
  FastCgiServer(const FastCgiServer&) = delete;
  FastCgiServer& operator=(const FastCgiServer&) = delete;

  // `cgi` is a CGI response (RFC 3875 6): header lines, an empty line, the body. Ignored for a
  // request that is gone. May be called from inside the request handler; calls no handler itself.
  void reply(RequestId id, const std::string& cgi);

  // So many connections at most are taken out of the kernel's queue before they are read.
  void set_max_unread(std::size_t max_unread) { acceptor_.set_max_waiting(max_unread); }
  void set_max_kept(std::size_t max_kept) { max_kept_ = max_kept; }

  // Takes what already waits to be accepted, then accepts no more, closes what is idle, finishes
  // what has begun; calls `drained` from the loop once no connection is left. The listening socket
  // is closed here, but neither shut down nor unlinked: others may share it.
  void drain(std::function<void()> drained);

  std::size_t connections() const;

 private:
  // A connection is in the list of its phase, in the order of the deadlines: all of a phase have
  // the same time, so one timer a phase is enough.
  enum class Phase : std::uint8_t {
    kReading,    // a request has begun, or the connection is new
    kIdle,       // kept, and nothing has come
    kHeld,       // the request is with the handlers: no deadline of ours
    kWriting,    // the answer
    kLingering,  // answered; reads what still comes, so that no reset eats the answer
  };

  struct Connection {
    base::Fd fd;
    Phase phase = Phase::kReading;
    bool keep = false;         // of the request that is held or being answered
    bool body_unread = false;  // likewise
    bool deaf = false;         // nothing is read until the request has its answer
    bool all_read = false;     // nothing was left when it was last read
    std::uint32_t events = 0;  // that `watch` waits for
    base::Loop::WatchId watch = 0;
    RequestId request = 0;
    base::TimePoint deadline;
    std::size_t kept = 0;  // octets, as counted for its phase
    RequestReader reader;
    std::string unread;  // came behind the request, which is not done yet
    std::string output;  // not yet written
  };
  using Connections = std::list<Connection>;
  using Position = Connections::iterator;

  struct Stage {
    base::Duration limit{};
    Connections connections;
    base::Loop::TimerId timer = 0;
    std::size_t kept = 0;  // of all its connections
  };

  void admit(base::Fd fd);
  void move_to(Position connection, Phase phase);
  void start_time(Position connection);
  void set_timer(Stage& stage);
  void expire(Stage& stage);
  void wait_for(Position connection, std::uint32_t events);
  void retry_later(Position connection);
  void retry();
  void on_events(Position connection, std::uint32_t events);
  void read(Position connection);
  void listen(Position connection);
  bool take(Position connection, std::string_view octets);
  bool take_octets(Position connection, std::string_view octets);
  void hand_on(Position connection, std::string_view rest);
  void end(Position connection, std::string_view rest);
  bool send_output(Position connection);
  void write(Position connection);
  void finish(Position connection);
  void count_kept(Position connection);
  bool has_room(Position connection);
  void refuse(Position connection);
  void trim_later();
  void close(Position connection);
  void tell_if_drained();

  base::Loop& loop_;
  Handlers handlers_;
  base::Loop::TimerId retry_timer_ = 0;  // runs while a connection has no watch
  std::size_t max_kept_ = kMaxKept;
  base::Loop::TimerId trim_timer_ = 0;  // runs while there is memory to give back
  bool draining_ = false;
  std::function<void()> drained_;
  RequestId next_request_ = 1;
  base::EnumArray<Phase, Stage> stages_;
  std::unordered_map<RequestId, Position> held_;
  Acceptor acceptor_;  // the last member: it hands on to all of the above
};

}  // namespace http01::transport
