// From a domain to its app address and its gateway, by the records: the two walks through the DNS
// that a decision needs. Each says what it found, what must still be asked, or why there is none.
// Pure; never throws.
#pragma once

#include <string>
#include <variant>

#include "protocol/answer.h"
#include "protocol/policy.h"
#include "protocol/reason.h"
#include "protocol/record.h"

namespace http01::protocol {

struct Missing {
  std::vector<Question> questions;  // not known yet, to be asked together
};

struct Refusal {
  Reason reason;
  std::string found;           // one sentence of what was looked up and found; fit to be sent
  Cause cause = Cause::kNone;  // of a DNS that fails
};

template <class T>
using Found = std::variant<T, Missing, Refusal>;

// The TXT record at the domain's own name, else at the legacy one, else the wildcard record one
// level up. `port` is of the target that the request is for.
Found<AppAddress> find_app_address(const Policy& policy, const Name& domain, const Answers& known,
                                   PortUse port);

// The base domain that the CNAME chain leads to, else the one that shares an address, else the
// fallback.
Found<Name> find_gateway(const Policy& policy, const Name& domain, const Answers& known);

// "{dns.prefix}.{domain}".
Name app_address_name(const Policy& policy, const Name& domain);

// All that are tried, in order: that one, the legacy one, the wildcard's.
std::vector<Name> app_address_names(const Policy& policy, const Name& domain);

}  // namespace http01::protocol
