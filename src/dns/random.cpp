#include "dns/random.h"

#include <unistd.h>

namespace http01::dns {

bool random_octets(std::span<std::uint8_t> octets) {
  return ::getentropy(octets.data(), octets.size()) == 0;
}

std::uint16_t RandomIds::next() {
  if (used_ == octets_.size()) {
    if (!source_(octets_)) {
      refused_ = true;
      return 0;
    }
    used_ = 0;
  }
  const std::size_t at = used_;
  used_ += 2;
  return static_cast<std::uint16_t>(octets_[at] << 8 | octets_[at + 1]);
}

}  // namespace http01::dns
