#include "transport/fastcgi.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <functional>
#include <optional>
#include <vector>

#include "tests/transport/site.h"

namespace http01::transport {

BOOST_AUTO_TEST_SUITE(fastcgi)

using namespace fastcgi_site;

BOOST_AUTO_TEST_CASE(a_request_is_answered_and_its_connection_closed) {
  for (const int family : {AF_UNIX, AF_INET}) {
    for (const bool at_once : {true, false}) {
      Site site({}, family);
      site.answer_at_once = at_once;
      Client client = site.connect();
      client.send(request("/a"));
      BOOST_TEST(site.until([&] { return site.seen.size() == 1; }));
      BOOST_TEST(site.seen[0].request.uri == "/a");
      BOOST_TEST(site.seen[0].request.host == "example.com");
      if (!at_once) {
        BOOST_TEST(site.server->connections() == 1u);
        site.server->reply(site.seen[0].id, kAnswer);
      }
      BOOST_TEST(site.answer_to(client) == (at_once ? "for /a" : kAnswer));
      BOOST_TEST(site.until([&] { return client.is_closed(); }));
      BOOST_TEST(!client.reset);
      BOOST_TEST(site.server->connections() == 0u);
      BOOST_TEST(site.gone.empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(the_answer_carries_the_request_id_of_the_web_server) {
  Site site;
  Client client = site.connect();
  client.send(request("/a", 0, 0x1234));
  BOOST_TEST(site.until([&] { return client.is_closed(); }));
  BOOST_TEST(read_answer(client.received)->id == 0x1234);
}

// Each write of one octet takes hundreds of a unix socket's buffer, so that this request never fits
// there.
BOOST_AUTO_TEST_CASE(a_request_that_comes_one_octet_at_a_time_is_served) {
  Site site;
  Client client = site.connect();
  const std::string octets = request("/" + std::string(3000, 'u'));
  std::size_t sent = 0;
  BOOST_TEST(site.until([&] {
    while (sent < octets.size() && client.send({octets.data() + sent, 1}) == 1) ++sent;
    return client.is_closed();
  }));
  BOOST_TEST(sent == octets.size());
  BOOST_TEST(client.answer().value_or("").size() == 3005u);
}

BOOST_AUTO_TEST_CASE(a_silent_connection_is_closed_when_its_time_is_over) {
  FastCgiTimeouts timeouts;
  timeouts.read = 500ms;  // long enough for all to be there at once on a busy machine
  Site site(timeouts);
  const auto start = Clock::now();
  std::vector<Client> silent;
  for (int i = 0; i < 200; ++i) silent.push_back(site.connect());
  BOOST_TEST(site.until([&] { return site.server->connections() == 200; }));
  BOOST_TEST(site.until([&] { return silent.back().is_closed(); }));
  BOOST_TEST((Clock::now() - start >= 500ms));
  for (Client& client : silent) BOOST_TEST(client.is_closed());
  BOOST_TEST(site.server->connections() == 0u);
  BOOST_TEST(site.seen.empty());
}

BOOST_AUTO_TEST_CASE(where_there_is_no_room_for_more_the_oldest_unfinished_requests_are_refused) {
  Site site;
  site.server->set_max_kept(40'000);
  const std::string octets = request("/" + std::string(3'000, 'u'));
  std::vector<Client> slow;
  for (int i = 0; i < 40; ++i) {
    slow.push_back(site.connect());
    slow.back().send(octets.substr(0, 2'000));
    site.settle();
  }
  BOOST_TEST(site.until([&] { return site.seen.size() >= 10; }));
  for (const auto& seen : site.seen) BOOST_TEST(seen.request.overloaded);
  BOOST_TEST(site.seen.size() < 39u);
  BOOST_TEST(site.until([&] { return slow.front().answer().has_value(); }));
  // One that comes at once keeps nothing.
  const std::size_t before = site.seen.size();
  Client honest = site.connect();
  honest.send(request("/a"));
  BOOST_TEST(site.answer_to(honest) == "for /a");
  BOOST_TEST(site.seen.size() == before + 1);
  // The youngest are left to finish.
  slow.back().send(std::string_view(octets).substr(2'000));
  BOOST_TEST(site.until([&] { return slow.back().answer().has_value(); }));
  BOOST_TEST(!site.seen.back().request.overloaded);
}

BOOST_AUTO_TEST_CASE(where_there_is_no_room_for_answers_the_oldest_that_is_not_taken_goes) {
  Site site;
  site.server->set_max_kept(2'000'000);
  site.answer_at_once = false;
  std::vector<Client> deaf;
  for (int i = 0; i < 4; ++i) {
    deaf.push_back(site.connect());
    deaf.back().send(request("/a"));
    BOOST_TEST(site.until([&] { return site.seen.size() == deaf.size(); }));
    site.server->reply(site.seen.back().id, std::string(900'000, 'a'));
  }
  site.settle();
  BOOST_TEST(site.server->connections() >= 1u);
  BOOST_TEST(site.server->connections() < 4u);
  BOOST_TEST(site.until([&] { return deaf.back().answer().has_value(); }));
  BOOST_TEST(!deaf.front().answer().has_value());
}

BOOST_AUTO_TEST_CASE(octets_that_drip_do_not_put_the_end_off) {
  Site site(short_times());
  Client client = site.connect();
  const std::string octets = request("/" + std::string(60'000, 'u'));
  std::size_t sent = 0;
  // One octet every half millisecond: the request would need 30 s.
  BOOST_TEST(site.until([&] {
    if (sent < octets.size()) sent += client.send({octets.data() + sent, 1});
    return client.is_closed();
  }));
  BOOST_TEST(sent < octets.size());
  BOOST_TEST(site.seen.empty());
}

// Found where the process was stopped for longer than a request may take.
BOOST_AUTO_TEST_CASE(a_request_that_has_come_is_served_though_its_time_is_over) {
  FastCgiTimeouts timeouts;
  timeouts.read = 500ms;
  Site site(timeouts);
  std::vector<Client> clients;
  for (int i = 0; i < 300; ++i) {
    clients.push_back(site.connect());
    clients.back().send("\1");
  }
  BOOST_TEST(site.until([&] { return site.server->connections() == clients.size(); }));
  site.settle();  // accepted is not begun
  site.loop.defer([&] {
    while (Clock::now() < site.loop.now() + 600ms) {
    }
    for (const Client& client : clients) {
      // The last one is more than one read takes.
      const std::size_t size = &client == &clients.back() ? 60'000 : 1;
      const std::string octets = request("/" + std::string(size, 'u'));
      BOOST_TEST(client.send(std::string_view(octets).substr(1)) == octets.size() - 1);
    }
  });
  BOOST_TEST(site.until([&] { return site.server->connections() == 0; }));
  BOOST_TEST(site.seen.size() == clients.size());
  for (Client& client : clients) BOOST_TEST(client.answer().has_value());
}

BOOST_AUTO_TEST_CASE(a_kept_connection_has_its_time_for_each_request) {
  FastCgiTimeouts timeouts;
  timeouts.read = 50ms;
  Site site(timeouts);
  Client client = site.connect();
  client.send(request("/1", kKeep));
  BOOST_TEST(site.answer_to(client) == "for /1");
  const auto start = Clock::now();
  site.until([&] { return Clock::now() - start > 60ms; });
  BOOST_TEST(!client.is_closed());
  client.send("\1");
  BOOST_TEST(site.until([&] { return client.is_closed(); }));
  BOOST_TEST((Clock::now() - start > 100ms));
}

BOOST_AUTO_TEST_CASE(a_kept_connection_that_stays_idle_is_closed_in_the_end) {
  FastCgiTimeouts timeouts;
  timeouts.idle = 50ms;
  Site site(timeouts);
  Client client = site.connect();
  client.send(request("/1", kKeep));
  BOOST_TEST(site.answer_to(client) == "for /1");
  BOOST_TEST(site.until([&] { return client.is_closed(); }));
}

BOOST_AUTO_TEST_CASE(garbage_is_closed_at_once_and_others_are_served_meanwhile) {
  Site site;
  Client silent = site.connect();
  Client half = site.connect();
  half.send(request("/half").substr(0, 40));
  Client garbage = site.connect();
  garbage.send("GET / HTTP/1.1\r\n\r\n");
  Client zero = site.connect();
  zero.send(begin(0));
  Client good = site.connect();
  good.send(request("/good"));

  const auto start = Clock::now();
  BOOST_TEST(site.answer_to(good) == "for /good");
  BOOST_TEST(site.until([&] { return garbage.is_closed() && zero.is_closed(); }));
  BOOST_TEST((Clock::now() - start < 2s));
  BOOST_TEST(garbage.received.empty());
  BOOST_TEST(zero.received.empty());
  BOOST_TEST(!silent.is_closed());
  half.send(request("/half").substr(40));
  BOOST_TEST(site.answer_to(half) == "for /half");
}

BOOST_AUTO_TEST_CASE(a_kept_connection_serves_one_request_after_the_other) {
  for (const bool at_once : {true, false}) {
    Site site;
    site.answer_at_once = at_once;
    Client client = site.connect();
    for (const char* uri : {"/1", "/2", "/3"}) {
      client.send(request(uri, kKeep));
      const std::size_t expected = site.seen.size() + 1;
      BOOST_TEST(site.until([&] { return site.seen.size() == expected; }));
      if (!at_once) site.server->reply(site.seen.back().id, std::string("for ") + uri);
      BOOST_TEST(site.answer_to(client) == std::string("for ") + uri);
      BOOST_TEST(site.server->connections() == 1u);
    }
    BOOST_TEST(site.seen[0].id != site.seen[1].id);
    client.send(request("/last"));
    BOOST_TEST(site.until([&] { return site.seen.size() == 4; }));
    site.server->reply(site.seen.back().id, "for /last");
    BOOST_TEST(site.answer_to(client) == "for /last");
    BOOST_TEST(site.until([&] { return client.is_closed(); }));
  }
}

BOOST_AUTO_TEST_CASE(requests_in_one_write_are_answered_in_order) {
  for (const bool at_once : {true, false}) {
    Site site;
    site.answer_at_once = at_once;
    Client client = site.connect();
    const std::string third = request("/3");
    client.send(request("/1", kKeep) + request("/2", kKeep) + third.substr(0, 30));
    for (const char* uri : {"/1", "/2"}) {
      if (!at_once) {
        BOOST_TEST(site.until([&] { return !site.seen.empty(); }));
        site.settle();
        BOOST_TEST(site.seen.size() == 1u);  // the next one waits for this one's answer
        site.server->reply(site.seen[0].id, "for " + site.seen[0].request.uri);
        site.seen.clear();
      }
      BOOST_TEST(site.answer_to(client) == std::string("for ") + uri);
    }
    site.answer_at_once = true;
    client.send(third.substr(30));
    BOOST_TEST(site.answer_to(client) == "for /3");
    BOOST_TEST(site.until([&] { return client.is_closed(); }));
  }
}

BOOST_AUTO_TEST_CASE(no_handler_is_called_from_inside_reply) {
  Site site;
  site.answer_at_once = false;
  Client client = site.connect();
  client.send(request("/1", kKeep) + request("/2", kKeep));
  BOOST_TEST(site.until([&] { return site.seen.size() == 1; }));
  site.server->reply(site.seen[0].id, kAnswer);
  BOOST_TEST(site.seen.size() == 1u);
  BOOST_TEST(site.until([&] { return site.seen.size() == 2; }));
}

BOOST_AUTO_TEST_CASE(a_large_answer_reaches_a_slow_reader_whole) {
  for (const int family : {AF_UNIX, AF_INET}) {
    for (const int flags : {0, kKeep}) {
      Site site({}, family);
      site.answer_at_once = false;
      Client client = site.connect();
      client.send(request("/large", flags));
      BOOST_TEST(site.until([&] { return site.seen.size() == 1; }));
      std::string large(1 << 20, 'x');
      large += "end";
      site.server->reply(site.seen[0].id, large);
      BOOST_TEST(site.until([&] {
        client.read(10'000);
        return read_answer(client.received).has_value();
      }));
      BOOST_TEST((read_answer(client.received)->text == large));
      BOOST_TEST(site.server->connections() == (flags == kKeep ? 1u : 0u));
      BOOST_TEST(site.gone.empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(an_answer_that_nobody_takes_is_given_up) {
  Site site(short_times());
  site.answer_at_once = false;
  Client client = site.connect();
  client.send(request("/"));
  BOOST_TEST(site.until([&] { return site.seen.size() == 1; }));
  site.server->reply(site.seen[0].id, std::string(1 << 20, 'x'));
  BOOST_TEST(site.server->connections() == 1u);
  BOOST_TEST(site.until([&] { return site.server->connections() == 0; }));
  BOOST_TEST(site.gone.empty());
}

BOOST_AUTO_TEST_CASE(a_held_request_has_no_deadline_here) {
  Site site(short_times());
  site.answer_at_once = false;
  Client client = site.connect();
  client.send(request("/"));
  const auto start = Clock::now();
  site.until([&] { return Clock::now() - start > 120ms; });
  BOOST_TEST(!client.is_closed());
  site.server->reply(site.seen.at(0).id, kAnswer);
  BOOST_TEST(site.answer_to(client) == kAnswer);
}

BOOST_AUTO_TEST_CASE(the_answer_to_a_body_that_is_too_large_arrives_whole) {
  for (const int family : {AF_UNIX, AF_INET}) {
    for (const bool announced : {true, false}) {
      Site site({}, family);
      site.answer_at_once = false;
      Client client = site.connect();
      Pairs pairs = get("/upload");
      if (announced) pairs.emplace_back("CONTENT_LENGTH", "1000000");
      std::string octets = begin(1, kKeep) + params(pairs) + body(std::string(1'000'000, 'b'));
      bool replied = false;
      // Writes all of it before it looks at the answer, as some web servers do.
      BOOST_TEST(site.until([&] {
        octets.erase(0, client.send(octets));
        if (!site.seen.empty() && !replied) {
          replied = true;
          site.server->reply(site.seen[0].id, kAnswer);
        }
        return octets.empty() && replied;
      }));
      BOOST_TEST(site.seen.at(0).request.body_too_large);
      BOOST_TEST(site.answer_to(client) == kAnswer);
      BOOST_TEST(site.until([&] { return client.is_closed(); }));
      BOOST_TEST(!client.reset);
      client.fd.reset();
      BOOST_TEST(site.until([&] { return site.server->connections() == 0; }));
    }
  }
}

BOOST_AUTO_TEST_CASE(an_unread_body_is_not_read_for_ever) {
  Site site(short_times());
  Client client = site.connect();
  Pairs pairs = get("/upload");
  pairs.emplace_back("CONTENT_LENGTH", "1000000");
  client.send(begin() + params(pairs));
  BOOST_TEST(site.answer_to(client) == "for /upload");
  BOOST_TEST(site.server->connections() == 1u);
  const std::string octets(1000, 'b');
  BOOST_TEST(site.until([&] {
    client.send(octets);
    return site.server->connections() == 0;
  }));
}

BOOST_AUTO_TEST_CASE(a_small_body_is_read_to_its_end_and_dropped) {
  Site site;
  Client client = site.connect();
  std::string octets = begin() + params(get("/form")) + body(std::string(60'000, 'b'));
  BOOST_TEST(site.until([&] {
    octets.erase(0, client.send(octets));
    return client.is_closed();
  }));
  BOOST_TEST(client.answer().value_or("") == "for /form");
  BOOST_TEST(!client.reset);
}

BOOST_AUTO_TEST_CASE(what_comes_behind_the_last_request_does_not_eat_the_answer) {
  Site site;
  site.answer_at_once = false;
  Client client = site.connect();
  client.send(request("/a"));
  BOOST_TEST(site.until([&] { return site.seen.size() == 1; }));
  client.send("more that nobody asked for");
  site.server->reply(site.seen[0].id, kAnswer);
  BOOST_TEST(site.answer_to(client) == kAnswer);
  BOOST_TEST(site.until([&] { return client.is_closed(); }));
  BOOST_TEST(!client.reset);
}

BOOST_AUTO_TEST_CASE(a_client_that_has_ended_its_side_gets_its_answer) {
  for (const int family : {AF_UNIX, AF_INET}) {
    for (const int flags : {0, kKeep}) {
      Site site({}, family);
      site.answer_at_once = false;
      Client client = site.connect();
      client.send(request("/a", flags));
      ::shutdown(client.fd.get(), SHUT_WR);
      BOOST_TEST(site.until([&] { return site.seen.size() == 1; }));
      site.settle();
      BOOST_TEST(site.gone.empty());
      site.server->reply(site.seen[0].id, kAnswer);
      BOOST_TEST(site.answer_to(client) == kAnswer);
      BOOST_TEST(site.until([&] { return client.is_closed(); }));
      BOOST_TEST(site.server->connections() == 0u);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_connection_that_ends_before_its_request_is_closed) {
  Site site;
  const std::string octets = request("/a");
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, octets.size() - 1}) {
    Client client = site.connect();
    client.send(octets.substr(0, size));
    ::shutdown(client.fd.get(), SHUT_WR);
    BOOST_TEST(site.until([&] { return client.is_closed(); }), size);
  }
  BOOST_TEST(site.seen.empty());
  BOOST_TEST(site.gone.empty());
}

BOOST_AUTO_TEST_CASE(a_client_that_has_gone_is_noticed_and_its_reply_ignored) {
  Site site;
  site.answer_at_once = false;
  Client client = site.connect();
  client.send(request("/a"));
  BOOST_TEST(site.until([&] { return site.seen.size() == 1; }));
  const RequestId id = site.seen[0].id;
  client.fd.reset();
  BOOST_TEST(site.until([&] { return !site.gone.empty(); }));
  BOOST_TEST(site.gone == std::vector<RequestId>{id}, boost::test_tools::per_element());
  BOOST_TEST(site.server->connections() == 0u);
  site.server->reply(id, kAnswer);
  site.server->reply(id + 1000, kAnswer);

  // The descriptor's number is used again; the id is not.
  Client next = site.connect();
  next.send(request("/b"));
  BOOST_TEST(site.until([&] { return site.seen.size() == 2; }));
  site.server->reply(id, "for somebody else");
  site.server->reply(site.seen[1].id, kAnswer);
  BOOST_TEST(site.answer_to(next) == kAnswer);
}

BOOST_AUTO_TEST_CASE(a_second_reply_is_ignored) {
  Site site;
  site.answer_at_once = false;
  Client client = site.connect();
  client.send(request("/a", kKeep));
  BOOST_TEST(site.until([&] { return site.seen.size() == 1; }));
  site.server->reply(site.seen[0].id, "one");
  site.server->reply(site.seen[0].id, "two");
  BOOST_TEST(site.answer_to(client) == "one");
  site.settle();
  BOOST_TEST(!client.is_closed());
  BOOST_TEST(client.received.empty());
}

BOOST_AUTO_TEST_CASE(draining_finishes_what_has_begun_and_nothing_else) {
  Site site;
  site.answer_at_once = false;
  Client idle = site.connect();
  Client held = site.connect();
  Client half = site.connect();
  idle.send(request("/idle", kKeep));
  BOOST_TEST(site.until([&] { return site.seen.size() == 1; }));
  site.server->reply(site.seen[0].id, kAnswer);
  BOOST_TEST(site.answer_to(idle) == kAnswer);
  held.send(request("/held", kKeep));
  half.send(request("/half", kKeep).substr(0, 50));
  BOOST_TEST(site.until([&] { return site.seen.size() == 2 && site.server->connections() == 3; }));
  Client waiting = site.connect();  // not accepted yet
  waiting.send(request("/waiting"));

  bool drained = false;
  site.server->drain([&] { drained = true; });
  BOOST_TEST(idle.is_closed());
  BOOST_TEST(site.server->connections() == 3u);
  half.send(request("/half", kKeep).substr(50));
  BOOST_TEST(site.until([&] { return site.seen.size() == 4; }));
  site.settle();
  BOOST_TEST(!drained);
  for (std::size_t i = 1; i < 4; ++i) site.server->reply(site.seen[i].id, kAnswer);
  BOOST_TEST(!drained);  // told from the loop
  BOOST_TEST(site.until([&] { return drained; }));
  for (Client* client : {&held, &half, &waiting}) {
    BOOST_TEST(site.answer_to(*client) == kAnswer);
    BOOST_TEST(site.until([&] { return client->is_closed(); }));
  }
  BOOST_TEST(site.gone.empty());

  // The test's own descriptor keeps the socket open, as another process's would: it still listens.
  Client late = site.connect();
  late.send(request("/late"));
  site.settle();
  BOOST_TEST(site.seen.size() == 4u);
}

// 5000 requests through lighttpd came faster than they could be looked up. What did not fit into
// the kernel's queue lighttpd answered with 500.
BOOST_AUTO_TEST_CASE(a_rush_is_accepted_faster_than_it_is_read) {
  constexpr int kBacklog = 70;
  constexpr std::size_t kRush = 400;
  Site site({}, AF_UNIX, kBacklog);
  std::vector<Client> rush;
  const auto connect = [&] {
    rush.emplace_back(site.socket, SOCK_NONBLOCK);
    BOOST_REQUIRE_MESSAGE(bool(rush.back().fd), "the queue is full after " << rush.size());
    rush.back().send(request("/a"));
  };
  // Three more come in the time that one takes.
  site.on_request = [&] {
    for (int i = 0; i < 3 && rush.size() < kRush; ++i) connect();
  };
  connect();
  BOOST_TEST(site.until([&] { return site.seen.size() == kRush; }));
  for (Client& client : rush) BOOST_TEST(site.until([&] { return client.is_closed(); }));
}

BOOST_AUTO_TEST_CASE(no_more_are_accepted_unread_than_there_may_be) {
  Site site;
  site.server->set_max_unread(2);
  std::vector<Client> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(site.connect());
    clients.back().send(request("/a"));
  }
  std::size_t most = 0;
  site.on_request = [&] { most = std::max(most, site.server->connections()); };
  BOOST_TEST(site.until([&] { return site.seen.size() == clients.size(); }));
  BOOST_TEST(most <= 3u);
}

BOOST_AUTO_TEST_CASE(a_listening_socket_that_is_made_to_block_holds_nothing_up) {
  Site site;
  const int blocking = ::fcntl(site.socket.fd.get(), F_GETFL) & ~O_NONBLOCK;
  for (int i = 0; i < 3; ++i) {
    BOOST_REQUIRE(::fcntl(site.socket.fd.get(), F_SETFL, blocking) == 0);
    Client client = site.connect();
    client.send(request("/a"));
    BOOST_TEST(site.answer_to(client) == "for /a");
  }
}

BOOST_AUTO_TEST_CASE(a_silent_connection_does_not_hold_up_the_drain_beyond_its_time) {
  Site site(short_times());
  const Client silent = site.connect();
  BOOST_TEST(site.until([&] { return site.server->connections() == 1; }));
  bool drained = false;
  site.server->drain([&] { drained = true; });
  BOOST_TEST(site.until([&] { return drained; }));
}

BOOST_AUTO_TEST_CASE(a_server_without_connections_is_drained_in_the_next_turn) {
  Site site;
  bool drained = false;
  site.server->drain([&] { drained = true; });
  BOOST_TEST(!drained);
  BOOST_TEST(site.until([&] { return drained; }));
  site.socket.fd.reset();
  BOOST_TEST(!Client(site.socket).fd);
}

BOOST_AUTO_TEST_CASE(a_server_that_goes_takes_its_connections_along) {
  FastCgiTimeouts timeouts = short_times();
  timeouts.read = 300ms;  // until then both must be there
  Site site(timeouts);
  site.answer_at_once = false;
  Client held = site.connect();
  Client silent = site.connect();
  held.send(request("/a"));
  BOOST_TEST(site.until([&] { return site.server->connections() == 2 && site.seen.size() == 1; }));
  site.server.reset();
  BOOST_TEST(held.is_closed());
  BOOST_TEST(silent.is_closed());
  const auto start = Clock::now();
  site.until([&] { return Clock::now() - start > 310ms; });  // its timers have gone as well
  BOOST_TEST(site.gone.empty());
}

BOOST_AUTO_TEST_CASE(without_free_descriptors_connections_wait_and_the_loop_does_not_spin) {
  Site site;
  site.settle();
  Client client = site.connect();
  client.send(request("/a"));
  rlimit before{};
  BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int next = ::dup(client.fd.get());
  ::close(next);
  const rlimit none{static_cast<rlim_t>(next), before.rlim_max};
  BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const auto start = Clock::now();
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto cpu = [](const rusage& usage) {
    return std::chrono::seconds(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           std::chrono::microseconds(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  };
  site.loop.at(start + 200ms, [&] { site.loop.stop(); });
  site.loop.run();
  const auto waited = Clock::now() - start;
  const auto cpu_before = cpu(used);
  ::getrusage(RUSAGE_SELF, &used);
  ::setrlimit(RLIMIT_NOFILE, &before);
  BOOST_TEST((waited >= 200ms));
  BOOST_TEST((cpu(used) - cpu_before < 50ms));
  BOOST_TEST(site.seen.empty());
  BOOST_TEST(site.answer_to(client) == "for /a");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::transport
