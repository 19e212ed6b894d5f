#include "protocol/decide.h"

#include <algorithm>
#include <iterator>

#include "base/escape.h"
#include "protocol/explain.h"
#include "protocol/gateway.h"
#include "protocol/lookup.h"

namespace http01::protocol {
namespace {

// Of a Location, as much as the body shows: all of any challenge's. A CA reads 2 KiB of a
// redirect's body before it goes on.
constexpr std::size_t kShownOctets = 500;

class Decision {
 public:
  Decision(const Policy& policy, const Request& request, const Answers& known)
      : policy_(policy), request_(request), known_(known) {}

  Step step() {
    if (request_.fault) return refuse(*request_.fault);
    return request_.kind == PathKind::kChallenge ? challenge() : other_path();
  }

 private:
  Step challenge() {
    if (request_.method != "GET" && request_.method != "HEAD") return refuse(Reason::kBadMethod);
    if (!is_token(request_.token())) return refuse(Reason::kBadToken);
    if (request_.host.kind != HostKind::kDomain) return refuse(Reason::kNotFound);
    if (is_gateway_name(policy_.gateways, domain())) return refuse(Reason::kGatewayName);
    if (!is_domain_served()) return refuse(Reason::kDomainRefused);
    return resolve(policy_.target.needs_gateway(), policy_.target.port_use(), [this]() -> Step {
      // What a regex allows cannot all be seen from the Host; here the gateway is known.
      if (target_.gateway && domain().is_at_or_under(*target_.gateway)) {
        return refuse(Reason::kGatewayName);
      }
      return to_app(policy_.target, request_.path());
    });
  }

  Step other_path() {
    if (request_.host.kind != HostKind::kDomain) return page_or_nothing();
    if (page() == Page::kCheck && is_own_name(policy_.gateways, domain())) return show(page());
    if (is_gateway_name(policy_.gateways, domain())) {
      if (policy_.other_paths == OtherPaths::kHttps) return to_own_site();
      return page_or_nothing();
    }
    if (!is_domain_served()) return refuse(Reason::kDomainRefused);
    static const TargetTemplate kAppSite = TargetTemplate::parse(TargetTemplate::kDefault).value();
    return resolve(policy_.other_paths == OtherPaths::kApp, PortUse::kNone, [this]() -> Step {
      switch (policy_.other_paths) {
        case OtherPaths::kHttps:
          return to_own_site();
        case OtherPaths::kApp:
          return to_app(kAppSite, request_.target);
        case OtherPaths::kNone:
          return refuse(Reason::kNotFound);
      }
      return refuse(Reason::kNotFound);
    });
  }

  // The records of the domain; `served` is the answer once they are all there and right.
  template <class Served>
  Step resolve(bool needs_gateway, PortUse port, Served served) {
    auto app = find_app_address(policy_, domain(), known_, port);
    if (const auto* const refusal = std::get_if<Refusal>(&app)) {
      if (refusal->reason == Reason::kTxtMissing && page() != Page::kNone) return show(page());
      return refuse(*refusal);
    }
    Ask ask;
    if (auto* const missing = std::get_if<Missing>(&app)) {
      ask.questions = std::move(missing->questions);
    }
    if (auto* const address = std::get_if<AppAddress>(&app)) target_.app = std::move(*address);

    if (needs_gateway) {
      auto gateway = find_gateway(policy_, domain(), known_);
      // Of two faults the TXT record's is told, so a gateway's waits until that is known.
      if (const auto* const refusal = std::get_if<Refusal>(&gateway); refusal && target_.app) {
        return refuse(*refusal);
      }
      if (auto* const missing = std::get_if<Missing>(&gateway)) {
        ask.questions.insert(ask.questions.end(),
                             std::make_move_iterator(missing->questions.begin()),
                             std::make_move_iterator(missing->questions.end()));
      }
      if (auto* const base = std::get_if<Name>(&gateway)) target_.gateway = std::move(*base);
    }
    if (!ask.questions.empty()) return ask;
    return served();
  }

