#include "protocol/gateway.h"

#include <algorithm>

namespace http01::protocol {
namespace {

bool is_allowed_base(const GatewayPolicy& gateways, const Name& base) {
  if (!base.is_domain()) return false;
  if (std::ranges::find(gateways.bases, base) != gateways.bases.end()) return true;
  const auto parent = std::string_view(base.labels()).substr(1 + base.first_label().size());
  return std::ranges::any_of(gateways.wildcard_parents,
                             [parent](const Name& name) { return name.labels() == parent; });
}

std::optional<Name> captured_base(const GatewayPolicy& gateways, const Name& target) {
  if (!gateways.regex || !target.is_plain() || target.is_root()) return std::nullopt;
  const auto text = gateways.regex->capture(target.text(), gateways.capture_group);
  if (!text || text->ends_with('.')) return std::nullopt;
  auto base = Name::from_text(*text);
  if (!base || !base->is_domain()) return std::nullopt;
  return base;
}

// The base that a regex makes of this very name or of the entry name below it, if `host` is there
// or under it. What a regex allows cannot be listed, only tried.
bool is_under_captured_base(const GatewayPolicy& gateways, const Name& name, const Name& host) {
  const auto is_above_host = [&](const std::optional<Name>& base) {
    return base && host.is_at_or_under(*base);
  };
  if (is_above_host(captured_base(gateways, name))) return true;
  const auto entry = entry_name(name);
  return entry && is_above_host(captured_base(gateways, *entry));
}

}  // namespace

std::optional<Name> entry_name(const Name& base) {
  static const Name kEntryLabel = Name::from_text("_").value();
  return join(kEntryLabel, base);
}

std::optional<Name> base_named_by(const GatewayPolicy& gateways, const Name& target) {
  for (const auto& [alias, base] : gateways.aliases) {
    if (target == alias) return base;
  }
  if (target.is_plain()) {
    Name parent = target.parent();
    if (target.first_label() == "_") {
      if (is_allowed_base(gateways, parent)) return parent;
    } else {
      if (is_allowed_base(gateways, target)) return target;
      if (is_allowed_base(gateways, parent)) return parent;
    }
  }
  return captured_base(gateways, target);
}

bool is_gateway_name(const GatewayPolicy& gateways, const Name& host) {
  const auto covers = [&](const Name& name) { return host.is_at_or_under(name); };
  if (std::ranges::any_of(gateways.bases, covers)) return true;
  if (gateways.fallback && covers(*gateways.fallback)) return true;
  for (const auto& [alias, base] : gateways.aliases) {
    if (covers(alias) || covers(base)) return true;
  }
  for (const Name& parent : gateways.wildcard_parents) {
    if (covers(parent) && host != parent) return true;
  }
  if (!gateways.regex) return false;
  for (Name name = host; !name.is_root(); name = name.parent()) {
    if (is_under_captured_base(gateways, name, host)) return true;
  }
  return false;
}

bool is_own_name(const GatewayPolicy& gateways, const Name& host) {
  const auto is_alias = [&](const auto& alias) { return alias.first == host; };
  if (std::ranges::any_of(gateways.aliases, is_alias)) return true;
  const auto is_base = [&](const Name& name) {
    if (is_allowed_base(gateways, name) || gateways.fallback == name) return true;
    const auto entry = entry_name(name);
    return entry && captured_base(gateways, *entry).has_value();
  };
  return is_base(host) || (host.first_label() == "gateway" && is_base(host.parent()));
}

std::vector<Name> named_bases(const GatewayPolicy& gateways) {
  std::vector<Name> bases = gateways.bases;
  if (gateways.fallback && std::ranges::find(bases, *gateways.fallback) == bases.end()) {
    bases.push_back(*gateways.fallback);
  }
  return bases;
}

Name known_zone(const GatewayPolicy& gateways) {
  if (!gateways.bases.empty()) return gateways.bases.front();
  if (!gateways.wildcard_parents.empty()) return gateways.wildcard_parents.front();
  if (gateways.fallback) return *gateways.fallback;
  if (!gateways.aliases.empty()) return gateways.aliases.front().second;
  return Name::from_text("phala.network").value();
}

}  // namespace http01::protocol
