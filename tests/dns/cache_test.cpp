#include "dns/cache.h"

#include <sys/resource.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <list>
#include <random>

#include "dns/message.h"
#include "tests/dns/packets.h"

namespace http01::dns {

using namespace testing;
using namespace std::chrono_literals;
using base::TimePoint;
using protocol::Answer;
using protocol::Outcome;

BOOST_AUTO_TEST_SUITE(cache)

constexpr CacheSettings kSettings{3, 60s, 10s};
constexpr TimePoint kStart{1000s};

Answer answer_of(Outcome outcome, std::uint32_t ttl) {
  Answer answer;
  answer.outcome = outcome;
  answer.ttl_s = ttl;
  return answer;
}

Question numbered(int i) { return question("n" + std::to_string(i) + ".example"); }

// How many seconds an answer is kept.
int life_of(Outcome outcome, std::uint32_t ttl) {
  Cache cache(kSettings);
  cache.put(numbered(1), answer_of(outcome, ttl), kStart);
  for (int second = 0;; ++second) {
    Answer answer;
    if (!cache.get(numbered(1), kStart + std::chrono::seconds(second), answer)) return second;
    if (second > 100) return -1;
  }
}

BOOST_AUTO_TEST_CASE(what_comes_out_is_what_went_in) {
  Answer answer;
  answer.outcome = Outcome::kData;
  answer.authenticated = true;
  answer.ttl_s = 50;
  answer.texts = {{std::string("a\0b", 3), 2, 1}, {"", 700, 0}, {std::string(300, 'x'), 2, 255}};
  answer.aliases = {name("a.example"), name(".")};
  answer.addresses = {*base::IpAddress::parse("192.0.2.1"), *base::IpAddress::parse("2001:db8::1")};
  answer.caas = {{true, "issue", "ca.example"}, {false, "iodef", std::string("\0", 1)}};
  Cache cache(kSettings);
  cache.put(numbered(1), answer, kStart);
  Answer found;
  BOOST_TEST_REQUIRE(cache.get(numbered(1), kStart, found));
  BOOST_TEST((found == answer));
}

BOOST_AUTO_TEST_CASE(a_question_is_a_name_and_a_type) {
  Cache cache(kSettings);
  cache.put(question("a.example"), answer_of(Outcome::kData, 60), kStart);
  Answer answer;
  BOOST_TEST(cache.get(question("A.Example"), kStart, answer));
  BOOST_TEST(!cache.get(question("a.example", RecordType::kCname), kStart, answer));
  // 257 and 1 have an octet in common.
  cache.put(question("a.example", RecordType::kA), answer_of(Outcome::kData, 60), kStart);
  BOOST_TEST(!cache.get(question("a.example", RecordType::kCaa), kStart, answer));
  BOOST_TEST(!cache.get(question("example"), kStart, answer));
  BOOST_TEST(!cache.get(question("."), kStart, answer));
}

BOOST_AUTO_TEST_CASE(each_outcome_is_kept_for_its_time) {
  BOOST_TEST(life_of(Outcome::kData, 30) == 30);
  BOOST_TEST(life_of(Outcome::kData, 3600) == 60);
  BOOST_TEST(life_of(Outcome::kData, 0) == 0);
  BOOST_TEST(life_of(Outcome::kNoData, 5) == 5);
  BOOST_TEST(life_of(Outcome::kNoData, 3600) == 10);
  BOOST_TEST(life_of(Outcome::kNxDomain, 3600) == 10);
  BOOST_TEST(life_of(Outcome::kNxDomain, 0) == 0);
  BOOST_TEST(life_of(Outcome::kLoop, 3600) == 10);
  BOOST_TEST(life_of(Outcome::kFailure, 0) == 1);
  BOOST_TEST(life_of(Outcome::kTimeout, 0) == 1);
  BOOST_TEST(life_of(Outcome::kOverloaded, 60) == 0);
}

BOOST_AUTO_TEST_CASE(a_hit_says_how_much_time_is_left) {
  Cache cache(kSettings);
  cache.put(numbered(1), answer_of(Outcome::kData, 3600), kStart);
  Answer answer;
  BOOST_TEST(cache.get(numbered(1), kStart, answer));
  BOOST_TEST(answer.ttl_s == 60u);
  BOOST_TEST(cache.get(numbered(1), kStart + 20500ms, answer));
  BOOST_TEST(answer.ttl_s == 39u);
}

BOOST_AUTO_TEST_CASE(the_least_recently_used_goes_first) {
  Cache cache(kSettings);
  for (const int i : {1, 2, 3}) cache.put(numbered(i), answer_of(Outcome::kData, 60), kStart);
  Answer answer;
  BOOST_TEST(cache.get(numbered(1), kStart, answer));
  cache.put(numbered(4), answer_of(Outcome::kData, 60), kStart);
  BOOST_TEST(cache.size() == 3u);
  BOOST_TEST(!cache.get(numbered(2), kStart, answer));
  for (const int i : {1, 3, 4}) BOOST_TEST(cache.get(numbered(i), kStart, answer));
}

BOOST_AUTO_TEST_CASE(a_new_answer_replaces_the_old_one) {
  Cache cache(kSettings);
  cache.put(numbered(1), answer_of(Outcome::kData, 60), kStart);
  cache.put(numbered(1), answer_of(Outcome::kNxDomain, 60), kStart);
  Answer answer;
  BOOST_TEST(cache.get(numbered(1), kStart, answer));
  BOOST_TEST((answer.outcome == Outcome::kNxDomain));
  cache.put(numbered(1), answer_of(Outcome::kData, 0), kStart);
  BOOST_TEST(!cache.get(numbered(1), kStart, answer));
  BOOST_TEST(cache.size() == 0u);
}

BOOST_AUTO_TEST_CASE(what_is_over_makes_room_when_it_is_asked_for) {
  Cache cache(kSettings);
  cache.put(numbered(1), answer_of(Outcome::kData, 5), kStart);
  Answer answer;
  BOOST_TEST(!cache.get(numbered(1), kStart + 5s, answer));
  BOOST_TEST(cache.size() == 0u);
}

Answer answer_with_text(std::size_t octets) {
  Answer answer = answer_of(Outcome::kData, 60);
  answer.texts = {{std::string(octets, 'x'), 4, 255}};
  return answer;
}

BOOST_AUTO_TEST_CASE(a_large_answer_is_kept) {
  Cache cache(kSettings);
  cache.put(numbered(1), answer_with_text(8000), kStart);
  Answer answer;
  BOOST_TEST_REQUIRE(cache.get(numbered(1), kStart, answer));
  BOOST_TEST((answer == answer_with_text(8000)));
}

// 128 aliases, whose names are compressed in the message.
BOOST_AUTO_TEST_CASE(the_largest_answer_of_all_is_kept_by_the_smallest_cache) {
  const std::string label(60, 'x');
  const std::string target = label + '.' + label + '.' + label + '.' + label + ".test";
  const Question asked = question("a." + target, RecordType::kCname);
  std::string message = u16(7) + u16(0x8180) + u16(1) + u16(128) + u32(0);
  message += wire("a." + target) + u16(5) + u16(1);
  // To the name asked for, and to what follows its first label.
  for (int i = 0; i < 128; ++i) message += record("\xc0\x0c", 5, 60, "\xc0\x0e");
  const ParsedReply reply = parse_reply(
      {reinterpret_cast<const std::uint8_t*>(message.data()), message.size()}, asked, 7);
  BOOST_TEST_REQUIRE((reply.verdict == Verdict::kAnswer));
  BOOST_TEST((reply.answer.outcome == Outcome::kData));
  BOOST_TEST((reply.answer.aliases == std::vector<Name>(128, name(target))));
  Cache cache({1, 60s, 10s});
  cache.put(asked, reply.answer, kStart);
  Answer answer;
  BOOST_TEST_REQUIRE(cache.get(asked, kStart, answer));
  BOOST_TEST((answer == reply.answer));
}

BOOST_AUTO_TEST_CASE(large_answers_take_no_more_than_their_number_allows) {
  constexpr std::size_t kEntries = 100;
  Cache cache({kEntries, 60s, 10s});
  for (int i = 0; i < 300; ++i) {
    cache.put(numbered(i), answer_with_text(4000), kStart);
    BOOST_TEST_REQUIRE(cache.bytes() <= kEntries * 1024);
  }
  // So many fit; the oldest have left.
  BOOST_TEST(cache.size() == 25u);
  Answer answer;
  BOOST_TEST(!cache.get(numbered(274), kStart, answer));
  for (int i = 275; i < 300; ++i) BOOST_TEST(cache.get(numbered(i), kStart, answer));
}

// The plainest cache that does the same: a list, the newest first.
class Model {
 public:
  struct Kept {
    int number;
    std::uint64_t octets;
    TimePoint end;
  };

