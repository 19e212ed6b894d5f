// What a CA's attempt at a challenge was: it asks for one token from several places within seconds,
// and those requests are one event for whoever reads the log. Collects them, and gives each event
// once, some seconds after its first request. Bounded: where there are too many tokens, the oldest
// event is given early. No clock, no timer, no log; one thread; throws std::bad_alloc only.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/enum.h"
#include "base/keyed_hash.h"
#include "protocol/decide.h"

namespace http01 {

struct Attempt {
  std::string host;
  std::string token;
  base::TimePoint begun;
  base::TimePoint last;
  std::uint64_t requests = 0;
  std::vector<std::string> clients;  // distinct addresses, kMostClients at most
  base::EnumArray<protocol::Reason, std::uint64_t> reasons{};  // requests by what was answered

  // An attack, not a CA, has more.
  static constexpr std::size_t kMostClients = 64;

  // What all requests were answered; none: not all the same.
  std::optional<protocol::Reason> outcome() const;
};

class Attempts {
 public:
  // Let's Encrypt's places ask within two seconds of each other, and its whole validation has ten.
  static constexpr std::chrono::seconds kWindow{10};
  // A CA that validates a hundred names a second is not seen at one relay.
  static constexpr std::size_t kMost = 1024;

  // Adds a request that was answered. Returns the oldest event where there was no room for a new
  // one.
  std::optional<Attempt> add(base::TimePoint now, const protocol::Request& request,
                             protocol::Reason reason);

  // When take() has something next.
  std::optional<base::TimePoint> due() const;
  // The oldest event, if its window is over.
  std::optional<Attempt> take(base::TimePoint now);
  // The oldest one, over or not.
  std::optional<Attempt> take_oldest();

 private:
  using Open = std::unordered_map<std::string, Attempt, base::KeyedHash>;

  Open open_ = Open(0, base::KeyedHash::of_process());  // by host and token
  std::deque<std::pair<base::TimePoint, std::string>> order_;
  std::string key_;  // of the request that is being added: its memory is used again
};

}  // namespace http01
