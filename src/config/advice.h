// What is odd about a configuration without being wrong: keys that defeat each other, and values
// that would surprise their operator. For the command `config`. Looks at the file system for the
// files that are named, and at nothing else. Never throws.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace http01 {

// One line each: "key: what would happen, what to do". Empty where there is nothing to say.
std::vector<std::string> config_advice(const Config& config);

}  // namespace http01
