#include "config/advice.h"

#include "tests/config/helpers.h"

namespace http01 {
namespace {

// On this machine a resolver is at 127.0.0.53, and another one at an address of an interface.
Machine machine(const std::string& name_server = "127.0.0.53") {
  return {{base::Endpoint::parse(name_server, 53).value()},
          {base::IpAddress::parse("10.0.0.7").value(), base::IpAddress::parse("fd00::7").value()}};
}

// What is said of this text, one a line.
std::string advice(const std::string& text, const Machine& where = machine()) {
  const auto config = parse_config(text, "f", kNothing);
  if (!config) BOOST_FAIL(outcome(text, kNothing));
  std::string lines;
  for (const std::string& line : config_advice(config.value(), where)) lines += line + "\n";
  return lines;
}

bool says(const std::string& text, const std::string& beginning) {
  return ("\n" + advice(text)).find("\n" + beginning) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(config_advice_suite)

BOOST_AUTO_TEST_CASE(of_the_defaults_there_is_nothing_to_say) { BOOST_TEST(advice("") == ""); }

BOOST_AUTO_TEST_CASE(what_is_odd_is_said_and_what_is_not_is_not) {
  struct Pair {
    const char* said;
    const char* odd;
    const char* usual;
  };
  for (const Pair& pair : {
           Pair{"gateways.allow: gw.internal is under no public suffix",
                "[gateways]\nallow = [\"gw.internal\"]",
                "[gateways]\nallow = [\"gw.example.com\"]"},
           {"gateways.allow: \"*.com\" is every name", "[gateways]\nallow = [\"*.com\"]",
            "[gateways]\nallow = [\"*.example.com\"]"},
           {"gateways.allow: \"*.co.uk\" is every name", "[gateways]\nallow = [\"*.co.uk\"]",
            "[gateways]\nallow = [\"*.example.co.uk\"]"},
           {"gateways.fallback: gw.test is under no public suffix",
            "[gateways]\nfallback = \"gw.test\"", "[gateways]\nfallback = \"gw.example.com\""},
           {"gateways.aliases: gw.test is under no public suffix",
            "[gateways.aliases]\n\"a.example.com\" = \"gw.test\"",
            "[gateways.aliases]\n\"a.example.com\" = \"gw.example.com\""},
           {"gateways.allow_regex: accepts names of any domain",
            "[gateways]\nallow_regex = '_\\.(.+)'",
            "[gateways]\nallow_regex = '_\\.(.+\\.phala\\.network)'"},
           {"gateways.match_addresses: has nothing to compare with",
            "[gateways]\nmatch_addresses = true",
            "[gateways]\nmatch_addresses = true\nallow = [\"gw.example.com\"]"},
           {"domains.allow: a.example.com is denied",
            "[domains]\nallow = [\"a.example.com\"]\ndeny = [\"example.com\"]",
            "[domains]\nallow = [\"example.com\"]\ndeny = [\"a.example.com\"]"},
           {"service.hosts: is empty", "[domains]\nallow = [\"example.com\"]",
            "[domains]\nallow = [\"example.com\"]\n[service]\nhosts = [\"r.example.net\"]"},
           {"dns.require_dnssec: trusts 192.0.2.1:53",
            "[dns]\nrequire_dnssec = true\nservers = [\"127.0.0.1\", \"192.0.2.1\"]",
            "[dns]\nrequire_dnssec = true\nservers = [\"127.0.0.1\", \"::1\"]"},
           {"dns.servers: 192.0.2.1:53, [2001:db8::1]:5353 are not on this machine",
            "[dns]\nservers = [\"127.0.0.1\", \"192.0.2.1\", \"[2001:db8::1]:5353\"]",
            "[dns]\nservers = [\"127.0.0.53\", \"::1\", \"10.0.0.7\", \"[fd00::7]:5353\", "
            "\"0.0.0.0\", \"::ffff:127.0.0.1\"]"},
           {"dns.timeout_ms: is all of dns.deadline_ms", "[dns]\ntimeout_ms = 4000",
            "[dns]\ntimeout_ms = 3999"},
           {"dns.deadline_ms: is longer than a CA waits", "[dns]\ndeadline_ms = 8001",
            "[dns]\ndeadline_ms = 8000"},
           {"cache.max_ttl_s: a record that is mended", "[cache]\nmax_ttl_s = 301",
            "[cache]\nmax_ttl_s = 300"},
           {"service.canary: /ready is never ready: x.phala.network is refused, gateway-name",
            "[service]\ncanary = \"x.phala.network\"", "[service]\ncanary = \"app.example.com\""},
           {"service.canary: /ready is never ready: app.example.com is refused, domain-refused",
            "[domains]\ndeny = [\"example.com\"]\n[service]\ncanary = \"app.example.com\"",
            "[domains]\ndeny = [\"example.org\"]\n[service]\ncanary = \"app.example.com\""},
           {"service.metrics_from: 0.0.0.0/0 is every address",
            "[service]\nmetrics_from = [\"::1\", \"0.0.0.0/0\"]",
            "[service]\nmetrics_from = [\"0.0.0.0/1\"]"},
           {"service.hosts: localhost is a name of the relay anyway",
            "[service]\nhosts = [\"localhost\"]",
            "[service]\nhosts = [\"relay.example.net\", \"192.0.2.1\"]"},
           {"service.public_check: without service.state_file", "[service]\npublic_check = true",
            "[service]\npublic_check = true\nstate_file = \"/tmp/state\""},
           {"service.state_file: /dev/null: is a device, which is never replaced",
            "[service]\nstate_file = \"/dev/null\"", "[service]\nstate_file = \"/tmp/state\""},
           {"service.state_file: /no/such is no directory",
            "[service]\nstate_file = \"/no/such/state\"", "[service]\nstate_file = \"/tmp/state\""},
           {"log.target: /tmp is a directory", "[log]\ntarget = \"/tmp\"",
            "[log]\ntarget = \"syslog\""},
       }) {
    BOOST_TEST(says(pair.odd, pair.said), pair.odd << ": " << advice(pair.odd));
    BOOST_TEST(!says(pair.usual, std::string(pair.said).substr(0, 20)),
               pair.usual << ": " << advice(pair.usual));
  }
}

// One forged answer would be the answer at all the places that a CA asks from.
BOOST_AUTO_TEST_CASE(name_servers_of_the_machine_that_are_elsewhere_are_warned_of) {
  for (const char* const far : {"10.96.0.10", "192.0.2.1:5353", "2001:db8::1"}) {
    const std::string said = advice("", machine(far));
    BOOST_TEST(said.starts_with("dns.servers: " + base::Endpoint::parse(far, 53)->text() +
                                " of /etc/resolv.conf is not on this machine: "),
               said);
    BOOST_TEST(said.find(" for up to 60 s.") != std::string::npos, said);
    // Nobody asks them where others are named.
    BOOST_TEST(advice("[dns]\nservers = [\"127.0.0.1\"]", machine(far)) == "");
  }
  // Docker's own, systemd-resolved's, and one at this machine's address.
  for (const char* const here : {"127.0.0.11", "127.0.0.53", "10.0.0.7", "::1"}) {
    BOOST_TEST(advice("", machine(here)) == "", here);
  }
  BOOST_TEST(advice("[dns]\nrequire_dnssec = true", machine("192.0.2.1"))
                 .find("\ndns.require_dnssec: trusts 192.0.2.1:53, ") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
