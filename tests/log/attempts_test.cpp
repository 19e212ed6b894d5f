#include "log/attempts.h"

#include <boost/test/unit_test.hpp>

namespace http01 {

namespace {

using protocol::Reason;

constexpr std::chrono::seconds operator""_s(unsigned long long seconds) {
  return std::chrono::seconds(seconds);
}
const base::TimePoint kStart{std::chrono::hours(1)};

protocol::Request challenge(const std::string& token, const std::string& client = "192.0.2.1",
                            const std::string& host = "app.example.com",
                            const std::string& method = "GET") {
  protocol::RawRequest raw;
  raw.method = method;
  raw.uri = "/.well-known/acme-challenge/" + token;
  raw.host = host;
  raw.client = client;
  return protocol::read_request(protocol::Policy{}, raw);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(attempts)

BOOST_AUTO_TEST_CASE(the_requests_for_one_token_are_one_event_ten_seconds_after_the_first) {
  Attempts attempts;
  BOOST_TEST(!attempts.due().has_value());
  int client = 0;
  for (const auto at : {0_s, 0_s, 1_s, 1_s, 2_s}) {
    BOOST_TEST(
        !attempts
             .add(kStart + at, challenge("t", "192.0.2." + std::to_string(++client)), Reason::kOk)
             .has_value());
  }
  // The same place again: certbot's user, or a CA's retry.
  attempts.add(kStart + 3_s, challenge("t", "192.0.2.1"), Reason::kOk);
  BOOST_TEST((attempts.due() == kStart + 10_s));
  BOOST_TEST(!attempts.take(kStart + 10_s - std::chrono::milliseconds(1)).has_value());
  const auto attempt = attempts.take(kStart + 10_s);
  BOOST_REQUIRE(attempt.has_value());
  BOOST_TEST(attempt->host == "app.example.com");
  BOOST_TEST(attempt->token == "t");
  BOOST_TEST(attempt->requests == 6u);
  BOOST_TEST(attempt->clients.size() == 5u);
  BOOST_TEST((attempt->outcome() == Reason::kOk));
  BOOST_TEST((attempt->last - attempt->begun == 3_s));
  BOOST_TEST(!attempts.due().has_value());
  BOOST_TEST(!attempts.take(kStart + 99_s).has_value());
}

BOOST_AUTO_TEST_CASE(a_request_after_the_event_begins_another_one) {
  Attempts attempts;
  attempts.add(kStart, challenge("t"), Reason::kDnsTimeout);
  BOOST_REQUIRE(attempts.take(kStart + 10_s).has_value());
  attempts.add(kStart + 11_s, challenge("t"), Reason::kOk);
  BOOST_TEST((attempts.due() == kStart + 21_s));
  const auto second = attempts.take(kStart + 21_s);
  BOOST_REQUIRE(second.has_value());
  BOOST_TEST(second->requests == 1u);
  BOOST_TEST((second->outcome() == Reason::kOk));
}

BOOST_AUTO_TEST_CASE(answers_that_differ_are_no_outcome) {
  Attempts attempts;
  attempts.add(kStart, challenge("t", "192.0.2.1"), Reason::kOk);
  attempts.add(kStart, challenge("t", "192.0.2.2"), Reason::kOk);
  attempts.add(kStart, challenge("t", "192.0.2.3"), Reason::kDnsTimeout);
  const auto attempt = attempts.take(kStart + 10_s);
  BOOST_REQUIRE(attempt.has_value());
  BOOST_TEST(!attempt->outcome().has_value());
  BOOST_TEST(attempt->reasons[Reason::kOk] == 2u);
  BOOST_TEST(attempt->reasons[Reason::kDnsTimeout] == 1u);
}

BOOST_AUTO_TEST_CASE(other_tokens_and_hosts_are_other_events_given_in_their_order) {
  Attempts attempts;
  attempts.add(kStart, challenge("a"), Reason::kOk);
  attempts.add(kStart + 1_s, challenge("b"), Reason::kOk);
  attempts.add(kStart + 2_s, challenge("a", "192.0.2.1", "www.example.com"), Reason::kOk);
  attempts.add(kStart + 3_s, challenge("a"), Reason::kOk);
  const auto first = attempts.take(kStart + 60_s);
  const auto second = attempts.take(kStart + 60_s);
  const auto third = attempts.take(kStart + 60_s);
  BOOST_REQUIRE((first && second && third));
  BOOST_TEST(first->token == "a");
  BOOST_TEST(first->requests == 2u);
  BOOST_TEST(second->token == "b");
  BOOST_TEST(third->host == "www.example.com");
  BOOST_TEST(!attempts.take_oldest().has_value());
}

BOOST_AUTO_TEST_CASE(what_no_ca_asks_for_is_no_attempt) {
  Attempts attempts;
  attempts.add(kStart, challenge("t", "192.0.2.1", "localhost"), Reason::kNotFound);
  attempts.add(kStart, challenge("t", "192.0.2.1", "a_b"), Reason::kBadHost);
  attempts.add(kStart, challenge("t/../x"), Reason::kBadToken);
  attempts.add(kStart, challenge(""), Reason::kBadToken);
  attempts.add(kStart, challenge("t", "192.0.2.1", "app.example.com", "POST"), Reason::kBadMethod);
  BOOST_TEST(!attempts.due().has_value());
}

BOOST_AUTO_TEST_CASE(too_many_tokens_give_the_oldest_event_early_and_take_no_more_room) {
  Attempts attempts;
  for (std::size_t i = 0; i < Attempts::kMost; ++i) {
    BOOST_TEST_REQUIRE(
        !attempts.add(kStart, challenge(std::to_string(i)), Reason::kOk).has_value());
  }
  // One that is there already takes no room.
  BOOST_TEST(!attempts.add(kStart, challenge("5"), Reason::kOk).has_value());
  const auto early = attempts.add(kStart + 1_s, challenge("new"), Reason::kOk);
  BOOST_REQUIRE(early.has_value());
  BOOST_TEST(early->token == "0");
  std::size_t left = 0;
  while (attempts.take(kStart + 60_s)) ++left;
  BOOST_TEST(left == Attempts::kMost);
}

BOOST_AUTO_TEST_CASE(clients_beyond_any_ca_and_overlong_ones_are_not_kept) {
  Attempts attempts;
  for (int i = 0; i < 1000; ++i) {
    attempts.add(kStart, challenge("t", std::to_string(i) + std::string(10'000, 'x')), Reason::kOk);
  }
  const auto attempt = attempts.take_oldest();
  BOOST_REQUIRE(attempt.has_value());
  BOOST_TEST(attempt->requests == 1000u);
  BOOST_TEST(attempt->clients.size() == Attempt::kMostClients);
  BOOST_TEST(attempt->clients.front().size() == 64u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
