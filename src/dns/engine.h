// The resolver: look-ups on the loop, each its own Query and socket; equal questions share one;
// answers go into a cache. Nothing is sent and no file is read before the first question. The loop
// must outlive it, and must not turn any more once it is gone. One thread. Throws nothing but
// std::bad_alloc: what goes wrong is an Outcome.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/loop.h"
#include "dns/cache.h"
#include "dns/deliveries.h"
#include "dns/exchange.h"
#include "dns/lookup.h"
#include "dns/message.h"
#include "dns/outages.h"
#include "dns/query.h"
#include "dns/question_hash.h"
#include "dns/random.h"
#include "dns/resolv_conf.h"
#include "dns/resolver.h"
#include "dns/server_status.h"
#include "dns/servers.h"
#include "dns/settings.h"

namespace http01::dns {

class Engine final : public Resolver {
 public:
  // For the metrics and the doctor. Called from inside the engine: must not call back.
  class Observer {
   public:
    virtual void on_lookup(protocol::RecordType type, protocol::Outcome outcome,
                           base::Duration duration) = 0;
    virtual void on_cache_hit() = 0;
    virtual void on_cache_miss() = 0;
    // The servers that are asked from now on.
    virtual void on_servers(const std::vector<base::Endpoint>& /*servers*/) {}
    // What became of one query to one server. Not called where its look-up ends before that is
    // known.
    virtual void on_server(const base::Endpoint& /*server*/, ServerStatus /*status*/) {}
    // A server has stopped answering, or answers again.
    virtual void on_outage(const Outages::News& /*news*/) {}
    // Who was asked last, which is who gave the answer if anybody did.
    virtual void on_answered(const protocol::Question& /*question*/,
                             const base::Endpoint& /*server*/, base::Duration /*duration*/) {}

   protected:
    ~Observer() = default;
  };

  // A look-up has one socket, and while there are plenty a second one for its first packet. Within
  // the 28 000 ports that the kernel has to give.
  static constexpr std::size_t kDefaultMaxSockets = 8192;

  // The observer, if any, must outlive the engine. `resolv_conf` is read if the settings name no
  // server.
  Engine(base::Loop& loop, Settings settings, const CacheSettings& cache_settings,
         Observer* observer = nullptr, std::string resolv_conf = "/etc/resolv.conf");
  ~Engine() override;

  // More look-ups than this are not begun: kOverloaded. To join one is always possible.
  void set_max_sockets(std::size_t max_sockets) { max_sockets_ = max_sockets; }

  // Holds for look-ups that begin from now on. Other cache settings: the cache begins empty. Other
  // servers, whether the settings or resolv.conf name them: that too, and look-ups under way begin
  // again, so nothing that the old ones have said or may yet say is used.
  void reconfigure(Settings settings, const CacheSettings& cache_settings);

  bool cached(const protocol::Question& question, protocol::Answer& answer) override;
  void ask(const protocol::Question& question, Ticket ticket, Asker& asker) override;
  void probe(const protocol::Question& question, Ticket ticket, Asker& asker) override;
  protocol::Answer leave(const protocol::Question& question, Ticket ticket) override;

  // Gives the memory of the cache back.
  void forget_answers() { cache_.reset(cache_settings_); }

  std::size_t in_flight() const { return lookups_.size(); }  // look-ups under way
  std::size_t cache_entries() const { return cache_.size(); }

 private:
  void join_or_start(const protocol::Question& question, Waiter waiter, bool keep);
  void start(const protocol::Question& question, std::vector<Waiter> waiters, bool keep);
  void use_servers(const std::vector<base::Endpoint>& endpoints, bool tcp_alone);
  void discard(const protocol::Question& question);
  void advance(Lookup& lookup, Next next);
  Exchange::Opened transmit(Lookup& lookup, const Send& order);
  void keep_or_close_first(Lookup& lookup, const Send& order);
  void close_first(Lookup& lookup);
  void close_sockets(Lookup& lookup);
  bool take_late_answer(Lookup& lookup);
  void set_timer(Lookup& lookup, base::TimePoint until);
  void on_ready(Lookup& lookup);
  void learn(const Lookup& lookup, const Next& next);
  void tell_of_query(Lookup& lookup, ServerStatus status);
  Next give_up_server(Lookup& lookup, protocol::Cause cause);
  void run_out(Lookup& lookup);
  void retry_soon();
  void retry_some();
  void begin_again(Lookup& lookup);
  void time_out(Lookup& lookup);
  void end(Lookup& lookup, const protocol::Answer& answer);
  void finish(Lookup& lookup, const protocol::Answer& answer);

  base::Loop& loop_;
  Settings settings_;
  CacheSettings cache_settings_;
  Observer* observer_;
  std::size_t max_sockets_ = kDefaultMaxSockets;
  std::size_t firsts_ = 0;  // look-ups with a second socket
  Cache cache_;
  RandomIds ids_;
  ResolvConf resolv_conf_;
  std::vector<base::Endpoint> endpoints_;  // of servers_
  Servers servers_;
  Outages outages_;
  std::unordered_map<protocol::Question, std::unique_ptr<Lookup>, QuestionHash> lookups_;
  std::deque<protocol::Question> overdue_;  // which are to be sent again, in that order
  base::Loop::TimerId overdue_timer_ = 0;
  Deliveries deliveries_;
  std::array<std::uint8_t, kMaxMessage + 1> buffer_;
};

}  // namespace http01::dns
