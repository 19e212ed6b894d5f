#include "dns/message.h"

// clang-format off
#include <stdbool.h>  // first, or ldns makes macros of bool, true and false
#include <ldns/ldns.h>
// clang-format on

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/ascii.h"
#include "dns/chain.h"

namespace http01::dns {
namespace {

using base::IpAddress;
using protocol::CaaRecord;
using protocol::Cause;
using protocol::Name;
using protocol::Question;
using protocol::RecordType;
using protocol::TxtRecord;

constexpr std::size_t kHeaderOctets = 12;
constexpr std::uint16_t kClassIn = 1;
constexpr std::uint16_t kTypeOpt = 41;

// A sane answer has a dozen.
constexpr std::size_t kMaxRecords = 128;
// The root, type, class, TTL and RDLENGTH.
constexpr std::size_t kMinRecordOctets = 11;
// Pointers may lead to pointers; servers that compress well nest them three or four deep.
constexpr int kMaxHops = 16;
// RFC 8659 4.1.
constexpr std::uint8_t kCaaCritical = 0x80;
constexpr std::size_t kCaaFixedOctets = 2;  // flags, and the size of the tag
constexpr std::uint8_t kResponse = 0x80, kOpcode = 0x78, kAuthoritative = 0x04, kTruncation = 0x02;
constexpr std::uint8_t kRecursionDesired = 0x01, kAuthenticData = 0x20, kCheckingDisabled = 0x10,
                       kRcode = 0x0f;

constexpr int kNoError = 0, kFormErr = 1, kNxDomain = 3, kNotImp = 4, kBadVers = 16;

std::uint16_t u16(Bytes message, std::size_t at) {
  return static_cast<std::uint16_t>(message[at] << 8 | message[at + 1]);
}

std::uint32_t u32(Bytes message, std::size_t at) {
  return std::uint32_t{u16(message, at)} << 16 | u16(message, at + 2);
}

// RFC 2181 8: the sign bit makes it nothing.
std::uint32_t ttl_of(std::uint32_t field) { return field >> 31 != 0 ? 0 : field; }

void append_u16(std::vector<std::uint8_t>& packet, std::size_t value) {
  packet.push_back(static_cast<std::uint8_t>(value >> 8));
  packet.push_back(static_cast<std::uint8_t>(value));
}

void append_question(std::vector<std::uint8_t>& packet, const Question& question) {
  packet.insert(packet.end(), question.name.labels().begin(), question.name.labels().end());
  packet.push_back(0);
  append_u16(packet, static_cast<std::uint16_t>(question.type));
  append_u16(packet, kClassIn);
}

// Where the name that begins at `at` ends. Pointers lead strictly backwards, past the start of what
// was read so far, so that no octet is read twice.
std::optional<std::size_t> name_end(Bytes message, std::size_t at) {
  std::size_t end = 0;
  std::size_t run = at;
  std::size_t octets = 1;
  for (int hops = 0; at < message.size();) {
    const std::size_t length = message[at];
    if (length == 0) return end != 0 ? end : at + 1;
    if (length >= 0xc0) {
      if (at + 2 > message.size() || ++hops > kMaxHops) return std::nullopt;
      const std::size_t target = u16(message, at) & 0x3fff;
      if (target < kHeaderOctets || target >= run) return std::nullopt;
      if (end == 0) end = at + 2;
      at = run = target;
      continue;
    }
    octets += 1 + length;
    if (length > Name::kMaxLabelOctets || octets > Name::kMaxWireOctets) return std::nullopt;
    at += 1 + length;
  }
  return std::nullopt;
}

// Where the parts of one record are.
struct Frame {
  std::size_t begin, rdata, end;
  std::uint16_t type, klass;
  std::uint32_t ttl;
  std::uint8_t extended_rcode;  // of an OPT record

