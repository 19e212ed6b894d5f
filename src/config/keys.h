// Every key that the configuration knows, in the order in which it is printed: how its value is
// read and how it is written, side by side, so that no key has one without the other.
#pragma once

#include <cstdint>
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

// Which new value of a key lets the relay serve or show more than the old one did. A reload warns
// of those.
enum class AllowsMore : std::uint8_t {
  kNever,
  kChanged,  // any other value: two patterns cannot be compared
  kOn,
  kOff,
  // Of a list, where ConfigKey::covers says what an entry means for another one.
  kAdded,           // an entry that none of the old ones covers
  kAddedOrEmptied,  // that, unless the list was empty; an empty list, which means all
  kRemoved,         // the loss of an entry that none of the new ones covers
  kAddedOrRemoved,  // names under a gateway are refused, and no longer are without it
};

struct ConfigKey {
  std::string_view table;  // "dns"
  std::string_view name;   // "timeout_ms"
  AllowsMore allows_more;

  // Into the configuration if the value is right, else the problems with it.
  std::function<void(const FileValue&, Config&, Problems&)> read;
  // A TOML value; the body of the table for gateways.aliases, the one key that is a table.
  std::function<std::string(const Config&)> write;
  // The entries of a list or table, as they are shown; not set for other keys.
  std::function<std::vector<std::string>(const Config&)> list{};
  bool is_table = false;
  // Whether all that the second entry of a list stands for the first one stands for too. Not set:
  // where they are equal.
  std::function<bool(std::string_view wide, std::string_view narrow)> covers{};

  std::string full_name() const { return std::string(table) + "." + std::string(name); }
};

// Built at the first call, then never changed.
const std::vector<ConfigKey>& config_keys();

}  // namespace http01
