#include "dns/engine.h"

#include <algorithm>
#include <new>
#include <optional>
#include <utility>

namespace http01::dns {
namespace {

using base::TimePoint;
using protocol::Answer;
using protocol::Outcome;
using protocol::Question;

// One look-up that is sent rubbish does not keep the others waiting: what is left is read in the
// next turn.
constexpr int kMessagesPerTurn = 16;

// To try again takes some twenty microseconds, and thousands may have to at once. Between so many
// of them the loop looks at the descriptors, and runs all timers that have come due meanwhile:
// those are the deadlines of requests.
constexpr int kRetriesPerTurn = 2;

Answer answer_of(Outcome outcome) {
  Answer answer;
  answer.outcome = outcome;
  return answer;
}

Answer without_memory() {
  Answer answer = answer_of(Outcome::kOverloaded);
  answer.cause = protocol::Cause::kNoMemory;
  return answer;
}

// What is said to someone who has no more time for the answer itself.
Answer to_leaver(const Answer& answer) {
  return answer.outcome == Outcome::kFailure ? answer : answer_of(Outcome::kTimeout);
}

}  // namespace

Engine::Engine(base::Loop& loop, Settings settings, const CacheSettings& cache_settings,
               Observer* observer, std::string resolv_conf)
    : loop_(loop),
      settings_(std::move(settings)),
      cache_settings_(cache_settings),
      observer_(observer),
      cache_(cache_settings),
      resolv_conf_(std::move(resolv_conf)),
      deliveries_(loop) {
  use_servers(settings_.servers, settings_.tcp_alone);
}

Engine::~Engine() {
  loop_.cancel(overdue_timer_);
  for (const auto& [question, lookup] : lookups_) loop_.cancel(lookup->timer);
}

void Engine::reconfigure(Settings settings, const CacheSettings& cache_settings) {
  settings_ = std::move(settings);
  if (cache_settings != cache_settings_) {
    cache_settings_ = cache_settings;
    cache_.reset(cache_settings);
  }
  if (settings_.servers.empty()) {
    resolv_conf_.read(loop_.now());
    use_servers(resolv_conf_.servers(), resolv_conf_.tcp_alone());
  } else {
    use_servers(settings_.servers, settings_.tcp_alone);
  }
}

bool Engine::cached(const Question& question, Answer& answer) {
  if (!cache_.get(question, loop_.now(), answer)) return false;
  if (observer_) observer_->on_cache_hit();
  return true;
}

void Engine::ask(const Question& question, Ticket ticket, Asker& asker) {
  if (observer_) observer_->on_cache_miss();
  join_or_start(question, {ticket, &asker, loop_.now()}, true);
}

void Engine::probe(const Question& question, Ticket ticket, Asker& asker) {
  join_or_start(question, {ticket, &asker, loop_.now()}, false);
}

void Engine::join_or_start(const Question& question, Waiter waiter, bool keep) {
  const auto found = lookups_.find(question);
  if (found != lookups_.end()) {
    found->second->waiters.push_back(waiter);
    found->second->keep |= keep;
  } else if (lookups_.size() >= max_sockets_) {
    deliveries_.add(question, answer_of(Outcome::kOverloaded), {waiter});
  } else {
    start(question, {waiter}, keep);
  }
}

Answer Engine::leave(const Question& question, Ticket ticket) {
  const auto is_leaver = [ticket](const Waiter& waiter) { return waiter.ticket == ticket; };
  const auto found = lookups_.find(question);
  if (found != lookups_.end() && std::erase_if(found->second->waiters, is_leaver) != 0) {
    return found->second->query.so_far();
  }
  const auto answer = deliveries_.leave(question, ticket);
  return answer ? to_leaver(*answer) : answer_of(Outcome::kTimeout);
}

void Engine::start(const Question& question, std::vector<Waiter> waiters, bool keep) {
  if (lookups_.size() + firsts_ >= max_sockets_ && firsts_ != 0) {
    for (const auto& [other, lookup] : lookups_) close_first(*lookup);
  }
  if (settings_.servers.empty() && resolv_conf_.refresh(loop_.now())) {
    use_servers(resolv_conf_.servers(), resolv_conf_.tcp_alone());
  }
  auto owned =
      std::make_unique<Lookup>(loop_, question, servers_.choose(loop_.now()), settings_, ids_);
  Lookup& lookup = *owned;
  lookup.keep = keep;
  lookup.waiters = std::move(waiters);
  lookups_.emplace(question, std::move(owned));
  try {
    advance(lookup, lookup.query.on_start(loop_.now()));
  } catch (const std::bad_alloc&) {
    discard(question);
    throw;
  }
}

// Takes a look-up out of the table that cannot go on. Who waits for it is not told.
void Engine::discard(const Question& question) {
  const auto lookup = lookups_.extract(question);
  if (!lookup) return;
  loop_.cancel(lookup.mapped()->timer);
  close_sockets(*lookup.mapped());
}

// Does what the query says until there is something to wait for, or an end. The look-up may be gone
// after.
void Engine::advance(Lookup& lookup, Next next) {
  while (const Send* order = std::get_if<Send>(&next)) {
    // The answer to what was sent may still be of use to the cache; to ask again would be for
    // nobody. How far it has come is no outcome to keep: whoever asks next has all tries.
    if (lookup.waiters.empty()) {
      end(lookup, lookup.query.so_far());
      return;
    }
    switch (transmit(lookup, *order)) {
      case Exchange::Opened::kYes:
        return;
      case Exchange::Opened::kNoSocket:
        finish(lookup, answer_of(Outcome::kOverloaded));
        return;
      case Exchange::Opened::kNoMemory:
        finish(lookup, without_memory());
        return;
      case Exchange::Opened::kFailed:
        next = give_up_server(lookup, lookup.exchange().cause());
        break;
    }
  }
  if (const Answer* answer = std::get_if<Answer>(&next)) finish(lookup, *answer);
}

Exchange::Opened Engine::transmit(Lookup& lookup, const Send& order) {
  keep_or_close_first(lookup, order);
  lookup.current = order;
  lookup.is_told = true;
  // An id that could be guessed is never sent.
  if (ids_.take_refusal()) return Exchange::Opened::kNoSocket;
  lookup.sent = loop_.now();
  lookup.overdue = false;
  try {
    set_timer(lookup, order.until);
    const Exchange::Opened opened = lookup.exchange().open(
        lookup.server(), order.tcp,
        make_query(lookup.question, order.id, order.edns, settings_.checking),
        [this, &lookup](std::uint32_t) { on_ready(lookup); });
    lookup.is_told = opened == Exchange::Opened::kNoSocket;
    return opened;
  } catch (const std::bad_alloc&) {
    return Exchange::Opened::kNoMemory;
  }
}

// A second socket for a look-up only while there are plenty.
void Engine::keep_or_close_first(Lookup& lookup, const Send& order) {
  if (!order.first) return close_first(lookup);
  if (lookup.first || order.first != lookup.current->id) return;
  if (lookups_.size() + firsts_ >= max_sockets_ / 2) return;
  lookup.first = lookup.current;
  lookup.slot = 1 - lookup.slot;
  ++firsts_;
}

void Engine::close_first(Lookup& lookup) {
  if (!lookup.first) return;
  lookup.first.reset();
  lookup.first_exchange().close();
  --firsts_;
}

void Engine::close_sockets(Lookup& lookup) {
  lookup.exchange().close();
  close_first(lookup);
}

// Returns whether the look-up has ended.
bool Engine::take_late_answer(Lookup& lookup) {
  for (int i = 0; lookup.first && i < kMessagesPerTurn; ++i) {
    const Exchange::Received received = lookup.first_exchange().receive(buffer_);
    if (received.what == Exchange::Received::What::kNothing) break;
    if (received.what == Exchange::Received::What::kMessage) {
      const Next next = lookup.query.on_late_packet(received.message);
      if (const Answer* const answer = std::get_if<Answer>(&next)) {
        servers_.answered(lookup.server(), *lookup.first, true, lookup.started, loop_.now());
        tell_of_query(lookup, lookup.query.said());
        finish(lookup, *answer);
        return true;
      }
      if (lookup.query.listens_to_first()) continue;
    }
    close_first(lookup);
  }
  return false;
}

void Engine::set_timer(Lookup& lookup, TimePoint until) {
  const auto timer = loop_.at(until, [this, &lookup] { run_out(lookup); });
  loop_.cancel(std::exchange(lookup.timer, timer));
}

void Engine::on_ready(Lookup& lookup) {
  if (take_late_answer(lookup)) return;
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    const Exchange::Received received = lookup.exchange().receive(buffer_);
    switch (received.what) {
      case Exchange::Received::What::kNothing:
        return;
      case Exchange::Received::What::kError:
        advance(lookup, give_up_server(lookup, received.cause));
        return;
      case Exchange::Received::What::kConnected:
        if (const auto until = lookup.query.on_connected()) set_timer(lookup, *until);
        continue;
      case Exchange::Received::What::kMessage: {
        Next next = lookup.query.on_packet(received.message, loop_.now());
        if (std::holds_alternative<Wait>(next)) continue;
        if (!lookup.flees_forgeries(next)) learn(lookup, next);
        tell_of_query(lookup, lookup.query.said());
        advance(lookup, std::move(next));
        return;
      }
    }
  }
}

