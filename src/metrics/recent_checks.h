// The examinations that /check began within the last minute, of all processes that share the
// memory: a bounded list that limits them, in all and of one client network. Lock-free, of fixed
// layout, zero octets are an empty list. Never throws.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "protocol/limit.h"

namespace http01 {

struct CheckLimits {
  std::size_t of_one_network = 0;
  std::size_t in_all = 0;
};

class RecentChecks {
 public:
  static constexpr std::size_t kMost = 1000;  // what a limit may be at most
  static constexpr std::chrono::seconds kFor{60};

  // Nothing, and it counts from now on; else the limit that is reached. One network is a /24 or,
  // for IPv6, a /48. A client that is no address ("unix:") counts in all only.
  std::optional<protocol::Limit> refusal(const CheckLimits& limits, std::string_view client,
                                         base::TimePoint now);

 private:
  std::uint64_t key();
  std::uint64_t entry_of(std::string_view client, std::uint64_t milliseconds);
  std::size_t count(std::uint64_t entry, std::uint64_t milliseconds) const;

  // So that the octets of a client network are not in the file, and nobody can look for another
  // one that counts as the same.
  std::atomic<std::uint64_t> key_;
  // When, in milliseconds since the machine started, above kNetworkBits of the network's hash. 0:
  // free, as is what is older than a minute. The limit in all is how many of them are used.
  std::array<std::atomic<std::uint64_t>, kMost> checks_;
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
};

}  // namespace http01
