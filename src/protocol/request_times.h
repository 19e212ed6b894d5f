// How long a request took and who knew its answer, beside what stands in the request and its reply:
// for log and counters. A value.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace http01::protocol {

struct RequestTimes {
  base::Duration dns{};    // from the first question to the last answer waited for
  base::Duration total{};  // from the whole request to the answer
  bool asked = false;      // the DNS was waited for

  // Whether the cache had all of the answers that it was asked for.
  enum class Cache : std::uint8_t { kNotAsked, kHit, kMiss } cache = Cache::kNotAsked;
};

}  // namespace http01::protocol
