#include "dns/cache.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <string_view>

namespace http01::dns {
namespace {

using base::Duration;
using base::IpAddress;
using base::TimePoint;
using protocol::Answer;
using protocol::CaaRecord;
using protocol::Name;
using protocol::Outcome;
using protocol::Question;
using protocol::TxtRecord;

// The hash has 32 bits.
constexpr std::size_t kMaxEntries = std::size_t{1} << 31;

constexpr std::size_t kFirstSlots = 16;

constexpr std::chrono::seconds kFailureTtl{1};

// Writes, or, with nowhere to write to, counts.
class Writer {
 public:
  explicit Writer(std::uint8_t* to) : to_(to) {}
  void number(std::size_t value, std::size_t octets) {
    while (octets-- > 0) {
      if (to_ != nullptr) to_[size_] = static_cast<std::uint8_t>(value >> (8 * octets));
      ++size_;
    }
  }
  void text(std::string_view text) {
    if (to_ != nullptr) std::memcpy(to_ + size_, text.data(), text.size());
    size_ += text.size();
  }
  std::size_t size() const { return size_; }

 private:
  std::uint8_t* to_;
  std::size_t size_ = 0;
};

// Reads what Writer wrote, so it need not look for an end.
class Reader {
 public:
  explicit Reader(const std::uint8_t* octets) : at_(octets) {}
  std::size_t number(std::size_t octets) {
    std::size_t value = 0;
    while (octets-- > 0) value = value << 8 | *at_++;
    return value;
  }
  std::string_view text(std::size_t count) {
    at_ += count;
    return {reinterpret_cast<const char*>(at_ - count), count};
  }

 private:
  const std::uint8_t* at_;
};

// A question in octets. The first says how many the name has, so no key is the beginning of
// another.
class Key {
 public:
  explicit Key(const Question& question) {
    Writer writer(octets_.data());
    writer.number(question.name.labels().size(), 1);
    writer.text(question.name.labels());
    writer.number(static_cast<std::size_t>(question.type), 2);
    size_ = writer.size();
  }
  std::span<const std::uint8_t> octets() const { return {octets_.data(), size_}; }
  static std::size_t size_of(const std::uint8_t* octets) { return std::size_t{octets[0]} + 3; }

