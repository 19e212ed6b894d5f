#include "log/log.h"

#include <spdlog/details/null_mutex.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <new>
#include <optional>
#include <utility>

#include "base/escape.h"
#include "log/loss_reporter.h"
#include "log/output.h"
#include "log/writer.h"

namespace http01 {
namespace {

// How long a line that is written directly waits for a reader that does not read.
constexpr std::chrono::milliseconds kDirectPatience{1000};
// Of the logger; no line shows it.
constexpr const char* kName = "relay";
// A line shows this much of one value; a Host may have 253 bytes.
constexpr std::size_t kShownBytes = 256;
// Enough of a token to tell challenges apart, too little to answer one.
constexpr std::size_t kShownTokenBytes = 6;

// Both count from trace to off.
constexpr spdlog::level::level_enum to_spdlog(LogLevel level) {
  return static_cast<spdlog::level::level_enum>(level);
}
static_assert(to_spdlog(LogLevel::kTrace) == spdlog::level::trace &&
              to_spdlog(LogLevel::kOff) == spdlog::level::off);

// Writes pairs as text (key=value) or as the inside of a JSON object.
class Pairs {
 public:
  explicit Pairs(LogFormat format) : json_(format == LogFormat::kJson) { line_.reserve(320); }

  void add(std::string_view key, std::string_view value, bool spaces = false) {
    begin(key);
    const bool quoted = json_ || spaces || value.empty();
    if (quoted) line_ += '"';
    std::size_t at = line_.size();
    base::append_escaped(line_, value, kShownBytes, spaces);
    if (json_) {
      // After escaping, only the backslash has a meaning in JSON.
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

// Hands each line to the thread that writes, or writes it itself where there is no thread.
class Delivery {
 public:
  void start_thread() { writer_.emplace(); }
  void add(const LogOutput::Pointer& output, std::string_view line) {
    if (writer_) return writer_->add(output, line);
    lost_ += losses_.write(*output, line, kDirectPatience);
  }
  void lose(int error) {
    if (writer_) return writer_->lose(error);
    losses_.add({1, error});
    ++lost_;
  }
  std::uint64_t lost() const { return writer_ ? writer_->dropped() : lost_; }
  bool finish(std::chrono::milliseconds patience) { return !writer_ || writer_->finish(patience); }

 private:
  std::optional<LogWriter> writer_;
  LossReporter losses_;
  std::uint64_t lost_ = 0;
};

class LineSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  LineSink(Delivery& delivery, LogOutput::Pointer output)
      : delivery_(delivery), output_(std::move(output)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    line_.clear();
    formatter_->format(message, line_);
    delivery_.add(output_, {line_.data(), line_.size()});
  }
  void flush_() override {}

  Delivery& delivery_;
  LogOutput::Pointer output_;
  spdlog::memory_buf_t line_;
};

base::Result<LogOutput::Pointer> open_output(const std::string& target) {
  if (target == "syslog") return LogOutput::syslog();
  if (target == "stderr") return LogOutput::standard_error();
  return LogOutput::open_file(target);
}

// $JOURNAL_STREAM names the file that the journal reads (systemd.exec(5)). Descriptor 2 may be
// another one: a web server that is a service gives its CGI processes its own log.
bool is_journal(int fd) {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat file {};
  return stream != nullptr && ::fstat(fd, &file) == 0 &&
         stream == std::to_string(file.st_dev) + ":" + std::to_string(file.st_ino);
}

// The <N> of sd-daemon(3): the journal, and our output to syslog, take it as the line's priority
// and cut it off.
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
  if (settings.target == "syslog") {  // which adds the time itself
    pattern = json ? "%*{%v}" : "%*%v";
  } else if (settings.target == "stderr" && is_journal(STDERR_FILENO)) {
    // So does the journal. A JSON object keeps its own, for programs that read it from there.
    pattern = json ? std::string("%*") + kStampedJson : "%*%v";
  }
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<PriorityFlag>('*').set_pattern(pattern);
  return formatter;
}

// Called where the lines are written, which may be in another thread: the formatter is its own.
LogOutput::Notice loss_notice(const LogSettings& settings) {
  constexpr auto kLevel = LogLevel::kWarn;
  if (settings.level > kLevel) return {};
  const std::shared_ptr<spdlog::formatter> formatter = make_formatter(settings);
  return [formatter, format = settings.format](const LogLoss& loss) {
    Pairs pairs(format);
    pairs.add("message", loss_text(loss), true);
    spdlog::memory_buf_t line;
    formatter->format({kName, to_spdlog(kLevel), pairs.line()}, line);
    return std::string(line.data(), line.size());
  };
}

}  // namespace

struct Log::Sink {
  LogFormat format = LogFormat::kText;
  Delivery delivery;  // before the logger, which uses it
  std::shared_ptr<spdlog::logger> logger;

