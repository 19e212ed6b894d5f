// The command `check`: examines domains and prints what was found. Blocks until all is known or the
// deadline has come; with the probe, as long as that takes.
#pragma once

#include "config/config.h"
#include "options.h"

namespace http01 {

// Prints to standard output. The exit status of the worst domain: 0 redirect, 1 refused, 2 DNS
// failure; 69 where the probe cannot be loaded.
int check(Config config, const Options& options);

}  // namespace http01
