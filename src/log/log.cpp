#include "log/log.h"

#include <spdlog/async.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <future>
#include <optional>
#include <thread>
#include <utility>

#include "base/escape.h"
#include "log/writer.h"

namespace http01 {
namespace {

// Lines that may wait for syslog. The queue has room for all from its first use, 0.4 KB each.
constexpr std::size_t kSyslogLines = 2048;
// What a line shows of one value; a Host may have 253 octets.
constexpr std::size_t kShownOctets = 256;
// Enough of a token to tell challenges apart, too little to answer one.
constexpr std::size_t kShownTokenOctets = 6;

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return spdlog::level::trace;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kCritical:
      return spdlog::level::critical;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

// Writes pairs as text (key=value) or as the inside of a JSON object.
class Pairs {
 public:
  explicit Pairs(LogFormat format) : json_(format == LogFormat::kJson) { line_.reserve(320); }

  void add(std::string_view key, std::string_view value, bool spaces = false) {
    begin(key);
    const bool quoted = json_ || spaces || value.empty();
    if (quoted) line_ += '"';
    std::size_t at = line_.size();
    base::append_escaped(line_, value, kShownOctets, spaces);
    if (json_) {
      // The escape's backslash is all that JSON would trip over.
      for (; (at = line_.find('\\', at)) != std::string::npos; at += 2) line_.insert(at, 1, '\\');
    }
    if (quoted) line_ += '"';
  }

  // A value of our own, which needs no escape.
  void add_word(std::string_view key, std::string_view word) {
    begin(key);
    if (json_) line_ += '"';
    line_ += word;
    if (json_) line_ += '"';
  }

  void add_number(std::string_view key, std::int64_t value) {
    begin(key);
    line_ += std::to_string(value);
  }

  void add_milliseconds(std::string_view key, base::Duration value) {
    begin(key);
    const auto microseconds = std::chrono::round<std::chrono::microseconds>(value).count();
    line_ += std::to_string(microseconds / 1000);
    line_ += '.';
    const auto rest = static_cast<int>(microseconds % 1000);
    for (const int digit : {rest / 100, rest / 10 % 10, rest % 10}) {
      line_ += static_cast<char>('0' + digit);
    }
  }

  const std::string& line() const { return line_; }

 private:
  void begin(std::string_view key) {
    if (json_) {
      line_.append(line_.empty() ? "\"" : ",\"").append(key).append("\":");
    } else {
      if (!line_.empty()) line_ += ' ';
      line_.append(key) += '=';
    }
  }

  bool json_;
  std::string line_;
};

// Hands lines to the thread that writes them, or writes them itself where there is none.
class WriterSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  WriterSink(LogWriter* writer, LogWriter::Output output)
      : writer_(writer), output_(std::move(output)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    line_.clear();
    formatter_->format(message, line_);
    const std::string_view line(line_.data(), line_.size());
    if (writer_ == nullptr) return LogWriter::write_now(output_, line);
    writer_->add(output_, line);
  }
  void flush_() override {}

  LogWriter* writer_;
  LogWriter::Output output_;
  spdlog::memory_buf_t line_;
};

// `writer` is nullptr where lines are not queued.
spdlog::sink_ptr make_sink(LogWriter* writer, const std::string& target) {
  if (target == "syslog") {
    return std::make_shared<spdlog::sinks::syslog_sink_mt>("http01-relay", LOG_PID, LOG_DAEMON,
                                                           true);
  }
  if (target == "stderr") {
    if (writer == nullptr) return std::make_shared<spdlog::sinks::stderr_sink_mt>();
    return std::make_shared<WriterSink>(writer, LogWriter::standard_error());
  }
  auto file = LogWriter::open_file(target);
  if (!file) throw spdlog::spdlog_ex(file.error());
  return std::make_shared<WriterSink>(writer, std::move(*file));
}

// systemd says which file the journal reads, since descriptor 2 may have been put elsewhere since
// (systemd.exec(5), $JOURNAL_STREAM).
bool is_journal(int fd) {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat file {};
  return stream != nullptr && ::fstat(fd, &file) == 0 &&
         stream == std::to_string(file.st_dev) + ":" + std::to_string(file.st_ino);
}

// <N> of sd-daemon(3), which the journal takes for a line's priority and cuts off.
class PriorityFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& to) override {
    to.push_back('<');
    to.push_back(digit(message.level));
    to.push_back('>');
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<PriorityFlag>();
  }

 private:
  static char digit(spdlog::level::level_enum level) {
    if (level >= spdlog::level::critical) return '2';
    if (level == spdlog::level::err) return '3';
    if (level == spdlog::level::warn) return '4';
    return level == spdlog::level::info ? '6' : '7';
  }
};

std::unique_ptr<spdlog::formatter> make_formatter(const LogSettings& settings) {
  constexpr const char* kStampedJson = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";
  constexpr const char* kStampedText = "time=%Y-%m-%dT%H:%M:%S.%eZ level=%l %v";
  const bool json = settings.format == LogFormat::kJson;
  std::string pattern = json ? kStampedJson : kStampedText;
  if (settings.target == "syslog") {  // which adds time and priority itself
    pattern = json ? "{%v}" : "%v";
  } else if (settings.target == "stderr" && is_journal(STDERR_FILENO)) {
    // So does the journal; a JSON object keeps its own for whoever takes it out and passes it on.
    pattern = json ? std::string("%*") + kStampedJson : "%*%v";
  }
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<PriorityFlag>('*').set_pattern(pattern);
  return formatter;
}

}  // namespace

