// What the doctor says of a domain, whatever the DNS has said: the text for a terminal, JSON, and
// the page that strangers see, which has nothing of private networks and zones.

#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "base/ascii.h"
#include "base/escape.h"
#include "doctor/questions.h"
#include "doctor/report.h"
#include "doctor/reserved.h"
#include "pages/check_page.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/json.h"
#include "tests/fuzz/target.h"

namespace http01::fuzz {
namespace {

using namespace protocol;
using doctor::Evidence;
using doctor::Observation;
using doctor::Report;

// In everything that stands at a name of a private zone, and in nothing else.
constexpr std::string_view kSecret = "s3cr3t";
const std::string kSecretId = "5ec2e7005ec2e7005ec2e7005ec2e7005ec2e700";
const std::string kId = "00112233445566778899aabbccddeeff00112233";

constexpr std::array kServers{"192.168.3.53:53", "9.9.9.9:53", "[fd00::53]:53", "127.0.0.53:53"};

const Policy& policy(std::size_t which) {
  static const std::array<Policy, 3> kPolicies = [] {
    std::array<Policy, 3> made;
    for (Policy& policy : made) {
      policy.gateways.wildcard_parents = {*Name::from_text("phala.network")};
    }
    made[1].gateways.fallback = Name::from_text("gw.example.net");
    made[1].relay_hosts = {"relay.example.net", "relay.internal", "10.3.3.3"};
    made[1].require_dnssec = true;
    made[2].gateways.bases = {*Name::from_text("gw.example.net")};
    made[2].gateways.match_addresses = true;
    made[2].target = TargetTemplate::parse("https://{domain}").value();
    return made;
  }();
  return kPolicies.at(which);
}

bool is_private(const Name& name) {
  const std::string text = name.text();
  return std::ranges::any_of(std::array{".internal", ".corp", ".local", ".home.arpa"},
                             [&](const char* zone) { return text.ends_with(zone); });
}

bool is_secret(const Name& name) {
  const std::string text = name.text();
  return is_private(name) || text.find(kSecret) != std::string::npos ||
         text.find(kSecretId) != std::string::npos;
}

// The same for the same octets. Strangers know the name of a private zone that their own alias
// leads to; what is behind it they do not.
class Zone {
 public:
  explicit Zone(Input& input) : input_(input) {}

  Answer operator()(const Question& question) {
    Answer answer;
    answer.outcome = static_cast<Outcome>(input_.below(7));
    if (input_.yes()) answer.outcome = Outcome::kData;
    answer.ttl_s = static_cast<std::uint32_t>(input_.number(2));
    answer.authenticated = input_.yes();
    bool secret = is_secret(question.name);
    const bool one = question.type == RecordType::kCname;
    for (std::size_t count = input_.below(one ? 3 : 4); count > 0; --count) {
      answer.aliases.push_back(alias(secret));
      if (!one) secret |= is_private(answer.aliases.back());
    }
    if (answer.outcome != Outcome::kData) return answer;
    switch (question.type) {
      case RecordType::kTxt:
        texts(secret, answer);
        break;
      case RecordType::kA:
      case RecordType::kAaaa:
        addresses(question.type == RecordType::kAaaa, answer);
        break;
      case RecordType::kCaa:
        answer.caas.push_back({input_.yes(), base::lowered(input_.yes() ? "issue" : public_text()),
                               (secret ? std::string(kSecret) : public_text())});
        break;
      case RecordType::kCname:
        if (answer.aliases.empty()) answer.aliases.push_back(alias(secret));
        break;
      case RecordType::kNs:
      case RecordType::kSoa:
        break;
    }
    return answer;
  }

  // Any octets, but nothing that only a private zone has.
  std::string public_text() {
    std::string text(input_.text());
    const std::string lowered = base::lowered(text);
    const auto has = [&](std::string_view part) { return lowered.find(part) != std::string::npos; };
    return has(kSecret) || has(kSecretId) ? std::string() : text;
  }