  Model(std::size_t entries, std::uint64_t octets) : entries_(entries), octets_(octets) {}

  bool get(int number, TimePoint now) {
    const auto found = find(number);
    if (found == kept_.end()) return false;
    const Kept kept = *found;
    kept_.erase(found);
    if (kept.end <= now) return false;
    kept_.push_front(kept);
    return true;
  }
  void put(const Kept& kept) {
    if (const auto old = find(kept.number); old != kept_.end()) kept_.erase(old);
    kept_.push_front(kept);
    while (kept_.size() > entries_ || octets() > octets_) kept_.pop_back();
  }
  std::uint64_t octets() const {
    std::uint64_t all = 0;
    for (const Kept& kept : kept_) all += kept.octets;
    return all;
  }
  const std::list<Kept>& kept() const { return kept_; }

 private:
  std::list<Kept>::iterator find(int number) {
    return std::ranges::find(kept_, number, &Kept::number);
  }

  std::size_t entries_;
  std::uint64_t octets_;
  std::list<Kept> kept_;
};

BOOST_AUTO_TEST_CASE(it_keeps_just_what_the_plainest_cache_keeps) {
  constexpr std::size_t kEntries = 60;
  std::minstd_rand random(1);
  Cache cache({kEntries, 60s, 10s});
  Model model(kEntries, kEntries * 1024);
  std::size_t fullest = 0;
  TimePoint now = kStart;
  Answer answer;
  for (int i = 0; i < 20'000; ++i) {
    now += 10ms;
    const int number = static_cast<int>(random() % 200);
    if (random() % 3 == 0) {
      // By turns small answers, of which as many are kept as may be, and large ones.
      Answer put = answer_with_text(random() % (i / 1000 % 2 == 0 ? 100 : 5000));
      put.ttl_s = static_cast<std::uint32_t>(1 + random() % 5);
      Cache alone({1, 60s, 10s});
      alone.put(numbered(number), put, now);
      cache.put(numbered(number), put, now);
      model.put({number, alone.bytes(), now + std::chrono::seconds(put.ttl_s)});
    } else {
      BOOST_TEST_REQUIRE(cache.get(numbered(number), now, answer) == model.get(number, now));
    }
    BOOST_TEST_REQUIRE(cache.size() == model.kept().size());
    BOOST_TEST_REQUIRE(cache.bytes() == model.octets());
    fullest = std::max(fullest, cache.size());
  }
  BOOST_TEST(fullest == kEntries);
}

long page_faults() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

BOOST_AUTO_TEST_CASE(to_begin_and_to_end_cost_nothing_for_what_was_never_kept) {
  const long before = page_faults();
  {
    Cache cache({10'000'000, 60s, 10s});
    cache.put(numbered(1), answer_of(Outcome::kData, 60), kStart);
  }
  BOOST_TEST(page_faults() - before < 100);
}

BOOST_AUTO_TEST_CASE(begun_again_it_is_empty_and_has_other_bounds) {
  Cache cache(kSettings);
  for (const int i : {1, 2, 3}) cache.put(numbered(i), answer_of(Outcome::kData, 60), kStart);
  cache.reset({1, 60s, 10s});
  Answer answer;
  for (const int i : {1, 2, 3}) BOOST_TEST(!cache.get(numbered(i), kStart, answer));
  for (const int i : {1, 2, 3}) cache.put(numbered(i), answer_of(Outcome::kData, 60), kStart);
  BOOST_TEST(cache.size() == 1u);
  BOOST_TEST(cache.get(numbered(3), kStart, answer));
}

BOOST_AUTO_TEST_CASE(a_cache_of_no_entries_keeps_nothing) {
  Cache cache({0, 60s, 10s});
  cache.put(numbered(1), answer_of(Outcome::kData, 60), kStart);
  BOOST_TEST(cache.size() == 0u);
}

BOOST_AUTO_TEST_CASE(many_entries_come_and_go_and_are_all_found) {
  constexpr int kEntries = 1000;
  Cache cache({kEntries, 60s, 10s});
  Answer answer;
  for (int i = 0; i < 5 * kEntries; ++i) {
    cache.put(numbered(i), answer_of(Outcome::kData, 60), kStart);
    if (i >= kEntries) BOOST_TEST_REQUIRE(!cache.get(numbered(i - kEntries), kStart, answer));
  }
  BOOST_TEST(cache.size() == 1000u);
  for (int i = 4 * kEntries; i < 5 * kEntries; ++i) {
    BOOST_TEST_REQUIRE(cache.get(numbered(i), kStart, answer));
  }
}

BOOST_AUTO_TEST_CASE(the_hash_is_siphash) {
  const base::KeyedHash hash(base::KeyedHash::Key{0x0706050403020100, 0x0f0e0d0c0b0a0908});
  std::vector<std::uint8_t> octets;
  BOOST_TEST(hash.of(octets) == 0x726fdb47dd0e0e31u);
  for (std::uint8_t i = 0; i < 15; ++i) octets.push_back(i);
  BOOST_TEST(hash.of(octets) == 0xa129ca6149be45e5u);
}

BOOST_AUTO_TEST_CASE(no_two_processes_hash_alike) {
  BOOST_TEST(base::KeyedHash()("a") != base::KeyedHash()("a"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::dns
