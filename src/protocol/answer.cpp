#include "protocol/answer.h"

namespace http01::protocol {

namespace {

// Every enumerator has its row: the codes end below 512.
template <std::size_t... kCode>
consteval bool has_all_types(std::index_sequence<kCode...>) {
  const auto is_in_table = [](RecordType type) {
    for (const RecordTypeInfo& row : kRecordTypes) {
      if (row.id == type) return true;
    }
    return false;
  };
  return ((!base::is_enumerator<static_cast<RecordType>(kCode)>() ||
           is_in_table(static_cast<RecordType>(kCode))) &&
          ...);
}
static_assert(has_all_types(std::make_index_sequence<512>()));

constexpr base::EnumWords<Outcome> kOutcomes{{{
    {Outcome::kData, "data"},
    {Outcome::kNoData, "nodata"},
    {Outcome::kNxDomain, "nxdomain"},
    {Outcome::kLoop, "loop"},
    {Outcome::kFailure, "failure"},
    {Outcome::kTimeout, "timeout"},
    {Outcome::kOverloaded, "overloaded"},
}}};

}  // namespace

std::string_view to_string(Outcome outcome) { return kOutcomes[outcome].word; }

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
