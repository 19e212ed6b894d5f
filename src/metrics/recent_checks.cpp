#include "metrics/recent_checks.h"

#include <algorithm>
#include <cstring>

#include "base/ip_address.h"
#include "base/keyed_hash.h"
#include "dns/random.h"

namespace http01 {
namespace {

using protocol::Limit;

constexpr int kNetworkBits = 24;
constexpr std::uint64_t kNetworkMask = (std::uint64_t{1} << kNetworkBits) - 1;
constexpr std::uint64_t kMinute = std::chrono::milliseconds(RecentChecks::kFor).count();

// 0 is kept for no network.
constexpr std::uint64_t kNoNetwork = 0;

std::uint64_t milliseconds_of(base::TimePoint time) {
  const auto since_start =
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  return static_cast<std::uint64_t>(std::max<decltype(since_start)>(since_start, 1));
}

// Another process's clock may be ahead by a turn of its loop. What is further ahead is of before
// the machine started.
bool is_recent(std::uint64_t entry, std::uint64_t now) {
  const std::uint64_t then = entry >> kNetworkBits;
  return entry != 0 && (then > now ? then - now : now - then) < kMinute;
}

std::optional<std::array<std::uint8_t, 8>> network_of(std::string_view client) {
  const auto address = base::IpAddress::parse(client);
  if (!address) return std::nullopt;
  const base::IpAddress network = address->client_network();
  std::array<std::uint8_t, 8> octets{};
  octets[7] = network.v6 ? 6 : 4;
  std::copy_n(network.octets.begin(), network.v6 ? 6 : 3, octets.begin());
  return octets;
}

}  // namespace

std::uint64_t RecentChecks::key() {
  std::uint64_t known = key_.load();
  if (known != 0) return known;
  std::array<std::uint8_t, 8> octets{};
  dns::random_octets(octets);
  std::uint64_t made = 0;
  std::memcpy(&made, octets.data(), sizeof made);
  made |= 1;
  return key_.compare_exchange_strong(known, made) ? made : known;
}

std::uint64_t RecentChecks::entry_of(std::string_view client, std::uint64_t milliseconds) {
  std::uint64_t network = kNoNetwork;
  if (const auto octets = network_of(client)) {
    const std::uint64_t own = key();
    network = std::max<std::uint64_t>(base::KeyedHash({own, ~own}).of(*octets) & kNetworkMask, 1);
  }
  return milliseconds << kNetworkBits | network;
}

// Of the same network, within the last minute.
std::size_t RecentChecks::count(std::uint64_t entry, std::uint64_t milliseconds) const {
  return static_cast<std::size_t>(std::ranges::count_if(checks_, [&](const auto& check) {
    const std::uint64_t other = check.load();
    return (other & kNetworkMask) == (entry & kNetworkMask) && is_recent(other, milliseconds);
  }));
}

std::optional<Limit> RecentChecks::refusal(const CheckLimits& limits, std::string_view client,
                                           base::TimePoint now) {
  const std::uint64_t milliseconds = milliseconds_of(now);
  const std::uint64_t entry = entry_of(client, milliseconds);
  const bool of_network = (entry & kNetworkMask) != kNoNetwork;
  if (of_network && count(entry, milliseconds) >= limits.of_one_network) {
    return Limit::kChecksPerClient;
  }
  const std::size_t most = std::min(limits.in_all, kMost);
  for (std::size_t i = 0; i < most; ++i) {
    std::uint64_t before = checks_[i].load();
    if (is_recent(before, milliseconds) || !checks_[i].compare_exchange_strong(before, entry)) {
      continue;  // another process has just taken it
    }
    // Two processes may have counted before either had put in its own.
    if (!of_network || count(entry, milliseconds) <= limits.of_one_network) return std::nullopt;
    before = entry;
    checks_[i].compare_exchange_strong(before, 0);
    return Limit::kChecksPerClient;
  }
  return Limit::kChecks;
}

}  // namespace http01
