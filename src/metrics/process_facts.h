// What the system says of a process (proc(5)). Never throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace http01 {

struct ProcessFacts {
  std::uint64_t start_ticks = 0;  // since boot: with the id, what no other process has
  std::uint64_t resident_octets = 0;
  std::uint64_t virtual_octets = 0;
};

// None: there is no such process, or it is not to be seen from here.
std::optional<ProcessFacts> process_facts(std::uint64_t pid);
// None: it may not be counted from here.
std::optional<std::size_t> open_descriptors(std::uint64_t pid);

std::uint64_t own_pid();
// Processor time of this one so far.
base::Duration processor_time();
// Of Unix time. Told twice, it may differ by what the clock was set in between.
std::uint64_t start_milliseconds(const ProcessFacts& facts);

}  // namespace http01
