#include "log/attempts.h"

#include <algorithm>
#include <new>
#include <utility>

namespace http01 {
namespace {

// What a client's address is cut to, which is whatever the web server says.
constexpr std::size_t kClientOctets = 64;

// Only what could be a CA's: a bad token is no challenge, nor is one of a Host that is no domain.
bool is_attempt(const protocol::Request& request) {
  return (request.method == "GET" || request.is_head()) &&
         request.kind == protocol::PathKind::kChallenge && !request.fault &&
         request.host.kind == protocol::HostKind::kDomain && protocol::is_token(request.token());
}

}  // namespace

std::optional<protocol::Reason> Attempt::outcome() const {
  for (const protocol::Reason reason : base::kAllOf<protocol::Reason>) {
    if (reasons[reason] == requests) return reason;
  }
  return std::nullopt;
}

std::optional<Attempt> Attempts::add(base::TimePoint now, const protocol::Request& request,
                                     protocol::Reason reason) {
  if (!is_attempt(request)) return std::nullopt;
  // Neither may contain a space.
  key_.assign(request.host.text).append(" ").append(request.token());
  std::optional<Attempt> pushed_out;
  auto found = open_.find(key_);
  if (found == open_.end()) {
    if (open_.size() >= kMost) pushed_out = take_oldest();
    Attempt begun;
    begun.host = request.host.text;
    begun.token = request.token();
    begun.begun = now;
    order_.emplace_back(now, key_);
    try {
      found = open_.emplace(key_, std::move(begun)).first;
    } catch (const std::bad_alloc&) {
      order_.pop_back();
      throw;
    }
  }
  Attempt& attempt = found->second;
  attempt.last = now;
  ++attempt.requests;
  ++attempt.reasons[reason];
  const std::string_view client = std::string_view(request.client).substr(0, kClientOctets);
  if (attempt.clients.size() < Attempt::kMostClients &&
      std::ranges::find(attempt.clients, client) == attempt.clients.end()) {
    attempt.clients.emplace_back(client);
  }
  return pushed_out;
}

std::optional<base::TimePoint> Attempts::due() const {
  if (order_.empty()) return std::nullopt;
  return order_.front().first + kWindow;
}

std::optional<Attempt> Attempts::take(base::TimePoint now) {
  const auto when = due();
  if (!when || *when > now) return std::nullopt;
  return take_oldest();
}

std::optional<Attempt> Attempts::take_oldest() {
  if (order_.empty()) return std::nullopt;
  auto node = open_.extract(order_.front().second);
  order_.pop_front();
  return std::move(node.mapped());
}

}  // namespace http01
