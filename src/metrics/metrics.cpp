#include "metrics/metrics.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string_view>
#include <utility>

#include "metrics/counter.h"

namespace http01 {
namespace {

using base::EnumArray;
using base::kAllOf;
using protocol::HttpStatus;
using protocol::Outcome;
using protocol::PathKind;
using protocol::Reason;
using protocol::RecordType;

constexpr std::array<std::string_view, 8> kMethods{"GET",    "HEAD",    "POST",  "PUT",
                                                   "DELETE", "OPTIONS", "PATCH", "other"};
// How old the news of the state file and of processor time may be.
constexpr std::chrono::seconds kLookEvery{1};

std::size_t index_of_method(std::string_view method) {
  std::size_t i = 0;
  while (i + 1 < kMethods.size() && kMethods[i] != method) ++i;
  return i;
}

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

}  // namespace

// All of the octets are counters or gauges, and zero octets are ones at zero.
struct Metrics::Counters {
  std::array<EnumArray<PathKind, EnumArray<HttpStatus, Counter>>, kMethods.size()> requests;
  std::array<EnumArray<PathKind, Histogram>, kMethods.size()> durations;
  EnumArray<HttpStatus, Counter> redirects;
  EnumArray<Reason, Counter> decisions;
  std::array<EnumArray<Outcome, Counter>, protocol::kRecordTypes.size()> lookups;
  Histogram lookup_durations;
  Counter cache_hits;
  Counter cache_misses;
  Counter log_lines_dropped;
  Counter processor_nanoseconds;
};

// What is true of one process now. A slot is that of whoever holds the mark of its number in the
// file, and counts only while it is held: a process that was killed leaves nothing behind.
struct alignas(64) Metrics::Slot {
  std::atomic<std::uint64_t> pid;
  std::atomic<std::uint64_t> start_ticks;
  std::atomic<std::uint64_t> start_milliseconds;  // of Unix time
  std::atomic<std::uint64_t> requests_in_flight;
  std::atomic<std::uint64_t> lookups_in_flight;
  std::atomic<std::uint64_t> cache_entries;
  std::atomic<std::uint64_t> open_descriptors;  // when it was last looked after
};

struct Metrics::Shared {
  // More processes than cores are of use to nobody; those of CGI live for a request each. One
  // without a slot still counts, and only what is true of it now is missing from others' pages.
  static constexpr std::size_t kSlots = 128;

  Counters counters;
  std::array<Slot, kSlots> slots;
  RecentChecks checks;

