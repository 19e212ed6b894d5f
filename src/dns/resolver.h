// What the relay asks the DNS through: the cut between the relay and the engine, and where a test
// puts its own. One thread; answers come from the loop's deferred tasks, never from inside a call.
#pragma once

#include <cstdint>

#include "protocol/answer.h"

namespace http01::dns {

class Resolver {
 public:
  // Who waits; chosen by the asker, who may have forgotten it by the time the answer comes.
  using Ticket = std::uint64_t;

  class Asker {
   public:
    virtual void on_answer(Ticket ticket, const protocol::Question& question,
                           const protocol::Answer& answer) = 0;

   protected:
    ~Asker() = default;
  };

  virtual ~Resolver() = default;

  // Fills `answer` from the cache; false if there is none. Costs no packet. A hit is counted, a
  // miss is not (ask() counts it).
  virtual bool cached(const protocol::Question& question, protocol::Answer& answer) = 0;

  // Starts the look-up, or joins the one that is under way. Where that one ends in silence, another
  // one follows for those that joined it, although the cache has the silence by then. The asker
  // hears of it exactly once unless it leaves; it must outlive the resolver or leave first. Nothing
  // that could go wrong is reported otherwise than as an Outcome, but a want of memory, by
  // std::bad_alloc: nobody is told then.
  virtual void ask(const protocol::Question& question, Ticket ticket, Asker& asker) = 0;

  // The same, to see whether the DNS answers now. The cache stays as it is: a failure of such a
  // look-up takes no good answer from the requests that are served. If it joins a look-up that
  // ask() began, or ask() joins this one, the answer is kept as usual.
  virtual void probe(const protocol::Question& question, Ticket ticket, Asker& asker) = 0;

  // The asker waits no longer (its deadline came). The look-up goes on for the others; if there are
  // none, it still takes the answer to what it has sent, for the cache, and asks no more. Returns
  // what is known of it: kFailure if a server has answered with a failure, else kTimeout, and the
  // cause.
  virtual protocol::Answer leave(const protocol::Question& question, Ticket ticket) = 0;
};

}  // namespace http01::dns
