#include "doctor/questions.h"

#include "doctor/caa.h"
#include "protocol/lookup.h"

namespace http01::doctor {
namespace {

using protocol::Name;
using protocol::Question;
using protocol::RecordType;

// A relay has one or two names; whoever has more knows its addresses.
constexpr std::size_t kMaxRelayNames = 4;

void add_addresses(const Name& name, std::vector<Question>& questions) {
  questions.push_back({name, RecordType::kA});
  questions.push_back({name, RecordType::kAaaa});
}

}  // namespace

std::vector<Name> relay_names(const protocol::Policy& policy) {
  std::vector<Name> names;
  for (const std::string& host : policy.relay_hosts) {
    const auto name = Name::from_text(host);
    if (name && name->is_domain() && names.size() < kMaxRelayNames) names.push_back(*name);
  }
  return names;
}

std::vector<Question> first_questions(const protocol::Policy& policy, const Name& domain) {
  std::vector<Question> questions;
  add_addresses(domain, questions);
  for (Question& question : caa_questions(domain)) questions.push_back(std::move(question));
  for (const Name& name : relay_names(policy)) add_addresses(name, questions);
  return questions;
}

std::optional<protocol::Found<Name>> resolve_gateway(const protocol::Policy& policy,
                                                     const Evidence& evidence,
                                                     const protocol::Answers& known) {
  if (!policy.target.needs_gateway()) return std::nullopt;
  if (const auto& gateway = evidence.reply.target.gateway) return *gateway;
  return protocol::find_gateway(policy, evidence.domain(), known);
}

std::vector<Question> later_questions(const Evidence& evidence, const protocol::Answers& known) {
  if (evidence.chain) {
    const auto* const missing = std::get_if<protocol::Missing>(&*evidence.chain);
    if (missing != nullptr) return missing->questions;
  }
  std::vector<Question> questions;
  const auto host = gateway_host(evidence);
  if (host && *host != evidence.domain()) add_addresses(*host, questions);
  std::erase_if(questions,
                [&](const Question& question) { return known.find(question) != nullptr; });
  return questions;
}

std::vector<Question> compared_questions(const protocol::Policy& policy, const Name& domain) {
  std::vector<Question> questions{
      {protocol::app_address_name(policy, domain), RecordType::kTxt},
      {domain, RecordType::kCname},
  };
  add_addresses(domain, questions);
  return questions;
}

}  // namespace http01::doctor
