#include "doctor/finding.h"

namespace http01::doctor {

std::string_view word(FindingId id) {
  // A switch, not an array: a new one does not compile until it stands here.
  switch (id) {
    case FindingId::kBadDomain:
      return "bad-domain";
    case FindingId::kDomainRefused:
      return "domain-refused";
    case FindingId::kGatewayName:
      return "gateway-name";
    case FindingId::kNoAddress:
      return "no-address";
    case FindingId::kTxtMissing:
      return "txt-missing";
    case FindingId::kTxtMalformed:
      return "txt-malformed";
    case FindingId::kTxtAmbiguous:
      return "txt-ambiguous";
    case FindingId::kTxtAlias:
      return "txt-alias";
    case FindingId::kTxtForeign:
      return "txt-foreign";
    case FindingId::kApexWithoutCname:
      return "apex-without-cname";
    case FindingId::kCnameMissing:
      return "cname-missing";
    case FindingId::kCnameElsewhere:
      return "cname-elsewhere";
    case FindingId::kCnameLoop:
      return "cname-loop";
    case FindingId::kAddressElsewhere:
      return "address-elsewhere";
    case FindingId::kProbeUnreachable:
      return "probe-unreachable";
    case FindingId::kAddress6Elsewhere:
      return "address6-elsewhere";
    case FindingId::kGatewayAddress6:
      return "gateway-address6";
    case FindingId::kProbeOtherServer:
      return "probe-other-server";
    case FindingId::kProbeRedirect:
      return "probe-redirect";
    case FindingId::kCaaForbids:
      return "caa-forbids";
    case FindingId::kCaaMethod:
      return "caa-method";
    case FindingId::kCaaAccount:
      return "caa-account";
    case FindingId::kCaaFailure:
      return "caa-failure";
    case FindingId::kDnssecBogus:
      return "dnssec-bogus";
    case FindingId::kDnssecMissing:
      return "dnssec-missing";
    case FindingId::kDnsFailure:
      return "dns-failure";
    case FindingId::kDnsTimeout:
      return "dns-timeout";
    case FindingId::kGatewayUnresolved:
      return "gateway-unresolved";
    case FindingId::kGatewaySuffix:
      return "gateway-suffix";
    case FindingId::kProbeGatewayUnreachable:
      return "probe-gateway-unreachable";
    case FindingId::kProbeGatewayAnswer:
      return "probe-gateway-answer";
    case FindingId::kSlow:
      return "slow";
    case FindingId::kReservedAddress:
      return "reserved-address";
    case FindingId::kResolversDiffer:
      return "resolvers-differ";
    case FindingId::kResolverSilent:
      return "resolver-silent";
    case FindingId::kOverloaded:
      return "overloaded";
    case FindingId::kTxtTwoStrings:
      return "txt-two-strings";
    case FindingId::kTxtUpperCase:
      return "txt-upper-case";
    case FindingId::kTxtJunk:
      return "txt-junk";
    case FindingId::kTxtLegacy:
      return "txt-legacy";
    case FindingId::kTxtWildcard:
      return "txt-wildcard";
    case FindingId::kCnameChain:
      return "cname-chain";
    case FindingId::kGatewayFallback:
      return "gateway-fallback";
    case FindingId::kRelayAddressUnknown:
      return "relay-address-unknown";
  }
  return "?";
}

std::string_view word(Severity severity) {
  switch (severity) {
    case Severity::kFault:
      return "fault";
    case Severity::kWarning:
      return "warning";
    case Severity::kNote:
      return "note";
  }
  return "?";
}

std::string_view word(ZoneLine::Action action) {
  switch (action) {
    case ZoneLine::Action::kSet:
      return "set";
    case ZoneLine::Action::kRemove:
      return "remove";
  }
  return "?";
}

}  // namespace http01::doctor
