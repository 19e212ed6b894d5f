#include "metrics/metrics.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iterator>
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
