// The octets that a fuzzer made, taken from the front as the values a target needs. What is asked
// for after their end is 0 or empty, so every input means something.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "protocol/name.h"

namespace http01::fuzz {

class Input {
 public:
  explicit Input(std::string_view octets) : rest_(octets) {}

  bool empty() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

  std::size_t octet() {
    const std::string_view one = take(1);
    return one.empty() ? 0 : static_cast<unsigned char>(one[0]);
  }
  std::size_t number(std::size_t octets) {
    std::size_t value = 0;
    while (octets-- > 0) value = value << 8 | octet();
    return value;
  }
  // 0 ... end - 1, for an end of up to 256.
  std::size_t below(std::size_t end) { return octet() % end; }
  bool yes() { return (octet() & 1) != 0; }

  std::string_view take(std::size_t size) {
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  // An octet of length, then the text.
  std::string_view text() { return take(octet()); }
  std::string_view line() {
    const std::string_view taken = take(std::min(rest_.find('\n'), rest_.size()));
    take(1);
    return taken;
  }

  // As on the wire, uncompressed; the root where it is no name.
  protocol::Name name() {
    std::size_t size = 0;
    while (size < rest_.size() && rest_[size] != '\0') {
      size += 1 + static_cast<unsigned char>(rest_[size]);
    }
    const std::string_view wire = take(size + 1);
    return protocol::Name::from_wire(
               {reinterpret_cast<const std::uint8_t*>(wire.data()), wire.size()})
        .value_or(protocol::Name());
  }

 private:
  std::string_view rest_;
};

}  // namespace http01::fuzz
