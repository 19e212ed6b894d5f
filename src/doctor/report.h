// What the doctor says: evidence and findings as text for a terminal and as a JSON object. Nothing
// from outside gets in unescaped. Pure; never throws.
#pragma once

#include <string>
#include <string_view>

#include "doctor/evidence.h"
#include "doctor/finding.h"
#include "protocol/policy.h"

namespace http01::doctor {

struct Report {
  Evidence evidence;
  Findings findings;
};

Report make_report(const protocol::Policy& policy, Evidence evidence);

// The same for strangers: without addresses of private networks, be they a domain's, a resolver's
// or the relay's, and without what stands at names under no public suffix.
Report make_public_report(const protocol::Policy& policy, Evidence evidence);

// The verdict first, then each observation, then the findings. Ends its last line.
std::string to_text(const Report& report, bool colors);

// One object on one line, without the line's end. Its members are in http01-relay(8).
std::string to_json(const Report& report);

// Used by both, and by the page /check.
std::vector<std::string> records_of(const protocol::Answer& answer);
std::string of_whom(const Observation& observation);  // "192.0.2.53:53, 1.2 ms"
std::string milliseconds(base::Duration duration);
std::string tally(const Findings& findings);  // "1 fault, 2 notes", "nothing found wrong"
bool is_explained(const Report& report);      // by a fault among the findings

}  // namespace http01::doctor
