#include "dns/random.h"

#include <unistd.h>

#include <cstdlib>

namespace http01::dns {

void random_octets(std::span<std::uint8_t> octets) {
  if (::getentropy(octets.data(), octets.size()) != 0) std::abort();
}

std::uint16_t RandomIds::next() {
  if (used_ == octets_.size()) {
    random_octets(octets_);
    used_ = 0;
  }
  const std::size_t at = used_;
  used_ += 2;
  return static_cast<std::uint16_t>(octets_[at] << 8 | octets_[at + 1]);
}

}  // namespace http01::dns
