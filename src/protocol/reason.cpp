#include "protocol/reason.h"

namespace http01::protocol {

const ReasonInfo& info(Reason reason) {
  // A switch, not an array: a new reason does not compile until it stands here.
  switch (reason) {
    case Reason::kOk: {
      static constexpr ReasonInfo kInfo{"ok", 200, "redirected or served", false, false};
      return kInfo;
    }
    case Reason::kBadHost: {
      static constexpr ReasonInfo kInfo{"bad-host", 400, "the Host is missing or is not a name",
                                        false, false};
      return kInfo;
    }
    case Reason::kBadPath: {
      static constexpr ReasonInfo kInfo{"bad-path", 400,
                                        "the path has octets that no path may have", false, false};
      return kInfo;
    }
    case Reason::kBadToken: {
      static constexpr ReasonInfo kInfo{"bad-token", 404, "this is not a challenge token", false,
                                        false};
      return kInfo;
    }
    case Reason::kNotFound: {
      static constexpr ReasonInfo kInfo{"not-found", 404, "there is nothing at this address", false,
                                        false};
      return kInfo;
    }
    case Reason::kBadMethod: {
      static constexpr ReasonInfo kInfo{"bad-method", 405,
                                        "a challenge is asked for with GET or HEAD", false, false};
      return kInfo;
    }
    case Reason::kTooLong: {
      static constexpr ReasonInfo kInfo{"too-long", 414,
                                        "path and query are longer than 2000 octets", false, false};
      return kInfo;
    }
    case Reason::kTooLarge: {
      static constexpr ReasonInfo kInfo{"too-large", 413, "the body is larger than 64 KB", false,
                                        false};
      return kInfo;
    }
    case Reason::kDomainRefused: {
      static constexpr ReasonInfo kInfo{"domain-refused", 403,
                                        "this relay does not serve this domain", false, true};
      return kInfo;
    }
    case Reason::kGatewayName: {
      static constexpr ReasonInfo kInfo{"gateway-name", 421,
                                        "names of the gateway itself get no challenge answered",
                                        false, true};
      return kInfo;
    }
    case Reason::kTxtMissing: {
      static constexpr ReasonInfo kInfo{"txt-missing", 404, "the domain has no app address record",
                                        false, true};
      return kInfo;
    }
    case Reason::kTxtMalformed: {
      static constexpr ReasonInfo kInfo{
          "txt-malformed", 502, "the app address record is not {app_id}:{port}", false, true};
      return kInfo;
    }
    case Reason::kTxtAmbiguous: {
      static constexpr ReasonInfo kInfo{"txt-ambiguous", 502,
                                        "there are two different app address records", false, true};
      return kInfo;
    }
    case Reason::kGatewayMissing: {
      static constexpr ReasonInfo kInfo{"gateway-missing", 502,
                                        "nothing says which gateway serves the app", false, true};
      return kInfo;
    }
    case Reason::kGatewayRefused: {
      static constexpr ReasonInfo kInfo{"gateway-refused", 502,
                                        "the CNAME leads to no gateway of this relay", false, true};
      return kInfo;
    }
    case Reason::kCnameLoop: {
      static constexpr ReasonInfo kInfo{"cname-loop", 502, "the CNAME chain comes back to itself",
                                        false, true};
      return kInfo;
    }
    case Reason::kDnsFailure: {
      static constexpr ReasonInfo kInfo{"dns-failure", 503, "the DNS answered with a failure", true,
                                        true};
      return kInfo;
    }
    case Reason::kDnsTimeout: {
      static constexpr ReasonInfo kInfo{"dns-timeout", 504, "the DNS did not answer in time", true,
                                        true};
      return kInfo;
    }
    case Reason::kOverloaded: {
      static constexpr ReasonInfo kInfo{"overloaded", 503, "too many requests wait for the DNS",
                                        true, false};
      return kInfo;
    }
  }
  __builtin_unreachable();
}

}  // namespace http01::protocol
