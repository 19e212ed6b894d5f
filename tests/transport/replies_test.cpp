#include "transport/replies.h"

#include <boost/test/unit_test.hpp>

#include "tests/transport/records.h"

namespace http01::transport {

using namespace fastcgi_records;
using namespace std::string_view_literals;

BOOST_AUTO_TEST_SUITE(replies)

BOOST_AUTO_TEST_CASE(an_answer_is_stdout_its_end_and_the_end_of_the_request) {
  BOOST_TEST(frame_answer(0x0102, "hi") ==
             "\1\6\1\2\0\2\0\0hi"
             "\1\6\1\2\0\0\0\0"
             "\1\3\1\2\0\10\0\0\0\0\0\0\0\0\0\0"sv);
  BOOST_TEST(frame_answer(1, "").size() == 24u);
}

BOOST_AUTO_TEST_CASE(a_long_answer_is_split_into_records) {
  for (const std::size_t size : {65'534u, 65'535u, 65'536u, 131'070u, 131'071u, 1'000'000u}) {
    std::string text(size, 'a');
    text.back() = 'z';
    const std::string octets = frame_answer(7, text);
    const auto answer = read_answer(octets);
    BOOST_REQUIRE(bool(answer));
    BOOST_TEST((answer->text == text), size);
    BOOST_TEST(answer->id == 7);
    BOOST_TEST(answer->octets == octets.size());
  }
}

BOOST_AUTO_TEST_CASE(the_end_of_a_request_says_why) {
  BOOST_TEST(frame_end(0x0102, EndStatus::kComplete) == record(3, 0x0102, "\0\0\0\0\0\0\0\0"sv));
  BOOST_TEST(frame_end(1, EndStatus::kCannotMultiplex) == record(3, 1, "\0\0\0\0\1\0\0\0"sv));
  BOOST_TEST(frame_end(1, EndStatus::kUnknownRole) == record(3, 1, "\0\0\0\0\3\0\0\0"sv));
}

BOOST_AUTO_TEST_CASE(an_unknown_type_comes_back) {
  BOOST_TEST(frame_unknown_type(77) == record(11, 0, "M\0\0\0\0\0\0\0"sv));
}

BOOST_AUTO_TEST_CASE(the_values_that_are_asked_for_and_known_are_told_once) {
  const std::string all = pair("FCGI_MAX_CONNS", "10000") + pair("FCGI_MAX_REQS", "10000") +
                          pair("FCGI_MPXS_CONNS", "0");
  const std::string question =
      pair("FCGI_MPXS_CONNS", "") + pair("FCGI_MAX_REQS", "x") + pair("FCGI_MAX_CONNS", "");
  std::string often;
  for (int i = 0; i < 20; ++i) often += question;
  BOOST_TEST(frame_values(question) == record(10, 0, all));
  BOOST_TEST(frame_values(often) == record(10, 0, all));
  BOOST_TEST(frame_values(pair("FCGI_MPXS_CONNS", "")) ==
             record(10, 0, pair("FCGI_MPXS_CONNS", "0")));
  for (const std::string& other : {std::string(), pair("FCGI_OTHER", ""), pair("fcgi_max_reqs", ""),
                                   std::string("\xff\xff"), std::string("\1")}) {
    BOOST_TEST(frame_values(other) == record(10, 0, ""));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::transport
