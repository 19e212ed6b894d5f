#include "relay/admission.h"

#include <new>

#include "base/ip_address.h"
#include "base/public_suffix.h"

namespace http01 {
namespace {

constexpr std::size_t kSiteOctets = 6;  // a /48

std::string site_key(const std::string& client) {
  return client.size() > kSiteOctets ? client.substr(0, kSiteOctets) : std::string();
}

}  // namespace

std::string client_key(std::string_view client) {
  const auto address = base::IpAddress::parse(client);
  if (!address) return {};
  const base::IpAddress network = address->client_network();
  const std::size_t size = network.v6 ? 8 : 4;
  return {network.octets.begin(), network.octets.begin() + size};
}

std::size_t Admission::count_of(const Counts& counts, const std::string& key) {
  const auto found = counts.find(key);
  return found == counts.end() ? 0 : found->second;
}

void Admission::count(Counts& counts, const std::string& key) {
  if (!key.empty()) ++counts[key];
}

void Admission::uncount(Counts& counts, const std::string& key) {
  const auto found = counts.find(key);
  if (found != counts.end() && --found->second == 0) counts.erase(found);
}

std::variant<Admission::Admitted, protocol::Limit> Admission::admit(
    const Limits& limits, const protocol::Request& request) {
  using protocol::Limit;
  if (waiting_ >= limits.in_flight) return Limit::kInFlight;
  Admitted admitted{client_key(request.client), {}, {}};
  admitted.site = site_key(admitted.client);
  if (request.host.kind == protocol::HostKind::kDomain) {
    admitted.domain = base::registrable_domain(request.host.text);
  }
  if (count_of(per_client_, admitted.client) >= limits.in_flight_per_client ||
      count_of(per_site_, admitted.site) >= kClientsOfSite * limits.in_flight_per_client) {
    return Limit::kInFlightPerClient;
  }
  if (count_of(per_domain_, admitted.domain) >= limits.in_flight_per_domain) {
    return Limit::kInFlightPerDomain;
  }
  count(per_client_, admitted.client);
  try {
    count(per_site_, admitted.site);
  } catch (const std::bad_alloc&) {
    uncount(per_client_, admitted.client);
    throw;
  }
  try {
    count(per_domain_, admitted.domain);
  } catch (const std::bad_alloc&) {
    uncount(per_client_, admitted.client);
    uncount(per_site_, admitted.site);
    throw;
  }
  ++waiting_;
  return admitted;
}

void Admission::release(const Admitted& admitted) {
  --waiting_;
  uncount(per_client_, admitted.client);
  uncount(per_site_, admitted.site);
  uncount(per_domain_, admitted.domain);
}

}  // namespace http01
