// A network in CIDR notation (RFC 4632, RFC 4291 2.3) as a value: text to value and back, and
// whether an address is in it. Pure; never throws but std::bad_alloc.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/ip_address.h"

namespace http01::base {

struct IpNetwork {
  IpAddress address;       // its first one, the bits behind the prefix are 0
  std::size_t prefix = 0;  // bits: 0-32 of IPv4, 0-128 of IPv6

  // "192.0.2.0/24", "2001:db8::/32", or one address alone. An address within a network, as in
  // "192.0.2.1/24", stands for the network. A network of IPv4-mapped addresses
  // ("::ffff:192.0.2.0/120") is the IPv4 network.
  static std::optional<IpNetwork> parse(std::string_view text);
  // The network's first address and prefix; a network of one address has no prefix.
  std::string text() const;

  // An IPv4-mapped address is the IPv4 one, here too: "::/0" does not have it.
  bool contains(const IpAddress& candidate) const;

  bool operator==(const IpNetwork&) const = default;
};

}  // namespace http01::base
