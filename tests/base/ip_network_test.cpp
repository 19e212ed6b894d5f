#include "base/ip_network.h"

#include <boost/test/unit_test.hpp>

namespace http01::base {

BOOST_AUTO_TEST_SUITE(ip_network)

BOOST_AUTO_TEST_CASE(a_network_is_read_and_written_in_its_canonical_form) {
  const struct {
    const char* text;
    const char* canonical;
  } cases[] = {
      {"192.0.2.0/24", "192.0.2.0/24"},
      {"192.0.2.1", "192.0.2.1"},
      {"192.0.2.1/32", "192.0.2.1"},
      // An address within a network stands for the network.
      {"192.0.2.130/25", "192.0.2.128/25"},
      {"255.255.255.255/1", "128.0.0.0/1"},
      {"192.0.2.1/0", "0.0.0.0/0"},
      {"2001:DB8::/32", "2001:db8::/32"},
      {"::1", "::1"},
      {"::1/128", "::1"},
      {"2001:db8:1:2:3::1/64", "2001:db8:1:2::/64"},
      {"2001:db8::ffff/121", "2001:db8::ff80/121"},
      {"::1/0", "::/0"},
      // Mapped addresses are those of IPv4, but not with what else a shorter prefix has.
      {"::ffff:192.0.2.1", "192.0.2.1"},
      {"::ffff:10.1.2.3/104", "10.0.0.0/8"},
      {"::ffff:0:0/96", "0.0.0.0/0"},
      {"::ffff:0:0/95", "::fffe:0:0/95"},
  };
  for (const auto& [text, canonical] : cases) {
    const auto network = IpNetwork::parse(text);
    BOOST_REQUIRE_MESSAGE(network.has_value(), text);
    BOOST_TEST(network->text() == canonical, text << ": " << network->text());
    BOOST_TEST((IpNetwork::parse(canonical) == network), text);
  }
}

BOOST_AUTO_TEST_CASE(what_is_not_a_network_is_refused) {
  for (const char* text : {"",
                           "/",
                           "/8",
                           "10/8",
                           "10.0.0/8",
                           "10.0.0.0/",
                           "10.0.0.0/33",
                           "10.0.0.0/08",
                           "10.0.0.0/00",
                           "10.0.0.0/-1",
                           "10.0.0.0/+8",
                           "10.0.0.0/ 8",
                           "10.0.0.0 /8",
                           "10.0.0.0/8 ",
                           "10.0.0.0/8/8",
                           "10.0.0.0/255.0.0.0",
                           "10.0.0.0/99999999999999999999",
                           "256.0.0.0/8",
                           "::1/129",
                           "[::1]",
                           "[::1]/128",
                           "::1%lo",
                           "fe80::%lo/64",
                           "::/x",
                           "localhost",
                           "0x7f.1/8",
                           "*"}) {
    BOOST_TEST(!IpNetwork::parse(text), text);
  }
}

BOOST_AUTO_TEST_CASE(an_address_is_in_the_networks_that_begin_like_it) {
  const struct {
    const char* network;
    const char* inside;
    const char* outside;
  } cases[] = {
      {"127.0.0.0/8", "127.255.255.255", "128.0.0.0"},
      {"127.0.0.0/8", "::ffff:127.0.0.1", "::127.0.0.1"},
      {"127.0.0.0/8", "127.0.0.0", "7f00::"},
      {"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
      {"192.0.2.1", "192.0.2.1", "192.0.2.0"},
      {"::ffff:192.0.2.1", "192.0.2.1", "192.0.2.2"},
      {"0.0.0.0/0", "255.255.255.255", "::"},
      {"::/0", "ffff::", "::ffff:192.0.2.1"},
      {"::1", "::1", "::2"},
      {"2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"},
  };
  for (const auto& [network, inside, outside] : cases) {
    const auto parsed = IpNetwork::parse(network);
    BOOST_REQUIRE_MESSAGE(parsed.has_value(), network);
    BOOST_TEST(parsed->contains(*IpAddress::parse(inside)), inside << " in " << network);
    BOOST_TEST(!parsed->contains(*IpAddress::parse(outside)), outside << " not in " << network);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::base
