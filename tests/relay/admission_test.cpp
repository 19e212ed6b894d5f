#include "relay/admission.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <ctime>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

namespace http01 {

BOOST_AUTO_TEST_SUITE(admission)

protocol::Request request_for(const std::string& domain, const std::string& client) {
  protocol::Request request;
  request.host.kind = protocol::HostKind::kDomain;
  request.host.text = domain;
  request.client = client;
  return request;
}

std::optional<Admission::Admitted> admit(Admission& admission, const Limits& limits,
                                         const protocol::Request& request) {
  auto admitted = admission.admit(limits, request);
  if (std::holds_alternative<protocol::Limit>(admitted)) return std::nullopt;
  return std::get<Admission::Admitted>(std::move(admitted));
}

std::string numbered_domain(std::size_t number) { return "d" + std::to_string(number) + ".com"; }

// One who has a /48 came from each of its networks, and took all the places that there are.
BOOST_AUTO_TEST_CASE(an_ipv6_site_has_ten_times_what_one_client_has) {
  Limits limits;
  limits.in_flight_per_client = 3;
  Admission admission;
  std::vector<Admission::Admitted> admitted;
  for (int network = 0; network < 100; ++network) {
    auto one = admit(admission, limits,
                     request_for(numbered_domain(admitted.size()),
                                 "2001:db8:7:" + std::to_string(network) + "::1"));
    if (one) admitted.push_back(*one);
  }
  BOOST_TEST(admitted.size() == 30u);
  // Others are not concerned, and a place that is free again is given again.
  for (const char* client : {"2001:db8:8::1", "192.0.2.1", "::ffff:192.0.2.1", ""}) {
    BOOST_TEST(admit(admission, limits, request_for("other.org", client)).has_value(), client);
  }
  admission.release(admitted.back());
  BOOST_TEST(admit(admission, limits, request_for("other.org", "2001:db8:7:ff::1")).has_value());
  BOOST_TEST(!admit(admission, limits, request_for("other.org", "2001:db8:7:fe::1")).has_value());
}

BOOST_AUTO_TEST_CASE(a_refusal_names_the_limit_that_is_reached) {
  using protocol::Limit;
  Limits limits;
  limits.in_flight = 5;
  limits.in_flight_per_client = 1;
  limits.in_flight_per_domain = 2;
  Admission admission;
  const auto refused = [&](const char* domain, const char* client) {
    return std::get<Limit>(admission.admit(limits, request_for(domain, client)));
  };
  BOOST_TEST(admit(admission, limits, request_for("a.com", "192.0.2.1")).has_value());
  BOOST_TEST((refused("b.com", "192.0.2.1") == Limit::kInFlightPerClient));
  BOOST_TEST(admit(admission, limits, request_for("x.a.com", "192.0.2.2")).has_value());
  BOOST_TEST((refused("y.a.com", "192.0.2.3") == Limit::kInFlightPerDomain));
  for (const char* client : {"192.0.2.4", "192.0.2.5", "192.0.2.6"}) {
    BOOST_TEST(admit(admission, limits, request_for(client, client)).has_value());
  }
  BOOST_TEST((refused("c.com", "192.0.2.7") == Limit::kInFlight));
}

BOOST_AUTO_TEST_CASE(an_ipv4_mapped_address_is_the_ipv4_client_and_no_ipv6_network_is_one) {
  BOOST_TEST(client_key("::ffff:32.1.13.184") == client_key("32.1.13.184"));
  // The same octets.
  BOOST_TEST(client_key("2001:db8::1") != client_key("32.1.13.184"));
  BOOST_TEST(client_key("2001:db8::1") == client_key("2001:db8::ffff:0:1"));
  BOOST_TEST(client_key("unix:") == "");
  Limits limits;
  limits.in_flight_per_client = 1;
  Admission admission;
  BOOST_TEST(admit(admission, limits, request_for("a.com", "192.0.2.1")).has_value());
  BOOST_TEST(!admit(admission, limits, request_for("b.com", "::ffff:192.0.2.1")).has_value());
  for (int host = 2; host < 30; ++host) {
    const std::string client = "::ffff:192.0.2." + std::to_string(host);
    BOOST_TEST(admit(admission, limits, request_for("b.com", client)).has_value(), client);
  }
}

// Of this thread, whatever else the machine does.
double cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// What one more request costs while those for all other names wait.
double cost_of_one_more(const std::vector<std::string>& names) {
  Limits limits;
  limits.in_flight = limits.in_flight_per_client = limits.in_flight_per_domain = 1'000'000;
  Admission admission;
  for (const std::string& name : names) {
    BOOST_REQUIRE(admit(admission, limits, request_for(name, "192.0.2.1")).has_value());
  }
  double least = 1e9;
  for (int round = 0; round < 5; ++round) {
    const double begun = cpu_seconds();
    for (int i = 0; i < 200; ++i) {
      // The first that came is the last in its bucket.
      const auto more = admit(admission, limits, request_for(names.front(), "192.0.2.1"));
      admission.release(*more);
    }
    least = std::min(least, cpu_seconds() - begun);
  }
  return least;
}

// Names that all fall into one bucket of a table with the library's own hash.
BOOST_AUTO_TEST_CASE(names_that_a_stranger_chose_cost_no_more_than_others) {
  constexpr std::size_t kNames = 2'000;
  std::unordered_set<std::string> table;
  std::vector<std::string> plain;
  while (plain.size() < kNames) plain.push_back(numbered_domain(plain.size()));
  for (const std::string& name : plain) table.insert(name);
  std::vector<std::string> chosen;
  for (std::size_t number = 0; chosen.size() < kNames; ++number) {
    std::string name = numbered_domain(number);
    if (std::hash<std::string>{}(name) % table.bucket_count() == 0) chosen.push_back(name);
  }
  const double usual = cost_of_one_more(plain);
  const double attacked = cost_of_one_more(chosen);
  BOOST_TEST(attacked < 3 * usual, attacked * 5e3 << " us, not " << usual * 5e3);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
