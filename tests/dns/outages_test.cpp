// When a name server is said not to answer, and when to answer again, told with literal times.
#include "dns/outages.h"

#include <boost/test/unit_test.hpp>
#include <string>

namespace http01::dns {

using namespace std::chrono_literals;
using base::Endpoint;
using base::TimePoint;

BOOST_AUTO_TEST_SUITE(outages)

const Endpoint kOne = *Endpoint::parse("192.0.2.1", 53);
const Endpoint kOther = *Endpoint::parse("192.0.2.2", 53);

struct Watch {
  explicit Watch(const std::vector<Endpoint>& servers = {kOne}) { outages.set(servers); }

  // "" for no news; the query took a second, or no time.
  std::string told(ServerStatus status, std::chrono::milliseconds sent, const char* name,
                   const Endpoint& server = kOne) {
    const TimePoint begun(1h + sent);
    const auto took = status == ServerStatus::kTimeout ? 1000ms : 0ms;
    const auto news =
        outages.told(server, *protocol::Name::from_text(name), status, begun, begun + took);
    if (!news) return "";
    BOOST_TEST((news->server == server));
    if (!news->answers) return "stopped";
    return "back after " +
           std::to_string(std::chrono::round<std::chrono::seconds>(news->silent).count());
  }
  std::string silent(std::chrono::milliseconds sent, const char* name) {
    return told(ServerStatus::kTimeout, sent, name);
  }
  std::string answers(std::chrono::milliseconds at) {
    return told(ServerStatus::kData, at, "any.org");
  }

