// What a reload has changed, key by key, and whether the new value may allow more than the old one.
// Pure; never throws.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace http01 {

struct ConfigChange {
  // "dns.timeout_ms: was 1000, now 300". Long values and lists are cut, so that it fits in a line
  // of the log. Not escaped: patterns and paths may hold whatever the file has.
  std::string text;
  bool allows_more;
};

// One for each key whose value is another one, in the order of the keys.
std::vector<ConfigChange> config_changes(const Config& before, const Config& after);

}  // namespace http01
