#include "metrics/exposition.h"

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>

namespace http01 {

namespace {

// Every kind of family, and the numbers and labels at which two writers differ most easily.
std::vector<Family> odd_families() {
  Family counter{"a_total", FamilyType::kCounter, "Things that \"happened\".", {}};
  for (const double value :
       {0.0, 1.0, 123456789.0, 9007199254740993.0, 1e15, 1e16, 1e17, 1e300, 0.1, 0.0005, 2.5e-7,
        1.0 / 3, 1700000000.123, -1.0, std::numeric_limits<double>::infinity(),
        -std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    counter.samples.push_back({{}, value, 0, {}});
    counter.samples.push_back(
        {{{"x", "quote \" backslash \\ line\nend"}, {"y", ""}}, value, 0, {}});
  }
  const std::vector<Bucket> buckets{{0.0005, 1}, {0.1, 3}, {1, 3}, {2.5, 5}};
  return {counter,
          {"b_seconds",
           FamilyType::kHistogram,
           "Times.",
           {{{}, 1.25, 7, buckets}, {{{"p", "/a/*"}, {"q", "GET"}}, 0, 0, {}}}},
          {"c", FamilyType::kGauge, "Now.", {{{}, 3, 0, {}}}},
          {"d_total", FamilyType::kCounter, "Nothing yet.", {}}};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(exposition_text)

// The file is what prometheus-cpp 1.0.1 wrote for these families when this page was still its.
BOOST_AUTO_TEST_CASE(the_page_has_the_bytes_that_prometheus_cpp_writes) {
  std::ifstream file(TESTS_DIR "/data/prometheus/families.txt");
  const std::string expected{std::istreambuf_iterator<char>(file), {}};
  BOOST_TEST(exposition(odd_families()) == expected);
}

BOOST_AUTO_TEST_CASE(a_family_is_its_help_its_type_and_its_samples) {
  const std::vector<Family> families{
      {"a_total", FamilyType::kCounter, "Things.", {{{{"x", "a\"b"}}, 12345678901.0, 0, {}}}},
      {"b_seconds", FamilyType::kHistogram, "Times.", {{{{"x", "y"}}, 0.75, 3, {{0.5, 2}}}}},
      {"c", FamilyType::kGauge, "Now.", {{{}, 0.25, 0, {}}}}};
  BOOST_TEST(exposition(families) ==
             "# HELP a_total Things.\n"
             "# TYPE a_total counter\n"
             "a_total{x=\"a\\\"b\"} 12345678901\n"
             "# HELP b_seconds Times.\n"
             "# TYPE b_seconds histogram\n"
             "b_seconds_count{x=\"y\"} 3\n"
             "b_seconds_sum{x=\"y\"} 0.75\n"
             "b_seconds_bucket{x=\"y\",le=\"0.5\"} 2\n"
             "b_seconds_bucket{x=\"y\",le=\"+Inf\"} 3\n"
             "# HELP c Now.\n"
             "# TYPE c gauge\n"
             "c 0.25\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
