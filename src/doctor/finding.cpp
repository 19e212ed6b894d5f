#include "doctor/finding.h"

namespace http01::doctor {
namespace {

constexpr base::EnumWords<FindingId> kFindings{{{
    {FindingId::kBadDomain, "bad-domain"},
    {FindingId::kDomainRefused, "domain-refused"},
    {FindingId::kGatewayName, "gateway-name"},
    {FindingId::kNoAddress, "no-address"},
    {FindingId::kTxtMissing, "txt-missing"},
    {FindingId::kTxtMalformed, "txt-malformed"},
    {FindingId::kTxtAmbiguous, "txt-ambiguous"},
    {FindingId::kTxtAlias, "txt-alias"},
    {FindingId::kTxtForeign, "txt-foreign"},
    {FindingId::kApexWithoutCname, "apex-without-cname"},
    {FindingId::kCnameMissing, "cname-missing"},
    {FindingId::kCnameElsewhere, "cname-elsewhere"},
    {FindingId::kCnameLoop, "cname-loop"},
    {FindingId::kAddressElsewhere, "address-elsewhere"},
    {FindingId::kProbeUnreachable, "probe-unreachable"},
    {FindingId::kAddress6Elsewhere, "address6-elsewhere"},
    {FindingId::kGatewayAddress6, "gateway-address6"},
    {FindingId::kProbeOtherServer, "probe-other-server"},
    {FindingId::kProbeRedirect, "probe-redirect"},
    {FindingId::kCaaForbids, "caa-forbids"},
    {FindingId::kCaaMethod, "caa-method"},
    {FindingId::kCaaAccount, "caa-account"},
    {FindingId::kCaaFailure, "caa-failure"},
    {FindingId::kDnssecBogus, "dnssec-bogus"},
    {FindingId::kDnssecMissing, "dnssec-missing"},
    {FindingId::kDnsFailure, "dns-failure"},
    {FindingId::kDnsTimeout, "dns-timeout"},
    {FindingId::kGatewayUnresolved, "gateway-unresolved"},
    {FindingId::kGatewaySuffix, "gateway-suffix"},
    {FindingId::kProbeGatewayUnreachable, "probe-gateway-unreachable"},
    {FindingId::kProbeGatewayAnswer, "probe-gateway-answer"},
    {FindingId::kSlow, "slow"},
    {FindingId::kReservedAddress, "reserved-address"},
    {FindingId::kResolversDiffer, "resolvers-differ"},
    {FindingId::kResolverSilent, "resolver-silent"},
    {FindingId::kOverloaded, "overloaded"},
    {FindingId::kTxtTwoStrings, "txt-two-strings"},
    {FindingId::kTxtUpperCase, "txt-upper-case"},
    {FindingId::kTxtJunk, "txt-junk"},
    {FindingId::kTxtLegacy, "txt-legacy"},
    {FindingId::kTxtWildcard, "txt-wildcard"},
    {FindingId::kCnameChain, "cname-chain"},
    {FindingId::kGatewayFallback, "gateway-fallback"},
    {FindingId::kRelayAddressUnknown, "relay-address-unknown"},
    {FindingId::kNotShown, "not-shown"},
}}};

constexpr base::EnumWords<Severity> kSeverities{{{
    {Severity::kFault, "fault"},
    {Severity::kWarning, "warning"},
    {Severity::kNote, "note"},
}}};

constexpr base::EnumWords<ZoneLine::Action> kActions{{{
    {ZoneLine::Action::kSet, "set"},
    {ZoneLine::Action::kRemove, "remove"},
}}};

}  // namespace

std::string_view to_string(FindingId id) { return kFindings[id].word; }
std::string_view to_string(Severity severity) { return kSeverities[severity].word; }
std::string_view to_string(ZoneLine::Action action) { return kActions[action].word; }

}  // namespace http01::doctor
