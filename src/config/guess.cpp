#include "config/guess.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>

#include "base/ascii.h"
#include "config/keys.h"
#include "config/values.h"

namespace http01 {
namespace {

// How many letters must be put in, left out, changed or swapped to make one word of the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last;
  std::vector<std::size_t> last(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::vector<std::size_t> row(b.size() + 1, i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = a[i - 1] == b[j - 1];
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    before_last = std::exchange(last, std::move(row));
  }
  return last.back();
}

// The candidate that a person may have meant, who may not have known that case matters, if one
// is near enough.
std::optional<std::string> nearest(std::string_view written,
                                   const std::vector<std::string>& candidates) {
  constexpr std::size_t kMaxWord = 64;  // no key is half as long
  if (written.size() > kMaxWord) return std::nullopt;
  const std::string word = base::lowered(written);
  std::optional<std::string> best;
  std::size_t best_distance = kMaxWord;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance >= best_distance || 2 * distance > std::max(word.size(), candidate.size()))
      continue;
    best = candidate;
    best_distance = distance;
  }
  return best;
}

std::string did_you_mean(const std::string& what) {
  return "; did you mean " + in_quotes(what) + "?";
}

}  // namespace

std::vector<std::string> config_tables() {
  std::vector<std::string> names;
  for (const ConfigKey& key : config_keys()) {
    if (names.empty() || names.back() != key.table) names.emplace_back(key.table);
  }
  return names;
}

std::string unknown_key(const std::string& table, const std::string& name) {
  std::vector<std::string> here;
  for (const ConfigKey& key : config_keys()) {
    // The right name in the wrong table is a better guess than a like name in this one.
    if (key.name == name) return "unknown key" + did_you_mean(key.full_name());
    if (key.table == table) here.emplace_back(key.name);
  }
  if (const auto guess = nearest(name, here)) return "unknown key" + did_you_mean(*guess);
  if (here.empty()) return "unknown key, allowed are the tables " + base::joined(config_tables());
  return "unknown key, allowed are " + base::joined(here);
}

std::string unknown_table(const std::string& name) {
  if (const auto guess = nearest(name, config_tables())) {
    return "unknown table" + did_you_mean(*guess);
  }
  return "unknown table, allowed are " + base::joined(config_tables());
}

}  // namespace http01
