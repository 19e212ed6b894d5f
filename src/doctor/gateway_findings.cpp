// Where the CNAME leads, and the gateway's own name.
#include <algorithm>

#include "base/ascii.h"
#include "base/public_suffix.h"
#include "doctor/findings.h"
#include "protocol/explain.h"
#include "protocol/gateway.h"

namespace http01::doctor {
namespace {

using protocol::Answer;
using protocol::Name;
using protocol::Outcome;
using protocol::Policy;
using protocol::Reason;
using protocol::RecordType;
using Action = ZoneLine::Action;

// The aliases that were followed from the domain on, in order.
std::vector<Name> hops_of(const Evidence& evidence) {
  std::vector<Name> hops;
  Name at = evidence.domain();
  while (const Answer* const answer = evidence.answer(at, RecordType::kCname)) {
    if (answer->aliases.empty()) break;
    at = answer->aliases.front();
    if (std::ranges::find(hops, at) != hops.end() || at == evidence.domain()) break;
    hops.push_back(at);
  }
  return hops;
}

std::string listed(const std::vector<Name>& hops) {
  return base::joined(hops, ", then ", &Name::text);
}

std::optional<Name> name_with_several(const Evidence& evidence, const std::vector<Name>& hops) {
  const auto has_several = [&](const Name& name) {
    const Answer* const answer = evidence.answer(name, RecordType::kCname);
    return answer != nullptr && std::ranges::any_of(answer->aliases, [&](const Name& alias) {
             return alias != answer->aliases.front();
           });
  };
  if (has_several(evidence.domain())) return evidence.domain();
  const auto found = std::ranges::find_if(hops, has_several);
  return found == hops.end() ? std::nullopt : std::optional(*found);
}

bool is_apex(const Name& domain) {
  return base::registrable_domain(domain.text()) == domain.text();
}

constexpr const char* kOtherWays =
    " It needs an A or AAAA record that leads to this relay, and the relay's operator must name "
    "the gateway: gateways.fallback, or gateways.match_addresses.";

void judge_chain(const Policy& policy, const Evidence& evidence, const std::vector<Name>& hops,
                 Findings& found) {
  const Name& domain = evidence.domain();
  const ZoneLine set{Action::kSet, protocol::gateway_line(policy, domain)};
  const auto line_of_hop = [&] {
    return ZoneLine{Action::kRemove,
                    protocol::zone_line(domain.text(), "CNAME", hops.front().text() + ".")};
  };
  const auto fault = evidence.gateway_fault();
  if (!fault) return;
  switch (*fault) {
    case Reason::kGatewayMissing:
      if (is_apex(domain)) {
        found.push_back({FindingId::kApexWithoutCname, Severity::kFault,
                         domain.text() +
                             " is the apex of its zone, which can have no CNAME record, so nothing "
                             "says which gateway serves the app." +
                             kOtherWays});
      } else {
        found.push_back(
            {FindingId::kCnameMissing,
             Severity::kFault,
             domain.text() +
                 " has no CNAME record, so nothing says which gateway serves the app. A "
                 "name with a CNAME can have no other record: take its A and AAAA "
                 "records out. Proxying by the DNS provider also hides it.",
             {set}});
      }
      return;
    case Reason::kGatewayRefused:
      if (const auto several = name_with_several(evidence, hops)) {
        found.push_back({FindingId::kCnameElsewhere,
                         Severity::kFault,
                         several->text() +
                             " has several CNAME records, of which a name has one. Keep the one "
                             "that names the gateway.",
                         {set}});
      } else if (!hops.empty()) {
        found.push_back({FindingId::kCnameElsewhere,
                         Severity::kFault,
                         "The CNAME of " + domain.text() + " leads to " + listed(hops) +
                             ", which is no gateway of this relay.",
                         {line_of_hop(), set}});
      }
      return;
    case Reason::kCnameLoop:
      found.push_back(
          {FindingId::kCnameLoop,
           Severity::kFault,
           "A CNAME chain comes back to itself or is longer than eight" +
               (hops.empty() ? "." : ": " + domain.text() + ", then " + listed(hops) + "."),
           {set}});
      return;
    case Reason::kOk:
    case Reason::kBadHost:
    case Reason::kBadPath:
    case Reason::kBadToken:
    case Reason::kNotFound:
    case Reason::kBadMethod:
    case Reason::kTooLong:
    case Reason::kTooLarge:
    case Reason::kDomainRefused:
    case Reason::kForbidden:
    case Reason::kGatewayName:
    case Reason::kTxtMissing:
    case Reason::kTxtMalformed:
    case Reason::kTxtAmbiguous:
    case Reason::kDnsFailure:
    case Reason::kDnsTimeout:
    case Reason::kOverloaded:
      break;
  }
}

void judge_name(const Evidence& evidence, const Name& gateway, const Name& host, Findings& found) {
  if (!base::ends_in_public_suffix(host.text())) {
    found.push_back({FindingId::kGatewaySuffix, Severity::kFault,
                     "The gateway's name " + gateway.text() +
                         " is under no public suffix. Let's Encrypt follows no redirect to such a "
                         "name."});
  }
  const Answer* const v4 = evidence.answer(host, RecordType::kA);
  const Answer* const v6 = evidence.answer(host, RecordType::kAaaa);
  if (v4 == nullptr || v6 == nullptr) return;
  const auto is_none = [](const Answer& answer) {
    return answer.outcome == Outcome::kNoData || answer.outcome == Outcome::kNxDomain;
  };
  if (is_none(*v4) && is_none(*v6)) {
    found.push_back(
        {FindingId::kGatewayUnresolved,
         Severity::kFault,
         host.text() + ", where the CA is sent, has no address. The gateway's operator sets one "
                       "for all apps:",
         {{Action::kSet,
           protocol::zone_line("*." + gateway.text(), "A", "<the gateway's address>")}}});
  }
}

}  // namespace

void judge_gateway(const Policy& policy, const Evidence& evidence, Findings& found) {
  const std::vector<Name> hops = hops_of(evidence);
  judge_chain(policy, evidence, hops, found);

  const Name* const gateway = evidence.gateway();
  const bool by_chain = gateway && std::ranges::any_of(hops, [&](const Name& hop) {
                          return protocol::base_named_by(policy.gateways, hop) == *gateway;
                        });
  if (gateway && !by_chain && !evidence.names_withheld) {
    found.push_back(
        {FindingId::kGatewayFallback, Severity::kNote,
         (hops.empty() ? evidence.domain().text() + " has no CNAME"
                       : "The CNAME of " + evidence.domain().text() + " leads to " + listed(hops)) +
             ". The gateway " + gateway->text() + " comes from this relay's configuration."});
  }
  if (by_chain && hops.size() > 1) {
    found.push_back({FindingId::kCnameChain, Severity::kNote,
                     "The CNAME leads to the gateway in " + std::to_string(hops.size()) +
                         " steps: " + listed(hops) +
                         ". Each is a zone whose owner can send the "
                         "challenges of " +
                         evidence.domain().text() + " elsewhere."});
  }
  const auto host = gateway_host(evidence);
  if (!host || *host == evidence.domain()) return;
  judge_name(evidence, gateway ? *gateway : *host, *host, found);
}

}  // namespace http01::doctor
