#include "config/kinds.h"

#include <algorithm>

#include "base/ascii.h"

namespace http01 {

// A literal string where that saves escapes, as in patterns; else a basic one (TOML 1.0, "String").
std::string toml_string(std::string_view text) {
  const auto has = [&](auto test) { return std::ranges::any_of(text, test); };
  const auto needs_escape = [](char c) { return c == '"' || c == '\\'; };
  if (has(needs_escape) && !has(base::is_control) && text.find('\'') == std::string_view::npos) {
    return "'" + std::string(text) + "'";
  }
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out = "\"";
  for (const char c : text) {
    if (base::is_control(c)) {
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 0xf];
      continue;
    }
    if (needs_escape(c)) out += '\\';
    out += c;
  }
  return out + '"';
}

std::string toml_list(const std::vector<std::string>& texts) {
  return "[" + base::joined(texts, ", ", toml_string) + "]";
}

void add_wrong_type(const FileValue& value, std::string_view allowed, Problems& problems) {
  problems.push_back({value.place, std::string("is ") + describe(value.type) + ", allowed is " +
                                       std::string(allowed)});
}

const std::string* text_of(const FileValue& value, Problems& problems) {
  if (value.type == FileValue::Type::kString) return &value.text;
  add_wrong_type(value, "a string", problems);
  return nullptr;
}

}  // namespace http01
