#include "serve/serve.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <new>
#include <optional>

#include "base/loop.h"
#include "config/changes.h"
#include "config/load.h"
#include "doctor/interfaces.h"
#include "serve/announce.h"
#include "serve/confine.h"
#include "serve/descriptors.h"
#include "serve/drain.h"
#include "serve/foreign_log.h"
#include "serve/isolate.h"
#include "serve/notify.h"
#include "serve/service.h"
#include "transport/cgi.h"
#include "transport/fastcgi.h"

namespace http01 {
namespace {

// How long a stop waits for whoever reads the log.
constexpr std::chrono::seconds kLogPatience{1};

// Connections in a rush that are accepted before they can be read: as many again as the kernel
// keeps (net.core.somaxconn), where there are descriptors enough.
constexpr std::size_t kMaxUnread = 4096;

// The log is no reason to leave domains without certificates: standard error takes its place.
void open_log(Log& log, const LogSettings& settings) {
  const auto opened = log.open(settings);
  if (opened || !log.open(LogSettings{})) return;
  log.error("log: " + opened.error() + "; logging to standard error");
}

class Server {
 public:
  Server(transport::Listener listener, Config config, std::string config_option,
         std::string_view version, std::size_t descriptors)
      : config_option_(std::move(config_option)),
        descriptors_(descriptors),
        log_(Log::Writing::kQueued),
        file_(std::move(listener.file)),
        serving_(serving_line(version, listener.socket.get(),
                              config_path(config_option_, process_environment()), config)),
        service_(loop_, log_, std::move(config), version,
                 [this](Service::Id id, const std::string& cgi) { fastcgi_.reply(id, cgi); }),
        fastcgi_(
            loop_, std::move(listener.socket),
            {[this](Service::Id id, const protocol::RawRequest& raw) { service_.request(id, raw); },
             [this](Service::Id id) { service_.forget(id); },
             [this](transport::Foreign kind) {
               if (const auto line = foreign_.line(kind, loop_.now())) log_.warn(*line);
             }}) {}

  int run() {
    open_log(log_, service_.config().log);
    service_.open_state_file();
    fit_limits();
    for (const int signal : {SIGTERM, SIGINT}) {
      loop_.on_signal(signal, [this] { stop(); });
    }
    loop_.on_signal(SIGHUP, [this] { reload(); });
    loop_.on_signal(SIGUSR1, [this] { reopen_log(); });
    // Which cannot be asked for any more after this, and a reload may turn service.public_check on.
    doctor::public_interface_addresses();
    if (!isolated_) log_.info("not isolated: " + isolated_.error());
    if (const auto confined = confine(); !confined) {
      log_.warn("not confined: " + confined.error());
    }
    service_.tell_outages();
    service_.tell_attempts();
    service_.put_memory_aside();
    log_.info(serving_);
    notifier_.ready(loop_, [this](const std::string& fault) { log_.warn(fault); });
    loop_.run();
    service_.tell_open_attempts();
    log_.info("stopped");
    return 0;
  }

  // False: the log's thread could not be ended.
  bool close_log() {
    const bool closed = log_.close(kLogPatience);
    service_.show_gauges();
    return closed;
  }

 private:
  void fit_limits() {
    const std::size_t wanted = service_.config().limits.in_flight;
    const std::size_t unread = std::clamp(descriptors_ / 8, std::size_t{1}, kMaxUnread);
    fastcgi_.set_max_unread(unread);
    const std::size_t fitting = service_.fit_to_descriptors(descriptors_ - unread);
    if (fitting >= wanted) return;
    log_.warn("limits.in_flight lowered from " + std::to_string(wanted) + " to " +
              std::to_string(fitting) + ": only " + std::to_string(descriptors_) +
              " file descriptors are allowed. Raise LimitNOFILE (systemd) or ulimit -n.");
  }

  void stop() {
    if (stopping_) return;
    stopping_ = true;
    log_.info("stopping");
    try {
      notifier_.stops();
      drain(loop_, fastcgi_, service_);
    } catch (const std::bad_alloc&) {
      loop_.stop();
    }
  }

  void reload() {
    notifier_.reload_begins();
    try {
      service_.reloaded(reload_configuration());
    } catch (const std::bad_alloc&) {
      service_.reloaded(false);
      log_.error("configuration: not reloaded, out of memory; the old one stays");
    }
    notifier_.reload_ends();
  }

