// What goes into the cache comes out of it, whatever the octets in names and texts: the input is
// a list of things to do with a cache of four entries, whose answers are those a map would give.

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "dns/cache.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

namespace http01::fuzz {
namespace {

using namespace protocol;
using std::chrono::seconds;

constexpr dns::CacheSettings kSettings{4, seconds(60), seconds(10)};

constexpr std::uint64_t kMostOctets =
    std::max(kSettings.entries * dns::Cache::kBytesPerEntry, dns::Cache::kLargestEntry);

// A message has no more.
constexpr std::size_t kMostRecords = 128;

Question read_question(Input& input) {
  static constexpr std::array kTypes{RecordType::kTxt, RecordType::kCname, RecordType::kA,
                                     RecordType::kAaaa, RecordType::kNs};
  const RecordType type = kTypes[input.below(kTypes.size())];
  return {input.name(), type};
}

Answer read_answer(Input& input) {
  Answer answer;
  answer.outcome = static_cast<Outcome>(input.below(7));
  answer.authenticated = input.yes();
  answer.ttl_s = static_cast<std::uint32_t>(input.number(1 + input.below(4)));
  for (std::size_t left = input.octet() % kMostRecords; left > 0 && !input.empty(); --left) {
    const auto strings = static_cast<std::uint16_t>(input.number(2));
    const auto first = static_cast<std::uint16_t>(input.octet());
    answer.texts.push_back({std::string(input.text()), strings, first});
  }
  for (std::size_t left = input.octet() % kMostRecords; left > 0 && !input.empty(); --left) {
    answer.aliases.push_back(input.name());
  }
  for (std::size_t left = input.octet() % kMostRecords; left > 0 && !input.empty(); --left) {
    base::IpAddress address{input.yes(), {}};
    std::ranges::copy(input.take(address.v6 ? 16 : 4), address.octets.begin());
    answer.addresses.push_back(address);
  }
  return answer;
}

// The same cache as a plain list, the least recently used first.
struct Entry {
  Question question;
  Answer answer;
  base::TimePoint end;
  std::uint64_t octets;
};
using Model = std::vector<Entry>;

Model::iterator find(Model& model, const Question& question) {
  return std::ranges::find(model, question, &Entry::question);
}

seconds life_of(const Answer& answer) {
  const seconds ttl(answer.ttl_s);
  if (answer.outcome == Outcome::kOverloaded) return seconds(0);
  if (answer.outcome == Outcome::kFailure || answer.outcome == Outcome::kTimeout) return seconds(1);
  return std::min(ttl,
                  answer.outcome == Outcome::kData ? kSettings.max_ttl : kSettings.negative_ttl);
}

// What an entry takes: nothing, if it is larger than any answer of a message.
std::uint64_t octets_of(const Question& question, const Answer& answer, base::TimePoint now) {
  dns::Cache alone(kSettings);
  alone.put(question, answer, now);
  return alone.bytes();
}

std::uint64_t octets_of(const Model& model) {
  std::uint64_t all = 0;
  for (const Entry& entry : model) all += entry.octets;
  return all;
}

void get(dns::Cache& cache, Model& model, const Question& question, base::TimePoint now) {
  Answer found;
  const bool hit = cache.get(question, now, found);
  const auto entry = find(model, question);
  const bool expected = entry != model.end() && now < entry->end;
  require(hit == expected, hit ? "an answer after its end" : "an answer is lost");
  if (entry == model.end()) return;
  const Entry known = *entry;
  model.erase(entry);
  if (!hit) return;
  require(seconds(found.ttl_s) == known.end - now, "what is left of its life");
  found.ttl_s = known.answer.ttl_s;
  require(found == known.answer, "another answer than was put");
  model.push_back(known);
}

void put(dns::Cache& cache, Model& model, const Question& question, const Answer& answer,
         base::TimePoint now) {
  cache.put(question, answer, now);
  if (const auto old = find(model, question); old != model.end()) model.erase(old);
  const seconds life = life_of(answer);
  if (life == life.zero()) return;
  const std::uint64_t size = octets_of(question, answer, now);
  require(size <= kMostOctets, "more octets than there may be");
  if (size == 0) {
    require(answer.aliases.size() + answer.texts.size() > 100, "an answer is not kept");
    return;
  }
  model.push_back({question, answer, now + life, size});
  while (model.size() > kSettings.entries || octets_of(model) > kMostOctets) {
    model.erase(model.begin());
  }
}

FUZZ_TARGET(cache, octets) {
  dns::Cache cache(kSettings);
  Model model;
  base::TimePoint now{seconds(1000)};
  Input input(octets);
  while (!input.empty()) {
    const std::size_t action = input.octet();
    if (action % 4 == 0) now += seconds(action / 4);
    const Question question = read_question(input);
    if (action % 2 == 1) {
      put(cache, model, question, read_answer(input), now);
    } else {
      get(cache, model, question, now);
    }
    require(cache.size() == model.size(), "another number of entries");
    require(cache.bytes() == octets_of(model), "another size");
  }
}

}  // namespace
}  // namespace http01::fuzz
