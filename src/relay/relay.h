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

  // Tells all that wait what they would be told at their deadline.
  void time_out();

  // Decides by this configuration from now on, also for those that wait.
  void reconfigure(const Config& config);

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
    bool probed = false;  // something was asked that is to be fresh
    Admission::Admitted admitted;
  };

  void on_answer(dns::Resolver::Ticket ticket, const protocol::Question& question,
                 const protocol::Answer& answer) override;
  void begin(Id id, protocol::Request& request);
  void refuse(Id id, const protocol::Request& request, protocol::Limit limit);
  void tell(const Finished& finished, protocol::Reply& reply);
  void on_deadline(Id id);
  void give_up(Id id, Pending& pending);
  void advance(Id id);
  void finish(Id id, protocol::Reply reply);
  void remember(const protocol::Answers& known);
  // Whether an answer of any age does for what is to be fresh.
  enum class Stale : std::uint8_t { kRefused, kTaken };
  protocol::Ask settle(const protocol::Request& request, protocol::Answers& known,
                       protocol::Reply& reply, Stale stale,
                       const std::vector<protocol::Question>& waiting = {});
  bool find(const protocol::Ask& ask, const protocol::Question& question, Stale stale,
            protocol::Answer& answer);
  void send(Id id, Pending& pending, const protocol::Ask& ask);
  const std::string& unknown_label();

  base::Loop& loop_;
  dns::Resolver& resolver_;
  const Config* config_;
  OnFinished on_finished_;
  protocol::Answers fresh_;  // what the last request for it has learned
  base::TimePoint fresh_until_;
  std::string label_;  // unknown_label()
  base::TimePoint label_until_;
  std::size_t descriptor_limit_ = static_cast<std::size_t>(-1);
  Admission admission_;
  std::unordered_map<Id, Pending> pending_;
};

}  // namespace http01
