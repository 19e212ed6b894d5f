#include "base/escape.h"

#include "base/char_set.h"

namespace http01::base {
namespace {

constexpr CharSet kPlain{kLowerCase, kUpperCase, kDigits, "-._~:/=+,;@()[]{}*!$%?#"};
constexpr CharSet kPlainOrSpace{kLowerCase, kUpperCase, kDigits, "-._~:/=+,;@()[]{}*!$%?#", " "};

}  // namespace

void append_octet_escape(std::string& text, char c) {
  const auto octet = static_cast<unsigned char>(c);
  text += '\\';
  text += static_cast<char>('0' + octet / 100);
  text += static_cast<char>('0' + octet / 10 % 10);
  text += static_cast<char>('0' + octet % 10);
}

void append_escaped(std::string& text, std::string_view octets, std::size_t most, bool spaces) {
  const CharSet& kept = spaces ? kPlainOrSpace : kPlain;
  std::string_view rest = octets.substr(0, most);
  while (!rest.empty()) {
    const std::size_t plain = kept.span(rest);
    text.append(rest.substr(0, plain));
    if (plain == rest.size()) break;
    append_octet_escape(text, rest[plain]);
    rest.remove_prefix(plain + 1);
  }
  if (octets.size() > most) text += "...";
}

std::string escaped(std::string_view octets, std::size_t most, bool spaces) {
  std::string text;
  append_escaped(text, octets, most, spaces);
  return text;
}

}  // namespace http01::base
