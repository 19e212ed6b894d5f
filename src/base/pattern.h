// A regular expression of the configuration, over RE2: time linear in the text, whatever the
// pattern, and the syntax of Rust's regex crate. Case-insensitive. The only door to RE2. Matching
// never throws and is safe from any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace re2 {
class RE2;
}

namespace http01::base {

class Pattern {
 public:
  // The failure says what is wrong with the pattern.
  static Result<Pattern> compile(std::string_view text);

  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  ~Pattern();

  // Both match the whole text, as if the pattern were anchored at both ends.
  bool matches(std::string_view text) const;
  // The text of the group (0: the whole match); nothing where there is no match or the group took
  // no part.
  std::optional<std::string> capture(std::string_view text, int group) const;

  int groups() const;  // without group 0
  const std::string& text() const;

 private:
  explicit Pattern(std::unique_ptr<const re2::RE2> compiled);
  std::unique_ptr<const re2::RE2> compiled_;
};

}  // namespace http01::base
