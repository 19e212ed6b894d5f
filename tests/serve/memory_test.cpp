// A service for which each of its allocations fails once, and all from each of them on: it answers
// every request all the same, once, and nothing is left behind.
#include <sys/resource.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <map>
#include <new>
#include <string>

#include "base/memory_reserve.h"
#include "serve/service.h"
#include "tests/dns/server.h"

namespace http01 {
namespace {

enum class Failing { kNone, kOnce, kFromThenOn };

struct Allocations {
  Failing failing = Failing::kNone;
  long left = 0;  // that succeed before the first failure
  bool failed = false;

  bool fails() {
    if (failing == Failing::kNone || left-- > 0) return false;
    if (failing == Failing::kOnce && failed) return false;
    return failed = true;
  }
};
thread_local Allocations allocations;

}  // namespace
}  // namespace http01

// The unit tests' own, in place of the library's.
void* operator new(std::size_t size) {
  while (!http01::allocations.fails()) {
    if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) break;
    handler();
  }
  throw std::bad_alloc();
}
// A sanitizer has one of its own for this, which does not go with what follows.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return operator new(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace http01 {
namespace {

using namespace std::chrono_literals;

// A service and its name server, each on a loop of its own, so that memory fails for one alone.
struct PoorWorld {
  using Query = dns::testing::DnsServer::Query;

  PoorWorld() : server(server_loop, [this](const Query& query) { answer(query); }) {
    Config config;
    config.policy.gateways.wildcard_parents.push_back(*protocol::Name::from_text("phala.network"));
    config.dns.servers = {server.endpoint()};
    config.dns.timeout = 15ms;
    config.dns.attempts = 2;
    config.dns.deadline = 40ms;
    service.emplace(loop, log, std::move(config), "1.2.3",
                    [this](Service::Id id, const std::string& cgi) {
                      ++answers;
                      last_id = id;
                      if (allocations.failing == Failing::kNone) last = cgi;
                      ok = cgi.starts_with("Status: 307") || cgi.starts_with("Status: 200");
                      refused = cgi.starts_with("Status: 50");
                    });
  }

  void answer(const Query& query) {
    namespace t = dns::testing;
    t::Message message = query.reply();
    if (message.question.type == t::RecordType::kTxt &&
        message.question.name.first_label() == "_dstack-app-address") {
      message = query.text(std::string(40, 'a') + ":443");
    } else if (message.question.type == t::RecordType::kCname) {
      message.answer = {t::record("\xc0\x0c", 5, 60, t::wire("_.dstack-prod5.phala.network"))};
    } else {
      message.flags = t::kNxDomain;
    }
    server.send(query, message);
  }

  void turn(Failing failing) {
    loop.after(1ms, [this] { loop.stop(); });
    allocations.failing = failing;
    loop.run();
    allocations.failing = Failing::kNone;
    server_loop.after(base::Duration::zero(), [this] { server_loop.stop(); });
    server_loop.run();
  }

  // Whether an allocation has failed. While they fail there are three turns, then there is time.
  bool ask(Failing failing, long left, const std::string& host, const std::string& uri) {
    protocol::RawRequest raw;
    raw.method = "GET";
    raw.uri = uri;
    raw.host = host;
    raw.client = "127.0.0.1";
    const Service::Id id = next_id++;
    answers = 0;
    allocations = {failing, left, false};
    service->request(id, raw);
    allocations.failing = Failing::kNone;
    for (int i = 0; i < 3 && answers == 0; ++i) turn(failing);
    const auto end = base::Clock::now() + 10s;
    while (answers == 0 || service->in_flight() != 0) {
      BOOST_TEST_REQUIRE((base::Clock::now() < end), host << " after " << left << " allocations");
      turn(Failing::kNone);
    }
    BOOST_TEST_REQUIRE(answers == 1);
    BOOST_TEST_REQUIRE(last_id == id);
    BOOST_TEST_REQUIRE((ok || refused));
    return allocations.failed;
  }

  // What the page says of refusals for want of memory.
  long counted_for_memory() {
    ask(Failing::kNone, 0, "127.0.0.1", "/metrics");
    const std::string sample = "relay_overloaded_total{limit=\"memory\"} ";
    const std::size_t at = last.find(sample);
    BOOST_TEST_REQUIRE(at != std::string::npos);
    return std::stol(last.substr(at + sample.size()));
  }

  base::Loop loop;
  base::Loop server_loop;
  Log log{Log::Writing::kDirect};
  dns::testing::DnsServer server;
  std::optional<Service> service;
  Service::Id next_id = 1;
  int answers = 0;
  Service::Id last_id = 0;
  bool ok = false;
  bool refused = false;
  std::string last;  // answer
};

const std::string kPoorPath = "/.well-known/acme-challenge/token";

void every_allocation_fails(Failing failing, long step) {
  PoorWorld world;
  int names = 0;
  const auto fresh = [&] { return "n" + std::to_string(names++) + ".example.com"; };
  // Of a deadline of 40 ms a busy machine may take all, but not each time.
  const auto serves = [&] {
    const auto end = base::Clock::now() + 10s;
    do {
      world.ask(Failing::kNone, 0, fresh(), kPoorPath);
    } while (!world.ok && base::Clock::now() < end);
    return world.ok;
  };
  BOOST_TEST(serves());
  long at = 0;
  while (world.ask(failing, at, fresh(), kPoorPath)) at += step;
  BOOST_TEST(at > 50);
  BOOST_TEST(world.counted_for_memory() >= 10);
  for (at = 0; world.ask(failing, at, "127.0.0.1", "/metrics");) at += 10 * step;
  BOOST_TEST(serves(), "as well as before");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(memory)

BOOST_AUTO_TEST_CASE(an_allocation_that_fails_costs_its_request_at_most) {
  every_allocation_fails(Failing::kOnce, 1);
}

BOOST_AUTO_TEST_CASE(without_memory_requests_are_answered_once_there_is_some) {
  every_allocation_fails(Failing::kFromThenOn, 4);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
