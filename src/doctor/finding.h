// What the doctor can find wrong with a domain: one closed list, in the order of how often each is
// the cause of a failed validation, one table of words. The words are part of the program's
// interface: JSON and documentation carry them. Never throws.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/enum.h"

namespace http01::doctor {

enum class FindingId : std::uint8_t {
  kBadDomain,      // what was given is no domain name
  kDomainRefused,  // by the operator
  kGatewayName,    // it is one of a gateway's own names
  kNoAddress,      // a CA finds no host to ask
  kTxtMissing,
  kTxtMalformed,
  kTxtAmbiguous,
  kTxtAlias,    // an alias answers at the record's name, and has no text
  kTxtForeign,  // somebody else's text is all there is, such as SPF
  kApexWithoutCname,
  kCnameMissing,
  kCnameElsewhere,
  kCnameLoop,
  kAddressElsewhere,
  kProbeUnreachable,  // port 80 of an address does not answer
  kAddress6Elsewhere,
  kGatewayAddress6,  // the gateway's name has IPv6 addresses, and a CA tries no other
  kProbeOtherServer,
  kProbeRedirect,  // redirected, but not to where this relay would send it, or not as a CA wants it
  kCaaForbids,
  kCaaMethod,
  kCaaAccount,
  kCaaFailure,
  kDnssecBogus,
  kDnssecMissing,
  kDnsFailure,
  kDnsTimeout,
  kGatewayUnresolved,
  kGatewaySuffix,  // under no public suffix
  kProbeGatewayUnreachable,
  kProbeGatewayAnswer,
  kSlow,
  kReservedAddress,
  kResolversDiffer,
  kResolverSilent,
  kOverloaded,
  kTxtTwoStrings,
  kTxtUpperCase,
  kTxtJunk,  // something else beside the valid record
  kTxtLegacy,
  kTxtWildcard,
  kCnameChain,
  kGatewayFallback,
  kRelayAddressUnknown,
  kNotShown,  // to strangers: it is of a name under no public suffix
};

std::string_view to_string(FindingId id);

enum class Severity : std::uint8_t {
  kFault,    // a CA or the gateway will refuse
  kWarning,  // may fail, or works by chance
  kNote,     // is as it is; good to know
};

std::string_view to_string(Severity severity);

// A line of a zone file to set or to take out.
struct ZoneLine {
  enum class Action : std::uint8_t { kSet, kRemove } action = Action::kSet;
  std::string line;
};

std::string_view to_string(ZoneLine::Action action);

// Fit to be shown as it is: nothing from outside is in it unescaped.
struct Finding {
  FindingId id;
  Severity severity = Severity::kFault;
  std::string text;  // one to three sentences
  std::vector<ZoneLine> lines{};
};

using Findings = std::vector<Finding>;

}  // namespace http01::doctor
