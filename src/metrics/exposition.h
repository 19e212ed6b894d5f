// Families of samples as the text that Prometheus reads (text format 0.0.4). Numbers, escapes and
// the order of lines are those of prometheus-cpp (a test holds its output). Plain values; throws
// std::bad_alloc only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace http01 {

enum class FamilyType : std::uint8_t { kCounter, kGauge, kHistogram };

struct Bucket {
  double upper_bound = 0;
  std::uint64_t cumulative_count = 0;
};

struct Sample {
  std::vector<std::pair<std::string_view, std::string>> labels;
  double value = 0;             // of a counter or gauge; the sum of a histogram's observations
  std::uint64_t count = 0;      // of a histogram
  std::vector<Bucket> buckets;  // likewise, ascending, without +Inf
};

struct Family {
  std::string_view name;
  FamilyType type = FamilyType::kCounter;
  std::string_view help;  // one line without backslashes
  std::vector<Sample> samples;
};

std::string exposition(const std::vector<Family>& families);

}  // namespace http01
