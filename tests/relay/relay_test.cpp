#include "relay/relay.h"

#include <boost/test/unit_test.hpp>

#include "tests/relay/fakes.h"

namespace http01 {

using protocol::Outcome;
using protocol::Reason;
using protocol::RecordType;

namespace {

const std::string kId = "5b912f5cec6c02d851db76bc20f410700f01fc65";
const std::string kGateway = "dstack-prod5.phala.network";

// A relay on a loop, with a resolver that answers by hand, and what it has told.
struct RelayFixture {
  explicit RelayFixture(Config settings = {})
      : config(std::move(settings)),
        resolver(loop),
        relay(loop, resolver, config,
              [this](const Relay::Finished& finished, protocol::Reply& reply) {
                ids.push_back(finished.id);
                times.push_back(finished.times);
                replies.push_back(std::move(reply));
              }) {
    config.policy.gateways.wildcard_parents.push_back(*protocol::Name::from_text("phala.network"));
  }

  void submit(Relay::Id id, const std::string& host, const std::string& client = "192.0.2.1",
              const char* uri = "/.well-known/acme-challenge/token") {
    protocol::RawRequest raw;
    raw.method = "GET";
    raw.uri = uri;
    raw.host = host;
    raw.client = client;
    relay.submit(id, protocol::read_request(config.policy, raw));
  }

  static protocol::Question txt(const std::string& domain) {
    return FakeResolver::question(RecordType::kTxt, "_dstack-app-address." + domain);
  }
  static protocol::Question cname(const std::string& domain) {
    return FakeResolver::question(RecordType::kCname, domain);
  }

