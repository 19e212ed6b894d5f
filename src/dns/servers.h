// What is known of each name server: whether it answers, and whether it takes EDNS. Chooses in
// which order a look-up asks them. Told the time; no socket. One thread; never throws.
#pragma once

#include <vector>

#include "base/clock.h"
#include "base/ip_address.h"

namespace http01::dns {

class Servers {
 public:
  struct Choice {
    base::Endpoint endpoint;
    bool edns = true;
  };

  // What is known of those that stay is kept.
  void set(const std::vector<base::Endpoint>& endpoints);

  // In the order given, those that do not answer last. One of those goes to its own place again
  // after a while, for this one look-up, to see whether it is back.
  std::vector<Choice> choose(base::TimePoint now);

  // Of one that is no server any more: no effect.
  void answered(const base::Endpoint& endpoint, base::TimePoint now);
  void timed_out(const base::Endpoint& endpoint, base::TimePoint sent, base::TimePoint now);
  void errored(const base::Endpoint& endpoint, base::TimePoint now);
  void refused_edns(const base::Endpoint& endpoint, base::TimePoint now);

 private:
  struct Server {
    base::Endpoint endpoint;
    bool silent = false;
    base::TimePoint avoid_until;  // where silent
    base::TimePoint last_answer;
    base::TimePoint without_edns_until;
  };

  Server* find(const base::Endpoint& endpoint);

  std::vector<Server> servers_;
};

}  // namespace http01::dns
