#include "doctor/ca_rules.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/enum.h"
#include "base/ip_address.h"
#include "base/public_suffix.h"
#include "doctor/reserved.h"

namespace http01::doctor {
namespace {

constexpr std::string_view kNoUrl = "to what is no absolute URL that a CA follows";

constexpr base::EnumWords<CaRefusal> kRefusals{{{
    {CaRefusal::kStatus, "with a status that CAs do not follow"},
    {CaRefusal::kOctets, kNoUrl},
    {CaRefusal::kNotAbsolute, kNoUrl},
    {CaRefusal::kScheme, "to another scheme than http and https"},
    {CaRefusal::kPort, "to a port other than 80 and 443"},
    {CaRefusal::kNoHost, kNoUrl},
    {CaRefusal::kMissingSlash, "to a host without the slash that belongs behind it"},
    {CaRefusal::kZone, kNoUrl},
    {CaRefusal::kReservedAddress, "to an address that no CA connects to"},
    {CaRefusal::kPublicSuffix, "to a host under no public suffix"},
    {CaRefusal::kTooLong, "to a path that is too long"},
}}};

}  // namespace

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

std::string_view to_string(CaRefusal refusal) { return kRefusals[refusal].word; }

std::optional<CaRefusal> refusal_by_ca(int status, std::string_view location) {
  constexpr std::size_t kMaxPath = 2000;
  if (status != 301 && status != 302 && status != 307 && status != 308) return CaRefusal::kStatus;
  if (std::ranges::any_of(location, [](char c) { return c <= ' ' || c > '~'; }))
    return CaRefusal::kOctets;
  const SplitUrl url = split_url(location);
  if (!url.whole) return CaRefusal::kNotAbsolute;
  if (url.scheme != "http" && url.scheme != "https") return CaRefusal::kScheme;
  if (!url.port.empty() && url.port != "80" && url.port != "443") return CaRefusal::kPort;
  if (url.host.empty()) return CaRefusal::kNoHost;
  if (url.host.ends_with(".well-known")) return CaRefusal::kMissingSlash;
  if (url.host.find('%') != std::string::npos) return CaRefusal::kZone;
  if (const auto address = base::IpAddress::parse(url.host);
      address && address->v6 == url.bracketed) {
    if (special_purpose(*address) && !address->is_loopback()) return CaRefusal::kReservedAddress;
  } else if (!base::ends_in_public_suffix(url.host)) {
    return CaRefusal::kPublicSuffix;
  }
  if (url.path.size() > kMaxPath) return CaRefusal::kTooLong;
  return std::nullopt;
}

}  // namespace http01::doctor
