// The limits that a request may meet which is answered with Reason::kOverloaded, in one table: the
// words are those of the log and the counters. Pure; never throws.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/enum.h"

namespace http01::protocol {

enum class Limit : std::uint8_t {
  kInFlight,           // limits.in_flight, or as many as there are descriptors for
  kInFlightPerClient,  // limits.in_flight_per_client; of an IPv6 site too
  kInFlightPerDomain,  // limits.in_flight_per_domain
  kChecksPerClient,    // limits.checks_per_client; of those under way too
  kChecks,             // limits.checks; likewise
  kMemory,             // there is no memory for it
  kSockets,            // so many look-ups are under way, or the system gives no socket for one
};

inline constexpr base::EnumWords<Limit> kLimits{{{
    {Limit::kInFlight, "in_flight"},
    {Limit::kInFlightPerClient, "in_flight_per_client"},
    {Limit::kInFlightPerDomain, "in_flight_per_domain"},
    {Limit::kChecksPerClient, "checks_per_client"},
    {Limit::kChecks, "checks"},
    {Limit::kMemory, "memory"},
    {Limit::kSockets, "sockets"},
}}};

constexpr std::string_view to_string(Limit limit) { return kLimits[limit].word; }

}  // namespace http01::protocol
