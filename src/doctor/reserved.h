// Addresses that no CA connects to: those of IANA's special-purpose registries (RFC 6890) that are
// not globally reachable, and multicast. Pure; never throws.
#pragma once

#include <optional>
#include <string_view>

#include "base/ip_address.h"

namespace http01::doctor {

// "private (RFC 1918)"; nothing for an address that anybody may have.
std::optional<std::string_view> special_purpose(const base::IpAddress& address);

// The same for one that a network may have in private, which are all but those for documentation.
std::optional<std::string_view> private_purpose(const base::IpAddress& address);

}  // namespace http01::doctor
