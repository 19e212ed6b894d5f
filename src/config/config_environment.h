// The variables of the relay that this one takes the place of: they override the file, so that its
// containers can be swapped in place. An empty variable counts as unset.
#pragma once

#include <string>

#include "config.h"

namespace http01 {

constexpr const char* kFallbackVariable = "FALLBACK_GATEWAY_DOMAIN";
constexpr const char* kRegexVariable = "ALLOWED_DOMAIN_REGEX";
constexpr const char* kCaptureGroupVariable = "GATEWAY_DOMAIN_CAPTURE_GROUP";
constexpr const char* kLevelVariable = "LOG_LEVEL";
constexpr const char* kRustLogVariable = "RUST_LOG";  // heard only where LOG_LEVEL is not set

bool is_set(const Environment& environment, const char* name);

// "environment: NAME: what is wrong, what is allowed".
std::string environment_fault(const char* name, const std::string& what);

void apply_environment(const Environment& environment, Config& config, ConfigFaults& faults);

}  // namespace http01
