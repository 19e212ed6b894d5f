// What Let's Encrypt's validator (Boulder) demands of a redirect before it follows it, as a check
// of status and Location. Its rules are the strictest that are published. Pure; never throws,
// whatever the octets.
#pragma once

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

// Why the redirect is not followed; "" where it is. Loopback addresses are let through, as they are
// in Boulder's own tests.
std::string refusal_by_ca(int status, std::string_view location);

}  // namespace http01::doctor
