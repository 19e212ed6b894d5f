#include "relay/admission.h"

#include <new>

#include "base/ip_address.h"
#include "base/public_suffix.h"

namespace http01 {
namespace {

using Counts = std::unordered_map<std::string, std::size_t>;

std::size_t count_of(const Counts& counts, const std::string& key) {
  const auto found = counts.find(key);
  return found == counts.end() ? 0 : found->second;
}

void count(Counts& counts, const std::string& key) {
  if (!key.empty()) ++counts[key];
}

void uncount(Counts& counts, const std::string& key) {
  const auto found = counts.find(key);
  if (found != counts.end() && --found->second == 0) counts.erase(found);
}

}  // namespace

std::string client_key(std::string_view client) {
  const auto address = base::IpAddress::parse(client);
  if (!address) return {};
  const base::IpAddress network = address->client_network();
  return {network.octets.begin(), network.octets.end()};
}

std::optional<Admission::Admitted> Admission::admit(const Limits& limits,
                                                    const protocol::Request& request) {
  if (waiting_ >= limits.in_flight) return std::nullopt;
  Admitted admitted{client_key(request.client), {}};
  if (request.host.kind == protocol::HostKind::kDomain) {
    admitted.domain = base::registrable_domain(request.host.text);
  }
  if (count_of(per_client_, admitted.client) >= limits.in_flight_per_client) return std::nullopt;
  if (count_of(per_domain_, admitted.domain) >= limits.in_flight_per_domain) return std::nullopt;
  count(per_client_, admitted.client);
  try {
    count(per_domain_, admitted.domain);
  } catch (const std::bad_alloc&) {
    uncount(per_client_, admitted.client);
    throw;
  }
  ++waiting_;
  return admitted;
}

void Admission::release(const Admitted& admitted) {
  --waiting_;
  uncount(per_client_, admitted.client);
  uncount(per_domain_, admitted.domain);
}

}  // namespace http01