  std::size_t rdata_size() const { return end - rdata; }
};

std::optional<Frame> read_frame(Bytes message, std::size_t at) {
  const auto owner_end = name_end(message, at);
  if (!owner_end || *owner_end + 10 > message.size()) return std::nullopt;
  const std::size_t fixed = *owner_end;
  Frame frame{at,
              fixed + 10,
              fixed + 10 + u16(message, fixed + 8),
              u16(message, fixed),
              u16(message, fixed + 2),
              ttl_of(u32(message, fixed + 4)),
              message[fixed + 4]};
  if (frame.end > message.size()) return std::nullopt;
  return frame;
}

// Wholly made of strings (RFC 1035 3.3.14).
bool has_strings(Bytes message, const Frame& frame) {
  std::size_t at = frame.rdata;
  while (at < frame.end) at += std::size_t{1} + message[at];
  return at == frame.end;
}

// Whether the RDATA is exactly as long as what stands in it. ldns would read on into the next
// record.
bool is_sound(Bytes message, const Frame& frame) {
  switch (static_cast<RecordType>(frame.type)) {
    case RecordType::kA:
      return frame.rdata_size() == 4;
    case RecordType::kAaaa:
      return frame.rdata_size() == 16;
    case RecordType::kNs:
    case RecordType::kCname:
      return name_end(message, frame.rdata) == frame.end;
    case RecordType::kSoa: {
      const auto primary = name_end(message, frame.rdata);
      const auto mailbox = primary ? name_end(message, *primary) : std::nullopt;
      return mailbox && *mailbox + 20 == frame.end;
    }
    case RecordType::kTxt:
      return has_strings(message, frame);
    case RecordType::kCaa:
      // The tag has an octet at least; the value is what is left.
      return frame.rdata_size() > kCaaFixedOctets && message[frame.rdata + 1] != 0 &&
             frame.rdata_size() - kCaaFixedOctets >= message[frame.rdata + 1];
  }
  return false;
}

struct FreeRr {
  void operator()(ldns_rr* rr) const { ldns_rr_free(rr); }
};
struct FreeRdf {
  void operator()(ldns_rdf* rdf) const { ldns_rdf_deep_free(rdf); }
};

std::optional<Name> name_of(const ldns_rdf* rdf) {
  if (rdf == nullptr) return std::nullopt;
  return Name::from_wire({ldns_rdf_data(rdf), ldns_rdf_size(rdf)});
}

// Of RDATA that is sound. Without ldns, which takes as much memory as the whole record has for each
// of its strings.
TxtRecord text_of(Bytes message, const Frame& frame) {
  // No strings are one empty string (RFC 6763 6.1).
  if (frame.rdata_size() == 0) return {};
  TxtRecord text{"", 0, message[frame.rdata]};
  text.text.reserve(frame.rdata_size());
  for (std::size_t at = frame.rdata; at < frame.end;) {
    const Bytes string = message.subspan(at + 1, message[at]);
    text.text.append(string.begin(), string.end());
    at += 1 + string.size();
    ++text.strings;
  }
  return text;
}

CaaRecord caa_of(const ldns_rr& rr) {
  const auto octets_of = [](const ldns_rdf& rdf, std::size_t from) {
    return std::string(reinterpret_cast<const char*>(ldns_rdf_data(&rdf)) + from,
                       ldns_rdf_size(&rdf) - from);
  };
  CaaRecord caa;
  caa.critical = (*ldns_rdf_data(ldns_rr_rdf(&rr, 0)) & kCaaCritical) != 0;
  caa.tag = base::lowered(octets_of(*ldns_rr_rdf(&rr, 1), 1));  // behind its length
  // ldns makes no part of a value that is empty.
  if (ldns_rr_rd_count(&rr) == 3) caa.value = octets_of(*ldns_rr_rdf(&rr, 2), 0);
  return caa;
}

std::optional<Name> owner_of(Bytes message, const Frame& frame) {
  ldns_rdf* parsed = nullptr;
  std::size_t at = frame.begin;
  if (ldns_wire2dname(&parsed, message.data(), frame.end, &at) != LDNS_STATUS_OK) {
    return std::nullopt;
  }
  const std::unique_ptr<ldns_rdf, FreeRdf> owner(parsed);
  return name_of(owner.get());
}

// For the types of RecordType only.
std::optional<Record> decode(Bytes message, const Frame& frame) {
  if (!is_sound(message, frame)) return std::nullopt;
  const auto owner = owner_of(message, frame);
  if (!owner) return std::nullopt;
  Record record{*owner, static_cast<RecordType>(frame.type), frame.ttl};
  if (record.type == RecordType::kTxt) {
    record.text = text_of(message, frame);
    return record;
  }

  ldns_rr* parsed = nullptr;
  std::size_t at = frame.begin;
  if (ldns_wire2rr(&parsed, message.data(), frame.end, &at, LDNS_SECTION_ANSWER) !=
      LDNS_STATUS_OK) {
    return std::nullopt;
  }
  const std::unique_ptr<ldns_rr, FreeRr> rr(parsed);
  const ldns_rdf* first = ldns_rr_rd_count(rr.get()) != 0 ? ldns_rr_rdf(rr.get(), 0) : nullptr;
  if (at != frame.end || first == nullptr) return std::nullopt;

  switch (record.type) {
    case RecordType::kA:
    case RecordType::kAaaa:
      record.address.v6 = record.type == RecordType::kAaaa;
      if (ldns_rdf_size(first) != (record.address.v6 ? 16U : 4U)) return std::nullopt;
      std::copy_n(ldns_rdf_data(first), ldns_rdf_size(first), record.address.octets.begin());
      return record;
    case RecordType::kCname: {
      const auto target = name_of(first);
      if (!target) return std::nullopt;
      record.target = *target;
      return record;
    }
    case RecordType::kSoa:
      if (ldns_rr_rd_count(rr.get()) != 7) return std::nullopt;
      record.minimum = ttl_of(ldns_rdf2native_int32(ldns_rr_rdf(rr.get(), 6)));
      return record;
    case RecordType::kTxt:
      break;  // read above
    case RecordType::kCaa:
      if (ldns_rr_rd_count(rr.get()) < 2) return std::nullopt;
      record.caa = caa_of(*rr);
      return record;
    case RecordType::kNs:
      return record;
  }
  return std::nullopt;
}

struct Sections {
  Body body;
  int extended_rcode = 0;  // RFC 6891 6.1.3, its upper eight bits
};

// Of the type asked for, or an alias for it.
bool is_wanted(const Frame& frame, RecordType wanted) {
  const auto type = static_cast<RecordType>(frame.type);
  return frame.klass == kClassIn && (type == wanted || type == RecordType::kCname);
}

// Whether there is a record that was asked for in what follows the last one.
bool has_wanted_behind(Bytes message, std::size_t at, RecordType wanted) {
  while (at < message.size()) {
    const auto frame = read_frame(message, at);
    if (!frame) return false;
    if (is_wanted(*frame, wanted)) return true;
    at = frame->end;
  }
  return false;
}

// Nothing for what cannot be read.
std::optional<Sections> read_sections(Bytes message, std::size_t at, RecordType wanted) {
  const std::size_t answers = u16(message, 6);
  const std::size_t authorities = answers + u16(message, 8);
  const std::size_t all = authorities + u16(message, 10);

  Sections sections;
  Body& body = sections.body;
  bool opt_seen = false;
  bool opt_misplaced = false;
  bool wanted_misplaced = false;
  for (std::size_t i = 0; i < all; ++i) {
    const auto frame = read_frame(message, at);
    if (!frame) return std::nullopt;
    at = frame->end;
    if (frame->type == kTypeOpt) {
      // RFC 6891 6.1.1: one, at the root.
      if (opt_seen || message[frame->begin] != 0) return std::nullopt;
      opt_seen = true;
      opt_misplaced = i < authorities;
      sections.extended_rcode = frame->extended_rcode;
      continue;
    }
    if (frame->klass != kClassIn) continue;
    const auto type = static_cast<RecordType>(frame->type);
    if (i < answers && is_wanted(*frame, wanted)) {
      auto record = decode(message, *frame);
      if (!record) return std::nullopt;
      body.answer.push_back(std::move(*record));
    } else if (i >= answers && i < authorities && type == RecordType::kSoa) {
      body.soa = decode(message, *frame);
      if (!body.soa) return std::nullopt;
    } else if (i >= answers && i < authorities && type == RecordType::kNs) {
      body.delegation = true;
    }
    wanted_misplaced |= i >= answers && is_wanted(*frame, wanted);
  }
  if (opt_misplaced && wanted_misplaced) return std::nullopt;
  if (has_wanted_behind(message, at, wanted)) return std::nullopt;
  return sections;
}

bool refuses(int rcode) { return rcode == kFormErr || rcode == kNotImp; }

// Never an answer: which question it would be to is not known.
ParsedReply without_question(Bytes message, int rcode, RecordType wanted) {
  if (u16(message, 6) != 0) return {};
  if (refuses(rcode)) return {Verdict::kNoEdns};
  // BADVERS is in the OPT record.
  const bool small = message.size() <= kMaxMessage && u16(message, 8) == 0 && u16(message, 10) == 1;
  const auto sections = small ? read_sections(message, kHeaderOctets, wanted) : std::nullopt;
  const bool version = sections && (sections->extended_rcode << 4 | rcode) == kBadVers;
  return {version ? Verdict::kNoEdns : Verdict::kFailure};
}

}  // namespace

std::vector<std::uint8_t> make_query(const Question& question, std::uint16_t id, bool edns,
                                     bool checking) {
  std::vector<std::uint8_t> packet;
  packet.reserve(kHeaderOctets + question.name.labels().size() + 16);
  append_u16(packet, id);
  packet.push_back(kRecursionDesired);
  packet.push_back(checking ? kAuthenticData : kCheckingDisabled);
  for (const std::size_t count : {1U, 0U, 0U, edns ? 1U : 0U}) append_u16(packet, count);
  append_question(packet, question);
  if (edns) {
    packet.push_back(0);  // the root
    append_u16(packet, kTypeOpt);
    append_u16(packet, kEdnsPayload);
    packet.insert(packet.end(), 6, 0);  // no extended rcode, version 0, no flags, no options
  }
  return packet;
}

ParsedReply parse_reply(Bytes message, const Question& question, std::uint16_t id) {
  if (message.size() < kHeaderOctets || u16(message, 0) != id) return {};
  if ((message[2] & (kResponse | kOpcode)) != kResponse) return {};
  const int rcode = message[3] & kRcode;
  // A server that could not read the query may have no question to send back; some leave it away
  // from every failure.
  if (u16(message, 4) == 0) return without_question(message, rcode, question.type);
  // RFC 5452 4.2. No octet of a length is a letter, so the whole name can be lowered.
  std::vector<std::uint8_t> expected;
  append_question(expected, question);
  const std::size_t body_at = kHeaderOctets + expected.size();
  if (u16(message, 4) != 1 || message.size() < body_at) return {};
  const auto echoed = message.subspan(kHeaderOctets, expected.size());
  const std::size_t name_size = expected.size() - 4;
  const auto lower = [](std::uint8_t octet) {
    return static_cast<std::uint8_t>(base::to_lower(static_cast<char>(octet)));
  };
  if (!std::ranges::equal(echoed.first(name_size), Bytes(expected).first(name_size), {}, lower) ||
      !std::ranges::equal(echoed.last(4), Bytes(expected).last(4))) {
    return {};
  }

  // What follows may be cut anywhere.
  if ((message[2] & kTruncation) != 0) return {Verdict::kTruncated};
  if (refuses(rcode)) return {Verdict::kNoEdns};
  if (rcode != kNoError && rcode != kNxDomain) return {Verdict::kFailure};

  if (message.size() > kMaxMessage) return {Verdict::kFailure, Cause::kTooManyBytes};
  const std::size_t records = std::size_t{u16(message, 6)} + u16(message, 8) + u16(message, 10);
  if (records > kMaxRecords) {
    // A count alone may be anything.
    const bool there = records <= (message.size() - body_at) / kMinRecordOctets;
    return there ? ParsedReply{Verdict::kFailure, Cause::kTooManyRecords}
                 : ParsedReply{Verdict::kUnreadable};
  }
  const auto sections = read_sections(message, body_at, question.type);
  if (!sections) return {Verdict::kUnreadable};
  const int full_rcode = sections->extended_rcode << 4 | rcode;
  if (full_rcode == kBadVers) return {Verdict::kNoEdns};
  if (full_rcode != rcode) return {Verdict::kFailure};

  const bool authoritative = (message[2] & kAuthoritative) != 0;
  auto answer = find_answer(sections->body, question, rcode != kNxDomain, authoritative);
  if (!answer) return {Verdict::kFailure};
  answer->authenticated = (message[3] & kAuthenticData) != 0;
  return {Verdict::kAnswer, Cause::kNone, std::move(*answer)};
}

}  // namespace http01::dns
