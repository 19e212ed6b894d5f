#include "config/changes.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "base/ascii.h"
#include "config/keys.h"

namespace http01 {
namespace {

// The log shows 256 bytes of a message. Two values must fit in that, and the words around them.
constexpr std::size_t kShownBytes = 75;

using Texts = std::vector<std::string>;

std::string cut(std::string_view text) {
  return std::string(text.substr(0, kShownBytes)) + (text.size() > kShownBytes ? "..." : "");
}

// A value as the log has it, where quotes would be escaped.
std::string shown(std::string_view toml) {
  const bool quoted = toml.size() >= 2 && (toml.front() == '"' || toml.front() == '\'');
  if (quoted) toml = toml.substr(1, toml.size() - 2);
  return toml.empty() ? "empty" : cut(toml);
}

// "2 (a.example, b.example)"
std::string counted(const Texts& texts) {
  return std::to_string(texts.size()) + " (" + cut(base::joined(texts, ", ", std::identity{})) +
         ")";
}

struct ListChange {
  Texts removed;
  Texts added;
};

ListChange compare(Texts before, Texts after) {
  std::ranges::sort(before);
  std::ranges::sort(after);
  ListChange change;
  std::ranges::set_difference(before, after, std::back_inserter(change.removed));
  std::ranges::set_difference(after, before, std::back_inserter(change.added));
  return change;
}

std::string describe_list(const ListChange& change, bool is_empty) {
  std::string text;
  if (!change.removed.empty()) text = "removed " + counted(change.removed);
  if (!change.added.empty()) text += (text.empty() ? "added " : ", added ") + counted(change.added);
  if (text.empty()) return "in another order";
  return is_empty ? text + ", now empty" : text;
}

// Whether one of these entries stands for something that none of the others does.
bool exceeds(const ConfigKey& key, const Texts& entries, const Texts& others) {
  return std::ranges::any_of(entries, [&](const std::string& entry) {
    return std::ranges::none_of(others, [&](const std::string& other) {
      return entry == other || (key.covers && key.covers(other, entry));
    });
  });
}

bool allows_more(const ConfigKey& key, const Config& before, const Config& after) {
  switch (key.allows_more) {
    case AllowsMore::kNever:
      return false;
    case AllowsMore::kChanged:
      return true;
    case AllowsMore::kOn:
      return key.write(after) == "true";
    case AllowsMore::kOff:
      return key.write(after) == "false";
    case AllowsMore::kAdded:
      return exceeds(key, key.list(after), key.list(before));
    case AllowsMore::kAddedOrEmptied:
      return key.list(after).empty() ||
             (!key.list(before).empty() && exceeds(key, key.list(after), key.list(before)));
    case AllowsMore::kRemoved:
      return exceeds(key, key.list(before), key.list(after));
    case AllowsMore::kAddedOrRemoved:
      return exceeds(key, key.list(after), key.list(before)) ||
             exceeds(key, key.list(before), key.list(after));
  }
  return true;
}

}  // namespace

std::vector<ConfigChange> config_changes(const Config& before, const Config& after) {
  std::vector<ConfigChange> changes;
  for (const ConfigKey& key : config_keys()) {
    const std::string old_value = key.write(before);
    const std::string new_value = key.write(after);
    if (old_value == new_value) continue;
    ListChange list;
    if (key.list) list = compare(key.list(before), key.list(after));
    const bool more = allows_more(key, before, after);
    const std::string what = key.list ? describe_list(list, key.list(after).empty())
                                      : "was " + shown(old_value) + ", now " + shown(new_value);
    changes.push_back({key.full_name() + (more ? " may allow more: " : ": ") + what, more});
  }
  return changes;
}

}  // namespace http01
