#include "protocol/reason.h"

namespace http01::protocol {
namespace {

constexpr bool kStays = false, kPasses = true, kSilent = false, kBreadcrumb = true;
constexpr bool kSeen = false, kUnseen = true;

constexpr base::EnumTable<Reason, ReasonInfo> kReasons{{{
    {Reason::kOk, "ok", HttpStatus::kOk, "redirected or served", kStays, kSilent, kSeen},
    {Reason::kBadHost, "bad-host", HttpStatus::kBadRequest, "the Host is missing or is not a name",
     kStays, kSilent, kUnseen},
    {Reason::kBadPath, "bad-path", HttpStatus::kBadRequest,
     "the path has octets that no path may have", kStays, kSilent, kUnseen},
    {Reason::kBadToken, "bad-token", HttpStatus::kNotFound, "this is not a challenge token", kStays,
     kSilent, kUnseen},
    {Reason::kNotFound, "not-found", HttpStatus::kNotFound, "there is nothing at this address",
     kStays, kSilent, kUnseen},
    {Reason::kBadMethod, "bad-method", HttpStatus::kMethodNotAllowed,
     "a challenge is asked for with GET or HEAD", kStays, kSilent, kUnseen},
    {Reason::kTooLong, "too-long", HttpStatus::kUriTooLong,
     "path and query are longer than 2000 octets", kStays, kSilent, kUnseen},
    {Reason::kTooLarge, "too-large", HttpStatus::kContentTooLarge, "the body is larger than 64 KB",
     kStays, kSilent, kUnseen},
    {Reason::kDomainRefused, "domain-refused", HttpStatus::kForbidden,
     "this relay does not serve this domain", kStays, kBreadcrumb, kUnseen},
    {Reason::kForbidden, "forbidden", HttpStatus::kForbidden,
     "this page is for clients in service.metrics_from only", kStays, kSilent, kUnseen},
    {Reason::kGatewayName, "gateway-name", HttpStatus::kMisdirectedRequest,
     "names of the gateway itself get no challenge answered", kStays, kBreadcrumb, kUnseen},
    {Reason::kTxtMissing, "txt-missing", HttpStatus::kNotFound,
     "the domain has no app address record", kStays, kBreadcrumb, kSeen},
    {Reason::kTxtMalformed, "txt-malformed", HttpStatus::kBadGateway,
     "the app address record is not {app_id}:{port}", kStays, kBreadcrumb, kSeen},
    {Reason::kTxtAmbiguous, "txt-ambiguous", HttpStatus::kBadGateway,
     "there are two different app address records", kStays, kBreadcrumb, kSeen},
    {Reason::kGatewayMissing, "gateway-missing", HttpStatus::kBadGateway,
     "nothing says which gateway serves the app", kStays, kBreadcrumb, kSeen},
    {Reason::kGatewayRefused, "gateway-refused", HttpStatus::kBadGateway,
     "the CNAME leads to no gateway of this relay", kStays, kBreadcrumb, kSeen},
    {Reason::kCnameLoop, "cname-loop", HttpStatus::kBadGateway,
     "the CNAME chain comes back to itself", kStays, kBreadcrumb, kSeen},
    {Reason::kDnsFailure, "dns-failure", HttpStatus::kServiceUnavailable,
     "the DNS answered with a failure", kPasses, kBreadcrumb, kSeen},
    {Reason::kDnsTimeout, "dns-timeout", HttpStatus::kGatewayTimeout,
     "the DNS did not answer in time", kPasses, kBreadcrumb, kSeen},
    {Reason::kOverloaded, "overloaded", HttpStatus::kServiceUnavailable,
     "too many requests wait for the DNS", kPasses, kSilent, kSeen},
}}};

}  // namespace

const ReasonInfo& info(Reason reason) { return kReasons[reason]; }

}  // namespace http01::protocol
