// The CGI variables of a request, one a line: a line of switches, Host, method, client, and all the
// rest is REQUEST_URI or, after a switch, QUERY_STRING in a line and PATH_INFO. What is made of
// them, and what is answered before anything is known of the domain.

#include <algorithm>

#include "protocol/decide.h"
#include "protocol/gateway.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"
#include "tests/protocol/answer_faults.h"
#include "transport/variables.h"

namespace http01::fuzz {
namespace {

using namespace protocol;

const Policy& policy() {
  static const Policy kPolicy = [] {
    Policy policy;
    policy.gateways.wildcard_parents = {*Name::from_text("phala.network")};
    policy.relay_hosts = {"relay.example.net"};
    policy.breadcrumb = true;
    return policy;
  }();
  return kPolicy;
}

bool is_visible(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

void require_sane(const RawRequest& raw, const Request& request) {
  const Host& host = request.host;
  require(host.text.empty() == (host.kind == HostKind::kBad), "a bad Host has no text");
  require(std::ranges::none_of(host.text, [](char c) { return c >= 'A' && c <= 'Z'; }),
          "upper case in the Host");
  require(is_visible(host.text) && is_visible(host.port), "octets in the Host");
  require(host.kind != HostKind::kDomain || host.name.is_domain(), "a domain that is none");
  require(host.kind != HostKind::kDomain || host.name.text() == host.text, "Host's name and text");
  require(host.kind != HostKind::kBad || request.fault, "a bad Host is a fault");
  require(request.target.size() <= Request::kMaxTarget, "a target that is too long");
  require(request.path_size <= request.target.size(), "the path's end");
  require(request.path().find('?') == std::string_view::npos, "a query in the path");
  if (request.fault) return;
  require(request.target.starts_with('/') && is_visible(request.target), "octets in the target");
  require(request.target.find('#') == std::string::npos, "a fragment in the target");
  require(raw.uri.find(request.target) != std::string::npos, "a target that was not sent");
  require(request.kind != PathKind::kChallenge || request.path().starts_with(kChallengePrefix),
          "a challenge elsewhere");
}

FUZZ_TARGET(request, octets) {
  Input input(octets);
  transport::CgiVariables variables;
  Input switches(input.line());
  const std::string_view words = switches.line();
  variables.set("HTTPS", words.starts_with("s") ? "on" : "off");
  const bool decoded = words.ends_with("p");
  variables.set("HTTP_HOST", input.line());
  variables.set("REQUEST_METHOD", input.line());
  variables.set("REMOTE_ADDR", input.line());
  variables.set("CONTENT_LENGTH", input.line());
  if (decoded) {
    transport::PathVariables path;
    path.set("QUERY_STRING", input.line());
    path.set("PATH_INFO", input.rest());
    variables.set("REQUEST_URI", path.uri());
  } else {
    variables.set("REQUEST_URI", input.rest());
  }

  const RawRequest& raw = variables.request;
  const Request request = read_request(policy(), raw);
  require_sane(raw, request);

  const Step step = decide(policy(), request, Answers());
  if (const auto* const ask = std::get_if<Ask>(&step)) {
    require(!request.fault, "look-ups for a request that is refused");
    require(!ask->questions.empty(), "an Ask without questions");
    require(request.host.kind == HostKind::kDomain || request.kind == PathKind::kReady,
            "look-ups for the relay's own host");
    return;
  }
  const Reply& reply = std::get<Reply>(step);
  require(reply.page == Page::kNone || !request.fault, "a page for a request that is refused");
  const std::string page = fault_of_page(policy(), request, reply);
  require(page.empty(), page);
  const std::string lines = fault_of_lines(reply);
  require(lines.empty(), lines);
  if (reply.response.location.empty()) return;
  const std::string location = fault_of_location(policy(), request, reply);
  require(location.empty(), location);
}

}  // namespace
}  // namespace http01::fuzz