  base::Loop loop;
  Config config;
  FakeResolver resolver;
  Relay relay;
  std::vector<Relay::Id> ids;
  std::vector<protocol::RequestTimes> times;
  std::vector<protocol::Reply> replies;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(relay)

BOOST_AUTO_TEST_CASE(
    a_cold_request_asks_for_both_records_at_once_and_is_answered_when_both_are_there) {
  RelayFixture world;
  world.submit(1, "app.example.com");
  const std::vector<std::string> asked{"TXT _dstack-app-address.app.example.com",
                                       "CNAME app.example.com"};
  BOOST_TEST(world.resolver.asked == asked, boost::test_tools::per_element());
  BOOST_TEST(world.relay.in_flight() == 1u);

  world.resolver.answer(RelayFixture::txt("app.example.com"), txt_answer(kId + ":443"));
  settle(world.loop);
  BOOST_TEST(world.replies.empty());

  world.resolver.answer(RelayFixture::cname("app.example.com"), cname_answer("_." + kGateway));
  settle(world.loop);
  BOOST_REQUIRE(world.replies.size() == 1u);
  BOOST_TEST(world.replies[0].response.location ==
             "https://" + kId + "." + kGateway + "/.well-known/acme-challenge/token");
  BOOST_TEST(world.times[0].asked);
  BOOST_TEST(world.relay.in_flight() == 0u);
}

BOOST_AUTO_TEST_CASE(a_cached_request_is_answered_inside_submit_and_asks_nothing) {
  RelayFixture world;
  world.resolver.put_in_cache(RelayFixture::txt("app.example.com"), txt_answer(kId + ":443"));
  world.resolver.put_in_cache(RelayFixture::cname("app.example.com"),
                              cname_answer("_." + kGateway));
  world.submit(1, "app.example.com");
  BOOST_REQUIRE(world.replies.size() == 1u);
  BOOST_TEST((world.replies[0].reason == Reason::kOk));
  BOOST_TEST(!world.times[0].asked);
  BOOST_TEST(world.resolver.asked.empty());
}

// The log had cache=hit beside answers that nothing was looked up for.
BOOST_AUTO_TEST_CASE(the_cache_has_known_an_answer_only_where_it_was_asked_for_one) {
  using Cache = protocol::RequestTimes::Cache;
  Config config;
  config.limits.in_flight = 1;
  RelayFixture world(std::move(config));
  const auto last = [&] { return world.times.back().cache; };
  world.submit(1, "app.example.com");
  world.submit(2, "other.example.com");
  BOOST_TEST((world.replies.back().limit == protocol::Limit::kInFlight));
  BOOST_TEST((last() == Cache::kNotAsked));
  world.resolver.answer(RelayFixture::txt("app.example.com"), txt_answer(kId + ":443"));
  world.resolver.answer(RelayFixture::cname("app.example.com"), cname_answer("_." + kGateway));
  settle(world.loop);
  BOOST_TEST((last() == Cache::kMiss));
  world.resolver.put_in_cache(RelayFixture::txt("app.example.com"), txt_answer(kId + ":443"));
  world.resolver.put_in_cache(RelayFixture::cname("app.example.com"),
                              cname_answer("_." + kGateway));
  world.submit(3, "app.example.com");
  BOOST_TEST((last() == Cache::kHit));
  world.submit(4, "a_b");
  BOOST_TEST((last() == Cache::kNotAsked));
  world.submit(5, "localhost", "127.0.0.1", "/ready");
  world.resolver.answer(world.resolver.last(), empty_answer(Outcome::kNxDomain));
  settle(world.loop);
  BOOST_TEST(world.replies.size() == 5u);
  BOOST_TEST((last() == Cache::kNotAsked));
}

BOOST_AUTO_TEST_CASE(a_look_up_that_is_refused_names_what_it_lacked) {
  for (const auto& [cause, limit] :
       {std::pair{protocol::Cause::kNoMemory, protocol::Limit::kMemory},
        std::pair{protocol::Cause::kNone, protocol::Limit::kSockets}}) {
    RelayFixture world;
    world.submit(1, "app.example.com");
    protocol::Answer refused = empty_answer(Outcome::kOverloaded);
    refused.cause = cause;
    world.resolver.answer(RelayFixture::txt("app.example.com"), refused);
    settle(world.loop);
    BOOST_REQUIRE(world.replies.size() == 1u);
    BOOST_TEST((world.replies[0].reason == Reason::kOverloaded));
    BOOST_TEST((world.replies[0].limit == limit));
  }
}

// It was ready for a minute after its resolver had gone.
BOOST_AUTO_TEST_CASE(ready_is_asked_anew_once_a_second_whatever_the_cache_knows) {
  for (const bool with_canary : {false, true}) {
    Config config;
    if (with_canary) config.policy.canary = protocol::Name::from_text("app.example.com");
    RelayFixture world(std::move(config));
    const std::size_t questions = with_canary ? 2 : 1;
    world.resolver.put_in_cache(RelayFixture::txt("app.example.com"), txt_answer(kId + ":443"));
    world.resolver.put_in_cache(RelayFixture::cname("app.example.com"),
                                cname_answer("_." + kGateway));

    world.submit(1, "localhost", "127.0.0.1", "/ready");
    BOOST_TEST(world.replies.empty());
    BOOST_TEST(world.resolver.asked.size() == questions);
    BOOST_TEST(world.resolver.probes == questions);
    if (with_canary) {
      world.resolver.answer(RelayFixture::txt("app.example.com"), txt_answer(kId + ":443"));
      world.resolver.answer(RelayFixture::cname("app.example.com"), cname_answer("_." + kGateway));
    } else {
      world.resolver.answer(world.resolver.last(), empty_answer(Outcome::kNxDomain));
    }
    settle(world.loop);
    BOOST_REQUIRE(world.replies.size() == 1u);
    BOOST_TEST(protocol::code(world.replies[0].response.status) == 200);

    world.submit(2, "localhost", "127.0.0.1", "/ready");
    BOOST_TEST(world.replies.size() == 2u);
    world.loop.after(std::chrono::milliseconds(1001), [&] { world.loop.stop(); });
    world.loop.run();
    world.submit(3, "localhost", "127.0.0.1", "/ready");
    BOOST_TEST(world.replies.size() == 2u);
    BOOST_TEST(world.resolver.asked.size() == 2 * questions);
    // A challenge has the cache.
    world.submit(4, "app.example.com");
    BOOST_TEST(world.replies.size() == 3u);
    BOOST_TEST(world.resolver.probes == 2 * questions);
  }
}

BOOST_AUTO_TEST_CASE(without_a_canary_ready_asks_for_a_name_that_no_resolver_can_know) {
  const auto first_asked = [] {
    RelayFixture world;
    world.submit(1, "localhost", "127.0.0.1", "/ready");
    world.submit(2, "localhost", "127.0.0.1", "/ready");
    BOOST_REQUIRE(world.resolver.asked.size() == 2u);
    // One look-up for all who ask within a second.
    BOOST_TEST(world.resolver.asked[0] == world.resolver.asked[1]);
    const protocol::Name name = world.resolver.last().name;
    BOOST_TEST(name.parent().text() == "phala.network");
    BOOST_TEST(name.first_label().size() == 20u);
    return name;
  };
  BOOST_TEST((first_asked() != first_asked()));
}

BOOST_AUTO_TEST_CASE(ready_stays_not_ready_for_a_second_though_the_cache_has_a_good_answer) {
  Config config;
  config.policy.canary = protocol::Name::from_text("app.example.com");
  RelayFixture world(std::move(config));
  world.resolver.put_in_cache(RelayFixture::txt("app.example.com"), txt_answer(kId + ":443"));
  world.resolver.put_in_cache(RelayFixture::cname("app.example.com"),
                              cname_answer("_." + kGateway));
  world.submit(1, "localhost", "127.0.0.1", "/ready");
  world.resolver.answer(RelayFixture::txt("app.example.com"), empty_answer(Outcome::kFailure));
  settle(world.loop);
  world.submit(2, "localhost", "127.0.0.1", "/ready");
  BOOST_REQUIRE(world.replies.size() == 2u);
  BOOST_TEST((world.replies[0].reason == Reason::kDnsFailure));
  BOOST_TEST((world.replies[1].reason == Reason::kDnsFailure));
  BOOST_TEST(world.resolver.asked.size() == 2u);
  // By another configuration it may be otherwise.
  world.relay.reconfigure(world.config);
  world.submit(3, "localhost", "127.0.0.1", "/ready");
  BOOST_TEST(world.resolver.asked.size() == 4u);
}

BOOST_AUTO_TEST_CASE(ready_is_told_from_the_cache_where_no_more_may_wait) {
  Config config;
  config.limits.in_flight = 1;
  config.policy.canary = protocol::Name::from_text("app.example.com");
  RelayFixture world(std::move(config));
  world.submit(1, "slow.example.com");
  world.submit(2, "localhost", "127.0.0.1", "/ready");
  BOOST_REQUIRE(world.replies.size() == 1u);
  BOOST_TEST((world.replies[0].reason == Reason::kOverloaded));
  world.resolver.put_in_cache(RelayFixture::txt("app.example.com"), txt_answer(kId + ":443"));
  world.resolver.put_in_cache(RelayFixture::cname("app.example.com"),
                              cname_answer("_." + kGateway));
  world.submit(3, "localhost", "127.0.0.1", "/ready");
  BOOST_REQUIRE(world.replies.size() == 2u);
  BOOST_TEST((world.replies[1].reason == Reason::kOk));
}

BOOST_AUTO_TEST_CASE(a_decided_fault_does_not_wait_for_the_other_record) {
  RelayFixture world;
  world.submit(1, "app.example.com");
  world.resolver.answer(RelayFixture::txt("app.example.com"), txt_answer("nonsense"));
  settle(world.loop);
  BOOST_REQUIRE(world.replies.size() == 1u);
  BOOST_TEST((world.replies[0].reason == Reason::kTxtMalformed));
  BOOST_TEST(world.resolver.waiting() == 0u);  // it has left the CNAME look-up
}

BOOST_AUTO_TEST_CASE(further_names_are_asked_for_only_when_the_first_is_absent) {
  RelayFixture world;
  world.submit(1, "app.example.com");
  world.resolver.answer(RelayFixture::txt("app.example.com"), empty_answer(Outcome::kNxDomain));
  settle(world.loop);
  BOOST_TEST(world.resolver.asked.back() == "TXT _tapp-address.app.example.com");
  world.resolver.answer(FakeResolver::question(RecordType::kTxt, "_tapp-address.app.example.com"),
                        empty_answer(Outcome::kNoData));
  settle(world.loop);
  BOOST_TEST(world.resolver.asked.back() == "TXT _dstack-app-address-wildcard.example.com");
  BOOST_TEST(world.resolver.asked.size() == 4u);
}

BOOST_AUTO_TEST_CASE(at_the_deadline_the_answer_is_what_is_known_by_then) {
  for (const auto& [so_far, reason] : {std::pair{Outcome::kTimeout, Reason::kDnsTimeout},
                                       std::pair{Outcome::kFailure, Reason::kDnsFailure}}) {
    Config config;
    config.dns.deadline = std::chrono::milliseconds(1);
    RelayFixture world(std::move(config));
    world.resolver.so_far = so_far;
    world.submit(1, "app.example.com");
    world.loop.after(std::chrono::milliseconds(20), [&] { world.loop.stop(); });
    world.loop.run();
    BOOST_REQUIRE(world.replies.size() == 1u);
    BOOST_TEST((world.replies[0].reason == reason));
    BOOST_TEST(world.resolver.waiting() == 0u);
  }
}

BOOST_AUTO_TEST_CASE(an_absent_record_at_the_deadline_does_not_start_the_next_name) {
  Config config;
  config.dns.deadline = std::chrono::milliseconds(1);
  RelayFixture world(std::move(config));
  world.submit(1, "app.example.com");
  world.resolver.answer(RelayFixture::txt("app.example.com"), empty_answer(Outcome::kNxDomain));
  world.loop.after(std::chrono::milliseconds(20), [&] { world.loop.stop(); });
  world.loop.run();
  BOOST_REQUIRE(world.replies.size() == 1u);
  BOOST_TEST((world.replies[0].reason == Reason::kDnsTimeout));
  BOOST_TEST(world.resolver.asked.back() == "TXT _tapp-address.app.example.com");
}

BOOST_AUTO_TEST_CASE(a_forgotten_request_is_told_to_nobody) {
  RelayFixture world;
  world.submit(1, "app.example.com");
  world.relay.forget(1);
  world.relay.forget(1);
  world.relay.forget(99);
  BOOST_TEST(world.resolver.waiting() == 0u);
  BOOST_TEST(world.relay.in_flight() == 0u);
  settle(world.loop);
  BOOST_TEST(world.replies.empty());
}

BOOST_AUTO_TEST_CASE(beyond_a_limit_a_cold_request_is_refused_at_once_and_a_cached_one_is_not) {
  struct Case {
    const char* what;
    std::size_t in_flight, per_client, per_domain;
  };
  for (const Case& limits : {Case{"in all", 2, 9, 9}, Case{"of a client", 9, 2, 9},
                             Case{"of a registrable domain", 9, 9, 2}}) {
    Config config;
    config.limits = {limits.in_flight, limits.per_client, limits.per_domain};
    RelayFixture world(std::move(config));
    world.resolver.put_in_cache(RelayFixture::txt("warm.example.com"), txt_answer("nonsense"));
    world.submit(1, "a.example.com");
    world.submit(2, "b.example.com");
    world.submit(3, "c.example.com");
    world.submit(4, "warm.example.com");
    BOOST_TEST_CONTEXT(limits.what) {
      BOOST_REQUIRE(world.replies.size() == 2u);
      BOOST_TEST(world.ids[0] == 3u);
      BOOST_TEST((world.replies[0].reason == Reason::kOverloaded));
      BOOST_TEST(protocol::code(world.replies[0].response.status) == 503);
      BOOST_TEST((world.replies[1].reason == Reason::kTxtMalformed));
      // A place that is free again is given again.
      world.relay.forget(1);
      world.submit(5, "d.example.com");
      BOOST_TEST(world.replies.size() == 2u);
    }
  }
}

BOOST_AUTO_TEST_CASE(limits_count_an_ipv6_network_as_one_client_and_other_clients_apart) {
  Config config;
  config.limits.in_flight_per_client = 1;
  RelayFixture world(std::move(config));
  world.submit(1, "a.example.com", "2001:db8::1");
  world.submit(2, "b.example.com", "2001:db8::ffff:1");
  world.submit(3, "c.example.com", "2001:db8:0:1::1");
  world.submit(4, "d.example.com", "192.0.2.1");
  BOOST_REQUIRE(world.replies.size() == 1u);
  BOOST_TEST(world.ids[0] == 2u);
}

BOOST_AUTO_TEST_CASE(what_is_no_address_is_not_counted_as_a_client) {
  Config config;
  config.limits.in_flight_per_client = 1;
  RelayFixture world(std::move(config));
  world.submit(1, "a.example.com", "");
  world.submit(2, "b.example.com", "unix:");
  BOOST_TEST(world.replies.empty());
}

BOOST_AUTO_TEST_CASE(registrable_domains_are_those_of_the_public_suffix_list) {
  Config config;
  config.limits.in_flight_per_domain = 1;
  RelayFixture world(std::move(config));
  world.submit(1, "a.one.co.uk");
  world.submit(2, "a.two.co.uk");
  world.submit(3, "b.two.co.uk");
  BOOST_REQUIRE(world.replies.size() == 1u);
  BOOST_TEST(world.ids[0] == 3u);
}

BOOST_AUTO_TEST_CASE(a_new_configuration_holds_for_those_that_wait) {
  RelayFixture world;
  world.submit(1, "app.example.com");
  Config next;
  next.policy.domains_deny.push_back(*protocol::Name::from_text("example.com"));
  world.relay.reconfigure(next);
  world.resolver.answer(RelayFixture::txt("app.example.com"), txt_answer(kId + ":443"));
  settle(world.loop);
  BOOST_REQUIRE(world.replies.size() == 1u);
  BOOST_TEST((world.replies[0].reason == Reason::kDomainRefused));
  BOOST_TEST(world.resolver.waiting() == 0u);
}

// The old server had sent a forged record, and was silent on the rest.
BOOST_AUTO_TEST_CASE(what_is_known_before_a_reload_is_asked_for_again) {
  RelayFixture world;
  world.submit(1, "app.example.com");
  world.resolver.answer(RelayFixture::txt("app.example.com"),
                        txt_answer("ffffffffffffffffffffffffffffffffffffffff:443"));
  settle(world.loop);
  world.relay.reconfigure(world.config);
  world.resolver.answer(RelayFixture::cname("app.example.com"), cname_answer("_." + kGateway));
  settle(world.loop);
  BOOST_TEST(world.replies.empty());
  world.resolver.answer(RelayFixture::txt("app.example.com"), txt_answer(kId + ":443"));
  settle(world.loop);
  BOOST_REQUIRE(world.replies.size() == 1u);
  BOOST_TEST(world.replies[0].response.location.starts_with("https://" + kId));
}

BOOST_AUTO_TEST_CASE(a_relay_that_goes_leaves_every_look_up) {
  base::Loop loop;
  FakeResolver resolver(loop);
  const Config config;
  {
    Relay relay(loop, resolver, config, [](const Relay::Finished&, protocol::Reply&) {});
    protocol::RawRequest raw{"GET", "/.well-known/acme-challenge/token", "a.example.com", "", false,
                             false};
    relay.submit(1, protocol::read_request(config.policy, raw));
    BOOST_TEST(resolver.waiting() == 2u);
  }
  BOOST_TEST(resolver.waiting() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
