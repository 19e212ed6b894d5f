// Which name servers have stopped answering, and when they answer again: for the log, which has one
// line for each, never one for each query. Told the time; no socket. One thread; throws
// std::bad_alloc only.
//
// A server does not answer where at least three queries in a row, sent over a second and a half or
// more, have had no answer of any kind: one lost packet is not enough, nor is a burst of them. Nor
// are names of one registrable domain, which may have dead name servers behind a sound resolver,
// unless the server has answered for that domain before, and for no other one within five minutes:
// a relay may have one tenant. A port that nothing listens on, or a network that cannot be reached,
// is the server's fault whatever the name. Any answer, a failure too, and the server answers again.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ip_address.h"
#include "dns/server_status.h"
#include "protocol/name.h"

namespace http01::dns {

class Outages {
 public:
  static constexpr std::size_t kTries = 3;
  static constexpr std::chrono::milliseconds kSpan{1500};
  // Queries that are further apart are not in a row: a relay with little to do may meet two dead
  // domains in a day, and nothing else.
  static constexpr std::chrono::minutes kInRow{5};
  // So much later at least it may be said again that a server does not answer.
  static constexpr std::chrono::minutes kQuiet{1};

  struct News {
    base::Endpoint server;
    bool answers = false;
    ServerStatus last = ServerStatus::kTimeout;  // of one that does not: what became of the last
    base::Duration silent{};                     // of one that does: how long it did not
  };

  // What is known of those that stay is kept.
  void set(const std::vector<base::Endpoint>& endpoints);

  // What became of a query. Of one that is no server any more: no effect.
  std::optional<News> told(const base::Endpoint& endpoint, const protocol::Name& name,
                           ServerStatus status, base::TimePoint sent, base::TimePoint now);

 private:
  struct Answered {
    std::string domain;
    base::TimePoint at{};
  };

  struct Server {
    base::Endpoint endpoint;
    std::size_t tries = 0;  // without an answer, in a row
    base::TimePoint first{};
    base::TimePoint last{};
    std::string domain{};  // of the first one
    bool for_certain = false;
    std::array<Answered, 2> answered{};  // the last two domains, the later one first
    bool stopped = false;
    base::TimePoint last_answer{};
    base::TimePoint quiet_until{};
  };

  static bool knows_only(const Server& server, const std::string& domain, base::TimePoint now);
  static std::optional<News> unanswered(Server& server, const protocol::Name& name,
                                        ServerStatus status, base::TimePoint sent,
                                        base::TimePoint now);
  static std::optional<News> answered(Server& server, const protocol::Name& name,
                                      base::TimePoint now);

  std::vector<Server> servers_;
};

}  // namespace http01::dns