 private:
  Name alias(bool secret) {
    static constexpr std::array kPublic{"_.dstack-prod5.phala.network",
                                        "cdn.example.org",
                                        "_.gw.example.net",
                                        "app.example.com",
                                        "db.internal",
                                        "nas.home.arpa"};
    static constexpr std::array kPrivate{"s3cr3t.internal", "a.s3cr3t.corp", "s3cr3t.example.org",
                                         "_.s3cr3t.phala.network", "s3cr3t.home.arpa"};
    const std::size_t which = input_.below(8);
    if (secret) return Name::from_text(kPrivate.at(which % kPrivate.size())).value();
    if (which < kPublic.size()) return Name::from_text(kPublic.at(which)).value();
    const Name odd = input_.name();
    return is_secret(odd) || odd.label_count() < 2 ? Name::from_text("x.example.org").value() : odd;
  }

  void texts(bool secret, Answer& answer) {
    for (std::size_t count = 1 + input_.below(3); count > 0; --count) {
      std::string text = (secret ? kSecretId : kId) + ":443";
      if (input_.yes()) text = secret ? std::string(kSecret) : public_text();
      const auto size = static_cast<std::uint16_t>(std::min<std::size_t>(text.size(), 255));
      answer.texts.push_back(
          {std::move(text), static_cast<std::uint16_t>(1 + input_.below(2)), size});
    }
  }

  void addresses(bool v6, Answer& answer) {
    for (std::size_t count = 1 + input_.below(3); count > 0; --count) {
      base::IpAddress address{v6, {}};
      const std::string_view octets = input_.take(v6 ? 16 : 4);
      std::ranges::copy(octets, address.octets.begin());
      answer.addresses.push_back(address);
    }
  }

