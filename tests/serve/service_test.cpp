// Service with a real resolver: requests go in, a name server on the same loop answers, and CGI
// responses come out.
#include "serve/service.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/dns/server.h"

namespace http01 {
namespace {

const std::string kServedId = "5b912f5cec6c02d851db76bc20f410700f01fc65";
const std::string kServedGateway = "dstack-prod5.phala.network";
const std::string kServedPath = "/.well-known/acme-challenge/token";
const std::string kServedLocation = "https://" + kServedId + "." + kServedGateway + kServedPath;

// A name server that knows every domain as a good one. It keeps queries back while it is held.
struct Upstream {
  using Query = dns::testing::DnsServer::Query;

  explicit Upstream(base::Loop& loop) : server(loop, [this](const Query& query) { take(query); }) {}

  void take(const Query& query) {
    if (held) {
      kept.push_back(query);
    } else {
      answer(query);
    }
  }
  void release() {
    held = false;
    for (const Query& query : kept) answer(query);
    kept.clear();
  }
  void answer(const Query& query) {
    namespace t = dns::testing;
    t::Message message = query.reply();
    if (message.question.type == t::RecordType::kTxt &&
        message.question.name.first_label() == "_dstack-app-address") {
      message = query.text(kServedId + ":443");
    } else if (message.question.type == t::RecordType::kCname) {
      message.answer = {t::record("\xc0\x0c", 5, 60, t::wire("_." + kServedGateway))};
    } else {
      message.flags = t::kNxDomain;
    }
    server.send(query, message);
  }
  std::size_t asked() { return server.queries_so_far().size(); }

  bool held = false;
  std::vector<Query> kept;
  dns::testing::DnsServer server;
};

// A service on a loop with its name server, its log in a file, and the answers it has given.
struct ServedWorld {
  using Change = std::function<void(Config&)>;

