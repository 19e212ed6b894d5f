#include "protocol/answer.h"

namespace http01::protocol {

namespace {

// Every enumerator has its row: the codes end below 512.
static_assert(base::count_between<RecordType, 0, 512>() == kRecordTypes.size());

constexpr base::EnumWords<Outcome> kOutcomes{{{
    {Outcome::kData, "data"},
    {Outcome::kNoData, "nodata"},
    {Outcome::kNxDomain, "nxdomain"},
    {Outcome::kLoop, "loop"},
    {Outcome::kFailure, "failure"},
    {Outcome::kTimeout, "timeout"},
    {Outcome::kOverloaded, "overloaded"},
}}};

// The limits are those of dns::parse_reply().
constexpr base::EnumWords<Cause> kCauses{{{
    {Cause::kNone, ""},
    {Cause::kConnectionRefused, "connection refused"},
    {Cause::kUnreachable, "network unreachable"},
    {Cause::kTooManyBytes, "more than 8192 bytes"},
    {Cause::kTooManyRecords, "more than 128 records"},
    {Cause::kNoMemory, "no memory"},
}}};

}  // namespace

std::string_view to_string(Outcome outcome) { return kOutcomes[outcome].word; }

std::string_view to_string(Cause cause) { return kCauses[cause].word; }

const Answer* Answers::find(const Name& name, RecordType type) const {
  for (const Entry& entry : entries_) {
    if (entry.first.type == type && entry.first.name == name) return &entry.second;
  }
  return nullptr;
}

void Answers::put(Question question, Answer answer) {
  if (entries_.capacity() == 0) entries_.reserve(2);  // the TXT and the CNAME of most requests
  if (!find(question)) entries_.emplace_back(std::move(question), std::move(answer));
}

}  // namespace http01::protocol
