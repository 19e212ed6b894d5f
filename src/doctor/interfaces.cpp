#include "doctor/interfaces.h"

#include "base/interfaces.h"
#include "doctor/reserved.h"

namespace http01::doctor {

namespace {

std::vector<base::IpAddress> ask_kernel() {
  std::vector<base::IpAddress> addresses = base::interface_addresses();
  std::erase_if(addresses, [](const base::IpAddress& address) {
    return special_purpose(address).has_value();
  });
  return addresses;
}

}  // namespace

const std::vector<base::IpAddress>& public_interface_addresses() {
  static const std::vector<base::IpAddress> kAddresses = ask_kernel();
  return kAddresses;
}

}  // namespace http01::doctor
