#include "protocol/record.h"

#include <boost/test/unit_test.hpp>
#include <string>

#include "base/escape.h"

namespace http01::protocol {

BOOST_AUTO_TEST_SUITE(record)

const std::string kId = "00112233445566778899aabbccddeeff00112233";
const std::string kOtherId = "ffeeddccbbaa99887766554433221100ffeeddcc";

base::Pattern pattern(std::string_view text) { return base::Pattern::compile(text).value(); }

const base::Pattern& default_pattern() {
  static const base::Pattern kPattern = pattern("[0-9a-f]{40}");
  return kPattern;
}

// "id:port", "absent", "malformed" or "ambiguous".
std::string selected(const std::vector<TxtRecord>& records, PortUse port) {
  const auto result = select_app_address(default_pattern(), records, port);
  if (const auto* const address = std::get_if<AppAddress>(&result))
    return address->id + ":" + address->port;
  switch (std::get<RecordFault>(result)) {
    case RecordFault::kAbsent:
      return "absent";
    case RecordFault::kMalformed:
      return "malformed";
    case RecordFault::kAmbiguous:
      return "ambiguous";
  }
  return "?";
}

std::string selected(const std::vector<std::string>& texts, PortUse port = PortUse::kInTarget) {
  std::vector<TxtRecord> records;
  for (const std::string& text : texts) records.push_back({text, 1, 0});
  return selected(records, port);
}

TxtRecord of_strings(const std::vector<std::string>& strings) {
  TxtRecord record{"", static_cast<std::uint16_t>(strings.size()),
                   static_cast<std::uint16_t>(strings.at(0).size())};
  for (const std::string& string : strings) record.text += string;
  return record;
}

BOOST_AUTO_TEST_CASE(an_app_address_is_id_colon_port) {
  for (const char* port : {"1", "80", "443", "8080", "65535"}) {
    const auto address = read_app_address(default_pattern(), kId + ":" + port);
    BOOST_REQUIRE(address);
    BOOST_TEST(address->id == kId);
    BOOST_TEST(address->port == port);
  }
}

BOOST_AUTO_TEST_CASE(upper_case_is_folded) {
  const auto address =
      read_app_address(default_pattern(), "00112233445566778899AABBCCDDEEFF00112233:443");
  BOOST_REQUIRE(address);
  BOOST_TEST(address->id == kId);
  BOOST_TEST(bool(read_app_address(pattern("[0-9A-F]{4}"), "beef:1")));
}

// The site works with such a port, so its owner would not understand a refusal.
BOOST_AUTO_TEST_CASE(a_port_that_the_gateway_takes_is_its_decimal_value) {
  struct Row {
    std::string port;
    const char* value;
  };
  for (const Row& row :
       {Row{"0443", "443"}, Row{"+443", "443"}, Row{"+0443", "443"}, Row{"080", "80"},
        Row{"00001", "1"}, Row{"+65535", "65535"}, Row{std::string(200, '0') + "8080", "8080"}}) {
    const auto address = read_app_address(default_pattern(), kId + ":" + row.port);
    BOOST_TEST_REQUIRE(bool(address), row.port);
    BOOST_TEST(address->port == row.value);
  }
  BOOST_TEST(selected({kId + ":443", kId + ":+0443"}) == kId + ":443");
}

BOOST_AUTO_TEST_CASE(a_port_is_decimal_from_1_to_65535) {
  for (const char* port : {"",        "0",     "00",    "+",          "++443",
                           "+-443",   "+0",    "-0",    "443+",       "+ 443",
                           "065536",  "65536", "99999", "4294967376", "18446744073709551696",
                           "-1",      "-443",  " 443",  "443 ",       "443\n",
                           "443\r\n", "443;",  "443.",  "4e2",        "0x50",
                           "http",    "80:90", "80:",   ":80",        "80,90",
                           "\xd9\xa8"}) {
    BOOST_TEST(!read_app_address(default_pattern(), kId + ":" + port), base::escaped(port, 80));
  }
}

BOOST_AUTO_TEST_CASE(nothing_stands_before_or_behind_an_app_address) {
  for (const std::string& text :
       {std::string(), std::string(":"), std::string(":80"), kId, kId + " :80", " " + kId + ":443",
        "\"" + kId + ":443\"", "'" + kId + ":443'", kId + ":443\n",
        kId + ":443" + std::string(1, '\0'), std::string(1, '\0') + kId + ":443", kId + ":443junk",
        "https://" + kId + ":443", kId + "." + kId + ":443", kId + "=443", "app=" + kId + ":443"}) {
    BOOST_TEST(!read_app_address(default_pattern(), text), base::escaped(text, 80));
  }
}

BOOST_AUTO_TEST_CASE(an_id_that_is_not_of_the_pattern_is_none) {
  for (const std::string& id :
       {kId.substr(1), kId + "0", kId.substr(1) + "g", kId + "-8080", kId + "-443s", kId + "s",
        std::string("evil.com/"), std::string("evil.com/?"), std::string("evil.com#"),
        std::string("user@evil.com"), std::string("evil.com\\"), kId + "\r\nSet-Cookie: x",
        std::string("v=spf1 ip4"), std::string(40, '\xff'), std::string(255, 'a')}) {
    BOOST_TEST(!read_app_address(default_pattern(), id + ":80"), base::escaped(id, 80));
  }
}

BOOST_AUTO_TEST_CASE(an_id_is_one_host_label_whatever_the_pattern) {
  const base::Pattern anything = pattern("(?s).*");
  for (const char* id : {"abc123", "a", "0", "proxyflow", "deadbeefdeadbeefdeadbeefdeadbeef"}) {
    BOOST_TEST(bool(read_app_address(anything, std::string(id) + ":80")), id);
  }
  for (const std::string& id :
       {std::string(), std::string("a-b"), std::string("a.b"), std::string("a_b"),
        std::string("a/b"), std::string("a b"), std::string("a@b"), std::string("a\\b"),
        std::string("a%62"), std::string("a\n"), std::string("\xc3\xa4"), std::string(1, '\0'),
        std::string(64, 'a')}) {
    BOOST_TEST(!read_app_address(anything, id + ":80"), base::escaped(id, 80));
  }
  BOOST_TEST(bool(read_app_address(anything, std::string(63, 'a') + ":80")));
}

BOOST_AUTO_TEST_CASE(names_the_gateway_answers_for_itself_are_no_apps) {
  const base::Pattern anything = pattern(".*");
  for (const char* id : {"localhost", "gateway", "health", "LocalHost", "GATEWAY"}) {
    BOOST_TEST(!read_app_address(anything, std::string(id) + ":80"), id);
  }
  BOOST_TEST(bool(read_app_address(anything, "gateway1:80")));
}

BOOST_AUTO_TEST_CASE(no_records_and_only_somebody_elses_are_absent) {
  BOOST_TEST(selected({}) == "absent");
  BOOST_TEST(selected({"v=spf1 ip4:192.0.2.1 -all"}) == "absent");
  BOOST_TEST(selected({"V=DMARC1; p=none", "v=DKIM1; k=rsa", "v="}) == "absent");
}

BOOST_AUTO_TEST_CASE(one_valid_record_stands_among_others) {
  BOOST_TEST(selected({kId + ":443"}) == kId + ":443");
  BOOST_TEST(selected({"v=spf1 -all", kId + ":443"}) == kId + ":443");
  BOOST_TEST(selected({kId + ":443", "v=spf1 -all"}) == kId + ":443");
  BOOST_TEST(selected({"google-site-verification=x", kId + ":443", ""}) == kId + ":443");
  BOOST_TEST(selected({kId + ":0", kId + ":443"}) == kId + ":443");
}

BOOST_AUTO_TEST_CASE(no_valid_record_among_them_is_malformed) {
  BOOST_TEST(selected({kId}) == "malformed");
  BOOST_TEST(selected({""}) == "malformed");
  BOOST_TEST(selected({" v=spf1 -all"}) == "malformed");
  BOOST_TEST(selected({"v"}) == "malformed");
  BOOST_TEST(selected({"v=spf1 -all", "junk"}) == "malformed");
}

BOOST_AUTO_TEST_CASE(two_different_addresses_are_ambiguous_in_any_order) {
  BOOST_TEST(selected({kId + ":443", kOtherId + ":443"}) == "ambiguous");
  BOOST_TEST(selected({kOtherId + ":443", "junk", kId + ":443"}) == "ambiguous");
  BOOST_TEST(selected({kId + ":443", kId + ":80"}) == "ambiguous");
  BOOST_TEST(selected({kId + ":443", kId + ":443"}) == kId + ":443");
  BOOST_TEST(selected({kId + ":443", "00112233445566778899AABBCCDDEEFF00112233:443"}) ==
             kId + ":443");
}

BOOST_AUTO_TEST_CASE(two_ports_of_one_app_differ_only_where_the_redirect_has_a_port) {
  for (const std::vector<std::string>& texts :
       {std::vector{kId + ":8443", kId + ":443"}, std::vector{kId + ":443", kId + ":8443"}}) {
    BOOST_TEST(selected(texts, PortUse::kInTarget) == "ambiguous");
    BOOST_TEST(selected(texts, PortUse::kNone) == kId + ":443");
  }
  // The lowest as a number.
  BOOST_TEST(selected({kId + ":1000", kId + ":999", kId + ":2"}, PortUse::kNone) == kId + ":2");
  for (const PortUse port : {PortUse::kNone, PortUse::kInTarget}) {
    BOOST_TEST(selected({kId + ":443", kId + ":80", kOtherId + ":80"}, port) == "ambiguous");
  }
}

BOOST_AUTO_TEST_CASE(the_strings_of_a_record_are_joined_else_the_first_counts_alone) {
  const auto read = [](const std::vector<std::string>& strings) {
    return selected({of_strings(strings)}, PortUse::kInTarget);
  };
  BOOST_TEST(read({kId + ":", "443"}) == kId + ":443");
  BOOST_TEST(read({kId + ":44", "3"}) == kId + ":443");
  BOOST_TEST(read({"", kId + ":443"}) == kId + ":443");
  BOOST_TEST(read({kId + ":443", "junk"}) == kId + ":443");
  BOOST_TEST(read({kId + ":443", " ", "", "junk"}) == kId + ":443");
  BOOST_TEST(read({kId + ":+0443", "999"}) == kId + ":443");
  BOOST_TEST(read({"junk", kId + ":443"}) == "malformed");
  BOOST_TEST(read({kId + ":", "http"}) == "malformed");
  BOOST_TEST(read({"", "junk"}) == "malformed");
  BOOST_TEST(read({"v", "=spf1 -all"}) == "absent");
  BOOST_TEST(selected({of_strings({kId + ":443", "junk"}), of_strings({kOtherId + ":443"})},
                      PortUse::kNone) == "ambiguous");
}

BOOST_AUTO_TEST_CASE(the_first_thing_that_is_wrong_is_named) {
  struct Row {
    std::string text;
    AppAddressFault fault;
  };
  for (const Row& row : {
           Row{kId, AppAddressFault::kNoColon},
           Row{kId + ":", AppAddressFault::kNoPort},
           Row{kId + ":http", AppAddressFault::kPortNoNumber},
           Row{kId + ":0x50", AppAddressFault::kPortNoNumber},
           Row{kId + ":+", AppAddressFault::kPortNoNumber},
           Row{kId + ":+00", AppAddressFault::kPortZero},
           Row{kId + ":0", AppAddressFault::kPortZero},
           Row{kId + ":65536", AppAddressFault::kPortTooLarge},
           Row{kId + ":99999999999999999999", AppAddressFault::kPortTooLarge},
           Row{":", AppAddressFault::kNoPort},
           Row{":80", AppAddressFault::kNoId},
           Row{"a.b:80", AppAddressFault::kIdNoLabel},
           Row{std::string(64, 'a') + ":80", AppAddressFault::kIdNoLabel},
           Row{"Gateway:80", AppAddressFault::kIdReserved},
           Row{"beef:80", AppAddressFault::kIdPattern},
       }) {
    const auto address = read_app_address(default_pattern(), row.text);
    BOOST_TEST_REQUIRE(!address, row.text);
    BOOST_TEST((address.error() == row.fault), row.text);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::protocol
