// What would be wrong with an answer, whatever the policy, the request and the records: where a
// redirect may lead, and what may stand in the octets that are sent. "" where nothing is. Said in
// text, without the code under test.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "protocol/decide.h"

namespace http01::protocol {

// Said again here in text and without the code under test: what the policies of RandomCase allow.
inline bool is_allowed(const GatewayPolicy& gateways, const std::string& base) {
  const auto is = [&base](const Name& name) { return name.text() == base; };
  if (std::ranges::any_of(gateways.bases, is)) return true;
  if (gateways.fallback && is(*gateways.fallback)) return true;
  for (const auto& [alias, aliased] : gateways.aliases) {
    if (is(aliased)) return true;
  }
  const std::string parent = base.substr(std::min(base.find('.'), base.size() - 1) + 1);
  for (const Name& wildcard : gateways.wildcard_parents) {
    if (wildcard.text() == parent) return true;
  }
  if (!gateways.regex) return false;
  const int group = gateways.capture_group;
  const std::string& regex = gateways.regex->text();
  if (regex == "^_\\.(.+\\.phala\\.network)$")
    return group == 1 && base.ends_with(".phala.network");
  if (regex == "_\\.(gw[0-9]\\.example\\.org)") {
    return group == 1 && base.size() == 15 && base.starts_with("gw") &&
           base.ends_with(".example.org");
  }
  if (regex == "(phala\\.network)") return base == "phala.network";
  if (regex == "gw-[a-z]+\\.(tdxlab\\.example\\.org)") {
    return base == "tdxlab.example.org" || (group == 0 && base.ends_with(".tdxlab.example.org"));
  }
  if (regex == "_\\.(.+)") return group == 1;
  return regex == "(?s)(.*)";
}

inline bool is_under(const std::string& host, const std::string& base) {
  return host == base || host.ends_with("." + base);
}

inline bool is_app_id(const Policy& policy, const std::string& id) {
  if (id == "localhost" || id == "gateway" || id == "health") return false;
  if (policy.app_id.text() == "[0-9a-f]{40}")
    return id.size() == 40 && id.find_first_not_of("0123456789abcdef") == std::string::npos;
  return !id.empty() && id.size() <= 63 &&
         id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") == std::string::npos;
}

inline bool is_port(const std::string& port) {
  return !port.empty() && port.size() <= 5 && port[0] != '0' &&
         port.find_first_not_of("0123456789") == std::string::npos && std::stoi(port) <= 65535;
}

// "" where the redirect of a challenge leads to where it may, else what is wrong.
inline std::string fault_of_challenge(const Policy& policy, const Request& request,
                                      const Reply& reply) {
  const std::string& location = reply.response.location;
  const std::string path(request.path());
  const std::string& domain = request.host.text;
  if (!location.starts_with("https://") || !location.ends_with(path)) return "scheme or path";
  if (location.size() < 8 + path.size()) return "no host";
  const std::string host = location.substr(8, location.size() - 8 - path.size());
  if (host.size() > 253) return "host too long";
  if (!reply.target.app || !is_app_id(policy, reply.target.app->id)) return "no app";
  if (!is_port(reply.target.app->port)) return "no port";
  if (policy.target.text() == "https://{domain}") return host == domain ? "" : "not the domain";

  if (!reply.target.gateway) return "no gateway";
  const std::string base = reply.target.gateway->text();
  std::string label = reply.target.app->id;
  if (policy.target.text().find("{port}") != std::string::npos)
    label += "-" + reply.target.app->port + "s";
  if (host != label + "." + base) return "not {app id}.{base}";
  if (!is_allowed(policy.gateways, base)) return "base not allowed";
  if (is_under(domain, base)) return "a name of the gateway";
  return "";
}

// "" where /ready and /metrics are kept from strangers and at the relay's own addresses and labels,
// else what is wrong. Of policies with the default metrics_from.
inline std::string fault_of_page(const Policy& policy, const Request& request, const Reply& reply) {
  if (reply.page != Page::kReady && reply.page != Page::kMetrics) return "";
  const std::string& host = request.host.text;
  const bool address =
      host.starts_with('[') || (host.find('.') != std::string::npos &&
                                host.find_first_not_of("0123456789.") == std::string::npos);
  if (!address && host.find('.') != std::string::npos) return "shown at a domain";
  if (!address && std::ranges::find(policy.relay_hosts, host) != policy.relay_hosts.end()) {
    return "shown at a name of service.hosts";
  }
  // The loopback addresses of IPv6 may be written in many ways.
  const std::string& client = request.client;
  if (client.starts_with("127.") || client.find(':') != std::string::npos) return "";
  return "shown to a stranger";
}

inline std::string fault_of_location(const Policy& policy, const Request& request,
                                     const Reply& reply) {
  const Response& response = reply.response;
  const std::string own = request.host.text + request.host.port;
  if (request.host.kind != HostKind::kDomain) return "not for a domain";
  if (reply.reason != Reason::kOk) {
    const std::string expected = (request.https ? "https://" : "http://") + own + request.target;
    if (!policy.breadcrumb || !info(reply.reason).breadcrumb) return "no breadcrumb is due";
    if (response.status != HttpStatus::kFound) return "status of a breadcrumb";
    if (!response.location.starts_with(expected)) return "breadcrumb leads elsewhere";
    const std::string rest = response.location.substr(expected.size());
    return rest.substr(1) == "relay=" + std::string(info(reply.reason).word)
               ? ""
               : "breadcrumb is garbled";
  }
  if (response.status != policy.redirect_status) return "status";
  if (request.kind == PathKind::kChallenge) return fault_of_challenge(policy, request, reply);
  std::string host = request.host.text;
  switch (policy.other_paths) {
    case OtherPaths::kNone:
      return "no redirect is due";
    case OtherPaths::kHttps:
      if (request.https) return "leads to itself";
      break;
    case OtherPaths::kApp:
      if (!reply.target.app || !is_app_id(policy, reply.target.app->id)) return "no app";
      if (!reply.target.gateway) return "no gateway";
      host = reply.target.app->id + "." + reply.target.gateway->text();
      if (host.size() > 253) return "host too long";
      if (!is_allowed(policy.gateways, reply.target.gateway->text())) return "base not allowed";
      break;
  }
  return response.location == "https://" + host + request.target ? "" : "leads elsewhere";
}

inline bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

// "" where the answer is whole lines of printable ASCII, else what is wrong.
inline std::string fault_of_lines(const Reply& reply) {
  const Response& response = reply.response;
  const std::string cgi = to_cgi(response, reply.reason, false);
  const std::size_t end = cgi.find("\r\n\r\n");
  if (end == std::string::npos) return "no end of the header";
  if (cgi.substr(end + 4) != response.body) return "the body begins early";

  std::size_t locations = 0;
  for (std::size_t at = 0; at < end;) {
    const std::size_t line_end = cgi.find("\r\n", at);
    const std::string line = cgi.substr(at, line_end - at);
    if (!is_printable(line)) return "octets in a header line";
    if (line.find(": ") == std::string::npos) return "a header line without a name";
    if (line.starts_with("Location:")) ++locations;
    at = line_end + 2;
  }
  if (locations != (response.location.empty() ? 0u : 1u)) return "several Locations";
  if (response.location.find(' ') != std::string::npos) return "a blank in the Location";

  std::string body = response.body;
  if (!body.empty() && body.back() != '\n') return "an unfinished line";
  if (std::ranges::count(body, '\n') > 4) return "too many lines";
  std::erase(body, '\n');
  if (!is_printable(body)) return "octets in the body";
  if (body.size() > 4096) return "a long body";
  // The only angle brackets of our own are those of a hint's placeholders.
  if (body.find("<script>") != std::string::npos) return "markup";
  return "";
}

}  // namespace http01::protocol