  // What stands where, as a number: another order of members or meaning counts the word's end up.
  static std::uint32_t layout() {
    Layout layout;
    layout.add("counters, slots and checks, 3");
    layout.add_number(sizeof(Counters));
    layout.add_number(sizeof(Slot));
    layout.add_number(sizeof(RecentChecks));
    for (const std::string_view method : kMethods) layout.add(method);
    for (const PathKind kind : kAllOf<PathKind>) layout.add(to_string(kind));
    for (const auto& status : protocol::kHttpStatuses) layout.add_number(status.code);
    for (const Reason reason : kAllOf<Reason>) layout.add(protocol::info(reason).word);
    for (const auto& type : protocol::kRecordTypes) layout.add(type.word);
    for (const Outcome outcome : kAllOf<Outcome>) layout.add(to_string(outcome));
    for (const double bound : Histogram::kBounds) layout.add_number(bound);
    return layout.value();
  }
};

Metrics::Metrics(std::string_view version)
    : version_(version),
      own_(std::make_unique<Counters>()),
      own_checks_(std::make_unique<RecentChecks>()),
      counters_(own_.get()) {}
Metrics::~Metrics() = default;

base::Result<bool> Metrics::use_state_file(const std::string& path) {
  if (path == path_) return false;
  if (path.empty()) {
    file_.reset();
    slot_ = nullptr;
    counters_ = own_.get();
    path_.clear();
    return false;
  }
  return open_state_file(path);
}

base::Result<bool> Metrics::open_state_file(const std::string& path) {
  auto file = StateFile::open(path, sizeof(Shared), Shared::layout(), file_ ? &*file_ : nullptr);
  if (!file) return base::Failure{file.error()};
  const bool replaced = file->replaced();
  file_.emplace(std::move(*file));
  auto& shared = *static_cast<Shared*>(file_->data());
  counters_ = &shared.counters;
  path_ = path;
  told_.clear();
  slot_ = nullptr;
  if (const auto mark = file_->take_mark(Shared::kSlots)) {
    slot_ = &shared.slots[*mark];
    show(shown_);
    slot_->start_ticks = own_facts().start_ticks;
    slot_->start_milliseconds = started_;
    slot_->open_descriptors = open_descriptors(own_pid()).value_or(0);
    slot_->pid = own_pid();
  }
  return replaced;
}

base::Result<void> Metrics::look_after(base::TimePoint now) {
  if (now < next_look_) return {};
  next_look_ = now + kLookEvery;
  count_processor_time();
  if (!file_) return {};
  if (slot_ != nullptr) slot_->open_descriptors = open_descriptors(own_pid()).value_or(0);

  std::string news;
  const StateFile::Path path = file_->path_now();
  if (path == StateFile::Path::kForeign) {
    news = path_ + ": is of another version now; this process counts on in the one it had";
  } else if (path == StateFile::Path::kOther || file_->lost()) {
    const auto opened = open_state_file(std::string(path_));
    news = opened ? path_ + ": was removed, replaced or cut short; counting in a new one"
                  : opened.error() + "; this process counts on in what it had";
  }
  if (news == told_) return {};
  told_ = news;
  return base::Failure{std::move(news)};
}

bool Metrics::admit_check(const CheckLimits& limits, std::string_view client, base::TimePoint now) {
  RecentChecks& checks = file_ ? static_cast<Shared*>(file_->data())->checks : *own_checks_;
  return checks.admit(limits, client, now);
}

ProcessFacts Metrics::own_facts() {
  const ProcessFacts facts = process_facts(own_pid()).value_or(ProcessFacts{});
  if (started_ == 0) started_ = start_milliseconds(facts);
  return facts;
}

void Metrics::count_processor_time() {
  const base::Duration now = processor_time();
  counters_->processor_nanoseconds.add(static_cast<std::uint64_t>((now - counted_time_).count()));
  counted_time_ = now;
}

void Metrics::request(const protocol::Request& request, const protocol::Reply& reply,
                      base::Duration total) {
  const std::size_t method = index_of_method(request.method);
  const HttpStatus status = reply.response.status;
  counters_->requests[method][request.kind][status].add();
  counters_->durations[method][request.kind].observe(total);
  // A page of the relay's own is no decision about anybody's domain.
  if (reply.page == protocol::Page::kNone) {
    counters_->decisions[reply.reason].add();
  }
  if (is_redirect(status)) counters_->redirects[status].add();
}

void Metrics::on_lookup(protocol::RecordType type, protocol::Outcome outcome,
                        base::Duration duration) {
  counters_->lookups[index_of(type)][outcome].add();
  counters_->lookup_durations.observe(duration);
  if (on_change_) on_change_();
}

void Metrics::on_cache_hit() { counters_->cache_hits.add(); }

void Metrics::on_cache_miss() {
  counters_->cache_misses.add();
  if (on_change_) on_change_();
}

void Metrics::show(const Gauges& gauges) {
  counters_->log_lines_dropped.add(gauges.log_lines_dropped - shown_.log_lines_dropped);
  shown_ = gauges;
  if (slot_ == nullptr) return;
  slot_->requests_in_flight.store(gauges.requests_in_flight, std::memory_order_relaxed);
  slot_->lookups_in_flight.store(gauges.lookups_in_flight, std::memory_order_relaxed);
  slot_->cache_entries.store(gauges.cache_entries, std::memory_order_relaxed);
}

// Of this process and all others that have a slot.
Metrics::Totals Metrics::totals() {
  Totals totals;
  totals.gauges = shown_;
  const auto add_process = [&totals](std::uint64_t pid, const ProcessFacts& facts,
                                     std::uint64_t started, std::uint64_t descriptors) {
    totals.resident_octets += facts.resident_octets;
    totals.virtual_octets += facts.virtual_octets;
    // Of another one only root may count them (see serve/isolate).
    totals.open_descriptors += open_descriptors(pid).value_or(descriptors);
    totals.started = std::max(totals.started, started);
    ++totals.seen;
  };
  const ProcessFacts own = own_facts();
  add_process(own_pid(), own, started_, 0);
  if (!file_) return totals;

  auto& slots = static_cast<Shared*>(file_->data())->slots;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const Slot& slot = slots[i];
    const std::uint64_t pid = slot.pid;
    if (pid == 0 || &slot == slot_ || !file_->held_by_another(i)) continue;
    ++totals.processes;
    totals.gauges.requests_in_flight += slot.requests_in_flight;
    totals.gauges.lookups_in_flight += slot.lookups_in_flight;
    totals.gauges.cache_entries += slot.cache_entries;
    // In another container, the number is somebody else's here.
    const auto facts = process_facts(pid);
    if (!facts || facts->start_ticks != slot.start_ticks) continue;
    add_process(pid, *facts, slot.start_milliseconds, slot.open_descriptors);
  }
  return totals;
}

std::string Metrics::page(const Gauges& gauges) {
  show(gauges);
  count_processor_time();
  std::vector<Family> page;
  add_requests(page);
  add_lookups(page);
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

  std::vector<Sample> decisions;
  for (const Reason reason : kAllOf<Reason>) {
    const std::string_view word = protocol::info(reason).word;
    decisions.push_back(sample({{"reason", std::string(word)}}, counters_->decisions[reason]));
  }
  page.push_back(family("relay_decisions_total", FamilyType::kCounter,
                        "Requests answered, by reason.", std::move(decisions)));
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
                        "Log lines that nobody read in time.",
                        {sample({}, counters_->log_lines_dropped)}));
  page.push_back(
      gauge("relay_processes", "Processes whose numbers these are.", number(now.processes)));
  page.push_back(family("relay_build_info", FamilyType::kGauge, "1, with what was built as labels.",
                        {sample({{"version", std::string(version_)}}, 1)}));

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
