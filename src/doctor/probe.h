// Goes a CA's way over the network: asks port 80 of each of a domain's addresses for a challenge
// with a random token, and port 443 of each of the gateway's. The only door to libcurl, which is
// loaded when it is first needed. Blocks, 12 s at most; never used where requests are served. Never
// throws.
#pragma once

#include "base/result.h"
#include "doctor/evidence.h"

namespace http01::doctor {

// Whether this build can probe at all: the statically linked one cannot.
bool has_probe();

// The failure says why libcurl cannot be had here.
base::Result<void> load_probe();

// Of evidence whose addresses are known. Only where load_probe() has not failed.
Probe probe(const Evidence& evidence);

}  // namespace http01::doctor