  Outages outages;
};

BOOST_AUTO_TEST_CASE(
    three_in_a_row_over_a_while_for_two_domains_are_an_outage_and_it_is_told_once) {
  Watch watch;
  BOOST_TEST(watch.silent(0s, "_x.a.example.com") == "");
  BOOST_TEST(watch.silent(1s, "b.example.org") == "");
  BOOST_TEST(watch.silent(1500ms, "b.example.org") == "stopped");
  for (int i = 2; i < 100; ++i) BOOST_TEST(watch.silent(i * 1s, "c.example.net") == "");
  BOOST_TEST(watch.answers(200s) == "back after 200");
  BOOST_TEST(watch.answers(201s) == "");
}

BOOST_AUTO_TEST_CASE(lost_packets_are_none) {
  Watch watch;
  BOOST_TEST(watch.silent(0s, "a.com") == "");
  // A burst of them.
  for (int i = 0; i < 50; ++i) {
    const std::string name = "d" + std::to_string(i) + ".com";
    BOOST_TEST(watch.silent(i * 10ms, name.c_str()) == "");
  }
  BOOST_TEST(watch.answers(1s) == "");
  BOOST_TEST(watch.silent(2s, "a.com") == "");
  BOOST_TEST(watch.silent(3s, "b.com") == "");
  BOOST_TEST(watch.answers(4s) == "");
}

// Its name servers are dead, and the resolver is sound: nothing else was asked meanwhile.
BOOST_AUTO_TEST_CASE(one_dead_domain_is_none_however_often_it_is_asked_for) {
  Watch watch;
  for (int i = 0; i < 1000; ++i) {
    BOOST_TEST(watch.silent(i * 1s, "_dstack-app-address.app.example.com") == "");
    BOOST_TEST(watch.silent(i * 1s, "_http01-relay.www.example.com") == "");
  }
  BOOST_TEST(watch.silent(1000s, "example.org") == "stopped");
}

// One scanner's domain, answered once, hid the outages of a relay with one tenant for good.
BOOST_AUTO_TEST_CASE(a_relay_with_one_tenant_and_a_scanner_notices_after_five_minutes) {
  for (const bool scanner_is_last : {false, true}) {
    Watch watch;
    for (const char* name : {"a.tenant.com", "b.scanner.org", "c.tenant.com"}) {
      if (scanner_is_last && name[0] == 'c') break;
      BOOST_TEST(watch.told(ServerStatus::kData, 0s, name) == "");
    }
    for (auto second = 1s; second < 5min - 1s; second += 30s) {
      BOOST_TEST(watch.silent(second, "tenant.com") == "");
    }
    BOOST_TEST(watch.silent(5min, "tenant.com") == "stopped");
  }
}

// All that such a relay asks for has gone silent.
BOOST_AUTO_TEST_CASE(the_only_domain_that_was_ever_answered_is_enough) {
  for (const bool others : {false, true}) {
    Watch watch;
    BOOST_TEST(watch.told(ServerStatus::kData, 0s, "_dstack-app-address.a.example.com") == "");
    BOOST_TEST(watch.told(ServerStatus::kNxDomain, 0s, others ? "a.org" : "b.example.com") == "");
    for (const auto second : {10s, 11s}) BOOST_TEST(watch.silent(second, "c.example.com") == "");
    BOOST_TEST(watch.silent(12s, "c.example.com") == (others ? "" : "stopped"));
  }
}

BOOST_AUTO_TEST_CASE(dead_domains_beside_one_that_is_answered_are_none) {
  Watch watch;
  for (int i = 0; i < 100; ++i) {
    BOOST_TEST(watch.silent(i * 1s, "dead.com") == "");
    BOOST_TEST(watch.silent(i * 1s, "dead.org") == "");
    BOOST_TEST(watch.answers(i * 1s + 900ms) == "");
  }
}

// Sent before that answer, and run out after it.
BOOST_AUTO_TEST_CASE(a_query_that_is_older_than_an_answer_says_nothing) {
  Watch watch;
  BOOST_TEST(watch.answers(3s) == "");
  for (const char* name : {"a.com", "b.com", "c.com", "d.com"}) {
    BOOST_TEST(watch.silent(1s, name) == "");
    BOOST_TEST(watch.silent(2900ms, name) == "");
  }
}

BOOST_AUTO_TEST_CASE(two_dead_domains_far_apart_are_none) {
  Watch watch;
  for (const auto second : {0s, 1s, 2s}) BOOST_TEST(watch.silent(second, "a.com") == "");
  for (const auto second : {400s, 401s, 402s}) BOOST_TEST(watch.silent(second, "b.com") == "");
}

BOOST_AUTO_TEST_CASE(
    a_port_that_refuses_and_a_network_that_is_not_there_are_one_whatever_the_name) {
  for (const ServerStatus status :
       {ServerStatus::kRefused, ServerStatus::kUnreachable, ServerStatus::kError}) {
    Watch watch;
    BOOST_TEST(watch.told(status, 0s, "a.com") == "");
    BOOST_TEST(watch.told(status, 1s, "a.com") == "");
    // It is being restarted.
    BOOST_TEST(watch.answers(1200ms) == "");
    for (const auto second : {2s, 3s}) BOOST_TEST(watch.told(status, second, "a.com") == "");
    BOOST_TEST(watch.told(status, 4s, "a.com") == "stopped");
  }
}

BOOST_AUTO_TEST_CASE(any_answer_is_one_and_a_forgery_is_nothing) {
  for (const auto& status : kServerStatuses) {
    Watch watch;
    for (const char* name : {"a.com", "b.com"}) watch.silent(0s, name);
    BOOST_TEST(watch.silent(2s, "c.com") == "stopped");
    const std::string news = watch.told(status.id, 10s, "d.com");
    BOOST_TEST(news == (is_answer(status.id) ? "back after 10" : ""), status.word);
  }
}

BOOST_AUTO_TEST_CASE(one_that_comes_and_goes_is_told_once_a_minute) {
  Watch watch;
  int lines = 0;
  for (int i = 0; i < 600; ++i) {
    for (const char* name : {"a.com", "b.com"}) lines += watch.silent(i * 5s, name) != "";
    lines += watch.silent(i * 5s + 2s, "c.com") != "";
    lines += watch.answers(i * 5s + 4s) != "";
  }
  BOOST_TEST(lines > 0);
  BOOST_TEST(lines <= 2 * 51);
}

BOOST_AUTO_TEST_CASE(each_server_is_judged_alone_and_a_reload_forgets_those_that_go) {
  Watch watch({kOne, kOther});
  for (int i = 0; i < 3; ++i) {
    const std::string name = "d" + std::to_string(i) + ".com";
    BOOST_TEST(watch.told(ServerStatus::kData, i * 1s, "a.com", kOther) == "");
    BOOST_TEST(watch.silent(i * 1s, name.c_str()) == (i < 2 ? "" : "stopped"));
  }
  watch.outages.set({kOther, kOne});
  BOOST_TEST(watch.silent(5s, "a.com") == "", "it is known already");
  watch.outages.set({kOther});
  BOOST_TEST(watch.answers(6s) == "");
  watch.outages.set({kOne});
  BOOST_TEST(watch.answers(7s) == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::dns
