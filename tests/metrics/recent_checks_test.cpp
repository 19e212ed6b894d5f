// How many domains /check examines in a minute, told with literal times.
#include "metrics/recent_checks.h"

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "metrics/metrics.h"

namespace http01 {

using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(recent_checks)

// The machine has been running for so long.
base::TimePoint at(base::Duration time) { return base::TimePoint(time); }

struct List {
  bool admit(const std::string& client, base::Duration time, CheckLimits limits = {6, 60}) {
    return !checks->refusal(limits, client, at(time));
  }
  std::unique_ptr<RecentChecks> checks = std::make_unique<RecentChecks>();
};

BOOST_AUTO_TEST_CASE(one_network_has_six_in_any_minute) {
  for (const auto start : {1s, 3600s, 100'000'000s}) {
    List list;
    for (int second = 0; second < 6; ++second) {
      BOOST_TEST(list.admit("192.0.2.1", start + second * 1s));
    }
    BOOST_TEST(!list.admit("192.0.2.1", start + 6s));
    BOOST_TEST(!list.admit("192.0.2.1", start + 59s));
    // Each is over after a minute of its own.
    BOOST_TEST(list.admit("192.0.2.1", start + 60s));
    BOOST_TEST(!list.admit("192.0.2.1", start + 60s));
    BOOST_TEST(list.admit("192.0.2.1", start + 61s));
    BOOST_TEST(!list.admit("192.0.2.1", start + 61s));
  }
}

BOOST_AUTO_TEST_CASE(a_network_is_a_24_or_a_48) {
  struct Case {
    const char* one;
    const char* other;
    bool same;
  };
  for (const Case& c : {Case{"192.0.2.1", "192.0.2.255", true},
                        {"192.0.2.1", "192.0.3.1", false},
                        {"192.0.2.1", "::ffff:192.0.2.7", true},
                        {"2001:db8:1::1", "2001:db8:1:ffff::2", true},
                        {"2001:db8:1::1", "2001:db8:2::1", false},
                        {"::", "0.0.0.0", false}}) {
    List list;
    BOOST_TEST(list.admit(c.one, 5s, {1, 60}));
    BOOST_TEST(list.admit(c.other, 5s, {1, 60}) != c.same, c.one << " and " << c.other);
  }
}

BOOST_AUTO_TEST_CASE(all_together_have_sixty_whoever_they_are) {
  List list;
  for (int i = 0; i < 60; ++i) BOOST_TEST(list.admit("192.0." + std::to_string(i) + ".1", 5s));
  BOOST_TEST(!list.admit("198.51.100.1", 64s));
  BOOST_TEST(!list.admit("unix:", 64s));
  BOOST_TEST(list.admit("198.51.100.1", 65s));
}

BOOST_AUTO_TEST_CASE(a_client_without_an_address_counts_in_all_only) {
  List list;
  for (int i = 0; i < 60; ++i) BOOST_TEST(list.admit(i % 2 == 0 ? "" : "unix:", 5s));
  BOOST_TEST(!list.admit("", 6s));
}

BOOST_AUTO_TEST_CASE(what_is_refused_does_not_count) {
  List list;
  for (int i = 0; i < 1000; ++i) list.admit("192.0.2.1", 5s);
  BOOST_TEST(list.admit("198.51.100.1", 5s));
  BOOST_TEST(list.admit("192.0.2.1", 65s));
}

BOOST_AUTO_TEST_CASE(a_list_of_before_the_machine_started_again_refuses_nobody) {
  List list;
  for (int i = 0; i < 6; ++i) BOOST_TEST(list.admit("192.0.2.1", 900'000s));
  // The clock of another process may be a little behind.
  BOOST_TEST(!list.admit("192.0.2.1", 899'999s));
  BOOST_TEST(list.admit("192.0.2.1", 20s));
}

BOOST_AUTO_TEST_CASE(limits_hold_at_their_least_and_their_most) {
  List list;
  BOOST_TEST(list.admit("192.0.2.1", 5s, {1, 1}));
  BOOST_TEST(!list.admit("198.51.100.1", 5s, {1, 1}));
  List large;
  constexpr std::size_t kMost = RecentChecks::kMost;
  for (std::size_t i = 0; i < kMost; ++i) large.admit("192.0.2.1", 5s, {kMost, kMost});
  BOOST_TEST(!large.admit("198.51.100.1", 5s, {kMost, kMost}));
}

BOOST_AUTO_TEST_CASE(a_refusal_names_the_limit_that_is_reached) {
  using protocol::Limit;
  const auto checks = std::make_unique<RecentChecks>();
  BOOST_TEST(!checks->refusal({1, 2}, "192.0.2.1", at(5s)).has_value());
  BOOST_TEST((checks->refusal({1, 2}, "192.0.2.1", at(5s)) == Limit::kChecksPerClient));
  BOOST_TEST(!checks->refusal({1, 2}, "198.51.100.1", at(5s)).has_value());
  BOOST_TEST((checks->refusal({1, 2}, "203.0.113.1", at(5s)) == Limit::kChecks));
}

// Two processes behind one socket gave each client twice as many.
BOOST_AUTO_TEST_CASE(processes_that_share_a_state_file_share_the_limit) {
  std::string directory =
      (std::filesystem::temp_directory_path() / "http01-checks-XXXXXX").string();
  BOOST_TEST_REQUIRE(::mkdtemp(directory.data()) != nullptr);
  const std::string path = directory + "/state";
  Metrics one("1");
  Metrics other("1");
  const CheckLimits limits{6, 60};
  for (Metrics* metrics : {&one, &other}) {
    BOOST_TEST_REQUIRE(bool(metrics->use_state_file(path)));
  }
  for (int i = 0; i < 3; ++i) {
    BOOST_TEST(!one.refusal_of_check(limits, "192.0.2.1", at(5s)).has_value());
    BOOST_TEST(!other.refusal_of_check(limits, "192.0.2.2", at(5s)).has_value());
  }
  BOOST_TEST(one.refusal_of_check(limits, "192.0.2.1", at(5s)).has_value());
  BOOST_TEST(other.refusal_of_check(limits, "192.0.2.1", at(5s)).has_value());
  // Nor does one that starts later begin again.
  Metrics later("1");
  BOOST_TEST_REQUIRE(bool(later.use_state_file(path)));
  BOOST_TEST(later.refusal_of_check(limits, "192.0.2.1", at(5s)).has_value());
  Metrics alone("1");
  BOOST_TEST(!alone.refusal_of_check(limits, "192.0.2.1", at(5s)).has_value());
  std::filesystem::remove_all(directory);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