  Step to_app(const TargetTemplate& target, std::string_view path) {
    const std::string gateway = target_.gateway ? target_.gateway->text() : std::string();
    const auto site =
        target.expand({target_.app->id, target_.app->port, gateway, request_.host.text});
    if (!site) {
      return refuse(
          {Reason::kTxtMalformed, "With this app id the redirect's host would be no domain name."});
    }
    return to_site(*site, path);
  }

  Step to_own_site() { return to_site("https://" + request_.host.text, request_.target); }

  Step to_site(const std::string& site, std::string_view path) {
    // Over TLS this very URL was asked for: sending it there again would never end.
    if (request_.https && site == "https://" + request_.host.text) return page_or_nothing();
    std::string location;
    location.reserve(site.size() + path.size());
    location.append(site).append(path);
    return redirect(std::move(location), Reason::kOk, policy_.redirect_status);
  }

  Step page_or_nothing() {
    if (page() == Page::kNone) return refuse(Reason::kNotFound);
    return show(page());
  }

  Page page() const {
    switch (request_.kind) {
      case PathKind::kIndex:
        return Page::kIndex;
      case PathKind::kHealth:
        return Page::kHealth;
      case PathKind::kReady:
        return shows_state() ? Page::kReady : Page::kNone;
      case PathKind::kMetrics:
        return shows_state() ? Page::kMetrics : Page::kNone;
      case PathKind::kCheck:
        // Where the operator wants it, and not on the site of an app.
        return policy_.public_check && !target_.app ? Page::kCheck : Page::kNone;
      case PathKind::kChallenge:
      case PathKind::kOther:
        return Page::kNone;
    }
    return Page::kNone;
  }

  // /ready and /metrics are at addresses and single labels only. A proxy on this machine, behind
  // which every client looks like loopback, can tell those from names that lead here from anywhere.
  bool shows_state() const {
    return request_.host.kind == HostKind::kRelay && !request_.host.listed;
  }

  bool is_from_metrics_network() const {
    const auto client = base::IpAddress::parse(request_.client);
    return client && std::ranges::any_of(policy_.metrics_from, [&](const base::IpNetwork& network) {
             return network.contains(*client);
           });
  }

  Step show(Page page) {
    if ((page == Page::kReady || page == Page::kMetrics) && !is_from_metrics_network()) {
      return refuse(Reason::kForbidden);
    }
    if (page == Page::kReady) return ready();
    if (page == Page::kCheck && request_.method != "GET" && request_.method != "HEAD") {
      return refuse(Reason::kBadMethod);
    }
    Reply reply;
    reply.page = page;
    return reply;
  }

  // Ready is who can take a challenge to its redirect, or, with no domain to try that on, who has
  // an upstream resolver that answers.
  Step ready() {
    Reason reason = Reason::kOk;
    Cause cause = Cause::kNone;
    std::string found;
    if (policy_.canary) {
      Step step = decide(policy_, challenge_request(policy_, policy_.canary->text()), known_);
      if (auto* const ask = std::get_if<Ask>(&step)) {
        ask->fresh = true;
        return step;
      }
      Reply& inner = std::get<Reply>(step);
      reason = inner.reason;
      cause = inner.cause;
      found = std::move(inner.response.body);
    } else {
      const Question question{unknown_name(), RecordType::kTxt};
      const Answer* const answer = known_.find(question);
      if (!answer) return Ask{{question}, true};
      switch (answer->outcome) {
        case Outcome::kData:
        case Outcome::kNoData:
        case Outcome::kNxDomain:
        case Outcome::kLoop:
          break;
        case Outcome::kFailure:
          reason = Reason::kDnsFailure;
          break;
        case Outcome::kTimeout:
          reason = Reason::kDnsTimeout;
          break;
        case Outcome::kOverloaded:
          reason = Reason::kOverloaded;
          break;
      }
      cause = answer->cause;
      found = about_resolver(reason, cause);
    }
    Reply reply;
    reply.page = Page::kReady;
    reply.reason = reason;
    reply.cause = cause;
    reply.response.status =
        reason == Reason::kOk ? HttpStatus::kOk : HttpStatus::kServiceUnavailable;
    if (reason != Reason::kOk) reply.response.body = std::move(found);
    return reply;
  }