struct Log::Sink {
  LogFormat format = LogFormat::kText;
  // Both where lines are queued, before the logger, which uses them. syslog(3) writes by itself, so
  // it has spdlog's queue, from its first use.
  std::optional<LogWriter> writer;
  std::shared_ptr<spdlog::details::thread_pool> syslog_queue;
  std::shared_ptr<spdlog::logger> logger;
};

Log::Log(Writing writing) : sink_(std::make_unique<Sink>()) {
  if (writing == Writing::kQueued) sink_->writer.emplace();
}

Log::~Log() = default;

base::Result<std::monostate> Log::open(const LogSettings& settings) {
  try {
    const bool queued = sink_->writer.has_value();
    const bool syslog = settings.target == "syslog";
    auto sink = make_sink(queued ? &*sink_->writer : nullptr, settings.target);
    sink->set_formatter(make_formatter(settings));
    std::shared_ptr<spdlog::logger> logger;
    if (queued && syslog) {
      if (!sink_->syslog_queue) {
        sink_->syslog_queue = std::make_shared<spdlog::details::thread_pool>(kSyslogLines, 1);
      }
      logger =
          std::make_shared<spdlog::async_logger>("relay", std::move(sink), sink_->syslog_queue,
                                                 spdlog::async_overflow_policy::overrun_oldest);
    } else {
      logger = std::make_shared<spdlog::logger>("relay", std::move(sink));
    }
    logger->set_level(to_spdlog(settings.level));
    logger->flush_on(spdlog::level::trace);
    // A full disk must not end the service, nor is there anywhere to say so.
    logger->set_error_handler([](const std::string&) {});
    sink_->logger = std::move(logger);
    sink_->format = settings.format;
    return std::monostate{};
  } catch (const spdlog::spdlog_ex& error) {
    return base::Failure{std::string(error.what())};
  }
}

void Log::request(const protocol::Request& request, const protocol::Reply& reply,
                  const protocol::RequestTimes& times) {
  if (!tells_requests()) return;
  Pairs pairs(sink_->format);
  pairs.add_word("reason", protocol::info(reply.reason).word);
  pairs.add_number("status", protocol::code(reply.response.status));
  pairs.add("method", request.method);
  pairs.add("host",
            request.host.kind == protocol::HostKind::kBad ? request.sent_host : request.host.text);
  pairs.add_word("path", to_string(request.kind));
  if (request.kind == protocol::PathKind::kChallenge) {
    pairs.add("token", request.token().substr(0, kShownTokenOctets));
  }
  if (reply.target.app) pairs.add_word("app_id", reply.target.app->id);
  if (reply.target.gateway) pairs.add("gateway", reply.target.gateway->text());
  pairs.add("client", request.client);
  pairs.add_milliseconds("dns_ms", times.dns);
  pairs.add_milliseconds("total_ms", times.total);
  pairs.add_word("cache", times.asked ? "miss" : "hit");
  sink_->logger->log(spdlog::level::info, spdlog::string_view_t(pairs.line()));
}

void Log::attempt(const Attempt& attempt) {
  if (!tells_requests()) return;
  Pairs pairs(sink_->format);
  pairs.add("event", "attempt");
  const auto outcome = attempt.outcome();
  pairs.add("outcome", outcome ? protocol::info(*outcome).word : "mixed");
  pairs.add_number("requests", static_cast<std::int64_t>(attempt.requests));
  pairs.add_number("clients", static_cast<std::int64_t>(attempt.clients.size()));
  pairs.add("host", attempt.host);
  pairs.add("token", std::string_view(attempt.token).substr(0, kShownTokenOctets));
  std::string answers;
  for (const protocol::Reason reason : base::kAllOf<protocol::Reason>) {
    if (attempt.reasons[reason] == 0) continue;
    if (!answers.empty()) answers += ',';
    answers.append(protocol::info(reason).word).append(":");
    answers += std::to_string(attempt.reasons[reason]);
  }
  pairs.add("answers", answers);
  pairs.add_milliseconds("span_ms", attempt.last - attempt.begun);
  sink_->logger->log(spdlog::level::info, spdlog::string_view_t(pairs.line()));
}

bool Log::tells_requests() const {
  return sink_->logger && sink_->logger->should_log(spdlog::level::info);
}

void Log::message(LogLevel level, std::string_view text) {
  if (!sink_->logger || !sink_->logger->should_log(to_spdlog(level))) return;
  Pairs pairs(sink_->format);
  pairs.add("message", text, true);
  sink_->logger->log(to_spdlog(level), spdlog::string_view_t(pairs.line()));
}

void Log::info(std::string_view message) { this->message(LogLevel::kInfo, message); }
void Log::warn(std::string_view message) { this->message(LogLevel::kWarn, message); }
void Log::error(std::string_view message) { this->message(LogLevel::kError, message); }

std::uint64_t Log::dropped() const {
  return (sink_->writer ? sink_->writer->dropped() : 0) +
         (sink_->syslog_queue ? sink_->syslog_queue->overrun_counter() : 0);
}

bool Log::close(std::chrono::milliseconds patience) {
  auto done = std::make_shared<std::promise<void>>();
  auto closed = done->get_future();
  // Joins the queue's thread, which may be waiting in write().
  std::thread([sink = std::move(sink_), done]() mutable {
    sink.reset();
    done->set_value();
  }).detach();
  sink_ = std::make_unique<Sink>();
  return closed.wait_for(patience) == std::future_status::ready;
}

}  // namespace http01
