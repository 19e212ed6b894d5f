// The doctor at work: examines domains on the loop, several at once, by the code that serves and by
// questions of its own, none of them from a cache. Used by `check` and by the page of the same
// name. The loop and the configuration must outlive it, and the loop must not turn any more once it
// is gone. One thread. Each examination ends within the configuration's DNS deadline and a tenth of
// a second; its end is told from the loop, or at once where the DNS is not asked.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/loop.h"
#include "config/config.h"
#include "dns/engine.h"
#include "dns/question_hash.h"
#include "doctor/evidence.h"
#include "relay/relay.h"

namespace http01::doctor {

class Doctor final : private dns::Engine::Observer {
 public:
  using Id = Relay::Id;  // the caller's; not used twice while the doctor lives
  using OnEvidence = std::function<void(Id id, Evidence& evidence)>;

  struct Settings {
    std::vector<base::IpAddress> relay_addresses;  // empty: by service.hosts and this machine
    std::string ca = "letsencrypt.org";
  };

  Doctor(base::Loop& loop, const Config& config, Settings settings, OnEvidence on_evidence);
  ~Doctor();

  // The domain may be any octets.
  void examine(Id id, const std::string& domain);
  // Whoever asked has gone.
  void forget(Id id);
  // From now on, also for those that are under way.
  void reconfigure(const Config& config);

 private:
  // Who is asked: the resolver that serves, the same without validation, each server alone.
  class Source;
  class Tap;
  struct Waiting {
    Source* source;
    protocol::Question question;
  };
  struct Examination;

  void on_lookup(protocol::RecordType, protocol::Outcome, base::Duration) override {}
  void on_cache_hit() override {}
  void on_cache_miss() override {}
  void on_answered(const protocol::Question& question, const base::Endpoint& server,
                   base::Duration duration) override;

  void on_decided(const Relay::Finished& finished, protocol::Reply& reply);
  void note_provenance(Id id, const protocol::Question& question);
  void on_answer(Id id, Source& source, const protocol::Question& question,
                 const protocol::Answer& answer);
  void on_deadline(Id id);
  void ask(Id id, Examination& examination, Source& source, const protocol::Question& question);
  void ask_later(Id id, Examination& examination);
  void ask_unchecked(Id id, Examination& examination);
  void advance(Id id);
  void finish(Id id);
  void leave_all(Id id, Examination& examination);
  RelayAddresses relay_addresses(const Examination& examination) const;
  void set_servers();

  base::Loop& loop_;
  const Config* config_;
  Settings settings_;
  OnEvidence on_evidence_;
  std::vector<base::IpAddress> interfaces_;
  std::unique_ptr<Source> serving_;
  std::unique_ptr<Source> unchecked_;
  std::vector<std::unique_ptr<Source>> alone_;  // one for each server where there are several
  std::size_t compared_ = 0;  // how many of those are of the present configuration
  std::unique_ptr<Tap> tap_;
  std::unique_ptr<Relay> relay_;
  std::unordered_map<Id, std::unique_ptr<Examination>> examinations_;

  struct Provenance {
    std::string server;
    base::Duration took;
  };
  // Of look-ups that have just ended, until those who wait have been told.
  std::unordered_map<protocol::Question, Provenance, dns::QuestionHash> provenance_;
};

}  // namespace http01::doctor
