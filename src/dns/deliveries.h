// Answers on their way to those who waited for them: told from the loop, one after the other, never
// from inside a call of theirs. The loop must outlive it, and must not turn any more once it is
// gone. One thread; throws std::bad_alloc only.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/loop.h"
#include "dns/resolver.h"
#include "protocol/answer.h"

namespace http01::dns {

struct Waiter {
  Resolver::Ticket ticket;
  Resolver::Asker* asker;
  base::TimePoint joined;
};

class Deliveries {
 public:
  explicit Deliveries(base::Loop& loop) : loop_(loop) {}

  // `waiters` are told in their order.
  void add(const protocol::Question& question, const protocol::Answer& answer,
           std::vector<Waiter> waiters);
  // Who leaves is not told any more; the answer is what they would have been told.
  std::optional<protocol::Answer> leave(const protocol::Question& question,
                                        Resolver::Ticket ticket);

 private:
  struct Delivery {
    protocol::Question question;
    protocol::Answer answer;
    std::vector<Waiter> waiters;  // the next one last
  };

  void tell();

  base::Loop& loop_;
  std::deque<Delivery> queue_;
};

}  // namespace http01::dns
