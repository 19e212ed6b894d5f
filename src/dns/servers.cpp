#include "dns/servers.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace http01::dns {
namespace {

using base::Endpoint;
using base::TimePoint;

// How long a server that does not answer is asked last; then one look-up risks its time-out on it.
constexpr std::chrono::seconds kAvoid{10};

// A server that is replaced by a better one is asked with EDNS again after this long.
constexpr std::chrono::minutes kWithoutEdns{15};

}  // namespace

void Servers::set(const std::vector<Endpoint>& endpoints) {
  std::vector<Server> servers;
  servers.reserve(endpoints.size());
  for (const Endpoint& endpoint : endpoints) {
    const Server* known = find(endpoint);
    servers.push_back(known ? *known : Server{endpoint, false, {}, {}, {}});
  }
  servers_ = std::move(servers);
}

std::vector<Servers::Choice> Servers::choose(TimePoint now) {
  std::vector<const Server*> good;
  std::vector<const Server*> bad;
  for (Server& server : servers_) {
    const bool avoided = server.silent && now < server.avoid_until;
    // Until this look-up has heard of it, the others go on avoiding it.
    if (server.silent && !avoided) server.avoid_until = now + kAvoid;
    (avoided ? bad : good).push_back(&server);
  }
  // If none answers, the one that was last heard of is the likeliest.
  std::ranges::stable_sort(bad, std::ranges::greater{}, &Server::last_answer);
  good.insert(good.end(), bad.begin(), bad.end());

  std::vector<Choice> order;
  order.reserve(good.size());
  for (const Server* server : good) {
    order.push_back({server->endpoint, now >= server->without_edns_until});
  }
  return order;
}

void Servers::answered(const Endpoint& endpoint, TimePoint now) {
  if (Server* server = find(endpoint)) {
    server->silent = false;
    server->last_answer = now;
  }
}

void Servers::timed_out(const Endpoint& endpoint, TimePoint sent, TimePoint now) {
  // One that has answered others since then lives: it was the name that took too long.
  const Server* server = find(endpoint);
  if (server && server->last_answer <= sent) errored(endpoint, now);
}

void Servers::errored(const Endpoint& endpoint, TimePoint now) {
  if (Server* server = find(endpoint)) {
    server->silent = true;
    server->avoid_until = now + kAvoid;
  }
}

void Servers::refused_edns(const Endpoint& endpoint, TimePoint now) {
  if (Server* server = find(endpoint)) server->without_edns_until = now + kWithoutEdns;
}

Servers::Server* Servers::find(const Endpoint& endpoint) {
  const auto found = std::ranges::find(servers_, endpoint, &Server::endpoint);
  return found == servers_.end() ? nullptr : &*found;
}

}  // namespace http01::dns
