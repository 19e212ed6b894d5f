#include "dns/cache.h"

#include <boost/test/unit_test.hpp>

#include "dns_packets.h"

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

BOOST_AUTO_TEST_CASE(very_large_answers_are_not_kept) {
  Cache cache(kSettings);
  Answer answer = answer_of(Outcome::kData, 60);
  answer.texts = {{std::string(900, 'x'), 4, 255}};
  cache.put(numbered(1), answer, kStart);
  BOOST_TEST(cache.size() == 1u);
  answer.texts = {{std::string(1100, 'x'), 5, 255}};
  cache.put(numbered(1), answer, kStart);
  BOOST_TEST(cache.size() == 0u);
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
  const KeyedHash hash(KeyedHash::Key{0x0706050403020100, 0x0f0e0d0c0b0a0908});
  std::vector<std::uint8_t> octets;
  BOOST_TEST(hash.of(octets) == 0x726fdb47dd0e0e31u);
  for (std::uint8_t i = 0; i < 15; ++i) octets.push_back(i);
  BOOST_TEST(hash.of(octets) == 0xa129ca6149be45e5u);
}

BOOST_AUTO_TEST_CASE(no_two_processes_hash_alike) {
  BOOST_TEST(KeyedHash()(numbered(1)) != KeyedHash()(numbered(1)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::dns
