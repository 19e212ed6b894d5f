// The kinds of keys that most of the configuration is made of: flags, numbers, texts, lists of
// texts, choices. Each is built from a way to its value in a Config, `at`, which works on a const
// one too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "base/enum.h"
#include "config/keys.h"
#include "config/values.h"

namespace http01 {

// TOML out.
std::string toml_string(std::string_view text);
std::string toml_list(const std::vector<std::string>& texts);

void add_wrong_type(const FileValue& value, std::string_view allowed, Problems& problems);

// The text of a string; else nullptr and a problem.
const std::string* text_of(const FileValue& value, Problems& problems);

// Calls take(text, item) for each string of a list.
template <class Take>
void each_text(const FileValue& value, Problems& problems, Take take) {
  if (value.type != FileValue::Type::kArray) {
    add_wrong_type(value, "a list of strings", problems);
    return;
  }
  for (const FileValue& item : value.items) {
    if (const std::string* text = text_of(item, problems)) take(*text, item);
  }
}

template <class At>
ConfigKey flag(std::string_view table, std::string_view name, AllowsMore more, At at) {
  return {table, name, more,
          [at](const FileValue& value, Config& config, Problems& problems) {
            if (value.type == FileValue::Type::kBoolean) {
              at(config) = value.boolean;
            } else {
              add_wrong_type(value, "true or false", problems);
            }
          },
          [at](const Config& config) { return std::string(at(config) ? "true" : "false"); }};
}

template <class At>
ConfigKey number(std::string_view table, std::string_view name, AllowsMore more, std::int64_t least,
                 std::int64_t most, At at) {
  return {table, name, more,
          [=](const FileValue& value, Config& config, Problems& problems) {
            const std::string range = std::to_string(least) + " to " + std::to_string(most);
            if (value.type != FileValue::Type::kInteger) {
              add_wrong_type(value, "a whole number, " + range, problems);
            } else if (value.integer < least || value.integer > most) {
              problems.push_back({value.place, std::to_string(value.integer) +
                                                   " is out of range, allowed is " + range});
            } else {
              auto& number = at(config);
              number = static_cast<std::remove_cvref_t<decltype(number)>>(value.integer);
            }
          },
          [at](const Config& config) {
            const auto& number = at(config);
            if constexpr (requires { number.count(); }) {
              return std::to_string(number.count());
            } else {
              return std::to_string(number);
            }
          }};
}

// parse: text -> Result of the value; print: the value -> text.
template <class At, class Parse, class Print>
ConfigKey text(std::string_view table, std::string_view name, AllowsMore more, At at, Parse parse,
               Print print) {
  return {table, name, more,
          [=](const FileValue& value, Config& config, Problems& problems) {
            const std::string* text = text_of(value, problems);
            if (text == nullptr) return;
            auto parsed = parse(*text);
            if (parsed) {
              at(config) = std::move(*parsed);
            } else {
              problems.push_back({value.place, parsed.error()});
            }
          },
          [=](const Config& config) { return toml_string(print(at(config))); }};
}

template <class At, class Parse, class Print>
ConfigKey texts(std::string_view table, std::string_view name, AllowsMore more, At at, Parse parse,
                Print print) {
  const auto list = [=](const Config& config) {
    std::vector<std::string> printed;
    for (const auto& value : at(config)) printed.push_back(print(value));
    return printed;
  };
  return {table,
          name,
          more,
          [=](const FileValue& value, Config& config, Problems& problems) {
            auto& values = at(config);
            values.clear();
            each_text(value, problems, [&](const std::string& text, const FileValue& item) {
              auto parsed = parse(text);
              if (parsed) {
                values.push_back(std::move(*parsed));
              } else {
                problems.push_back({item.place, parsed.error()});
              }
            });
          },
          [list](const Config& config) { return toml_list(list(config)); },
          list};
}

// One word of a few.
template <class Value, class At>
ConfigKey choice(std::string_view table, std::string_view name, AllowsMore more,
                 const base::EnumWords<Value>& words, At at) {
  return text(
      table, name, more, at,
      [words](std::string_view text) -> base::Result<Value> {
        for (const auto& row : words) {
          if (row.word == text) return row.id;
        }
        const auto quoted = [](const base::Word<Value>& row) { return in_quotes(row.word); };
        return base::Failure{in_quotes(text) + " is unknown, allowed is one of " +
                             base::joined(words, ", ", quoted)};
      },
      [words](Value value) { return std::string(words[value].word); });
}

}  // namespace http01
