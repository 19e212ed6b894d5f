#include "base/escape.h"

#include <boost/test/unit_test.hpp>

namespace http01::base {

BOOST_AUTO_TEST_SUITE(escape)

BOOST_AUTO_TEST_CASE(plain_text_stays_as_it_is) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/=+,;@()[]{}*!$%?#";
  BOOST_TEST(escaped(kPlain, 1000) == kPlain);
  BOOST_TEST(escaped("", 10).empty());
}

BOOST_AUTO_TEST_CASE(what_could_end_a_line_or_open_a_quote_becomes_its_number) {
  BOOST_TEST(escaped("a\r\nb", 100) == "a\\013\\010b");
  BOOST_TEST(escaped("\"'`", 100) == "\\034\\039\\096");
  BOOST_TEST(escaped("<b>&", 100) == "\\060b\\062\\038");
  BOOST_TEST(escaped("\\|^", 100) == "\\092\\124\\094");
  BOOST_TEST(escaped(std::string_view("\0\x1b\x7f\x80\xff", 5), 100) ==
             "\\000\\027\\127\\128\\255");
}

BOOST_AUTO_TEST_CASE(a_space_is_kept_only_where_it_is_asked_for) {
  BOOST_TEST(escaped("a b", 100) == "a\\032b");
  BOOST_TEST(escaped("a b", 100, true) == "a b");
  BOOST_TEST(escaped("a\tb", 100, true) == "a\\009b");
}

BOOST_AUTO_TEST_CASE(what_is_too_long_is_cut_and_says_so) {
  BOOST_TEST(escaped("abcdef", 6) == "abcdef");
  BOOST_TEST(escaped("abcdefg", 6) == "abcdef...");
  // The octets are counted, not what becomes of them.
  BOOST_TEST(escaped("\n\n\n", 2) == "\\010\\010...");
}

BOOST_AUTO_TEST_CASE(no_octet_comes_out_but_printable_ascii) {
  for (int octet = 0; octet < 256; ++octet) {
    for (const char c : escaped(std::string(1, static_cast<char>(octet)), 1, true)) {
      BOOST_TEST((c >= ' ' && c <= '~' && c != '"' && c != '<' && c != '>' && c != '&'), octet);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::base
