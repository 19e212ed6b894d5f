#include "protocol/target.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"

namespace http01::protocol {
namespace {

using base::Failure;

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || base::is_digit(c) || c == '-' || c == '.';
}

// Goes on with the label that ends before it; what may not stand in a host at all is told as such.
bool may_be_glued(char c) { return is_host_char(c) || c == '{'; }

// Values as a request would have them. Two sets, so that what differs between them shows where the
// template puts it.
constexpr TargetValues kSample{"00112233445566778899aabbccddeeff00112233", "65535",
                               "gateway.example.net", "app.example.com"};
constexpr TargetValues kOtherSample{"ffeeddccbbaa99887766554433221100ffeeddcc", "1",
                                    "gateway.example.net", "app.example.com"};

std::string_view last_label(std::string_view host) { return host.substr(host.rfind('.') + 1); }

}  // namespace

base::Result<TargetTemplate> TargetTemplate::parse(std::string_view text) {
  TargetTemplate parsed;
  parsed.text_ = text;
  const std::string lower = base::lowered(text);
  std::string_view rest = lower;

  for (const std::string_view scheme : {"https://", "http://"}) {
    if (!rest.starts_with(scheme)) continue;
    parsed.scheme_ = scheme;
    rest.remove_prefix(scheme.size());
    break;
  }
  if (parsed.scheme_.empty()) return Failure{std::string("must begin with https://")};
  if (rest.empty()) return Failure{std::string("there is no host after ") + parsed.scheme_};

  constexpr std::array<std::pair<std::string_view, Field>, 4> kFields{{
      {"{app_id}", Field::kAppId},
      {"{port}", Field::kPort},
      {"{gateway}", Field::kGateway},
      {"{domain}", Field::kDomain},
  }};
  while (!rest.empty()) {
    if (rest.front() == '{') {
      const auto* const field = std::ranges::find_if(
          kFields, [&](const auto& candidate) { return rest.starts_with(candidate.first); });
      if (field == kFields.end()) {
        return Failure{
            std::string("a name in braces must be one of {app_id}, {port}, {gateway}, {domain}")};
      }
      rest.remove_prefix(field->first.size());
      // A gateway or domain glued to something would be another name, perhaps somebody else's.
      const bool whole = field->second == Field::kAppId || field->second == Field::kPort ||
                         ((rest.empty() || rest.front() == '.' || !may_be_glued(rest.front())) &&
                          (parsed.host_.empty() || parsed.host_.back().literal.ends_with('.')));
      if (!whole) return Failure{std::string(field->first) + " must stand between dots"};
      parsed.host_.push_back({field->second, {}});
      continue;
    }
    const std::size_t size =
        static_cast<std::size_t>(std::ranges::find_if_not(rest, is_host_char) - rest.begin());
    if (size == 0) {
      switch (rest.front()) {
        case '/':
        case '?':
        case '#':
          return Failure{std::string("only scheme and host: the challenge's own path is appended")};
        case ':':
          return Failure{std::string("no port: a CA follows a redirect to 443 or 80 only")};
        case '@':
          return Failure{std::string("no user name")};
        default:
          return Failure{std::string("the host may hold letters, digits, hyphens and dots only")};
      }
    }
    parsed.host_.push_back({Field::kLiteral, std::string(rest.substr(0, size))});
    rest.remove_prefix(size);
  }

  if (parsed.scheme_ == "http://" && (parsed.has(Field::kDomain) || parsed.has(Field::kGateway))) {
    return Failure{
        std::string("must begin with https://: port 80 of the domain and of the gateway leads back "
                    "to the relay")};
  }
  const auto sample = parsed.expand(kSample);
  const auto other = parsed.expand(kOtherSample);
  if (!sample || !other || parsed.host_.back().literal.ends_with('.')) {
    return Failure{
        std::string("the host must be a domain name of two labels or more, without a final "
                    "dot, and no address")};
  }
  if (last_label(*sample) != last_label(*other)) {
    return Failure{std::string("the host must end in a public suffix, not in {app_id} or {port}")};
  }
  if (last_label(*sample) == "well-known") {
    return Failure{std::string("the host must not end in .well-known: is there a slash missing?")};
  }
  return parsed;
}

bool TargetTemplate::has(Field field) const {
  return std::ranges::any_of(host_, [field](const Part& part) { return part.field == field; });
}

bool TargetTemplate::needs_gateway() const { return has(Field::kGateway); }

PortUse TargetTemplate::port_use() const {
  return has(Field::kPort) ? PortUse::kInTarget : PortUse::kNone;
}

std::optional<Name> TargetTemplate::port_80_host() const {
  if (scheme_ != "http://") return std::nullopt;
  const auto url = expand(kSample);
  return url ? Name::from_text(std::string_view(*url).substr(scheme_.size())) : std::nullopt;
}

std::optional<std::string> TargetTemplate::expand(const TargetValues& values) const {
  std::string url;
  url.reserve(scheme_.size() + Name::kMaxTextOctets);
  url += scheme_;
  for (const Part& part : host_) {
    switch (part.field) {
      case Field::kLiteral:
        url += part.literal;
        break;
      case Field::kAppId:
        url += values.app_id;
        break;
      case Field::kPort:
        url += values.port;
        break;
      case Field::kGateway:
        url += values.gateway;
        break;
      case Field::kDomain:
        url += values.domain;
        break;
    }
  }
  if (!Name::is_domain_text(std::string_view(url).substr(scheme_.size()))) return std::nullopt;
  return url;
}

}  // namespace http01::protocol
