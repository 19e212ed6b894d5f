// The decision: from a request and what is known so far to the answer, or to what must be asked. A
// pure function, called again from the start each time more is known; FastCGI, CGI and `check` all
// use it, so none can disagree with another. Never throws; any octets in any answer.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "protocol/answer.h"
#include "protocol/limit.h"
#include "protocol/policy.h"
#include "protocol/record.h"
#include "protocol/request.h"
#include "protocol/response.h"

namespace http01::protocol {

// All at once; some may have been asked already by an earlier call.
struct Ask {
  std::vector<Question> questions;
  bool fresh = false;  // whether they are answered now is the question: the cache does not know
};

// What the records led to, as far as they did. For the log and `check`.
struct Target {
  std::optional<AppAddress> app;
  std::optional<Name> gateway;
};

// A page of the relay's own, whose body the caller fills in. kReady comes with its status decided.
enum class Page : std::uint8_t { kNone, kIndex, kHealth, kReady, kMetrics, kCheck };

struct Reply {
  Reason reason = Reason::kOk;
  Response response;
  Target target;
  Page page = Page::kNone;
  Cause cause = Cause::kNone;  // of a DNS that fails
  std::optional<Limit> limit;  // of kOverloaded, from whoever refused it
  std::string checked;         // of kCheck: the domain, as it was asked for; any octets

  // Redirected to where it belongs, or a page that is in order; a breadcrumb is neither.
  bool is_success() const { return reason == Reason::kOk; }
};

using Step = std::variant<Ask, Reply>;

Step decide(const Policy& policy, const Request& request, const Answers& known);

// The request that a CA would send for this domain: what /ready and `check` decide on.
Request challenge_request(const Policy& policy, std::string_view domain);

}  // namespace http01::protocol
