// The relay put together: resolver, relay, counters and log on one loop, from a CGI request to the
// bytes of its answer. FastCGI and CGI are its two fronts. One thread. The loop and the log must
// outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/loop.h"
#include "base/memory_reserve.h"
#include "config/config.h"
#include "dns/engine.h"
#include "log/attempts.h"
#include "log/log.h"
#include "metrics/metrics.h"
#include "pages/examinations.h"
#include "protocol/request.h"
#include "relay/relay.h"

namespace http01 {

class Service {
 public:
  using Id = Relay::Id;
  // The answer as a CGI response.
  using OnAnswer = std::function<void(Id id, const std::string& cgi)>;

  // The version is for the counters, and must be of static storage.
  Service(base::Loop& loop, Log& log, Config config, std::string_view version, OnAnswer on_answer);

  // Never throws: a request for which the system has not enough is answered with kOverloaded.
  void request(Id id, const protocol::RawRequest& raw);
  void forget(Id id);

  // From now on, a shortage of memory is for new requests: what is under way has a reserve.
  void put_memory_aside() { memory_.emplace(); }

  // From now on, a DNS server that stops answering, or answers again, is logged. Not where each
  // process lives for a request: there it would be a line for each of them.
  void tell_outages();
  // From now on, requests that are one attempt of a CA are also counted and logged as one.
  void tell_attempts() { attempts_.emplace(); }
  // Those that are not over yet, at the end of service.
  void tell_open_attempts();

  // Counts where the configuration says from now on; what cannot be done is logged.
  void open_state_file();
  // Processes of CGI live for a request each: what each counts alone would limit nothing. Without a
  // state file /check is off from now on.
  void refuse_checks_counted_alone();

  // The counters then have what they do not count themselves: the log's lost lines. At the end.
  void show_gauges() { metrics_.show(gauges()); }

  // Decides and resolves by this configuration from now on.
  void reconfigure(Config config);
  // How many descriptors serve all that `config` lets in.
  static std::size_t descriptors_for(const Config& config);
  // Shares this many descriptors between requests that wait and the sockets of their look-ups.
  // Returns how many requests may wait at most.
  std::size_t fit_to_descriptors(std::size_t descriptors);

  const Config& config() const { return *config_; }
  // What has become of a reload, for the counters.
  void reloaded(bool taken) { metrics_.reloaded(taken); }
  // Answers all that is held as at its deadline.
  void time_out();

  std::size_t in_flight() const { return relay_.in_flight() + examinations_.in_flight(); }

 private:
  void finish(const Relay::Finished& finished, protocol::Reply& reply);
  std::optional<protocol::Limit> refusal_of_check(const protocol::Request& request);
  void add_to_attempts(const protocol::Request& request, protocol::Reason reason);
  void wait_for_attempts();
  void tell(const Attempt& attempt);
  Gauges gauges() const;
  void show_gauges_soon();
  void answer(Id id, const protocol::Request& request, const protocol::Reply& reply,
              const protocol::RequestTimes& times);

  bool has_memory();
  void refuse(Id id);

  base::Loop& loop_;
  Log& log_;
  OnAnswer on_answer_;
  std::unique_ptr<Config> config_;
  Metrics metrics_;
  std::string refusal_;  // an answer that takes no memory
  std::optional<base::MemoryReserve> memory_;
  bool short_of_memory_ = false;
  std::uint64_t refused_ = 0;  // since memory was short
  bool gauges_stale_ = false;
  std::optional<Attempts> attempts_;
  base::Loop::TimerId attempts_timer_ = 0;
  dns::Engine engine_;
  Relay relay_;
  Examinations examinations_;
};

}  // namespace http01