void Engine::run_out(Lookup& lookup) {
  lookup.overdue = true;
  try {
    overdue_.push_back(lookup.question);
    retry_soon();
  } catch (const std::bad_alloc&) {
    // In the table it would be joined, and never end.
    finish(lookup, without_memory());
  }
}

void Engine::retry_soon() {
  if (overdue_timer_ == 0) overdue_timer_ = loop_.at(loop_.now(), [this] { retry_some(); });
}

void Engine::retry_some() {
  overdue_timer_ = 0;
  if (overdue_.size() > std::size_t{kRetriesPerTurn}) retry_soon();
  for (int i = 0; i < kRetriesPerTurn && !overdue_.empty(); ++i) {
    const Question question = std::move(overdue_.front());
    overdue_.pop_front();
    const auto found = lookups_.find(question);
    // Its answer may have come meanwhile, and it may have begun anew.
    if (found == lookups_.end() || !found->second->overdue) continue;
    try {
      found->second->outdated ? begin_again(*found->second) : time_out(*found->second);
    } catch (const std::bad_alloc&) {
      discard(question);
    }
  }
}

// For those who wait; each of them has a deadline of its own.
void Engine::begin_again(Lookup& lookup) {
  const Question question = lookup.question;
  const bool keep = lookup.keep;
  std::vector<Waiter> waiters = std::exchange(lookup.waiters, {});
  end(lookup, lookup.query.so_far());
  if (!waiters.empty()) start(question, std::move(waiters), keep);
}

