#include "doctor/reserved.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace http01::doctor {
namespace {

struct Block {
  std::array<std::uint8_t, 16> octets;
  int bits;
  std::string_view name;
};

// iana-ipv4-special-registry, without what is globally reachable.
constexpr std::array kV4 = {
    Block{{0}, 8, "\"this network\" (RFC 791)"},
    Block{{10}, 8, "private (RFC 1918)"},
    Block{{100, 64}, 10, "shared by carriers (RFC 6598)"},
    Block{{127}, 8, "loopback (RFC 1122)"},
    Block{{169, 254}, 16, "link-local (RFC 3927)"},
    Block{{172, 16}, 12, "private (RFC 1918)"},
    Block{{192, 0, 0}, 24, "kept for protocols (RFC 6890)"},
    Block{{192, 0, 2}, 24, "for documentation (RFC 5737)"},
    Block{{192, 88, 99}, 24, "6to4 relays, which are no more (RFC 7526)"},
    Block{{192, 168}, 16, "private (RFC 1918)"},
    Block{{198, 18}, 15, "for benchmarks (RFC 2544)"},
    Block{{198, 51, 100}, 24, "for documentation (RFC 5737)"},
    Block{{203, 0, 113}, 24, "for documentation (RFC 5737)"},
    Block{{224}, 4, "multicast (RFC 5771)"},
    Block{{240}, 4, "reserved (RFC 1112)"},
};

// iana-ipv6-special-registry, the same.
constexpr std::array kV6 = {
    Block{{0}, 127, "unspecified or loopback (RFC 4291)"},
    Block{{0}, 96, "IPv4-compatible (RFC 4291)"},
    Block{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, "an IPv4 address in disguise (RFC 4291)"},
    Block{{0, 0x64, 0xff, 0x9b, 0, 1}, 48, "for local translation (RFC 8215)"},
    Block{{1}, 64, "discard-only (RFC 6666)"},
    Block{{0x20, 0x01, 0, 0}, 32, "Teredo (RFC 4380)"},
    Block{{0x20, 0x01, 0, 2}, 48, "for benchmarks (RFC 5180)"},
    Block{{0x20, 0x01, 0x0d, 0xb8}, 32, "for documentation (RFC 3849)"},
    Block{{0x20, 0x02}, 16, "6to4 (RFC 3056)"},
    Block{{0x3f, 0xff}, 20, "for documentation (RFC 9637)"},
    Block{{0x5f}, 16, "segment routing (RFC 9602)"},
    Block{{0xfc}, 7, "unique local (RFC 4193)"},
    Block{{0xfe, 0x80}, 10, "link-local (RFC 4291)"},
    Block{{0xfe, 0xc0}, 10, "site-local (RFC 3879)"},
    Block{{0xff}, 8, "multicast (RFC 4291)"},
};

constexpr Block kTranslated{{0, 0x64, 0xff, 0x9b}, 96, "translated (RFC 6052)"};

bool holds(const Block& block, const std::array<std::uint8_t, 16>& octets) {
  for (int bit = 0; bit < block.bits; bit += 8) {
    const auto i = static_cast<std::size_t>(bit / 8);
    const int of_octet = std::min(8, block.bits - bit);
    const int mask = 0xff << (8 - of_octet) & 0xff;
    if ((octets[i] & mask) != (block.octets[i] & mask)) return false;
  }
  return true;
}

template <class Blocks>
std::optional<std::string_view> name_in(const Blocks& blocks, const base::IpAddress& address) {
  const auto found = std::ranges::find_if(
      blocks, [&](const Block& block) { return holds(block, address.octets); });
  return found == blocks.end() ? std::nullopt : std::optional(found->name);
}

}  // namespace

std::optional<std::string_view> special_purpose(const base::IpAddress& address) {
  if (!address.v6) return name_in(kV4, address);
  // The one address of its block.
  if (address == base::IpAddress::parse("::1")) return "loopback (RFC 4291)";
  // What DNS64 makes of an IPv4 address (RFC 6052 3.1).
  if (holds(kTranslated, address.octets)) {
    base::IpAddress v4;
    std::copy_n(address.octets.begin() + 12, 4, v4.octets.begin());
    return name_in(kV4, v4);
  }
  return name_in(kV6, address);
}

std::optional<std::string_view> private_purpose(const base::IpAddress& address) {
  const auto purpose = special_purpose(address);
  return purpose && purpose->starts_with("for documentation") ? std::nullopt : purpose;
}

}  // namespace http01::doctor
