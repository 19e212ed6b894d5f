// A domain name, kept in the wire form of RFC 1035 3.1 and in lower case (RFC 4343), so that
// comparing is comparing octets, label by label, whatever octets a label holds. A value: copy
// freely. Never throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace http01::protocol {

class Name {
 public:
  // RFC 1035 2.3.4; 253 is what 255 octets on the wire leave for the text without its final dot.
  static constexpr std::size_t kMaxWireOctets = 255;
  static constexpr std::size_t kMaxTextOctets = 253;
  static constexpr std::size_t kMaxLabelOctets = 63;

  Name() = default;  // the root

  // "_x.example.com", a final dot allowed; labels of [A-Za-z0-9_-] only, "" and "." are the root.
  static std::optional<Name> from_text(std::string_view text);

  // An uncompressed name that ends exactly with the octets given; labels may hold any octets.
  static std::optional<Name> from_wire(std::span<const std::uint8_t> wire);

  // What labels() of a name has said.
  static Name from_labels(std::string_view labels);

  // The wire form without the root's zero octet.
  const std::string& labels() const { return labels_; }

  bool is_root() const { return labels_.empty(); }
  std::size_t label_count() const;
  std::string_view first_label() const;  // "" for the root
  Name parent() const;                   // of the root: the root
  bool is_at_or_under(const Name& ancestor) const;

  // Every label of [a-z0-9_-].
  bool is_plain() const;
  // One label: 1-63 of [a-z0-9-], no hyphen at either end (RFC 1123 2.1).
  static bool is_host_label(std::string_view label);
  // Two labels or more, each a host label, the last not all digits.
  bool is_domain() const;
  // Of such a name in lower case, without the final dot.
  static bool is_domain_text(std::string_view text);

  // Without the final dot; the root is ".". Octets outside [A-Za-z0-9_-] are escaped as RFC
  // 1035 5.1 has it.
  std::string text() const;
  std::size_t text_octets() const { return labels_.empty() ? 1 : labels_.size() - 1; }

  bool operator==(const Name&) const = default;

  friend std::optional<Name> join(const Name& prefix, const Name& name);

 private:
  std::string labels_;
};

// "prefix.name", nothing where that is longer than a name may be.
std::optional<Name> join(const Name& prefix, const Name& name);

}  // namespace http01::protocol
