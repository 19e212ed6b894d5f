// Octets nobody can guess, from the kernel. Where the kernel has none, both say so, and what needs
// them is not done: without them every answer could be forged. random_octets() is safe from any
// thread, RandomIds is for one. Never throws.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "dns/query.h"

namespace http01::dns {

// At most 256 at a time. False: none could be had; errno has the reason.
bool random_octets(std::span<std::uint8_t> octets);

// Message ids (RFC 5452 9.2), fetched in blocks: one system call for 128 of them.
class RandomIds final : public Ids {
 public:
  using Source = bool (*)(std::span<std::uint8_t> octets);

  explicit RandomIds(Source source = random_octets) : source_(source) {}

  std::uint16_t next() override;

  // Whether an id that was given since the last call is none: it must not be sent.
  bool take_refusal() { return std::exchange(refused_, false); }

 private:
  Source source_;
  bool refused_ = false;
  std::array<std::uint8_t, 256> octets_{};
  std::size_t used_ = octets_.size();
};

}  // namespace http01::dns
