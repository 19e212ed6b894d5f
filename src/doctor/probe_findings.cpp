// What the probe met on a CA's way: at port 80 of the domain, and at the gateway.
#include <algorithm>

#include "base/escape.h"
#include "doctor/ca_rules.h"
#include "doctor/findings.h"

namespace http01::doctor {
namespace {

constexpr std::size_t kShownOctets = 200;
// What Boulder reads of an answer: a challenge's is shorter.
constexpr std::size_t kMaxBody = 128;

std::string shown(std::string_view text) { return base::escaped(text, kShownOctets); }

std::string at(const ProbeResult& result) { return "Port 80 of " + result.address.text(); }

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::string by_whom(const ProbeResult& result) {
  return result.server.empty() ? "" : " (Server: " + shown(result.server) + ")";
}

void judge_hop(const Evidence& evidence, const ProbeResult& result, Findings& found) {
  const bool v6 = result.address.v6;
  if (!result.error.empty()) {
    found.push_back({FindingId::kProbeUnreachable, Severity::kFault,
                     at(result) + " does not answer: " + result.error + "." +
                         (v6 ? " A CA tries IPv6 first." : "")});
    return;
  }
  const std::string& path = evidence.probe.path;
  const auto expected = redirect_for(evidence.reply, path.substr(path.rfind('/') + 1));
  if (is_redirect(result.status) && result.location == expected) {
    // Ours; and where it leads is looked at next.
    if (const auto refusal = refusal_by_ca(result.status, result.location);
        refusal && refusal != CaRefusal::kPublicSuffix) {
      found.push_back({FindingId::kProbeRedirect, Severity::kFault,
                       at(result) + " redirects " + std::string(to_string(*refusal)) + ": " +
                           shown(result.location) + "."});
    }
    return;
  }
  if (!result.reason.empty()) {
    found.push_back(
        {FindingId::kProbeRedirect, Severity::kFault,
         at(result) + " is a relay, but it answers " + std::to_string(result.status) + " (" +
             shown(result.reason) + ")" +
             (result.location.empty() ? "" : ", " + shown(result.location)) +
             ", not as this one would. It has another configuration, or asks another resolver."});
    return;
  }
  if (is_redirect(result.status)) {
    const auto refusal = refusal_by_ca(result.status, result.location);
    const SplitUrl url = split_url(result.location);
    // A CA asks for the domain anyway, whatever it is under.
    const bool same_host = url.whole && url.host == evidence.domain().text();
    const bool followed = !refusal || (same_host && *refusal == CaRefusal::kPublicSuffix);
    const bool to_itself = same_host && followed;
    found.push_back(
        {FindingId::kProbeRedirect, to_itself ? Severity::kWarning : Severity::kFault,
         at(result) + by_whom(result) + " redirects " +
             std::string(followed ? "the challenge" : to_string(*refusal)) + ": " +
             std::to_string(result.status) + ", " + shown(result.location) + ". " +
             (to_itself ? "The relay must answer there too; better that the web server hands "
                          "challenges to the relay before any redirect of its own."
                        : "The relay was not asked: the web server must hand "
                          "/.well-known/acme-challenge/ to it before any rule of its own.")});
    return;
  }
  found.push_back({FindingId::kProbeOtherServer, Severity::kFault,
                   at(result) + " is another server" + by_whom(result) + ": it answers " +
                       std::to_string(result.status) +
                       ", not the relay's redirect. The address leads elsewhere, or the web "
                       "server there does not hand challenges to the relay."});
}

void judge_gateway_hop(const ProbeResult& result, Findings& found) {
  const std::string where = "Port 443 of the gateway's " + result.address.text();
  if (!result.error.empty()) {
    std::string text =
        where + (result.tls_failed ? " refuses TLS: " : " does not answer: ") + result.error + ".";
    text += result.tls_failed
                ? " The gateway closes where it knows no app of this id, or where the app does not "
                  "listen on port 80."
                : "";
    if (result.address.v6) text += " A CA uses IPv6 and tries no other address.";
    found.push_back({FindingId::kProbeGatewayUnreachable, Severity::kFault, std::move(text)});
    return;
  }
  std::string wrong;
  Severity severity = Severity::kWarning;
  if (result.status >= 500) {
    wrong = "the app, or the gateway in its place, fails";
    severity = Severity::kFault;
  } else if (result.status >= 300 && result.status < 400) {
    wrong =
        "the app redirects on, to " + shown(result.location) + ": it must answer challenges itself";
  } else if (result.status == 401 || result.status == 403) {
    wrong = "the app wants the CA to log in, or shuts it out";
    severity = Severity::kFault;
  } else if (result.status == 200 && (result.body_cut || result.body_octets > kMaxBody)) {
    wrong = "the app has a page for any path, also for a challenge that it does not know";
  }
  if (wrong.empty()) return;
  found.push_back(
      {FindingId::kProbeGatewayAnswer, severity,
       where + " answers " + std::to_string(result.status) + by_whom(result) + ": " + wrong + "."});
}

}  // namespace

void judge_probe(const Evidence& evidence, Findings& found) {
  if (!evidence.probe.done) return;
  for (const ProbeResult& result : evidence.probe.domain) judge_hop(evidence, result, found);
  for (const ProbeResult& result : evidence.probe.gateway) judge_gateway_hop(result, found);
}

}  // namespace http01::doctor