void Engine::time_out(Lookup& lookup) {
  tell_of_query(lookup, ServerStatus::kTimeout);
  servers_.timed_out(lookup.server(), *lookup.current, lookup.sent, loop_.now());
  for (std::size_t i = 0; i < lookup.servers.size(); ++i) {
    if (servers_.answers_over_udp(lookup.servers[i].endpoint, loop_.now())) {
      lookup.query.on_heard_over_udp(i);
    }
  }
  advance(lookup, lookup.query.on_timeout(loop_.now()));
}

void Engine::finish(Lookup& lookup, const Answer& answer) {
  // Silence is an answer only to those who have had all of their time.
  std::vector<Waiter> joined_later;
  std::optional<Question> question;
  try {
    question = lookup.question;
    if (answer.outcome == Outcome::kTimeout) {
      std::vector<Waiter>& waiters = lookup.waiters;
      const auto later = std::stable_partition(
          waiters.begin(), waiters.end(),
          [&](const Waiter& waiter) { return waiter.joined <= lookup.started; });
      joined_later.assign(later, waiters.end());
      waiters.erase(later, waiters.end());
    }
  } catch (const std::bad_alloc&) {
    // It must not stay in the table, where others would join it. Those who wait have deadlines.
    discard(lookup.question);
    return;
  }
  const bool keep = lookup.keep;
  if (keep) cache_.put(*question, answer, loop_.now());
  end(lookup, answer);
  if (!joined_later.empty()) start(*question, std::move(joined_later), keep);
}

void Engine::end(Lookup& ended, const Answer& answer) {
  const auto lookup = lookups_.extract(ended.question);
  Lookup& own = *lookup.mapped();
  loop_.cancel(own.timer);
  close_sockets(own);
  deliveries_.add(own.question, answer, std::move(own.waiters));
  if (observer_) {
    observer_->on_lookup(own.question.type, answer.outcome, loop_.now() - own.started);
    observer_->on_answered(own.question, own.server(), loop_.now() - own.started);
  }
}

}  // namespace http01::dns
