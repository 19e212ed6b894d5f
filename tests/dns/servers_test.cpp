#include "dns/servers.h"

#include <boost/test/unit_test.hpp>
#include <string>

namespace http01::dns {

using namespace std::chrono_literals;
using base::Endpoint;
using base::TimePoint;

BOOST_AUTO_TEST_SUITE(servers)

const Endpoint kA = *Endpoint::parse("192.0.2.1", 53);
const Endpoint kB = *Endpoint::parse("192.0.2.2", 53);
const Endpoint kC = *Endpoint::parse("192.0.2.3", 53);

TimePoint at(std::chrono::milliseconds time) { return TimePoint(1h + time); }

// "a b-" is A, then B without EDNS.
std::string order(Servers& servers, std::chrono::milliseconds time) {
  std::string text;
  for (const Servers::Choice& choice : servers.choose(at(time))) {
    if (!text.empty()) text += ' ';
    text += choice.endpoint == kA ? 'a' : choice.endpoint == kB ? 'b' : 'c';
    if (!choice.edns) text += '-';
  }
  return text;
}

Servers three() {
  Servers servers;
  servers.set({kA, kB, kC});
  return servers;
}

BOOST_AUTO_TEST_CASE(the_order_is_the_one_given) {
  Servers servers = three();
  BOOST_TEST(order(servers, 0s) == "a b c");
}

BOOST_AUTO_TEST_CASE(a_silent_server_is_asked_last_until_one_look_up_has_heard_of_it) {
  Servers servers = three();
  servers.timed_out(kA, at(0s), at(1s));
  BOOST_TEST(order(servers, 1s) == "b c a");
  BOOST_TEST(order(servers, 10999ms) == "b c a");
  BOOST_TEST(order(servers, 11s) == "a b c");  // the one that looks
  BOOST_TEST(order(servers, 11s) == "b c a");
  servers.answered(kA, at(11100ms));
  BOOST_TEST(order(servers, 11200ms) == "a b c");
  BOOST_TEST(order(servers, 11200ms) == "a b c");
}

BOOST_AUTO_TEST_CASE(a_server_that_is_still_silent_is_left_alone_again) {
  Servers servers = three();
  servers.errored(kA, at(0s));
  BOOST_TEST(order(servers, 10s) == "a b c");
  servers.timed_out(kA, at(10s), at(11s));
  BOOST_TEST(order(servers, 20s) == "b c a");
  BOOST_TEST(order(servers, 21s) == "a b c");
}

BOOST_AUTO_TEST_CASE(a_name_that_takes_too_long_is_not_held_against_a_server_that_answers_others) {
  Servers servers = three();
  servers.answered(kA, at(500ms));
  servers.timed_out(kA, at(0s), at(1s));
  BOOST_TEST(order(servers, 1s) == "a b c");
  servers.timed_out(kA, at(500ms), at(1500ms));
  BOOST_TEST(order(servers, 1500ms) == "b c a");
}

BOOST_AUTO_TEST_CASE(if_none_answers_the_last_heard_of_is_asked_first) {
  Servers servers = three();
  servers.answered(kB, at(0s));
  for (const Endpoint& server : {kA, kB, kC}) servers.timed_out(server, at(1s), at(2s));
  BOOST_TEST(order(servers, 2s) == "b a c");
}

BOOST_AUTO_TEST_CASE(a_server_that_refused_edns_is_spared_it_for_a_quarter_of_an_hour) {
  Servers servers = three();
  servers.refused_edns(kB, at(0s));
  BOOST_TEST(order(servers, 0s) == "a b- c");
  BOOST_TEST(order(servers, 899s) == "a b- c");
  BOOST_TEST(order(servers, 900s) == "a b c");
}

BOOST_AUTO_TEST_CASE(what_is_known_of_a_server_outlives_a_new_list) {
  Servers servers = three();
  servers.errored(kA, at(0s));
  servers.refused_edns(kB, at(0s));
  servers.set({kA, kB});
  BOOST_TEST(order(servers, 1s) == "b- a");
  servers.errored(kC, at(1s));
  BOOST_TEST(order(servers, 1s) == "b- a");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::dns
