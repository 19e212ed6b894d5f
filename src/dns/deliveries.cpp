#include "dns/deliveries.h"

#include <algorithm>
#include <new>
#include <utility>

namespace http01::dns {

using protocol::Answer;
using protocol::Question;

void Deliveries::add(const Question& question, const Answer& answer, std::vector<Waiter> waiters) {
  if (waiters.empty()) return;
  std::ranges::reverse(waiters);
  if (queue_.empty()) loop_.defer([this] { tell(); });
  queue_.push_back({question, answer, std::move(waiters)});
}

std::optional<Answer> Deliveries::leave(const Question& question, Resolver::Ticket ticket) {
  const auto is_leaver = [ticket](const Waiter& waiter) { return waiter.ticket == ticket; };
  for (Delivery& delivery : queue_) {
    if (delivery.question == question && std::erase_if(delivery.waiters, is_leaver) != 0) {
      return delivery.answer;
    }
  }
  return std::nullopt;
}

// Those who are told may ask and leave meanwhile: each is out of the queue before it is told.
void Deliveries::tell() {
  while (!queue_.empty()) {
    Delivery& delivery = queue_.front();
    if (delivery.waiters.empty()) {
      queue_.pop_front();
      continue;
    }
    const Waiter waiter = delivery.waiters.back();
    delivery.waiters.pop_back();
    try {
      waiter.asker->on_answer(waiter.ticket, delivery.question, delivery.answer);
    } catch (const std::bad_alloc&) {
      // Its loss; the others are told.
    }
  }
}

}  // namespace http01::dns
