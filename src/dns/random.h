// Octets nobody can guess, from the kernel. Ends the program where the kernel has none: without
// them every answer could be forged. random_octets() is safe from any thread, RandomIds is for one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dns/query.h"

namespace http01::dns {

// At most 256 at a time.
void random_octets(std::span<std::uint8_t> octets);

// Message ids (RFC 5452 9.2), fetched in blocks: one system call for 128 of them.
class RandomIds final : public Ids {
 public:
  std::uint16_t next() override;

 private:
  std::array<std::uint8_t, 256> octets_{};
  std::size_t used_ = octets_.size();
};

}  // namespace http01::dns
