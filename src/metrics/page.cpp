// The page that Prometheus reads: what each number is called, and what its labels are.
#include <sys/resource.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metrics/counters.h"
#include "metrics/exposition.h"
#include "metrics/metrics.h"

namespace http01 {
namespace {

using base::kAllOf;
using protocol::HttpStatus;
using protocol::Outcome;
using protocol::PathKind;
using protocol::Reason;

using Labels = std::vector<std::pair<std::string_view, std::string>>;

Sample sample(Labels labels, double value) { return {std::move(labels), value, 0, {}}; }
Sample sample(Labels labels, const Counter& counter) {
  return sample(std::move(labels), static_cast<double>(counter.get()));
}

// The count is that of the buckets, so that they agree though others count meanwhile, or were
// killed between one number and the next.
Sample sample(Labels labels, const Histogram& histogram) {
  Sample made{std::move(labels), static_cast<double>(histogram.nanoseconds.get()) / 1e9, 0, {}};
  made.buckets.reserve(Histogram::kBounds.size());
  for (std::size_t i = 0; i < Histogram::kBounds.size(); ++i) {
    made.count += histogram.buckets[i].get();
    made.buckets.push_back({Histogram::kBounds[i], made.count});
  }
  made.count += histogram.buckets[Histogram::kBounds.size()].get();
  return made;
}

Family family(std::string_view name, FamilyType type, std::string_view help,
              std::vector<Sample> samples) {
  return {name, type, help, std::move(samples)};
}
Family counter(std::string_view name, std::string_view help, double value) {
  return family(name, FamilyType::kCounter, help, {sample({}, value)});
}
Family gauge(std::string_view name, std::string_view help, double value) {
  return family(name, FamilyType::kGauge, help, {sample({}, value)});
}

std::string word_of(Reason reason) { return std::string(protocol::info(reason).word); }

// One for each reason, also where nothing has been counted.
std::vector<Sample> by_reason(std::string_view label,
                              const base::EnumArray<Reason, Counter>& counters) {
  std::vector<Sample> samples;
  samples.reserve(base::kCountOf<Reason>);
  for (const Reason reason : kAllOf<Reason>) {
    samples.push_back(sample({{label, word_of(reason)}}, counters[reason]));
  }
  return samples;
}

}  // namespace

std::string Metrics::page(const Gauges& gauges) {
  show(gauges);
  count_processor_time();
  std::vector<Family> page;
  add_requests(page);
  add_outcomes(page);
  add_lookups(page);
  add_servers(page);
  add_processes(page);
  return exposition(page);
}

void Metrics::add_requests(std::vector<Family>& page) const {
  std::vector<Sample> requests;
  std::vector<Sample> durations;
  for (std::size_t m = 0; m < kMethods.size(); ++m) {
    for (const PathKind kind : kAllOf<PathKind>) {
      const Labels labels{{"method", std::string(kMethods[m])},
                          {"path", std::string(to_string(kind))}};
      for (const HttpStatus status : kAllOf<HttpStatus>) {
        const Counter& counter = counters_->requests[m][kind][status];
        if (counter.get() == 0) continue;
        Labels with_status = labels;
        with_status.emplace_back("status", std::to_string(code(status)));
        requests.push_back(sample(std::move(with_status), counter));
      }
      Sample duration = sample(labels, counters_->durations[m][kind]);
      if (duration.count != 0) durations.push_back(std::move(duration));
    }
  }
  page.push_back(family("http_requests_total", FamilyType::kCounter, "Requests answered.",
                        std::move(requests)));
  page.push_back(family("http_request_duration_seconds", FamilyType::kHistogram,
                        "Time from a whole request to its answer, in seconds.",
                        std::move(durations)));

  std::vector<Sample> redirects;
  for (const HttpStatus status : kAllOf<HttpStatus>) {
    if (!is_redirect(status)) continue;
    redirects.push_back(
        sample({{"status", std::to_string(code(status))}}, counters_->redirects[status]));
  }
  page.push_back(
      family("redirects_total", FamilyType::kCounter, "Redirects sent.", std::move(redirects)));
}

void Metrics::add_outcomes(std::vector<Family>& page) const {
  page.push_back(family("relay_decisions_total", FamilyType::kCounter,
                        "Requests answered, by reason.",
                        by_reason("reason", counters_->decisions)));
  std::vector<Sample> overloaded;
  for (const auto& limit : protocol::kLimits) {
    overloaded.push_back(
        sample({{"limit", std::string(limit.word)}}, counters_->overloaded[limit.id]));
  }
  page.push_back(family("relay_overloaded_total", FamilyType::kCounter,
                        "Requests refused as overloaded, by the limit that they have met.",
                        std::move(overloaded)));
  std::vector<Sample> attempts = by_reason("outcome", counters_->attempts);
  attempts.push_back(sample({{"outcome", "mixed"}}, counters_->mixed_attempts));
  page.push_back(family("relay_attempts_total", FamilyType::kCounter,
                        "Challenges that CAs have tried, by what all requests for one token were "
                        "answered.",
                        std::move(attempts)));
  page.push_back(family("relay_ready_checks_total", FamilyType::kCounter,
                        "Answers of /ready, by reason.",
                        by_reason("reason", counters_->ready_checks)));
  const std::uint64_t ready = counters_->last_ready;
  if (ready == 0) return;
  page.push_back(gauge("relay_ready", "1 if the last answer of /ready was that the relay is ready.",
                       static_cast<double>(ready - 1)));
}

void Metrics::add_lookups(std::vector<Family>& page) const {
  std::vector<Sample> lookups;
  for (const auto& type : protocol::kRecordTypes) {
    for (const Outcome outcome : kAllOf<Outcome>) {
      const Counter& counter = counters_->lookups[index_of(type.id)][outcome];
      if (counter.get() == 0) continue;
      lookups.push_back(
          sample({{"type", std::string(type.word)}, {"status", std::string(to_string(outcome))}},
                 counter));
    }
  }
  page.push_back(family("dns_lookups_total", FamilyType::kCounter,
                        "Look-ups that were sent to a resolver, by outcome.", std::move(lookups)));
  page.push_back(family("dns_lookup_duration_seconds", FamilyType::kHistogram,
                        "Time from the first packet of a look-up to its outcome, in seconds.",
                        {sample({}, counters_->lookup_durations)}));
  page.push_back(family("dns_cache_hits_total", FamilyType::kCounter,
                        "Questions answered from the cache.", {sample({}, counters_->cache_hits)}));
  page.push_back(family("dns_cache_misses_total", FamilyType::kCounter,
                        "Questions that were not in the cache.",
                        {sample({}, counters_->cache_misses)}));
}

void Metrics::add_servers(std::vector<Family>& page) {
  ServerTable& table = counters_->servers;
  // Those that have not been asked yet begin at zero.
  for (const base::Endpoint& server : servers_) table.of(server);
  std::vector<Sample> queries;
  const auto add = [&queries](const std::string& server, const ServerTable::Counters& counters) {
    for (const auto& status : dns::kServerStatuses) {
      queries.push_back(
          sample({{"server", server}, {"status", std::string(status.word)}}, counters[status.id]));
    }
  };
  for (std::size_t row = 0; row < ServerTable::kMost; ++row) {
    if (const auto server = table.server(row)) add(server->text(), table.counters(row));
  }
  const auto is_counted = [](const Counter& counter) { return counter.get() != 0; };
  if (std::ranges::any_of(table.others(), is_counted)) add("other", table.others());
  page.push_back(family("dns_server_queries_total", FamilyType::kCounter,
                        "Queries to each DNS server, by what became of them.", std::move(queries)));
}

void Metrics::add_processes(std::vector<Family>& page) {
  const Totals now = totals();
  const auto number = [](auto value) { return static_cast<double>(value); };
  page.push_back(
      gauge("dns_cache_entries", "Answers in the caches.", number(now.gauges.cache_entries)));
  page.push_back(
      gauge("dns_in_flight", "Look-ups under way.", number(now.gauges.lookups_in_flight)));
  page.push_back(gauge("http_requests_in_flight", "Requests that wait for the DNS.",
                       number(now.gauges.requests_in_flight)));
  page.push_back(family("relay_log_lines_dropped_total", FamilyType::kCounter,
                        "Log lines that were lost: not read in time, or not written.",
                        {sample({}, counters_->log_lines_dropped)}));
  page.push_back(
      gauge("relay_processes", "Processes whose numbers these are.", number(now.processes)));
  page.push_back(family("relay_build_info", FamilyType::kGauge, "1, with what was built as labels.",
                        {sample({{"version", std::string(version_)}}, 1)}));

  page.push_back(gauge("relay_config_last_reload_successful",
                       "1 if no process has refused the configuration that it was last given.",
                       now.reload_failed ? 0 : 1));
  page.push_back(gauge("relay_config_last_reload_success_timestamp_seconds",
                       "When a process last took a configuration, in seconds of Unix time; of "
                       "several processes, the one for which it is longest ago.",
                       number(now.reloaded) / 1000));

  page.push_back(counter("process_cpu_seconds_total", "CPU time spent, in seconds.",
                         number(counters_->processor_nanoseconds.get()) / 1e9));
  page.push_back(gauge("process_resident_memory_bytes", "Resident memory, in bytes.",
                       number(now.resident_octets)));
  page.push_back(gauge("process_virtual_memory_bytes", "Virtual memory, in bytes.",
                       number(now.virtual_octets)));
  page.push_back(gauge("process_start_time_seconds",
                       "Start of the youngest process, in seconds of Unix time.",
                       number(now.started) / 1000));
  page.push_back(gauge("process_open_fds", "Open file descriptors.", number(now.open_descriptors)));
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  page.push_back(gauge("process_max_fds", "Limit of open file descriptors.",
                       number(limit.rlim_cur) * number(now.seen)));
}

}  // namespace http01
