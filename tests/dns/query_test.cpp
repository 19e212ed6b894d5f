#include "dns/query.h"

#include <boost/test/unit_test.hpp>

#include "tests/dns/packets.h"

namespace http01::dns {

using namespace testing;
using namespace std::chrono_literals;
using base::Duration;
using base::TimePoint;
using protocol::Answer;
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
  explicit Story(std::vector<bool> edns = {true}, std::size_t attempts = 3)
      : query_(kText, {std::move(edns), 1000ms, attempts, 4000ms}, ids_) {}

  std::string start(Duration at) { return tell(query_.on_start(TimePoint(at))); }
  std::string packet(Duration at, Message message) {
    return tell(query_.on_packet(message.octets(), TimePoint(at)));
  }
  std::string error(Duration at) { return tell(query_.on_error(TimePoint(at))); }
  std::string timeout(Duration at) { return tell(query_.on_timeout(TimePoint(at))); }
  std::string so_far() const { return std::string(protocol::to_string(query_.so_far())); }

 private:
  static std::string tell(const Next& next) {
    if (std::holds_alternative<Wait>(next)) return "wait";
    if (const Answer* answer = std::get_if<Answer>(&next)) {
      return std::string(protocol::to_string(answer->outcome));
    }
    const Send& send = std::get<Send>(next);
    const auto until =
        std::chrono::duration_cast<std::chrono::milliseconds>(send.until.time_since_epoch());
    return std::string(send.edns ? "" : "plain ") + (send.tcp ? "tcp " : "udp ") +
           std::to_string(send.server) + " id " + std::to_string(send.id) + " until " +
           std::to_string(until.count());
  }

  CountingIds ids_;
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
  Story story({true, true});
  BOOST_TEST(story.start(0ms) == "udp 0 id 101 until 1000");
  BOOST_TEST(story.timeout(1000ms) == "udp 1 id 102 until 2000");
  BOOST_TEST(story.timeout(2000ms) == "udp 0 id 103 until 4000");
  BOOST_TEST(story.timeout(3000ms) == "timeout");
}

BOOST_AUTO_TEST_CASE(the_last_try_waits_for_the_deadline_of_all) {
  Story story;
  BOOST_TEST(story.start(500ms) == "udp 0 id 101 until 1500");
  BOOST_TEST(story.timeout(1500ms) == "udp 0 id 102 until 2500");
  BOOST_TEST(story.timeout(2500ms) == "udp 0 id 103 until 4500");
  BOOST_TEST(story.packet(4499ms, good(103)) == "data");
  Story alone({true}, 1);
  BOOST_TEST(alone.start(0ms) == "udp 0 id 101 until 4000");
  BOOST_TEST(alone.timeout(4000ms) == "timeout");
}

BOOST_AUTO_TEST_CASE(no_try_goes_beyond_the_deadline) {
  Story story({true, true}, 9);
  story.start(0ms);
  BOOST_TEST(story.timeout(1500ms) == "udp 1 id 102 until 2500");
  BOOST_TEST(story.timeout(3500ms) == "udp 0 id 103 until 4000");
  BOOST_TEST(story.timeout(4000ms) == "timeout");
}

BOOST_AUTO_TEST_CASE(a_late_answer_to_an_earlier_try_is_foreign) {
  Story story;
  story.start(0ms);
  BOOST_TEST(story.timeout(1000ms) == "udp 0 id 102 until 2000");
  BOOST_TEST(story.packet(1010ms, good(101)) == "wait");
  BOOST_TEST(story.packet(1020ms, good(102)) == "data");
}

BOOST_AUTO_TEST_CASE(forgeries_change_nothing_however_many) {
  Story story;
  story.start(0ms);
  for (std::uint16_t id = 0; id < 1000; ++id) {
    if (id != 101) BOOST_TEST(story.packet(1ms, good(id)) == "wait");
  }
  Message other = good(101);
  other.question_section = wire("other.example") + u16(16) + u16(1);
  BOOST_TEST(story.packet(2ms, other) == "wait");
  BOOST_TEST(story.packet(3ms, good(101)) == "data");
}

