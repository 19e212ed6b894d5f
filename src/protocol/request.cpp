#include "protocol/request.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/char_set.h"
#include "base/enum.h"
#include "base/ip_address.h"

namespace http01::protocol {
namespace {

constexpr std::size_t kMaxToken = 128;
constexpr base::CharSet kTokenChars{base::kLowerCase, base::kUpperCase, base::kDigits, "-_"};
constexpr base::CharSet kVisible{base::kLowerCase, base::kUpperCase, base::kDigits,
                                 "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"};

constexpr base::EnumWords<PathKind> kPaths{{{
    {PathKind::kChallenge, "/.well-known/acme-challenge/*"},
    {PathKind::kHealth, "/health"},
    {PathKind::kReady, "/ready"},
    {PathKind::kMetrics, "/metrics"},
    {PathKind::kIndex, "/"},
    {PathKind::kCheck, "/check"},
    {PathKind::kOther, "/*"},
}}};

// Takes one ":digits" off the end and returns it.
std::string_view split_port(std::string_view& value) {
  const std::size_t digits = static_cast<std::size_t>(
      std::find_if_not(value.rbegin(), value.rend(), base::is_digit) - value.rbegin());
  if (digits == 0 || digits == value.size() || value[value.size() - digits - 1] != ':') return {};
  const std::string_view port = value.substr(value.size() - digits - 1);
  value.remove_suffix(port.size());
  return port;
}

bool is_ip_literal(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) {
    const auto address = base::IpAddress::parse(host.substr(1, host.size() - 2));
    return address && address->v6;
  }
  const auto address = base::IpAddress::parse(host);
  return address && !address->v6;
}

// The name of its record must be a name too, or the app address could never be looked up.
bool has_record_name(const Policy& policy, const Name& domain) {
  return policy.record_prefix.text_octets() + 1 + domain.text_octets() <= Name::kMaxTextOctets;
}

// Absolute form (RFC 9112 3.2.2), which Apache passes on as it came: the authority is not ours to
// believe, Host was made from it.
std::string_view without_authority(std::string_view uri) {
  if (uri.starts_with('/')) return uri;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (uri.size() < scheme.size() || base::lowered(uri.substr(0, scheme.size())) != scheme)
      continue;
    uri.remove_prefix(scheme.size());
    return uri.substr(std::min(uri.find_first_of("/?#"), uri.size()));
  }
  return uri;
}

PathKind kind_of(std::string_view path) {
  if (path.starts_with(kChallengePrefix)) return PathKind::kChallenge;
  const auto* const found = std::ranges::find(kPaths, path, &base::Word<PathKind>::word);
  return found == kPaths.end() ? PathKind::kOther : found->id;
}

std::optional<Reason> fault_of(const RawRequest& raw, const Host& host, std::string_view target) {
  if (raw.overloaded) return Reason::kOverloaded;
  if (host.kind == HostKind::kBad) return Reason::kBadHost;
  if (raw.body_too_large) return Reason::kTooLarge;
  if (!target.starts_with('/')) return Reason::kNotFound;
  if (!kVisible.holds_all(target)) return Reason::kBadPath;
  if (target.size() > Request::kMaxTarget) return Reason::kTooLong;
  return std::nullopt;
}

}  // namespace

std::string_view to_string(PathKind kind) { return kPaths[kind].word; }

Host read_host(const Policy& policy, std::string_view value) {
  Host host;
  // A bare IPv6 address would lose its last group to the port; it is no Host anyway, by RFC 3986
  // 3.2.2.
  const std::string_view port = split_port(value);
  if (value.ends_with('.')) value.remove_suffix(1);
  const std::string text = base::lowered(value);

  const bool address = is_ip_literal(text);
  host.listed = !address && std::ranges::find(policy.relay_hosts, text) != policy.relay_hosts.end();
  if (address || host.listed || Name::is_host_label(text)) {
    host.kind = HostKind::kRelay;
  } else if (const auto name = Name::from_text(text);
             name && !text.ends_with('.') && name->is_domain() && has_record_name(policy, *name)) {
    host.kind = HostKind::kDomain;
    host.name = *name;
  }
  if (host.kind != HostKind::kBad) {
    host.text = text;
    host.port = port;
  }
  return host;
}

bool is_token(std::string_view text) {
  return !text.empty() && text.size() <= kMaxToken && kTokenChars.holds_all(text);
}

Request read_request(const Policy& policy, const RawRequest& raw) {
  Request request;
  request.host = read_host(policy, raw.host);
  request.sent_host = raw.host.substr(0, Name::kMaxTextOctets + 1);
  request.method = raw.method;
  request.client = raw.client;
  request.https = raw.https;

  std::string_view target = without_authority(raw.uri);
  target = target.substr(0, target.find('#'));
  request.fault = fault_of(raw, request.host, target);
  request.target = target.substr(0, Request::kMaxTarget);
  request.path_size = std::min(request.target.find('?'), request.target.size());
  request.kind = kind_of(request.path());
  return request;
}

}  // namespace http01::protocol