  // False: the old one stays.
  bool reload_configuration() {
    auto config = reload_config(config_option_, process_environment(), service_.config());
    if (!config) {
      // Whoever has moved the log away is not to wait for a right configuration.
      reopen_log();
      for (const std::string& fault : config.error()) log_.error("configuration: " + fault);
      log_.error("configuration: not reloaded, the old one stays");
      return false;
    }
    const auto changes = config_changes(service_.config(), *config);
    const bool other_log = service_.config().log != config->log;
    // Where the operator looks, should the log's own settings be among what was lost.
    if (other_log) log_changes(changes);
    service_.reconfigure(std::move(*config));
    reopen_log();
    log_changes(changes);
    service_.open_state_file();
    fit_limits();
    const std::string path = config_path(config_option_, process_environment());
    const bool is_there = ::access(path.c_str(), F_OK) == 0;
    log_.info("configuration reloaded" +
              (is_there ? std::string() : ": " + path + " is not there, the defaults hold"));
    return true;
  }

  void log_changes(const std::vector<ConfigChange>& changes) {
    for (const ConfigChange& change : changes) {
      const std::string line = "configuration: " + change.text;
      change.allows_more ? log_.warn(line) : log_.info(line);
    }
  }

  void reopen_log() {
    if (const auto opened = log_.open(service_.config().log); !opened) {
      log_.error("log: " + opened.error() + "; the old one stays");
    }
  }

  base::Loop loop_;
  Notifier notifier_{process_environment()};
  // Before the log, which has a thread.
  const base::Result<void> isolated_ = isolate();
  const std::string config_option_;
  const std::size_t descriptors_;
  Log log_;
  transport::SocketFile file_;
  ForeignLog foreign_;
  std::string serving_;  // what the log says of that
  Service service_;
  transport::FastCgiServer fastcgi_;
  bool stopping_ = false;
};

}  // namespace

int serve_fastcgi(transport::Listener listener, Config config, const std::string& config_option,
                  std::string_view version) {
  const std::size_t descriptors = raise_descriptor_limit();
  // Before the log starts its thread.
  make_room_for_descriptors(std::min(descriptors, kMaxUnread + Service::descriptors_for(config)));
  auto server = std::make_unique<Server>(std::move(listener), std::move(config), config_option,
                                         version, descriptors);
  const int status = server->run();
  const bool closed = server->close_log();
  server.reset();
  // A thread that waits in write() must not outlive what the process's end takes apart.
  if (!closed) ::_exit(status);
  return status;
}

int serve_cgi(Config config, std::string_view version) {
  // No filter: putting one together takes a third of the time that such a process lives.
  static_cast<void>(isolate());
  base::Loop loop;
  Log log(Log::Writing::kDirect);
  open_log(log, config.log);

  std::optional<std::string> answer;
  Service service(loop, log, std::move(config), version, [&](Service::Id, const std::string& cgi) {
    answer = cgi;
    loop.stop();
  });
  service.open_state_file();
  service.refuse_checks_counted_alone();
  service.request(1, transport::read_cgi_request(process_environment(), STDIN_FILENO));
  if (!answer) loop.run();
  service.show_gauges();
  return answer && transport::write_cgi_response(STDOUT_FILENO, *answer) ? 0 : 1;
}

void refuse_cgi(std::string_view why) {
  try {
    const protocol::RawRequest request =
        transport::read_cgi_request(process_environment(), STDIN_FILENO);
    protocol::Response response;
    response.status = protocol::HttpStatus::kInternalServerError;
    response.body = std::string(why) + " Its operator finds the reason in the error log.\n";
    transport::write_cgi_response(
        STDOUT_FILENO, protocol::to_cgi(response, std::nullopt, request.method == "HEAD"));
  } catch (const std::bad_alloc&) {
    transport::write_cgi_response(STDOUT_FILENO,
                                  "Status: 500 Internal Server Error\r\n"
                                  "Content-Type: text/plain; charset=utf-8\r\n"
                                  "Cache-Control: no-store\r\nContent-Length: 0\r\n\r\n");
  }
}

}  // namespace http01
