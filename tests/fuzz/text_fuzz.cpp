// Small readers and writers of text, each given the same octets: escaping for the log and the
// answers, names, addresses, the target template, resolv.conf.

#include <algorithm>
#include <string>

#include "base/escape.h"
#include "base/ip_address.h"
#include "base/ip_network.h"
#include "dns/resolv_conf.h"
#include "protocol/name.h"
#include "protocol/target.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

namespace http01::fuzz {
namespace {

using protocol::Name;

constexpr std::string_view kId = "00112233445566778899aabbccddeeff00112233";

// \DDD back to its octet; nothing where a backslash begins anything else.
std::string unescaped(std::string_view text) {
  std::string octets;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      octets += text[i];
      continue;
    }
    const std::string digits(text.substr(i + 1, 3));
    require(digits.size() == 3 && digits.find_first_not_of("0123456789") == std::string::npos &&
                std::stoi(digits) < 256,
            "a backslash without an octet");
    octets += static_cast<char>(std::stoi(digits));
    i += 3;
  }
  return octets;
}

void escape(std::string_view octets) {
  for (const bool spaces : {false, true}) {
    const std::string shown = base::escaped(octets, octets.size(), spaces);
    require(unescaped(shown) == octets, "escaping loses octets");
    require(std::ranges::all_of(shown,
                                [&](char c) {
                                  return (c > ' ' && c <= '~' &&
                                          std::string_view("\"'<>&`|^").find(c) ==
                                              std::string_view::npos) ||
                                         (spaces && c == ' ');
                                }),
            "what opens a quote, markup or a line is let through");
    const std::string cut = base::escaped(octets, octets.size() / 2, spaces);
    require(octets.size() < 2 || cut.ends_with("..."), "cut without a sign of it");
    require(cut.size() <= 2 * octets.size() + 3, "longer than the cut allows");
  }
}

void name(std::string_view octets) {
  Input input(octets);
  const Name read = input.name();
  std::string wire = read.labels() + '\0';
  require(wire.size() <= Name::kMaxWireOctets, "a name that is too long");
  const auto again =
      Name::from_wire({reinterpret_cast<const std::uint8_t*>(wire.data()), wire.size()});
  require(again && *again == read, "the wire form reads back as another name");
  if (read.is_plain()) require(Name::from_text(read.text()) == read, "text and back");
  require(read.is_at_or_under(read) && read.is_at_or_under(read.parent()), "its own ancestor");
  if (const auto parsed = Name::from_text(octets)) {
    require(parsed->is_plain() && Name::from_text(parsed->text()) == parsed,
            "text to another name");
  }
}

void address(std::string_view octets) {
  const std::string_view text = octets;
  if (const auto parsed = base::IpAddress::parse(text)) {
    require(base::IpAddress::parse(parsed->text()) == parsed, "an address reads back as another");
  }
  if (const auto parsed = base::Endpoint::parse(text, 53)) {
    require(base::Endpoint::parse(parsed->text(), 1) == parsed,
            "an endpoint reads back as another");
  }
  if (const auto parsed = base::IpNetwork::parse(text)) {
    require(base::IpNetwork::parse(parsed->text()) == parsed, "a network reads back as another");
    require(parsed->contains(parsed->address), "a network without its first address");
  }
  require(!dns::parse_resolv_conf(text).servers.empty(), "no name server at all");
}

void target(std::string_view octets) {
  const auto parsed = protocol::TargetTemplate::parse(octets);
  if (!parsed) return require(!parsed.error().empty(), "refused without a reason");
  bool leads_back = true;
  for (const std::string_view domain : {"app.example.com", "www.example.net"}) {
    const auto site = parsed->expand({kId, "65535", "gw.example.net", domain});
    if (!site) return;
    require(site->starts_with("https://") || site->starts_with("http://"), "another scheme");
    const std::string host = site->substr(site->find("//") + 2);
    const auto name = Name::from_text(host);
    require(name && name->is_domain() && name->text() == host, "no host: " + host);
    leads_back &= *site == "http://" + std::string(domain);
  }
  require(!leads_back, "leads back to the relay");
}

FUZZ_TARGET(text, octets) {
  escape(octets);
  name(octets);
  address(octets);
  target(octets);
}

}  // namespace
}  // namespace http01::fuzz
