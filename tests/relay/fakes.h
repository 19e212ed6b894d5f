// Stand-ins written by hand: they do what they are told, record what was asked of them, and fail
// the test on what it did not foresee.
#pragma once

#include <boost/test/unit_test.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "dns/resolver.h"

namespace http01 {

// Answers come when the test says so.
class FakeResolver final : public dns::Resolver {
 public:
  explicit FakeResolver(base::Loop& loop) : loop_(loop) {}

  static protocol::Question question(protocol::RecordType type, const std::string& name) {
    return {protocol::Name::from_text(name).value(), type};
  }

  void put_in_cache(const protocol::Question& question, protocol::Answer answer) {
    cache_[key(question)] = std::move(answer);
  }

  bool cached(const protocol::Question& question, protocol::Answer& answer) override {
    const auto found = cache_.find(key(question));
    if (found == cache_.end()) return false;
    answer = found->second;
    return true;
  }

  void ask(const protocol::Question& question, Ticket ticket, Asker& listener) override {
    waiting_.push_back({question, ticket, &listener});
    asked.push_back(key(question));
  }

  void probe(const protocol::Question& question, Ticket ticket, Asker& listener) override {
    ask(question, ticket, listener);
    ++probes;
  }

  protocol::Answer leave(const protocol::Question& question, Ticket ticket) override {
    const auto left = std::erase_if(waiting_, [&](const Waiter& waiter) {
      return waiter.question == question && waiter.ticket == ticket;
    });
    BOOST_TEST(left == 1u, "left a look-up that nobody waits for: " << key(question));
    protocol::Answer known;
    known.outcome = so_far;
    return known;
  }

  // Tells everybody who waits for this question, from the loop.
  void answer(const protocol::Question& question, const protocol::Answer& answer) {
    std::vector<Waiter> told;
    std::erase_if(waiting_, [&](const Waiter& waiter) {
      if (!(waiter.question == question)) return false;
      told.push_back(waiter);
      return true;
    });
    BOOST_REQUIRE_MESSAGE(!told.empty(), "nobody has asked for " << key(question));
    loop_.defer([told, question, answer] {
      for (const Waiter& waiter : told) waiter.listener->on_answer(waiter.ticket, question, answer);
    });
  }

  std::size_t waiting() const { return waiting_.size(); }
  // What was asked for last, if somebody still waits for it.
  protocol::Question last() const { return waiting_.back().question; }

  std::vector<std::string> asked;  // "TXT name", in order
  std::size_t probes = 0;          // of them
  protocol::Outcome so_far = protocol::Outcome::kTimeout;

 private:
  struct Waiter {
    protocol::Question question;
    Ticket ticket;
    Asker* listener;
  };

  static std::string key(const protocol::Question& question) {
    return std::string(to_string(question.type)) + " " + question.name.text();
  }

  base::Loop& loop_;
  std::map<std::string, protocol::Answer> cache_;
  std::vector<Waiter> waiting_;
};

inline protocol::Answer txt_answer(std::string text) {
  protocol::Answer answer;
  answer.outcome = protocol::Outcome::kData;
  answer.ttl_s = 60;
  const auto size = static_cast<std::uint16_t>(text.size());
  answer.texts.push_back({std::move(text), 1, size});
  return answer;
}

inline protocol::Answer cname_answer(const std::string& target) {
  protocol::Answer answer;
  answer.outcome = protocol::Outcome::kData;
  answer.ttl_s = 60;
  answer.aliases.push_back(protocol::Name::from_text(target).value());
  return answer;
}

inline protocol::Answer empty_answer(protocol::Outcome outcome) {
  protocol::Answer answer;
  answer.outcome = outcome;
  return answer;
}

// Turns the loop until there is nothing left to do at once.
inline void settle(base::Loop& loop) {
  loop.after(base::Duration::zero(), [&loop] { loop.stop(); });
  loop.run();
}

}  // namespace http01
