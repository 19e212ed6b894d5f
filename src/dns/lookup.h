// One look-up of the engine: its query, its sockets, and those who wait for it. A value that stays
// where it is; the loop must outlive it.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/loop.h"
#include "dns/deliveries.h"
#include "dns/exchange.h"
#include "dns/query.h"
#include "dns/servers.h"
#include "dns/settings.h"

namespace http01::dns {

// Has its own copy of all it was begun with, so that a reload of other settings leaves it alone.
struct Lookup {
  Lookup(base::Loop& loop, protocol::Question asked, std::vector<Servers::Choice> choice,
         const Settings& settings, Ids& ids)
      : question(std::move(asked)),
        servers(std::move(choice)),
        query(question, {plan(), settings.timeout, settings.attempts, settings.deadline}, ids),
        started(loop.now()),
        exchanges{Exchange(loop), Exchange(loop)} {}

  const base::Endpoint& server() const { return servers[current->server].endpoint; }
  // What came was not the server's, but enough of it to try TCP.
  bool flees_forgeries(const Next& next) const {
    const Send* const send = std::get_if<Send>(&next);
    return send && send->why == Send::Why::kForgeries && !current->tcp;
  }
  Exchange& exchange() { return exchanges[slot]; }
  Exchange& first_exchange() { return exchanges[1 - slot]; }

  protocol::Question question;
  std::vector<Servers::Choice> servers;
  Query query;
  base::TimePoint started;
  std::optional<Send> current;
  base::TimePoint sent;
  bool is_told = true;  // what became of that
  std::array<Exchange, 2> exchanges;
  std::size_t slot = 0;
  std::optional<Send> first;  // where the socket of Send::first is still open
  base::Loop::TimerId timer = 0;
  bool overdue = false;
  bool keep = false;      // the answer, in the cache
  bool outdated = false;  // begun with servers that are no longer used
  std::vector<Waiter> waiters;

 private:
  std::vector<Query::Server> plan() const {
    std::vector<Query::Server> plan;
    plan.reserve(servers.size());
    for (const Servers::Choice& server : servers) plan.push_back(server.how);
    return plan;
  }
};

}  // namespace http01::dns
