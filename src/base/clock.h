// The one clock of the program: monotonic, so a change of the wall clock moves no deadline.
// State machines are told the time; only the loop reads it.
#pragma once

#include <chrono>

namespace http01::base {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;

}  // namespace http01::base
