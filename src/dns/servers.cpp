#include "dns/servers.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace http01::dns {
namespace {

using base::Endpoint;
using base::TimePoint;
using Why = Send::Why;

// How long a server that does not answer is asked last; then one look-up risks its time-out on it.
constexpr std::chrono::seconds kAvoid{10};

// A server that has not answered over UDP for so long may have to be asked over TCP.
constexpr std::chrono::seconds kHeard{10};

// EDNS is missed by nobody but those whose answers are large, and these come over TCP.
constexpr std::chrono::minutes kWithoutEdns{15};

// Many resolvers allow but a few connections at once, so a mistake should not last.
constexpr std::chrono::minutes kOverTcp{1};

// The first glance comes at once, the second after this long; then the time doubles.
constexpr std::chrono::seconds kFirstGap{1};

Form form_of(const Send& send) {
  return send.tcp ? Form::kTcp : send.edns ? Form::kEdns : Form::kPlain;
}

base::Duration longest_gap(Form form) {
  return form == Form::kTcp ? base::Duration(kOverTcp) : base::Duration(kWithoutEdns);
}

}  // namespace

void Servers::set(const std::vector<Endpoint>& endpoints, bool tcp_alone) {
  tcp_alone_ = tcp_alone;
  std::vector<Server> servers;
  servers.reserve(endpoints.size());
  for (const Endpoint& endpoint : endpoints) {
    const Server* known = find(endpoint);
    servers.push_back(known ? *known : Server{endpoint});
  }
  servers_ = std::move(servers);
}

std::vector<Servers::Choice> Servers::choose(TimePoint now) {
  std::vector<Server*> good;
  std::vector<Server*> bad;
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
  for (Server* server : good) {
    Query::Server how{server->form, false, tcp_alone_};
    if (how.form != Form::kEdns && server->proven && now >= server->look_again) {
      how.glance = true;
      // Until this look-up has seen, the others go on as before.
      server->look_again = now + server->gap;
      server->gap = std::min(server->gap * 2, longest_gap(how.form));
    }
    order.push_back({server->endpoint, how});
  }
  return order;
}

bool Servers::answers_over_udp(const Endpoint& endpoint, TimePoint now) const {
  const Server* server = find(endpoint);
  return server && server->heard_over_udp && now - *server->heard_over_udp < kHeard;
}

void Servers::answered(const Endpoint& endpoint, const Send& send, bool usable, TimePoint began,
                       TimePoint now) {
  Server* const server = find(endpoint);
  if (!server) return;
  server->silent = false;
  server->last_answer = now;
  if (!send.tcp) server->heard_over_udp = now;
  if (usable && send.edns) server->took_edns = now;
  if (tcp_alone_) return;

  // It has answered over UDP before it was asked over TCP.
  if (send.why == Why::kTruncated || send.why == Why::kForgeries) return;
  const Form worked = form_of(send);
  const bool first = usable && !server->proven;
  const bool after_silence = send.why == Why::kSilence;
  bool learn = false;
  switch (worked) {
    case Form::kEdns:
      // A refusal of EDNS is an answer too, but none to learn from.
      learn = usable;
      break;
    case Form::kPlain:
      // Where it took EDNS meanwhile, it was the name that took too long.
      learn = first || server->form == Form::kTcp || (after_silence && server->took_edns < began);
      break;
    case Form::kTcp:
      learn = (first || after_silence) && server->heard_over_udp < began;
      break;
  }
  if (!learn || (server->proven && server->form == worked)) return;
  server->proven = true;
  server->form = worked;
  server->look_again = now;
  server->gap = kFirstGap;
}

void Servers::timed_out(const Endpoint& endpoint, const Send& send, TimePoint sent, TimePoint now) {
  // One that has answered others since then lives: it was the name that took too long.
  Server* const server = find(endpoint);
  if (!server || server->last_answer > sent) return;
  if (send.why == Why::kGlance || send.why == Why::kTruncated || send.why == Why::kForgeries)
    return;
  errored(endpoint, now);
  // The next look-up begins in the other form, in case that this one has no time for it.
  if (server->proven || server->form != form_of(send)) return;
  server->form = server->form == Form::kEdns ? Form::kPlain : Form::kEdns;
}

void Servers::errored(const Endpoint& endpoint, TimePoint now) {
  if (Server* server = find(endpoint)) {
    server->silent = true;
    server->avoid_until = now + kAvoid;
  }
}

void Servers::refused_edns(const Endpoint& endpoint, TimePoint now) {
  if (Server* server = find(endpoint)) {
    server->form = Form::kPlain;
    server->proven = true;
    server->look_again = now + kWithoutEdns;
    server->gap = kWithoutEdns;
  }
}

Servers::Server* Servers::find(const Endpoint& endpoint) {
  const auto found = std::ranges::find(servers_, endpoint, &Server::endpoint);
  return found == servers_.end() ? nullptr : &*found;
}

const Servers::Server* Servers::find(const Endpoint& endpoint) const {
  const auto found = std::ranges::find(servers_, endpoint, &Server::endpoint);
  return found == servers_.end() ? nullptr : &*found;
}

}  // namespace http01::dns
