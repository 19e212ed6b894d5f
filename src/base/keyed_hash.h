// SipHash-2-4 (Aumasson, Bernstein 2012). Strangers choose the names and addresses that are counted
// and looked up here, and with a hash they can compute they could put them all into one bucket:
// each table with such keys has this one. A value; throws std::system_error where the kernel has no
// random octets for a key.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace http01::base {

class KeyedHash {
 public:
  using Key = std::array<std::uint64_t, 2>;

  // The same one at each call, with a random key. Only the first call can throw, so that a table
  // which is made while the program serves needs nothing of the kernel.
  static const KeyedHash& of_process();

  KeyedHash();  // a random key
  explicit KeyedHash(Key key) : key_(key) {}

  std::uint64_t of(std::span<const std::uint8_t> octets) const;
  std::size_t operator()(std::string_view text) const;

 private:
  Key key_;
};

}  // namespace http01::base
