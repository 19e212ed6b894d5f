#include "protocol/explain.h"

#include <optional>

#include "base/ip_address.h"
#include "protocol/gateway.h"
#include "protocol/lookup.h"

namespace http01::protocol {

std::string zone_line(std::string_view name, std::string_view type, std::string_view data) {
  return std::string(name).append(". 300 IN ").append(type).append(" ").append(data);
}

std::string app_address_line(const Policy& policy, const Name& domain) {
  return zone_line(app_address_name(policy, domain).text(), "TXT", "\"<app id>:<port>\"");
}

std::string gateway_line(const Policy& policy, const Name& domain) {
  const std::vector<Name> bases = named_bases(policy.gateways);
  std::string base = "<gateway>";
  if (!bases.empty()) {
    base = bases.front().text();
  } else if (!policy.gateways.wildcard_parents.empty()) {
    base = "<gateway>." + policy.gateways.wildcard_parents.front().text();
  }
  return zone_line(domain.text(), "CNAME", "_." + base + ".");
}

namespace {

// What to do about it; nothing where no record could mend it.
std::optional<std::string> hint(const Policy& policy, const Request& request, Reason reason,
                                Cause cause) {
  switch (reason) {
    case Reason::kTxtMissing:
    case Reason::kTxtMalformed:
      return "Set: " + app_address_line(policy, request.host.name);
    case Reason::kTxtAmbiguous:
      return "Leave one record only: " + app_address_line(policy, request.host.name);
    case Reason::kGatewayMissing:
    case Reason::kGatewayRefused:
      return "Set: " + gateway_line(policy, request.host.name);
    case Reason::kCnameLoop:
      // The chain may be the TXT record's or the domain's own.
      return "The records to set are: " + app_address_line(policy, request.host.name) + " and " +
             gateway_line(policy, request.host.name);
    case Reason::kDnsFailure:
    case Reason::kDnsTimeout:
      if (cause == Cause::kConnectionRefused || cause == Cause::kUnreachable) {
        return "The domain is not at fault. Tell the operator of this relay, who finds its "
               "resolvers in dns.servers or /etc/resolv.conf; then try again.";
      }
      return "Check that the domain's name servers answer; then try again. The records are: " +
             app_address_line(policy, request.host.name) + " and " +
             gateway_line(policy, request.host.name);
    case Reason::kOverloaded:
      return "Try again in a few seconds.";
    case Reason::kGatewayName:
      return "Ask for a certificate for a domain of your own.";
    case Reason::kDomainRefused:
      return "Ask the operator of this relay to allow it.";
    case Reason::kForbidden:
      if (!base::IpAddress::parse(request.client)) {
        return "The web server passes no address of the client: have it set REMOTE_ADDR.";
      }
      return "To show it to this client, add the address that the relay's log has as \"client\" to "
             "service.metrics_from.";
    case Reason::kBadToken:
      return "A token is 1 to 128 of A-Z, a-z, 0-9, - and _.";
    case Reason::kOk:
    case Reason::kBadHost:
    case Reason::kBadPath:
    case Reason::kNotFound:
    case Reason::kBadMethod:
    case Reason::kTooLong:
    case Reason::kTooLarge:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::string explain(const Policy& policy, const Request& request, Reason reason,
                    std::string_view found, Cause cause) {
  const ReasonInfo& known = info(reason);
  std::string body;
  body.append(known.word).append(": ");
  body.append(found.empty() ? known.means : found).append(found.empty() ? ".\n" : "\n");
  if (const auto advice = hint(policy, request, reason, cause)) body.append(*advice).append("\n");
  return body;
}

}  // namespace http01::protocol
