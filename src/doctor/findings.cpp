#include "doctor/findings.h"

#include <algorithm>

namespace http01::doctor {
namespace {

using protocol::Reason;

// What the relay refuses by its own rules. True: there is nothing else to look at.
bool judge_refusal(const Evidence& evidence, Findings& found) {
  switch (evidence.reply.reason) {
    case Reason::kDomainRefused:
      found.push_back({FindingId::kDomainRefused, Severity::kFault,
                       "This relay does not serve " + evidence.domain().text() +
                           ": domains.allow or domains.deny of its configuration say so. Its "
                           "operator can change that, a record cannot."});
      return true;
    case Reason::kGatewayName:
      found.push_back({FindingId::kGatewayName, Severity::kFault,
                       evidence.domain().text() +
                           " is a name of a gateway. Challenges for those are never redirected: a "
                           "tenant could get a certificate for the gateway."});
      return true;
    case Reason::kNotFound:
      found.push_back({FindingId::kBadDomain, Severity::kFault,
                       evidence.given +
                           " is a name or an address of the relay itself, where it shows its own "
                           "pages and redirects nothing."});
      return true;
    case Reason::kBadHost:
    case Reason::kBadPath:
    case Reason::kBadToken:
    case Reason::kBadMethod:
    case Reason::kTooLong:
    case Reason::kTooLarge:
      found.push_back({FindingId::kBadDomain, Severity::kFault,
                       "\"" + evidence.given +
                           "\" is no domain that could have a certificate by HTTP-01: a name of "
                           "two labels or more, of letters, digits and hyphens, without \"*.\"."});
      return true;
    case Reason::kOverloaded:
      found.push_back({FindingId::kOverloaded, Severity::kWarning,
                       "Too many look-ups are under way. Try again in a few seconds."});
      return false;
    case Reason::kOk:
    case Reason::kForbidden:  // of pages, which nobody examines
    case Reason::kTxtMissing:
    case Reason::kTxtMalformed:
    case Reason::kTxtAmbiguous:
    case Reason::kGatewayMissing:
    case Reason::kGatewayRefused:
    case Reason::kCnameLoop:
    case Reason::kDnsFailure:
    case Reason::kDnsTimeout:
      return false;
  }
  return false;
}

}  // namespace

Findings judge(const protocol::Policy& policy, const Evidence& evidence) {
  Findings found;
  if (!judge_refusal(evidence, found)) {
    judge_app_address(policy, evidence, found);
    judge_gateway(policy, evidence, found);
    judge_addresses(evidence, found);
    judge_caa(evidence, found);
    judge_resolution(policy, evidence, found);
    judge_probe(evidence, found);
  }
  std::ranges::stable_sort(found, [](const Finding& a, const Finding& b) {
    return a.severity != b.severity ? a.severity < b.severity : a.id < b.id;
  });
  return found;
}

}  // namespace http01::doctor
