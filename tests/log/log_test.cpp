#include "log/log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string_view>
#include <thread>
#include <utility>

#include "base/fd.h"

namespace http01 {

namespace {

using namespace std::string_view_literals;

struct LogFile {
  LogFile() {
    std::string form = (std::filesystem::temp_directory_path() / "http01-log-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(form.data()) != nullptr);
    directory = form;
    path = directory / "relay.log";
  }
  ~LogFile() { std::filesystem::remove_all(directory); }

  std::string text() const {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  LogSettings settings(LogFormat format) const { return {LogLevel::kInfo, format, path.string()}; }

  std::filesystem::path directory;
  std::filesystem::path path;
};

protocol::Request request_to(const std::string& host, const std::string& uri,
                             const std::string& method) {
  protocol::RawRequest raw;
  raw.method = method;
  raw.uri = uri;
  raw.host = host;
  raw.client = "192.0.2.1";
  return protocol::read_request(protocol::Policy{}, raw);
}

protocol::Reply redirected() {
  protocol::Reply reply;
  reply.response.status = protocol::HttpStatus::kTemporaryRedirect;
  reply.target.app = protocol::AppAddress{"5b912f5cec6c02d851db76bc20f410700f01fc65", "443"};
  reply.target.gateway = protocol::Name::from_text("gw.example.net");
  return reply;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(log)

BOOST_AUTO_TEST_CASE(a_request_is_one_line_that_says_what_happened) {
  LogFile file;
  Log log(Log::Writing::kDirect);
  BOOST_REQUIRE(bool(log.open(file.settings(LogFormat::kText))));
  log.request(request_to("app.example.com", "/.well-known/acme-challenge/abcdefghij", "GET"),
              redirected(),
              {std::chrono::microseconds(1500), std::chrono::microseconds(1750), true,
               protocol::RequestTimes::Cache::kMiss});
  const std::regex line(
      R"(time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info reason=ok status=307 method=GET )"
      R"(host=app\.example\.com path=/\.well-known/acme-challenge/\* token=abcdef )"
      R"(app_id=5b912f5cec6c02d851db76bc20f410700f01fc65 gateway=gw\.example\.net )"
      R"(client=192\.0\.2\.1 dns_ms=1\.500 total_ms=1\.750 cache=miss\n)");
  BOOST_TEST(std::regex_match(file.text(), line), file.text());
}

BOOST_AUTO_TEST_CASE(a_request_is_one_json_object_where_json_is_wanted) {
  LogFile file;
  Log log(Log::Writing::kDirect);
  BOOST_REQUIRE(bool(log.open(file.settings(LogFormat::kJson))));
  log.request(request_to("app.example.com", "/", "GET"), redirected(),
              {{}, {}, false, protocol::RequestTimes::Cache::kHit});
  const std::regex line(
      R"(\{"time":"[-0-9T:.]+Z","level":"info","reason":"ok","status":307,"method":"GET",)"
      R"("host":"app\.example\.com","path":"/","app_id":"5b912f5cec6c02d851db76bc20f410700f01fc65",)"
      R"("gateway":"gw\.example\.net","client":"192\.0\.2\.1","dns_ms":0\.000,"total_ms":0\.000,)"
      R"("cache":"hit"\}\n)");
  BOOST_TEST(std::regex_match(file.text(), line), file.text());
}

// An overloaded request had cache=hit, without an answer that was in any cache.
BOOST_AUTO_TEST_CASE(an_overloaded_request_names_its_limit_and_no_cache) {
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    LogFile file;
    Log log(Log::Writing::kDirect);
    BOOST_REQUIRE(bool(log.open(file.settings(format))));
    protocol::Reply reply;
    reply.reason = protocol::Reason::kOverloaded;
    reply.limit = protocol::Limit::kInFlightPerClient;
    log.request(request_to("app.example.com", "/", "GET"), reply, {});
    BOOST_TEST(file.text().ends_with(format == LogFormat::kText
                                         ? " total_ms=0.000 limit=in_flight_per_client\n"
                                         : ",\"limit\":\"in_flight_per_client\"}\n"),
               file.text());
  }
}

BOOST_AUTO_TEST_CASE(a_check_names_the_domain_that_was_asked_for_escaped) {
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    LogFile file;
    Log log(Log::Writing::kDirect);
    BOOST_REQUIRE(bool(log.open(file.settings(format))));
    protocol::Reply reply;
    reply.checked = "a b\"\nreason=forged";
    log.request(request_to("localhost", "/check", "GET"), reply, {});
    BOOST_TEST(
        file.text().find(format == LogFormat::kText
                             ? " domain=a\\032b\\034\\010reason"
                             : ",\"domain\":\"a\\\\032b\\\\034\\\\010reason") != std::string::npos,
        file.text());
  }
}

BOOST_AUTO_TEST_CASE(an_attempt_is_a_line_beside_those_of_its_requests) {
  Attempt attempt;
  attempt.host = "app.example.com";
  attempt.token = "abcdefghij";
  attempt.last = attempt.begun + std::chrono::microseconds(1'500'250);
  attempt.requests = 5;
  attempt.clients = {"192.0.2.1", "192.0.2.2", "2001:db8::1"};
  attempt.reasons[protocol::Reason::kOk] = 4;
  attempt.reasons[protocol::Reason::kDnsTimeout] = 1;
  LogFile file;
  Log log(Log::Writing::kDirect);
  BOOST_TEST(!log.tells_requests());
  BOOST_REQUIRE(bool(log.open(file.settings(LogFormat::kText))));
  BOOST_TEST(log.tells_requests());
  log.attempt(attempt);
  BOOST_TEST(
      file.text().ends_with(
          " level=info event=attempt outcome=mixed requests=5 clients=3 host=app.example.com "
          "token=abcdef answers=ok:4,dns-timeout:1 span_ms=1500.250\n"),
      file.text());
}

BOOST_AUTO_TEST_CASE(no_value_from_outside_forges_a_line_or_ends_a_string) {
  // A view, which does not end at the NUL byte.
  const std::string hostile(
      "x\nlevel=error reason=forged\r\n\"},{\"a\":\"\\\x01\xff\x1b[31m\0end"sv);
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    LogFile file;
    Log log(Log::Writing::kDirect);
    BOOST_REQUIRE(bool(log.open(file.settings(format))));
    protocol::Request bad = request_to(hostile, "/", hostile);
    bad.client = hostile;
    protocol::Reply reply;
    reply.reason = protocol::Reason::kBadHost;
    log.request(bad, reply, {});
    log.error(hostile);
    const std::string text = file.text();
    BOOST_TEST(std::count(text.begin(), text.end(), '\n') == 2);
    BOOST_TEST(text.find("reason=forged\n") == std::string::npos);
    BOOST_TEST(text.find('\r') == std::string::npos);
    BOOST_TEST(text.find('\x1b') == std::string::npos);
    BOOST_TEST(text.find('\0') == std::string::npos);
    if (format == LogFormat::kJson) BOOST_TEST(text.find("\"a\":") == std::string::npos);
  }
}

// A backslash starts an escape in JSON, so an escaped byte needs two of them there.
BOOST_AUTO_TEST_CASE(a_byte_that_is_not_plain_is_shown_by_its_number_in_both_formats) {
  const std::string value("a\0b\\c\"d\ne"sv);
  for (const auto& [format, shown] :
       {std::pair{LogFormat::kText, R"(a\000b\092c\034d\010e)"},
        std::pair{LogFormat::kJson, R"(a\\000b\\092c\\034d\\010e)"}}) {
    LogFile file;
    Log log(Log::Writing::kDirect);
    BOOST_REQUIRE(bool(log.open(file.settings(format))));
    protocol::Request bad = request_to(value, "/", value);
    bad.client = value;
    protocol::Reply reply;
    reply.reason = protocol::Reason::kBadHost;
    log.request(bad, reply, {});
    log.error(value);
    const std::string text = file.text();
    const bool json = format == LogFormat::kJson;
    for (const std::string key : {"method", "host", "client"}) {
      const std::string pair =
          json ? "\"" + key + "\":\"" + shown + "\"," : key + "=" + shown + " ";
      BOOST_TEST(text.find(pair) != std::string::npos, pair << " is not in " << text);
    }
    const std::string message = json ? "\"message\":\"" : "message=\"";
    BOOST_TEST(text.find(message + shown + "\"") != std::string::npos, text);
  }
}

BOOST_AUTO_TEST_CASE(below_the_level_nothing_is_written) {
  LogFile file;
  Log log(Log::Writing::kDirect);
  LogSettings settings = file.settings(LogFormat::kText);
  settings.level = LogLevel::kWarn;
  BOOST_REQUIRE(bool(log.open(settings)));
  log.info("quiet");
  log.warn("loud");
  BOOST_TEST(file.text().find("quiet") == std::string::npos);
  BOOST_TEST(file.text().find("level=warning message=\"loud\"") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_target_that_cannot_be_opened_says_why_and_leaves_the_old_one) {
  LogFile file;
  Log log(Log::Writing::kDirect);
  BOOST_REQUIRE(bool(log.open(file.settings(LogFormat::kText))));
  LogSettings wrong = file.settings(LogFormat::kText);
  wrong.target = file.path.string() + "/no/such/place";
  const auto opened = log.open(wrong);
  BOOST_REQUIRE(!opened);
  BOOST_TEST(!opened.error().empty());
  log.info("still here");
  BOOST_TEST(file.text().find("still here") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(opening_again_after_a_rotation_writes_to_the_new_file) {
  LogFile file;
  Log log(Log::Writing::kDirect);
  BOOST_REQUIRE(bool(log.open(file.settings(LogFormat::kText))));
  log.info("before");
  std::filesystem::rename(file.path, file.directory / "relay.log.1");
  BOOST_REQUIRE(bool(log.open(file.settings(LogFormat::kText))));
  log.info("after");
  BOOST_TEST(file.text().find("after") != std::string::npos);
  BOOST_TEST(file.text().find("before") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(queued_lines_are_written_by_the_time_the_log_is_closed) {
  LogFile file;
  Log log(Log::Writing::kQueued);
  BOOST_REQUIRE(bool(log.open(file.settings(LogFormat::kText))));
  for (int i = 0; i < 100; ++i) log.info("line");
  BOOST_TEST(log.close(std::chrono::seconds(10)));
  const std::string text = file.text();
  BOOST_TEST(std::count(text.begin(), text.end(), '\n') == 100);
}

BOOST_AUTO_TEST_CASE(a_reader_that_does_not_read_costs_lines_and_no_time) {
  LogFile file;
  BOOST_REQUIRE(::mkfifo(file.path.c_str(), 0600) == 0);
  const base::Fd reader(::open(file.path.c_str(), O_RDONLY | O_NONBLOCK));
  BOOST_REQUIRE(bool(reader));
  Log log(Log::Writing::kQueued);
  BOOST_REQUIRE(bool(log.open(file.settings(LogFormat::kText))));
  // Far more than a pipe holds: the log's thread soon waits in write().
  for (int i = 0; i < 200'000; ++i) log.info("a line of a few dozen octets, over and over");
  BOOST_TEST(log.dropped() > 0u);
  BOOST_TEST(!log.close(std::chrono::milliseconds(20)));

  // Reading lets the thread go: the pipe ends when it has closed its side.
  std::array<char, 65536> text{};
  pollfd ready{reader.get(), POLLIN, 0};
  while (::poll(&ready, 1, 10'000) == 1 && ::read(reader.get(), text.data(), text.size()) > 0) {
  }
}

// A reload has set another target.
BOOST_AUTO_TEST_CASE(
    lines_that_a_full_disk_has_cost_are_counted_and_reported_where_the_log_goes_next) {
  for (const Log::Writing writing : {Log::Writing::kQueued, Log::Writing::kDirect}) {
    for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
      LogFile file;
      Log log(writing);
      BOOST_REQUIRE(bool(log.open({LogLevel::kInfo, format, "/dev/full"})));
      for (int i = 0; i < 33; ++i) log.info("lost");
      while (log.dropped() < 33) std::this_thread::yield();
      BOOST_REQUIRE(bool(log.open(file.settings(format))));
      log.info("written");
      log.info("again");
      BOOST_TEST(log.close(std::chrono::seconds(10)));
      BOOST_TEST(log.dropped() == 33u);
      const std::string why = "33 lines of the log were lost: No space left on device\"";
      const std::regex lines(format == LogFormat::kText
                                 ? "time=\\S+ level=warning message=\"" + why +
                                       "\n.*\"written\"\n.*\"again\"\n"
                                 : R"(\{"time":"[-0-9T:.]+Z","level":"warning","message":")" + why +
                                       R"(\}\n.*"written"\}\n.*"again"\}\n)");
      BOOST_TEST(std::regex_match(file.text(), lines), file.text());
    }
  }
}

BOOST_AUTO_TEST_CASE(below_the_level_no_loss_is_reported_but_it_is_counted) {
  LogFile file;
  Log log(Log::Writing::kDirect);
  BOOST_REQUIRE(bool(log.open({LogLevel::kError, LogFormat::kText, "/dev/full"})));
  log.error("lost");
  LogSettings settings = file.settings(LogFormat::kText);
  settings.level = LogLevel::kError;
  BOOST_REQUIRE(bool(log.open(settings)));
  log.error("written");
  BOOST_TEST(log.dropped() == 1u);
  const std::string text = file.text();
  BOOST_TEST(std::count(text.begin(), text.end(), '\n') == 1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
