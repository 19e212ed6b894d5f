#include "doctor/evidence.h"

#include <algorithm>

#include "protocol/gateway.h"

namespace http01::doctor {

using protocol::Name;
using protocol::Reason;
using protocol::RecordType;

const Observation* Evidence::find(const Name& name, RecordType type) const {
  const auto found =
      std::ranges::find(observations, protocol::Question{name, type}, &Observation::question);
  return found == observations.end() ? nullptr : &*found;
}

const protocol::Answer* Evidence::answer(const Name& name, RecordType type) const {
  const Observation* const observation = find(name, type);
  return observation == nullptr ? nullptr : &observation->answer;
}

std::vector<base::IpAddress> Evidence::addresses(const Name& name, RecordType type) const {
  const protocol::Answer* const known = answer(name, type);
  return known == nullptr ? std::vector<base::IpAddress>() : known->addresses;
}

const Name* Evidence::gateway() const { return chain ? std::get_if<Name>(&*chain) : nullptr; }

std::optional<Reason> Evidence::gateway_fault() const {
  const auto* const refusal = chain ? std::get_if<protocol::Refusal>(&*chain) : nullptr;
  return refusal ? std::optional(refusal->reason) : std::nullopt;
}

bool Evidence::anything_answered() const {
  return std::ranges::any_of(
      observations, [](const Observation& observation) { return is_answer(observation.answer); });
}

bool is_answer(const protocol::Answer& answer) {
  switch (answer.outcome) {
    case protocol::Outcome::kData:
    case protocol::Outcome::kNoData:
    case protocol::Outcome::kNxDomain:
    case protocol::Outcome::kLoop:
      return true;
    case protocol::Outcome::kFailure:
    case protocol::Outcome::kTimeout:
    case protocol::Outcome::kOverloaded:
      return false;
  }
  return false;
}

std::optional<std::string> redirect_for(const protocol::Reply& reply, std::string_view token) {
  if (!reply.is_success() || !protocol::is_redirect(reply.response.status)) return std::nullopt;
  const std::string& location = reply.response.location;
  if (location.empty()) return std::nullopt;  // it is not to be shown
  return location.substr(0, location.rfind('/') + 1).append(token);
}

std::optional<Name> gateway_host(const Evidence& evidence) {
  if (const auto url = redirect_for(evidence.reply, "")) {
    const std::string_view rest = std::string_view(*url).substr(url->find("://") + 3);
    return Name::from_text(rest.substr(0, rest.find('/')));
  }
  if (const Name* const gateway = evidence.gateway()) return protocol::entry_name(*gateway);
  return std::nullopt;
}

}  // namespace http01::doctor