  explicit ServedWorld(Change change = {}) : upstream(loop), always(std::move(change)) {
    std::string form = (std::filesystem::temp_directory_path() / "http01-service-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(form.data()) != nullptr);
    directory = form;
    BOOST_REQUIRE(
        bool(log.open({LogLevel::kInfo, LogFormat::kText, (directory / "relay.log").string()})));
    start(service);
  }
  ~ServedWorld() { std::filesystem::remove_all(directory); }

  Config config(const Change& change = {}) const {
    Config made;
    made.policy.gateways.wildcard_parents.push_back(*protocol::Name::from_text("phala.network"));
    made.dns.servers = {upstream.server.endpoint()};
    if (always) always(made);
    if (change) change(made);
    return made;
  }
  void start(std::optional<Service>& one, const Change& change = {}) {
    one.emplace(loop, log, config(change), "1.2.3", [this](Service::Id id, const std::string& cgi) {
      BOOST_TEST(answers.emplace(id, cgi).second, "answered twice: " << id);
      if (then) then(id);
    });
  }

  static protocol::RawRequest raw(const std::string& host, const std::string& uri,
                                  const std::string& method = "GET",
                                  const std::string& client = "192.0.2.1") {
    protocol::RawRequest request;
    request.method = method;
    request.uri = uri;
    request.host = host;
    request.client = client;
    return request;
  }
  void challenge(Service::Id id, const std::string& domain,
                 const std::string& client = "192.0.2.1") {
    service->request(id, raw(domain, kServedPath, "GET", client));
  }
  // Of the relay itself, which answers it at once.
  std::string page(const std::string& uri, const std::string& method = "GET") {
    const Service::Id id = next_page_id++;
    service->request(id, raw("localhost", uri, method, "127.0.0.1"));
    return answer(id);
  }

  // Turns the loop until the condition holds, for ten seconds at most.
  void run_until(const std::function<bool()>& done) {
    const auto end = base::Clock::now() + std::chrono::seconds(10);
    while (!done()) {
      BOOST_TEST_REQUIRE((base::Clock::now() < end));
      turn();
    }
  }
  void turn() {
    loop.after(std::chrono::milliseconds(1), [this] { loop.stop(); });
    loop.run();
  }
  std::string answer(Service::Id id) {
    run_until([&] { return answers.contains(id); });
    return answers[id];
  }
  // Until the name server has heard this many queries.
  void run_until_asked(std::size_t queries) {
    run_until([&] { return upstream.asked() >= queries; });
  }

  std::string log_text() const {
    std::ifstream file(directory / "relay.log");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  base::Loop loop;
  Log log{Log::Writing::kDirect};
  Upstream upstream;
  Change always;  // of the configuration
  std::filesystem::path directory;
  std::map<Service::Id, std::string> answers;
  std::function<void(Service::Id)> then;  // called after each answer
  Service::Id next_page_id = 1000;
  std::optional<Service> service;
};

bool is_status(const std::string& cgi, const std::string& status) {
  return cgi.starts_with("Status: " + status + " ");
}
std::string location_in(const std::string& cgi) {
  const std::string header = "\r\nLocation: ";
  const std::size_t at = cgi.find(header);
  if (at == std::string::npos) return "";
  const std::size_t begin = at + header.size();
  return cgi.substr(begin, cgi.find("\r\n", begin) - begin);
}
std::string body_of(const std::string& cgi) { return cgi.substr(cgi.find("\r\n\r\n") + 4); }
bool shows(const std::string& page, const std::string& line) {
  return page.find("\n" + line + "\n") != std::string::npos;
}
std::size_t lines_with(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(service)

BOOST_AUTO_TEST_CASE(a_request_is_answered_with_the_redirect_once_the_dns_has_answered) {
  ServedWorld world;
  world.upstream.held = true;
  world.challenge(1, "app.example.com");
  world.run_until_asked(2);
  world.turn();
  BOOST_TEST(world.answers.empty());
  BOOST_TEST(world.service->in_flight() == 1u);

  world.upstream.release();
  const std::string answer = world.answer(1);
  BOOST_TEST(is_status(answer, "307"), answer);
  BOOST_TEST(location_in(answer) == kServedLocation);
  BOOST_TEST(world.service->in_flight() == 0u);
}

BOOST_AUTO_TEST_CASE(the_answer_to_a_head_request_has_no_body) {
  ServedWorld world;
  BOOST_TEST(body_of(world.page("/health")) == "OK");
  const std::string answer = world.page("/health", "HEAD");
  BOOST_TEST(is_status(answer, "200"), answer);
  BOOST_TEST(body_of(answer) == "");
}

BOOST_AUTO_TEST_CASE(its_own_pages_are_served) {
  ServedWorld world;
  BOOST_TEST(body_of(world.page("/health")) == "OK");
  BOOST_TEST(world.upstream.asked() == 0u);

  const std::string ready = world.page("/ready");
  BOOST_TEST(is_status(ready, "200"), ready);
  BOOST_TEST(body_of(ready) == "OK");
  BOOST_TEST(world.upstream.asked() == 1u);

  const std::string index = world.page("/");
  BOOST_TEST(is_status(index, "200"), index);
  BOOST_TEST(body_of(index).starts_with("<!doctype html>"));
}

BOOST_AUTO_TEST_CASE(a_request_is_counted_before_it_is_answered) {
  ServedWorld world;
  std::string metrics;
  world.then = [&](Service::Id id) {
    if (id == 1) metrics = world.page("/metrics");
  };
  world.challenge(1, "app.example.com");
  world.answer(1);
  const std::string challenge = "method=\"GET\",path=\"/.well-known/acme-challenge/*\"";
  BOOST_TEST(shows(metrics, "http_requests_total{" + challenge + ",status=\"307\"} 1"), metrics);
  BOOST_TEST(shows(metrics, "relay_decisions_total{reason=\"ok\"} 1"));
  BOOST_TEST(shows(metrics, "redirects_total{status=\"307\"} 1"));

  world.challenge(2, "nodots..example.com");
  metrics = world.page("/metrics");
  BOOST_TEST(shows(metrics, "relay_decisions_total{reason=\"bad-host\"} 1"), metrics);
}

BOOST_AUTO_TEST_CASE(the_metrics_page_shows_what_is_under_way) {
  ServedWorld world;
  world.upstream.held = true;
  world.challenge(1, "app.example.com");
  const std::string metrics = world.page("/metrics");
  BOOST_TEST(shows(metrics, "http_requests_in_flight 1"), metrics);
  BOOST_TEST(shows(metrics, "dns_in_flight 2"));
}

BOOST_AUTO_TEST_CASE(each_request_is_logged_with_what_it_was_answered) {
  ServedWorld world;
  world.challenge(1, "app.example.com");
  world.answer(1);
  world.challenge(2, "app.example.com");
  const std::string text = world.log_text();
  BOOST_TEST(lines_with(text, " reason=ok status=307 method=GET host=app.example.com ") == 2u,
             text);
  BOOST_TEST(lines_with(text, " cache=miss\n") == 1u, text);
  BOOST_TEST(lines_with(text, " cache=hit\n") == 1u, text);
}

BOOST_AUTO_TEST_CASE(a_forgotten_request_is_not_answered) {
  ServedWorld world;
  world.upstream.held = true;
  world.challenge(1, "app.example.com");
  world.challenge(2, "app.example.com");
  world.run_until_asked(2);
  world.service->forget(1);
  BOOST_TEST(world.service->in_flight() == 1u);
  world.upstream.release();
  world.answer(2);
  BOOST_TEST(!world.answers.contains(1));
  world.service->forget(2);  // which has been answered
  world.service->forget(3);  // which never was
}

BOOST_AUTO_TEST_CASE(a_forgotten_examination_is_not_answered) {
  ServedWorld world([](Config& config) { config.policy.public_check = true; });
  world.upstream.held = true;
  const std::string uri = "/check?format=json&domain=app.example.com";
  world.service->request(1, ServedWorld::raw("localhost", uri));
  world.service->request(2, ServedWorld::raw("localhost", uri));
  world.run_until_asked(1);
  BOOST_TEST(world.service->in_flight() == 2u);
  world.service->forget(1);
  BOOST_TEST(world.service->in_flight() == 1u);
  world.upstream.release();
  BOOST_TEST(is_status(world.answer(2), "200"));
  BOOST_TEST(!world.answers.contains(1));
}

BOOST_AUTO_TEST_CASE(a_domain_that_a_new_configuration_denies_is_refused) {
  ServedWorld world;
  world.challenge(1, "app.example.com");
  BOOST_TEST(is_status(world.answer(1), "307"));
  world.upstream.held = true;
  world.challenge(2, "other.example.com");  // waits while the configuration changes
  world.run_until_asked(4);

  world.service->reconfigure(world.config([](Config& config) {
    config.policy.domains_deny.push_back(*protocol::Name::from_text("example.com"));
  }));
  world.challenge(3, "app.example.com");
  const std::string answer = world.answer(3);
  BOOST_TEST(is_status(answer, "403"), answer);
  world.upstream.release();
  BOOST_TEST(is_status(world.answer(2), "403"));
  BOOST_TEST(world.service->config().policy.domains_deny.size() == 1u);

  world.service->reconfigure(world.config());
  world.challenge(4, "app.example.com");
  BOOST_TEST(is_status(world.answer(4), "307"));
}

BOOST_AUTO_TEST_CASE(the_name_servers_of_a_new_configuration_are_asked) {
  ServedWorld world;
  world.challenge(1, "app.example.com");
  world.answer(1);
  BOOST_TEST(world.upstream.asked() == 2u);

  Upstream other(world.loop);
  world.service->reconfigure(
      world.config([&](Config& config) { config.dns.servers = {other.server.endpoint()}; }));
  world.challenge(2, "other.example.com");
  BOOST_TEST(is_status(world.answer(2), "307"));
  BOOST_TEST(other.asked() == 2u);
  BOOST_TEST(world.upstream.asked() == 2u);
}

BOOST_AUTO_TEST_CASE(a_new_configuration_turns_the_check_page_on_and_tells_it_whom_to_ask) {
  ServedWorld world;
  BOOST_TEST(is_status(world.page("/check"), "404"));
  const auto open = [](Config& config) { config.policy.public_check = true; };
  world.service->reconfigure(world.config(open));
  BOOST_TEST(is_status(world.page("/check"), "200"));
  BOOST_TEST(world.upstream.asked() == 0u);
  const std::string uri = "/check?format=json&domain=app.example.com";
  const std::string report = world.page(uri);
  BOOST_TEST(is_status(report, "200"), report);
  BOOST_TEST(body_of(report).find(kServedId) != std::string::npos, report);
  const std::size_t asked = world.upstream.asked();
  BOOST_TEST(asked > 0u);

  Upstream other(world.loop);
  world.service->reconfigure(world.config([&](Config& config) {
    open(config);
    config.dns.servers = {other.server.endpoint()};
  }));
  BOOST_TEST(is_status(world.page(uri), "200"));
  BOOST_TEST(other.asked() > 0u);
  BOOST_TEST(world.upstream.asked() == asked);
}

BOOST_AUTO_TEST_CASE(few_descriptors_are_shared_between_requests_and_sockets) {
  // A quarter is kept back, and a waiting request counts for three: its connection and two sockets.
  ServedWorld world;
  BOOST_TEST(world.service->fit_to_descriptors(8) == 2u);
  BOOST_TEST(world.service->fit_to_descriptors(400) == 100u);
  BOOST_TEST(world.service->fit_to_descriptors(0) == 0u);
  // The check page takes a quarter of what is left.
  ServedWorld checking([](Config& config) { config.policy.public_check = true; });
  BOOST_TEST(checking.service->fit_to_descriptors(400) == 75u);
}

BOOST_AUTO_TEST_CASE(the_descriptors_that_a_configuration_asks_for_serve_all_its_requests) {
  for (const bool public_check : {false, true}) {
    for (const std::size_t in_flight : {1000u, 10'000u, 100'000u}) {
      ServedWorld world([&](Config& config) {
        config.policy.public_check = public_check;
        config.limits.in_flight = in_flight;
      });
      const std::size_t descriptors = Service::descriptors_for(world.service->config());
      BOOST_TEST(world.service->fit_to_descriptors(descriptors) == in_flight);
      BOOST_TEST(world.service->fit_to_descriptors(descriptors + 1000) == in_flight);
      BOOST_TEST(world.service->fit_to_descriptors(descriptors - 3) == in_flight - 1);
    }
  }
}

// Its line had cache=hit, and nothing said which of the limits it was.
BOOST_AUTO_TEST_CASE(a_request_that_is_refused_names_its_limit_in_the_log_and_in_the_counters) {
  const std::vector<std::pair<std::string, ServedWorld::Change>> limits{
      {"in_flight", [](Config& config) { config.limits.in_flight = 1; }},
      {"in_flight_per_client", [](Config& config) { config.limits.in_flight_per_client = 1; }},
      {"in_flight_per_domain", [](Config& config) { config.limits.in_flight_per_domain = 1; }},
      {"sockets", {}}};
  for (const auto& [limit, change] : limits) {
    ServedWorld world(change);
    world.upstream.held = true;
    world.challenge(1, "a.example.com");
    if (limit == "sockets") {
      BOOST_REQUIRE(world.service->fit_to_descriptors(8) == 2u);
      world.challenge(2, "b.example.com");
      world.run_until_asked(4);
      world.service->forget(1);
      world.service->forget(2);
    }
    world.challenge(3, "c.example.com");
    BOOST_TEST(is_status(world.answer(3), "503"));
    const std::string text = world.log_text();
    BOOST_TEST(lines_with(text, " reason=overloaded ") == 1u, text);
    BOOST_TEST(lines_with(text, " limit=" + limit + "\n") == 1u, text);
    BOOST_TEST(lines_with(text, "cache=") == 0u, text);
    const std::string metrics = world.page("/metrics");
    for (const auto& [other, unused] : limits) {
      BOOST_TEST(shows(metrics, "relay_overloaded_total{limit=\"" + other + "\"} " +
                                    (other == limit ? "1" : "0")),
                 limit << " and " << other);
    }
  }
}

// Nothing was looked for in the cache, so nothing was found there.
BOOST_AUTO_TEST_CASE(a_request_that_needs_no_answer_is_logged_without_a_cache) {
  ServedWorld world;
  world.page("/health");
  world.page("/metrics");
  world.challenge(1, "a..b");
  world.challenge(2, "x.dstack-prod5.phala.network");
  world.answer(2);
  const std::string text = world.log_text();
  BOOST_TEST(lines_with(text, " reason=") == 4u, text);
  BOOST_TEST(lines_with(text, "cache=") == 0u, text);
}

BOOST_AUTO_TEST_CASE(no_more_requests_wait_than_there_are_descriptors_for) {
  ServedWorld world;
  BOOST_REQUIRE(world.service->fit_to_descriptors(8) == 2u);
  world.upstream.held = true;
  world.challenge(1, "app.example.com");
  world.challenge(2, "app.example.com");
  BOOST_TEST(world.service->in_flight() == 2u);
  // It needs no socket, since the same names are being looked up already.
  world.challenge(3, "app.example.com");
  BOOST_TEST(world.service->in_flight() == 2u);
  const std::string refused = world.answer(3);
  BOOST_TEST(is_status(refused, "503"), refused);
  BOOST_TEST(body_of(refused).starts_with("overloaded: "), refused);

  world.upstream.release();
  BOOST_TEST(is_status(world.answer(1), "307"));
  BOOST_TEST(is_status(world.answer(2), "307"));
  world.challenge(4, "other.example.com");
  BOOST_TEST(is_status(world.answer(4), "307"));
}

BOOST_AUTO_TEST_CASE(no_more_lookups_have_sockets_than_there_are_descriptors_for) {
  ServedWorld world;
  BOOST_REQUIRE(world.service->fit_to_descriptors(8) == 2u);
  world.upstream.held = true;
  world.challenge(1, "a.example.com");
  world.challenge(2, "b.example.com");
  world.run_until_asked(4);
  // The look-ups go on, for the cache, and keep their four sockets.
  world.service->forget(1);
  world.service->forget(2);
  BOOST_TEST(world.service->in_flight() == 0u);
  world.challenge(3, "c.example.com");
  const std::string refused = world.answer(3);
  BOOST_TEST(is_status(refused, "503"), refused);
  BOOST_TEST(body_of(refused).starts_with("overloaded: "), refused);
  BOOST_TEST(world.upstream.asked() == 4u);
  // To wait for one of them takes no other socket.
  world.challenge(4, "a.example.com");
  BOOST_TEST(world.service->in_flight() == 1u);

  world.upstream.release();
  BOOST_TEST(is_status(world.answer(4), "307"));
  world.challenge(5, "c.example.com");
  BOOST_TEST(is_status(world.answer(5), "307"));
}

BOOST_AUTO_TEST_CASE(requests_for_one_token_are_logged_as_one_attempt_where_that_is_wanted) {
  for (const bool wanted : {false, true}) {
    ServedWorld world;
    if (wanted) world.service->tell_attempts();
    Service::Id id = 0;
    for (const char* client : {"192.0.2.1", "192.0.2.2", "192.0.2.3"}) {
      world.challenge(++id, "app.example.com", client);
      world.answer(id);
    }
    world.page("/health");
    BOOST_TEST(lines_with(world.log_text(), "event=attempt") == 0u);
    world.service->tell_open_attempts();
    const std::string text = world.log_text();
    BOOST_TEST(lines_with(text, "event=attempt") == (wanted ? 1u : 0u), text);
    BOOST_TEST(lines_with(text,
                          " outcome=ok requests=3 clients=3 host=app.example.com token=token "
                          "answers=ok:3 ") == (wanted ? 1u : 0u),
               text);
    world.service->tell_open_attempts();
    BOOST_TEST(world.log_text() == text);
  }
}

BOOST_AUTO_TEST_CASE(an_attempt_that_gives_way_to_others_is_logged_then) {
  ServedWorld world;
  world.service->tell_attempts();
  world.challenge(1, "app.example.com");
  world.answer(1);
  for (std::size_t i = 0; i < Attempts::kMost; ++i) {
    world.service->request(2 + i,
                           ServedWorld::raw("app.example.com", kServedPath + std::to_string(i)));
  }
  BOOST_TEST(lines_with(world.log_text(), "event=attempt") == 1u);
  world.service->tell_open_attempts();
  BOOST_TEST(lines_with(world.log_text(), "event=attempt") == 1 + Attempts::kMost);
}

BOOST_AUTO_TEST_CASE(attempts_are_counted_where_the_log_hides_them_too) {
  ServedWorld world;
  BOOST_REQUIRE(bool(world.log.open(
      {LogLevel::kWarn, LogFormat::kText, (world.directory / "relay.log").string()})));
  world.service->tell_attempts();
  world.challenge(1, "app.example.com");
  world.answer(1);
  world.challenge(2, "app.example.com");
  world.answer(2);
  world.service->tell_open_attempts();
  BOOST_TEST(world.log_text() == "");
  const std::string metrics = world.page("/metrics");
  BOOST_TEST(shows(metrics, "relay_attempts_total{outcome=\"ok\"} 1"), metrics);
  BOOST_TEST(shows(metrics, "relay_attempts_total{outcome=\"mixed\"} 0"));
}

BOOST_AUTO_TEST_CASE(services_with_one_state_file_count_together) {
  ServedWorld world;
  const auto counted = [&](Config& config) { config.state_file = world.directory / "state"; };
  world.start(world.service, counted);
  world.service->open_state_file();
  std::optional<Service> second;
  world.start(second, counted);
  second->open_state_file();
  second->request(1, ServedWorld::raw("app.example.com", kServedPath));
  world.answer(1);
  world.upstream.held = true;
  second->request(2, ServedWorld::raw("other.example.com", kServedPath));
  world.turn();
  const std::string metrics = world.page("/metrics");
  BOOST_TEST(shows(metrics, "relay_decisions_total{reason=\"ok\"} 1"), metrics);
  BOOST_TEST(shows(metrics, "http_requests_in_flight 1"), metrics);
  second->forget(2);
  world.turn();
  BOOST_TEST(shows(world.page("/metrics"), "http_requests_in_flight 0"));
  BOOST_TEST(world.log_text().find("state_file") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_state_file_that_cannot_be_used_is_logged_and_counting_goes_on) {
  ServedWorld world;
  world.start(world.service,
              [&](Config& config) { config.state_file = world.directory / "absent" / "state"; });
  world.service->open_state_file();
  const std::string text = world.log_text();
  BOOST_TEST(lines_with(text, " level=error message=\"service.state_file: ") == 1u, text);
  BOOST_TEST(lines_with(text, "this process counts alone") == 1u, text);
  world.page("/health");
  BOOST_TEST(shows(world.page("/metrics"),
                   "http_requests_total{method=\"GET\",path=\"/health\",status=\"200\"} 1"));
}

BOOST_AUTO_TEST_CASE(a_state_file_that_was_removed_is_logged_and_counting_goes_on_in_a_new_one) {
  ServedWorld world;
  const auto file = world.directory / "state";
  world.start(world.service, [&](Config& config) { config.state_file = file; });
  world.service->open_state_file();
  BOOST_REQUIRE(std::filesystem::remove(file));
  world.page("/health");
  const std::string text = world.log_text();
  BOOST_TEST(lines_with(text, " level=warning message=\"service.state_file: ") == 1u, text);
  BOOST_TEST(lines_with(text, "was removed") == 1u, text);
  BOOST_TEST(std::filesystem::exists(file));
  BOOST_TEST(shows(world.page("/metrics"),
                   "http_requests_total{method=\"GET\",path=\"/health\",status=\"200\"} 1"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
