// From the evidence to what is wrong: every cause there is, each with the record to set. The rules
// of the gateway and of CAs stand here, those of the relay in `decide`, whose answer is part of the
// evidence. Pure; never throws.
#pragma once

#include "doctor/evidence.h"
#include "doctor/finding.h"
#include "protocol/policy.h"

namespace http01::doctor {

// Faults first, then warnings, then notes; among them by how common they are.
Findings judge(const protocol::Policy& policy, const Evidence& evidence);

// Its parts, each for one kind of evidence.
void judge_app_address(const protocol::Policy& policy, const Evidence& evidence, Findings& found);
void judge_gateway(const protocol::Policy& policy, const Evidence& evidence, Findings& found);
void judge_addresses(const Evidence& evidence, Findings& found);
void judge_caa(const Evidence& evidence, Findings& found);
void judge_resolution(const protocol::Policy& policy, const Evidence& evidence, Findings& found);
void judge_probe(const Evidence& evidence, Findings& found);

}  // namespace http01::doctor
