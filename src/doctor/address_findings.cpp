// Whether the addresses of the domain lead to this relay, and those of the gateway anywhere.
#include <algorithm>

#include "base/ascii.h"
#include "doctor/findings.h"
#include "doctor/reserved.h"
#include "protocol/explain.h"

namespace http01::doctor {
namespace {

using base::IpAddress;
using protocol::Answer;
using protocol::Name;
using protocol::Outcome;
using protocol::RecordType;
using Action = ZoneLine::Action;

std::string listed(const std::vector<IpAddress>& addresses) {
  return base::joined(addresses, ", ", &IpAddress::text);
}

std::string line_of(const Name& name, const IpAddress& address) {
  return protocol::zone_line(name.text(), address.v6 ? "AAAA" : "A", address.text());
}

// The name at which an address record stands: the end of the alias chain.
Name owner_of(const Evidence& evidence, const Name& name, RecordType type) {
  const Answer* const answer = evidence.answer(name, type);
  return answer == nullptr || answer->aliases.empty() ? name : answer->aliases.back();
}

bool is_none(const Answer* answer) {
  return answer != nullptr &&
         (answer->outcome == Outcome::kNoData || answer->outcome == Outcome::kNxDomain);
}

void judge_reserved(const Evidence& evidence, const Name& name, Findings& found) {
  for (const RecordType type : {RecordType::kA, RecordType::kAaaa}) {
    for (const IpAddress& address : evidence.addresses(name, type)) {
      const auto purpose = special_purpose(address);
      const bool told = std::ranges::any_of(found, [&](const Finding& finding) {
        return finding.id == FindingId::kReservedAddress &&
               finding.text.find(" " + address.text() + ",") != std::string::npos;
      });
      if (!purpose || told) continue;
      found.push_back({FindingId::kReservedAddress, Severity::kFault,
                       name.text() + " has the address " + address.text() + ", which is " +
                           std::string(*purpose) + ": no CA connects to it."});
      if (owner_of(evidence, name, type) == evidence.domain()) {
        found.back().lines.push_back({Action::kRemove, line_of(name, address)});
      }
    }
  }
}

// Those that are not to be shown.
void judge_withheld(const Evidence& evidence, const Name& name, Findings& found) {
  for (const RecordType type : {RecordType::kA, RecordType::kAaaa}) {
    const Observation* const observation = evidence.find(name, type);
    if (observation == nullptr) continue;
    for (const std::string_view purpose : observation->withheld) {
      std::string text = name.text() + " has an address, not shown here, which is " +
                         std::string(purpose) + ": no CA connects to it.";
      if (std::ranges::find(found, text, &Finding::text) != found.end()) continue;
      found.push_back({FindingId::kReservedAddress, Severity::kFault, std::move(text)});
    }
  }
}

void judge_place(const Evidence& evidence, RecordType type, Findings& found) {
  const Name& domain = evidence.domain();
  std::vector<IpAddress> elsewhere = evidence.addresses(domain, type);
  const std::size_t all = elsewhere.size();
  std::erase_if(elsewhere, [&](const IpAddress& address) {
    return std::ranges::find(evidence.relay.addresses, address) != evidence.relay.addresses.end();
  });
  if (elsewhere.empty()) return;
  const bool v6 = type == RecordType::kAaaa;
  Finding finding{v6 ? FindingId::kAddress6Elsewhere : FindingId::kAddressElsewhere,
                  evidence.relay.certain ? Severity::kFault : Severity::kWarning,
                  domain.text() + (elsewhere.size() == all ? " has " : " also has ") +
                      (v6 ? "the IPv6 address " : "the address ") + listed(elsewhere) +
                      ", which is not this relay's (" + listed(evidence.relay.addresses) + ")."};
  if (v6) finding.text += " A CA tries IPv6 first.";
  if (!evidence.relay.certain) {
    finding.text +=
        " What is compared are the addresses of this machine; where the relay has "
        "others, name them with --relay-address or in service.hosts.";
  }
  if (const Name owner = owner_of(evidence, domain, type); owner != domain) {
    // Somebody else's record.
    finding.text += " It is that of its alias " + owner.text() + ", whose owner can change it.";
  } else {
    for (const IpAddress& address : elsewhere) {
      finding.lines.push_back({Action::kRemove, line_of(owner, address)});
    }
    const auto ours = std::ranges::find(evidence.relay.addresses, v6, &IpAddress::v6);
    // Where the name is to be an alias it can have no address.
    if (elsewhere.size() == all && ours != evidence.relay.addresses.end() &&
        evidence.gateway_fault() != protocol::Reason::kGatewayMissing) {
      finding.lines.push_back({Action::kSet, line_of(owner, *ours)});
    }
  }
  found.push_back(std::move(finding));
}

}  // namespace

void judge_addresses(const Evidence& evidence, Findings& found) {
  const Name& domain = evidence.domain();
  if (is_none(evidence.answer(domain, RecordType::kA)) &&
      is_none(evidence.answer(domain, RecordType::kAaaa))) {
    const Name owner = owner_of(evidence, domain, RecordType::kA);
    found.push_back({FindingId::kNoAddress, Severity::kFault,
                     domain.text() +
                         (owner == domain ? std::string() : ", an alias of " + owner.text() + ",") +
                         " has no address, so a CA finds nobody to ask."});
  } else if (!evidence.addresses(domain, RecordType::kA).empty() ||
             !evidence.addresses(domain, RecordType::kAaaa).empty()) {
    if (evidence.relay.addresses.empty()) {
      found.push_back({FindingId::kRelayAddressUnknown, Severity::kNote,
                       "Whether the addresses of " + domain.text() +
                           " lead to this relay was not looked at: this machine has no public "
                           "address. Name the relay's with --relay-address or in service.hosts."});
    } else {
      judge_place(evidence, RecordType::kA, found);
      judge_place(evidence, RecordType::kAaaa, found);
    }
  }
  judge_reserved(evidence, domain, found);
  judge_withheld(evidence, domain, found);

  const auto host = gateway_host(evidence);
  if (!host || *host == domain) return;
  judge_reserved(evidence, *host, found);
  judge_withheld(evidence, *host, found);
  const auto v6 = evidence.addresses(*host, RecordType::kAaaa);
  if (!v6.empty() && !evidence.probe.done) {
    found.push_back({FindingId::kGatewayAddress6, Severity::kWarning,
                     host->text() + ", where the CA is sent, has the IPv6 address " + listed(v6) +
                         ". A CA uses that one, and no other if it is dead. --probe tries it."});
  }
}

}  // namespace http01::doctor
