#include "protocol/lookup.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/ascii.h"
#include "base/escape.h"
#include "base/public_suffix.h"
#include "protocol/gateway.h"
#include "protocol/public_name.h"

namespace http01::protocol {
namespace {

// Hops of a CNAME chain that are looked at. Delegations use two or three.
constexpr std::size_t kMaxHops = 8;
// Of a record's text, as much as shows what is wrong with it.
constexpr std::size_t kShownOctets = 100;

std::string asked(const Name& name, RecordType type) {
  return std::string(to_string(type)) + " " + name.text();
}

Missing only(Name name, RecordType type) {
  Missing missing;
  missing.questions.push_back({std::move(name), type});
  return missing;
}

// Nothing if the answer can be used, else why not.
std::optional<Refusal> failure_of(const Policy& policy, const Name& name, RecordType type,
                                  const Answer& answer) {
  switch (answer.outcome) {
    case Outcome::kTimeout:
      return Refusal{Reason::kDnsTimeout,
                     answer.cause == Cause::kNone
                         ? "No answer came in time for " + asked(name, type) + "."
                         : "The resolver could not be reached (" +
                               std::string(to_string(answer.cause)) + "). The question was " +
                               asked(name, type) + ".",
                     answer.cause};
    case Outcome::kOverloaded:
      return Refusal{Reason::kOverloaded, "Too many look-ups are under way."};
    case Outcome::kFailure:
      return Refusal{Reason::kDnsFailure,
                     answer.cause == Cause::kNone
                         ? "The DNS answered with a failure for " + asked(name, type) + "."
                         : "The answer for " + asked(name, type) + " cannot be used: it has " +
                               std::string(to_string(answer.cause)) + ".",
                     answer.cause};
    case Outcome::kData:
    case Outcome::kNoData:
    case Outcome::kNxDomain:
    case Outcome::kLoop:
      break;
  }
  if (policy.require_dnssec && !answer.authenticated) {
    return Refusal{Reason::kDnsFailure,
                   "The answer for " + asked(name, type) + " is not authenticated by DNSSEC."};
  }
  if (answer.outcome == Outcome::kLoop) {
    return Refusal{Reason::kCnameLoop,
                   "The CNAME chain of " + name.text() + " comes back to itself or is too long."};
  }
  return std::nullopt;
}

std::string shown(const Name& name) {
  std::string text = name.text();
  if (text.size() > kShownOctets) text.replace(kShownOctets, std::string::npos, "...");
  return text;
}

// What an alias of a public domain leads to under no public suffix is not its owner's to read.
bool is_hidden(const Name& domain, const Name& name) {
  return is_public(domain) && !is_public(name);
}

std::string shown_texts(const Name& domain, const Answer& answer) {
  const auto hidden = [&](const Name& alias) { return is_hidden(domain, alias); };
  if (std::ranges::any_of(answer.aliases, hidden)) {
    return "(not shown: it is at a name under no public suffix)";
  }
  std::string list;
  for (const TxtRecord& record : answer.texts) {
    if (!list.empty()) list += ", ";
    list += '"' + base::escaped(record.text, kShownOctets, true) + '"';
    if (list.size() > 3 * kShownOctets) break;
  }
  return list;
}

// The first hop is in the owner's own record; what a hidden name has for one is not.
std::string shown_hops(const Name& domain, const std::vector<Name>& hops) {
  std::string list;
  for (const Name& hop : hops) {
    list += (list.empty() ? "" : ", then ") + shown(hop);
    if (is_hidden(domain, hop)) break;
  }
  return list;
}

std::optional<Name> exact_name(const Policy& policy, const Name& domain) {
  return app_address_name(policy, domain);
}

// "{dns.prefix}-wildcard.{parent}", as dstack's gateway and dstack-ingress put it together, which
// know the prefix as text: of one with dots the last label gets longer.
std::optional<Name> wildcard_name(const Policy& policy, const Name& domain) {
  const Name parent = domain.parent();
  // Directly below a public suffix the record's name is anybody's to register, and it would speak
  // for all others there.
  if (!policy.wildcard || parent.label_count() < 2 || base::is_public_suffix(parent.text())) {
    return std::nullopt;
  }
  const auto prefix = Name::from_text(policy.record_prefix.text() + "-wildcard");
  return prefix ? join(*prefix, parent) : std::nullopt;
}

std::optional<Name> legacy_name(const Policy& policy, const Name& domain) {
  static const Name kLegacyPrefix = Name::from_text("_tapp-address").value();
  return policy.legacy_prefix ? join(kLegacyPrefix, domain) : std::nullopt;
}

// The names to try, in this order; mostly the first is enough.
constexpr std::array kAppAddressNames{&exact_name, &legacy_name, &wildcard_name};

struct Chain {
  std::vector<Name> hops;  // without the domain itself, and without the one that named the base
  std::optional<Name> base;
};

Found<Chain> follow_chain(const Policy& policy, const Name& domain, const Answers& known) {
  Chain chain;
  const Name* at = &domain;
  while (chain.hops.size() < kMaxHops) {
    const Answer* const answer = known.find(*at, RecordType::kCname);
    if (!answer) return only(*at, RecordType::kCname);
    const bool hidden = chain.hops.size() > 1 && is_hidden(domain, *at);
    const std::string told = hidden ? "A name of the CNAME chain" : at->text();
    if (auto failure = failure_of(policy, *at, RecordType::kCname, *answer)) {
      if (hidden) failure->found = "The CNAME chain of " + domain.text() + " cannot be followed.";
      return *failure;
    }
    if (answer->aliases.empty()) break;
    const Name& target = answer->aliases.front();
    if (std::ranges::any_of(answer->aliases, [&](const Name& other) { return other != target; })) {
      // RFC 2181 10.1: a name has one CNAME. Which of several an answer lists first is chance.
      return Refusal{Reason::kGatewayRefused, told + " has several CNAME records."};
    }
    if (target == domain || std::ranges::find(chain.hops, target) != chain.hops.end()) {
      return Refusal{Reason::kCnameLoop,
                     "The CNAME chain of " + domain.text() + " comes back to " +
                         (is_hidden(domain, target) ? "a name of its own" : target.text()) + "."};
    }
    chain.base = base_named_by(policy.gateways, target);
    if (chain.base) break;
    chain.hops.push_back(target);
    at = &target;
  }
  return chain;
}

// The base that has an address in common with the domain.
Found<std::optional<Name>> match_addresses(const Policy& policy, const Name& domain,
                                           const Answers& known) {
  Missing missing;
  std::optional<Refusal> failure;
  // A failure is kept until all answers are there: a match is a match, whatever else has failed.
  const auto addresses_of = [&](const Name& name) {
    std::vector<base::IpAddress> addresses;
    for (const RecordType type : {RecordType::kA, RecordType::kAaaa}) {
      const Answer* const answer = known.find(name, type);
      if (!answer) {
        missing.questions.push_back({name, type});
        continue;
      }
      if (auto refused = failure_of(policy, name, type, *answer)) {
        // The CNAME chain itself has been looked at already. One that is too long for an address
        // has no address, and may still have the fallback.
        if (refused->reason == Reason::kCnameLoop) continue;
        if (!failure) failure = std::move(refused);
        continue;
      }
      addresses.insert(addresses.end(), answer->addresses.begin(), answer->addresses.end());
    }
    return addresses;
  };

  const std::vector<base::IpAddress> own = addresses_of(domain);
  std::optional<Name> match;
  for (const Name& base : named_bases(policy.gateways)) {
    const auto entry = entry_name(base);
    if (!entry) continue;
    const std::vector<base::IpAddress> theirs = addresses_of(*entry);
    const bool common = std::ranges::any_of(own, [&](const base::IpAddress& address) {
      return std::ranges::find(theirs, address) != theirs.end();
    });
    if (common && !match) match = base;
  }
  if (!missing.questions.empty()) return missing;
  if (match) return match;
  if (failure) return *failure;
  return match;
}

}  // namespace

Name app_address_name(const Policy& policy, const Name& domain) {
  return join(policy.record_prefix, domain).value_or(domain);
}

std::vector<Name> app_address_names(const Policy& policy, const Name& domain) {
  std::vector<Name> names;
  for (const auto& name_of : kAppAddressNames) {
    if (auto name = name_of(policy, domain)) names.push_back(std::move(*name));
  }
  return names;
}

Found<AppAddress> find_app_address(const Policy& policy, const Name& domain, const Answers& known,
                                   PortUse port) {
  std::string tried;
  for (const auto& name_of : kAppAddressNames) {
    auto named = name_of(policy, domain);
    if (!named) continue;
    const Name& name = *named;
    const Answer* const answer = known.find(name, RecordType::kTxt);
    if (!answer) return only(std::move(*named), RecordType::kTxt);
    if (auto failure = failure_of(policy, name, RecordType::kTxt, *answer)) return *failure;
    auto selected = select_app_address(policy.app_id, answer->texts, port);
    if (auto* const address = std::get_if<AppAddress>(&selected)) return std::move(*address);
    switch (std::get<RecordFault>(selected)) {
      case RecordFault::kAbsent:
        break;
      case RecordFault::kMalformed:
        return Refusal{Reason::kTxtMalformed, "TXT " + name.text() + " is " +
                                                  shown_texts(domain, *answer) +
                                                  ", which is no app address."};
      case RecordFault::kAmbiguous:
        return Refusal{Reason::kTxtAmbiguous,
                       "TXT " + name.text() +
                           " has different app addresses: " + shown_texts(domain, *answer) + "."};
    }
    tried += (tried.empty() ? "" : ", nor at ") + name.text();
  }
  return Refusal{Reason::kTxtMissing, "There is no app address at TXT " + tried + "."};
}

Found<Name> find_gateway(const Policy& policy, const Name& domain, const Answers& known) {
  auto followed = follow_chain(policy, domain, known);
  if (auto* const missing = std::get_if<Missing>(&followed)) return std::move(*missing);
  if (auto* const refusal = std::get_if<Refusal>(&followed)) return std::move(*refusal);
  Chain& chain = std::get<Chain>(followed);
  if (chain.base) return std::move(*chain.base);

  if (policy.gateways.match_addresses) {
    auto matched = match_addresses(policy, domain, known);
    if (auto* const missing = std::get_if<Missing>(&matched)) return std::move(*missing);
    if (auto* const refusal = std::get_if<Refusal>(&matched)) return std::move(*refusal);
    if (const auto& base = std::get<std::optional<Name>>(matched)) return *base;
  }
  if (policy.gateways.fallback) return *policy.gateways.fallback;
  if (chain.hops.empty()) {
    return Refusal{Reason::kGatewayMissing, domain.text() + " has no CNAME record."};
  }
  return Refusal{Reason::kGatewayRefused, "The CNAME of " + domain.text() + " leads to " +
                                              shown_hops(domain, chain.hops) +
                                              ": no gateway of this relay."};
}

}  // namespace http01::protocol
