#include "doctor/doctor.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/escape.h"
#include "dns/resolv_conf.h"
#include "doctor/interfaces.h"
#include "doctor/questions.h"

namespace http01::doctor {

using protocol::Answer;
using protocol::Name;
using protocol::Outcome;
using protocol::Question;

namespace {

// Behind the relay's own deadline, which is the DNS deadline.
constexpr std::chrono::milliseconds kGrace{100};
// Of the configured servers, how many are asked one by one.
constexpr std::size_t kMaxCompared = 4;
constexpr std::size_t kShownOctets = 255;

// The relay asks the same resolver with the same ids; whoever leaves is known by its ticket alone.
constexpr dns::Resolver::Ticket kOwnTicket = std::uint64_t{1} << 63;

// Nothing is kept: whoever has just set a record asks again.
constexpr dns::CacheSettings kNoCache{1, std::chrono::seconds{0}, std::chrono::seconds{0}};

dns::MachineServers servers_of(const Config& config) {
  if (!config.dns.servers.empty()) return {config.dns.servers};
  dns::ResolvConf file("/etc/resolv.conf");
  file.refresh(base::Clock::now());
  return {file.servers(), file.tcp_alone()};
}

// As the decision asks for them, not as the answers came: two runs report the same.
protocol::Answers in_order_of_asking(const protocol::Policy& policy,
                                     const protocol::Request& request,
                                     const protocol::Answers& answers) {
  protocol::Answers ordered;
  std::size_t before = 0;
  do {
    before = ordered.entries().size();
    const protocol::Step step = protocol::decide(policy, request, ordered);
    const auto* const ask = std::get_if<protocol::Ask>(&step);
    if (ask == nullptr) break;
    for (const Question& question : ask->questions) {
      if (const Answer* const answer = answers.find(question)) ordered.put(question, *answer);
    }
  } while (ordered.entries().size() != before);
  for (const auto& [question, answer] : answers.entries()) ordered.put(question, answer);
  return ordered;
}

}  // namespace

class Doctor::Source final : public dns::Resolver::Asker {
 public:
  Source(Doctor& doctor, dns::Settings settings, std::string server,
         dns::Engine::Observer* observer)
      : doctor_(doctor),
        server_(std::move(server)),
        engine_(doctor.loop_, std::move(settings), kNoCache, observer) {}

  void on_answer(dns::Resolver::Ticket ticket, const Question& question,
                 const Answer& answer) override {
    doctor_.on_answer(ticket & ~kOwnTicket, *this, question, answer);
  }

  dns::Engine& engine() { return engine_; }
  const std::string& server() const { return server_; }  // of one that asks a single server
  void reconfigure(dns::Settings settings, std::string server) {
    server_ = std::move(server);
    engine_.reconfigure(std::move(settings), kNoCache);
  }

 private:
  Doctor& doctor_;
  std::string server_;
  dns::Engine engine_;
};

// Between the relay and its resolver: sees which answer came of whom.
class Doctor::Tap final : public dns::Resolver, private dns::Resolver::Asker {
 public:
  Tap(Doctor& doctor, dns::Engine& engine) : doctor_(doctor), engine_(engine) {}

  bool cached(const Question& question, Answer& answer) override {
    return engine_.cached(question, answer);
  }
  void ask(const Question& question, Ticket ticket, dns::Resolver::Asker& asker) override {
    relay_ = &asker;  // the one that there is
    engine_.ask(question, ticket, *this);
  }
  // Nothing is kept here anyway.
  void probe(const Question& question, Ticket ticket, dns::Resolver::Asker& asker) override {
    ask(question, ticket, asker);
  }
  Answer leave(const Question& question, Ticket ticket) override {
    return engine_.leave(question, ticket);
  }

 private:
  void on_answer(Ticket ticket, const Question& question, const Answer& answer) override {
    doctor_.note_provenance(ticket, question);
    relay_->on_answer(ticket, question, answer);
  }

