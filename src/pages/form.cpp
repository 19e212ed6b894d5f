#include "pages/form.h"

#include "base/ascii.h"

namespace http01 {
namespace {

std::string decoded(std::string_view value) {
  std::string text;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    if (c == '%' && value.size() - i > 2) {
      const int high = base::hex_value(value[i + 1]);
      const int low = base::hex_value(value[i + 2]);
      if (high >= 0 && low >= 0) {
        text += static_cast<char>(high << 4 | low);
        i += 2;
        continue;
      }
    }
    text += c == '+' ? ' ' : c;
  }
  return std::string(base::trimmed(text));
}

}  // namespace

std::optional<std::string> form_field(std::string_view query, std::string_view name) {
  if (query.starts_with('?')) query.remove_prefix(1);
  while (!query.empty()) {
    const std::string_view pair = base::split_off(query, '&');
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || pair.substr(0, equals) != name) continue;
    std::string text = decoded(pair.substr(equals + 1));
    if (text.empty()) return std::nullopt;
    return text;
  }
  return std::nullopt;
}

}  // namespace http01
