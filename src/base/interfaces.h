// The addresses of this machine's network interfaces. None where the kernel may not be asked
// (systemd's RestrictAddressFamilies without AF_NETLINK). Safe from any thread; throws
// std::bad_alloc only.
#pragma once

#include <vector>

#include "base/ip_address.h"

namespace http01::base {

// Each once, of whatever reach.
std::vector<IpAddress> interface_addresses();

}  // namespace http01::base
