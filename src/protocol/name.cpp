#include "protocol/name.h"

#include <array>

#include "base/ascii.h"
#include "base/char_set.h"
#include "base/escape.h"

namespace http01::protocol {
namespace {

constexpr base::CharSet kDigits{base::kDigits};
constexpr base::CharSet kHostChars{base::kLowerCase, base::kDigits, "-"};
constexpr base::CharSet kPlainChars{base::kLowerCase, base::kDigits, "-_"};

// What a plain character is in lower case; 0 for all others.
constexpr std::array<char, 256> kPlain = [] {
  std::array<char, 256> plain{};
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const char c = base::to_lower(static_cast<char>(i));
    if (kPlainChars.has(c)) plain[i] = c;
  }
  return plain;
}();

// Calls visit(label) for each label until it says false; true if it never did.
template <class Visit>
bool each_label(std::string_view labels, Visit visit) {
  for (std::size_t at = 0; at < labels.size();) {
    const auto length = static_cast<unsigned char>(labels[at]);
    if (!visit(labels.substr(at + 1, length))) return false;
    at += 1 + length;
  }
  return true;
}

}  // namespace

std::optional<Name> Name::from_text(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  Name name;
  if (text.empty()) return name;
  if (text.size() > kMaxTextOctets) return std::nullopt;
  // Each dot becomes the length of the label behind it; the last one goes.
  std::string& labels = name.labels_;
  labels.reserve(text.size() + 2);
  labels += '.';
  labels.append(text);
  labels += '.';
  char* dot = labels.data();
  char* const last = dot + labels.size() - 1;
  for (char* at = dot + 1; dot != last; ++at) {
    const char plain = kPlain[static_cast<unsigned char>(*at)];
    if (plain != '\0') {
      *at = plain;
      continue;
    }
    const auto length = static_cast<std::size_t>(at - dot - 1);
    if (*at != '.' || length == 0 || length > kMaxLabelOctets) return std::nullopt;
    *dot = static_cast<char>(length);
    dot = at;
  }
  labels.pop_back();
  return name;
}

std::optional<Name> Name::from_wire(std::span<const std::uint8_t> wire) {
  if (wire.empty() || wire.size() > kMaxWireOctets || wire.back() != 0) return std::nullopt;
  Name name;
  std::string& labels = name.labels_;
  labels.assign(wire.begin(), wire.end() - 1);
  for (std::size_t at = 0; at < labels.size();) {
    const auto length = static_cast<unsigned char>(labels[at]);
    const std::size_t end = at + 1 + length;
    if (length == 0 || length > kMaxLabelOctets || end > labels.size()) return std::nullopt;
    for (std::size_t i = at + 1; i < end; ++i) labels[i] = base::to_lower(labels[i]);
    at = end;
  }
  return name;
}

Name Name::from_labels(std::string_view labels) {
  Name name;
  name.labels_ = labels;
  return name;
}

std::size_t Name::label_count() const {
  std::size_t count = 0;
  each_label(labels_, [&](std::string_view) { return ++count != 0; });
  return count;
}

std::string_view Name::first_label() const {
  if (labels_.empty()) return {};
  return std::string_view(labels_).substr(1, static_cast<unsigned char>(labels_[0]));
}

Name Name::parent() const {
  Name parent;
  if (!labels_.empty()) parent.labels_ = labels_.substr(1 + first_label().size());
  return parent;
}

bool Name::is_at_or_under(const Name& ancestor) const {
  const std::string_view mine = labels_;
  const std::string_view other = ancestor.labels_;
  if (!mine.ends_with(other)) return false;
  // The suffix must begin where a label begins, not at an octet that happens to look like a length.
  const std::size_t boundary = mine.size() - other.size();
  std::size_t at = 0;
  while (at < boundary) at += 1 + static_cast<unsigned char>(mine[at]);
  return at == boundary;
}

bool Name::is_plain() const {
  return each_label(labels_, [](std::string_view label) { return kPlainChars.holds_all(label); });
}

bool Name::is_host_label(std::string_view label) {
  return !label.empty() && label.size() <= kMaxLabelOctets && label.front() != '-' &&
         label.back() != '-' && kHostChars.holds_all(label);
}

bool Name::is_domain() const {
  std::size_t count = 0;
  std::string_view last;
  const bool all_host_labels = each_label(labels_, [&](std::string_view label) {
    ++count;
    last = label;
    return is_host_label(label);
  });
  return all_host_labels && count >= 2 && !kDigits.holds_all(last);
}

bool Name::is_domain_text(std::string_view text) {
  if (text.size() > kMaxTextOctets) return false;
  std::size_t dot = 0;
  while ((dot = text.find('.')) != std::string_view::npos) {
    if (!is_host_label(text.substr(0, dot))) return false;
    text.remove_prefix(dot + 1);
    if (text.find('.') == std::string_view::npos) {
      return is_host_label(text) && !kDigits.holds_all(text);
    }
  }
  return false;
}

std::string Name::text() const {
  if (labels_.empty()) return ".";
  std::string text;
  if (is_plain()) {
    text = labels_.substr(1);
    for (std::size_t at = first_label().size(); at < text.size();) {
      const auto length = static_cast<unsigned char>(text[at]);
      text[at] = '.';
      at += 1 + length;
    }
    return text;
  }
  text.reserve(labels_.size());
  each_label(labels_, [&](std::string_view label) {
    if (!text.empty()) text += '.';
    for (const char c : label) {
      if (kPlainChars.has(c)) {
        text += c;
      } else {
        base::append_octet_escape(text, c);
      }
    }
    return true;
  });
  return text;
}

std::optional<Name> join(const Name& prefix, const Name& name) {
  // One octet of the 255 is the root's.
  if (prefix.labels().size() + name.labels().size() + 1 > Name::kMaxWireOctets) return std::nullopt;
  Name joined;
  joined.labels_.reserve(prefix.labels().size() + name.labels().size());
  joined.labels_.append(prefix.labels()).append(name.labels());
  return joined;
}

}  // namespace http01::protocol
