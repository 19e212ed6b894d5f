// What holds for every policy, request and answer, tried on many random ones.

#include <boost/test/unit_test.hpp>
#include <string>

#include "protocol/gateway.h"
#include "tests/protocol/answer_faults.h"
#include "tests/protocol/random_case.h"

namespace http01::protocol {

BOOST_AUTO_TEST_SUITE(invariants)

constexpr std::uint32_t kWorlds = 20'000;

BOOST_AUTO_TEST_CASE(a_redirect_leads_to_an_app_of_an_allowed_gateway_or_to_the_host_itself) {
  std::size_t challenges = 0;
  std::size_t others = 0;
  std::size_t breadcrumbs = 0;
  for (std::uint32_t seed = 0; seed < kWorlds; ++seed) {
    const RandomCase world(seed);
    const Request request = read_request(world.policy, world.raw);
    const Reply reply = decided(world.policy, world.raw, world).reply;
    if (reply.response.location.empty()) continue;
    const std::string fault = fault_of_location(world.policy, request, reply);
    if (!fault.empty()) {
      BOOST_ERROR("world " << seed << ": " << fault << ": " << reply.response.location);
    }
    ++(reply.reason != Reason::kOk            ? breadcrumbs
       : request.kind == PathKind::kChallenge ? challenges
                                              : others);
  }
  // Or the test would be about nothing.
  BOOST_TEST(challenges > 500u);
  BOOST_TEST(others > 500u);
  BOOST_TEST(breadcrumbs > 500u);
}

BOOST_AUTO_TEST_CASE(the_relays_state_is_shown_to_its_own_machine_and_at_no_domain) {
  std::size_t shown = 0;
  std::size_t refused = 0;
  for (std::uint32_t seed = 0; seed < kWorlds; ++seed) {
    const RandomCase world(seed);
    const Request request = read_request(world.policy, world.raw);
    const Reply reply = decided(world.policy, world.raw, world).reply;
    const std::string fault = fault_of_page(world.policy, request, reply);
    if (!fault.empty()) BOOST_ERROR("world " << seed << ": " << fault);
    shown += reply.page == Page::kReady || reply.page == Page::kMetrics ? 1 : 0;
    refused += reply.reason == Reason::kForbidden ? 1 : 0;
  }
  BOOST_TEST(shown > 5u);
  BOOST_TEST(refused > 20u);
}

BOOST_AUTO_TEST_CASE(a_challenge_for_a_name_of_a_gateway_is_never_redirected) {
  std::size_t refused = 0;
  for (std::uint32_t seed = 0; seed < kWorlds / 2; ++seed) {
    const RandomCase world(seed);
    const Request request = read_request(world.policy, world.raw);
    if (request.fault || request.kind != PathKind::kChallenge ||
        request.host.kind != HostKind::kDomain)
      continue;
    if (!is_gateway_name(world.policy.gateways, request.host.name)) continue;
    const Story story = decided(world.policy, world.raw, world);
    if (story.reply.reason == Reason::kOk) BOOST_ERROR("world " << seed << ": redirected");
    if (!story.asked.empty()) BOOST_ERROR("world " << seed << ": asked " << story.asked);
    ++refused;
  }
  BOOST_TEST(refused > 200u);
}

BOOST_AUTO_TEST_CASE(an_answer_is_whole_lines_of_printable_ascii) {
  for (std::uint32_t seed = 0; seed < kWorlds / 2; ++seed) {
    const RandomCase world(seed);
    const Reply reply = decided(world.policy, world.raw, world).reply;
    const std::string fault = fault_of_lines(reply);
    if (!fault.empty()) BOOST_ERROR("world " << seed << ": " << fault);
  }
}

BOOST_AUTO_TEST_CASE(the_order_in_which_answers_arrive_changes_nothing) {
  for (std::uint32_t seed = 0; seed < kWorlds / 4; ++seed) {
    const RandomCase world(seed);
    const Story together = decided(world.policy, world.raw, world);
    for (const Arrival arrival : {Arrival::kFirstOnly, Arrival::kLastOnly}) {
      const Story story = decided(world.policy, world.raw, world, arrival);
      if (story.answer != together.answer ||
          story.reply.response.body != together.reply.response.body) {
        BOOST_ERROR("world " << seed << ": " << story.answer << ", not " << together.answer);
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::protocol
