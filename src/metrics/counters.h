// What is counted, as one block of fixed layout: that of one process alone, or the state file that
// many share. All of the octets are lock-free atomics, and zero octets are numbers at zero. Values;
// never throws.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/enum.h"
#include "metrics/counter.h"
#include "metrics/metrics.h"
#include "metrics/recent_checks.h"
#include "metrics/server_table.h"
#include "protocol/answer.h"
#include "protocol/limit.h"
#include "protocol/reason.h"
#include "protocol/request.h"
#include "protocol/status.h"

namespace http01 {

inline constexpr std::array<std::string_view, 8> kMethods{"GET",    "HEAD",    "POST",  "PUT",
                                                          "DELETE", "OPTIONS", "PATCH", "other"};

// All of the octets are counters or gauges, and zero octets are ones at zero.
struct Metrics::Counters {
  std::array<base::EnumArray<protocol::PathKind, base::EnumArray<protocol::HttpStatus, Counter>>,
             kMethods.size()>
      requests;
  std::array<base::EnumArray<protocol::PathKind, Histogram>, kMethods.size()> durations;
  base::EnumArray<protocol::HttpStatus, Counter> redirects;
  base::EnumArray<protocol::Reason, Counter> decisions;
  base::EnumArray<protocol::Limit, Counter> overloaded;
  base::EnumArray<protocol::Reason, Counter> attempts;
  Counter mixed_attempts;
  base::EnumArray<protocol::Reason, Counter> ready_checks;
  std::atomic<std::uint64_t> last_ready;  // one more than what relay_ready shows; 0: never asked
  std::array<base::EnumArray<protocol::Outcome, Counter>, protocol::kRecordTypes.size()> lookups;
  Histogram lookup_durations;
  ServerTable servers;
  Counter cache_hits;
  Counter cache_misses;
  Counter log_lines_dropped;
  Counter processor_nanoseconds;
};

// Where a process has its configuration from: the last one that it took, and whether that is the
// last one that it was given. One word, so that no reader sees half of it.
struct Metrics::Reload {
  std::uint64_t milliseconds = 0;  // of Unix time, when it was taken
  bool failed = false;             // a later one was refused

  std::uint64_t word() const { return milliseconds << 1 | (failed ? 1 : 0); }
  static Reload of(std::uint64_t word) { return {word >> 1, (word & 1) != 0}; }
};

// What is true of one process now. A slot is that of whoever holds the mark of its number in the
// file, and counts only while it is held: a process that was killed leaves nothing behind.
struct alignas(64) Metrics::Slot {
  std::atomic<std::uint64_t> pid;
  std::atomic<std::uint64_t> start_ticks;
  std::atomic<std::uint64_t> start_milliseconds;  // of Unix time
  std::atomic<std::uint64_t> requests_in_flight;
  std::atomic<std::uint64_t> lookups_in_flight;
  std::atomic<std::uint64_t> cache_entries;
  std::atomic<std::uint64_t> open_descriptors;  // when it was last looked after
  std::atomic<std::uint64_t> last_reload;       // Reload::word()
};

struct Metrics::Shared {
  // More processes than cores are of use to nobody; those of CGI live for a request each. One
  // without a slot still counts, and only what is true of it now is missing from others' pages.
  static constexpr std::size_t kSlots = 128;

  Counters counters;
  std::array<Slot, kSlots> slots;
  RecentChecks checks;

  // What stands where, as a number: another order of members or meaning counts the word's end up.
  static std::uint32_t layout() {
    Layout layout;
    layout.add("counters, slots and checks, 4");
    layout.add_number(sizeof(Counters));
    layout.add_number(sizeof(Slot));
    layout.add_number(sizeof(RecentChecks));
    for (const std::string_view method : kMethods) layout.add(method);
    for (const protocol::PathKind kind : base::kAllOf<protocol::PathKind>)
      layout.add(to_string(kind));
    for (const auto& status : protocol::kHttpStatuses) layout.add_number(status.code);
    for (const protocol::Reason reason : base::kAllOf<protocol::Reason>)
      layout.add(protocol::info(reason).word);
    for (const auto& limit : protocol::kLimits) layout.add(limit.word);
    for (const auto& type : protocol::kRecordTypes) layout.add(type.word);
    for (const protocol::Outcome outcome : base::kAllOf<protocol::Outcome>)
      layout.add(to_string(outcome));
    for (const auto& status : dns::kServerStatuses) layout.add(status.word);
    for (const double bound : Histogram::kBounds) layout.add_number(bound);
    return layout.value();
  }
};

}  // namespace http01
