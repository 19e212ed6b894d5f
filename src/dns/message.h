// DNS messages (RFC 1035 4): a question as a packet, and what a packet says to that question. The
// only door to ldns, which is shown single records that were measured first, never a whole message:
// its own parser can be made to allocate gigabytes by one packet. Pure; any octets are safe; never
// throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "protocol/answer.h"

namespace http01::dns {

using Bytes = std::span<const std::uint8_t>;

// No answer the relay can use is larger; a larger one, over TCP, is a failure of its server.
inline constexpr std::size_t kMaxMessage = 8192;

// The size that passes every path unfragmented, as the DNS Flag Day 2020 settled it.
inline constexpr std::uint16_t kEdnsPayload = 1232;

// A standard query with RD, and with AD to be told of AD (RFC 6840 5.7); with EDNS0 (RFC 6891) or
// without. Not `checking`: with CD instead of AD, for what a validating resolver holds back (RFC
// 4035 3.2.2).
std::vector<std::uint8_t> make_query(const protocol::Question& question, std::uint16_t id,
                                     bool edns, bool checking = true);

enum class Verdict : std::uint8_t {
  kForeign,     // no reply to this question with this id: as if it had not come
  kTruncated,   // ask again over TCP
  kNoEdns,      // FORMERR, NOTIMP or BADVERS: ask again without EDNS, if it was asked with it
  kUnreadable,  // malformed: likewise
  kFailure,     // the server could not, or its answer is too large or contradicts itself
  kAnswer,
};

struct ParsedReply {
  Verdict verdict = Verdict::kForeign;
  protocol::Cause cause = protocol::Cause::kNone;  // of kFailure
  protocol::Answer answer{};  // of kAnswer; its outcome is kData, kNoData, kNxDomain or kLoop
};

// A message of more than kMaxMessage octets may be given as its first kMaxMessage + 1.
//
// What honest servers get wrong is forgiven, but nothing without a question section is an answer:
// it may be a failure. Octets after the last record and an OPT record in the wrong section mean
// nothing, unless a record that was asked for is where it should not be: then the counts are wrong.
ParsedReply parse_reply(Bytes message, const protocol::Question& question, std::uint16_t id);

}  // namespace http01::dns