BOOST_AUTO_TEST_CASE(a_failure_asks_the_next_server_at_once) {
  for (const std::uint16_t flags : {kServFail, kRefused}) {
    Story story({true, true});
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
  BOOST_TEST(story.timeout(1005ms) == "udp 0 id 103 until 4000");
  BOOST_TEST(story.timeout(2005ms) == "failure");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_read_is_a_failure_of_its_server) {
  Story story({true, true}, 2);
  story.start(0ms);
  Message garbage = good(101);
  garbage.trailer = "x";
  BOOST_TEST(story.packet(5ms, garbage) == "udp 1 id 102 until 4000");
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
  Story story({true, true}, 1);
  story.start(0ms);
  BOOST_TEST(story.packet(5ms, reply(101, kTruncated)) == "tcp 0 id 102 until 4000");
  BOOST_TEST(story.packet(10ms, good(102)) == "data");
}

BOOST_AUTO_TEST_CASE(tcp_that_fails_is_a_try_that_failed) {
  Story story({true, true});
  story.start(0ms);
  story.packet(5ms, reply(101, kTruncated));
  BOOST_TEST(story.error(10ms) == "udp 1 id 103 until 1010");
  BOOST_TEST(story.packet(15ms, reply(103, kTruncated)) == "tcp 1 id 104 until 1015");
  BOOST_TEST(story.timeout(1015ms) == "udp 0 id 105 until 4000");
  BOOST_TEST(story.packet(1020ms, reply(105, kTruncated)) == "tcp 0 id 106 until 4000");
  BOOST_TEST(story.packet(1025ms, reply(106, kTruncated)) == "failure");
}

BOOST_AUTO_TEST_CASE(tcp_that_is_silent_is_a_timeout) {
  Story story({true}, 1);
  story.start(0ms);
  story.packet(5ms, reply(101, kTruncated));
  BOOST_TEST(story.timeout(1005ms) == "timeout");
}

BOOST_AUTO_TEST_CASE(refused_edns_is_asked_again_without_and_is_no_new_try) {
  Message bad_version = reply(101);
  bad_version.additional = {opt(0x01000000)};
  for (const Message& refusal : {reply(101, kFormErr), reply(101, kNotImp), bad_version}) {
    Story story({true, true}, 1);
    story.start(0ms);
    BOOST_TEST(story.packet(5ms, refusal) == "plain udp 0 id 102 until 4000");
    BOOST_TEST(story.packet(10ms, good(102)) == "data");
  }
}

BOOST_AUTO_TEST_CASE(a_refusal_without_edns_is_a_failure) {
  Story story({false, true}, 2);
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

BOOST_AUTO_TEST_CASE(an_unreachable_server_costs_no_try_while_there_is_another) {
  Story story({true, true, true}, 1);
  story.start(0ms);
  BOOST_TEST(story.error(1ms) == "udp 1 id 102 until 4000");
  BOOST_TEST(story.error(2ms) == "udp 2 id 103 until 4000");
  BOOST_TEST(story.packet(3ms, good(103)) == "data");
}

BOOST_AUTO_TEST_CASE(when_all_are_unreachable_the_time_out_is_waited_for) {
  Story story({true, true}, 2);
  story.start(0ms);
  BOOST_TEST(story.error(1ms) == "udp 1 id 102 until 1001");
  BOOST_TEST(story.error(2ms) == "wait");
  BOOST_TEST(story.timeout(1001ms) == "udp 0 id 103 until 4000");
  BOOST_TEST(story.packet(1005ms, good(103)) == "data");
}

BOOST_AUTO_TEST_CASE(a_last_try_that_finds_nobody_ends_it) {
  Story story({true}, 2);
  story.start(0ms);
  BOOST_TEST(story.error(1ms) == "wait");
  BOOST_TEST(story.timeout(1000ms) == "udp 0 id 102 until 4000");
  BOOST_TEST(story.error(1001ms) == "timeout");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::dns
