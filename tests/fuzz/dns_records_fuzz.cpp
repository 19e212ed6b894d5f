// Records in a packet that is otherwise sound: what TXT and CNAME say, read against what was put
// in, and which app address is chosen from it. The first octets choose, the others are RDATA.

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "dns/message.h"
#include "protocol/record.h"
#include "tests/dns/packets.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

namespace http01::fuzz {
namespace {

using namespace protocol;
using dns::testing::wire;

constexpr std::size_t kMostRecords = 12;

struct Made {
  dns::testing::Message message;
  std::vector<Name> targets;       // of CNAME records
  std::vector<std::string> texts;  // of TXT records whose strings fill the RDATA
  bool sound = true;               // all records can be read, and stand at the name asked for
};

// The strings joined; nothing where they do not fill the RDATA (RFC 1035 3.3.14). No octets are one
// empty string (RFC 6763 6.1).
std::optional<std::string> joined(std::string_view rdata) {
  std::string text;
  while (!rdata.empty()) {
    const auto size = static_cast<unsigned char>(rdata[0]);
    if (rdata.size() < std::size_t{size} + 1) return std::nullopt;
    text += rdata.substr(1, size);
    rdata.remove_prefix(std::size_t{size} + 1);
  }
  return text;
}

std::string owner(Input& input) {
  static const std::array kOwners{wire("app.example.com"),
                                  std::string("\xc0\x0c"),
                                  wire("b.example"),
                                  wire("APP.eXample.com"),
                                  wire("c.example"),
                                  std::string("\x01"
                                              "b\xc0\x10")};
  const std::size_t chosen = input.below(kOwners.size() + 1);
  return chosen < kOwners.size() ? kOwners[chosen] : std::string(input.text()) + '\0';
}

Made make(Input& input) {
  static constexpr std::array kTypes{RecordType::kTxt, RecordType::kCname, RecordType::kA,
                                     RecordType::kAaaa};
  Made made;
  made.message.question =
      dns::testing::question("app.example.com", kTypes[input.below(kTypes.size())]);
  if (input.below(8) == 7) made.message.flags = dns::testing::kNxDomain;
  for (std::size_t i = 0; i < kMostRecords && !input.empty(); ++i) {
    const std::string name = owner(input);
    const bool is_txt = input.yes();
    const std::string rdata =
        is_txt ? std::string(input.text()) + std::string(input.text()) : owner(input);
    const auto ttl = static_cast<std::uint32_t>(input.octet());
    made.message.answer.push_back(dns::testing::record(name, is_txt ? 16 : 5, ttl, rdata));
    const auto text = is_txt ? joined(rdata) : std::nullopt;
    if (text) made.texts.push_back(*text);
    made.sound &= text && (name == wire("app.example.com") || name == "\xc0\x0c");
  }
  return made;
}

// The rule again, in other words: hex digits, a colon, a number that may have "+" or zeros before
// it. "" where it is none.
std::string app_address_in(std::string text) {
  if (text.size() < 42 || text[40] != ':') return "";
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  if (text.substr(0, 40).find_first_not_of("0123456789abcdef") != std::string::npos) return "";
  std::string port = text.substr(text[41] == '+' ? 42 : 41);
  if (port.find_first_not_of("0123456789") != std::string::npos) return "";
  port.erase(0, std::min(port.find_first_not_of('0'), port.size()));
  if (port.empty() || port.size() > 5 || std::stoi(port) > 65535) return "";
  return text.substr(0, 41) + port;
}

std::string app_address_in(const TxtRecord& record) {
  const std::string joined = app_address_in(record.text);
  return joined.empty() ? app_address_in(record.text.substr(0, record.first_size)) : joined;
}

bool is_versioned(const std::string& text) {
  return text.size() >= 2 && (text[0] == 'v' || text[0] == 'V') && text[1] == '=';
}

void require_right_choice(const Answer& answer) {
  static const base::Pattern kId = base::Pattern::compile("[0-9a-f]{40}").value();
  const auto chosen = select_app_address(kId, answer.texts, PortUse::kInTarget);
  std::vector<std::string> valid;
  bool others = false;
  for (const TxtRecord& record : answer.texts) {
    const std::string text = app_address_in(record);
    if (!text.empty()) {
      if (std::ranges::find(valid, text) == valid.end()) valid.push_back(text);
    } else if (!is_versioned(record.text)) {
      others = true;
    }
  }
  if (const auto* const app = std::get_if<AppAddress>(&chosen)) {
    require(valid.size() == 1 && valid[0] == app->id + ":" + app->port, "another app is chosen");
    return;
  }
  switch (std::get<RecordFault>(chosen)) {
    case RecordFault::kAmbiguous:
      return require(valid.size() > 1, "ambiguous without cause");
    case RecordFault::kMalformed:
      return require(valid.empty() && others, "malformed without cause");
    case RecordFault::kAbsent:
      return require(valid.empty() && !others, "absent without cause");
  }
}

FUZZ_TARGET(dns_records, octets) {
  Input input(octets);
  const Made made = make(input);
  const std::vector<std::uint8_t> packet = made.message.octets();
  const dns::ParsedReply reply = dns::parse_reply(packet, made.message.question, made.message.id);
  require(reply.verdict == dns::Verdict::kAnswer || reply.verdict == dns::Verdict::kFailure ||
              reply.verdict == dns::Verdict::kUnreadable,
          "a verdict that such a packet cannot have");
  const bool asked_txt = made.message.question.type == RecordType::kTxt;
  if (made.sound && asked_txt && made.message.flags != dns::testing::kNxDomain &&
      !made.texts.empty()) {
    require(reply.verdict == dns::Verdict::kAnswer, "sound records are refused");
    require(reply.answer.texts.size() == made.texts.size(), "records are lost");
  }
  for (const TxtRecord& text : reply.answer.texts) {
    require(std::ranges::find(made.texts, text.text) != made.texts.end(),
            "a text that no record has");
  }
  require_right_choice(reply.answer);
}

}  // namespace
}  // namespace http01::fuzz
