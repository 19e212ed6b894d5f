// A packet from the network. The question is the one that the packet repeats, so that what comes
// behind it is read.

#include <algorithm>

#include "dns/message.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

namespace http01::fuzz {
namespace {

using dns::ParsedReply;
using dns::Verdict;
using protocol::Answer;
using protocol::Outcome;
using protocol::Question;
using protocol::RecordType;

constexpr std::size_t kHeader = 12;

Question repeated_question(std::string_view packet) {
  Input input(packet.substr(std::min(kHeader, packet.size())));
  const protocol::Name name = input.name();
  const std::size_t wanted = input.number(2);
  for (const RecordType type : {RecordType::kA, RecordType::kNs, RecordType::kCname,
                                RecordType::kSoa, RecordType::kAaaa, RecordType::kCaa}) {
    if (static_cast<std::size_t>(type) == wanted) return {name, type};
  }
  return {name, RecordType::kTxt};
}

void require_sane(const Question& question, const Answer& answer, std::size_t packet_size) {
  require(answer.outcome == Outcome::kData || answer.outcome == Outcome::kNoData ||
              answer.outcome == Outcome::kNxDomain || answer.outcome == Outcome::kLoop,
          "an outcome that no packet says");
  require(answer.ttl_s <= 0x7fffffff, "a TTL above RFC 2181's");
  require(answer.texts.empty() || question.type == RecordType::kTxt, "texts not asked for");
  require(answer.addresses.empty() || question.type == RecordType::kA ||
              question.type == RecordType::kAaaa,
          "addresses not asked for");
  for (const auto& address : answer.addresses) {
    require(address.v6 == (question.type == RecordType::kAaaa), "addresses of the other kind");
  }
  std::size_t octets = 0;
  for (const auto& text : answer.texts) {
    octets += text.text.size();
    require(text.first_size <= 255 && text.strings >= 1, "the shape of a TXT record");
  }
  require(octets <= packet_size, "more text than came");
  require(answer.aliases.size() + answer.texts.size() + answer.addresses.size() <= 128,
          "more records than a message may have");
  for (const auto& alias : answer.aliases) {
    require(alias.labels().size() < protocol::Name::kMaxWireOctets, "a name that is too long");
  }
}

FUZZ_TARGET(dns_reply, packet) {
  const dns::Bytes octets(reinterpret_cast<const std::uint8_t*>(packet.data()), packet.size());
  const Question question = repeated_question(packet);
  const auto id = static_cast<std::uint16_t>(Input(packet).number(2));
  const ParsedReply reply = dns::parse_reply(octets, question, id);

  const auto other_id = static_cast<std::uint16_t>(id ^ 0x100);
  require(dns::parse_reply(octets, question, other_id).verdict == Verdict::kForeign,
          "a reply to another id");
  const Question other{question.name,
                       question.type == RecordType::kTxt ? RecordType::kCname : RecordType::kTxt};
  const Verdict of_other = dns::parse_reply(octets, other, id).verdict;
  // A failure may have no question.
  const bool no_question = packet.size() >= kHeader && packet[4] == 0 && packet[5] == 0;
  require(of_other == Verdict::kForeign ||
              (no_question && (of_other == Verdict::kFailure || of_other == Verdict::kNoEdns)),
          "a reply to another question");

  if (reply.verdict != Verdict::kAnswer) return;
  require(!no_question, "an answer to no question");
  require_sane(question, reply.answer, packet.size());
  std::string longer(packet);
  longer += '\0';
  const ParsedReply of_longer = dns::parse_reply(
      {reinterpret_cast<const std::uint8_t*>(longer.data()), longer.size()}, question, id);
  // It may have completed a record that is not counted.
  require(of_longer.verdict == Verdict::kUnreadable || of_longer.answer == reply.answer,
          "an octet behind the end changes the answer");
}

}  // namespace
}  // namespace http01::fuzz
