// A doctor with name servers on its own loop, for the tests of what examines domains.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "doctor/doctor.h"
#include "tests/dns/server.h"
#include "tests/doctor/evidence.h"

namespace http01::doctor {

using namespace std::chrono_literals;
using dns::testing::DnsServer;
using Query = DnsServer::Query;

// A server that knows the zone of a Case.
struct Server {
  Server(base::Loop& loop, protocol::Zone known)
      : zone(std::move(known)), dns(loop, [this](const Query& query) { answer(query); }) {}

  void answer(const Query& query) {
    namespace t = dns::testing;
    t::Message message = query.reply();
    const std::string asked =
        std::string(to_string(message.question.type)) + " " + message.question.name.text();
    asked_for.push_back(asked + ((query.packet[3] & 0x10) != 0 ? " CD" : ""));
    if (silent) return;
    if (asked == delayed) {
      delayed.clear();
      waiting = query;
      return;
    }
    const Answer known = zone(message.question);
    std::string owner = t::wire(message.question.name.text());
    const auto add = [&](std::size_t type, const std::string& data) {
      message.answer.push_back(t::record(owner, type, 30, data));
    };
    const bool bogus = known.outcome == Outcome::kFailure && (query.packet[3] & 0x10) == 0;
    for (const Name& alias : known.aliases) {
      add(5, t::wire(alias.text()));
      owner = t::wire(alias.text());
    }
    for (const auto& text : known.texts) {
      add(16, static_cast<char>(text.text.size()) + text.text);
    }
    for (const auto& address : known.addresses) {
      add(address.v6 ? 28 : 1, {reinterpret_cast<const char*>(address.octets.data()),
                                std::size_t{address.v6 ? 16U : 4U}});
    }
    if (bogus) {
      message.answer.clear();
      message.flags = t::kServFail;
    } else if (message.answer.empty()) {
      message.authority = {t::soa("com", 30, 30)};
    }
    dns.send(query, message);
    if (const auto next = std::exchange(waiting, std::nullopt)) answer(*next);
  }

  protocol::Zone zone;
  DnsServer dns;
  bool silent = false;
  std::string delayed;  // this question is answered after the next one, once
  std::optional<Query> waiting;
  std::vector<std::string> asked_for;
};

// For ten seconds at most.
template <class Condition>
void turn_until(base::Loop& loop, Condition done) {
  const auto end = base::Clock::now() + 10s;
  while (!done()) {
    BOOST_TEST_REQUIRE((base::Clock::now() < end));
    loop.after(1ms, [&loop] { loop.stop(); });
    loop.run();
  }
}

struct Clinic {
  explicit Clinic(int servers = 1) {
    config.policy = protocol::default_policy();
    config.dns.timeout = 100ms;
    config.dns.attempts = 2;
    config.dns.deadline = 300ms;
    for (int i = 0; i < servers; ++i) {
      server.push_back(std::make_unique<Server>(loop, Case().zone));
      config.dns.servers.push_back(server.back()->dns.endpoint());
    }
  }
  Doctor& doctor() {
    if (!the_doctor) {
      the_doctor.emplace(loop, config, Doctor::Settings{}, [this](Doctor::Id id, Evidence& found) {
        done.push_back(id);
        evidence = std::move(found);
      });
    }
    return *the_doctor;
  }
  void run(std::size_t wanted) {
    turn_until(loop, [&] { return done.size() >= wanted; });
  }
  const Evidence& examined(const std::string& domain) {
    const std::size_t before = done.size();
    doctor().examine(++last, domain);
    run(before + 1);
    return evidence;
  }

  base::Loop loop;
  Config config;
  std::vector<std::unique_ptr<Server>> server;
  std::optional<Doctor> the_doctor;
  Doctor::Id last = 0;
  std::vector<Doctor::Id> done;
  Evidence evidence;
};

}  // namespace http01::doctor
