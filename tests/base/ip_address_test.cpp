#include "base/ip_address.h"

#include <net/if.h>
#include <netinet/in.h>

#include <boost/test/unit_test.hpp>
#include <cstring>

namespace http01::base {

BOOST_AUTO_TEST_SUITE(ip_address)

BOOST_AUTO_TEST_CASE(an_address_is_read_and_written_in_its_canonical_form) {
  const struct {
    const char* text;
    const char* canonical;
    bool v6;
  } cases[] = {
      {"192.0.2.1", "192.0.2.1", false},
      {"255.255.255.255", "255.255.255.255", false},
      {"0.0.0.0", "0.0.0.0", false},
      {"::", "::", true},
      {"::1", "::1", true},
      {"2001:DB8:0:0:0:0:0:1", "2001:db8::1", true},
      {"2001:db8::", "2001:db8::", true},
      {"::ffff:192.0.2.1", "::ffff:192.0.2.1", true},
      {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
       true},
  };
  for (const auto& [text, canonical, v6] : cases) {
    const auto address = IpAddress::parse(text);
    BOOST_REQUIRE_MESSAGE(address.has_value(), text);
    BOOST_TEST(address->text() == canonical);
    BOOST_TEST(address->v6 == v6);
    BOOST_TEST((IpAddress::parse(canonical) == address));
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_address_is_refused) {
  using namespace std::string_view_literals;
  for (const std::string_view text : {""sv,
                                      "1"sv,
                                      "192.0.2"sv,
                                      "192.0.2.256"sv,
                                      "192.0.2.01"sv,
                                      "192.0.2.1."sv,
                                      "192.0.2.1.1"sv,
                                      " 192.0.2.1"sv,
                                      "192.0.2.1\n"sv,
                                      "192.0.2.1\0"sv,
                                      "\0"sv,
                                      "0x7f.0.0.1"sv,
                                      "[::1]"sv,
                                      "::1%lo"sv,
                                      ":"sv,
                                      ":::"sv,
                                      "1::2::3"sv,
                                      "2001:db8::g"sv,
                                      "12345::"sv,
                                      "1:2:3:4:5:6:7"sv,
                                      "1:2:3:4:5:6:7:8:9"sv,
                                      "localhost"sv,
                                      "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555555"sv}) {
    BOOST_TEST(!IpAddress::parse(text), text);
  }
}

BOOST_AUTO_TEST_CASE(a_client_is_an_ipv4_address_or_the_64_of_an_ipv6_one) {
  const struct {
    const char* address;
    const char* network;
  } cases[] = {
      {"192.0.2.1", "192.0.2.1"},           {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
      {"2001:db8:1:2::", "2001:db8:1:2::"}, {"::1", "::"},
      {"::ffff:192.0.2.1", "192.0.2.1"},    {"::fffe:192.0.2.1", "::"},
  };
  for (const auto& [address, network] : cases) {
    BOOST_TEST(IpAddress::parse(address)->client_network().text() == network, address);
  }
  BOOST_TEST(
      (IpAddress::parse("::ffff:192.0.2.1")->client_network() == IpAddress::parse("192.0.2.1")));
}

BOOST_AUTO_TEST_CASE(an_endpoint_has_a_port_or_gets_the_default) {
  const struct {
    const char* text;
    const char* canonical;
  } cases[] = {
      {"192.0.2.1", "192.0.2.1:53"},
      {"192.0.2.1:5353", "192.0.2.1:5353"},
      {"192.0.2.1:65535", "192.0.2.1:65535"},
      {"2001:db8::1", "[2001:db8::1]:53"},
      {"[2001:db8::1]", "[2001:db8::1]:53"},
      {"[2001:db8::1]:5353", "[2001:db8::1]:5353"},
      {"::", "[::]:53"},
      {"::1", "[::1]:53"},
      {"fe80::1%7777", "[fe80::1%7777]:53"},
      {"[fe80::1%7777]:5353", "[fe80::1%7777]:5353"},
  };
  for (const auto& [text, canonical] : cases) {
    const auto endpoint = Endpoint::parse(text, 53);
    BOOST_REQUIRE_MESSAGE(endpoint.has_value(), text);
    BOOST_TEST(endpoint->text() == canonical);
    BOOST_TEST((Endpoint::parse(canonical, 99) == endpoint), canonical);
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_endpoint_is_refused) {
  using namespace std::string_view_literals;
  for (const std::string_view text : {""sv,
                                      ":"sv,
                                      ":53"sv,
                                      "192.0.2.1:"sv,
                                      "192.0.2.1:0"sv,
                                      "192.0.2.1:65536"sv,
                                      "192.0.2.1:-1"sv,
                                      "192.0.2.1:+53"sv,
                                      "192.0.2.1: 53"sv,
                                      "192.0.2.1:53 "sv,
                                      "192.0.2.1:53\0"sv,
                                      "192.0.2.1:5x"sv,
                                      "[192.0.2.1]"sv,
                                      "[192.0.2.1]:53"sv,
                                      "[]"sv,
                                      "[]:53"sv,
                                      "["sv,
                                      "[::1"sv,
                                      "::1]"sv,
                                      "[::1]53"sv,
                                      "[::1]:"sv,
                                      "[::1]:0"sv,
                                      "[[::1]]:53"sv,
                                      "[::1]]"sv,
                                      "192.0.2.1%lo"sv,
                                      "fe80::1%"sv,
                                      "fe80::1%0"sv,
                                      "fe80::1%-1"sv,
                                      "fe80::1%no-such-if"sv,
                                      "fe80::1%7x"sv,
                                      "fe80::1%7\0x"sv,
                                      "fe80::1%lo\0x"sv,
                                      "fe80::1%4294967296"sv,
                                      "example.com:53"sv}) {
    BOOST_TEST(!Endpoint::parse(text, 53), text);
  }
}

BOOST_AUTO_TEST_CASE(a_scope_may_be_the_name_of_an_interface) {
  const unsigned loopback = ::if_nametoindex("lo");
  if (loopback == 0) return;  // a machine that calls it otherwise
  BOOST_TEST(Endpoint::parse("[fe80::1%lo]:53", 1)->scope == loopback);
}

BOOST_AUTO_TEST_CASE(sockets_get_what_they_want) {
  sockaddr_storage storage;
  BOOST_TEST(Endpoint::parse("192.0.2.1:258", 0)->to_sockaddr(storage) == sizeof(sockaddr_in));
  sockaddr_in in{};
  std::memcpy(&in, &storage, sizeof in);
  BOOST_TEST(in.sin_family == AF_INET);
  BOOST_TEST(ntohs(in.sin_port) == 258);
  BOOST_TEST(ntohl(in.sin_addr.s_addr) == 0xc0000201u);

  BOOST_TEST(Endpoint::parse("[fe80::1%7777]:258", 0)->to_sockaddr(storage) ==
             sizeof(sockaddr_in6));
  sockaddr_in6 in6{};
  std::memcpy(&in6, &storage, sizeof in6);
  BOOST_TEST(in6.sin6_family == AF_INET6);
  BOOST_TEST(ntohs(in6.sin6_port) == 258);
  BOOST_TEST(in6.sin6_scope_id == 7777u);
  BOOST_TEST(in6.sin6_flowinfo == 0u);
  BOOST_TEST(int{in6.sin6_addr.s6_addr[0]} == 0xfe);
  BOOST_TEST(int{in6.sin6_addr.s6_addr[15]} == 1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::base
