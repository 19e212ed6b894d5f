#include "base/keyed_hash.h"

#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace http01::base {
namespace {

struct State {
  std::uint64_t a, b, c, d;

  void rounds(int count) {
    for (; count > 0; --count) {
      a += b;
      b = std::rotl(b, 13) ^ a;
      a = std::rotl(a, 32);
      c += d;
      d = std::rotl(d, 16) ^ c;
      a += d;
      d = std::rotl(d, 21) ^ a;
      c += b;
      b = std::rotl(b, 17) ^ c;
      c = std::rotl(c, 32);
    }
  }

  void take(std::uint64_t word) {
    d ^= word;
    rounds(2);
    a ^= word;
  }
};

// The first octet is the lowest, whatever the machine.
std::uint64_t load(std::span<const std::uint8_t> octets) {
  std::uint64_t word = 0;
  for (std::size_t i = octets.size(); i-- > 0;) word = word << 8 | octets[i];
  return word;
}

}  // namespace

const KeyedHash& KeyedHash::of_process() {
  static const KeyedHash kHash;
  return kHash;
}

KeyedHash::KeyedHash() : key_{} {
  if (::getentropy(key_.data(), sizeof key_) != 0) {
    throw std::system_error(errno, std::generic_category(), "random octets");
  }
}

std::uint64_t KeyedHash::of(std::span<const std::uint8_t> octets) const {
  // "somepseudorandomlygeneratedbytes", as the algorithm has it.
  State state{key_[0] ^ 0x736f6d6570736575, key_[1] ^ 0x646f72616e646f6d,
              key_[0] ^ 0x6c7967656e657261, key_[1] ^ 0x7465646279746573};
  const std::uint64_t size = octets.size();
  while (octets.size() >= 8) {
    std::uint64_t word = 0;
    if constexpr (std::endian::native == std::endian::little) {
      std::memcpy(&word, octets.data(), sizeof word);
    } else {
      word = load(octets.first(8));
    }
    state.take(word);
    octets = octets.subspan(8);
  }
  state.take(size << 56 | load(octets));
  state.c ^= 0xff;
  state.rounds(4);
  return state.a ^ state.b ^ state.c ^ state.d;
}

std::size_t KeyedHash::operator()(std::string_view text) const {
  return of({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

}  // namespace http01::base