  // A name that only the DNS itself can answer for. What everybody asks for (NS of the root, say)
  // a resolver may know by itself, with a dead upstream: systemd-resolved does.
  Name unknown_name() const {
    const Name zone = known_zone(policy_.gateways);
    const auto label = Name::from_text(request_.unknown_label);
    return label ? join(*label, zone).value_or(zone) : zone;
  }

  // No domain's records are of use here.
  std::string about_resolver(Reason reason, Cause cause) const {
    if (reason == Reason::kOverloaded) {
      return explain(policy_, request_, reason, "Too many look-ups are under way.");
    }
    return std::string(info(reason).word) + ": The resolver " +
           (reason == Reason::kDnsFailure ? "answered with a failure"
            : cause == Cause::kNone       ? "did not answer"
                                          : "could not be reached") +
           (cause == Cause::kNone ? "" : " (" + std::string(to_string(cause)) + ")") +
           ". The question was TXT " + unknown_name().text() +
           ".\nCheck the name servers of dns.servers or, where there are none, of "
           "/etc/resolv.conf.\n";
  }

  Step refuse(Reason reason) { return refuse(Refusal{reason, {}}); }

  Step refuse(const Refusal& refusal) {
    if (auto url = breadcrumb(refusal.reason)) {
      return redirect(std::move(*url), refusal.reason, HttpStatus::kFound);
    }
    Reply reply;
    reply.reason = refusal.reason;
    reply.cause = refusal.cause;
    reply.response.status = info(refusal.reason).status;
    reply.response.body = explain(policy_, request_, refusal.reason, refusal.found, refusal.cause);
    reply.target = std::move(target_);
    return reply;
  }

  // The same URL with the reason in its query, once: a CA shows its user the URL of a failure.
  // Whoever comes with such a query, from us or not, gets the real answer.
  std::optional<std::string> breadcrumb(Reason reason) const {
    if (!policy_.breadcrumb || request_.kind != PathKind::kChallenge || !info(reason).breadcrumb) {
      return std::nullopt;
    }
    const std::string_view query = request_.query();
    if (query.starts_with("?relay=") || query.find("&relay=") != std::string_view::npos) {
      return std::nullopt;
    }
    std::string target = request_.target;
    target += query.empty() ? "?relay=" : "&relay=";
    target += info(reason).word;
    if (target.size() > Request::kMaxTarget) return std::nullopt;
    return (request_.https ? "https://" : "http://") + request_.host.text + request_.host.port +
           target;
  }

  Step redirect(std::string location, Reason reason, HttpStatus status) {
    Reply reply;
    reply.reason = reason;
    reply.response.status = status;
    std::string& body = reply.response.body;
    body.reserve(location.size() + 32);
    body.append(info(reason).word).append(": see ");
    base::append_escaped(body, location, kShownOctets);
    body += '\n';
    reply.response.location = std::move(location);
    reply.target = std::move(target_);
    return reply;
  }

  bool is_domain_served() const {
    const auto covers = [this](const Name& name) { return domain().is_at_or_under(name); };
    if (std::ranges::any_of(policy_.domains_deny, covers)) return false;
    return policy_.domains_allow.empty() || std::ranges::any_of(policy_.domains_allow, covers);
  }

  const Name& domain() const { return request_.host.name; }

  const Policy& policy_;
  const Request& request_;
  const Answers& known_;
  Target target_;
};

}  // namespace

Step decide(const Policy& policy, const Request& request, const Answers& known) {
  return Decision(policy, request, known).step();
}

Request challenge_request(const Policy& policy, std::string_view domain) {
  RawRequest raw;
  raw.method = "GET";
  raw.host = domain;
  // With the query of a breadcrumb, so that a failure shows as itself.
  raw.uri = std::string(kChallengePrefix) + "check?relay=check";
  return read_request(policy, raw);
}

}  // namespace http01::protocol
