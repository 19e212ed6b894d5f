#include "pages/index_form.h"

#include <string>

#include "pages/form.h"
#include "protocol/gateway.h"

namespace http01 {
namespace {

using protocol::Name;
using protocol::Policy;

constexpr std::string_view kDefaultPort = ":443";

// A Host that is a domain, by the rules that its challenges are held to.
std::optional<Name> read_domain(const Policy& policy, std::string_view text) {
  if (text.find(':') != std::string_view::npos) return std::nullopt;
  protocol::Host host = protocol::read_host(policy, text);
  if (host.kind != protocol::HostKind::kDomain) return std::nullopt;
  return std::move(host.name);
}

std::optional<protocol::AppAddress> read_app(const Policy& policy, std::string text) {
  if (text.find(':') == std::string::npos) text += kDefaultPort;
  auto address = protocol::read_app_address(policy.app_id, text);
  if (!address) return std::nullopt;
  return std::move(*address);
}

// The name itself where it is an alias or an entry, "_.{base}" where it is a base.
std::optional<Name> read_entry(const Policy& policy, std::string_view text) {
  const auto name = Name::from_text(text);
  if (!name) return std::nullopt;
  const auto base = protocol::base_named_by(policy.gateways, *name);
  if (!base) return std::nullopt;
  return base == name ? protocol::entry_name(*base) : name;
}

}  // namespace

IndexForm read_index_form(const Policy& policy, const protocol::Request& request) {
  IndexForm form;
  const std::string_view query = request.query();
  if (const auto text = form_field(query, IndexForm::kDomainField)) {
    form.domain = read_domain(policy, *text);
    if (!form.domain) {
      form.faults.emplace_back(
          "The domain is not a name this relay can serve: write it like app.example.com, with "
          "letters, digits and hyphens only, other scripts in their xn-- form, no http:// and no "
          "port.");
    } else if (protocol::is_gateway_name(policy.gateways, *form.domain)) {
      form.domain.reset();
      form.faults.emplace_back(
          "The domain belongs to a gateway: only a domain of your own can be used.");
    }
  } else if (request.host.kind == protocol::HostKind::kDomain &&
             !protocol::is_gateway_name(policy.gateways, request.host.name)) {
    form.domain = request.host.name;
  }
  if (auto text = form_field(query, IndexForm::kAppField)) {
    form.app = read_app(policy, std::move(*text));
    if (!form.app) {
      form.faults.emplace_back(
          "The app id is not one: it is the part of the app's address before the first dot, "
          "and may be followed by a colon and a port from 1 to 65535.");
    }
  }
  if (const auto text = form_field(query, IndexForm::kGatewayField)) {
    form.entry = read_entry(policy, *text);
    if (!form.entry) form.faults.emplace_back("The gateway is none that this relay redirects to.");
  }
  return form;
}

}  // namespace http01
