#include "dns/cache.h"

#include <algorithm>
#include <array>
#include <bit>
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

// Whoever owns a zone chooses the size of its records, and by the number of names asked for how
// many of them are kept. Sane answers have 50 to 200 octets.
constexpr std::size_t kMaxOctets = 1024;

// The hash has 32 bits.
constexpr std::size_t kMaxEntries = std::size_t{1} << 31;

constexpr std::chrono::seconds kFailureTtl{1};

class Writer {
 public:
  void number(std::size_t value, std::size_t octets) {
    while (octets-- > 0) octet(static_cast<std::uint8_t>(value >> (8 * octets)));
  }
  void text(std::string_view text) {
    if (size_ + text.size() <= octets_.size()) {
      std::memcpy(octets_.data() + size_, text.data(), text.size());
    }
    size_ += text.size();
  }
  bool fits() const { return size_ <= octets_.size(); }
  std::span<const std::uint8_t> octets() const { return {octets_.data(), size_}; }

 private:
  void octet(std::uint8_t value) {
    if (size_ < octets_.size()) octets_[size_] = value;
    ++size_;
  }

  std::array<std::uint8_t, kMaxOctets> octets_;
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
  std::span<const std::uint8_t> octets(std::size_t count) {
    at_ += count;
    return {at_ - count, count};
  }
  std::string text(std::size_t count) {
    const auto text = octets(count);
    return {text.begin(), text.end()};
  }

 private:
  const std::uint8_t* at_;
};

// The first octet of an entry is the size of the name, so no key is the beginning of another.
void write_question(Writer& writer, const Question& question) {
  writer.number(question.name.labels().size(), 1);
  writer.text(question.name.labels());
  writer.number(static_cast<std::size_t>(question.type), 2);
}

std::size_t question_octets(const std::uint8_t* octets) { return std::size_t{octets[0]} + 3; }

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
    writer.number(alias.labels().size() + 1, 1);
    writer.text(alias.labels());
    writer.number(0, 1);
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

Answer read_answer(Reader reader) {
  Answer answer;
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
    if (auto name = Name::from_wire(reader.octets(reader.number(1)))) alias = std::move(*name);
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
  return answer;
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

void Cache::FreeAll::operator()(Entry** buckets) const {
  for (std::size_t i = 0; i < count; ++i) {
    while (Entry* const entry = buckets[i]) {
      buckets[i] = entry->next;
      std::free(entry);
    }
  }
  std::free(buckets);
}

Cache::Cache(const CacheSettings& settings)
    : settings_(settings),
      bucket_mask_(std::bit_ceil(std::clamp<std::size_t>(settings.entries, 1, kMaxEntries)) - 1),
      buckets_(static_cast<Entry**>(std::calloc(bucket_mask_ + 1, sizeof(void*))),
               FreeAll{bucket_mask_ + 1}) {
  settings_.entries = std::min(settings_.entries, kMaxEntries);
  if (!buckets_) throw std::bad_alloc();
}

bool Cache::get(const Question& question, TimePoint now, Answer& answer) {
  Writer key;
  write_question(key, question);
  Entry** const place = find(key.octets(), static_cast<std::uint32_t>(hash_.of(key.octets())));
  Entry* const entry = *place;
  if (!entry) return false;
  if (entry->end <= now) {
    remove(place);
    return false;
  }
  answer = read_answer(Reader(entry->octets() + question_octets(entry->octets())));
  answer.ttl_s = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(entry->end - now).count());
  take_out(entry);
  make_newest(entry);
  return true;
}

void Cache::put(const Question& question, const Answer& answer, TimePoint now) {
  Writer writer;
  write_question(writer, question);
  const auto hash = static_cast<std::uint32_t>(hash_.of(writer.octets()));
  if (Entry** const old = find(writer.octets(), hash); *old) remove(old);

  const std::chrono::seconds life = life_of(answer, settings_);
  write_answer(writer, answer);
  if (life <= life.zero() || settings_.entries == 0 || !writer.fits()) return;
  if (size_ == settings_.entries) remove(link_to(oldest_));

  const auto octets = writer.octets();
  void* const block = std::malloc(sizeof(Entry) + octets.size());
  if (!block) throw std::bad_alloc();
  Entry*& bucket = buckets_[hash & bucket_mask_];
  auto* const entry = new (block) Entry{bucket, nullptr, nullptr, now + life, hash};
  std::memcpy(entry->octets(), octets.data(), octets.size());
  bucket = entry;
  make_newest(entry);
  ++size_;
}

// The link that leads to the entry; one that leads nowhere if there is none.
Cache::Entry** Cache::find(std::span<const std::uint8_t> key, std::uint32_t hash) const {
  Entry** place = &buckets_[hash & bucket_mask_];
  for (; *place; place = &(*place)->next) {
    Entry& entry = **place;
    // The first octet says how much of the entry is question.
    if (entry.hash == hash && entry.octets()[0] == key[0] &&
        std::memcmp(entry.octets(), key.data(), key.size()) == 0) {
      break;
    }
  }
  return place;
}

Cache::Entry** Cache::link_to(Entry* entry) const {
  Entry** place = &buckets_[entry->hash & bucket_mask_];
  while (*place != entry) place = &(*place)->next;
  return place;
}

void Cache::make_newest(Entry* entry) {
  entry->newer = nullptr;
  entry->older = newest_;
  (newest_ ? newest_->newer : oldest_) = entry;
  newest_ = entry;
}

void Cache::take_out(Entry* entry) {
  (entry->newer ? entry->newer->older : newest_) = entry->older;
  (entry->older ? entry->older->newer : oldest_) = entry->newer;
}

void Cache::remove(Entry** place) {
  Entry* const entry = *place;
  *place = entry->next;
  take_out(entry);
  std::free(entry);
  --size_;
}

}  // namespace http01::dns
