#include "dns/chain.h"

#include <algorithm>
#include <limits>

namespace http01::dns {
namespace {

using protocol::Answer;
using protocol::Name;
using protocol::Outcome;
using protocol::Question;
using protocol::RecordType;

// Resolvers give up at about as many (unbound at 11, BIND at 16).
constexpr std::size_t kMaxChain = 8;

const Record* find_alias(const std::vector<Record>& records, const Name& owner) {
  const auto found = std::ranges::find_if(records, [&](const Record& record) {
    return record.type == RecordType::kCname && record.owner == owner;
  });
  return found == records.end() ? nullptr : &*found;
}

void take(const Record& record, Answer& answer) {
  switch (record.type) {
    case RecordType::kTxt:
      answer.texts.push_back(record.text);
      return;
    case RecordType::kCname:
      answer.aliases.push_back(record.target);
      return;
    case RecordType::kA:
    case RecordType::kAaaa:
      answer.addresses.push_back(record.address);
      return;
    case RecordType::kCaa:
      answer.caas.push_back(record.caa);
      return;
    case RecordType::kNs:
    case RecordType::kSoa:
      return;
  }
}

}  // namespace

std::optional<Answer> find_answer(const Body& body, const Question& question, bool exists,
                                  bool authoritative) {
  Answer answer;
  std::uint32_t ttl = std::numeric_limits<std::uint32_t>::max();
  Name last = question.name;

  // The order of the records means nothing, and those off the chain are not asked for. An alias
  // stands alone at its name (RFC 1034 3.6.2): data beside it is not looked at.
  if (question.type != RecordType::kCname) {
    while (const Record* alias = find_alias(body.answer, last)) {
      ttl = std::min(ttl, alias->ttl);
      if (alias->target == question.name || answer.aliases.size() == kMaxChain ||
          std::ranges::count(answer.aliases, alias->target) != 0) {
        answer.outcome = Outcome::kLoop;
        answer.ttl_s = ttl;
        return answer;
      }
      answer.aliases.push_back(alias->target);
      last = alias->target;
    }
  }

  bool found = false;
  for (const Record& record : body.answer) {
    if (record.type != question.type || record.owner != last) continue;
    found = true;
    ttl = std::min(ttl, record.ttl);
    take(record, answer);
  }
  if (found) {
    // "Does not exist" is said of the last name of the chain (RFC 6604 3): of an alias asked for as
    // such it may be said, of a name that has the data it is nonsense.
    if (!exists && question.type != RecordType::kCname) return std::nullopt;
    answer.outcome = Outcome::kData;
    answer.ttl_s = ttl;
    return answer;
  }

  // A server that only points to others does not know (RFC 2308 2.2).
  if (exists && answer.aliases.empty() && !body.soa && body.delegation && !authoritative) {
    return std::nullopt;
  }
  answer.outcome = exists ? Outcome::kNoData : Outcome::kNxDomain;
  // RFC 2308 5: without the SOA record of a zone the name can be in, it is not to be kept.
  if (body.soa && last.is_at_or_under(body.soa->owner)) {
    answer.ttl_s = std::min({ttl, body.soa->ttl, body.soa->minimum});
  }
  return answer;
}

}  // namespace http01::dns
