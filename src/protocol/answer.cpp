#include "protocol/answer.h"

namespace http01::protocol {

const char* to_string(RecordType type) {
  switch (type) {
    case RecordType::kA:
      return "A";
    case RecordType::kNs:
      return "NS";
    case RecordType::kCname:
      return "CNAME";
    case RecordType::kSoa:
      return "SOA";
    case RecordType::kTxt:
      return "TXT";
    case RecordType::kAaaa:
      return "AAAA";
    case RecordType::kCaa:
      return "CAA";
  }
  return "?";
}

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kData:
      return "data";
    case Outcome::kNoData:
      return "nodata";
    case Outcome::kNxDomain:
      return "nxdomain";
    case Outcome::kLoop:
      return "loop";
    case Outcome::kFailure:
      return "failure";
    case Outcome::kTimeout:
      return "timeout";
    case Outcome::kOverloaded:
      return "overloaded";
  }
  return "?";
}

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
