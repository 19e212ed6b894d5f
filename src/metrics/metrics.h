// What has happened, counted: functions that say "this happened", and the page that Prometheus
// reads. Label values come from fixed sets. The counters are one block of fixed layout, which may
// be a file that all processes of a service share; the page of any of them is then that of all.
// One thread; never throws.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "dns/engine.h"
#include "metrics/exposition.h"
#include "metrics/process_facts.h"
#include "metrics/recent_checks.h"
#include "metrics/state_file.h"
#include "protocol/answer.h"
#include "protocol/decide.h"

namespace http01 {

// What is true of this process now.
struct Gauges {
  std::size_t requests_in_flight = 0;
  std::size_t lookups_in_flight = 0;
  std::size_t cache_entries = 0;
  std::uint64_t log_lines_dropped = 0;  // since its start
};

class Metrics final : public dns::Engine::Observer {
 public:
  // The version is shown on the page, and must be of static storage.
  explicit Metrics(std::string_view version);
  ~Metrics();

  // Counts in this file from now on, "" for memory of its own. True: a file of another version
  // stood there and was replaced. The failure says why it cannot be used; what was before stays.
  base::Result<bool> use_state_file(const std::string& path);
  // The one that is counted in, "" for none.
  const std::string& state_file() const { return path_; }
  // To be called before something is counted; looks once a second at most. If the file is no longer
  // what its path names, goes on in the one that is. The failure says for the log what befell the
  // file, once.
  base::Result<void> look_after(base::TimePoint now);

  void request(const protocol::Request& request, const protocol::Reply& reply,
               base::Duration total);
  // A request that was refused before anything was known of it.
  void overloaded(protocol::Limit limit);
  // What a CA's requests for one token were answered; none: not all the same.
  void attempt(std::optional<protocol::Reason> outcome);
  // The configuration was read again; or it was refused, and the one before stays.
  void reloaded(bool taken);
  void on_lookup(protocol::RecordType type, protocol::Outcome outcome,
                 base::Duration duration) override;
  void on_cache_hit() override;
  void on_cache_miss() override;
  void on_servers(const std::vector<base::Endpoint>& servers) override { servers_ = servers; }
  void on_server(const base::Endpoint& server, dns::ServerStatus status) override;
  void on_outage(const dns::Outages::News& news) override {
    if (on_outage_) on_outage_(news);
  }

  // Told when gauges may have changed or are about to; whoever is told calls show() soon.
  void on_change(std::function<void()> task) { on_change_ = std::move(task); }
  // `task` is called when a DNS server stops answering, and when it answers again.
  void on_outages(std::function<void(const dns::Outages::News&)> task) {
    on_outage_ = std::move(task);
  }
  // What the pages of the other processes say of this one.
  void show(const Gauges& gauges);

  // Why /check may not examine one more domain for this client (REMOTE_ADDR): see RecentChecks.
  std::optional<protocol::Limit> refusal_of_check(const CheckLimits& limits,
                                                  std::string_view client, base::TimePoint now);

  std::string page(const Gauges& gauges);

 private:
  struct Counters;
  struct Reload;
  struct Slot;
  struct Shared;
  struct Totals {
    Gauges gauges;
    std::size_t processes = 1;
    std::size_t seen = 0;  // of them, in /proc
    std::uint64_t resident_octets = 0;
    std::uint64_t virtual_octets = 0;
    std::size_t open_descriptors = 0;
    std::uint64_t started = 0;  // in milliseconds
    bool reload_failed = false;
    std::uint64_t reloaded = 0;  // in milliseconds, the longest ago
  };

  base::Result<bool> open_state_file(const std::string& path);
  void count_processor_time();
  ProcessFacts own_facts();
  Totals totals();
  void add_requests(std::vector<Family>& page) const;
  void add_outcomes(std::vector<Family>& page) const;
  void add_lookups(std::vector<Family>& page) const;
  void add_servers(std::vector<Family>& page);
  void add_processes(std::vector<Family>& page);

  std::string_view version_;
  std::unique_ptr<Counters> own_;
  std::unique_ptr<RecentChecks> own_checks_;
  std::optional<StateFile> file_;
  std::string path_;
  Counters* counters_;
  Slot* slot_ = nullptr;  // in the file
  std::unique_ptr<Reload> reload_;
  Gauges shown_;
  std::function<void()> on_change_;
  std::function<void(const dns::Outages::News&)> on_outage_;
  std::vector<base::Endpoint> servers_;
  base::TimePoint next_look_;
  std::string told_;  // what look_after() said last
  base::Duration counted_time_{};
  std::uint64_t started_ = 0;  // in milliseconds of Unix time, once known
};

}  // namespace http01
