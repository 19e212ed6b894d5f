#include "doctor/ca_rules.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/ip_address.h"
#include "base/public_suffix.h"
#include "doctor/reserved.h"

namespace http01::doctor {

SplitUrl split_url(std::string_view url) {
  SplitUrl parts;
  const std::size_t colon = url.find("://");
  if (colon == std::string_view::npos || colon == 0) return parts;
  parts.whole = true;
  parts.scheme = base::lowered(url.substr(0, colon));
  url.remove_prefix(colon + 3);
  const std::size_t end = std::min(url.find_first_of("/?#"), url.size());
  std::string_view authority = url.substr(0, end);
  url.remove_prefix(end);
  parts.path = url.substr(0, std::min(url.find_first_of("?#"), url.size()));
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    authority.remove_prefix(at + 1);
  }
  if (const std::size_t close = authority.rfind(']');
      close != std::string_view::npos && authority.starts_with('[')) {
    parts.bracketed = true;
    parts.host = base::lowered(authority.substr(1, close - 1));
    authority.remove_prefix(close + 1);
  } else {
    const std::size_t size = std::min(authority.rfind(':'), authority.size());
    parts.host = base::lowered(authority.substr(0, size));
    authority.remove_prefix(size);
  }
  if (!authority.empty()) parts.port = authority.substr(1);
  return parts;
}

std::string refusal_by_ca(int status, std::string_view location) {
  constexpr std::size_t kMaxPath = 2000;
  if (status != 301 && status != 302 && status != 307 && status != 308) return "status";
  if (std::ranges::any_of(location, [](char c) { return c <= ' ' || c > '~'; })) return "octets";
  const SplitUrl url = split_url(location);
  if (!url.whole) return "not absolute";
  if (url.scheme != "http" && url.scheme != "https") return "scheme";
  if (!url.port.empty() && url.port != "80" && url.port != "443") return "port";
  if (url.host.empty()) return "empty host";
  if (url.host.ends_with(".well-known")) return "missing slash";
  if (url.host.find('%') != std::string::npos) return "zone";
  if (const auto address = base::IpAddress::parse(url.host);
      address && address->v6 == url.bracketed) {
    if (!special_purpose(*address).empty() && !address->is_loopback()) return "reserved address";
  } else if (!base::ends_in_public_suffix(url.host)) {
    return "public suffix";
  }
  if (url.path.size() > kMaxPath) return "too long";
  return "";
}

}  // namespace http01::doctor
