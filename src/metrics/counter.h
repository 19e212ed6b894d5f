// Numbers that several processes may count in at once: lock-free, of fixed layout, zero octets are
// zero. What a killed process has counted stays counted.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace http01 {

class Counter {
 public:
  void add(std::uint64_t amount = 1) { value_.fetch_add(amount, std::memory_order_relaxed); }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
};

struct Histogram {
  // Upper bounds in seconds: from an answer out of the cache to the deadline of a request. Where
  // time-outs are, from 1 to 5 s, none is more than a tenth above the one before: a quantile that
  // is computed from the buckets is no further from the true one.
  static constexpr std::array kBounds{
      0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,  //
      1.0,    1.1,   1.2,    1.3,   1.4,  1.5,   1.65, 1.8, 1.95, 2.1,
      2.3,    2.5,   2.75,   3.0,   3.3,  3.6,   3.9,  4.2, 4.6,  5.0};

  std::array<Counter, kBounds.size() + 1> buckets;  // not cumulative; the last one is above all
  Counter nanoseconds;

  void observe(base::Duration value) {
    const double seconds = std::chrono::duration<double>(value).count();
    std::size_t i = 0;
    while (i < kBounds.size() && seconds > kBounds[i]) ++i;
    buckets[i].add();
    nanoseconds.add(static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(value).count()));
  }
};

// A number for what stands where in a file: FNV-1a over the words for it.
class Layout {
 public:
  void add(std::string_view word) {
    for (const char c : word) mix(static_cast<unsigned char>(c));
    mix(0);
  }
  void add_number(double number) { add(std::to_string(number)); }
  std::uint32_t value() const { return value_; }

 private:
  void mix(unsigned char octet) { value_ = (value_ ^ octet) * 16777619U; }
  std::uint32_t value_ = 2166136261U;
};

}  // namespace http01