 private:
  std::array<std::uint8_t, Name::kMaxWireOctets + 3> octets_;
  std::size_t size_;
};

// Counts fit one octet: a message of more than 128 records is no answer.
void write_answer(Writer& writer, const Answer& answer) {
  writer.number(static_cast<std::size_t>(answer.outcome), 1);
  writer.number(answer.authenticated ? 1 : 0, 1);
  writer.number(answer.texts.size(), 1);
  for (const TxtRecord& text : answer.texts) {
    writer.number(text.strings, 2);
    writer.number(text.first_size, 2);
    writer.number(text.text.size(), 2);
    writer.text(text.text);
  }
  writer.number(answer.aliases.size(), 1);
  for (const Name& alias : answer.aliases) {
    writer.number(alias.labels().size(), 1);
    writer.text(alias.labels());
  }
  writer.number(answer.addresses.size(), 1);
  for (const IpAddress& address : answer.addresses) {
    writer.number(address.v6 ? 16 : 4, 1);
    for (std::size_t i = 0; i < (address.v6 ? 16 : 4); ++i) writer.number(address.octets[i], 1);
  }
  writer.number(answer.caas.size(), 1);
  for (const CaaRecord& caa : answer.caas) {
    writer.number(caa.critical ? 1 : 0, 1);
    writer.number(caa.tag.size(), 1);
    writer.text(caa.tag);
    writer.number(caa.value.size(), 2);
    writer.text(caa.value);
  }
}

// All but ttl_s.
void read_answer(Reader reader, Answer& answer) {
  answer.outcome = static_cast<Outcome>(reader.number(1));
  answer.authenticated = reader.number(1) != 0;
  answer.texts.resize(reader.number(1));
  for (TxtRecord& text : answer.texts) {
    text.strings = static_cast<std::uint16_t>(reader.number(2));
    text.first_size = static_cast<std::uint16_t>(reader.number(2));
    text.text = reader.text(reader.number(2));
  }
  answer.aliases.resize(reader.number(1));
  for (Name& alias : answer.aliases) {
    alias = Name::from_labels(reader.text(reader.number(1)));
  }
  answer.addresses.resize(reader.number(1));
  for (IpAddress& address : answer.addresses) {
    const std::size_t octets = reader.number(1);
    address.v6 = octets == 16;
    for (std::size_t i = 0; i < octets; ++i) {
      address.octets[i] = static_cast<std::uint8_t>(reader.number(1));
    }
  }
  answer.caas.resize(reader.number(1));
  for (CaaRecord& caa : answer.caas) {
    caa.critical = reader.number(1) != 0;
    caa.tag = reader.text(reader.number(1));
    caa.value = reader.text(reader.number(2));
  }
}

std::chrono::seconds life_of(const Answer& answer, const CacheSettings& settings) {
  const std::chrono::seconds ttl{answer.ttl_s};
  switch (answer.outcome) {
    case Outcome::kData:
      return std::min(ttl, settings.max_ttl);
    case Outcome::kNoData:
    case Outcome::kNxDomain:
    case Outcome::kLoop:  // like the others, a mistake that its owner is about to mend
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

Cache::~Cache() { free_all(); }

void Cache::reset(const CacheSettings& settings) {
  free_all();
  slots_ = std::vector<Slot>(kFirstSlots);
  settings_ = settings;
  settings_.entries = std::min(settings.entries, kMaxEntries);
  max_octets_ = std::max(settings_.entries * kOctetsPerEntry, kLargestEntry);
}

void Cache::free_all() {
  while (order_.newer != &order_) {
    auto* const oldest = static_cast<Entry*>(order_.newer);
    take_out(oldest);
    std::free(oldest);
  }
  size_ = 0;
  octets_ = 0;
}

bool Cache::get(const Question& question, TimePoint now, Answer& answer) {
  const Key key(question);
  const std::size_t slot = find(key.octets(), static_cast<std::uint32_t>(hash_.of(key.octets())));
  Entry* const entry = slots_[slot].entry;
  if (!entry) return false;
  // Among many, its neighbours too are in main memory: they come while the answer is read.
  __builtin_prefetch(entry->newer, 1);
  __builtin_prefetch(entry->older, 1);
  if (entry->end <= now) {
    remove(slot);
    return false;
  }
  read_answer(Reader(entry->octets() + key.octets().size()), answer);
  take_out(entry);
  make_newest(entry);
  answer.ttl_s = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(entry->end - now).count());
  return true;
}

void Cache::put(const Question& question, const Answer& answer, TimePoint now) {
  const Key key(question);
  const auto hash = static_cast<std::uint32_t>(hash_.of(key.octets()));
  if (const std::size_t old = find(key.octets(), hash); slots_[old].entry) remove(old);

  const std::chrono::seconds life = life_of(answer, settings_);
  Writer counted(nullptr);
  write_answer(counted, answer);
  const std::size_t size = sizeof(Entry) + key.octets().size() + counted.size();
  if (life <= life.zero() || settings_.entries == 0 || size > max_octets_) return;
  while (size_ == settings_.entries || octets_ + size > max_octets_) remove_oldest();

  if (2 * (size_ + 1) > slots_.size()) grow();
  void* const block = std::malloc(size);
  if (!block) throw std::bad_alloc();
  auto* const entry = new (block) Entry{{}, now + life, hash, static_cast<std::uint32_t>(size)};
  std::ranges::copy(key.octets(), entry->octets());
  Writer writer(entry->octets() + key.octets().size());
  write_answer(writer, answer);
  insert({entry, hash});
  make_newest(entry);
  ++size_;
  octets_ += size;
}

// Where the entry is, or the empty slot where it would be.
std::size_t Cache::find(std::span<const std::uint8_t> key, std::uint32_t hash) const {
  std::size_t at = hash & (slots_.size() - 1);
  for (; slots_[at].entry; at = after(at)) {
    if (slots_[at].hash != hash) continue;
    const std::uint8_t* const octets = slots_[at].entry->octets();
    // The rest of a usual entry, at once and not line by line.
    __builtin_prefetch(octets + 64);
    __builtin_prefetch(octets + 128);
    if (octets[0] == key[0] && std::memcmp(octets, key.data(), key.size()) == 0) break;
  }
  return at;
}

void Cache::insert(const Slot& slot) {
  std::size_t at = slot.hash & (slots_.size() - 1);
  while (slots_[at].entry) at = after(at);
  slots_[at] = slot;
}

void Cache::grow() {
  std::vector<Slot> old(2 * slots_.size());
  old.swap(slots_);
  // Not from the entries: those are all over the memory.
  for (const Slot& slot : old) {
    if (slot.entry) insert(slot);
  }
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
  octets_ -= entry->size;
  std::free(entry);
  // Those behind it that would not be found any more across the gap move into it.
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

void Cache::remove_oldest() {
  auto* const oldest = static_cast<Entry*>(order_.newer);
  std::size_t at = oldest->hash & (slots_.size() - 1);
  while (slots_[at].entry != oldest) at = after(at);
  remove(at);
}

}  // namespace http01::dns
