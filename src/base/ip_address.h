// IP addresses and endpoints as values: text to value and back, and the form the socket calls want.
// Pure but for interface scopes ("fe80::1%eth0", RFC 4007), which ask the kernel for the interface.
// Never throws.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace http01::base {

struct IpAddress {
  bool v6 = false;
  std::array<std::uint8_t, 16> octets{};  // the first four for IPv4

  // Dotted quad or RFC 4291 text, no brackets, no scope.
  static std::optional<IpAddress> parse(std::string_view text);
  std::string text() const;

  // The IPv4 address of an IPv4-mapped one (::ffff:192.0.2.1); else the address itself.
  IpAddress unmapped() const;

  // The network one client is taken to own: the address itself for IPv4, its /64 for IPv6. An
  // IPv4-mapped address (::ffff:192.0.2.1) is the IPv4 address.
  IpAddress client_network() const;

  bool is_loopback() const;  // 127.0.0.0/8, ::1

  bool operator==(const IpAddress&) const = default;
};

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;
  std::uint32_t scope = 0;  // interface index of a link-local IPv6 address, else 0

  // "192.0.2.1", "192.0.2.1:53", "2001:db8::1", "[2001:db8::1]:53"; no port: default_port.
  static std::optional<Endpoint> parse(std::string_view text, std::uint16_t default_port);
  std::string text() const;  // always with the port

  // Nothing for another family.
  static std::optional<Endpoint> from_sockaddr(const sockaddr_storage& storage);

  // Fills storage and returns the length that bind() and connect() want.
  socklen_t to_sockaddr(sockaddr_storage& storage) const;

  bool operator==(const Endpoint&) const = default;
};

}  // namespace http01::base
