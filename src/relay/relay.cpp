#include "relay/relay.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <system_error>

#include "dns/random.h"

namespace http01 {

using protocol::Answer;
using protocol::Answers;
using protocol::Ask;
using protocol::Outcome;
using protocol::Question;
using protocol::Reply;
using protocol::Request;
using protocol::RequestTimes;

namespace {

// How old an answer may be that is to be fresh: the resolver need not hear of each /ready.
constexpr std::chrono::seconds kFresh{1};
constexpr std::size_t kLabelOctets = 10;

// The turn of the loop in which a request came in is when it began.
RequestTimes since(base::TimePoint begun, bool asked) {
  const base::Duration total = base::Clock::now() - begun;
  return {asked ? total : base::Duration::zero(), total, asked, RequestTimes::Cache::kNotAsked};
}

// Which limit it has met that had a look-up refused, or was not read to its end.
protocol::Limit limit_of(const Request& request, const Answers& known) {
  const auto without_memory = [](const Answers::Entry& entry) {
    return entry.second.outcome == Outcome::kOverloaded &&
           entry.second.cause == protocol::Cause::kNoMemory;
  };
  const bool memory = request.fault || std::ranges::any_of(known.entries(), without_memory);
  return memory ? protocol::Limit::kMemory : protocol::Limit::kSockets;
}

// What was refused has no answer, and /ready asks for what the cache cannot know.
RequestTimes::Cache cache_of(const Relay::Finished& finished, const Reply& reply) {
  if (finished.answers.entries().empty() || reply.limit || reply.page == protocol::Page::kReady) {
    return RequestTimes::Cache::kNotAsked;
  }
  return finished.times.asked ? RequestTimes::Cache::kMiss : RequestTimes::Cache::kHit;
}

}  // namespace

Relay::Relay(base::Loop& loop, dns::Resolver& resolver, const Config& config,
             OnFinished on_finished)
    : loop_(loop), resolver_(resolver), config_(&config), on_finished_(std::move(on_finished)) {}

Relay::~Relay() {
  while (!pending_.empty()) forget(pending_.begin()->first);
}

// No resolver has heard of it, and nobody can make it known in advance. All requests of a second
// share it, and with it the look-up.
const std::string& Relay::unknown_label() {
  if (loop_.now() < label_until_) return label_;
  std::array<std::uint8_t, kLabelOctets> octets{};
  if (!dns::random_octets(octets)) {
    throw std::system_error(errno, std::generic_category(), "random octets");
  }
  label_.clear();
  for (const std::uint8_t octet : octets) {
    label_ += static_cast<char>('a' + octet % 16);
    label_ += static_cast<char>('a' + octet / 16);
  }
  label_until_ = loop_.now() + kFresh;
  return label_;
}

bool Relay::find(const Ask& ask, const Question& question, Stale stale, Answer& answer) {
  if (!ask.fresh) return resolver_.cached(question, answer);
  if (loop_.now() < fresh_until_) {
    if (const Answer* const known = fresh_.find(question)) {
      answer = *known;
      return true;
    }
  }
  return stale == Stale::kTaken && resolver_.cached(question, answer);
}

// Decides as far as the cache knows. Returns what is left to ask; nothing left: the reply is there.
// What is waited for is not looked up: the cache may have the silence of a look-up that goes on.
Ask Relay::settle(const Request& request, Answers& known, Reply& reply, Stale stale,
                  const std::vector<Question>& waiting) {
  while (true) {
    protocol::Step step = protocol::decide(config_->policy, request, known);
    if (auto* const done = std::get_if<Reply>(&step)) {
      reply = std::move(*done);
      return {};
    }
    Ask& ask = std::get<Ask>(step);
    bool learned = false;
    Answer answer;
    for (Question& question : ask.questions) {
      if (std::ranges::find(waiting, question) != waiting.end()) continue;
      if (!find(ask, question, stale, answer)) continue;
      known.put(std::move(question), std::move(answer));
      learned = true;
    }
    if (!learned) return std::move(ask);
  }
}

void Relay::submit(Id id, Request request) {
  try {
    begin(id, request);
  } catch (const std::bad_alloc&) {
    refuse(id, request, protocol::Limit::kMemory);
  } catch (const std::system_error&) {
    refuse(id, request, protocol::Limit::kSockets);
  }
}

// Takes the request if it has to wait.
void Relay::begin(Id id, Request& request) {
  Pending pending;
  if (request.kind == protocol::PathKind::kReady) request.unknown_label = unknown_label();
  Reply reply;
  Ask ask = settle(request, pending.known, reply, Stale::kRefused);
  if (ask.questions.empty()) {
    tell({id, request, pending.known, since(loop_.now(), false)}, reply);
    return;
  }
  Limits limits = config_->limits;
  limits.in_flight = std::min(limits.in_flight, descriptor_limit_);
  auto admitted = admission_.admit(limits, request);
  if (const auto* const limit = std::get_if<protocol::Limit>(&admitted)) {
    // What is in the cache is never refused, even if it is not fresh.
    ask = settle(request, pending.known, reply, Stale::kTaken);
    for (const Question& question : ask.questions) {
      pending.known.put(question, Answer{Outcome::kOverloaded, {}, {}, {}, {}, {}});
    }
    settle(request, pending.known, reply, Stale::kTaken);
    if (reply.reason == protocol::Reason::kOverloaded) reply.limit = *limit;
    tell({id, request, pending.known, since(loop_.now(), false)}, reply);
    return;
  }
  Pending* place = nullptr;
  try {
    place = &pending_[id];
  } catch (const std::bad_alloc&) {
    admission_.release(std::get<Admission::Admitted>(admitted));
    throw;
  }
  // From here on, refuse() undoes all that is there.
  pending.admitted = std::move(std::get<Admission::Admitted>(admitted));
  pending.request = std::move(request);
  pending.begun = loop_.now();
  *place = std::move(pending);
  place->deadline = loop_.after(config_->dns.deadline, [this, id] { on_deadline(id); });
  send(id, *place, ask);
}

void Relay::send(Id id, Pending& pending, const Ask& ask) {
  pending.probed |= ask.fresh;
  pending.waiting.insert(pending.waiting.end(), ask.questions.begin(), ask.questions.end());
  for (const Question& question : ask.questions) {
    ask.fresh ? resolver_.probe(question, id, *this) : resolver_.ask(question, id, *this);
  }
}

void Relay::reconfigure(const Config& config) {
  config_ = &config;
  fresh_until_ = {};
  // What servers have said that may be others now. Where it is still right, the cache has it.
  for (auto& [id, pending] : pending_) pending.known = {};
}

void Relay::on_answer(dns::Resolver::Ticket ticket, const Question& question,
                      const Answer& answer) {
  const auto found = pending_.find(ticket);
  if (found == pending_.end()) return;
  std::erase(found->second.waiting, question);
  try {
    found->second.known.put(question, answer);
    advance(ticket);
  } catch (const std::bad_alloc&) {
    refuse(ticket, {}, protocol::Limit::kMemory);
  }
}

void Relay::advance(Id id) {
  Pending& pending = pending_.at(id);
  Reply reply;
  Ask ask = settle(pending.request, pending.known, reply, Stale::kRefused, pending.waiting);
  if (ask.questions.empty()) {
    finish(id, std::move(reply));
    return;
  }
  std::erase_if(ask.questions, [&](const Question& question) {
    return std::ranges::find(pending.waiting, question) != pending.waiting.end();
  });
  send(id, pending, ask);
}

void Relay::on_deadline(Id id) {
  const auto found = pending_.find(id);
  if (found == pending_.end()) return;
  found->second.deadline = 0;
  try {
    give_up(id, found->second);
  } catch (const std::bad_alloc&) {
    refuse(id, {}, protocol::Limit::kMemory);
  }
}

void Relay::time_out() {
  while (!pending_.empty()) {
    const auto& [id, pending] = *pending_.begin();
    loop_.cancel(pending.deadline);
    on_deadline(id);
  }
}

void Relay::give_up(Id id, Pending& pending) {
  for (const Question& question : pending.waiting) {
    pending.known.put(question, resolver_.leave(question, id));
  }
  pending.waiting.clear();
  // What a decision would still ask for is not asked any more.
  Reply reply;
  for (Ask open = settle(pending.request, pending.known, reply, Stale::kRefused);
       !open.questions.empty();
       open = settle(pending.request, pending.known, reply, Stale::kRefused)) {
    for (const Question& question : open.questions) pending.known.put(question, Answer{});
  }
  finish(id, std::move(reply));
}

void Relay::finish(Id id, Reply reply) {
  // Out of every table before anyone is told.
  auto node = pending_.extract(id);
  const Pending& pending = node.mapped();
  loop_.cancel(pending.deadline);
  for (const Question& question : pending.waiting) resolver_.leave(question, id);
  admission_.release(pending.admitted);
  if (pending.probed) remember(pending.known);
  tell({id, pending.request, pending.known, since(pending.begun, true)}, reply);
}

void Relay::tell(const Finished& finished, Reply& reply) {
  if (reply.reason == protocol::Reason::kOverloaded && !reply.limit) {
    reply.limit = limit_of(finished.request, finished.answers);
  }
  Finished told = finished;
  told.times.cache = cache_of(finished, reply);
  on_finished_(told, reply);
}

void Relay::remember(const Answers& known) {
  try {
    fresh_ = known;
    fresh_until_ = loop_.now() + kFresh;
  } catch (const std::bad_alloc&) {
    fresh_until_ = {};
  }
}

// For want of memory or of random octets. `request` is looked at if it is not one that waits.
void Relay::refuse(Id id, const Request& request, protocol::Limit limit) {
  Reply reply;
  reply.limit = limit;
  reply.reason = protocol::Reason::kOverloaded;
  reply.response.status = protocol::info(reply.reason).status;
  if (pending_.contains(id)) {
    finish(id, std::move(reply));
  } else {
    tell({id, request, {}, since(loop_.now(), false)}, reply);
  }
}

void Relay::forget(Id id) {
  auto node = pending_.extract(id);
  if (!node) return;
  const Pending& pending = node.mapped();
  loop_.cancel(pending.deadline);
  for (const Question& question : pending.waiting) resolver_.leave(question, id);
  admission_.release(pending.admitted);
}

}  // namespace http01
