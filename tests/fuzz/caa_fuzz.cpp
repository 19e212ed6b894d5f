// CAA records of a domain and of the names above it: as they come in a packet (RFC 8659 4.1), and
// what they let a CA do (RFC 8659 3 and 4, RFC 8657).

#include <algorithm>

#include "base/ascii.h"
#include "dns/message.h"
#include "doctor/caa.h"
#include "tests/dns/packets.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

namespace http01::fuzz {
namespace {

using doctor::CaaVerdict;
using doctor::Evidence;
using protocol::Answer;
using protocol::CaaRecord;
using protocol::Name;
using protocol::Outcome;
using protocol::Question;
using protocol::RecordType;

constexpr const char* kCa = "letsencrypt.org";
using Records = std::vector<CaaRecord>;

// What RFC 8659 4.1 says of the data; nothing where it says that it is none.
std::optional<CaaRecord> read_by_the_rfc(const std::string& data) {
  if (data.size() < 3) return std::nullopt;
  const auto size = static_cast<unsigned char>(data[1]);
  if (size == 0 || data.size() < 2U + size) return std::nullopt;
  return CaaRecord{(data[0] & 0x80) != 0, base::lowered(data.substr(2, size)),
                   data.substr(2U + size)};
}

Records through_a_packet(const Question& question, Input& input) {
  std::vector<std::string> data;
  Records expected;
  bool sound = true;
  for (std::size_t count = input.below(4); count > 0; --count) {
    const std::size_t form = input.octet();
    std::string one(1, static_cast<char>(input.yes() ? 0x80 : 0));
    if (form < 8) {
      one = input.text();  // as it comes
    } else {
      static constexpr const char* kTags[] = {"issue", "ISSUE", "issuewild", "iodef", "tbs"};
      const std::string tag(form < 16 ? input.text() : kTags[form % 5]);
      const std::string ca(form % 3 == 0 ? "" : kCa);
      one += static_cast<char>(tag.size());
      one += tag + ca + std::string(input.text());
    }
    const auto record = read_by_the_rfc(one);
    if (record) {
      expected.push_back(*record);
    } else {
      sound = false;
    }
    data.push_back(std::move(one));
  }
  dns::testing::Message message{question};
  for (const std::string& one : data) {
    message.answer.push_back(dns::testing::record(
        question.name.labels() + '\0', static_cast<std::size_t>(question.type), 60, one));
  }
  const dns::ParsedReply reply = dns::parse_reply(message.octets(), question, message.id);
  require((reply.verdict == dns::Verdict::kAnswer) == sound, "data of another form");
  if (!sound || data.empty()) return {};
  require(reply.answer.outcome == Outcome::kData && reply.answer.caas == expected,
          "the records are others");
  return expected;
}

struct World {
  Evidence evidence;

  explicit World(const Name& domain) { evidence.request.host.name = domain; }
  void put(const Name& name, Outcome outcome, Records records) {
    Answer answer;
    answer.outcome = outcome;
    answer.caas = std::move(records);
    evidence.observations.push_back({{name, RecordType::kCaa}, std::move(answer)});
  }
  CaaVerdict verdict() const { return evaluate_caa(evidence).verdict; }
};

CaaVerdict verdict_of(const Records& records) {
  World world(Name::from_text("example.com").value());
  world.put(world.evidence.domain(), Outcome::kData, records);
  return world.verdict();
}

Records with(Records records, const char* tag, const char* value, bool critical = false) {
  records.push_back({critical, tag, value});
  return records;
}

bool may_issue(CaaVerdict verdict) {
  return verdict == CaaVerdict::kOpen || verdict == CaaVerdict::kAllowed ||
         verdict == CaaVerdict::kAccount;
}

void require_rules(const Records& records) {
  const CaaVerdict verdict = verdict_of(records);
  const auto has = [&](auto holds) { return std::ranges::any_of(records, holds); };
  const bool restricted = has([](const CaaRecord& of) { return of.tag == "issue"; });
  const bool named = has([](const CaaRecord& of) {
    return of.tag == "issue" && base::lowered(of.value).find(kCa) != std::string::npos;
  });
  require(restricted || verdict == CaaVerdict::kOpen || verdict == CaaVerdict::kCritical,
          "a restriction that nobody set");
  require(!restricted || verdict != CaaVerdict::kOpen, "a restriction that counts for nothing");
  require(!restricted || named || !may_issue(verdict), "a CA that is not named may issue");

  Records turned = records;
  std::ranges::reverse(turned);
  require(verdict_of(turned) == verdict, "the order counts");
  require(verdict_of(with(records, "iodef", "mailto:a@example.com", true)) == verdict,
          "a property that restricts nothing counts");
  require(verdict_of(with(records, "issuewild", ";")) == verdict, "issuewild counts");
  require(verdict_of(with(records, "tbs", "x", true)) == CaaVerdict::kCritical,
          "a critical property that is not known is passed over");
  if (verdict == CaaVerdict::kCritical) return;
  require(verdict_of(with(records, "issue", kCa)) == CaaVerdict::kAllowed,
          "one that allows is not enough");
  const CaaVerdict other = verdict_of(with(records, "issue", "ca.example"));
  require(other == (verdict == CaaVerdict::kOpen ? CaaVerdict::kForbidden : verdict),
          "one for another CA counts");
}

FUZZ_TARGET(caa, octets) {
  Input input(octets);
  const Name domain = Name::from_text("a.b.example.com").value();
  const std::vector<Question> questions = doctor::caa_questions(domain);
  require(questions.size() == 4, "a name too many, or too few");
  World world(domain);
  std::optional<CaaVerdict> expected;  // of the nearest name that has any
  for (const Question& question : questions) {
    static constexpr Outcome kOutcomes[] = {
        Outcome::kData,    Outcome::kData,    Outcome::kNoData, Outcome::kNxDomain,
        Outcome::kFailure, Outcome::kTimeout, Outcome::kLoop,   Outcome::kOverloaded};
    Outcome outcome = kOutcomes[input.below(8)];
    Records records;
    if (outcome == Outcome::kData) records = through_a_packet(question, input);
    if (records.empty() && outcome == Outcome::kData) outcome = Outcome::kNoData;
    if (!records.empty()) require_rules(records);
    if (!expected && outcome == Outcome::kData) expected = verdict_of(records);
    if (!expected && (outcome == Outcome::kFailure || outcome == Outcome::kTimeout ||
                      outcome == Outcome::kLoop)) {
      expected = CaaVerdict::kFailure;
    }
    world.put(question.name, outcome, std::move(records));
  }
  require(world.verdict() == expected.value_or(CaaVerdict::kOpen), "another name's records count");
}

}  // namespace
}  // namespace http01::fuzz
