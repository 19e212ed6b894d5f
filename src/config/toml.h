// A configuration file as a tree of values that know their place in it: what a TOML text says,
// before anyone asks whether it makes sense. The only door to toml++. Pure; never throws, whatever
// the octets.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace http01 {

// Both count from 1. Columns are characters, not octets.
struct Place {
  std::size_t line = 1;
  std::size_t column = 1;

  auto operator<=>(const Place&) const = default;
};

struct FileValue {
  enum class Type { kString, kInteger, kFloat, kBoolean, kTime, kArray, kTable };

  Type type = Type::kTable;
  Place place;
  std::string text;              // kString
  std::int64_t integer = 0;      // kInteger
  bool boolean = false;          // kBoolean
  std::vector<FileValue> items;  // kArray; kTable: in the order of the file, each with its key
  std::string key;
  Place key_place;

  // The table's value of that key, or nullptr.
  const FileValue* find(std::string_view wanted) const;
};

// "a string", "a whole number", ...
const char* describe(FileValue::Type type);

struct SyntaxFault {
  Place place;
  std::string message;
};

// The root table, or the first thing that is not TOML.
base::Result<FileValue, SyntaxFault> parse_toml(std::string_view text);

}  // namespace http01
