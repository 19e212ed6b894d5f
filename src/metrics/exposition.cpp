#include "metrics/exposition.h"

#include <array>
#include <charconv>
#include <cmath>

#include "base/enum.h"

namespace http01 {
namespace {

// All integers up to 10^16 are written out, and no digit is one that binary fractions made up.
constexpr int kDigits = 16;

constexpr base::EnumWords<FamilyType> kFamilyTypes{{{
    {FamilyType::kCounter, "counter"},
    {FamilyType::kGauge, "gauge"},
    {FamilyType::kHistogram, "histogram"},
}}};

std::string number(double value) {
  if (std::isnan(value)) return "Nan";
  if (std::isinf(value)) return value < 0 ? "-Inf" : "+Inf";
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value,
                                 std::chars_format::general, kDigits);
  return {text.data(), end.ptr};
}

void append_label(std::string& text, std::string_view name, std::string_view value) {
  text += text.back() == '{' ? "" : ",";
  text.append(name).append("=\"");
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') text += '\\';
    text += c;
  }
  text += '"';
}

// `bound` is that of a bucket, "" for none.
void append_line(std::string& text, const Family& family, const Sample& sample,
                 std::string_view suffix, const std::string& bound, const std::string& value) {
  text.append(family.name).append(suffix);
  if (!sample.labels.empty() || !bound.empty()) {
    text += '{';
    for (const auto& [name, label] : sample.labels) append_label(text, name, label);
    if (!bound.empty()) append_label(text, "le", bound);
    text += '}';
  }
  text.append(" ").append(value).append("\n");
}

void append_sample(std::string& text, const Family& family, const Sample& sample) {
  if (family.type != FamilyType::kHistogram) {
    append_line(text, family, sample, {}, {}, number(sample.value));
    return;
  }
  append_line(text, family, sample, "_count", {}, std::to_string(sample.count));
  append_line(text, family, sample, "_sum", {}, number(sample.value));
  for (const Bucket& bucket : sample.buckets) {
    append_line(text, family, sample, "_bucket", number(bucket.upper_bound),
                std::to_string(bucket.cumulative_count));
  }
  append_line(text, family, sample, "_bucket", "+Inf", std::to_string(sample.count));
}

}  // namespace

std::string exposition(const std::vector<Family>& families) {
  std::string text;
  for (const Family& family : families) {
    text.append("# HELP ").append(family.name).append(" ").append(family.help).append("\n");
    text.append("# TYPE ")
        .append(family.name)
        .append(" ")
        .append(kFamilyTypes[family.type].word)
        .append("\n");
    for (const Sample& sample : family.samples) append_sample(text, family, sample);
  }
  return text;
}

}  // namespace http01
