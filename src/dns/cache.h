// Keeps answers until their time is over, bounded in number and in bytes: a new answer pushes out
// the least recently used. The caller gives the time. The memory grows with the answers, so an
// empty cache costs nothing to create, whatever its bounds; where there is no memory for an answer,
// it is not kept. One thread; the constructor and reset() throw std::bad_alloc, and leave all as it
// was.
//
//   slots_             the entries, one block of memory each
//   |  empty      |
//   | entry, hash | -> | newer, older | end, hash, size | packed question | packed answer |
//   | entry, hash | -> | newer, older | end, hash, size | packed question | packed answer |
//   |  empty      |
//
// A hash gives the slot at which the search for a question begins; it ends at an empty slot.
// `newer` and `older` make a ring of the entries in the order of their use, closed by order_:
//
//   order_ -newer-> least recently used -newer-> ... -newer-> most recently used -newer-> order_
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/keyed_hash.h"
#include "dns/settings.h"
#include "protocol/answer.h"

namespace http01::dns {

class Cache {
 public:
  // The bound of all answers together is this for each one that there may be.
  static constexpr std::uint64_t kBytesPerEntry = 1024;
  // That bound is never lower than this, so one answer alone always has room. A message of 128
  // aliases, each compressed to a few bytes, has 33 KB of names; no text is longer than a message.
  static constexpr std::uint64_t kLargestEntry = std::uint64_t{40} * 1024;

  explicit Cache(const CacheSettings& settings);
  ~Cache();
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  // Drops all answers, gives back the memory of the slots, and takes new bounds.
  void reset(const CacheSettings& settings);

  // Fills `answer`, with ttl_s the time that is left. Returns false if there is no answer, or none
  // whose time is not over.
  bool get(const protocol::Question& question, base::TimePoint now, protocol::Answer& answer);

  // Keeps data for its TTL up to max_ttl, and what does not exist or is a loop up to negative_ttl;
  // a failure or a time-out for one second (RFC 9520 3.2). An answer without a TTL is not kept, nor
  // is kOverloaded.
  void put(const protocol::Question& question, const protocol::Answer& answer, base::TimePoint now);

  // Includes answers whose time is over, until they are next looked up or pushed out.
  std::size_t size() const { return size_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  struct Link {
    Link* newer;
    Link* older;
  };
  struct Entry : Link {
    base::TimePoint end;
    std::uint32_t hash;
    std::uint32_t size;  // of the block

    // What follows in the block: the packed question, then the packed answer.
    std::uint8_t* question() { return reinterpret_cast<std::uint8_t*>(this + 1); }
    std::uint8_t* answer(std::size_t question_size) { return question() + question_size; }
  };
  struct Slot {
    Entry* entry = nullptr;
    std::uint32_t hash = 0;
  };

  // Takes nothing of the memory that operator new has in reserve (base/memory_reserve.h).
  template <typename T>
  struct Allocator {
    using value_type = T;  // NOLINT(readability-identifier-naming): the library's name
    T* allocate(std::size_t count) {
      void* const memory = std::malloc(count * sizeof(T));
      if (memory == nullptr) throw std::bad_alloc();
      return static_cast<T*>(memory);
    }
    void deallocate(T* memory, std::size_t) { std::free(memory); }
    bool operator==(const Allocator&) const = default;
  };
  using Slots = std::vector<Slot, Allocator<Slot>>;

  // The table. `slot` is an index of slots_.
  std::size_t find(std::span<const std::uint8_t> question, std::uint32_t hash) const;
  std::size_t home_of(std::uint32_t hash) const { return hash & (slots_.size() - 1); }
  std::size_t after(std::size_t slot) const { return (slot + 1) & (slots_.size() - 1); }
  void insert(const Slot& slot);
  void clear(std::size_t slot);
  bool grow();

  // The ring.
  void make_newest(Entry* entry);
  static void take_out(Entry* entry);

  // Both.
  void remove(std::size_t slot);
  void remove_oldest();

  // Leaves the table as it is.
  void free_entries();

  CacheSettings settings_;
  std::uint64_t max_bytes_ = 0;
  base::KeyedHash hash_ = base::KeyedHash::of_process();
  // Open addressing with linear probing. The size is a power of two; at most half are taken.
  Slots slots_;
  Link order_{&order_, &order_};
  std::size_t size_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace http01::dns
