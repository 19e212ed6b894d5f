// What the doctor asks the DNS beside what the decision asks. Pure; never throws.
#pragma once

#include <optional>
#include <vector>

#include "doctor/evidence.h"
#include "protocol/policy.h"

namespace http01::doctor {

// Of the domain, at once: its addresses, its CAA records and those above it; and the addresses of
// the relay's own names.
std::vector<protocol::Question> first_questions(const protocol::Policy& policy,
                                                const protocol::Name& domain);

// Once the relay's answer is there: where the CNAME chain leads by what is known. The answer's own
// gateway where it has one, else followed from where the answer did not go on.
std::optional<protocol::Found<protocol::Name>> resolve_gateway(const protocol::Policy& policy,
                                                               const Evidence& evidence,
                                                               const protocol::Answers& known);

// What is left of that chain, and then the addresses of where a CA is sent. Nothing: all has been
// asked.
std::vector<protocol::Question> later_questions(const Evidence& evidence,
                                                const protocol::Answers& known);

// What each configured server is asked by itself: the records that decide.
std::vector<protocol::Question> compared_questions(const protocol::Policy& policy,
                                                   const protocol::Name& domain);

// Those of service.hosts that are names with addresses.
std::vector<protocol::Name> relay_names(const protocol::Policy& policy);

}  // namespace http01::doctor
