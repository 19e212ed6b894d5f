#include "config/values.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "base/ascii.h"
#include "base/escape.h"
#include "base/ip_address.h"

namespace http01 {
namespace {

using base::Failure;
using protocol::Name;

constexpr std::size_t kMaxQuoted = 100;

// "-wildcard" is appended to the prefix, and what comes out must still be a label.
constexpr std::size_t kMaxPrefixOctets =
    Name::kMaxLabelOctets - std::string_view("-wildcard").size();

// Host labels only, the last not all digits: so no dotted quad either.
bool is_host_name(const Name& name) {
  return name.is_domain() || (name.label_count() == 1 && Name::is_host_label(name.first_label()) &&
                              !std::ranges::all_of(name.first_label(), base::is_digit));
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (base::is_control(c) || static_cast<unsigned char>(c) >= 0x80) {
      base::append_octet_escape(out, c);
    } else {
      out += c;
    }
  }
  return out;
}

std::string in_quotes(std::string_view text) {
  const char* const end = text.size() > kMaxQuoted ? "...\"" : "\"";
  return '"' + printable(text.substr(0, kMaxQuoted)) + end;
}

base::Result<Name> parse_domain(std::string_view text) {
  auto name = Name::from_text(text);
  if (name && name->is_domain()) return std::move(*name);
  return Failure{in_quotes(text) +
                 " is no domain, allowed are names of two labels or more, such as \"example.com\""};
}

base::Result<Name> parse_suffix(std::string_view text) {
  auto name = Name::from_text(text);
  if (name && is_host_name(*name)) return std::move(*name);
  return Failure{
      in_quotes(text) +
      " is no name, allowed are names such as \"example.com\", which stand for themselves "
      "and all below them"};
}

base::Result<Name> parse_record_prefix(std::string_view text) {
  auto name = Name::from_text(text);
  if (name && !name->is_root() && name->text_octets() <= kMaxPrefixOctets) return std::move(*name);
  return Failure{in_quotes(text) +
                 " cannot stand before a domain, allowed are labels of letters, digits, "
                 "hyphens and underscores, " +
                 std::to_string(kMaxPrefixOctets) + " characters at most"};
}

base::Result<std::string> parse_host(std::string_view text) {
  const bool bracketed = text.starts_with('[') && text.ends_with(']');
  const std::string_view inner = bracketed ? text.substr(1, text.size() - 2) : text;
  const auto address = base::IpAddress::parse(inner);
  if (address && (address->v6 || !bracketed)) return address->text();
  const auto name = Name::from_text(text);
  if (name && is_host_name(*name)) return name->text();
  return Failure{
      in_quotes(text) +
      " is no host, allowed are names and addresses as a browser sends them, without a port"};
}

base::Result<base::IpNetwork> parse_network(std::string_view text) {
  if (const auto network = base::IpNetwork::parse(text)) return *network;
  return Failure{in_quotes(text) +
                 " is not a network, expected one such as \"192.0.2.0/24\" or \"2001:db8::/32\", "
                 "or a single address"};
}

base::Result<base::Pattern> parse_pattern(std::string_view text) {
  auto pattern = base::Pattern::compile(text);
  if (pattern) return pattern;
  return Failure{in_quotes(text) + " is no pattern (" + pattern.error() +
                 "), allowed are regular expressions in the syntax of RE2"};
}

base::Result<LogLevel> parse_log_level(std::string_view text) {
  const std::string lower = base::lowered(text);
  const auto* const found = std::ranges::find_if(kLogLevels, [&](const LogLevelInfo& level) {
    return lower == level.word || (!lower.empty() && lower == level.also);
  });
  if (found != kLogLevels.end()) return found->id;
  return Failure{in_quotes(text) +
                 " is no level, allowed are trace, debug, info, warn, error, critical and off"};
}

base::Result<std::string> parse_file_path(std::string_view text) {
  if (text.starts_with('/') && !text.ends_with('/') &&
      std::ranges::none_of(text, base::is_control)) {
    return std::string(text);
  }
  return Failure{in_quotes(text) +
                 " is no path of a file, allowed are absolute paths, which begin with \"/\""};
}

}  // namespace http01
