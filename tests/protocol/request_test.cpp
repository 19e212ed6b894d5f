#include "protocol/request.h"

#include <boost/test/unit_test.hpp>
#include <string>

#include "base/escape.h"

namespace http01::protocol {

BOOST_AUTO_TEST_SUITE(request)

constexpr std::string_view kHost = "app.example.com";

Policy policy_with_relay_host(std::string host) {
  Policy policy;
  policy.relay_hosts = {std::move(host)};
  return policy;
}

RawRequest raw_request(std::string_view uri, std::string_view host = kHost) {
  RawRequest raw;
  raw.method = "GET";
  raw.uri = uri;
  raw.host = host;
  return raw;
}

Request read(std::string_view uri) { return read_request(Policy(), raw_request(uri)); }

std::string_view fault_word(const Request& request) {
  return request.fault ? info(*request.fault).word : "none";
}

// `size` octets in labels of 50 at most, the last of them "com".
std::string domain_of(std::size_t size) {
  std::string domain = "com";
  while (domain.size() + 51 < size) domain = std::string(50, 'a') + "." + domain;
  return std::string(size - domain.size() - 1, 'b') + "." + domain;
}

BOOST_AUTO_TEST_CASE(a_domain_is_lowered_and_loses_its_port_and_final_dot) {
  struct Case {
    const char* value;
    const char* text;
    const char* port;
  };
  for (const Case& c : {
           Case{"app.example.com", "app.example.com", ""},
           Case{"app.example.com:80", "app.example.com", ":80"},
           Case{"app.example.com:8081", "app.example.com", ":8081"},
           Case{"app.example.com.", "app.example.com", ""},
           Case{"app.example.com.:443", "app.example.com", ":443"},
           Case{"APP.Example.COM", "app.example.com", ""},
           Case{"a.b", "a.b", ""},
           Case{"1.2.example", "1.2.example", ""},
           Case{"123.example.com", "123.example.com", ""},
           Case{"a-b--c.d.example", "a-b--c.d.example", ""},
           Case{"xn--bcher-kva.example", "xn--bcher-kva.example", ""},
           Case{"app.xn--p1ai", "app.xn--p1ai", ""},
           Case{"example.c0m", "example.c0m", ""},
       }) {
    const Host host = read_host(Policy(), c.value);
    BOOST_TEST((host.kind == HostKind::kDomain), c.value);
    BOOST_TEST(host.text == c.text);
    BOOST_TEST(host.name.text() == c.text);
    BOOST_TEST(host.port == c.port);
  }
}

BOOST_AUTO_TEST_CASE(an_address_and_a_single_label_are_the_relay_itself) {
  for (const char* value :
       {"203.0.113.9", "203.0.113.9:80", "[::1]", "[::1]:80", "[2001:db8::9]:8081", "[2001:DB8::9]",
        "[::ffff:192.0.2.1]", "localhost", "localhost:8081", "LOCALHOST.", "relay", "relay-1:80",
        "0"}) {
    BOOST_TEST((read_host(Policy(), value).kind == HostKind::kRelay), value);
  }
}

BOOST_AUTO_TEST_CASE(the_relays_own_names_are_the_relay_itself) {
  const Policy policy = policy_with_relay_host("relay.example.net");
  for (const char* value : {"relay.example.net", "Relay.Example.NET.", "relay.example.net:8081"}) {
    BOOST_TEST((read_host(policy, value).kind == HostKind::kRelay), value);
  }
  BOOST_TEST((read_host(policy, "x.relay.example.net").kind == HostKind::kDomain));
  BOOST_TEST((read_host(policy, "example.net").kind == HostKind::kDomain));
  // It needs no record, so it may be longer than a domain that needs one.
  const std::string longest = domain_of(253);
  BOOST_TEST((read_host(policy_with_relay_host(longest), longest).kind == HostKind::kRelay));
}

BOOST_AUTO_TEST_CASE(anything_else_is_no_host) {
  using namespace std::string_view_literals;
  for (const std::string_view value : {
           ""sv,
           "."sv,
           ".."sv,
           ":80"sv,
           ":"sv,
           " "sv,
           "app.example.com:"sv,
           "app.example.com:abc"sv,
           "app.example.com:80:80"sv,
           "app.example.com:+80"sv,
           "app.example.com: 80"sv,
           "app.example.com:80."sv,
           "app.example.com.."sv,
           ".app.example.com"sv,
           "app..example.com"sv,
           "-a.example.com"sv,
           "a-.example.com"sv,
           "a.-b.com"sv,
           "a.com-"sv,
           "a_b.example.com"sv,
           "_acme-challenge.app.example.com"sv,
           "_.app.example.com"sv,
           "*.example.com"sv,
           "a_b"sv,
           "e xample.com"sv,
           "app.example.com "sv,
           "\tapp.example.com"sv,
           "app.example.com/../x"sv,
           "app.example.com@evil.example"sv,
           "user@app.example.com"sv,
           "app.example.com%00"sv,
           "app.example.com\0"sv,
           "app.example.com\r\nX: y"sv,
           "app.example.com, other.example"sv,
           "app.example.com,other.example"sv,
           "app\\.example.com"sv,
           "app.example.com?x"sv,
           "app.example.com#x"sv,
           "b\xc3\xbc"
           "cher.example"sv,
           "app.example.c\xef\xbd\x8fm"sv,
           "::1"sv,
           "2001:db8::1"sv,
           "2001:db8::1:80"sv,
           "[::1"sv,
           "::1]"sv,
           "[::1]x"sv,
           "[]"sv,
           "[fe80::1%eth0]"sv,
           "[203.0.113.9]"sv,
           "[app.example.com]"sv,
           "[::1]:"sv,
           "203.0.113.256"sv,
           "1.2.3"sv,
           "1.2.3.4.5"sv,
           "127.1"sv,
           "0x7f.0.0.1"sv,
           "app.123"sv,
       }) {
    const Host host = read_host(Policy(), value);
    BOOST_TEST((host.kind == HostKind::kBad), base::escaped(value, 80));
    BOOST_TEST(host.text.empty());
    BOOST_TEST(host.port.empty());
    BOOST_TEST(fault_word(read_request(Policy(), raw_request("/", value))) == "bad-host",
               base::escaped(value, 80));
  }
}

BOOST_AUTO_TEST_CASE(a_label_has_63_octets_at_most) {
  BOOST_TEST((read_host(Policy(), std::string(63, 'a') + ".com").kind == HostKind::kDomain));
  BOOST_TEST((read_host(Policy(), std::string(64, 'a') + ".com").kind == HostKind::kBad));
  BOOST_TEST((read_host(Policy(), std::string(63, 'a')).kind == HostKind::kRelay));
  BOOST_TEST((read_host(Policy(), std::string(64, 'a')).kind == HostKind::kBad));
}

BOOST_AUTO_TEST_CASE(the_record_name_of_a_domain_has_253_octets_at_most) {
  // "_dstack-app-address." is 20 octets.
  BOOST_TEST(domain_of(233).size() == 233u);
  BOOST_TEST((read_host(Policy(), domain_of(233)).kind == HostKind::kDomain));
  BOOST_TEST((read_host(Policy(), domain_of(233) + ".:80").kind == HostKind::kDomain));
  BOOST_TEST((read_host(Policy(), domain_of(234)).kind == HostKind::kBad));
  BOOST_TEST((read_host(Policy(), domain_of(253)).kind == HostKind::kBad));
  BOOST_TEST((read_host(Policy(), domain_of(254)).kind == HostKind::kBad));

  Policy short_prefix;
  short_prefix.record_prefix = Name::from_text("_x").value();
  BOOST_TEST((read_host(short_prefix, domain_of(250)).kind == HostKind::kDomain));
  BOOST_TEST((read_host(short_prefix, domain_of(251)).kind == HostKind::kBad));
}

BOOST_AUTO_TEST_CASE(no_host_is_too_long_to_be_read) {
  BOOST_TEST((read_host(Policy(), std::string(100'000, 'a')).kind == HostKind::kBad));
  BOOST_TEST((read_host(Policy(), std::string(100'000, '.')).kind == HostKind::kBad));
  BOOST_TEST((read_host(Policy(), std::string(100'000, '1')).kind == HostKind::kBad));
}

BOOST_AUTO_TEST_CASE(path_and_query_are_parted_and_a_fragment_is_dropped) {
  struct Case {
    const char* uri;
    const char* path;
    const char* query;
  };
  for (const Case& c : {
           Case{"/a", "/a", ""},
           Case{"/a?b=c", "/a", "?b=c"},
           Case{"/a?", "/a", "?"},
           Case{"/a?b?c", "/a", "?b?c"},
           Case{"/a#b", "/a", ""},
           Case{"/a#b?c", "/a", ""},
           Case{"/a?b#c", "/a", "?b"},
           Case{"/%2e%2E/..//b", "/%2e%2E/..//b", ""},
           Case{"http://other.example/a?b", "/a", "?b"},
           Case{"https://other.example/a", "/a", ""},
           Case{"HTTP://user@other.example:8080/a#b", "/a", ""},
           Case{"//a", "//a", ""},
           Case{"//http://x/", "//http://x/", ""},
       }) {
    const Request request = read(c.uri);
    BOOST_TEST(fault_word(request) == "none", c.uri);
    BOOST_TEST(request.path() == c.path);
    BOOST_TEST(request.query() == c.query);
  }
}

BOOST_AUTO_TEST_CASE(a_path_begins_with_a_slash_or_is_not_found) {
  for (const char* uri :
       {"", "*", "a", "?a", "#", "app.example.com:443", "http:/a", "http:a", "http://other.example",
        "http://other.example?a=/", "http://", "ftp://x/", " /a", "\x80"}) {
    BOOST_TEST(fault_word(read(uri)) == "not-found", base::escaped(uri, 80));
  }
}

BOOST_AUTO_TEST_CASE(a_path_is_visible_ascii) {
  using namespace std::string_view_literals;
  for (const std::string_view uri :
       {"/a b"sv, "/a\tb"sv, "/a\r\nX: y"sv, "/\0"sv, "/\x7f"sv, "/\xc3\xa4"sv, "/a?\x01"sv,
        "/a?b c"sv, "http://other.example/\n"sv}) {
    BOOST_TEST(fault_word(read(uri)) == "bad-path", base::escaped(uri, 80));
  }
  BOOST_TEST(fault_word(read("/!\"$%&'()*+,-./:;<=>@[\\]^_`{|}~?!\"<>\\^`{|}~")) == "none");
  // What a fragment holds goes nowhere.
  BOOST_TEST(fault_word(read("/a#\xc3\xa4")) == "none");
}

BOOST_AUTO_TEST_CASE(path_and_query_have_2000_octets_at_most) {
  BOOST_TEST(fault_word(read("/" + std::string(1999, 'a'))) == "none");
  BOOST_TEST(fault_word(read("/" + std::string(2000, 'a'))) == "too-long");
  BOOST_TEST(fault_word(read("/?" + std::string(1998, 'a'))) == "none");
  BOOST_TEST(fault_word(read("/?" + std::string(1999, 'a'))) == "too-long");
  BOOST_TEST(fault_word(read("/" + std::string(1999, 'a') + "#" + std::string(5000, 'a'))) ==
             "none");
  BOOST_TEST(fault_word(read("http://other.example/" + std::string(1999, 'a'))) == "none");
  BOOST_TEST(read("/" + std::string(100'000, 'a')).target.size() <= Request::kMaxTarget);
}

BOOST_AUTO_TEST_CASE(a_body_can_be_too_large_for_any_request) {
  RawRequest raw = raw_request("/");
  raw.body_too_large = true;
  BOOST_TEST(fault_word(read_request(Policy(), raw)) == "too-large");
}

BOOST_AUTO_TEST_CASE(a_request_that_was_given_up_is_overloaded_whatever_came_of_it) {
  for (RawRequest raw : {raw_request("/"), raw_request("", ""), raw_request("\n", "a_b")}) {
    raw.overloaded = true;
    raw.body_too_large = true;
    BOOST_TEST(fault_word(read_request(Policy(), raw)) == "overloaded");
  }
}

BOOST_AUTO_TEST_CASE(a_bad_host_is_told_before_a_bad_path_or_body) {
  BOOST_TEST(fault_word(read_request(Policy(), raw_request("*", "a_b.example"))) == "bad-host");
  BOOST_TEST(fault_word(read_request(Policy(), raw_request("/\n", ""))) == "bad-host");
  RawRequest large = raw_request("/", "");
  large.body_too_large = true;
  BOOST_TEST(fault_word(read_request(Policy(), large)) == "bad-host");
}

BOOST_AUTO_TEST_CASE(paths_are_compared_as_they_were_sent) {
  const auto kind = [](std::string_view uri) { return read(uri).kind; };
  BOOST_TEST((kind("/.well-known/acme-challenge/x") == PathKind::kChallenge));
  BOOST_TEST((kind("/.well-known/acme-challenge/") == PathKind::kChallenge));
  BOOST_TEST((kind("/.well-known/acme-challenge/x?y") == PathKind::kChallenge));
  BOOST_TEST((kind("http://other.example/.well-known/acme-challenge/x") == PathKind::kChallenge));
  BOOST_TEST((kind("/health") == PathKind::kHealth));
  BOOST_TEST((kind("/health?x") == PathKind::kHealth));
  BOOST_TEST((kind("/ready") == PathKind::kReady));
  BOOST_TEST((kind("/metrics") == PathKind::kMetrics));
  BOOST_TEST((kind("/") == PathKind::kIndex));
  BOOST_TEST((kind("/?x") == PathKind::kIndex));
  BOOST_TEST((kind("/check?domain=x") == PathKind::kCheck));
  BOOST_TEST((kind("/check/") == PathKind::kOther));
  for (const char* uri : {"/.well-known/acme-challenge", "//.well-known/acme-challenge/x",
                          "/.WELL-KNOWN/acme-challenge/x", "/.well-known//acme-challenge/x",
                          "/.well-known/../.well-known/acme-challenge/x",
                          "/%2ewell-known/acme-challenge/x", "/.well-known/acme-challenge%2Fx",
                          "/health/", "/Health", "/healthz", "/metrics/x", "//", "/x"}) {
    BOOST_TEST((kind(uri) == PathKind::kOther), uri);
  }
}

BOOST_AUTO_TEST_CASE(the_token_is_what_follows_the_prefix_in_the_path) {
  BOOST_TEST(read("/.well-known/acme-challenge/abc?d=e").token() == "abc");
  BOOST_TEST(read("/.well-known/acme-challenge/abc/d").token() == "abc/d");
  BOOST_TEST(read("/.well-known/acme-challenge/").token() == "");
}

BOOST_AUTO_TEST_CASE(a_token_is_1_to_128_base64url_characters) {
  for (const std::string& token :
       {std::string("x"), std::string("letsdebug-test"), std::string("A-Z_a-z_0-9"),
        std::string(43, 'a'), std::string(128, 'Z'), std::string("-"), std::string("_")}) {
    BOOST_TEST(is_token(token), token);
  }
  using namespace std::string_view_literals;
  for (const std::string_view token :
       {""sv, "."sv, ".."sv, "a.b"sv, "tok.html"sv, "tok/"sv, "tok//x"sv, "a/b"sv, "a%2Fb"sv,
        "a=b"sv, "a+b"sv, "a b"sv, "%0d%0aX:1"sv, "%00"sv, "a\0"sv, "a\n"sv, "\xc3\xa4"sv,
        "a~"sv}) {
    BOOST_TEST(!is_token(token), base::escaped(token, 80));
  }
  BOOST_TEST(!is_token(std::string(129, 'a')));
  BOOST_TEST(!is_token(std::string(5000, 'a')));
}

BOOST_AUTO_TEST_CASE(method_client_and_scheme_are_kept) {
  RawRequest raw = raw_request("/");
  raw.method = "HEAD";
  raw.client = "2001:db8::7";
  raw.https = true;
  const Request request = read_request(Policy(), raw);
  BOOST_TEST(request.is_head());
  BOOST_TEST(request.client == "2001:db8::7");
  BOOST_TEST(request.https);
  raw.method = "head";  // RFC 9110 9.1: case-sensitive
  BOOST_TEST(!read_request(Policy(), raw).is_head());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::protocol
