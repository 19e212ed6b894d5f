#include "serve/drain.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <boost/test/unit_test.hpp>
#include <string>

#include "tests/dns/server.h"
#include "tests/transport/records.h"

namespace http01 {

BOOST_AUTO_TEST_SUITE(draining)

using namespace std::chrono_literals;

BOOST_AUTO_TEST_CASE(what_is_still_held_at_the_end_of_a_stop_gets_its_time_out) {
  base::Loop loop;
  Log log(Log::Writing::kDirect);
  const dns::testing::DnsServer silent(loop, [](const auto&) {});
  Config config;
  config.policy.gateways.wildcard_parents.push_back(*protocol::Name::from_text("phala.network"));
  config.dns.servers = {silent.endpoint()};
  config.dns.deadline = 20s;

  base::Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socklen_t size = sizeof(sa_family_t);  // any abstract name
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  BOOST_REQUIRE(::bind(listener.get(), name, size) == 0 && ::listen(listener.get(), 1) == 0);
  size = sizeof address;
  BOOST_REQUIRE(::getsockname(listener.get(), name, &size) == 0);
  const base::Fd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  BOOST_REQUIRE(::connect(client.get(), name, size) == 0);

  std::optional<transport::FastCgiServer> fastcgi;
  Service service(loop, log, std::move(config), "1.2.3",
                  [&](Service::Id id, const std::string& cgi) { fastcgi->reply(id, cgi); });
  fastcgi.emplace(loop, std::move(listener),
                  transport::FastCgiServer::Handlers{[&](Service::Id id, const auto& raw) {
                                                       service.request(id, raw);
                                                       drain(loop, *fastcgi, service, {50ms, 10s});
                                                     },
                                                     [&](Service::Id id) { service.forget(id); },
                                                     {}});
  const std::string request = fastcgi_records::request("/.well-known/acme-challenge/token");
  BOOST_REQUIRE(::send(client.get(), request.data(), request.size(), 0) ==
                static_cast<ssize_t>(request.size()));
  const auto begun = base::Clock::now();
  loop.run();
  const auto took = base::Clock::now() - begun;
  BOOST_TEST((took >= 50ms && took < 5s));
  std::string answer(4096, '\0');
  answer.resize(static_cast<std::size_t>(
      std::max<ssize_t>(::recv(client.get(), answer.data(), answer.size(), 0), 0)));
  BOOST_TEST(answer.find("Status: 504") != std::string::npos, answer);
  BOOST_TEST(answer.find("X-Relay-Reason: dns-timeout") != std::string::npos);
  BOOST_TEST(service.in_flight() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
