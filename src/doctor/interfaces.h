// The addresses of this machine's network interfaces that the world could reach. None where the
// kernel may not be asked (systemd's RestrictAddressFamilies without AF_NETLINK). As they were at
// the first call: a process that serves asks before it confines itself. Never throws.
#pragma once

#include <vector>

#include "base/ip_address.h"

namespace http01::doctor {

// Without those of special purpose: private, loopback, link-local.
const std::vector<base::IpAddress>& public_interface_addresses();

}  // namespace http01::doctor
