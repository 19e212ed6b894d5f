// Which names are gateways, by the operator's policy. Pure; never throws.
#pragma once

#include <optional>
#include <vector>

#include "protocol/name.h"
#include "protocol/policy.h"

namespace http01::protocol {

// The base domain that a CNAME target names: the value of an alias, or the base in `_.{base}`,
// `{base}` or `{label}.{base}` where that is allowed, or what allow_regex captures.
std::optional<Name> base_named_by(const GatewayPolicy& gateways, const Name& target);

// Equals or lies under an allowed base, the fallback or either side of an alias. A challenge for
// such a name must never be redirected: it would let a tenant pass for the gateway.
bool is_gateway_name(const GatewayPolicy& gateways, const Name& host);

// A name of this very relay: a key of gateways.aliases, an allowed base or the fallback, or
// `gateway.{base}`. Nobody's app is there.
bool is_own_name(const GatewayPolicy& gateways, const Name& host);

// The bases known by their full name: those whose addresses can be compared.
std::vector<Name> named_bases(const GatewayPolicy& gateways);

// A domain that the DNS has in any case: the first base, else the parent of the first wildcard,
// else the fallback, else the base of the first alias. A regex alone names none: then it is the
// domain of dstack's own gateways.
Name known_zone(const GatewayPolicy& gateways);

// `_.{base}`: any label under a base leads to the gateway, this is the one people use.
std::optional<Name> entry_name(const Name& base);

}  // namespace http01::protocol
