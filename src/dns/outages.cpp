#include "dns/outages.h"

#include <algorithm>
#include <utility>

#include "base/public_suffix.h"

namespace http01::dns {

using base::Endpoint;
using base::TimePoint;

void Outages::set(const std::vector<Endpoint>& endpoints) {
  std::vector<Server> servers;
  servers.reserve(endpoints.size());
  for (const Endpoint& endpoint : endpoints) {
    const auto known = std::ranges::find(servers_, endpoint, &Server::endpoint);
    servers.push_back(known == servers_.end() ? Server{endpoint} : *known);
  }
  servers_ = std::move(servers);
}

std::optional<Outages::News> Outages::told(const Endpoint& endpoint, const protocol::Name& name,
                                           ServerStatus status, TimePoint sent, TimePoint now) {
  const auto server = std::ranges::find(servers_, endpoint, &Server::endpoint);
  // Forged answers come from someone else.
  if (server == servers_.end() || status == ServerStatus::kForged) return std::nullopt;
  return is_answer(status) ? answered(*server, name, now)
                           : unanswered(*server, name, status, sent, now);
}

bool Outages::knows_only(const Server& server, const std::string& domain, TimePoint now) {
  const auto& [latest, former] = server.answered;
  const bool latest_is_other = latest.domain != domain;
  const Answered& own = latest_is_other ? former : latest;
  const Answered& other = latest_is_other ? latest : former;
  return own.domain == domain && (other.domain.empty() || now - other.at > kInRow);
}

std::optional<Outages::News> Outages::unanswered(Server& server, const protocol::Name& name,
                                                 ServerStatus status, TimePoint sent,
                                                 TimePoint now) {
  // One that has answered others since then lives.
  if (server.stopped || server.last_answer > sent) return std::nullopt;
  const std::string domain = base::registrable_domain(name.text());
  if (server.tries == 0 || sent - server.last > kInRow) {
    server.tries = 0;
    server.first = server.last = sent;
    server.domain = domain;
    server.for_certain = false;
  }
  ++server.tries;
  server.first = std::min(server.first, sent);
  server.last = std::max(server.last, sent);
  server.for_certain = server.for_certain || status != ServerStatus::kTimeout ||
                       domain != server.domain || knows_only(server, domain, now);
  if (!server.for_certain || server.tries < kTries || server.last - server.first < kSpan ||
      now < server.quiet_until) {
    return std::nullopt;
  }
  server.stopped = true;
  return News{server.endpoint, false, status, {}};
}

std::optional<Outages::News> Outages::answered(Server& server, const protocol::Name& name,
                                               TimePoint now) {
  auto& [latest, former] = server.answered;
  std::string domain = base::registrable_domain(name.text());
  if (domain != latest.domain) former = std::exchange(latest, Answered{std::move(domain), {}});
  latest.at = now;
  server.last_answer = now;
  server.tries = 0;
  if (!std::exchange(server.stopped, false)) return std::nullopt;
  server.quiet_until = now + kQuiet;
  return News{server.endpoint, true, ServerStatus::kTimeout, now - server.first};
}

}  // namespace http01::dns
