// ASCII text, byte by byte, whatever the locale says: letters without case, digits, blanks,
// numbers. Pure; throws std::bad_alloc only.
#pragma once

#include <charconv>
#include <concepts>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace http01::base {

constexpr char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
std::string lowered(std::string_view text);
// The case of ASCII letters, that is.
bool equal_ignoring_case(std::string_view a, std::string_view b);

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
// A visible ASCII character: no blank, no control character.
constexpr bool is_visible(char c) { return c > ' ' && c <= '~'; }

// The value of a hexadecimal digit, -1 for another character.
constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char lower = to_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Without the blanks at both ends.
std::string_view trimmed(std::string_view text, std::string_view blanks = " \t");

// The text up to the separator, which the text loses with it; all of it where there is none.
std::string_view split_off(std::string_view& text, char separator);

// A text that is a number from its first to its last byte, and fits T. A minus where T is signed,
// no plus, no blanks.
template <std::integral T>
std::optional<T> parse_number(std::string_view text, int base = 10) {
  T number{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number, base);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return number;
}

// "a, b, c"; `text_of` makes a text of each item.
template <class Range, class TextOf = std::identity>
std::string joined(const Range& range, std::string_view separator = ", ", TextOf text_of = {}) {
  std::string list;
  bool first = true;
  for (const auto& item : range) {
    if (!first) list += separator;
    first = false;
    list += std::invoke(text_of, item);
  }
  return list;
}

}  // namespace http01::base