  Doctor& doctor_;
  dns::Engine& engine_;
  dns::Resolver::Asker* relay_ = nullptr;
};

struct Doctor::Examination {
  Evidence evidence;
  protocol::Answers known;      // what the doctor has asked for itself
  protocol::Answers unchecked;  // of what failed, without DNSSEC validation
  std::vector<Question> asked;  // of the resolver that serves, in order
  std::vector<Waiting> waiting;
  std::unordered_map<Question, Provenance, dns::QuestionHash> provenance;
  base::TimePoint begun;
  base::Loop::TimerId deadline = 0;
  bool decided = false;
  bool asked_first = false;
  bool closed = false;  // the deadline has come: no more questions
};

Doctor::Doctor(base::Loop& loop, const Config& config, Settings settings, OnEvidence on_evidence)
    : loop_(loop),
      config_(&config),
      settings_(std::move(settings)),
      on_evidence_(std::move(on_evidence)),
      interfaces_(public_interface_addresses()),
      serving_(std::make_unique<Source>(*this, config.dns, "",
                                        static_cast<dns::Engine::Observer*>(this))) {
  dns::Settings unchecked = config.dns;
  unchecked.checking = false;
  unchecked_ = std::make_unique<Source>(*this, std::move(unchecked), "", nullptr);
  tap_ = std::make_unique<Tap>(*this, serving_->engine());
  relay_ = std::make_unique<Relay>(loop, *tap_, config,
                                   [this](const Relay::Finished& finished, protocol::Reply& reply) {
                                     on_decided(finished, reply);
                                   });
  set_servers();
}

Doctor::~Doctor() {
  while (!examinations_.empty()) forget(examinations_.begin()->first);
}

void Doctor::reconfigure(const Config& config) {
  config_ = &config;
  relay_->reconfigure(config);
  serving_->reconfigure(config.dns, "");
  dns::Settings unchecked = config.dns;
  unchecked.checking = false;
  unchecked_->reconfigure(std::move(unchecked), "");
  set_servers();
}

// Engines stay while the loop turns, so one that is not needed any more is kept for the next
// configuration.
void Doctor::set_servers() {
  const auto [servers, tcp_alone] = servers_of(*config_);
  compared_ = servers.size() < 2 ? 0 : std::min(servers.size(), kMaxCompared);
  for (std::size_t i = 0; i < compared_; ++i) {
    dns::Settings settings = config_->dns;
    settings.servers = {servers[i]};
    settings.tcp_alone = tcp_alone;
    if (i < alone_.size()) {
      alone_[i]->reconfigure(std::move(settings), servers[i].text());
    } else {
      alone_.push_back(
          std::make_unique<Source>(*this, std::move(settings), servers[i].text(), nullptr));
    }
  }
}

void Doctor::examine(Id id, const std::string& domain) {
  auto owned = std::make_unique<Examination>();
  Examination& examination = *owned;
  examination.begun = loop_.now();
  examination.evidence.given = base::escaped(domain, kShownOctets);
  examination.evidence.ca = settings_.ca;
  examination.evidence.request = protocol::challenge_request(config_->policy, domain);
  examination.deadline =
      loop_.after(config_->dns.deadline + kGrace, [this, id] { on_deadline(id); });
  examinations_.emplace(id, std::move(owned));
  relay_->submit(id, protocol::challenge_request(config_->policy, domain));
  // What the operator refuses is over by now, and has cost no question.
  if (examinations_.contains(id)) advance(id);
}

void Doctor::forget(Id id) {
  const auto node = examinations_.extract(id);
  if (!node) return;
  relay_->forget(id);
  loop_.cancel(node.mapped()->deadline);
  leave_all(id, *node.mapped());
}

void Doctor::leave_all(Id id, Examination& examination) {
  for (const Waiting& waiting : examination.waiting) {
    waiting.source->engine().leave(waiting.question, id | kOwnTicket);
  }
  examination.waiting.clear();
}

void Doctor::on_answered(const Question& question, const base::Endpoint& server,
                         base::Duration duration) {
  // All that end in one turn of the loop are told in it.
  constexpr std::size_t kMany = 4096;
  if (provenance_.size() >= kMany) provenance_.clear();
  provenance_[question] = {server.text(), duration};
}

void Doctor::note_provenance(Id id, const Question& question) {
  const auto examination = examinations_.find(id);
  const auto known = provenance_.find(question);
  if (examination == examinations_.end() || known == provenance_.end()) return;
  examination->second->provenance.insert_or_assign(question, known->second);
}

void Doctor::on_decided(const Relay::Finished& finished, protocol::Reply& reply) {
  const auto found = examinations_.find(finished.id);
  if (found == examinations_.end()) return;
  Examination& examination = *found->second;
  examination.decided = true;
  examination.evidence.reply = std::move(reply);
  const protocol::Answers answers =
      in_order_of_asking(config_->policy, finished.request, finished.answers);
  for (const auto& [question, answer] : answers.entries()) {
    examination.evidence.observations.push_back({question, answer});
    examination.evidence.observations.back().decides = true;
  }
  advance(finished.id);
}

void Doctor::on_answer(Id id, Source& source, const Question& question, const Answer& answer) {
  const auto found = examinations_.find(id);
  if (found == examinations_.end()) return;
  Examination& examination = *found->second;
  std::erase_if(examination.waiting, [&](const Waiting& waiting) {
    return waiting.source == &source && waiting.question == question;
  });
  if (&source == serving_.get()) {
    note_provenance(id, question);
    examination.known.put(question, answer);
  } else if (&source == unchecked_.get()) {
    examination.unchecked.put(question, answer);
  } else {
    const auto opinion =
        std::ranges::find(examination.evidence.opinions, source.server(), &Opinion::server);
    if (opinion != examination.evidence.opinions.end()) opinion->answers.put(question, answer);
  }
  advance(id);
}

void Doctor::ask(Id id, Examination& examination, Source& source, const Question& question) {
  examination.waiting.push_back({&source, question});
  if (&source == serving_.get()) examination.asked.push_back(question);
  source.engine().ask(question, id | kOwnTicket, source);
}

void Doctor::advance(Id id) {
  Examination& examination = *examinations_.at(id);
  Evidence& evidence = examination.evidence;
  const bool unseen = examination.decided && protocol::info(evidence.reply.reason).unseen;
  if (!examination.closed && !unseen) {
    const Name& domain = evidence.domain();
    if (!examination.asked_first) {
      examination.asked_first = true;
      for (const Question& question : first_questions(config_->policy, domain)) {
        ask(id, examination, *serving_, question);
      }
      for (std::size_t i = 0; i < compared_; ++i) {
        evidence.opinions.push_back({alone_[i]->server(), {}});
        for (const Question& question : compared_questions(config_->policy, domain)) {
          ask(id, examination, *alone_[i], question);
        }
      }
    }
    if (examination.decided) ask_later(id, examination);
    ask_unchecked(id, examination);
  }
  if (examination.decided && examination.waiting.empty()) finish(id);
}

void Doctor::ask_later(Id id, Examination& examination) {
  protocol::Answers known;
  for (const Observation& observation : examination.evidence.observations)
    known.put(observation.question, observation.answer);
  for (const auto& [question, answer] : examination.known.entries()) known.put(question, answer);
  examination.evidence.chain = resolve_gateway(config_->policy, examination.evidence, known);
  for (const Question& question : later_questions(examination.evidence, known)) {
    if (std::ranges::find(examination.asked, question) == examination.asked.end()) {
      ask(id, examination, *serving_, question);
    }
  }
}

// A failure that is none without validation is one of DNSSEC.
void Doctor::ask_unchecked(Id id, Examination& examination) {
  const auto ask_again = [&](const Question& question, const Answer& answer) {
    const bool waits = std::ranges::any_of(examination.waiting, [&](const Waiting& waiting) {
      return waiting.source == unchecked_.get() && waiting.question == question;
    });
    if (answer.outcome == Outcome::kFailure && !waits && !examination.unchecked.find(question)) {
      ask(id, examination, *unchecked_, question);
    }
  };
  for (const auto& [question, answer] : examination.known.entries()) ask_again(question, answer);
  for (const Observation& observation : examination.evidence.observations)
    ask_again(observation.question, observation.answer);
}

void Doctor::on_deadline(Id id) {
  const auto found = examinations_.find(id);
  if (found == examinations_.end()) return;
  Examination& examination = *found->second;
  examination.deadline = 0;
  examination.closed = true;
  for (const Waiting& waiting : std::exchange(examination.waiting, {})) {
    Answer answer = waiting.source->engine().leave(waiting.question, id | kOwnTicket);
    if (waiting.source == serving_.get()) {
      examination.known.put(waiting.question, std::move(answer));
    } else if (waiting.source != unchecked_.get()) {
      for (Opinion& opinion : examination.evidence.opinions) {
        if (opinion.server == waiting.source->server()) {
          opinion.answers.put(waiting.question, answer);
        }
      }
    }
  }
  // The relay's deadline was before this one.
  if (examination.decided) finish(id);
}

RelayAddresses Doctor::relay_addresses(const Examination& examination) const {
  if (!settings_.relay_addresses.empty()) return {settings_.relay_addresses, true};
  RelayAddresses relay;
  const auto add = [&](const base::IpAddress& address) {
    if (std::ranges::find(relay.addresses, address) == relay.addresses.end()) {
      relay.addresses.push_back(address);
    }
  };
  for (const std::string& host : config_->policy.relay_hosts) {
    if (const auto address = base::IpAddress::parse(host)) add(*address);
  }
  for (const Name& name : relay_names(config_->policy)) {
    for (const auto type : {protocol::RecordType::kA, protocol::RecordType::kAaaa}) {
      const Answer* const answer = examination.known.find({name, type});
      if (answer == nullptr) continue;
      for (const base::IpAddress& address : answer->addresses) add(address);
    }
  }
  relay.certain = !relay.addresses.empty();
  for (const base::IpAddress& address : interfaces_) add(address);
  return relay;
}

void Doctor::finish(Id id) {
  // Out of every table before anyone is told.
  const auto node = examinations_.extract(id);
  Examination& examination = *node.mapped();
  loop_.cancel(examination.deadline);
  Evidence& evidence = examination.evidence;
  for (const Question& question : examination.asked) {
    const Answer* const answer = examination.known.find(question);
    if (answer != nullptr && evidence.find(question.name, question.type) == nullptr) {
      evidence.observations.push_back({question, *answer});
    }
  }
  for (Observation& observation : evidence.observations) {
    if (const auto found = examination.provenance.find(observation.question);
        found != examination.provenance.end()) {
      observation.server = found->second.server;
      observation.took = found->second.took;
    }
    const Answer* const unchecked = examination.unchecked.find(observation.question);
    observation.held_back =
        observation.answer.outcome == Outcome::kFailure && unchecked != nullptr &&
        (unchecked->outcome == Outcome::kData || unchecked->outcome == Outcome::kNoData ||
         unchecked->outcome == Outcome::kNxDomain);
  }
  evidence.relay = relay_addresses(examination);
  evidence.took = loop_.now() - examination.begun;
  on_evidence_(id, evidence);
}

}  // namespace http01::doctor
