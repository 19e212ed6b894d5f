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

// "a b- c:" is A, then B without EDNS, then C over TCP; with a glance "b-?".
std::string order(Servers& servers, std::chrono::milliseconds time) {
  std::string text;
  for (const Servers::Choice& choice : servers.choose(at(time))) {
    if (!text.empty()) text += ' ';
    text += choice.endpoint == kA ? 'a' : choice.endpoint == kB ? 'b' : 'c';
    if (choice.how.form == Form::kPlain) text += '-';
    if (choice.how.form == Form::kTcp) text += ':';
    if (choice.how.glance) text += '?';
  }
  return text;
}

Send sent(Form form, Send::Why why = Send::Why::kTurn) {
  Send send;
  send.tcp = form == Form::kTcp;
  send.edns = form == Form::kEdns;
  send.why = why;
  return send;
}
constexpr auto kAfterSilence = Send::Why::kSilence;
const Send kUsual = sent(Form::kEdns);

Servers three() {
  Servers servers;
  servers.set({kA, kB, kC});
  // Long ago.
  for (const Endpoint& server : {kA, kB, kC}) {
    servers.answered(server, kUsual, true, TimePoint(), TimePoint());
  }
  return servers;
}

BOOST_AUTO_TEST_CASE(the_order_is_the_one_given) {
  Servers servers = three();
  BOOST_TEST(order(servers, 0s) == "a b c");
}

BOOST_AUTO_TEST_CASE(a_silent_server_is_asked_last_until_one_look_up_has_heard_of_it) {
  Servers servers = three();
  servers.timed_out(kA, kUsual, at(0s), at(1s));
  BOOST_TEST(order(servers, 1s) == "b c a");
  BOOST_TEST(order(servers, 10999ms) == "b c a");
  BOOST_TEST(order(servers, 11s) == "a b c");  // the one that looks
  BOOST_TEST(order(servers, 11s) == "b c a");
  servers.answered(kA, kUsual, true, at(11100ms), at(11100ms));
  BOOST_TEST(order(servers, 11200ms) == "a b c");
  BOOST_TEST(order(servers, 11200ms) == "a b c");
}

BOOST_AUTO_TEST_CASE(a_server_that_is_still_silent_is_left_alone_again) {
  Servers servers = three();
  servers.errored(kA, at(0s));
  BOOST_TEST(order(servers, 10s) == "a b c");
  servers.timed_out(kA, kUsual, at(10s), at(11s));
  BOOST_TEST(order(servers, 20s) == "b c a");
  BOOST_TEST(order(servers, 21s) == "a b c");
}

BOOST_AUTO_TEST_CASE(a_name_that_takes_too_long_is_not_held_against_a_server_that_answers_others) {
  Servers servers = three();
  servers.answered(kA, kUsual, true, at(500ms), at(500ms));
  servers.timed_out(kA, kUsual, at(0s), at(1s));
  BOOST_TEST(order(servers, 1s) == "a b c");
  servers.timed_out(kA, kUsual, at(500ms), at(1500ms));
  BOOST_TEST(order(servers, 1500ms) == "b c a");
}

BOOST_AUTO_TEST_CASE(if_none_answers_the_last_heard_of_is_asked_first) {
  Servers servers = three();
  servers.answered(kB, kUsual, true, at(0s), at(0s));
  for (const Endpoint& server : {kA, kB, kC}) servers.timed_out(server, kUsual, at(1s), at(2s));
  BOOST_TEST(order(servers, 2s) == "b a c");
}

BOOST_AUTO_TEST_CASE(a_server_that_refused_edns_is_spared_it_for_a_quarter_of_an_hour) {
  Servers servers = three();
  servers.refused_edns(kB, at(0s));
  BOOST_TEST(order(servers, 0s) == "a b- c");
  BOOST_TEST(order(servers, 899s) == "a b- c");
  BOOST_TEST(order(servers, 900s) == "a b-? c");  // the one that looks
  BOOST_TEST(order(servers, 900s) == "a b- c");
  servers.answered(kB, sent(Form::kEdns, Send::Why::kGlance), true, at(900s), at(901s));
  BOOST_TEST(order(servers, 901s) == "a b c");
}

