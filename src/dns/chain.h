// What the records of a reply say to the question: along the CNAME chain to the data, or to there
// being none. Pure; never throws.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "protocol/answer.h"

namespace http01::dns {

struct Record {
  protocol::Name owner;
  protocol::RecordType type;
  std::uint32_t ttl;
  protocol::Name target{};     // CNAME
  protocol::TxtRecord text{};  // TXT
  base::IpAddress address{};   // A, AAAA
  std::uint32_t minimum = 0;   // SOA
  protocol::CaaRecord caa{};   // CAA
};

struct Body {
  std::vector<Record> answer;  // of the answer section: the type asked for, and CNAME
  std::optional<Record> soa;   // of the authority section
  bool delegation = false;     // the authority section has NS records
};

// Outcome, ttl_s, texts, aliases, addresses and caas of the answer; nothing where the server did
// not answer the question or contradicts itself. `exists` is false for NXDOMAIN.
std::optional<protocol::Answer> find_answer(const Body& body, const protocol::Question& question,
                                            bool exists, bool authoritative);

}  // namespace http01::dns
