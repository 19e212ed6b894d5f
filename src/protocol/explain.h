// The body of an answer that is not served: what was found and which record to set, for the person
// who asks with curl. Pure; never throws.
#pragma once

#include <string>
#include <string_view>

#include "protocol/policy.h"
#include "protocol/reason.h"
#include "protocol/request.h"

namespace http01::protocol {

// A record as a line of a zone file (RFC 1035 5.1). `data` is fit to be shown.
std::string zone_line(std::string_view name, std::string_view type, std::string_view data);

// The records of a domain that is in order, as lines of a zone file, with placeholders for what
// only the owner knows.
std::string app_address_line(const Policy& policy, const Name& domain);
std::string gateway_line(const Policy& policy, const Name& domain);

// `found` is one sentence, or "" where the reason says it all. `cause`: why the DNS has failed, if
// that is known.
std::string explain(const Policy& policy, const Request& request, Reason reason,
                    std::string_view found, Cause cause = Cause::kNone);

}  // namespace http01::protocol
