#include "transport/framing.h"

#include <boost/test/unit_test.hpp>
#include <random>

#include "tests/transport/records.h"

namespace http01::transport {

using namespace fastcgi_records;
using Status = RequestReader::Status;

std::ostream& boost_test_print_type(std::ostream& out, Status status) {
  switch (status) {
    case Status::kNeedMore:
      return out << "need more";
    case Status::kRequest:
      return out << "request";
    case Status::kBodyTooLarge:
      return out << "body too large";
    case Status::kEnded:
      return out << "ended";
    case Status::kNext:
      return out << "next";
    case Status::kBad:
      return out << "bad";
  }
  return out;
}

BOOST_AUTO_TEST_SUITE(framing)

constexpr std::size_t kMaxBody = protocol::RawRequest::kMaxBody;

Status status_of(std::string_view octets) { return RequestReader().feed(octets).status; }

BOOST_AUTO_TEST_CASE(a_whole_request_tells_its_variables) {
  const Pairs pairs{{"REQUEST_METHOD", "POST"},
                    {"REQUEST_URI", "/a?b"},
                    {"HTTP_HOST", "Example.com:80"},
                    {"REMOTE_ADDR", "2001:db8::1"},
                    {"HTTPS", "on"},
                    {"CONTENT_LENGTH", "3"},
                    {"SERVER_NAME", "_"},
                    {"", ""}};
  RequestReader reader;
  const std::string octets = begin(0x1234, kKeep) + params(pairs, 0x1234) + body("abc", 0x1234);
  const auto [status, consumed] = reader.feed(octets);
  BOOST_TEST(status == Status::kRequest);
  BOOST_TEST(consumed == octets.size());
  BOOST_TEST(reader.id() == 0x1234);
  BOOST_TEST(reader.keep_connection());
  const protocol::RawRequest request = reader.take_request();
  BOOST_TEST(request.method == "POST");
  BOOST_TEST(request.uri == "/a?b");
  BOOST_TEST(request.host == "Example.com:80");
  BOOST_TEST(request.client == "2001:db8::1");
  BOOST_TEST(request.https);
  BOOST_TEST(!request.body_too_large);
}

BOOST_AUTO_TEST_CASE(a_request_without_variables_or_flags_is_whole_too) {
  RequestReader reader;
  BOOST_TEST(reader.feed(begin() + params({}) + body("")).status == Status::kRequest);
  BOOST_TEST(!reader.keep_connection());
  BOOST_TEST(reader.take_request().method == "");
}

BOOST_AUTO_TEST_CASE(only_on_and_1_mean_tls) {
  for (const auto& [value, https] :
       {std::pair{"on", true}, {"1", true}, {"off", false}, {"", false}}) {
    RequestReader reader;
    reader.feed(begin() + params({{"HTTPS", value}}) + body(""));
    BOOST_TEST(reader.take_request().https == https, value);
  }
}

BOOST_AUTO_TEST_CASE(the_last_of_two_equal_names_counts) {
  RequestReader reader;
  reader.feed(begin() +
              params({{"HTTP_HOST", "one"},
                      {"CONTENT_LENGTH", "99999"},
                      {"HTTPS", "on"},
                      {"HTTP_HOST", "two"},
                      {"CONTENT_LENGTH", "0"},
                      {"HTTPS", ""}}) +
              body(""));
  const protocol::RawRequest request = reader.take_request();
  BOOST_TEST(request.host == "two");
  BOOST_TEST(!request.https);
  BOOST_TEST(!request.body_too_large);
}

BOOST_AUTO_TEST_CASE(without_a_request_uri_the_path_is_put_together) {
  RequestReader reader;
  reader.feed(begin() +
              params({{"QUERY_STRING", "c"}, {"SCRIPT_NAME", "/a%"}, {"PATH_INFO", "/b"}}) +
              body(""));
  BOOST_TEST(reader.take_request().uri == "/a%25/b?c");
  RequestReader usual;
  usual.feed(begin() + params({{"REQUEST_URI", "/a%25"}, {"SCRIPT_NAME", "/a%"}}) + body(""));
  BOOST_TEST(usual.take_request().uri == "/a%25");
}

// With padding, several PARAMS records, both sizes of lengths and a body.
std::string varied_request() {
  Pairs pairs = get("/" + std::string(300, 'x'));
  std::string content;
  for (const auto& [name, value] : pairs) content += pair(name, value);
  return begin() + record(4, 1, content.substr(0, 20), 4) + record(4, 1, content.substr(20), 255) +
         record(4, 1, "", 8) + record(5, 1, "body", 3) + record(5, 1, "", 1);
}

BOOST_AUTO_TEST_CASE(a_request_may_be_split_anywhere) {
  const std::string octets = varied_request();
  for (std::size_t split = 0; split < octets.size(); ++split) {
    RequestReader reader;
    const auto first = reader.feed(std::string_view(octets).substr(0, split));
    const auto second = reader.feed(std::string_view(octets).substr(split));
    BOOST_TEST(first.status == Status::kNeedMore, split);
    BOOST_TEST(first.consumed == split);
    BOOST_TEST(second.status == Status::kRequest, split);
    BOOST_TEST(second.consumed == octets.size() - split);
    BOOST_TEST(reader.take_request().uri.size() == 301u);
  }
}

BOOST_AUTO_TEST_CASE(a_request_may_come_one_octet_at_a_time) {
  const std::string octets = varied_request();
  RequestReader reader;
  for (std::size_t i = 0; i < octets.size(); ++i) {
    const auto [status, consumed] = reader.feed(std::string_view(octets).substr(i, 1));
    BOOST_TEST(status == (i + 1 < octets.size() ? Status::kNeedMore : Status::kRequest), i);
    BOOST_TEST(consumed == 1u);
  }
  BOOST_TEST(reader.take_request().host == "example.com");
}

std::string repeated(int heads, const std::string& head) {
  std::string octets;
  for (int i = 0; i < heads; ++i) octets += head;
  return octets;
}

// As lighttpd sends it where the queue of the socket was full at first.
BOOST_AUTO_TEST_CASE(of_heads_that_come_again_before_the_body_the_last_one_counts) {
  const std::string last = begin(7) + params(get("/last"), 7) + body("abc", 7);
  Pairs first = get("/first");
  first.emplace_back("HTTPS", "on");
  for (int heads = 1; heads < RequestReader::kMaxHeads; ++heads) {
    const std::string octets = repeated(heads, begin(7, kKeep) + params(first, 7)) + last;
    RequestReader reader;
    const auto [status, consumed] = reader.feed(octets);
    BOOST_TEST(status == Status::kRequest, heads);
    BOOST_TEST(consumed == octets.size());
    BOOST_TEST(!reader.keep_connection());
    BOOST_TEST(reader.id() == 7);
    const protocol::RawRequest request = reader.take_request();
    BOOST_TEST(request.uri == "/last");
    BOOST_TEST(!request.https);
  }
}

BOOST_AUTO_TEST_CASE(a_head_that_comes_again_elsewhere_is_bad) {
  const std::string head = begin() + params(get("/"));
  const std::string whole = head + body("");
  const std::pair<const char*, std::string> cases[] = {
      {"too often", repeated(RequestReader::kMaxHeads, head) + whole},
      {"behind a part of the body", head + record(5, 1, "x") + whole},
      {"behind a part of PARAMS", head.substr(0, head.size() - 8) + whole},
      {"behind BEGIN_REQUEST", begin() + whole},
      {"without its BEGIN_REQUEST", head + whole.substr(16)},
      {"with a short BEGIN_REQUEST", head + record(1, 1, std::string("\0\1", 2)) + whole},
  };
  for (const auto& [name, octets] : cases) BOOST_TEST(status_of(octets) == Status::kBad, name);
  BOOST_TEST(status_of(repeated(RequestReader::kMaxHeads - 1, head) + whole) == Status::kRequest);
}

BOOST_AUTO_TEST_CASE(what_follows_a_request_is_not_consumed) {
  const std::string one = request("/1", kKeep, 1);
  const std::string two = request("/2", kKeep, 2);
  const std::string both = one + two;
  RequestReader reader;
  BOOST_TEST(reader.feed(both).consumed == one.size());
  RequestReader next;
  BOOST_TEST(next.feed(std::string_view(both).substr(one.size())).status == Status::kRequest);
  BOOST_TEST(next.take_request().uri == "/2");
  BOOST_TEST(next.id() == 2);
}

BOOST_AUTO_TEST_CASE(the_variables_may_have_64_kb_in_all) {
  // Name of 1, value of 4 length octets.
  const std::string largest(RequestReader::kMaxParams - 5 - 11, 'u');
  RequestReader reader;
  BOOST_TEST(reader.feed(begin() + params({{"REQUEST_URI", largest}}) + body("")).status ==
             Status::kRequest);
  BOOST_TEST(reader.take_request().uri.size() > protocol::Request::kMaxTarget);
  BOOST_TEST(status_of(begin() + params({{"REQUEST_URI", largest + "u"}})) == Status::kBad);
  BOOST_TEST(status_of(begin() + params({{"X", std::string(100'000, 'u')}}, 1, 1000)) ==
             Status::kBad);
}

// Thousands of connections, each with 64 KB of a request that never ended, took a quarter of a GB.
BOOST_AUTO_TEST_CASE(of_a_request_in_parts_only_what_counts_is_kept) {
  std::string others;
  for (int i = 0; i < 60; ++i) {
    others += pair("HTTP_X_" + std::to_string(i), std::string(500, 'x'));
    others += pair(std::string(500, 'N'), std::string(i, 'x'));
  }
  const std::string path = "/" + std::string(300, 'u');
  const std::string before = pair("REQUEST_URI", "/of another") + pair("HTTP_HOST", "example.com");
  const std::string content =
      before + others + pair("REQUEST_URI", path) + pair("REMOTE_ADDR", "192.0.2.1");
  const std::string octets = begin() + stream(4, 1, content, 700) + body("");
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{1000}, std::size_t{16'384}}) {
    RequestReader reader;
    Status status = Status::kNeedMore;
    std::size_t most = 0;
    for (std::size_t at = 0; at < octets.size(); at += chunk) {
      status = reader.feed(std::string_view(octets).substr(at, chunk)).status;
      most = std::max(most, reader.kept());
    }
    BOOST_TEST(status == Status::kRequest);
    BOOST_TEST(most < 8'000u, chunk << ": " << most);
    const protocol::RawRequest request = reader.take_request();
    BOOST_TEST(request.uri == path);
    BOOST_TEST(request.host == "example.com");
    BOOST_TEST(request.client == "192.0.2.1");
  }
}

BOOST_AUTO_TEST_CASE(of_the_variables_that_count_no_more_is_kept_than_any_request_may_have) {
  for (const std::size_t chunk : {std::size_t{100}, std::size_t{16'384}}) {
    std::string content;
    for (const char* name : CgiVariables::kNames) content += pair(name, std::string(4'500, '1'));
    for (const char* name : PathVariables::kNames) content += pair(name, std::string(4'500, 'p'));
    RequestReader reader;
    std::size_t most = 0;
    for (std::string_view rest = content; !rest.empty();
         rest.remove_prefix(std::min(chunk, rest.size()))) {
      reader.feed((rest.size() == content.size() ? begin() : "") +
                  record(4, 1, std::string(rest.substr(0, chunk))));
      most = std::max(most, reader.kept());
    }
    BOOST_TEST(most < 40'000u, chunk << ": " << most);
    BOOST_TEST(reader.feed(record(4, 1, "")).status == Status::kBodyTooLarge);
    const protocol::RawRequest request = reader.take_request();
    // Too long, and not another path.
    BOOST_TEST(request.uri.size() > protocol::Request::kMaxTarget);
    BOOST_TEST(request.host.size() == 512u);
  }
}

BOOST_AUTO_TEST_CASE(a_stream_that_ends_within_a_pair_is_bad_though_its_beginning_is_not_kept) {
  const std::string content = pair("HTTP_X", std::string(9'000, 'x'));
  for (const std::size_t left : {std::size_t{1}, std::size_t{5'000}}) {
    RequestReader reader;
    const std::string part = content.substr(0, content.size() - left);
    reader.feed(begin() + record(4, 1, part.substr(0, 3'000)));
    reader.feed(record(4, 1, part.substr(3'000)));
    BOOST_TEST(reader.feed(record(4, 1, "")).status == Status::kBad, left);
  }
}

BOOST_AUTO_TEST_CASE(a_request_that_is_given_up_is_marked_and_has_what_was_there) {
  RequestReader silent;
  BOOST_TEST(!silent.refuse());
  silent.feed(begin().substr(0, 9));
  BOOST_TEST(!silent.refuse());
  for (const std::size_t missing : {1, 8, 9, 20}) {
    RequestReader reader;
    const std::string octets = request("/");
    reader.feed(octets.substr(0, octets.size() - missing));
    BOOST_TEST(reader.refuse());
    const protocol::RawRequest request = reader.take_request();
    BOOST_TEST(request.overloaded);
    BOOST_TEST(request.uri == "/");
  }
}

BOOST_AUTO_TEST_CASE(a_body_may_have_64_kb) {
  const std::string head = begin() + params(get("/"));
  RequestReader reader;
  BOOST_TEST(reader.feed(head + body(std::string(kMaxBody, 'b'))).status == Status::kRequest);
  BOOST_TEST(!reader.take_request().body_too_large);

  RequestReader larger;
  const std::string octets = head + body(std::string(kMaxBody + 1, 'b'));
  BOOST_TEST(larger.feed(octets).status == Status::kBodyTooLarge);
  const protocol::RawRequest request = larger.take_request();
  BOOST_TEST(request.body_too_large);
  BOOST_TEST(request.uri == "/");
}

BOOST_AUTO_TEST_CASE(a_body_announced_as_too_large_is_not_waited_for) {
  struct Case {
    const char* content_length;
    Status status;
  };
  for (const Case& c : {Case{"65536", Status::kNeedMore}, Case{"65537", Status::kBodyTooLarge},
                        Case{"99999999999999999999999999", Status::kBodyTooLarge},
                        Case{"-1", Status::kNeedMore}, Case{"", Status::kNeedMore},
                        Case{"65537x", Status::kNeedMore}, Case{"many", Status::kNeedMore}}) {
    Pairs pairs = get("/");
    pairs.emplace_back("CONTENT_LENGTH", c.content_length);
    BOOST_TEST(status_of(begin() + params(pairs)) == c.status, c.content_length);
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_plain_request_is_bad) {
  using namespace std::string_view_literals;
  const std::string params_end = record(4, 1, "");
  const std::pair<const char*, std::string> cases[] = {
      {"HTTP", "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"},
      {"version 0", record(1, 1, std::string("\0\1\0\0\0\0\0\0", 8), 0, 0)},
      {"version 2", record(1, 1, std::string("\0\1\0\0\0\0\0\0", 8), 0, 2)},
      {"version 2 of a later record", begin() + record(4, 1, "", 0, 2)},
      {"id 0", begin(0)},
      {"PARAMS of id 0", begin() + record(4, 0, "")},
      {"an unknown type of the request", begin() + record(77, 1, "")},
      {"a short BEGIN_REQUEST", record(1, 1, "\0\1\0\0\0\0\0"sv)},
      {"a long BEGIN_REQUEST", record(1, 1, "\0\1\0\0\0\0\0\0\0"sv)},
      {"STDIN before the end of PARAMS", begin() + record(5, 1, "")},
      {"PARAMS after their end", begin() + params_end + params_end},
      {"a second BEGIN_REQUEST", begin() + begin()},
      {"DATA", begin() + params_end + record(8, 1, "x")},
      {"a value of 2 GB", begin() + stream(4, 1, "\1\xff\xff\xff\xffx"sv)},
      {"a name of 2 GB", begin() + stream(4, 1, "\xff\xff\xff\xff\1x"sv)},
      {"both of 2 GB", begin() + stream(4, 1, "\xff\xff\xff\xff\xff\xff\xff\xffx"sv)},
      {"a length cut short", begin() + stream(4, 1, "\1\x80\0"sv)},
      {"a name without a value's length", begin() + stream(4, 1, "\1"sv)},
      {"a value cut short", begin() + stream(4, 1, "\1\2xy"sv)},
      {"a name cut short", begin() + stream(4, 1, "\3\0xy"sv)},
  };
  for (const auto& [name, octets] : cases) {
    BOOST_TEST(status_of(octets) == Status::kBad, name);
    RequestReader reader;
    Status status = Status::kNeedMore;
    for (std::size_t i = 0; i < octets.size() && status == Status::kNeedMore; ++i) {
      status = reader.feed(std::string_view(octets).substr(i, 1)).status;
    }
    BOOST_TEST(status == Status::kBad, name << ", one octet at a time");
  }
}

BOOST_AUTO_TEST_CASE(many_small_parameters_are_read_up_to_the_limit) {
  const auto with_pairs = [](int count) {
    std::string content;
    for (int i = 0; i < count; ++i) content += std::string(2, '\0');
    return begin() + stream(4, 1, content) + body("");
  };
  BOOST_TEST(status_of(with_pairs(32'768)) == Status::kRequest);
  BOOST_TEST(status_of(with_pairs(50'000)) == Status::kBad);
}

BOOST_AUTO_TEST_CASE(random_octets_are_bad_and_never_read_past_the_end) {
  std::mt19937 random(20240607);  // NOLINT: the same octets each time
  const std::string good = varied_request();
  for (int round = 0; round < 20'000; ++round) {
    std::string octets = good;
    if (round % 2 == 0) {
      for (char& octet : octets) octet = static_cast<char>(random());
    } else {
      // Mostly right, so that the deeper parts are reached.
      for (int i = 0; i < 3; ++i) octets[random() % octets.size()] = static_cast<char>(random());
    }
    // A copy of exactly this size, so that a sanitizer sees the end.
    const std::vector<char> exact(octets.begin(), octets.end());
    RequestReader reader;
    const auto [status, consumed] = reader.feed({exact.data(), exact.size()});
    BOOST_TEST(consumed <= exact.size());
    // Records of no request are ignored.
    if (round % 2 == 0) BOOST_TEST((status == Status::kBad || octets[0] == 1));
    if (round % 2 == 0) BOOST_TEST(status != Status::kRequest);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::transport
