#include "metrics/metrics.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>

namespace http01 {

namespace {

protocol::Request request(const std::string& method, const std::string& uri) {
  protocol::RawRequest raw;
  raw.method = method;
  raw.uri = uri;
  raw.host = "app.example.com";
  return protocol::read_request(protocol::Policy{}, raw);
}

protocol::Reply reply(protocol::Reason reason, int status, const std::string& location = {}) {
  protocol::Reply made;
  made.reason = reason;
  made.response.status = protocol::http_status(status).value();
  made.response.location = location;
  return made;
}

// What a line of the page that begins like this says.
double value_of(const std::string& page, const std::string& sample) {
  const std::size_t at = ("\n" + page).find("\n" + sample + " ");
  BOOST_TEST_REQUIRE(at != std::string::npos, sample);
  return std::stod(page.substr(at + sample.size()));
}

// As Prometheus computes histogram_quantile(): within a bucket it takes all to be spread evenly.
double quantile(double wanted, const std::string& page, const std::string& family) {
  const std::regex bucket(family + "_bucket\\{.*le=\"([^\"]+)\"\\} (\\d+)");
  const double rank = wanted * value_of(page, family + "_count");
  double below = 0;
  double counted = 0;
  for (std::sregex_iterator at(page.begin(), page.end(), bucket), end; at != end; ++at) {
    const double bound = std::stod((*at)[1]);
    const double count = std::stod((*at)[2]);
    if (count >= rank) return below + (bound - below) * (rank - counted) / (count - counted);
    below = bound;
    counted = count;
  }
  return below;
}

bool has_line(const std::string& page, const std::string& line) {
  return ("\n" + page).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(metrics)

BOOST_AUTO_TEST_CASE(counts_are_true) {
  Metrics metrics("1.2.3");
  for (int i = 0; i < 3; ++i) {
    metrics.request(request("GET", "/.well-known/acme-challenge/t"),
                    reply(protocol::Reason::kOk, 307, "https://a.example"),
                    std::chrono::milliseconds(2));
  }
  protocol::Reply health = reply(protocol::Reason::kOk, 200);
  health.page = protocol::Page::kHealth;
  metrics.request(request("HEAD", "/health"), health, {});
  metrics.request(request("GET", "/.well-known/acme-challenge/t"),
                  reply(protocol::Reason::kTxtMissing, 404), {});
  metrics.on_lookup(protocol::RecordType::kTxt, protocol::Outcome::kNxDomain,
                    std::chrono::seconds(2));
  protocol::Reply ready = reply(protocol::Reason::kDnsTimeout, 503);
  ready.page = protocol::Page::kReady;
  metrics.request(request("GET", "/ready"), ready, {});
  protocol::Reply refused = reply(protocol::Reason::kOverloaded, 503);
  refused.limit = protocol::Limit::kInFlight;
  metrics.request(request("GET", "/"), refused, {});
  metrics.overloaded(protocol::Limit::kMemory);
  metrics.on_server(*base::Endpoint::parse("192.0.2.1", 53), dns::ServerStatus::kUnreachable);
  metrics.attempt(protocol::Reason::kOk);
  metrics.attempt(protocol::Reason::kOk);
  metrics.attempt(std::nullopt);
  metrics.on_cache_hit();
  metrics.on_cache_hit();
  metrics.on_cache_miss();
  const std::string page = metrics.page({7, 5, 11, 13});

  const std::string challenge = "path=\"/.well-known/acme-challenge/*\"";
  for (const std::string& line : {
           "http_requests_total{method=\"GET\"," + challenge + ",status=\"307\"} 3",
           "http_requests_total{method=\"GET\"," + challenge + ",status=\"404\"} 1",
           std::string("http_requests_total{method=\"HEAD\",path=\"/health\",status=\"200\"} 1"),
           std::string("redirects_total{status=\"307\"} 3"),
           std::string("relay_decisions_total{reason=\"ok\"} 3"),
           std::string("relay_decisions_total{reason=\"txt-missing\"} 1"),
           std::string("relay_decisions_total{reason=\"dns-timeout\"} 0"),
           std::string("dns_lookups_total{type=\"TXT\",status=\"nxdomain\"} 1"),
           std::string("dns_lookup_duration_seconds_bucket{le=\"1\"} 0"),
           std::string("dns_lookup_duration_seconds_bucket{le=\"2.5\"} 1"),
           std::string("dns_lookup_duration_seconds_bucket{le=\"+Inf\"} 1"),
           std::string("dns_lookup_duration_seconds_sum 2"),
           "http_request_duration_seconds_bucket{method=\"GET\"," + challenge + ",le=\"0.001\"} 1",
           "http_request_duration_seconds_bucket{method=\"GET\"," + challenge + ",le=\"0.0025\"} 4",
           "http_request_duration_seconds_count{method=\"GET\"," + challenge + "} 4",
           std::string(
               "dns_server_queries_total{server=\"192.0.2.1:53\",status=\"unreachable\"} 1"),
           std::string("relay_overloaded_total{limit=\"in_flight\"} 1"),
           std::string("relay_overloaded_total{limit=\"memory\"} 1"),
           std::string("relay_overloaded_total{limit=\"sockets\"} 0"),
           std::string("relay_attempts_total{outcome=\"ok\"} 2"),
           std::string("relay_attempts_total{outcome=\"mixed\"} 1"),
           std::string("relay_attempts_total{outcome=\"txt-missing\"} 0"),
           std::string("relay_ready 0"),
           std::string("relay_ready_checks_total{reason=\"dns-timeout\"} 1"),
           std::string("relay_ready_checks_total{reason=\"ok\"} 0"),
           std::string("relay_config_last_reload_successful 1"),
           std::string("dns_cache_hits_total 2"),
           std::string("dns_cache_misses_total 1"),
           std::string("http_requests_in_flight 7"),
           std::string("dns_in_flight 5"),
           std::string("dns_cache_entries 11"),
           std::string("relay_log_lines_dropped_total 13"),
       }) {
    BOOST_TEST(has_line(page, line), line);
  }
}

// With few buckets, a p95 of 3.1 s was read as 4.87 s.
BOOST_AUTO_TEST_CASE(a_quantile_among_time_outs_is_read_within_a_tenth) {
  for (std::chrono::milliseconds slow(1001); slow <= std::chrono::seconds(5);
       slow += std::chrono::milliseconds(7)) {
    Metrics metrics("1.2.3");
    for (int i = 0; i < 90; ++i) {
      metrics.on_lookup(protocol::RecordType::kTxt, protocol::Outcome::kData,
                        std::chrono::milliseconds(2));
    }
    for (int i = 0; i < 10; ++i) {
      metrics.on_lookup(protocol::RecordType::kTxt, protocol::Outcome::kTimeout, slow);
    }
    const std::string page = metrics.page({});
    const double truth = std::chrono::duration<double>(slow).count();
    for (const double wanted : {0.91, 0.95, 0.99}) {
      const double read = quantile(wanted, page, "dns_lookup_duration_seconds");
      BOOST_TEST(std::abs(read - truth) <= 0.1 * truth, read << " for " << truth);
    }
  }
}

BOOST_AUTO_TEST_CASE(whether_it_is_ready_is_shown_once_it_was_asked) {
  Metrics metrics("1.2.3");
  metrics.request(request("GET", "/ready"), reply(protocol::Reason::kForbidden, 403), {});
  BOOST_TEST(metrics.page({}).find("\nrelay_ready ") == std::string::npos);
  for (const bool is_ready : {false, true, false}) {
    protocol::Reply answer =
        is_ready ? reply(protocol::Reason::kOk, 200) : reply(protocol::Reason::kDnsFailure, 503);
    answer.page = protocol::Page::kReady;
    metrics.request(request("GET", "/ready"), answer, {});
    BOOST_TEST(has_line(metrics.page({}), is_ready ? "relay_ready 1" : "relay_ready 0"));
  }
}

BOOST_AUTO_TEST_CASE(a_start_and_a_reload_that_is_taken_are_successes) {
  const std::string success = "relay_config_last_reload_successful";
  const std::string when = "relay_config_last_reload_success_timestamp_seconds";
  Metrics metrics("1.2.3");
  const std::string started = metrics.page({});
  const auto now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch());
  BOOST_TEST(std::abs(value_of(started, when) - now.count()) < 60);
  BOOST_TEST(value_of(started, success) == 1);

  metrics.reloaded(false);
  const std::string refused = metrics.page({});
  BOOST_TEST(value_of(refused, success) == 0);
  BOOST_TEST(value_of(refused, when) == value_of(started, when));

  metrics.reloaded(true);
  const std::string taken = metrics.page({});
  BOOST_TEST(value_of(taken, success) == 1);
  BOOST_TEST(value_of(taken, when) >= value_of(started, when));
}

BOOST_AUTO_TEST_CASE(no_label_comes_from_a_request) {
  Metrics metrics("1.2.3");
  metrics.request(request("BREW\"} 1\n", "/some/path"), reply(protocol::Reason::kNotFound, 404),
                  {});
  const std::string page = metrics.page({});
  BOOST_TEST(has_line(page, "http_requests_total{method=\"other\",path=\"/*\",status=\"404\"} 1"));
  BOOST_TEST(page.find("BREW") == std::string::npos);
  BOOST_TEST(page.find("/some/path") == std::string::npos);
  BOOST_TEST(page.find("app.example.com") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(every_sample_belongs_to_the_family_announced_before_it) {
  Metrics metrics("1.2.3");
  metrics.request(request("GET", "/"), reply(protocol::Reason::kOk, 200), {});
  std::istringstream page(metrics.page({}));
  std::string family;
  std::size_t samples = 0;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("# TYPE ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
    } else if (!line.starts_with("#")) {
      BOOST_TEST(line.starts_with(family), line);
      ++samples;
    }
  }
  BOOST_TEST(samples > 40u);
}

// The process_... families are Prometheus' own names for what any process has.
BOOST_AUTO_TEST_CASE(every_family_is_in_the_readme) {
  std::ifstream file(TESTS_DIR "/../README.md");
  const std::string readme{std::istreambuf_iterator<char>(file), {}};
  std::istringstream page(Metrics("1.2.3").page({}));
  int families = 0;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("# TYPE ")) continue;
    const std::string family = line.substr(7, line.find(' ', 7) - 7);
    ++families;
    if (family.starts_with("process_")) continue;
    BOOST_TEST(readme.find("`" + family + "`") != std::string::npos, family);
  }
  BOOST_TEST(families > 10);
}

BOOST_AUTO_TEST_CASE(the_process_describes_itself) {
  const std::string page = Metrics("1.2.3").page({});
  for (const char* name :
       {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds",
        "process_open_fds", "process_max_fds", "relay_build_info{version="}) {
    BOOST_TEST(page.find(std::string("\n") + name) != std::string::npos, name);
  }
  const std::size_t at = page.find("\nprocess_start_time_seconds ");
  const double started = std::stod(page.substr(page.find(' ', at + 1)));
  const auto now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch());
  BOOST_TEST(now.count() - started < 24 * 3600.0);
  BOOST_TEST(now.count() - started > -2.0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
