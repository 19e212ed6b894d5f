// What is asked of the DNS and what came back: the words that `decide` and the dns floor share.
// Plain values; no I/O, no clock.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/enum.h"
#include "base/ip_address.h"
#include "protocol/name.h"

namespace http01::protocol {

enum class RecordType : std::uint16_t {
  kA = 1,
  kNs = 2,
  kCname = 5,
  kSoa = 6,
  kTxt = 16,
  kAaaa = 28,
  kCaa = 257
};

struct RecordTypeInfo {
  RecordType id;
  std::string_view word;
};

// All of them: the type's number is its code on the wire, so it is no index.
inline constexpr std::array kRecordTypes{
    RecordTypeInfo{RecordType::kA, "A"},         RecordTypeInfo{RecordType::kNs, "NS"},
    RecordTypeInfo{RecordType::kCname, "CNAME"}, RecordTypeInfo{RecordType::kSoa, "SOA"},
    RecordTypeInfo{RecordType::kTxt, "TXT"},     RecordTypeInfo{RecordType::kAaaa, "AAAA"},
    RecordTypeInfo{RecordType::kCaa, "CAA"},
};

// Its place in kRecordTypes.
constexpr std::size_t index_of(RecordType type) {
  std::size_t i = 0;
  while (kRecordTypes[i].id != type) ++i;
  return i;
}

constexpr std::string_view to_string(RecordType type) { return kRecordTypes[index_of(type)].word; }

struct Question {
  Name name;
  RecordType type = RecordType::kTxt;

  bool operator==(const Question&) const = default;
};

struct TxtRecord {
  std::string text;              // its character-strings joined; any octets
  std::uint16_t strings = 1;     // how many there were
  std::uint16_t first_size = 0;  // octets of the first one, which is all that some readers look at

  bool operator==(const TxtRecord&) const = default;
};

// RFC 8659 4.1. Tag and value are whatever octets were sent, the tag in lower case.
struct CaaRecord {
  bool critical = false;
  std::string tag;
  std::string value;

  bool operator==(const CaaRecord&) const = default;
};

enum class Outcome : std::uint8_t {
  kData,        // records of the type asked for, at the name or at the end of its CNAME chain
  kNoData,      // the name exists (perhaps as an alias), the type does not (RFC 2308 2.2)
  kNxDomain,    // the name, or what its alias leads to, does not exist (RFC 2308 2.1)
  kLoop,        // the answer's CNAME chain comes back to itself or is too long
  kFailure,     // a server answered that it could not: SERVFAIL, REFUSED, nonsense
  kTimeout,     // no server answered in time
  kOverloaded,  // not asked: a limit of ours
};

std::string_view to_string(Outcome outcome);

// Why there is no answer, where that is known and can be mended.
enum class Cause : std::uint8_t {
  kNone,
  kConnectionRefused,  // of kTimeout: nothing listens where a name server should be
  kUnreachable,        // of kTimeout: there is no way to the name server
  kTooManyBytes,       // of kFailure: the answer is too large to be read
  kTooManyRecords,     // of kFailure: likewise
  kNoMemory,           // of kOverloaded
};

// "connection refused"; "" for kNone.
std::string_view to_string(Cause cause);

struct Answer {
  Outcome outcome = Outcome::kTimeout;
  bool authenticated = false;  // the AD bit (RFC 4035 3.2.3)
  std::uint32_t ttl_s = 0;     // the least of all records used; of the SOA for what does not exist
  std::vector<TxtRecord> texts;  // kTxt
  // kCname: the targets at the very name asked for (a sane zone has one). Other types: the aliases
  // that were followed to the data, in order.
  std::vector<Name> aliases;
  std::vector<base::IpAddress> addresses;  // kA, kAaaa
  std::vector<CaaRecord> caas{};           // kCaa
  Cause cause = Cause::kNone;

  bool operator==(const Answer&) const = default;
};

// The answers a request has so far. A handful: found by looking at each.
class Answers {
 public:
  using Entry = std::pair<Question, Answer>;

  // Until the next put(). nullptr: not known yet.
  const Answer* find(const Question& question) const { return find(question.name, question.type); }
  const Answer* find(const Name& name, RecordType type) const;
  // The first answer to a question stands.
  void put(Question question, Answer answer);
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

}  // namespace http01::protocol
