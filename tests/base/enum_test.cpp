#include "base/enum.h"

#include <boost/test/unit_test.hpp>
#include <cstdint>

namespace http01::base {

BOOST_AUTO_TEST_SUITE(enums)

enum class Color : std::uint8_t { kRed, kGreen, kBlue };
enum class Code : std::uint16_t { kA = 1, kCaa = 257 };
constexpr EnumWords<Color> kColors{
    {{{Color::kRed, "red"}, {Color::kGreen, "green"}, {Color::kBlue, "blue"}}}};

BOOST_AUTO_TEST_CASE(the_compiler_counts_the_enumerators) {
  static_assert(kCountOf<Color> == 3 && kAllOf<Color>.back() == Color::kBlue);
  static_assert(is_enumerator<Color::kBlue>() && !is_enumerator<static_cast<Color>(3)>());
}

BOOST_AUTO_TEST_CASE(an_enumerator_with_a_number_of_its_own_is_known_by_it) {
  static_assert(count_between<Code, 0, 300>() == 2 && count_between<Code, 2, 257>() == 0);
  static_assert(is_enumerator<static_cast<Code>(257)>() &&
                !is_enumerator<static_cast<Code>(256)>());
}

BOOST_AUTO_TEST_CASE(a_table_has_the_row_of_each) {
  static_assert(kColors[Color::kGreen].word == "green");
  std::string all;
  for (const auto& row : kColors) all.append(row.word).append(" ");
  BOOST_TEST(all == "red green blue ");
}

BOOST_AUTO_TEST_CASE(an_array_has_a_place_for_each) {
  EnumArray<Color, int> counts{};
  ++counts[Color::kBlue];
  BOOST_TEST(counts[Color::kRed] == 0);
  BOOST_TEST(counts[Color::kBlue] == 1);
  static_assert(sizeof counts == 3 * sizeof(int));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::base
