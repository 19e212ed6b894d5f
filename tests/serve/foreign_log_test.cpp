#include "serve/foreign_log.h"

#include <boost/test/unit_test.hpp>

namespace http01 {

using namespace std::chrono_literals;
using transport::Foreign;

BOOST_AUTO_TEST_SUITE(foreign_log)

BOOST_AUTO_TEST_CASE(a_minute_has_one_line_of_a_kind_and_the_next_line_counts_the_others) {
  ForeignLog log;
  const base::TimePoint start{};
  const std::string http(to_string(Foreign::kHttp));
  BOOST_TEST(log.line(Foreign::kHttp, start).value_or("") == http);
  BOOST_TEST(!log.line(Foreign::kHttp, start + 1s));
  BOOST_TEST(!log.line(Foreign::kHttp, start + 59s));
  BOOST_TEST(log.line(Foreign::kTls, start + 59s).value_or("") == to_string(Foreign::kTls));
  BOOST_TEST(log.line(Foreign::kHttp, start + 60s).value_or("") ==
             http + "; 2 more since the last such line");
  BOOST_TEST(!log.line(Foreign::kHttp, start + 61s));
  BOOST_TEST(log.line(Foreign::kHttp, start + 200s).value_or("") ==
             http + "; 1 more since the last such line");
  BOOST_TEST(log.line(Foreign::kHttp, start + 300s).value_or("") == http);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
