#include "base/pattern.h"

#include <re2/re2.h>

#include <vector>

#include "base/char_set.h"

namespace http01::base {
namespace {

// What app ids look like by default. For RE2 to compile it would be half of the work of a CGI
// request, so it is matched by hand, and its Pattern has nothing compiled.
constexpr std::string_view kFortyHexadecimal = "[0-9a-f]{40}";

constexpr CharSet kHexadecimal{kDigits, "abcdef", "ABCDEF"};

bool is_forty_hexadecimal(std::string_view text) {
  return text.size() == 40 && kHexadecimal.holds_all(text);
}

}  // namespace

Pattern::Pattern(std::unique_ptr<const re2::RE2> compiled) : compiled_(std::move(compiled)) {}
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

Result<Pattern> Pattern::compile(std::string_view text) {
  if (text == kFortyHexadecimal) return Pattern(nullptr);
  re2::RE2::Options options;
  options.set_case_sensitive(false);
  options.set_log_errors(false);
  auto compiled = std::make_unique<re2::RE2>(re2::StringPiece(text.data(), text.size()), options);
  if (!compiled->ok()) return Failure{compiled->error()};
  return Pattern(std::move(compiled));
}

bool Pattern::matches(std::string_view text) const {
  if (!compiled_) return is_forty_hexadecimal(text);
  return re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), *compiled_);
}

std::optional<std::string> Pattern::capture(std::string_view text, int group) const {
  if (group < 0 || group > groups()) return std::nullopt;
  if (!compiled_) {
    return matches(text) ? std::optional(std::string(text)) : std::nullopt;
  }
  // RE2 says "took no part" with a null pointer, which an empty text must not have itself.
  const re2::StringPiece whole(text.empty() ? "" : text.data(), text.size());
  std::vector<re2::StringPiece> groups(static_cast<std::size_t>(group) + 1);
  if (!compiled_->Match(whole, 0, whole.size(), re2::RE2::ANCHOR_BOTH, groups.data(), group + 1)) {
    return std::nullopt;
  }
  const re2::StringPiece& found = groups.back();
  if (found.data() == nullptr) return std::nullopt;
  return std::string(found.data(), found.size());
}

int Pattern::groups() const { return compiled_ ? compiled_->NumberOfCapturingGroups() : 0; }

const std::string& Pattern::text() const {
  static const std::string kByHand(kFortyHexadecimal);
  return compiled_ ? compiled_->pattern() : kByHand;
}

}  // namespace http01::base
