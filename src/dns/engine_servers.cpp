// What the engine knows of its servers: which they are, and what becomes of the queries to them.
#include <new>
#include <optional>
#include <utility>

#include "dns/engine.h"

namespace http01::dns {
namespace {

using protocol::Answer;
using protocol::Outcome;

// A server that can only not be asked over TCP has answered over UDP, or may yet.
bool is_held_against_server(const Lookup& lookup, ServerStatus status) {
  const Send& sent = *lookup.current;
  if (sent.why != Send::Why::kTurn && sent.why != Send::Why::kSilence) return false;
  const bool may_use_udp = sent.tcp && !lookup.servers[sent.server].how.tcp_alone;
  return !may_use_udp || status == ServerStatus::kTimeout;
}

}  // namespace

// A server is replaced because it is broken or lies. What it has said must not outlive it, for the
// cache's time or because somebody asks again before a look-up of its is over. Thousands may be
// under way, so they begin again by and by, as those do whose try has run out of time.
void Engine::use_servers(const std::vector<base::Endpoint>& endpoints, bool tcp_alone) {
  servers_.set(endpoints, tcp_alone);
  if (endpoints == endpoints_) return;
  outages_.set(endpoints);
  if (observer_) observer_->on_servers(endpoints);
  endpoints_ = endpoints;
  cache_.reset(cache_settings_);
  for (const auto& [question, lookup] : lookups_) {
    close_sockets(*lookup);
    lookup->outdated = true;
    loop_.cancel(lookup->timer);
    lookup->timer = 0;
    if (!lookup->overdue) run_out(*lookup);
  }
}

void Engine::learn(const Lookup& lookup, const Next& next) {
  const Answer* const answer = std::get_if<Answer>(&next);
  const bool usable = answer && answer->outcome != Outcome::kFailure;
  servers_.answered(lookup.server(), *lookup.current, usable, lookup.started, loop_.now());
  // What is refused with EDNS and without it was not refused for EDNS.
  if (usable && lookup.query.refused_edns()) servers_.refused_edns(lookup.server(), loop_.now());
}

// Once for each.
void Engine::tell_of_query(Lookup& lookup, ServerStatus status) {
  if (std::exchange(lookup.is_told, true)) return;
  const Send& sent = *lookup.current;
  // No answer to a glance means nothing.
  if (sent.why == Send::Why::kGlance && !is_answer(status)) return;
  if (observer_) observer_->on_server(lookup.server(), status);
  if (!is_answer(status) && !is_held_against_server(lookup, status)) return;
  std::optional<Outages::News> news;
  try {
    news = outages_.told(lookup.server(), lookup.question.name, status, lookup.sent, loop_.now());
  } catch (const std::bad_alloc&) {
    // Not worth a request: the next query reports it.
  }
  if (news && observer_) observer_->on_outage(*news);
}

Next Engine::give_up_server(Lookup& lookup, protocol::Cause cause) {
  lookup.exchange().close();
  tell_of_query(lookup, status_of(cause));
  // A server that cannot be reached over TCP may be well over UDP.
  if (!lookup.current->tcp || lookup.servers[lookup.current->server].how.tcp_alone) {
    servers_.errored(lookup.server(), loop_.now());
  }
  return lookup.query.on_error(cause, loop_.now());
}

}  // namespace http01::dns
