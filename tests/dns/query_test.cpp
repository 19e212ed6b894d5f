#include "dns/query.h"

#include <boost/test/unit_test.hpp>

#include "tests/dns/packets.h"

namespace http01::dns {

using namespace testing;
using namespace std::chrono_literals;
using base::Duration;
using base::TimePoint;
using protocol::Answer;
using protocol::Cause;
using protocol::Outcome;

BOOST_AUTO_TEST_SUITE(query)

const Question kText = question("www.example.com");

class CountingIds final : public Ids {
 public:
  std::uint16_t next() override { return ++last_; }

 private:
  std::uint16_t last_ = 100;
};

// Tells what a query says in words: "udp 0 id 101 until 1000", without EDNS "plain udp ...".
class Story {
 public:
  explicit Story(const std::vector<bool>& edns = std::vector{true}, std::size_t attempts = 3)
      : Story(servers_of(edns), attempts) {}
  explicit Story(Query::Server server, std::size_t attempts = 3)
      : Story(std::vector{server}, attempts) {}
  Story(std::vector<Query::Server> servers, std::size_t attempts)
      : query_(kText, {std::move(servers), 1000ms, attempts, 4000ms}, ids_) {}
  // All of them have answered others over UDP a moment ago.
  Story& heard_over_udp(std::size_t servers) {
    for (std::size_t i = 0; i < servers; ++i) query_.on_heard_over_udp(i);
    return *this;
  }

  std::string start(Duration at) { return tell(query_.on_start(TimePoint(at))); }
  std::string packet(Duration at, Message message) {
    return tell(query_.on_packet(message.octets(), TimePoint(at)));
  }
  std::string late(const Message& message) { return tell(query_.on_late_packet(message.octets())); }
  std::string error(Duration at, Cause cause = Cause::kConnectionRefused) {
    return tell(query_.on_error(cause, TimePoint(at)));
  }
  std::string connected() {
    const auto until = query_.on_connected();
    return until ? "until " + milliseconds(*until) : "as before";
  }
  std::string timeout(Duration at) { return tell(query_.on_timeout(TimePoint(at))); }
  std::string so_far() { return tell(query_.so_far()); }
  // The id of the packet that is listened for beside the last one; 0 is none.
  int first() const { return first_; }

 private:
  std::string tell(const Next& next) {
    if (const Send* const sent = std::get_if<Send>(&next)) first_ = sent->first.value_or(0);
    if (std::holds_alternative<Wait>(next)) return "wait";
    if (const Answer* answer = std::get_if<Answer>(&next)) {
      const std::string_view cause = protocol::to_string(answer->cause);
      return std::string(protocol::to_string(answer->outcome)) + (cause.empty() ? "" : ": ") +
             std::string(cause);
    }
    const Send& send = std::get<Send>(next);
    return std::string(send.why == Send::Why::kGlance ? "glance " : "") +
           (send.edns ? "" : "plain ") + (send.tcp ? "tcp " : "udp ") +
           std::to_string(send.server) + " id " + std::to_string(send.id) + " until " +
           milliseconds(send.until);
  }
  static std::string milliseconds(TimePoint time) {
    return std::to_string(
        std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count());
  }
  static std::vector<Query::Server> servers_of(const std::vector<bool>& edns) {
    std::vector<Query::Server> servers;
    for (const bool with : edns) servers.push_back({with ? Form::kEdns : Form::kPlain});
    return servers;
  }

