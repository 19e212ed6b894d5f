// What the tests of the configuration share: an environment of their own, the files of cases, the
// defaults.
#pragma once

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/load.h"

#ifndef TESTS_DIR
#define TESTS_DIR "tests"
#endif

namespace http01 {

namespace fs = std::filesystem;

using Variables = std::map<std::string, std::string>;

inline Environment environment_of(Variables variables) {
  return [variables = std::move(variables)](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

inline const Environment kNothing = environment_of({});

inline std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  BOOST_REQUIRE_MESSAGE(in.good(), path);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::vector<fs::path> toml_files(const char* directory) {
  std::vector<fs::path> files;
  for (const auto& entry :
       fs::directory_iterator(fs::path(TESTS_DIR) / "data/config" / directory)) {
    files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

// Whether the TOML that to_toml() made has the line "table.key = value".
inline bool has_line(const std::string& toml, const std::string& wanted) {
  std::istringstream in(toml);
  std::string table;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with('[')) table = line.substr(1, line.find(']') - 1);
    if (table + "." + line == wanted) return true;
  }
  return false;
}

// "...": and whatever the library says.
inline bool is_as_expected(const std::string& found, const std::string& expected) {
  if (!expected.ends_with("...")) return found == expected;
  return found.starts_with(expected.substr(0, expected.size() - 3));
}

// The configuration as TOML, or its faults, one a line.
inline std::string outcome(std::string_view text, const Environment& environment) {
  const auto config = parse_config(text, "f", environment);
  if (config) return to_toml(config.value());
  std::string faults;
  for (const std::string& fault : config.error()) faults += fault + "\n";
  return faults;
}

inline const std::string kDefaults = R"([gateways]
allow = ["*.phala.network"]
fallback = ""
match_addresses = false
allow_regex = ""
capture_group = 1
[gateways.aliases]

[app]
id_pattern = "[0-9a-f]{40}"

[redirect]
target = "https://{app_id}.{gateway}"
status = 307
other_paths = "https"
breadcrumb = false

[domains]
allow = []
deny = []

[dns]
servers = []
timeout_ms = 1000
attempts = 3
deadline_ms = 4000
prefix = "_dstack-app-address"
legacy_prefix = true
wildcard = true
require_dnssec = false

[cache]
entries = 100000
max_ttl_s = 60
negative_ttl_s = 10

[limits]
in_flight = 10000
in_flight_per_client = 100
in_flight_per_domain = 1000
checks_per_client = 6
checks = 60

[service]
hosts = []
canary = ""
public_check = false
metrics_from = ["127.0.0.0/8", "::1"]
state_file = ""

[log]
level = "info"
format = "text"
target = "stderr"
)";

}  // namespace http01
