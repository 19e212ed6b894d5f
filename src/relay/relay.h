// Requests on their way to a decision: decide, ask the cache, wait for the DNS, decide again, tell.
// Used by FastCGI, CGI and `check`. Lives on the loop; one thread. The configuration, resolver and
// loop must outlive it. Every request that is submitted and not forgotten is told exactly once,
// within the configured deadline, and never from inside submit() or forget() of another one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/loop.h"
#include "config/config.h"
#include "dns/resolver.h"
#include "protocol/decide.h"
#include "protocol/request_times.h"
#include "relay/admission.h"

namespace http01 {

class Relay final : private dns::Resolver::Asker {
 public:
  using Id = std::uint64_t;  // the submitter's; not used twice while the relay lives

  struct Finished {
    Id id;
    const protocol::Request& request;
    const protocol::Answers& answers;
    protocol::RequestTimes times;
  };
  // The reply may be taken out of it.
  using OnFinished = std::function<void(const Finished& finished, protocol::Reply& reply)>;

  Relay(base::Loop& loop, dns::Resolver& resolver, const Config& config, OnFinished on_finished);
  ~Relay();

  void submit(Id id, protocol::Request request);
  // Whoever asked has gone: nothing is told.
  void forget(Id id);

  // Decides by this configuration from now on, also for those that wait.
  void reconfigure(const Config& config) { config_ = &config; }

  // At most so many wait for the DNS, whatever the configuration says.
  void set_in_flight_limit(std::size_t limit) { descriptor_limit_ = limit; }
  std::size_t in_flight() const { return pending_.size(); }

 private:
  struct Pending {
    protocol::Request request;
    protocol::Answers known;
    std::vector<protocol::Question> waiting;
    base::TimePoint begun;
    base::Loop::TimerId deadline = 0;
    bool renew = false;    // takes nothing from the cache that is to be fresh
    bool renewed = false;  // and there was such a thing
    Admission::Admitted admitted;
  };

  void on_answer(dns::Resolver::Ticket ticket, const protocol::Question& question,
                 const protocol::Answer& answer) override;
  void on_deadline(Id id);
  void advance(Id id);
  void finish(Id id, protocol::Reply reply);
  protocol::Ask settle(const protocol::Request& request, protocol::Answers& known,
                       protocol::Reply& reply, bool renew);

  base::Loop& loop_;
  dns::Resolver& resolver_;
  const Config* config_;
  OnFinished on_finished_;
  base::TimePoint fresh_until_;  // what is to be fresh is so in the cache
  std::size_t descriptor_limit_ = static_cast<std::size_t>(-1);
  Admission admission_;
  std::unordered_map<Id, Pending> pending_;
};

}  // namespace http01
