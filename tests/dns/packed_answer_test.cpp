#include "dns/packed_answer.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <ranges>
#include <vector>

#include "tests/dns/packets.h"

namespace http01::dns {

using namespace testing;
using protocol::Answer;
using protocol::Outcome;

BOOST_AUTO_TEST_SUITE(packed_answer)

Answer answer_of_all_kinds() {
  Answer answer;
  answer.outcome = Outcome::kData;
  answer.authenticated = true;
  answer.texts = {{std::string("a\0b", 3), 2, 1}, {"", 700, 0}, {std::string(300, 'x'), 2, 255}};
  answer.aliases = {name("a.example"), name(".")};
  answer.addresses = {*base::IpAddress::parse("192.0.2.1"), *base::IpAddress::parse("2001:db8::1")};
  answer.caas = {{true, "issue", "ca.example"}, {false, "iodef", std::string("\0", 1)}};
  return answer;
}

std::vector<std::uint8_t> packed(const Answer& answer) {
  std::vector<std::uint8_t> bytes(packed_size(answer) + 1, 0xee);
  pack(answer, bytes.data());
  BOOST_TEST(bytes.back() == 0xee);  // wrote no more than its size
  bytes.pop_back();
  return bytes;
}

BOOST_AUTO_TEST_CASE(unpacking_replaces_all_of_an_answer_but_its_ttl) {
  Answer small;
  small.outcome = Outcome::kNxDomain;
  Answer large = answer_of_all_kinds();
  small.cause = protocol::Cause::kTooManyRecords;
  large.ttl_s = small.ttl_s = 7;
  Answer answer;
  answer.ttl_s = 7;
  for (const Answer& expected : {large, small, large}) {
    unpack(packed(expected).data(), answer);
    BOOST_TEST((answer == expected));
  }
}

BOOST_AUTO_TEST_CASE(an_answer_takes_few_bytes) {
  BOOST_TEST(packed_size(Answer{}) == 6u);
  Answer answer;
  answer.texts = {{"5b912f5cec6c02d851db76bc20f410700f01fc65:443", 1, 44}};
  BOOST_TEST(packed_size(answer) == 6u + 6 + 44);
}

BOOST_AUTO_TEST_CASE(no_question_is_the_beginning_of_another) {
  std::vector<std::vector<std::uint8_t>> all;
  for (const char* const text : {".", "a", "b", "aa", "a.a", "a.example", "aa.example"}) {
    for (const RecordType type : {RecordType::kA, RecordType::kTxt, RecordType::kCaa}) {
      const PackedQuestion question(Question{name(text), type});
      all.emplace_back(question.bytes().begin(), question.bytes().end());
    }
  }
  // If one were, it would be the beginning of its successor too.
  std::ranges::sort(all);
  for (std::size_t i = 1; i < all.size(); ++i) {
    const auto& shorter = all[i - 1];
    BOOST_TEST(!std::ranges::equal(shorter, all[i] | std::views::take(shorter.size())));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::dns
