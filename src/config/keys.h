// Every key that the configuration knows, in the order in which it is printed: how its value is
// read and how it is written, side by side, so that no key has one without the other.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/toml.h"

namespace http01 {

struct Problem {
  Place place;
  std::string text;
};
using Problems = std::vector<Problem>;

struct ConfigKey {
  std::string_view table;  // "dns"
  std::string_view name;   // "timeout_ms"

  // Into the configuration if the value is right, else the problems with it.
  std::function<void(const FileValue&, Config&, Problems&)> read;
  // A TOML value; the body of the table for gateways.aliases, the one key that is a table.
  std::function<std::string(const Config&)> write;
  bool is_table = false;

  std::string full_name() const { return std::string(table) + "." + std::string(name); }
};

// Built at the first call, then never changed.
const std::vector<ConfigKey>& config_keys();

}  // namespace http01
