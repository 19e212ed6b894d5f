#include "base/ip_address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "base/ascii.h"

namespace http01::base {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// 0 for what is no port.
std::uint16_t parse_port(std::string_view text) {
  return parse_number<std::uint16_t>(text).value_or(std::uint16_t{0});
}

// An address with the interface it is to be reached by: "fe80::1%eth0" or "fe80::1%2".
std::optional<Endpoint> parse_scoped(std::string_view text) {
  const std::size_t percent = text.find('%');
  const auto address = IpAddress::parse(text.substr(0, percent));
  if (!address) return std::nullopt;
  Endpoint endpoint{*address, 0, 0};
  if (percent == std::string_view::npos) return endpoint;
  if (!address->v6) return std::nullopt;
  const std::string interface(text.substr(percent + 1));
  // The kernel would read it up to the first NUL only.
  if (interface.find('\0') != std::string::npos) return std::nullopt;
  endpoint.scope = ::if_nametoindex(interface.c_str());
  if (endpoint.scope == 0) {
    endpoint.scope = parse_number<std::uint32_t>(interface).value_or(0);
    if (endpoint.scope == 0) return std::nullopt;
  }
  return endpoint;
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (text.size() >= buffer.size() || text.find('\0') != std::string_view::npos)
    return std::nullopt;
  std::copy(text.begin(), text.end(), buffer.begin());
  IpAddress address;
  if (::inet_pton(AF_INET, buffer.data(), address.octets.data()) == 1) return address;
  address.v6 = true;
  if (::inet_pton(AF_INET6, buffer.data(), address.octets.data()) == 1) return address;
  return std::nullopt;
}

std::string IpAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  ::inet_ntop(v6 ? AF_INET6 : AF_INET, octets.data(), buffer.data(), buffer.size());
  return buffer.data();
}

IpAddress IpAddress::unmapped() const {
  if (!v6 || !std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), octets.begin())) return *this;
  IpAddress plain;
  std::copy(octets.begin() + kMappedPrefix.size(), octets.end(), plain.octets.begin());
  return plain;
}

IpAddress IpAddress::client_network() const {
  const IpAddress plain = unmapped();
  if (!plain.v6) return plain;
  IpAddress network;
  network.v6 = true;
  std::copy_n(octets.begin(), 8, network.octets.begin());
  return network;
}

bool IpAddress::is_loopback() const {
  return v6 ? *this == IpAddress{true, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}
            : octets[0] == 127;
}

std::optional<Endpoint> Endpoint::parse(std::string_view text, std::uint16_t default_port) {
  std::string_view host = text;
  std::uint16_t port = default_port;
  bool bracketed = false;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    bracketed = true;
    host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty()) port = rest[0] == ':' ? parse_port(rest.substr(1)) : std::uint16_t{0};
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    const std::size_t colon = text.find(':');
    host = text.substr(0, colon);
    port = parse_port(text.substr(colon + 1));
  }
  auto endpoint = parse_scoped(host);
  if (!endpoint || port == 0 || (bracketed && !endpoint->address.v6)) return std::nullopt;
  endpoint->port = port;
  return endpoint;
}

std::string Endpoint::text() const {
  std::string host = address.text();
  if (scope != 0) host += "%" + std::to_string(scope);
  if (address.v6) host = "[" + host + "]";
  return host + ":" + std::to_string(port);
}

std::optional<Endpoint> Endpoint::from_sockaddr(const sockaddr_storage& storage) {
  Endpoint endpoint;
  if (storage.ss_family == AF_INET6) {
    const auto& in6 = reinterpret_cast<const sockaddr_in6&>(storage);
    endpoint.address.v6 = true;
    endpoint.port = ntohs(in6.sin6_port);
    endpoint.scope = in6.sin6_scope_id;
    std::memcpy(endpoint.address.octets.data(), &in6.sin6_addr, 16);
    return endpoint;
  }
  if (storage.ss_family != AF_INET) return std::nullopt;
  const auto& in = reinterpret_cast<const sockaddr_in&>(storage);
  endpoint.port = ntohs(in.sin_port);
  std::memcpy(endpoint.address.octets.data(), &in.sin_addr, 4);
  return endpoint;
}

socklen_t Endpoint::to_sockaddr(sockaddr_storage& storage) const {
  std::memset(&storage, 0, sizeof storage);
  if (address.v6) {
    auto& in6 = reinterpret_cast<sockaddr_in6&>(storage);
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    in6.sin6_scope_id = scope;
    std::memcpy(&in6.sin6_addr, address.octets.data(), 16);
    return sizeof in6;
  }
  auto& in = reinterpret_cast<sockaddr_in&>(storage);
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  std::memcpy(&in.sin_addr, address.octets.data(), 4);
  return sizeof in;
}

}  // namespace http01::base