  CountingIds ids_;
  int first_ = 0;
  Query query_;
};

Message reply(std::uint16_t id, std::uint16_t flags = 0x8180) {
  return {.question = kText, .id = id, .flags = flags};
}
Message good(std::uint16_t id) {
  return {.question = kText, .id = id, .answer = {txt("www.example.com", "a")}};
}

BOOST_AUTO_TEST_CASE(an_answer_ends_it) {
  Story story;
  BOOST_TEST(story.start(0ms) == "udp 0 id 101 until 1000");
  BOOST_TEST(story.packet(20ms, good(101)) == "data");
}

BOOST_AUTO_TEST_CASE(silence_moves_on_to_the_next_server_and_round_again) {
  Story story(std::vector{true, true});
  story.heard_over_udp(2);
  BOOST_TEST(story.start(0ms) == "udp 0 id 101 until 1000");
  BOOST_TEST(story.timeout(1000ms) == "plain udp 1 id 102 until 2000");
  BOOST_TEST(story.timeout(2000ms) == "plain udp 0 id 103 until 4000");
  BOOST_TEST(story.timeout(4000ms) == "timeout");
}

BOOST_AUTO_TEST_CASE(the_last_try_waits_for_the_deadline_of_all) {
  Story story;
  story.heard_over_udp(1);
  BOOST_TEST(story.start(500ms) == "udp 0 id 101 until 1500");
  BOOST_TEST(story.timeout(1500ms) == "plain udp 0 id 102 until 2500");
  BOOST_TEST(story.timeout(2500ms) == "plain udp 0 id 103 until 4500");
  BOOST_TEST(story.packet(4499ms, good(103)) == "data");
  Story alone(std::vector{true}, 1);
  BOOST_TEST(alone.start(0ms) == "udp 0 id 101 until 4000");
  BOOST_TEST(alone.timeout(4000ms) == "timeout");
}

BOOST_AUTO_TEST_CASE(no_try_goes_beyond_the_deadline) {
  Story story(std::vector{true, true}, 9);
  story.start(0ms);
  BOOST_TEST(story.timeout(1500ms) == "plain udp 1 id 102 until 2500");
  BOOST_TEST(story.timeout(3500ms) == "plain tcp 0 id 103 until 4000");
  BOOST_TEST(story.timeout(4000ms) == "timeout");
}

// Found by fuzzing.
BOOST_AUTO_TEST_CASE(at_the_deadline_nothing_is_sent_any_more) {
  for (const std::uint16_t flags : {kFormErr, kTruncated, kServFail}) {
    Story story;
    story.start(0ms);
    BOOST_TEST(story.packet(4000ms, reply(101, flags)) ==
               (flags == kServFail ? "failure" : "timeout"));
  }
}

BOOST_AUTO_TEST_CASE(a_late_answer_to_an_earlier_try_is_foreign) {
  Story story;
  story.start(0ms);
  BOOST_TEST(story.timeout(1000ms) == "plain udp 0 id 102 until 2000");
  BOOST_TEST(story.first() == 101);
  BOOST_TEST(story.packet(1010ms, good(101)) == "wait");
  BOOST_TEST(story.packet(1020ms, good(102)) == "data");
}

BOOST_AUTO_TEST_CASE(the_first_packet_may_be_answered_until_the_end) {
  Story story;
  story.start(0ms);
  BOOST_TEST(story.timeout(1000ms) == "plain udp 0 id 102 until 2000");
  BOOST_TEST(story.first() == 101);
  BOOST_TEST(story.timeout(2000ms) == "plain tcp 0 id 103 until 3000");
  BOOST_TEST(story.first() == 101);
  BOOST_TEST(story.late(good(102)) == "wait");
  BOOST_TEST(story.late(good(101)) == "data");
}

BOOST_AUTO_TEST_CASE(late_nothing_but_an_answer_is_of_use) {
  for (const std::uint16_t flags : {kServFail, kTruncated, kFormErr}) {
    Story story;
    story.start(0ms);
    story.timeout(1000ms);
    BOOST_TEST(story.late(reply(101, flags)) == "wait");
    BOOST_TEST(story.late(good(101)) == "wait");
    BOOST_TEST(story.timeout(2000ms) == "plain udp 0 id 103 until 4000");
    BOOST_TEST(story.so_far() == "timeout");
  }
  Story flooded;
  flooded.start(0ms);
  flooded.timeout(1000ms);
  for (std::uint16_t id = 0; id < 16; ++id) BOOST_TEST(flooded.late(good(id)) == "wait");
  BOOST_TEST(flooded.late(good(101)) == "wait");
}

BOOST_AUTO_TEST_CASE(the_try_of_an_earlier_server_is_forgotten) {
  Story story(std::vector{true, true});
  story.heard_over_udp(2);
  story.start(0ms);
  BOOST_TEST(story.timeout(1000ms) == "plain udp 1 id 102 until 2000");
  BOOST_TEST(story.first() == 0);
  BOOST_TEST(story.late(good(101)) == "wait");
  BOOST_TEST(story.timeout(2000ms) == "plain udp 0 id 103 until 4000");
  BOOST_TEST(story.late(good(101)) == "wait");
  BOOST_TEST(story.late(good(102)) == "wait");
}

BOOST_AUTO_TEST_CASE(no_forgery_is_believed) {
  Story story;
  story.start(0ms);
  Message other = good(101);
  other.question_section = wire("other.example") + u16(16) + u16(1);
  BOOST_TEST(story.packet(2ms, other) == "wait");
  other = good(101);
  other.no_question = true;
  BOOST_TEST(story.packet(2ms, other) == "wait");
  BOOST_TEST(story.packet(2ms, good(102)) == "wait");
  BOOST_TEST(story.packet(3ms, good(101)) == "data");
}

BOOST_AUTO_TEST_CASE(a_failure_asks_the_next_server_at_once) {
  for (const std::uint16_t flags : {kServFail, kRefused}) {
    Story story(std::vector{true, true});
    story.start(0ms);
    BOOST_TEST(story.so_far() == "timeout");
    BOOST_TEST(story.packet(5ms, reply(101, flags)) == "udp 1 id 102 until 1005");
    BOOST_TEST(story.so_far() == "failure");
    BOOST_TEST(story.packet(10ms, good(102)) == "data");
  }
}

BOOST_AUTO_TEST_CASE(tries_are_counted_and_one_failure_makes_it_a_failure) {
  Story story;
  story.start(0ms);
  BOOST_TEST(story.packet(5ms, reply(101, kServFail)) == "udp 0 id 102 until 1005");
  BOOST_TEST(story.timeout(1005ms) == "plain udp 0 id 103 until 4000");
  BOOST_TEST(story.timeout(2005ms) == "failure");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_read_is_a_failure_of_its_server) {
  Story story(std::vector{false, false}, 2);
  story.start(0ms);
  Message garbage = good(101);
  garbage.answer = {"x"};
  BOOST_TEST(story.packet(5ms, garbage) == "plain udp 1 id 102 until 4000");
  garbage.id = 102;
  BOOST_TEST(story.packet(6ms, garbage) == "failure");
}

BOOST_AUTO_TEST_CASE(no_such_name_and_no_such_data_are_answers) {
  Story story;
  story.start(0ms);
  BOOST_TEST(story.packet(5ms, reply(101, kNxDomain)) == "nxdomain");
  Story other;
  other.start(0ms);
  BOOST_TEST(other.packet(5ms, reply(101)) == "nodata");
}

BOOST_AUTO_TEST_CASE(truncation_goes_on_over_tcp_with_the_same_server) {
  Story story(std::vector{true, true}, 1);
  story.start(0ms);
  BOOST_TEST(story.packet(5ms, reply(101, kTruncated)) == "tcp 0 id 102 until 4000");
  BOOST_TEST(story.packet(10ms, good(102)) == "data");
}

BOOST_AUTO_TEST_CASE(tcp_that_fails_is_a_try_that_failed) {
  Story story(std::vector{true, true});
  story.start(0ms);
  story.packet(5ms, reply(101, kTruncated));
  BOOST_TEST(story.error(10ms) == "udp 1 id 103 until 1010");
  BOOST_TEST(story.packet(15ms, reply(103, kTruncated)) == "tcp 1 id 104 until 1015");
  BOOST_TEST(story.timeout(1015ms) == "udp 0 id 105 until 4000");
  BOOST_TEST(story.packet(1020ms, reply(105, kTruncated)) == "tcp 0 id 106 until 4000");
  BOOST_TEST(story.packet(1025ms, reply(106, kTruncated)) == "failure");
}

BOOST_AUTO_TEST_CASE(tcp_that_is_silent_is_a_timeout) {
  Story story(std::vector{true}, 1);
  story.start(0ms);
  story.packet(5ms, reply(101, kTruncated));
  BOOST_TEST(story.timeout(1005ms) == "timeout");
}

BOOST_AUTO_TEST_CASE(refused_edns_is_asked_again_without_and_is_no_new_try) {
  Message bad_version = reply(101);
  bad_version.additional = {opt(0x01000000)};
  for (const Message& refusal : {reply(101, kFormErr), reply(101, kNotImp), bad_version}) {
    Story story(std::vector{true, true}, 1);
    story.start(0ms);
    BOOST_TEST(story.packet(5ms, refusal) == "plain udp 0 id 102 until 4000");
    BOOST_TEST(story.packet(10ms, good(102)) == "data");
  }
}

BOOST_AUTO_TEST_CASE(a_refusal_without_edns_is_a_failure) {
  Story story(std::vector{false, true}, 2);
  BOOST_TEST(story.start(0ms) == "plain udp 0 id 101 until 1000");
  BOOST_TEST(story.packet(5ms, reply(101, kFormErr)) == "udp 1 id 102 until 4000");
  BOOST_TEST(story.packet(10ms, reply(102, kFormErr)) == "plain udp 1 id 103 until 4000");
  BOOST_TEST(story.packet(15ms, reply(103, kFormErr)) == "failure");
}

BOOST_AUTO_TEST_CASE(what_was_learned_of_edns_holds_for_the_later_tries) {
  Story story;
  story.start(0ms);
  story.packet(5ms, reply(101, kFormErr));
  BOOST_TEST(story.timeout(1005ms) == "plain udp 0 id 103 until 2005");
  BOOST_TEST(story.packet(1010ms, reply(103, kTruncated)) == "plain tcp 0 id 104 until 2010");
}

// ---- forwarders that are sloppy

BOOST_AUTO_TEST_CASE(after_silence_the_next_try_is_without_edns_and_the_one_after_it_over_tcp) {
  Story story;
  BOOST_TEST(story.start(0ms) == "udp 0 id 101 until 1000");
  BOOST_TEST(story.timeout(1000ms) == "plain udp 0 id 102 until 2000");
  BOOST_TEST(story.timeout(2000ms) == "plain tcp 0 id 103 until 3000");
  BOOST_TEST(story.connected() == "until 4000");
  BOOST_TEST(story.packet(3900ms, good(103)) == "data");
}

BOOST_AUTO_TEST_CASE(silence_of_one_server_is_a_lesson_for_the_next) {
  Story story(std::vector{true, true});
  story.start(0ms);
  BOOST_TEST(story.timeout(1000ms) == "plain udp 1 id 102 until 2000");
  BOOST_TEST(story.timeout(2000ms) == "plain tcp 0 id 103 until 3000");
}

BOOST_AUTO_TEST_CASE(the_last_try_goes_on_over_udp_where_there_is_no_way_over_tcp) {
  Story refused;
  refused.start(0ms);
  refused.timeout(1000ms);
  BOOST_TEST(refused.timeout(2000ms) == "plain tcp 0 id 103 until 3000");
  BOOST_TEST(refused.error(2001ms) == "plain udp 0 id 104 until 4000");
  Story firewall;
  firewall.start(0ms);
  firewall.timeout(1000ms);
  BOOST_TEST(firewall.timeout(2000ms) == "plain tcp 0 id 103 until 3000");
  BOOST_TEST(firewall.timeout(3000ms) == "plain udp 0 id 104 until 4000");
  BOOST_TEST(firewall.packet(3500ms, good(104)) == "data");
}

BOOST_AUTO_TEST_CASE(a_server_that_answers_over_udp_is_not_asked_over_tcp_for_its_silence) {
  Story story;
  story.start(0ms);
  story.timeout(1000ms);
  story.heard_over_udp(1);  // by another look-up meanwhile
  BOOST_TEST(story.timeout(2000ms) == "plain udp 0 id 103 until 4000");
  BOOST_TEST(story.timeout(4000ms) == "timeout");
  Story failed(std::vector{true}, 5);
  failed.start(0ms);
  BOOST_TEST(failed.packet(10ms, reply(101, kServFail)) == "udp 0 id 102 until 1010");
  BOOST_TEST(failed.timeout(1010ms) == "plain udp 0 id 103 until 2010");
  BOOST_TEST(failed.timeout(2010ms) == "plain udp 0 id 104 until 3010");
}

BOOST_AUTO_TEST_CASE(a_server_that_was_learned_of_is_asked_in_the_form_that_works) {
  Story tcp(Query::Server{Form::kTcp});
  BOOST_TEST(tcp.start(0ms) == "plain tcp 0 id 101 until 1000");
  BOOST_TEST(tcp.timeout(1000ms) == "plain udp 0 id 102 until 2000");
  BOOST_TEST(tcp.timeout(2000ms) == "plain tcp 0 id 103 until 3000");
  Story changed(Query::Server{Form::kTcp});
  changed.start(0ms);
  BOOST_TEST(changed.error(1ms) == "plain udp 0 id 102 until 1001");
  Story plain(Query::Server{Form::kPlain});
  BOOST_TEST(plain.start(0ms) == "plain udp 0 id 101 until 1000");
  BOOST_TEST(plain.timeout(1000ms) == "plain tcp 0 id 102 until 2000");
  BOOST_TEST(plain.timeout(2000ms) == "plain udp 0 id 103 until 4000");
}

BOOST_AUTO_TEST_CASE(a_glance_costs_a_moment_and_no_try) {
  Story story({Form::kTcp, true}, 1);
  BOOST_TEST(story.start(0ms) == "glance udp 0 id 101 until 100");
  BOOST_TEST(story.timeout(100ms) == "plain tcp 0 id 102 until 1100");
  Story refused({Form::kTcp, true}, 1);
  refused.start(0ms);
  BOOST_TEST(refused.error(1ms) == "plain tcp 0 id 102 until 1001");
  Story back({Form::kTcp, true}, 1);
  back.start(0ms);
  BOOST_TEST(back.packet(20ms, good(101)) == "data");
  Story still({Form::kPlain, true}, 1);
  still.start(0ms);
  BOOST_TEST(still.packet(20ms, reply(101, kFormErr)) == "plain udp 0 id 102 until 4000");
}

BOOST_AUTO_TEST_CASE(a_server_may_be_asked_over_tcp_alone) {
  Story story({Form::kEdns, false, true}, 2);
  BOOST_TEST(story.start(0ms) == "tcp 0 id 101 until 1000");
  BOOST_TEST(story.timeout(1000ms) == "plain tcp 0 id 102 until 4000");
  BOOST_TEST(story.error(1001ms, Cause::kNone) == "timeout");
  Story refused({Form::kEdns, false, true}, 2);
  refused.start(0ms);
  BOOST_TEST(refused.error(1ms) == "wait");
  BOOST_TEST(refused.timeout(1000ms) == "tcp 0 id 102 until 4000");
  BOOST_TEST(refused.error(1001ms) == "timeout: connection refused");
}

BOOST_AUTO_TEST_CASE(a_failure_may_have_no_question) {
  Story story(std::vector{true, true});
  story.start(0ms);
  Message bare = reply(101, kServFail);
  bare.no_question = true;
  BOOST_TEST(story.packet(5ms, bare) == "udp 1 id 102 until 1005");
  bare = reply(102, kFormErr);
  bare.no_question = true;
  bare.additional = {opt()};
  BOOST_TEST(story.packet(6ms, bare) == "plain udp 1 id 103 until 1006");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_read_is_asked_for_again_without_edns) {
  Story story(std::vector{true}, 1);
  story.start(0ms);
  Message cut = good(101);
  cut.answer = {txt("www.example.com", "a").substr(0, 9)};
  BOOST_TEST(story.packet(5ms, cut) == "plain udp 0 id 102 until 4000");
  BOOST_TEST(story.packet(6ms, good(102)) == "data");
}

// ---- forgeries

BOOST_AUTO_TEST_CASE(after_sixteen_wrong_ids_the_question_goes_over_tcp) {
  Story story;
  story.start(0ms);
  for (std::uint16_t id = 1; id < 16; ++id) BOOST_TEST(story.packet(1ms, good(id)) == "wait");
  BOOST_TEST(story.packet(2ms, good(16)) == "tcp 0 id 102 until 1002");
  BOOST_TEST(story.packet(3ms, good(102)) == "data");
}

BOOST_AUTO_TEST_CASE(where_tcp_is_refused_the_forgeries_are_passed_over) {
  Story story(std::vector{true}, 1);
  story.start(0ms);
  for (std::uint16_t id = 1; id < 16; ++id) story.packet(1ms, good(id));
  BOOST_TEST(story.packet(2ms, good(16)) == "tcp 0 id 102 until 1002");
  BOOST_TEST(story.error(3ms) == "udp 0 id 103 until 4000");
  for (std::uint16_t id = 0; id < 100; ++id) BOOST_TEST(story.packet(4ms, good(id)) == "wait");
  BOOST_TEST(story.packet(5ms, good(103)) == "data");
}

// ---- servers that cannot be reached

BOOST_AUTO_TEST_CASE(an_unreachable_server_costs_no_try_while_there_is_another) {
  Story story(std::vector{true, true, true}, 1);
  story.start(0ms);
  BOOST_TEST(story.error(1ms) == "udp 1 id 102 until 4000");
  BOOST_TEST(story.error(2ms) == "udp 2 id 103 until 4000");
  BOOST_TEST(story.packet(3ms, good(103)) == "data");
}

BOOST_AUTO_TEST_CASE(when_all_are_unreachable_the_time_out_is_waited_for) {
  Story story(std::vector{true, true}, 2);
  story.heard_over_udp(2);
  story.start(0ms);
  BOOST_TEST(story.error(1ms) == "udp 1 id 102 until 1001");
  BOOST_TEST(story.error(2ms) == "wait");
  BOOST_TEST(story.timeout(1001ms) == "udp 0 id 103 until 4000");
  BOOST_TEST(story.packet(1005ms, good(103)) == "data");
}

BOOST_AUTO_TEST_CASE(a_last_try_that_finds_nobody_ends_it_and_says_why) {
  Story story(std::vector{true}, 2);
  story.heard_over_udp(1);
  story.start(0ms);
  BOOST_TEST(story.error(1ms) == "wait");
  BOOST_TEST(story.so_far() == "timeout: connection refused");
  BOOST_TEST(story.timeout(1000ms) == "udp 0 id 102 until 4000");
  BOOST_TEST(story.error(1001ms) == "timeout: connection refused");
}

BOOST_AUTO_TEST_CASE(where_udp_is_refused_tcp_may_not_be) {
  Story story(std::vector{true, true}, 1);
  story.start(0ms);
  BOOST_TEST(story.error(1ms) == "udp 1 id 102 until 4000");
  BOOST_TEST(story.error(2ms) == "plain tcp 1 id 103 until 1002");
  BOOST_TEST(story.error(3ms) == "plain tcp 0 id 104 until 1003");
  BOOST_TEST(story.packet(4ms, good(104)) == "data");
}

BOOST_AUTO_TEST_CASE(silence_of_one_server_is_a_time_out_whatever_the_others_refuse) {
  Story story(std::vector{true, true}, 2);
  story.start(0ms);
  story.timeout(1000ms);
  BOOST_TEST(story.error(1001ms) == "plain udp 0 id 103 until 4000");
  BOOST_TEST(story.timeout(4000ms) == "timeout");
  Story other(std::vector{true, true}, 1);
  other.heard_over_udp(2).start(0ms);
  other.error(1ms, Cause::kUnreachable);
  BOOST_TEST(other.error(2ms, Cause::kConnectionRefused) == "timeout: connection refused");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::dns
