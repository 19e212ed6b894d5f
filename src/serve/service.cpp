#include "serve/service.h"

#include <algorithm>
#include <new>
#include <utility>

#include "pages/pages.h"

namespace http01 {
namespace {

// What the process needs beside requests: standard streams, epoll, signals, log, listening sockets,
// and connections that are being read. A quarter of the descriptors does where there are few.
constexpr std::size_t kReservedDescriptors = 512;
// A request that waits holds its connection and, at most times, two look-ups (TXT and CNAME).
constexpr std::size_t kDescriptorsPerRequest = 3;

std::string refusal_answer() {
  protocol::Response response;
  response.status = protocol::info(protocol::Reason::kOverloaded).status;
  return protocol::to_cgi(response, protocol::Reason::kOverloaded, false);
}

std::string news_line(const dns::Outages::News& news) {
  const std::string server = "DNS server " + news.server.text();
  if (news.answers) {
    const auto silent = std::chrono::round<std::chrono::seconds>(news.silent).count();
    return server + " answers again. It had not answered for " + std::to_string(silent) + " s.";
  }
  const char* const why = news.last == dns::ServerStatus::kRefused       ? " (connection refused)"
                          : news.last == dns::ServerStatus::kUnreachable ? " (network unreachable)"
                                                                         : "";
  return server + " does not answer" + why +
         ". Challenges fail unless another server answers or the cache has the records.";
}

}  // namespace

Service::Service(base::Loop& loop, Log& log, Config config, std::string_view version,
                 OnAnswer on_answer)
    : loop_(loop),
      log_(log),
      on_answer_(std::move(on_answer)),
      config_(std::make_unique<Config>(std::move(config))),
      metrics_(version),
      refusal_(refusal_answer()),
      engine_(loop, config_->dns, config_->cache, &metrics_),
      relay_(loop, engine_, *config_,
             [this](const Relay::Finished& finished, protocol::Reply& reply) {
               finish(finished, reply);
             }),
      examinations_(
          loop, *config_,
          [this](const protocol::Request& request) { return refusal_of_check(request); },
          [this](Id id, const protocol::Request& request, protocol::Reply& reply,
                 base::Duration took) {
            answer(id, request, reply, {took, took, took != base::Duration::zero(), {}});
          }) {
  metrics_.on_change([this] { show_gauges_soon(); });
}

void Service::request(Id id, const protocol::RawRequest& raw) {
  if (!has_memory()) return refuse(id);
  try {
    relay_.submit(id, protocol::read_request(config_->policy, raw));
  } catch (const std::bad_alloc&) {
    refuse(id);
  }
}

// While the reserve is not whole, it is for what is under way.
bool Service::has_memory() {
  if (!memory_ || !memory_->has_given()) return true;
  if (!std::exchange(short_of_memory_, true)) {
    log_.error("Out of memory: new requests are refused until some is available.");
  }
  try {
    if (!memory_->refill()) engine_.forget_answers();
  } catch (const std::bad_alloc&) {
  }
  if (!memory_->refill()) return false;
  short_of_memory_ = false;
  log_.warn("Memory is available again. " + std::to_string(std::exchange(refused_, 0)) +
            " requests were refused.");
  return true;
}

void Service::refuse(Id id) {
  ++refused_;
  metrics_.overloaded(protocol::Limit::kMemory);
  on_answer_(id, refusal_);
}

void Service::time_out() {
  relay_.time_out();
  examinations_.time_out();
}

void Service::forget(Id id) {
  relay_.forget(id);
  examinations_.forget(id);
  show_gauges_soon();
}

void Service::finish(const Relay::Finished& finished, protocol::Reply& reply) {
  if (const auto looked = metrics_.look_after(loop_.now()); !looked) {
    log_.warn("service.state_file: " + looked.error());
  }
  try {
    if (reply.page == protocol::Page::kCheck) {
      examinations_.begin(finished.id, finished.request);
      return;
    }
    fill_page(
        config_->policy, finished.request, [this] { return metrics_.page(gauges()); }, reply);
  } catch (const std::bad_alloc&) {
    examinations_.forget(finished.id);
    return refuse(finished.id);
  }
  answer(finished.id, finished.request, reply, finished.times);
}

// Counted before it is sent: what has been answered is never missing from the counters, whoever
// ends the process when.
void Service::answer(Id id, const protocol::Request& request, const protocol::Reply& reply,
                     const protocol::RequestTimes& times) {
  metrics_.request(request, reply, times.total);
  if (times.asked) show_gauges_soon();
  log_.request(request, reply, times);
  add_to_attempts(request, reply.reason);
  std::string cgi;
  try {
    cgi = protocol::to_cgi(reply.response, reply.reason, request.is_head());
  } catch (const std::bad_alloc&) {
    // One request, one refusal.
    if (reply.limit) return on_answer_(id, refusal_);
    return refuse(id);
  }
  on_answer_(id, cgi);
}

void Service::tell_outages() {
  metrics_.on_outages([this](const dns::Outages::News& news) {
    try {
      const std::string line = news_line(news);
      news.answers ? log_.info(line) : log_.warn(line);
    } catch (const std::bad_alloc&) {
      // As a line of the log that there is no memory for.
    }
  });
}

void Service::add_to_attempts(const protocol::Request& request, protocol::Reason reason) {
  if (!attempts_) return;
  try {
    if (const auto early = attempts_->add(loop_.now(), request, reason)) tell(*early);
    wait_for_attempts();
  } catch (const std::bad_alloc&) {
    // The request has a line of its own.
  }
}

void Service::wait_for_attempts() {
  const auto due = attempts_->due();
  if (attempts_timer_ != 0 || !due) return;
  attempts_timer_ = loop_.at(*due, [this] {
    attempts_timer_ = 0;
    while (const auto attempt = attempts_->take(loop_.now())) tell(*attempt);
    wait_for_attempts();
  });
}

void Service::tell_open_attempts() {
  if (!attempts_) return;
  while (const auto attempt = attempts_->take_oldest()) tell(*attempt);
}

void Service::tell(const Attempt& attempt) {
  metrics_.attempt(attempt.outcome());
  log_.attempt(attempt);
}

Gauges Service::gauges() const {
  return {in_flight(), engine_.in_flight(), engine_.cache_entries(), log_.dropped()};
}

// Once a turn of the loop, at its end, when all have happened that changes them.
void Service::show_gauges_soon() {
  if (gauges_stale_) return;
  try {
    loop_.defer([this] {
      gauges_stale_ = false;
      show_gauges();
    });
    gauges_stale_ = true;
  } catch (const std::bad_alloc&) {
    // The next change shows them.
  }
}

void Service::open_state_file() {
  const auto opened = metrics_.use_state_file(config_->state_file);
  if (!opened) {
    const std::string& before = metrics_.state_file();
    log_.error(
        "service.state_file: " + opened.error() +
        (before.empty() ? "; this process counts alone" : "; counting goes on in " + before));
  } else if (*opened) {
    log_.warn("service.state_file: " + config_->state_file +
              " is from another version; counting starts again from 0");
  }
}

void Service::refuse_checks_counted_alone() {
  if (metrics_.state_file().empty()) config_->policy.public_check = false;
}

std::optional<protocol::Limit> Service::refusal_of_check(const protocol::Request& request) {
  const Limits& limits = config_->limits;
  return metrics_.refusal_of_check({limits.checks_per_client, limits.checks}, request.client,
                                   loop_.now());
}

void Service::reconfigure(Config config) {
  auto next = std::make_unique<Config>(std::move(config));
  engine_.reconfigure(next->dns, next->cache);
  // Both are there until all look at the new one, or memory is short on the way.
  config_.swap(next);
  relay_.reconfigure(*config_);
  examinations_.reconfigure(*config_);
}

std::size_t Service::descriptors_for(const Config& config) {
  const std::size_t checks = config.policy.public_check ? Examinations::kDescriptors : 0;
  return kReservedDescriptors + checks + config.limits.in_flight * kDescriptorsPerRequest;
}

std::size_t Service::fit_to_descriptors(std::size_t descriptors) {
  std::size_t spare = descriptors - std::min(kReservedDescriptors, descriptors / 4);
  if (config_->policy.public_check) {
    spare -= std::min(Examinations::kDescriptors, spare / 4);
  }
  const std::size_t requests = std::min(config_->limits.in_flight, spare / kDescriptorsPerRequest);
  relay_.set_in_flight_limit(requests);
  engine_.set_max_sockets(spare - requests);
  return requests;
}

}  // namespace http01
