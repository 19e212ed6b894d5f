// What is known of each name server: whether it answers, and in which form it has to be asked.
// Chooses in which order a look-up asks them. Told the time; no socket. One thread; never throws.
//
// What is learned ends as follows. A server that refused EDNS gets it again after a quarter of an
// hour. One that was silent to it, or over UDP, is asked in the form that worked; now and then one
// look-up begins with a glance (UDP and EDNS, a moment's wait), and an answer to that ends it. So
// does any answer over UDP for a server that was asked over TCP. Glances become rarer with time:
// one for each quarter of an hour in the end, or for each minute over TCP.
#pragma once

#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/ip_address.h"
#include "dns/query.h"

namespace http01::dns {

class Servers {
 public:
  struct Choice {
    base::Endpoint endpoint;
    Query::Server how;
  };

  // What is known of those that stay is kept. `tcp_alone`: resolv.conf has "options use-vc".
  void set(const std::vector<base::Endpoint>& endpoints, bool tcp_alone = false);

  // In the order given, those that do not answer last. One of those goes to its own place again
  // after a while, for this one look-up, to see whether it is back.
  std::vector<Choice> choose(base::TimePoint now);

  // Whether it has answered over UDP in the last ten seconds.
  bool answers_over_udp(const base::Endpoint& endpoint, base::TimePoint now) const;

  // Of one that is no server any more: no effect. `began` is when the look-up did; `usable` is
  // false for a failure.
  void answered(const base::Endpoint& endpoint, const Send& send, bool usable,
                base::TimePoint began, base::TimePoint now);
  void timed_out(const base::Endpoint& endpoint, const Send& send, base::TimePoint sent,
                 base::TimePoint now);
  void errored(const base::Endpoint& endpoint, base::TimePoint now);
  void refused_edns(const base::Endpoint& endpoint, base::TimePoint now);

 private:
  struct Server {
    base::Endpoint endpoint;
    bool silent = false;
    base::TimePoint avoid_until{};  // where silent
    base::TimePoint last_answer{};
    std::optional<base::TimePoint> heard_over_udp{};
    std::optional<base::TimePoint> took_edns{};
    Form form = Form::kEdns;
    bool proven = false;           // an answer has come in that form
    base::TimePoint look_again{};  // where that is not kEdns: when the next glance is due
    base::Duration gap{};          // from that one to the one after it
  };

  Server* find(const base::Endpoint& endpoint);
  const Server* find(const base::Endpoint& endpoint) const;

  std::vector<Server> servers_;
  bool tcp_alone_ = false;
};

}  // namespace http01::dns
