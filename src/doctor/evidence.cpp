#include "doctor/evidence.h"

#include <algorithm>

#include "protocol/gateway.h"

namespace http01::doctor {

using protocol::Name;
using protocol::Reason;
using protocol::RecordType;

const Step* Evidence::find(const Name& name, RecordType type) const {
  const auto found = std::ranges::find(steps, protocol::Question{name, type}, &Step::question);
  return found == steps.end() ? nullptr : &*found;
}

const protocol::Answer* Evidence::answer(const Name& name, RecordType type) const {
  const Step* const step = find(name, type);
  return step == nullptr ? nullptr : &step->answer;
}

std::vector<base::IpAddress> Evidence::addresses(const Name& name, RecordType type) const {
  const protocol::Answer* const known = answer(name, type);
  return known == nullptr ? std::vector<base::IpAddress>() : known->addresses;
}

bool Evidence::anything_answered() const {
  return std::ranges::any_of(steps, [](const Step& step) { return is_answer(step.answer); });
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

bool is_refused_unseen(Reason reason) {
  switch (reason) {
    case Reason::kBadHost:
    case Reason::kBadPath:
    case Reason::kBadToken:
    case Reason::kNotFound:
    case Reason::kBadMethod:
    case Reason::kTooLong:
    case Reason::kTooLarge:
    case Reason::kDomainRefused:
    case Reason::kGatewayName:
      return true;
    case Reason::kOk:
    case Reason::kTxtMissing:
    case Reason::kTxtMalformed:
    case Reason::kTxtAmbiguous:
    case Reason::kGatewayMissing:
    case Reason::kGatewayRefused:
    case Reason::kCnameLoop:
    case Reason::kDnsFailure:
    case Reason::kDnsTimeout:
    case Reason::kOverloaded:
      return false;
  }
  return false;
}

std::optional<Name> gateway_host(const Evidence& evidence) {
  const std::string_view location = evidence.reply.response.location;
  if (const std::size_t scheme = location.find("://"); scheme != std::string_view::npos) {
    const std::string_view rest = location.substr(scheme + 3);
    return Name::from_text(rest.substr(0, rest.find('/')));
  }
  if (evidence.gateway) return protocol::entry_name(*evidence.gateway);
  return std::nullopt;
}

}  // namespace http01::doctor
