// Evidence for the tests of the doctor's judgement: a zone that is in order, changed where a test
// wants it to be wrong, and decided on by the code that serves.
#pragma once

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <string>
#include <utility>

#include "doctor/findings.h"
#include "doctor/questions.h"
#include "tests/protocol/zone.h"

namespace http01::doctor {

using protocol::Answer;
using protocol::Name;
using protocol::Outcome;
using protocol::RecordType;

inline const std::string kAppId = "5b912f5cec6c02d851db76bc20f410700f01fc65";
inline const std::string kOtherAppId = "0123456789abcdef0123456789abcdef01234567";
inline const std::string kRelayAddress = "45.10.20.30";

inline Answer caa(std::vector<protocol::CaaRecord> records) {
  Answer answer = protocol::with_outcome(Outcome::kData);
  answer.caas = std::move(records);
  return answer;
}

inline Answer issue(std::string value) { return caa({{false, "issue", std::move(value)}}); }

// An answer by way of an alias.
inline Answer through(std::string_view alias, Answer answer) {
  answer.aliases = {protocol::name_of(alias)};
  return answer;
}

// app.example.com as its owner should have it, behind dstack-prod5.phala.network.
struct Case {
  std::string domain = "app.example.com";
  protocol::Policy policy = protocol::default_policy();
  protocol::Zone zone;
  RelayAddresses relay{{*base::IpAddress::parse(kRelayAddress)}, true};
  std::string ca = "letsencrypt.org";
  Evidence extra;  // held-back observations, opinions, times, the probe

  Case() {
    set("TXT _dstack-app-address.app.example.com", protocol::txt({kAppId + ":443"}));
    set("CNAME app.example.com", protocol::cname("_.dstack-prod5.phala.network"));
    set("A app.example.com",
        through("_.dstack-prod5.phala.network", protocol::address(kRelayAddress)));
    set("AAAA app.example.com",
        through("_.dstack-prod5.phala.network", protocol::with_outcome(Outcome::kNoData)));
    set("A " + kAppId + ".dstack-prod5.phala.network", protocol::address(kRelayAddress));
    set("A _.dstack-prod5.phala.network", protocol::address(kRelayAddress));
    zone.otherwise = protocol::with_outcome(Outcome::kNoData);
  }
  Case& set(const std::string& question, Answer answer) {
    zone.answers[question] = std::move(answer);
    return *this;
  }
  Case& drop(const std::string& question) {
    zone.answers.erase(question);
    return *this;
  }

  Evidence evidence() const {
    Evidence evidence;
    evidence.given = domain;
    evidence.request = protocol::challenge_request(policy, domain);
    evidence.relay = relay;
    evidence.ca = ca;
    evidence.opinions = extra.opinions;
    evidence.probe = extra.probe;
    protocol::Answers known;
    for (int round = 0; round < 60; ++round) {
      protocol::Step step = protocol::decide(policy, evidence.request, known);
      if (auto* const reply = std::get_if<protocol::Reply>(&step)) {
        evidence.reply = std::move(*reply);
        break;
      }
      for (const auto& question : std::get<protocol::Ask>(step).questions) {
        known.put(question, zone(question));
      }
    }
    for (const auto& [question, answer] : known.entries()) {
      evidence.observations.push_back({question, answer});
      evidence.observations.back().decides = true;
    }
    if (protocol::info(evidence.reply.reason).unseen) return evidence;
    const auto ask = [&](const std::vector<protocol::Question>& questions) {
      for (const auto& question : questions) {
        if (evidence.find(question.name, question.type) == nullptr) {
          evidence.observations.push_back({question, zone(question)});
        }
      }
    };
    ask(first_questions(policy, evidence.domain()));
    for (bool more = true; more;) {
      protocol::Answers all;
      for (const Observation& observation : evidence.observations)
        all.put(observation.question, observation.answer);
      evidence.chain = resolve_gateway(policy, evidence, all);
      const auto later = later_questions(evidence, all);
      ask(later);
      more = !later.empty();
    }
    for (const Observation& changed : extra.observations) {
      for (Observation& observation : evidence.observations) {
        if (observation.question == changed.question) {
          observation.held_back = changed.held_back;
          observation.took = changed.took;
        }
      }
    }
    return evidence;
  }

  Findings findings() const { return judge(policy, evidence()); }

  // "fault txt-missing, note cname-chain": what was found, in order.
  std::string found() const {
    std::string text;
    for (const Finding& finding : findings()) {
      text += (text.empty() ? "" : ", ") + std::string(to_string(finding.severity)) + " " +
              std::string(to_string(finding.id));
    }
    return text;
  }

  // The finding; a test that wants one that is not there has failed.
  Finding only(FindingId id) const {
    for (const Finding& finding : findings()) {
      if (finding.id == id) return finding;
    }
    BOOST_ERROR("no finding " << to_string(id) << "; there are: " << found());
    return {id, Severity::kFault, {}};
  }
};

inline bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// "set: ..." and "remove: ...", one a line.
inline std::string lines_of(const Finding& finding) {
  std::string text;
  for (const ZoneLine& line : finding.lines) {
    text += std::string(to_string(line.action)) + ": " + line.line + "\n";
  }
  return text;
}

}  // namespace http01::doctor
