// A DNS for tests of decide(): a table of answers, and a driver that asks it until there is a reply
// and writes down what was asked. What is not in the table does not exist.
#pragma once

#include <initializer_list>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/decide.h"

namespace http01::protocol {

inline Name name_of(std::string_view text) { return Name::from_text(text).value(); }

// A name whose labels hold any octets.
inline Name name_of_labels(std::initializer_list<std::string_view> labels) {
  std::string wire;
  for (const std::string_view label : labels) {
    wire += static_cast<char>(label.size());
    wire += label;
  }
  wire += '\0';
  return Name::from_wire({reinterpret_cast<const std::uint8_t*>(wire.data()), wire.size()}).value();
}

inline Answer with_outcome(Outcome outcome) {
  Answer answer;
  answer.outcome = outcome;
  return answer;
}

inline Answer txt(std::initializer_list<std::string> texts) {
  Answer answer = with_outcome(Outcome::kData);
  for (const std::string& text : texts) {
    answer.texts.push_back({text, 1, static_cast<std::uint16_t>(text.size())});
  }
  return answer;
}

inline Answer cname(const Name& target) {
  Answer answer = with_outcome(Outcome::kData);
  answer.aliases = {target};
  return answer;
}

inline Answer cname(std::string_view target) { return cname(name_of(target)); }

inline Answer address(std::string_view text) {
  Answer answer = with_outcome(Outcome::kData);
  answer.addresses = {base::IpAddress::parse(text).value()};
  return answer;
}

inline Answer authenticated(Answer answer) {
  answer.authenticated = true;
  return answer;
}

inline std::string to_text(const Question& question) {
  return std::string(to_string(question.type)) + " " + question.name.text();
}

struct Zone {
  std::map<std::string, Answer> answers;  // by "TXT name", "CNAME name", ...
  Answer otherwise = with_outcome(Outcome::kNxDomain);

  Answer operator()(const Question& question) const {
    const auto found = answers.find(to_text(question));
    return found == answers.end() ? otherwise : found->second;
  }
};

// The configuration's defaults.
inline Policy default_policy() {
  Policy policy;
  policy.gateways.wildcard_parents = {name_of("phala.network")};
  return policy;
}

inline RawRequest get(std::string_view host, std::string_view uri) {
  RawRequest raw;
  raw.method = "GET";
  raw.host = host;
  raw.uri = uri;
  raw.client = "127.0.0.1";
  return raw;
}

inline std::string_view to_string(Page page) {
  switch (page) {
    case Page::kNone:
      return "";
    case Page::kIndex:
      return " [index]";
    case Page::kHealth:
      return " [health]";
    case Page::kReady:
      return " [ready]";
    case Page::kMetrics:
      return " [metrics]";
    case Page::kCheck:
      return " [check]";
  }
  return "?";
}

// "307 ok https://...", "404 txt-missing", "200 ok [health]".
inline std::string summary(const Reply& reply) {
  std::string text = std::to_string(code(reply.response.status)) + " ";
  text += info(reply.reason).word;
  if (!reply.response.location.empty()) text += " " + reply.response.location;
  return text.append(to_string(reply.page));
}

struct Story {
  std::string asked;  // "TXT x, CNAME y | TXT z": what was asked together, then what was asked next
  std::string answer;  // summary()
  Reply reply;
};

enum class Arrival { kTogether, kFirstOnly, kLastOnly };

// Decides, asks `dns` what is missing, decides again, until there is a reply. `arrival` says which
// answers of each step come in before the next decision.
template <class Dns>
Story decided(const Policy& policy, const RawRequest& raw, const Dns& dns,
              Arrival arrival = Arrival::kTogether) {
  const Request request = read_request(policy, raw);
  Story story;
  Answers known;
  for (int step = 0; step < 60; ++step) {
    Step next = decide(policy, request, known);
    if (auto* const reply = std::get_if<Reply>(&next)) {
      story.reply = std::move(*reply);
      story.answer = summary(story.reply);
      return story;
    }
    std::vector<Question> questions = std::get<Ask>(next).questions;
    if (questions.empty()) throw std::logic_error("an Ask without questions");
    if (!story.asked.empty()) story.asked += " | ";
    std::string together;
    for (const Question& question : questions) {
      if (known.find(question))
        throw std::logic_error(to_text(question) + " is asked though known");
      together += (together.empty() ? "" : ", ") + to_text(question);
    }
    story.asked += together;
    if (arrival == Arrival::kFirstOnly) questions.resize(1);
    if (arrival == Arrival::kLastOnly) questions = {questions.back()};
    for (const Question& question : questions) known.put(question, dns(question));
  }
  throw std::logic_error("no reply after 60 steps; asked " + story.asked);
}

}  // namespace http01::protocol
