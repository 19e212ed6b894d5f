#include "transport/foreign.h"

#include <boost/test/unit_test.hpp>

namespace http01::transport {

using namespace std::string_view_literals;

BOOST_AUTO_TEST_SUITE(foreign)

BOOST_AUTO_TEST_CASE(what_web_servers_speak_is_known_by_its_first_octets) {
  const std::pair<std::string_view, Foreign> cases[] = {
      {"GET / HTTP/1.1\r\n", Foreign::kHttp},
      {"POST /a HTTP/1.1\r\n", Foreign::kHttp},
      {"HEAD http://a/", Foreign::kHttp},
      {"OPTIONS * HTTP/1.1\r\n", Foreign::kHttp},
      {"PROPFIND /", Foreign::kHttp},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Foreign::kHttp},
      {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"sv, Foreign::kTls},
      {"\x16\x03\x03\x00\x7a"sv, Foreign::kTls},
      {"70:CONTENT_LENGTH\0000"sv, Foreign::kScgi},
      {"1024:CONTENT_LENGTH"sv, Foreign::kScgi},
      {"\x00\x5a\x01\x00\x0c\x00QUERY_STRING\x00\x00"sv, Foreign::kUwsgi},
      {"PROXY TCP4 192.0.2.1", Foreign::kProxyProtocol},
      {"\r\n\r\n\0\r\nQUIT\n"sv, Foreign::kProxyProtocol},
      {"", Foreign::kUnknown},
      {"GET", Foreign::kUnknown},
      {"SSH-2.0-OpenSSH", Foreign::kUnknown},
      {"get / http", Foreign::kUnknown},
      {"70:X", Foreign::kUnknown},
      {":CONTENT", Foreign::kUnknown},
      {"\0\0\0\0\0\0\0\0"sv, Foreign::kUnknown},
      {"\2\1\0\1\0\10\0\0"sv, Foreign::kUnknown},
  };
  for (const auto& [octets, kind] : cases) {
    BOOST_TEST((recognize_foreign(octets) == kind), octets);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::transport
