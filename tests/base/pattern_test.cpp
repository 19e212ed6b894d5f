#include "base/pattern.h"

#include <boost/test/unit_test.hpp>
#include <string>
#include <utility>

namespace http01::base {

BOOST_AUTO_TEST_SUITE(pattern)

BOOST_AUTO_TEST_CASE(the_whole_text_must_match_whatever_the_case) {
  const struct {
    const char* pattern;
    const char* text;
    bool matches;
  } cases[] = {
      {"[0-9a-f]{4}", "00ff", true},
      {"[0-9a-f]{4}", "00FF", true},
      {"[0-9a-f]{4}", "00ff0", false},
      {"[0-9a-f]{4}", " 00ff", false},
      {"[0-9a-f]{4}", "00ff\n", false},
      {"phala\\.network", "_.phala.network.evil.example", false},
      {"^_\\.(.+)$", "_.a.example", true},
      {"a|ab", "ab", true},
      {"a|ab", "abc", false},
      {"a?", "aa", false},
      {"", "", true},
      {"", "a", false},
      {".*", "a\nb", false},
  };
  for (const auto& [pattern, text, matches] : cases) {
    BOOST_TEST(Pattern::compile(pattern).value().matches(text) == matches,
               pattern << " on " << text);
  }
}

BOOST_AUTO_TEST_CASE(the_default_of_app_ids_is_matched_by_hand_as_re2_would) {
  const Pattern by_hand = Pattern::compile("[0-9a-f]{40}").value();
  const Pattern by_re2 = Pattern::compile("(?:[0-9a-f]{40})").value();
  BOOST_TEST(by_hand.text() == "[0-9a-f]{40}");
  BOOST_TEST(by_hand.groups() == 0);
  BOOST_TEST(!by_hand.capture("0", 0));
  BOOST_TEST(!by_hand.capture(std::string(40, '0'), 1));
  BOOST_TEST(by_hand.capture(std::string(40, 'A'), 0).value() == std::string(40, 'A'));
  for (const std::size_t size : {0U, 1U, 39U, 40U, 41U, 80U}) {
    BOOST_TEST(by_hand.matches(std::string(size, 'a')) == by_re2.matches(std::string(size, 'a')));
  }
  for (int octet = 0; octet < 256; ++octet) {
    for (const std::size_t at : {0U, 20U, 39U}) {
      std::string text(40, 'f');
      text[at] = static_cast<char>(octet);
      BOOST_TEST(by_hand.matches(text) == by_re2.matches(text), octet << " at " << at);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_group_is_the_text_that_it_took) {
  const Pattern pattern =
      std::move(*Pattern::compile("^(_)\\.((gw[0-9])\\.example|(other)\\.example)$"));
  BOOST_TEST(pattern.groups() == 4);
  BOOST_TEST(pattern.capture("_.gw5.example", 0).value() == "_.gw5.example");
  BOOST_TEST(pattern.capture("_.gw5.example", 1).value() == "_");
  BOOST_TEST(pattern.capture("_.gw5.example", 2).value() == "gw5.example");
  BOOST_TEST(pattern.capture("_.GW5.example", 3).value() == "GW5");
  BOOST_TEST(pattern.capture("_.other.example", 4).value() == "other");
}

BOOST_AUTO_TEST_CASE(there_is_no_capture_without_match_or_group) {
  const Pattern pattern = std::move(*Pattern::compile("(a)|(b)"));
  BOOST_TEST(!pattern.capture("c", 0));
  BOOST_TEST(!pattern.capture("ab", 0));
  BOOST_TEST(!pattern.capture("a", 2));
  BOOST_TEST(!pattern.capture("a", 3));
  BOOST_TEST(!pattern.capture("a", -1));
}

BOOST_AUTO_TEST_CASE(a_group_that_took_nothing_is_empty_and_not_absent) {
  const Pattern pattern = std::move(*Pattern::compile("(x*)"));
  BOOST_TEST(pattern.capture("", 1).value() == "");
  BOOST_TEST(pattern.capture(std::string_view(), 0).value() == "");
  BOOST_TEST(pattern.matches(std::string_view()));
}

BOOST_AUTO_TEST_CASE(what_does_not_compile_says_why) {
  const struct {
    std::string pattern;
    const char* message;
  } cases[] = {
      {"([", "missing ]: ["},
      {"(a", "missing ): (a"},
      {"a)", "unexpected ): a)"},
      {"*", "no argument for repetition operator: *"},
      {"\\", "trailing \\"},
      {"(?=a)", "invalid perl operator: (?="},
      {"(a)\\1", "invalid escape sequence: \\1"},
      {"a{1001}", "invalid repetition size: {1001}"},
      {"[z-a]", "invalid character class range: z-a"},
      {"\xff", "invalid UTF-8"},
  };
  for (const auto& [pattern, message] : cases) {
    const auto compiled = Pattern::compile(pattern);
    BOOST_TEST(!compiled, pattern);
    if (!compiled) BOOST_TEST(compiled.error() == message);
  }
  // Too large for the memory that a pattern may have.
  BOOST_TEST(!Pattern::compile("((((a{100}){100}){100}){100})"));
}

BOOST_AUTO_TEST_CASE(nested_repetition_takes_no_time) {
  const Pattern pattern = std::move(*Pattern::compile("(a*)*b"));
  BOOST_TEST(!pattern.matches(std::string(100'000, 'a')));
}

BOOST_AUTO_TEST_CASE(the_text_of_a_pattern_survives_a_move) {
  Pattern one = std::move(*Pattern::compile("a\\.b"));
  const Pattern two = std::move(one);
  BOOST_TEST(two.text() == "a\\.b");
  BOOST_TEST(two.matches("A.B"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::base
