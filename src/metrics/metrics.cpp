#include "metrics/metrics.h"

#include <algorithm>
#include <atomic>
#include <string_view>
#include <utility>

#include "metrics/counters.h"

namespace http01 {
namespace {

// How old the news of the state file and of processor time may be.
constexpr std::chrono::seconds kLookEvery{1};

std::size_t index_of_method(std::string_view method) {
  std::size_t i = 0;
  while (i + 1 < kMethods.size() && kMethods[i] != method) ++i;
  return i;
}

}  // namespace

Metrics::Metrics(std::string_view version)
    : version_(version),
      own_(std::make_unique<Counters>()),
      own_checks_(std::make_unique<RecentChecks>()),
      counters_(own_.get()),
      reload_(std::make_unique<Reload>()) {
  reloaded(true);
}
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
    slot_->last_reload = reload_->word();
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

std::optional<protocol::Limit> Metrics::refusal_of_check(const CheckLimits& limits,
                                                         std::string_view client,
                                                         base::TimePoint now) {
  RecentChecks& checks = file_ ? static_cast<Shared*>(file_->data())->checks : *own_checks_;
  return checks.refusal(limits, client, now);
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
  const protocol::HttpStatus status = reply.response.status;
  counters_->requests[method][request.kind][status].add();
  counters_->durations[method][request.kind].observe(total);
  // A page of the relay's own is no decision about anybody's domain.
  if (reply.page == protocol::Page::kNone) {
    counters_->decisions[reply.reason].add();
  }
  if (is_redirect(status)) counters_->redirects[status].add();
  if (reply.limit) overloaded(*reply.limit);
  if (reply.page == protocol::Page::kReady) {
    counters_->ready_checks[reply.reason].add();
    counters_->last_ready = reply.is_success() ? 2 : 1;
  }
}

void Metrics::overloaded(protocol::Limit limit) { counters_->overloaded[limit].add(); }

void Metrics::attempt(std::optional<protocol::Reason> outcome) {
  (outcome ? counters_->attempts[*outcome] : counters_->mixed_attempts).add();
}

void Metrics::reloaded(bool taken) {
  reload_->failed = !taken;
  if (taken) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    reload_->milliseconds = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  }
  if (slot_ != nullptr) slot_->last_reload = reload_->word();
}

void Metrics::on_lookup(protocol::RecordType type, protocol::Outcome outcome,
                        base::Duration duration) {
  counters_->lookups[index_of(type)][outcome].add();
  counters_->lookup_durations.observe(duration);
  if (on_change_) on_change_();
}

void Metrics::on_server(const base::Endpoint& server, dns::ServerStatus status) {
  counters_->servers.of(server)[status].add();
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
  totals.reload_failed = reload_->failed;
  totals.reloaded = reload_->milliseconds;
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
    const Reload reload = Reload::of(slot.last_reload);
    totals.reload_failed |= reload.failed;
    totals.reloaded = std::min(totals.reloaded, reload.milliseconds);
    // In another container, the number is somebody else's here.
    const auto facts = process_facts(pid);
    if (!facts || facts->start_ticks != slot.start_ticks) continue;
    add_process(pid, *facts, slot.start_milliseconds, slot.open_descriptors);
  }
  return totals;
}

}  // namespace http01