BOOST_AUTO_TEST_CASE(a_server_that_drops_edns_is_asked_without_and_glanced_at_ever_more_rarely) {
  Servers servers;
  servers.set({kA});
  servers.answered(kA, sent(Form::kPlain, kAfterSilence), true, at(0s), at(1s));
  BOOST_TEST(order(servers, 1s) == "a-?");
  BOOST_TEST(order(servers, 1900ms) == "a-");
  BOOST_TEST(order(servers, 2s) == "a-?");
  BOOST_TEST(order(servers, 3900ms) == "a-");
  BOOST_TEST(order(servers, 4s) == "a-?");
  for (int i = 0; i < 10; ++i) order(servers, 1h + i * 1h);
  BOOST_TEST(order(servers, 11h) == "a-?");
  BOOST_TEST(order(servers, 11h + 899s) == "a-");
  BOOST_TEST(order(servers, 11h + 900s) == "a-?");
  servers.answered(kA, sent(Form::kEdns, Send::Why::kGlance), true, at(12h), at(12h));
  BOOST_TEST(order(servers, 12h) == "a");
}

BOOST_AUTO_TEST_CASE(a_server_that_answers_over_tcp_only_is_asked_so_until_it_is_heard_over_udp) {
  Servers servers;
  servers.set({kA});
  servers.answered(kA, sent(Form::kTcp, kAfterSilence), true, at(0s), at(2s));
  BOOST_TEST(!servers.answers_over_udp(kA, at(2s)));
  BOOST_TEST(order(servers, 2s) == "a:?");
  BOOST_TEST(order(servers, 2s) == "a:");
  servers.answered(kA, sent(Form::kPlain, kAfterSilence), true, at(3s), at(4s));
  BOOST_TEST(servers.answers_over_udp(kA, at(13s)));
  BOOST_TEST(!servers.answers_over_udp(kA, at(14s)));
  BOOST_TEST(order(servers, 4s) == "a-?");
}

BOOST_AUTO_TEST_CASE(a_slow_name_teaches_nothing_where_others_were_answered) {
  Servers servers;
  servers.set({kA});
  servers.answered(kA, kUsual, true, at(500ms), at(600ms));
  servers.answered(kA, sent(Form::kPlain, kAfterSilence), true, at(0s), at(1500ms));
  servers.answered(kA, sent(Form::kTcp, kAfterSilence), true, at(0s), at(2500ms));
  BOOST_TEST(order(servers, 3s) == "a");
}

BOOST_AUTO_TEST_CASE(tcp_for_a_large_answer_or_forgeries_teaches_nothing) {
  Servers servers;
  servers.set({kA});
  for (const auto why : {Send::Why::kTruncated, Send::Why::kForgeries}) {
    servers.answered(kA, sent(Form::kTcp, why), true, at(0s), at(1s));
    servers.timed_out(kA, sent(Form::kTcp, why), at(2s), at(3s));
  }
  BOOST_TEST(order(servers, 3s) == "a");
}

BOOST_AUTO_TEST_CASE(a_server_that_has_never_answered_is_asked_in_another_form_the_next_time) {
  Servers servers;
  servers.set({kA});
  servers.timed_out(kA, kUsual, at(0s), at(1s));
  servers.timed_out(kA, kUsual, at(0s), at(1s));
  BOOST_TEST(order(servers, 1s) == "a-");
  servers.answered(kA, sent(Form::kPlain), true, at(2s), at(3s));
  servers.timed_out(kA, sent(Form::kPlain), at(4s), at(5s));
  BOOST_TEST(order(servers, 5s) == "a-?");
  BOOST_TEST(order(servers, 5s) == "a-");
}

BOOST_AUTO_TEST_CASE(a_failure_is_no_proof_of_a_form) {
  Servers servers;
  servers.set({kA});
  servers.answered(kA, kUsual, false, at(0s), at(1s));
  servers.answered(kA, sent(Form::kPlain), false, at(0s), at(1s));
  BOOST_TEST(order(servers, 1s) == "a");
  BOOST_TEST(servers.answers_over_udp(kA, at(1s)));
}

BOOST_AUTO_TEST_CASE(servers_of_use_vc_are_asked_over_tcp_alone) {
  Servers servers;
  servers.set({kA}, true);
  BOOST_TEST(servers.choose(at(0s)).at(0).how.tcp_alone);
  servers.answered(kA, sent(Form::kTcp), true, at(0s), at(1s));
  BOOST_TEST(order(servers, 1s) == "a");
  servers.set({kA});
  BOOST_TEST(!servers.choose(at(1s)).at(0).how.tcp_alone);
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
