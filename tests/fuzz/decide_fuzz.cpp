// A policy, a request and a DNS that are chosen by the octets: whatever the records say, a redirect
// leads where it may, and what is sent is whole lines.

#include "protocol/gateway.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"
#include "tests/protocol/answer_faults.h"
#include "tests/protocol/random_case.h"

namespace http01::fuzz {
namespace {

using namespace protocol;

void require_header_block(const Reply& reply) {
  const std::string get = to_cgi(reply.response, reply.reason, false);
  const std::string head = to_cgi(reply.response, reply.reason, true);
  require(get == head + reply.response.body, "HEAD is not GET without its body");
  require(head.starts_with("Status: ") && head.ends_with("\r\n\r\n"), "no header block");
  require(head.find("\r\n\r\n") == head.size() - 4, "the header block ends early");
}

FUZZ_TARGET(decide, octets) {
  const RandomCase world(octets);
  const Policy& policy = world.policy;
  const Request request = read_request(policy, world.raw);
  // decided() throws where a question is asked that is known, or where there is no end of them.
  bool authentic = true;
  const Story story = decided(policy, world.raw, [&](const Question& question) {
    Answer answer = world(question);
    authentic &= answer.authenticated || question.type == RecordType::kA ||
                 question.type == RecordType::kAaaa;
    return answer;
  });
  const Reply& reply = story.reply;

  require_header_block(reply);
  const std::string page = fault_of_page(policy, request, reply);
  require(page.empty(), page);
  const std::string lines = fault_of_lines(reply);
  require(lines.empty(), lines + ": " + reply.response.body);
  if (!reply.response.location.empty()) {
    const std::string location = fault_of_location(policy, request, reply);
    require(location.empty(), location + ": " + reply.response.location);
    // Of addresses it is enough that those that match are.
    require(authentic || !policy.require_dnssec || reply.reason != Reason::kOk,
            "led by records without DNSSEC");
  }
  if (request.fault || request.host.kind != HostKind::kDomain) {
    require(story.asked.empty() || request.kind == PathKind::kReady, "asked " + story.asked);
  } else if (request.kind == PathKind::kChallenge &&
             is_gateway_name(policy.gateways, request.host.name)) {
    require(reply.reason != Reason::kOk, "a challenge for a name of the gateway is redirected");
    require(story.asked.empty(), "asked " + story.asked);
  }

  for (const Arrival arrival : {Arrival::kFirstOnly, Arrival::kLastOnly}) {
    const Story other = decided(policy, world.raw, world, arrival);
    require(other.answer == story.answer, story.answer + " turns into " + other.answer);
    require(other.reply.response.body == story.reply.response.body, "another body");
  }
}

}  // namespace
}  // namespace http01::fuzz
