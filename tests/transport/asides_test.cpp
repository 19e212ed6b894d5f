// What comes on a FastCGI connection beside the request that is served: the connection's own
// records, and those of other requests (FastCGI 1.0, 3.3, 4 and 5).

#include <boost/test/unit_test.hpp>

#include "tests/transport/records.h"
#include "transport/framing.h"

namespace http01::transport {

using namespace fastcgi_records;
using namespace std::string_view_literals;
using Status = RequestReader::Status;

BOOST_AUTO_TEST_SUITE(asides)

const std::string kQuestion = record(9, 0, pair("FCGI_MPXS_CONNS", ""), 3);
const std::string kValues = record(10, 0, pair("FCGI_MPXS_CONNS", "0"));
const std::string kUnknown = record(77, 0, "what?");
const std::string kUnknownAnswer = record(11, 0, "M\0\0\0\0\0\0\0"sv);

std::string ended(int id, int status) {
  return record(3, id, std::string(4, '\0') + static_cast<char>(status) + std::string(3, '\0'));
}

std::string replies_to(const std::string& octets, Status expected, std::size_t chunk) {
  RequestReader reader;
  Status status = Status::kNeedMore;
  std::string replies;
  for (std::size_t at = 0; at < octets.size(); at += chunk) {
    BOOST_TEST((status == Status::kNeedMore));
    const std::string_view part = std::string_view(octets).substr(at, chunk);
    const auto progress = reader.feed(part);
    status = progress.status;
    if (status != Status::kBad) BOOST_TEST(progress.consumed == part.size());
    replies += reader.take_replies();
  }
  BOOST_TEST((status == expected), "status " << int(status));
  return replies;
}

BOOST_AUTO_TEST_CASE(what_is_beside_the_request_is_replied_to_or_ignored) {
  const std::string head = begin() + params(get("/"));
  std::string foreign_role = begin();
  foreign_role[8] = 1;
  struct Case {
    const char* what;
    std::string octets;
    Status status;
    std::string replies;
  };
  const Case cases[] = {
      {"values", kQuestion, Status::kNeedMore, kValues},
      {"values before", kQuestion + request("/"), Status::kRequest, kValues},
      {"values within", begin() + kQuestion + params(get("/")) + kQuestion + body(""),
       Status::kRequest, kValues + kValues},
      {"values of one kind often",
       record(
           9, 0,
           pair("FCGI_MPXS_CONNS", "") + pair("FCGI_MPXS_CONNS", "") + pair("FCGI_MPXS_CONNS", "")),
       Status::kNeedMore, kValues},
      {"a long question", record(9, 0, pair("X", std::string(60'000, 'x'))), Status::kNeedMore,
       record(10, 0, "")},
      {"an unknown type", kUnknown + request("/"), Status::kRequest, kUnknownAnswer},
      {"authorizer", begin(7, 0, 2), Status::kEnded, ended(7, 3)},
      {"filter", begin(7, 0, 3), Status::kEnded, ended(7, 3)},
      {"a role of two octets", foreign_role, Status::kEnded, ended(1, 3)},
      {"authorizer of a kept connection, and a request",
       begin(7, kKeep, 2) + params(get("/x"), 7) + body("x", 7) + request("/"), Status::kRequest,
       ended(7, 3)},
      {"another role of a head that comes again", head + begin(1, 0, 2), Status::kEnded,
       ended(1, 3)},
      {"abort in PARAMS", begin(5) + record(2, 5, ""), Status::kEnded, ended(5, 0)},
      {"abort in the body", head + record(5, 1, "x") + record(2, 1, "", 8), Status::kEnded,
       ended(1, 0)},
      {"abort of a kept connection, and a request",
       begin(5, kKeep) + params(get("/x"), 5) + record(2, 5, "x") + record(5, 5, "") + request("/"),
       Status::kRequest, ended(5, 0)},
      {"abort of no request", record(2, 1, "") + request("/"), Status::kRequest, ""},
      {"PARAMS of no request", params(get("/"), 3), Status::kNeedMore, ""},
      {"a second id",
       begin(1) + begin(2) + params(get("/x"), 2) + params(get("/"), 1) + body("x", 2) +
           body("", 1),
       Status::kRequest, ended(2, 1)},
      {"a second id, given up", head + begin(2) + record(2, 2, "") + body(""), Status::kRequest,
       ended(2, 1)},
  };
  for (const Case& c : cases) {
    for (const std::size_t chunk : {c.octets.size(), std::size_t{1}}) {
      BOOST_TEST_CONTEXT(c.what) { BOOST_TEST(replies_to(c.octets, c.status, chunk) == c.replies); }
    }
  }
}

BOOST_AUTO_TEST_CASE(the_request_is_that_of_the_first_id) {
  RequestReader reader;
  reader.feed(begin(1) + begin(2) + params(get("/x"), 2) + params(get("/"), 1) + body("", 1));
  BOOST_TEST(reader.id() == 1);
  BOOST_TEST(reader.take_request().uri == "/");
}

struct ActiveRequest {
  RequestReader reader;
  ActiveRequest() {
    BOOST_TEST((reader.feed(request("/1", kKeep)).status == Status::kRequest));
    reader.take_request();
  }
  Status feed(std::string_view octets) { return reader.feed(octets).status; }
};

BOOST_AUTO_TEST_CASE(a_request_that_waits_for_its_answer_can_be_given_up) {
  ActiveRequest active;
  BOOST_TEST((active.feed(record(2, 1, "abc")) == Status::kEnded));
  BOOST_TEST(active.reader.take_replies() == ended(1, 0));
  BOOST_TEST((active.feed(request("/2")) == Status::kRequest));
  BOOST_TEST(active.reader.take_request().uri == "/2");
}

BOOST_AUTO_TEST_CASE(while_a_request_waits_others_are_refused_and_questions_answered) {
  ActiveRequest active;
  BOOST_TEST((active.feed(request("/2", 0, 2) + kQuestion + kUnknown + record(2, 2, "")) ==
              Status::kNeedMore));
  BOOST_TEST(active.reader.take_replies() == ended(2, 1) + kValues + kUnknownAnswer);
  // What belongs to a request that is whole already.
  BOOST_TEST((active.feed(record(5, 1, "x")) == Status::kNeedMore));
  BOOST_TEST(active.reader.take_replies() == "");
}

BOOST_AUTO_TEST_CASE(the_next_request_of_the_same_id_waits_for_the_answer) {
  for (const std::size_t chunk : {1u, 1000u}) {
    ActiveRequest active;
    const std::string next = request("/2");
    std::size_t at = 0;
    Status status = Status::kNeedMore;
    while (status == Status::kNeedMore) {
      const auto progress = active.reader.feed(std::string_view(next).substr(at, chunk));
      status = progress.status;
      at += progress.consumed;
    }
    BOOST_TEST((status == Status::kNext));
    BOOST_TEST(active.reader.has_begun());
    active.reader.answered();
    BOOST_TEST((active.feed(std::string_view(next).substr(at)) == Status::kRequest));
    BOOST_TEST(active.reader.take_request().uri == "/2");
  }
}

// Whoever asks and never reads what is replied must not make it grow.
BOOST_AUTO_TEST_CASE(what_is_beside_the_requests_is_bounded_between_two_answers) {
  const std::pair<const char*, std::string> cases[] = {
      {"values", kQuestion},
      {"unknown types", kUnknown},
      {"requests that are given up", begin(1, kKeep) + record(2, 1, "")},
      {"roles", begin(1, kKeep, 2)},
      {"records of no request", record(4, 9, "")},
      {"octets of no request", record(4, 9, std::string(60'000, 'x'))},
      {"other requests", begin(2)},
  };
  const auto rounds_until_bad = [](RequestReader& reader, const std::string& octets) {
    for (int rounds = 0; rounds < 1000; ++rounds) {
      if (reader.feed(octets).status == Status::kBad) return rounds;
    }
    return 1000;
  };
  for (const auto& [name, octets] : cases) {
    RequestReader reader;
    if (name == "other requests"sv) reader.feed(begin(1));
    BOOST_TEST(rounds_until_bad(reader, octets) <= RequestReader::kMaxAsides, name);
    BOOST_TEST(reader.take_replies().size() < 10'000u, name);
  }
  RequestReader served;
  for (int i = 0; i < 1000; ++i) {
    BOOST_TEST((served.feed(kQuestion + request("/", kKeep)).status == Status::kRequest), i);
    served.answered();
  }
}

BOOST_AUTO_TEST_CASE(what_was_never_fastcgi_is_kept_to_be_recognized) {
  RequestReader http;
  http.feed("GET");
  BOOST_TEST((http.feed(" / HTTP/1.1\r\n").status == Status::kBad));
  BOOST_TEST(http.foreign_octets() == "GET / HT");
  RequestReader broken;
  BOOST_TEST((broken.feed(begin() + "GET / HTTP/1.1\r\n").status == Status::kBad));
  BOOST_TEST(broken.foreign_octets() == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::transport
