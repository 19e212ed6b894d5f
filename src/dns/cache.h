// Answers until their time is over, the least recently used dropped for a new one. Told the time.
// Small and near: an entry is one block of memory with its encoded octets, found through one
// pointer of a table that has its final size from the start, in pages that cost nothing until used.
// A value that can be moved; one thread; throws nothing but std::bad_alloc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/clock.h"
#include "dns/keyed_hash.h"
#include "dns/settings.h"
#include "protocol/answer.h"

namespace http01::dns {

class Cache {
 public:
  explicit Cache(const CacheSettings& settings);

  // Fills `answer`, its ttl_s what is left of it; false where there is none or its time is over.
  bool get(const protocol::Question& question, base::TimePoint now, protocol::Answer& answer);

  // Keeps the answer for its TTL within the settings' bounds, a failure for a second (RFC
  // 9520 3.2). What has no TTL, was not asked for want of room, or is very large, is not kept.
  void put(const protocol::Question& question, const protocol::Answer& answer, base::TimePoint now);

  // With those whose time is over but which nobody has asked for since.
  std::size_t size() const { return size_; }

 private:
  struct Entry {
    Entry* next;   // in the chain of its bucket
    Entry* newer;  // in the order of use
    Entry* older;
    base::TimePoint end;
    std::uint32_t hash;

    std::uint8_t* octets() { return reinterpret_cast<std::uint8_t*>(this + 1); }
  };
  struct FreeAll {
    std::size_t count;
    void operator()(Entry** buckets) const;
  };

  Entry** find(std::span<const std::uint8_t> key, std::uint32_t hash) const;
  Entry** link_to(Entry* entry) const;
  void make_newest(Entry* entry);
  void take_out(Entry* entry);
  void remove(Entry** place);

  CacheSettings settings_;
  KeyedHash hash_;
  std::size_t bucket_mask_;
  std::unique_ptr<Entry*[], FreeAll> buckets_;
  Entry* newest_ = nullptr;
  Entry* oldest_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace http01::dns
