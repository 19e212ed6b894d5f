#include "base/ip_network.h"

#include <array>
#include <cstdint>

#include "base/ascii.h"

namespace http01::base {
namespace {

constexpr std::size_t kMappedBits = 96;

std::size_t bits_of(const IpAddress& address) { return address.v6 ? 128 : 32; }

// "08" could be meant as an octal number: refused.
std::optional<std::size_t> parse_prefix(std::string_view text, std::size_t most) {
  if (text.empty() || !is_digit(text[0]) || (text[0] == '0' && text.size() > 1)) {
    return std::nullopt;
  }
  const auto prefix = parse_number<std::size_t>(text);
  return prefix && *prefix <= most ? prefix : std::nullopt;
}

IpAddress first_of(IpAddress address, std::size_t prefix) {
  for (std::size_t i = 0; i < address.octets.size(); ++i) {
    const std::size_t kept = prefix > i * 8 ? prefix - i * 8 : 0;
    if (kept < 8) address.octets[i] &= static_cast<std::uint8_t>(0xff00U >> kept);
  }
  return address;
}

}  // namespace

std::optional<IpNetwork> IpNetwork::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto written = IpAddress::parse(text.substr(0, slash));
  if (!written) return std::nullopt;
  std::size_t prefix = bits_of(*written);
  if (slash != std::string_view::npos) {
    const auto given = parse_prefix(text.substr(slash + 1), prefix);
    if (!given) return std::nullopt;
    prefix = *given;
  }
  const IpAddress plain = written->unmapped();
  if (plain.v6 == written->v6) return IpNetwork{first_of(plain, prefix), prefix};
  // With fewer bits than all mapped addresses have in common, it is a network of IPv6.
  if (prefix < kMappedBits) return IpNetwork{first_of(*written, prefix), prefix};
  return IpNetwork{first_of(plain, prefix - kMappedBits), prefix - kMappedBits};
}

std::string IpNetwork::text() const {
  const std::string first = address.text();
  return prefix == bits_of(address) ? first : first + "/" + std::to_string(prefix);
}

bool IpNetwork::contains(const IpAddress& candidate) const {
  const IpAddress plain = candidate.unmapped();
  return plain.v6 == address.v6 && first_of(plain, prefix) == address;
}

}  // namespace http01::base
