// SipHash-2-4 (Aumasson, Bernstein 2012) of questions. Strangers choose the names that are looked
// up, and with a hash they can compute they could put them all into one bucket. A value; throws
// std::system_error where the kernel has no random octets for a key.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/answer.h"

namespace http01::dns {

class KeyedHash {
 public:
  using Key = std::array<std::uint64_t, 2>;

  KeyedHash();  // a random key
  explicit KeyedHash(Key key) : key_(key) {}

  std::uint64_t of(std::span<const std::uint8_t> octets) const;
  std::size_t operator()(const protocol::Question& question) const;

 private:
  Key key_;
};

}  // namespace http01::dns
