// What Let's Encrypt's validator (Boulder) demands of a redirect before it follows it, as a check
// of status and Location. Its rules are the strictest that are published. Pure; never throws,
// whatever the octets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace http01::doctor {

struct SplitUrl {
  std::string scheme;
  std::string host;  // lower case, without brackets
  std::string port;  // "443", or ""
  std::string path;
  bool bracketed = false;
  bool whole = false;  // scheme and authority are there
};

SplitUrl split_url(std::string_view url);

// Why a redirect is not followed.
enum class CaRefusal : std::uint8_t {
  kStatus,
  kOctets,  // not printable ASCII
  kNotAbsolute,
  kScheme,
  kPort,
  kNoHost,
  kMissingSlash,  // "example.com.well-known"
  kZone,          // of an IPv6 address
  kReservedAddress,
  kPublicSuffix,  // under none
  kTooLong,
};

// To be put behind "redirects".
std::string_view to_string(CaRefusal refusal);

// Nothing: it is followed. Loopback addresses are let through, as they are in Boulder's own tests.
std::optional<CaRefusal> refusal_by_ca(int status, std::string_view location);

}  // namespace http01::doctor
