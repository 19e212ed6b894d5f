#include "transport/params_stream.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "transport/pairs.h"

namespace http01::transport {
namespace {

constexpr std::size_t kCount = CgiVariables::kNames.size() + PathVariables::kNames.size();

constexpr auto kNames = [] {
  std::array<std::string_view, kCount> names;
  auto* const end = std::ranges::copy(CgiVariables::kNames, names.begin()).out;
  std::ranges::copy(PathVariables::kNames, end);
  return names;
}();

constexpr std::size_t kLongestName =
    std::ranges::max(kNames, {}, [](std::string_view name) { return name.size(); }).size();

std::size_t index_of(std::string_view name) {
  return static_cast<std::size_t>(std::ranges::find(kNames, name) - kNames.begin());
}

void append_length(std::string& out, std::size_t length) {
  if (length >= 0x80) {
    for (const int shift : {24, 16, 8}) out += static_cast<char>((length >> shift) & 0xff);
    out[out.size() - 3] = static_cast<char>(out[out.size() - 3] | '\x80');
  }
  out += static_cast<char>(length & 0xff);
}

template <class Variables>
bool take_params(std::string_view params, Variables& variables) {
  return take_pairs(params, [&variables](std::string_view name, std::string_view value) {
    variables.set(name, value);
  });
}

}  // namespace

void ParamsStream::skip(std::string_view& octets) {
  const std::size_t skipped = std::min(skip_, octets.size());
  skip_ -= skipped;
  octets.remove_prefix(skipped);
}

// Each pair that has come and counts, the last one of a name, and behind them what has come of the
// next pair. Of a value that is too long for any request enough stays to show it.
void ParamsStream::drop_others() {
  std::array<std::optional<std::string_view>, kCount> values;
  std::string_view tail = content_;
  while (skip_ == 0) {
    std::string_view rest = tail;
    std::size_t name = 0;
    std::size_t value = 0;
    if (!take_length(rest, name) || !take_length(rest, value)) break;
    if (name > rest.size() && name <= kLongestName) break;
    const std::size_t index = name <= rest.size() ? index_of(rest.substr(0, name)) : kCount;
    if (index < kCount) {
      const std::size_t wanted = std::min(value, max_value(kNames[index]) + 1);
      if (rest.size() - name < wanted) break;
      values[index] = rest.substr(name, wanted);
    }
    const std::size_t there = std::min(name + value, rest.size());
    skip_ = name + value - there;
    tail = rest.substr(there);
  }
  std::string kept;
  for (std::size_t i = 0; i < kCount; ++i) {
    if (!values[i]) continue;
    append_length(kept, kNames[i].size());
    append_length(kept, values[i]->size());
    kept.append(kNames[i]).append(*values[i]);
  }
  kept.append(tail);
  compact_at_ = kept.size() + kSlack;
  content_ = std::move(kept);
}

bool ParamsStream::finish(CgiVariables& variables) {
  std::string content;
  content.swap(content_);
  size_ = 0;
  compact_at_ = kSlack;
  const bool whole = std::exchange(skip_, 0) == 0;
  if (!take_params(content, variables)) return false;
  if (variables.request.uri.empty()) {
    PathVariables path;
    take_params(content, path);
    variables.request.uri = path.uri();
  }
  return whole;
}

}  // namespace http01::transport
