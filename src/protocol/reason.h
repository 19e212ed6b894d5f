// Why a request was answered as it was: one closed list, one table. The words are part of the
// program's interface: header, body, log and metrics carry them.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/enum.h"
#include "protocol/status.h"

namespace http01::protocol {

enum class Reason : std::uint8_t {
  kOk,
  kBadHost,
  kBadPath,
  kBadToken,
  kNotFound,
  kBadMethod,
  kTooLong,
  kTooLarge,
  kDomainRefused,
  kForbidden,
  kGatewayName,
  kTxtMissing,
  kTxtMalformed,
  kTxtAmbiguous,
  kGatewayMissing,
  kGatewayRefused,
  kCnameLoop,
  kDnsFailure,
  kDnsTimeout,
  kOverloaded,
};

struct ReasonInfo {
  Reason id;
  std::string_view word;
  HttpStatus status;       // of kOk: a page's; a redirect's is configured
  std::string_view means;  // one clause, for people who have not read the code
  bool passing;            // may be over in seconds: the answer carries Retry-After
  bool breadcrumb;         // comes from policy or DNS, so a domain owner can mend it
  bool unseen;             // refused by the relay's own rules, without a look at the DNS
};

const ReasonInfo& info(Reason reason);

}  // namespace http01::protocol
