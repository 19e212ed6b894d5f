// The name-value pairs of FastCGI 1.0, 3.4. Pure; never throws itself.
#pragma once

#include <cstddef>
#include <string_view>

namespace http01::transport {

// One octet below 128, or four with the highest bit set.
inline bool take_length(std::string_view& rest, std::size_t& length) {
  const auto octet = [&rest](std::size_t i) {
    return static_cast<std::size_t>(static_cast<unsigned char>(rest[i]));
  };
  if (rest.empty()) return false;
  if (octet(0) < 0x80) [[likely]] {
    length = octet(0);
    rest.remove_prefix(1);
    return true;
  }
  if (rest.size() < 4) return false;
  length = (octet(0) & 0x7f) << 24 | octet(1) << 16 | octet(2) << 8 | octet(3);
  rest.remove_prefix(4);
  return true;
}

// Calls each(name, value) for each pair. False where a pair does not end within the stream.
template <class Each>
bool take_pairs(std::string_view rest, const Each& each) {
  while (!rest.empty()) {
    std::size_t name = 0;
    std::size_t value = 0;
    if (rest.size() >= 2 && ((rest[0] | rest[1]) & 0x80) == 0) [[likely]] {
      name = static_cast<unsigned char>(rest[0]);
      value = static_cast<unsigned char>(rest[1]);
      rest.remove_prefix(2);
    } else if (!take_length(rest, name) || !take_length(rest, value)) {
      return false;
    }
    if (name > rest.size() || value > rest.size() - name) return false;
    each(rest.substr(0, name), rest.substr(name, value));
    rest.remove_prefix(name + value);
  }
  return true;
}

}  // namespace http01::transport
