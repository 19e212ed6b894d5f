// Whether a text is one JSON object (RFC 8259), and nothing else.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "base/ascii.h"

namespace http01::fuzz {

class Json {
 public:
  explicit Json(std::string_view text) : rest_(text) {}

  bool is_object() { return rest_.starts_with('{') && value(0) && rest_.empty(); }

 private:
  static constexpr int kMaxDepth = 16;

  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take_word(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  bool value(int depth) {
    if (depth > kMaxDepth || rest_.empty()) return false;
    if (rest_[0] == '{') return members(depth, true);
    if (rest_[0] == '[') return members(depth, false);
    if (rest_[0] == '"') return string();
    return take_word("true") || take_word("false") || take_word("null") || number();
  }

  bool members(int depth, bool named) {
    const char end = named ? '}' : ']';
    rest_.remove_prefix(1);
    if (take(end)) return true;
    do {
      if (named && !(string() && take(':'))) return false;
      if (!value(depth + 1)) return false;
    } while (take(','));
    return take(end);
  }

  bool string() {
    if (!take('"')) return false;
    while (!rest_.empty()) {
      const char c = rest_[0];
      rest_.remove_prefix(1);
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c != '\\') continue;
      if (rest_.empty()) return false;
      const char escape = rest_[0];
      rest_.remove_prefix(1);
      if (escape != 'u') {
        if (std::string_view("\"\\/bfnrt").find(escape) == std::string_view::npos) return false;
        continue;
      }
      const std::string_view digits = rest_.substr(0, 4);
      rest_.remove_prefix(digits.size());
      if (digits.size() < 4 ||
          !std::ranges::all_of(digits, [](char d) { return base::hex_value(d) >= 0; })) {
        return false;
      }
    }
    return false;
  }

  bool digits() {
    const std::size_t count = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    rest_.remove_prefix(count);
    return count > 0;
  }
  bool number() {
    take('-');
    if (!digits()) return false;
    return !take('.') || digits();
  }

  std::string_view rest_;
};

inline bool is_json_object(std::string_view text) { return Json(text).is_object(); }

}  // namespace http01::fuzz
