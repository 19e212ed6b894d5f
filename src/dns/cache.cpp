#include "dns/cache.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>

#include "dns/packed_answer.h"

namespace http01::dns {
namespace {

using base::TimePoint;
using protocol::Answer;
using protocol::Outcome;
using protocol::Question;

// The hash has 32 bits, and at most half of the slots are taken.
constexpr std::size_t kMaxEntries = std::size_t{1} << 31;

constexpr std::size_t kFirstSlots = 16;

constexpr std::chrono::seconds kFailureTtl{1};

std::chrono::seconds life_of(const Answer& answer, const CacheSettings& settings) {
  const std::chrono::seconds ttl{answer.ttl_s};
  switch (answer.outcome) {
    case Outcome::kData:
      return std::min(ttl, settings.max_ttl);
    case Outcome::kNoData:
    case Outcome::kNxDomain:
    case Outcome::kLoop:  // like the others, a mistake that its owner is about to correct
      return std::min(ttl, settings.negative_ttl);
    case Outcome::kFailure:
    case Outcome::kTimeout:
      return kFailureTtl;
    case Outcome::kOverloaded:
      return std::chrono::seconds::zero();
  }
  return std::chrono::seconds::zero();
}

}  // namespace

Cache::Cache(const CacheSettings& settings) { reset(settings); }

Cache::~Cache() { free_entries(); }

void Cache::reset(const CacheSettings& settings) {
  Slots slots(kFirstSlots);
  free_entries();
  slots_.swap(slots);
  size_ = 0;
  bytes_ = 0;
  settings_ = settings;
  settings_.entries = std::min(settings.entries, kMaxEntries);
  max_bytes_ = std::max(settings_.entries * kBytesPerEntry, kLargestEntry);
}

bool Cache::get(const Question& question, TimePoint now, Answer& answer) {
  const PackedQuestion packed(question);
  const std::span<const std::uint8_t> key = packed.bytes();
  const std::size_t slot = find(key, static_cast<std::uint32_t>(hash_.of(key)));
  Entry* const entry = slots_[slot].entry;
  if (!entry) return false;
  // In a large cache the neighbours too are in main memory: fetch them while the answer is read.
  __builtin_prefetch(entry->newer, 1);
  __builtin_prefetch(entry->older, 1);
  if (entry->end <= now) {
    remove(slot);
    return false;
  }
  unpack(entry->answer(key.size()), answer);
  take_out(entry);
  make_newest(entry);
  answer.ttl_s = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(entry->end - now).count());
  return true;
}

void Cache::put(const Question& question, const Answer& answer, TimePoint now) {
  const PackedQuestion packed(question);
  const std::span<const std::uint8_t> key = packed.bytes();
  const auto hash = static_cast<std::uint32_t>(hash_.of(key));
  if (const std::size_t old = find(key, hash); slots_[old].entry) remove(old);

  const std::chrono::seconds life = life_of(answer, settings_);
  const std::size_t size = sizeof(Entry) + key.size() + packed_size(answer);
  if (life <= life.zero() || settings_.entries == 0 || size > max_bytes_) return;
  while (size_ == settings_.entries || bytes_ + size > max_bytes_) remove_oldest();

  // Without memory for it, an answer is not kept: that fails no request.
  if (2 * (size_ + 1) > slots_.size() && !grow()) return;
  void* const block = std::malloc(size);
  if (!block) return;
  auto* const entry = new (block) Entry{{}, now + life, hash, static_cast<std::uint32_t>(size)};
  std::ranges::copy(key, entry->question());
  pack(answer, entry->answer(key.size()));
  insert({entry, hash});
  make_newest(entry);
  ++size_;
  bytes_ += size;
}

// The question's slot, or the empty slot where it would be.
std::size_t Cache::find(std::span<const std::uint8_t> question, std::uint32_t hash) const {
  std::size_t at = home_of(hash);
  for (; slots_[at].entry; at = after(at)) {
    if (slots_[at].hash != hash) continue;
    const std::uint8_t* const found = slots_[at].entry->question();
    // Fetch the rest of a usual entry at once and not one cache line after the other.
    __builtin_prefetch(found + 64);
    __builtin_prefetch(found + 128);
    // The first byte determines the size: if it is the same, all of `found` can be compared.
    if (found[0] == question[0] && std::memcmp(found, question.data(), question.size()) == 0) break;
  }
  return at;
}

void Cache::insert(const Slot& slot) {
  std::size_t at = home_of(slot.hash);
  while (slots_[at].entry) at = after(at);
  slots_[at] = slot;
}

// An empty slot ends a search. So the entries behind it whose search passes it move up.
void Cache::clear(std::size_t slot) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t gap = slot;
  for (std::size_t at = after(gap); slots_[at].entry; at = after(at)) {
    const std::size_t from_home = (at - slots_[at].hash) & mask;
    if (from_home < ((at - gap) & mask)) continue;
    slots_[gap] = slots_[at];
    gap = at;
  }
  slots_[gap] = {};
}

bool Cache::grow() {
  Slots old;
  try {
    old = Slots(2 * slots_.size());
  } catch (const std::bad_alloc&) {
    return false;
  }
  old.swap(slots_);
  // The slots have the hashes too: the entries are all over the memory.
  for (const Slot& slot : old) {
    if (slot.entry) insert(slot);
  }
  return true;
}

void Cache::take_out(Entry* entry) {
  entry->newer->older = entry->older;
  entry->older->newer = entry->newer;
}

void Cache::make_newest(Entry* entry) {
  entry->newer = &order_;
  entry->older = order_.older;
  entry->older->newer = entry;
  order_.older = entry;
}

void Cache::remove(std::size_t slot) {
  Entry* const entry = slots_[slot].entry;
  take_out(entry);
  --size_;
  bytes_ -= entry->size;
  std::free(entry);
  clear(slot);
}

void Cache::remove_oldest() {
  auto* const oldest = static_cast<Entry*>(order_.newer);
  std::size_t at = home_of(oldest->hash);
  while (slots_[at].entry != oldest) at = after(at);
  remove(at);
}

void Cache::free_entries() {
  while (order_.newer != &order_) {
    auto* const oldest = static_cast<Entry*>(order_.newer);
    take_out(oldest);
    std::free(oldest);
  }
}

}  // namespace http01::dns
