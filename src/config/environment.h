// The variables that override the file: those of the relay that this one takes the place of, so
// that its containers can be swapped in place, and METRICS_FROM. An empty variable counts as unset.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"

namespace http01 {

// One line each: "file:line:column: key: what is wrong, what is allowed", or "environment: NAME:
// ...".
using ConfigFaults = std::vector<std::string>;

// getenv, or what a test puts in its place; nullopt: not set.
using Environment = std::function<std::optional<std::string>(const char* name)>;
Environment process_environment();

constexpr const char* kFallbackVariable = "FALLBACK_GATEWAY_DOMAIN";
constexpr const char* kRegexVariable = "ALLOWED_DOMAIN_REGEX";
constexpr const char* kCaptureGroupVariable = "GATEWAY_DOMAIN_CAPTURE_GROUP";
constexpr const char* kLevelVariable = "LOG_LEVEL";
constexpr const char* kRustLogVariable = "RUST_LOG";  // heard only where LOG_LEVEL is not set
constexpr const char* kMetricsVariable = "METRICS_FROM";

bool is_set(const Environment& environment, const char* name);

// "environment: NAME: what is wrong, what is allowed".
std::string environment_fault(const char* name, const std::string& what);

void apply_environment(const Environment& environment, Config& config, ConfigFaults& faults);

}  // namespace http01