  Input& input_;
};

Evidence evidence_of(const Policy& policy, const std::string& domain, Zone& zone, Input& input) {
  Evidence evidence;
  evidence.given = base::escaped(domain, 255);
  evidence.request = challenge_request(policy, domain);
  Answers known;
  const auto ask = [&](const Question& question, bool decides) {
    if (evidence.find(question.name, question.type) != nullptr) return;
    Answer answer = zone(question);
    known.put(question, answer);
    evidence.observations.push_back({question, std::move(answer)});
    Observation& made = evidence.observations.back();
    made.decides = decides;
    if (input.yes()) made.server = kServers.at(input.below(kServers.size()));
    made.took = std::chrono::milliseconds(input.number(2));
    made.held_back = made.answer.outcome == Outcome::kFailure && input.yes();
  };
  for (int round = 0; round < 40; ++round) {
    Step step = decide(policy, evidence.request, known);
    if (auto* const reply = std::get_if<Reply>(&step)) {
      evidence.reply = std::move(*reply);
      break;
    }
    for (const Question& question : std::get<Ask>(step).questions) ask(question, true);
  }
  if (info(evidence.reply.reason).unseen) return evidence;
  for (const Question& question : doctor::first_questions(policy, evidence.domain()))
    ask(question, false);
  for (int round = 0; round < 20; ++round) {
    evidence.chain = doctor::resolve_gateway(policy, evidence, known);
    const auto later = doctor::later_questions(evidence, known);
    for (const Question& question : later) ask(question, false);
    if (later.empty()) break;
  }
  for (std::size_t count = input.below(4); count > 0; --count) {
    evidence.opinions.push_back({kServers.at(count), {}});
    for (const Question& question : doctor::compared_questions(policy, evidence.domain())) {
      evidence.opinions.back().answers.put(question, zone(question));
    }
  }
  static constexpr std::array kRelay{"10.3.3.3", "45.10.20.30", "fd00:3::3"};
  for (std::size_t count = input.below(4); count > 0; --count) {
    evidence.relay.addresses.push_back(*base::IpAddress::parse(kRelay.at(count - 1)));
  }
  evidence.relay.certain = input.yes();
  return evidence;
}

bool is_printable(std::string_view text, bool lines) {
  return std::ranges::all_of(
      text, [lines](char c) { return (c >= ' ' && c <= '~') || (lines && c == '\n'); });
}

// Behind the head, which is fixed, the page has these tags and no others, and quotes in pairs.
void require_html(std::string_view page) {
  require(is_printable(page, true), "a control octet in the page");
  page.remove_prefix(std::min(page.find("<body>"), page.size()));
  static constexpr std::array kTags{"body",   "html",  "h1",  "h2",   "h3",    "p",
                                    "strong", "pre",   "div", "form", "label", "input",
                                    "button", "table", "tr",  "th",   "td",    "br"};
  while (!page.empty()) {
    const std::string_view text = base::split_off(page, '<');
    require(text.find('>') == std::string_view::npos && text.find('"') == std::string_view::npos,
            "markup in the text");
    if (page.empty()) break;
    std::string_view tag = base::split_off(page, '>');
    require(std::ranges::count(tag, '"') % 2 == 0, "an open quote");
    if (tag.starts_with('/')) tag.remove_prefix(1);
    const std::string_view name = tag.substr(0, tag.find_first_of(" \n"));
    require(std::ranges::find(kTags, name) != kTags.end(), "a tag from outside");
  }
}

// As a word: "0.0.0.1" is in "10.0.0.1" and not shown there.
bool shows(std::string_view text, std::string_view word) {
  static constexpr std::string_view kOfAddresses = "0123456789abcdefABCDEF.:";
  for (std::size_t at = text.find(word); at != std::string_view::npos;
       at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    const bool begins = at == 0 || kOfAddresses.find(text[at - 1]) == std::string_view::npos;
    if (begins && (end == text.size() || kOfAddresses.find(text[end]) == std::string_view::npos)) {
      return true;
    }
  }
  return false;
}

// All that is not an address of the evidence: what the domain and its zones say may look like one.
std::string texts_of(const Evidence& evidence) {
  std::string texts = evidence.given + " ";
  const auto add = [&](Answer answer) {
    answer.addresses.clear();
    texts += base::joined(doctor::records_of(answer)) + " ";
  };
  for (const Observation& of : evidence.observations) {
    texts += of.question.name.text() + " ";
    add(of.answer);
  }
  for (const auto& opinion : evidence.opinions) {
    for (const auto& entry : opinion.answers.entries()) add(entry.second);
  }
  return texts;
}

void require_no_private_address(const Evidence& evidence, const std::string& shown) {
  const std::string texts = texts_of(evidence);
  std::set<std::string> checked;
  const auto check = [&](const base::IpAddress& address) {
    const std::string text = address.text();
    // "::" and what is as short is in any text.
    if (!doctor::private_purpose(address) || text.size() < 6 || !checked.insert(text).second)
      return;
    if (shows(texts, text)) return;
    require(!shows(shown, text), "a private address");
  };
  for (const Observation& of : evidence.observations)
    std::ranges::for_each(of.answer.addresses, check);
  for (const auto& opinion : evidence.opinions) {
    for (const auto& entry : opinion.answers.entries()) {
      std::ranges::for_each(entry.second.addresses, check);
    }
  }
  std::ranges::for_each(evidence.relay.addresses, check);
  for (const char* server : kServers) {
    const auto endpoint = base::Endpoint::parse(server, 53);
    if (endpoint) check(endpoint->address);
  }
}

FUZZ_TARGET(report, octets) {
  Input input(octets);
  const Policy& chosen = policy(input.below(3));
  Zone zone(input);
  static constexpr std::array kDomains{"app.example.com", "example.co.uk", "db.internal",
                                       "host.local", "nas.home.arpa"};
  const std::size_t which = input.below(kDomains.size() + 1);
  const std::string domain = which < kDomains.size() ? kDomains.at(which) : zone.public_text();
  const Evidence evidence = evidence_of(chosen, domain, zone, input);

  const Report all = doctor::make_report(chosen, evidence);
  require(is_printable(to_text(all, false), true), "a control octet for the terminal");
  require(is_json_object(to_json(all)), "no JSON");
  require_html(check_page(&all, domain));

  const Report shown = doctor::make_public_report(chosen, evidence);
  const std::string json = to_json(shown);
  const std::string page = check_page(&shown, domain);
  require(is_printable(json, false) && is_json_object(json), "no JSON for strangers");
  require_html(page);
  require_no_private_address(evidence, json + page);
  for (const std::string& text : {json, page}) {
    require(text.find(kSecret) == std::string::npos && text.find(kSecretId) == std::string::npos,
            "what stands in a private zone");
  }
}

}  // namespace
}  // namespace http01::fuzz
