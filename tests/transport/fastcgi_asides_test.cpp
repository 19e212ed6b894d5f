// The connection's own records, aborted and refused requests, and what is not FastCGI, at the
// socket.

#include "tests/transport/site.h"

namespace http01::transport {

BOOST_AUTO_TEST_SUITE(fastcgi_asides)

using namespace fastcgi_site;
using namespace std::string_literals;

const std::string kQuestion = record(9, 0, pair("FCGI_MPXS_CONNS", ""));
const std::string kValues = record(10, 0, pair("FCGI_MPXS_CONNS", "0"));

std::string ended(int id, int status) {
  return record(3, id, std::string(4, '\0') + static_cast<char>(status) + std::string(3, '\0'));
}

std::string take(Site& site, Client& client, std::size_t size) {
  site.until([&] {
    client.read();
    return client.received.size() >= size || client.closed;
  });
  return std::exchange(client.received, {});
}

BOOST_AUTO_TEST_CASE(values_are_told_before_a_request_while_it_is_held_and_on_a_kept_connection) {
  Site site;
  site.answer_at_once = false;
  Client client = site.connect();
  client.send(kQuestion);
  BOOST_TEST(take(site, client, kValues.size()) == kValues);
  client.send(request("/1", kKeep) + kQuestion);
  BOOST_TEST(take(site, client, kValues.size()) == kValues);
  BOOST_TEST(site.seen.size() == 1u);
  client.send(kQuestion);
  BOOST_TEST(take(site, client, kValues.size()) == kValues);
  site.server->reply(site.seen[0].id, kAnswer);
  BOOST_TEST(site.answer_to(client) == kAnswer);
  client.send(kQuestion);
  BOOST_TEST(take(site, client, kValues.size()) == kValues);
  client.send(request("/2"));
  BOOST_TEST(site.until([&] { return site.seen.size() == 2; }));
  site.server->reply(site.seen[1].id, kAnswer);
  BOOST_TEST(site.answer_to(client) == kAnswer);
}

BOOST_AUTO_TEST_CASE(a_held_request_that_is_aborted_is_given_up_and_a_kept_connection_goes_on) {
  for (const int flags : {0, kKeep}) {
    for (const bool in_one_write : {true, false}) {
      Site site;
      site.answer_at_once = false;
      Client client = site.connect();
      const std::string abort = record(2, 7, "");
      client.send(request("/1", flags, 7) + (in_one_write ? abort : ""));
      BOOST_TEST(site.until([&] { return site.seen.size() == 1; }));
      if (!in_one_write) client.send(abort);
      BOOST_TEST(take(site, client, 16) == ended(7, 0));
      BOOST_TEST(site.until([&] { return site.gone.size() == 1; }));
      BOOST_TEST(site.gone[0] == site.seen[0].id);
      site.server->reply(site.seen[0].id, kAnswer);  // too late
      if (flags == kKeep) {
        site.answer_at_once = true;
        client.send(request("/2", 0, 7));
        BOOST_TEST(site.answer_to(client) == "for /2");
      }
      BOOST_TEST(site.until([&] { return client.is_closed(); }));
      BOOST_TEST(!client.reset);
      BOOST_TEST(client.received.empty());
      client.fd.reset();
      BOOST_TEST(site.until([&] { return site.server->connections() == 0; }));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_second_id_is_refused_and_the_first_goes_on) {
  Site site;
  site.answer_at_once = false;
  Client client = site.connect();
  client.send(request("/1", kKeep, 1) + request("/2", kKeep, 2));
  BOOST_TEST(take(site, client, 16) == ended(2, 1));
  client.send(request("/3", kKeep, 3));
  BOOST_TEST(take(site, client, 16) == ended(3, 1));
  BOOST_TEST(site.seen.size() == 1u);
  site.server->reply(site.seen[0].id, kAnswer);
  BOOST_TEST(site.answer_to(client) == kAnswer);
  client.send(request("/2", 0, 2));
  BOOST_TEST(site.until([&] { return site.seen.size() == 2; }));
  BOOST_TEST(site.seen[1].request.uri == "/2");
}

BOOST_AUTO_TEST_CASE(another_role_is_refused_and_its_rest_does_not_eat_the_answer) {
  for (const int role : {2, 3}) {
    Site site;
    Client client = site.connect();
    const std::string head = begin(5, 0, role) + params(get("/"), 5);
    client.send(head.substr(0, 16));
    BOOST_TEST(site.until([&] { return site.server->connections() == 1; }));
    client.send(head.substr(16) + body(std::string(10'000, 'b'), 5));
    BOOST_TEST(site.until([&] { return client.is_closed(); }));
    BOOST_TEST(!client.reset);
    BOOST_TEST(client.received == ended(5, 3));
    BOOST_TEST(site.seen.empty());
  }
}

// A web server that never reads what it asks for is closed, and has cost next to nothing.
BOOST_AUTO_TEST_CASE(endless_questions_are_bounded_also_while_a_request_is_held) {
  for (const bool held : {false, true}) {
    Site site;
    site.answer_at_once = false;
    Client client = site.connect();
    std::string questions;
    for (int i = 0; i < 1000; ++i) questions += kQuestion;
    if (held) {
      client.send(request("/1", kKeep));
      BOOST_TEST(site.until([&] { return site.seen.size() == 1; }));
    }
    client.send(questions);
    BOOST_TEST(site.until([&] { return site.server->connections() == 0; }));
    BOOST_TEST(site.gone.size() == (held ? 1u : 0u));
  }
}

BOOST_AUTO_TEST_CASE(a_client_that_ends_its_side_while_its_request_is_held_gets_its_answer) {
  Site site;
  site.answer_at_once = false;
  Client client = site.connect();
  client.send(request("/1", kKeep));
  BOOST_TEST(site.until([&] { return site.seen.size() == 1; }));
  ::shutdown(client.fd.get(), SHUT_WR);
  site.settle();
  BOOST_TEST(site.gone.empty());
  site.server->reply(site.seen[0].id, kAnswer);
  BOOST_TEST(site.answer_to(client) == kAnswer);
  BOOST_TEST(site.until([&] { return client.is_closed(); }));
}

BOOST_AUTO_TEST_CASE(what_is_not_fastcgi_is_told_by_its_kind_and_a_broken_stream_is_not) {
  Site site;
  for (const std::string& octets :
       {"GET / HTTP/1.1\r\n\r\n"s, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc"s, "70:CONTENT_LENGTH"s,
        begin() + "GET / HTTP/1.1\r\n\r\n"s, begin(0), "GET"s}) {
    Client client = site.connect();
    client.send(octets);
    if (octets == "GET") ::shutdown(client.fd.get(), SHUT_WR);
    BOOST_TEST(site.until([&] { return client.is_closed(); }));
  }
  BOOST_TEST(site.foreign.size() == 3u);
  BOOST_TEST((site.foreign == std::vector{Foreign::kHttp, Foreign::kTls, Foreign::kScgi}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::transport
