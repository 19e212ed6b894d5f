// How long a request took, beside what stands in the request and its reply: for log and counters. A
// value.
#pragma once

#include "base/clock.h"

namespace http01::protocol {

struct RequestTimes {
  base::Duration dns{};    // from the first question to the last answer waited for
  base::Duration total{};  // from the whole request to the answer
  bool asked = false;      // the DNS was waited for: not all was in the cache
};

}  // namespace http01::protocol
