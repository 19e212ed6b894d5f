#include "config/environment.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "base/ascii.h"
#include "config/values.h"

namespace http01 {
namespace {

using base::Failure;
using base::Result;

Result<std::int64_t> parse_number(std::string_view text, std::int64_t least, std::int64_t most) {
  const auto number = base::parse_number<std::int64_t>(text);
  if (number && *number >= least && *number <= most) return *number;
  return Failure{in_quotes(text) + " is no such number, allowed is a whole number, " +
                 std::to_string(least) + " to " + std::to_string(most)};
}

// env_logger's syntax: directives "level" or "module=level", with commas between; a module alone
// logs all it has. What is said of the original relay's module counts, else what is said of all.
Result<std::optional<LogLevel>> parse_rust_log(std::string_view text) {
  constexpr std::string_view kModule = "relay_server";
  constexpr std::string_view kBlank = " ";
  std::optional<LogLevel> of_all;
  std::optional<LogLevel> of_module;
  while (!text.empty()) {
    const std::string_view directive = base::trimmed(base::split_off(text, ','), kBlank);
    if (directive.empty()) continue;
    if (directive == kModule) {
      of_module = LogLevel::kTrace;
      continue;
    }
    const std::size_t equals = directive.find('=');
    const bool has_module = equals != std::string_view::npos;
    auto level = parse_log_level(has_module ? base::trimmed(directive.substr(equals + 1), kBlank)
                                            : directive);
    if (!level) {
      return Failure{level.error() + ", alone or as \"relay_server=debug\", with commas between"};
    }
    if (!has_module) of_all = *level;
    if (has_module && base::trimmed(directive.substr(0, equals), kBlank) == kModule)
      of_module = *level;
  }
  return of_module ? of_module : of_all;
}

// Between commas, without blanks around; nothing between two commas is an empty text.
std::vector<std::string_view> split_list(std::string_view text) {
  std::vector<std::string_view> items;
  for (bool more = true; more;) {
    more = text.find(',') != std::string_view::npos;
    items.push_back(base::trimmed(base::split_off(text, ',')));
  }
  return items;
}

}  // namespace

Environment process_environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

std::string environment_fault(const char* name, const std::string& what) {
  return std::string("environment: ") + name + ": " + what;
}

bool is_set(const Environment& environment, const char* name) {
  const auto text = environment(name);
  return text && !text->empty();
}

void apply_environment(const Environment& environment, Config& config, ConfigFaults& faults) {
  // If the variable is set: parse(text), then store(value) or a fault.
  const auto apply = [&](const char* name, auto parse, auto store) {
    if (!is_set(environment, name)) return;
    auto parsed = parse(*environment(name));
    if (parsed) {
      store(std::move(*parsed));
    } else {
      faults.push_back(environment_fault(name, parsed.error()));
    }
  };
  auto& gateways = config.policy.gateways;

  apply(kFallbackVariable, parse_domain,
        [&](protocol::Name name) { gateways.fallback = std::move(name); });
  apply(kRegexVariable, parse_pattern,
        [&](base::Pattern pattern) { gateways.regex = std::move(pattern); });
  apply(
      kCaptureGroupVariable,
      [](std::string_view text) { return parse_number(text, 0, kMaxCaptureGroup); },
      [&](std::int64_t group) { gateways.capture_group = static_cast<int>(group); });
  if (is_set(environment, kLevelVariable)) {
    apply(kLevelVariable, parse_log_level, [&](LogLevel level) { config.log.level = level; });
  } else {
    apply(kRustLogVariable, parse_rust_log, [&](std::optional<LogLevel> level) {
      if (level) config.log.level = *level;
    });
  }
  if (is_set(environment, kMetricsVariable)) {
    const std::string networks = *environment(kMetricsVariable);
    std::vector<base::IpNetwork> read;
    for (const std::string_view item : split_list(networks)) {
      auto network = parse_network(item);
      if (network) {
        read.push_back(*network);
      } else {
        faults.push_back(environment_fault(kMetricsVariable, network.error()));
      }
    }
    config.policy.metrics_from = std::move(read);
  }
  // The container's web server listens there; wrong is wrong, though.
  apply(
      "PORT", [](std::string_view text) { return parse_number(text, 1, 65535); },
      [](std::int64_t) {});
  apply(
      "RELAY_MODE",
      [](std::string_view text) -> Result<bool> {
        if (text == "redirect") return true;
        return Failure{
            in_quotes(text) +
            " is not what this program does, allowed is \"redirect\": it answers with the "
            "address and never forwards a request itself"};
      },
      [](bool) {});
}

}  // namespace http01
