#include "config/changes.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <sstream>

#include "config/keys.h"
#include "tests/config/helpers.h"

namespace http01 {
namespace {

Config config_of(const std::string& text) {
  auto config = parse_config(text, "f", kNothing);
  BOOST_REQUIRE_MESSAGE(bool(config), text << ": " << outcome(text, kNothing));
  return std::move(*config);
}

struct Case {
  const char* before;
  const char* after;
  bool allows_more;
  const char* text;
};

constexpr bool kMore = true;
constexpr bool kNotMore = false;

// Each changes one key.
const std::vector<Case> kCases{
    // The one that was seen: the file cut behind [dns].
    {"domains.deny = ['a.test', 'b.test']", "", kMore,
     "domains.deny may allow more: removed 2 (a.test, b.test), now empty"},
    {"", "domains.deny = ['a.test']", kNotMore, "domains.deny: added 1 (a.test)"},
    {"domains.deny = ['a.test']", "domains.deny = ['b.test']", kMore,
     "domains.deny may allow more: removed 1 (a.test), added 1 (b.test)"},
    {"domains.deny = ['a.test', 'b.test']", "domains.deny = ['b.test', 'a.test']", kNotMore,
     "domains.deny: in another order"},
    // Empty is all.
    {"domains.allow = ['a.test']", "", kMore,
     "domains.allow may allow more: removed 1 (a.test), now empty"},
    {"", "domains.allow = ['a.test']", kNotMore, "domains.allow: added 1 (a.test)"},
    {"domains.allow = ['a.test']", "domains.allow = ['a.test', 'b.test']", kMore,
     "domains.allow may allow more: added 1 (b.test)"},
    {"domains.allow = ['a.test', 'b.test']", "domains.allow = ['a.test']", kNotMore,
     "domains.allow: removed 1 (b.test)"},
    // A part of what was allowed, and what stays denied by another entry.
    {"domains.allow = ['a.test']", "domains.allow = ['b.a.test']", kNotMore,
     "domains.allow: removed 1 (a.test), added 1 (b.a.test)"},
    {"domains.allow = ['a.test']", "domains.allow = ['ba.test']", kMore,
     "domains.allow may allow more: removed 1 (a.test), added 1 (ba.test)"},
    {"domains.deny = ['a.test', 'b.a.test']", "domains.deny = ['a.test']", kNotMore,
     "domains.deny: removed 1 (b.a.test)"},
    {"domains.deny = ['a.test']", "domains.deny = ['b.a.test']", kMore,
     "domains.deny may allow more: removed 1 (a.test), added 1 (b.a.test)"},
    {"", "service.metrics_from = ['127.0.0.2']", kNotMore,
     "service.metrics_from: removed 2 (127.0.0.0/8, ::1), added 1 (127.0.0.2)"},
    {"service.metrics_from = ['10.0.0.0/16']", "service.metrics_from = ['10.0.0.0/8']", kMore,
     "service.metrics_from may allow more: removed 1 (10.0.0.0/16), added 1 (10.0.0.0/8)"},
    // An exactly named base may have its addresses compared, which a wildcard may not.
    {"gateways.allow = ['*.test']", "gateways.allow = ['a.test']", kMore,
     "gateways.allow may allow more: removed 1 (*.test), added 1 (a.test)"},
    {"gateways.allow = ['a.test']", "gateways.allow = ['a.test', '*.test']", kMore,
     "gateways.allow may allow more: added 1 (*.test)"},
    // Names under a gateway are refused; without it they are domains like others.
    {"gateways.allow = ['a.test', '*.test']", "gateways.allow = ['a.test']", kMore,
     "gateways.allow may allow more: removed 1 (*.test)"},
    {"gateways.allow = ['a.test', 'b.test']", "gateways.allow = ['b.test', 'a.test']", kNotMore,
     "gateways.allow: in another order"},
    {"", "gateways.fallback = 'a.test'", kMore,
     "gateways.fallback may allow more: was empty, now a.test"},
    {"gateways.fallback = 'a.test'", "gateways.fallback = 'b.test'", kMore,
     "gateways.fallback may allow more: was a.test, now b.test"},
    {"gateways.fallback = 'a.test'", "", kMore,
     "gateways.fallback may allow more: was a.test, now empty"},
    {"", "gateways.match_addresses = true", kMore,
     "gateways.match_addresses may allow more: was false, now true"},
    {"gateways.match_addresses = true", "", kNotMore,
     "gateways.match_addresses: was true, now false"},
    {"gateways.allow_regex = '_\\.(a\\.test)'", "gateways.allow_regex = '_\\.(b\\.test)'", kMore,
     "gateways.allow_regex may allow more: was _\\.(a\\.test), now _\\.(b\\.test)"},
    {"[gateways]\nallow_regex = '((a))'\ncapture_group = 2", "[gateways]\nallow_regex = '((a))'",
     kMore, "gateways.capture_group may allow more: was 2, now 1"},
    {"gateways.aliases.'a.test' = 'b.test'", "gateways.aliases.'a.test' = 'c.test'", kMore,
     "gateways.aliases may allow more: removed 1 (a.test = b.test), added 1 (a.test = c.test)"},
    {"gateways.aliases.'a.test' = 'b.test'", "", kMore,
     "gateways.aliases may allow more: removed 1 (a.test = b.test), now empty"},
    {"app.id_pattern = '[a-f]{4}'", "app.id_pattern = '[a-f]{2}'", kMore,
     "app.id_pattern may allow more: was [a-f]{4}, now [a-f]{2}"},
    {"dns.require_dnssec = true", "", kMore,
     "dns.require_dnssec may allow more: was true, now false"},
    {"", "dns.require_dnssec = true", kNotMore, "dns.require_dnssec: was false, now true"},
    {"", "service.public_check = true", kMore,
     "service.public_check may allow more: was false, now true"},
    {"service.public_check = true", "", kNotMore, "service.public_check: was true, now false"},
    {"", "service.metrics_from = ['127.0.0.0/8', '::1', '192.0.2.0/24']", kMore,
     "service.metrics_from may allow more: added 1 (192.0.2.0/24)"},
    {"", "service.metrics_from = ['127.0.0.0/8']", kNotMore,
     "service.metrics_from: removed 1 (::1)"},
    {"dns.timeout_ms = 300", "", kNotMore, "dns.timeout_ms: was 300, now 1000"},
    {"", "dns.servers = ['192.0.2.1']", kNotMore, "dns.servers: added 1 (192.0.2.1:53)"},
    {"", "log.target = '/var/log/a\"b'", kNotMore, "log.target: was stderr, now /var/log/a\"b"},
};

}  // namespace

BOOST_AUTO_TEST_SUITE(config)

BOOST_AUTO_TEST_CASE(what_allows_more_is_told_from_the_rest) {
  for (const Case& one : kCases) {
    const auto changes = config_changes(config_of(one.before), config_of(one.after));
    BOOST_TEST_CONTEXT(one.text) {
      BOOST_REQUIRE_EQUAL(changes.size(), 1u);
      BOOST_TEST(changes[0].text == one.text);
      BOOST_TEST(changes[0].allows_more == one.allows_more);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_same_configuration_has_no_changes) {
  for (const fs::path& path : toml_files("good")) {
    BOOST_TEST(config_changes(config_of(read(path)), config_of(read(path))).empty(), path);
  }
}

BOOST_AUTO_TEST_CASE(every_key_that_changes_is_there) {
  const Config everything =
      config_of(read(fs::path(TESTS_DIR) / "data/config/good/everything.toml"));
  const auto changes = config_changes(config_of(""), everything);
  BOOST_REQUIRE_EQUAL(changes.size(), config_keys().size());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    BOOST_TEST(changes[i].text.starts_with(config_keys()[i].full_name()), changes[i].text);
  }
}

// Of the keys that say who may have what, each can allow more than before.
BOOST_AUTO_TEST_CASE(no_key_of_who_may_what_is_without_a_rule) {
  for (const ConfigKey& key : config_keys()) {
    const bool guards =
        key.table == "domains" || key.table == "gateways" || key.table == "owner" ||
        key.full_name() == "app.id_pattern" || key.full_name() == "service.public_check" ||
        key.full_name() == "service.metrics_from" || key.full_name() == "dns.require_dnssec";
    BOOST_TEST((key.allows_more != AllowsMore::kNever) == guards, key.full_name());
    const bool by_entries = key.allows_more == AllowsMore::kAdded ||
                            key.allows_more == AllowsMore::kAddedOrEmptied ||
                            key.allows_more == AllowsMore::kRemoved;
    if (by_entries) BOOST_TEST(bool(key.list), key.full_name());
  }
}

BOOST_AUTO_TEST_CASE(a_long_list_is_counted_and_cut) {
  std::string names;
  for (int i = 0; i < 5000; ++i) names += "'n" + std::to_string(i) + ".test',";
  const auto changes = config_changes(config_of("domains.deny = [" + names + "]"), config_of(""));
  BOOST_REQUIRE_EQUAL(changes.size(), 1u);
  BOOST_TEST(
      changes[0].text.starts_with("domains.deny may allow more: removed 5000 (n0.test, n1.test"));
  BOOST_TEST(changes[0].text.ends_with("...), now empty"));
  // The log cuts a message at 256 bytes, "configuration: " included.
  BOOST_TEST(changes[0].text.size() < 240u);
  const std::string longest(300, 'x');
  const auto pattern = config_changes(config_of("app.id_pattern = '" + longest + "'"),
                                      config_of("app.id_pattern = 'y" + longest + "'"));
  BOOST_TEST(pattern.at(0).text.size() < 240u);
  BOOST_TEST(pattern.at(0).text.find("now yxxx") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
