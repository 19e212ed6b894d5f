// Answers until their time is over, the least recently used dropped for new ones: bounded in number
// and in octets. Told the time. An entry is one block of memory, found through one slot of a table
// that grows with what it holds, so that to begin and to end cost nothing for what was never kept.
// One thread; throws nothing but std::bad_alloc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.h"
#include "dns/keyed_hash.h"
#include "dns/settings.h"
#include "protocol/answer.h"

namespace http01::dns {

class Cache {
 public:
  // What all answers together take at most, for each one that there may be.
  static constexpr std::uint64_t kOctetsPerEntry = 1024;
  // But one alone is always kept. A message of 128 aliases, each compressed to a few octets, has 33
  // KB of names; none has more.
  static constexpr std::uint64_t kLargestEntry = std::uint64_t{40} * 1024;

  explicit Cache(const CacheSettings& settings);
  ~Cache();
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  // Begins again, empty.
  void reset(const CacheSettings& settings);

  // Fills `answer`, its ttl_s what is left of it; false where there is none or its time is over.
  bool get(const protocol::Question& question, base::TimePoint now, protocol::Answer& answer);

  // Keeps the answer for its TTL within the settings' bounds, a failure for a second (RFC
  // 9520 3.2). What has no TTL or was not asked for want of room is not kept.
  void put(const protocol::Question& question, const protocol::Answer& answer, base::TimePoint now);

  // With those whose time is over but which nobody has asked for since.
  std::size_t size() const { return size_; }
  std::uint64_t octets() const { return octets_; }

 private:
  // In the order of use, a ring: `order_` stands between the newest and the oldest.
  struct Link {
    Link* newer;
    Link* older;
  };
  struct Entry : Link {
    base::TimePoint end;
    std::uint32_t hash;
    std::uint32_t size;  // of the block

    std::uint8_t* octets() { return reinterpret_cast<std::uint8_t*>(this + 1); }
  };
  struct Slot {
    Entry* entry = nullptr;
    std::uint32_t hash = 0;
  };

  std::size_t find(std::span<const std::uint8_t> key, std::uint32_t hash) const;
  std::size_t after(std::size_t slot) const { return (slot + 1) & (slots_.size() - 1); }
  void insert(const Slot& slot);
  void grow();
  void make_newest(Entry* entry);
  static void take_out(Entry* entry);
  void remove(std::size_t slot);
  void remove_oldest();
  void free_all();

  CacheSettings settings_;
  std::uint64_t max_octets_ = 0;
  KeyedHash hash_;
  // Open addressing, linear probing. A power of two, no more than half of them taken.
  std::vector<Slot> slots_;
  Link order_{&order_, &order_};
  std::size_t size_ = 0;
  std::uint64_t octets_ = 0;
};

}  // namespace http01::dns