  // A line for which there is no memory is lost, and nothing else is.
  template <typename Write>
  void guard(const Write& write) {
    try {
      write();
    } catch (const std::bad_alloc&) {
      delivery.lose(ENOMEM);
    }
  }
};

Log::Log(Writing writing) : sink_(std::make_unique<Sink>()) {
  if (writing == Writing::kQueued) sink_->delivery.start_thread();
}

Log::~Log() = default;

base::Result<void> Log::open(const LogSettings& settings) {
  auto output = open_output(settings.target);
  if (!output) return base::Failure{output.error()};
  output.value()->set_notice(loss_notice(settings));
  auto sink = std::make_shared<LineSink>(sink_->delivery, std::move(output.value()));
  sink->set_formatter(make_formatter(settings));
  auto logger = std::make_shared<spdlog::logger>(kName, std::move(sink));
  logger->set_level(to_spdlog(settings.level));
  // A line that could not be made, which only a shortage of memory does, must not end the service.
  logger->set_error_handler([this](const std::string&) { sink_->delivery.lose(ENOMEM); });
  sink_->logger = std::move(logger);
  sink_->format = settings.format;
  return {};
}

void Log::request(const protocol::Request& request, const protocol::Reply& reply,
                  const protocol::RequestTimes& times) {
  if (!tells_requests()) return;
  using Cache = protocol::RequestTimes::Cache;
  sink_->guard([&] {
    Pairs pairs(sink_->format);
    pairs.add_word("reason", protocol::info(reply.reason).word);
    pairs.add_number("status", protocol::code(reply.response.status));
    pairs.add("method", request.method);
    pairs.add("host", request.host.kind == protocol::HostKind::kBad ? request.sent_host
                                                                    : request.host.text);
    pairs.add_word("path", to_string(request.kind));
    if (!reply.checked.empty()) pairs.add("domain", reply.checked);
    if (request.kind == protocol::PathKind::kChallenge) {
      pairs.add("token", request.token().substr(0, kShownTokenBytes));
    }
    if (reply.target.app) pairs.add_word("app_id", reply.target.app->id);
    if (reply.target.gateway) pairs.add("gateway", reply.target.gateway->text());
    pairs.add("client", request.client);
    pairs.add_milliseconds("dns_ms", times.dns);
    pairs.add_milliseconds("total_ms", times.total);
    if (reply.cause != protocol::Cause::kNone) {
      std::string cause(to_string(reply.cause));
      std::ranges::replace(cause, ' ', '-');
      pairs.add_word("cause", cause);
    }
    if (reply.limit) pairs.add_word("limit", to_string(*reply.limit));
    // What no answer was looked for in is not said to have had it.
    if (times.cache != Cache::kNotAsked) {
      pairs.add_word("cache", times.cache == Cache::kHit ? "hit" : "miss");
    }
    sink_->logger->log(spdlog::level::info, spdlog::string_view_t(pairs.line()));
  });
}

void Log::attempt(const Attempt& attempt) {
  if (!tells_requests()) return;
  sink_->guard([&] {
    Pairs pairs(sink_->format);
    pairs.add("event", "attempt");
    const auto outcome = attempt.outcome();
    pairs.add("outcome", outcome ? protocol::info(*outcome).word : "mixed");
    pairs.add_number("requests", static_cast<std::int64_t>(attempt.requests));
    pairs.add_number("clients", static_cast<std::int64_t>(attempt.clients.size()));
    pairs.add("host", attempt.host);
    pairs.add("token", std::string_view(attempt.token).substr(0, kShownTokenBytes));
    std::string answers;
    for (const protocol::Reason reason : base::kAllOf<protocol::Reason>) {
      if (attempt.reasons[reason] == 0) continue;
      answers.append(answers.empty() ? "" : ",").append(protocol::info(reason).word);
      answers.append(":").append(std::to_string(attempt.reasons[reason]));
    }
    pairs.add("answers", answers);
    pairs.add_milliseconds("span_ms", attempt.last - attempt.begun);
    sink_->logger->log(spdlog::level::info, spdlog::string_view_t(pairs.line()));
  });
}

bool Log::tells_requests() const {
  return sink_->logger && sink_->logger->should_log(spdlog::level::info);
}

void Log::message(LogLevel level, std::string_view text) {
  if (!sink_->logger || !sink_->logger->should_log(to_spdlog(level))) return;
  sink_->guard([&] {
    Pairs pairs(sink_->format);
    pairs.add("message", text, true);
    sink_->logger->log(to_spdlog(level), spdlog::string_view_t(pairs.line()));
  });
}

void Log::info(std::string_view message) { this->message(LogLevel::kInfo, message); }
void Log::warn(std::string_view message) { this->message(LogLevel::kWarn, message); }
void Log::error(std::string_view message) { this->message(LogLevel::kError, message); }

std::uint64_t Log::dropped() const { return sink_->delivery.lost(); }

bool Log::close(std::chrono::milliseconds patience) {
  sink_->logger.reset();
  return sink_->delivery.finish(patience);
}

}  // namespace http01
