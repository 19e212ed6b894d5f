#include "dns/engine.h"

#include <sys/resource.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

#include "tests/dns/server.h"

namespace http01::dns {

using namespace testing;
using namespace std::chrono_literals;
using base::Loop;
using protocol::Answer;
using protocol::Outcome;

BOOST_AUTO_TEST_SUITE(engine)

const Question kText = question("www.example.com");

// Everything one story needs: the loop, name servers on it, an engine that asks them, and a
// listener.
class EngineFixture : public Resolver::Asker, public Engine::Observer {
 public:
  using Query = DnsServer::Query;

  DnsServer& server(DnsServer::Script script, bool v6 = false, bool tcp = true) {
    servers_.push_back(std::make_unique<DnsServer>(loop, std::move(script), v6, tcp));
    settings.servers.push_back(servers_.back()->endpoint());
    return *servers_.back();
  }
  // An endpoint where nobody listens.
  void closed_port() {
    const DnsServer gone(loop_of_the_gone_, [](const Query&) {});
    settings.servers.push_back(gone.endpoint());
  }

  Engine& engine() {
    if (!engine_) engine_.emplace(loop, settings, cache_settings, this, resolv_conf);
    return *engine_;
  }
  void ask(const Question& asked = kText, Resolver::Ticket ticket = 1) {
    engine().ask(asked, ticket, *this);
  }
  // Turns the loop until there are so many answers, for two seconds at most.
  void run_until(std::size_t answers) {
    run([&] { return heard.size() >= answers; });
  }
  template <class Condition>
  void run(Condition done) {
    bool late = false;
    const auto guard = loop.after(2s, [&] {
      late = true;
      loop.stop();
    });
    done_ = [&] { return done(); };
    loop.defer([this] { tick(); });
    loop.run();
    loop.cancel(guard);
    done_ = nullptr;
    BOOST_TEST(!late);
  }
  Answer answer(const Question& asked = kText) {
    const std::size_t before = heard.size();
    ask(asked);
    run_until(before + 1);
    return heard.size() > before ? heard.back().answer : Answer{};
  }
  std::string outcome(const Question& asked = kText) {
    return std::string(protocol::to_string(answer(asked).outcome));
  }
  std::string text(const Question& asked = kText) {
    const Answer got = answer(asked);
    return got.texts.empty() ? std::string(protocol::to_string(got.outcome)) : got.texts[0].text;
  }

  void on_answer(Resolver::Ticket ticket, const Question& asked, const Answer& got) override {
    heard.push_back({ticket, asked, got});
    if (then) then(ticket);
  }
  void on_lookup(RecordType, Outcome outcome, base::Duration) override {
    lookups.emplace_back(protocol::to_string(outcome));
  }
  void on_cache_hit() override { ++hits; }
  void on_answered(const Question&, const base::Endpoint& by, base::Duration) override {
    answered_by.push_back(by);
  }
  void on_cache_miss() override { ++misses; }
  void on_server(const base::Endpoint& by, ServerStatus status) override {
    const auto place = std::ranges::find(settings.servers, by) - settings.servers.begin();
    if (!fates.empty()) fates += ' ';
    fates.append(std::to_string(place)).append(" ").append(kServerStatuses[status].word);
  }

  struct Heard {
    Resolver::Ticket ticket;
    Question question;
    Answer answer;
  };

  Loop loop;
  Settings settings{{}, 150ms, 3, 450ms};
  CacheSettings cache_settings;
  std::string resolv_conf = "/nonexistent";
  std::vector<Heard> heard;
  std::function<void(Resolver::Ticket)> then;
  std::vector<std::string> lookups;
  std::vector<base::Endpoint> answered_by;
  std::string fates;  // "0 timeout 1 data": of each query its server's place and its end
  int hits = 0;
  int misses = 0;

 private:
  void tick() {
    if (!done_) return;
    if (done_()) return loop.stop();
    loop.after(1ms, [this] { tick(); });
  }

  Loop loop_of_the_gone_;
  std::vector<std::unique_ptr<DnsServer>> servers_;
  std::function<bool()> done_;
  std::optional<Engine> engine_;
};

using Query = DnsServer::Query;

BOOST_AUTO_TEST_CASE(nothing_is_asked_before_somebody_asks) {
  EngineFixture world;
  DnsServer& server = world.server([](const Query&) {});
  world.engine();
  world.loop.after(20ms, [&] { world.loop.stop(); });
  world.loop.run();
  BOOST_TEST(server.queries().empty());
}

BOOST_AUTO_TEST_CASE(an_answer_comes_from_the_loop_and_then_from_the_cache) {
  EngineFixture world;
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) { server->send(query, query.text("a", 30)); });
  Answer answer;
  BOOST_TEST(!world.engine().cached(kText, answer));
  world.ask();
  BOOST_TEST(world.heard.empty());
  BOOST_TEST(world.engine().in_flight() == 1u);
  world.run_until(1);
  BOOST_TEST(world.heard.at(0).ticket == 1u);
  BOOST_TEST((world.heard.at(0).question == kText));
  BOOST_TEST(world.heard.at(0).answer.texts.at(0).text == "a");
  BOOST_TEST(world.engine().in_flight() == 0u);
  BOOST_TEST_REQUIRE(world.engine().cached(kText, answer));
  BOOST_TEST(answer.texts.at(0).text == "a");
  BOOST_TEST(world.engine().cache_entries() == 1u);
  BOOST_TEST(world.hits == 1);
  BOOST_TEST(world.misses == 1);
  BOOST_TEST((world.lookups == std::vector<std::string>{"data"}));
}

BOOST_AUTO_TEST_CASE(fifty_who_ask_the_same_cost_one_packet) {
  EngineFixture world;
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) { server->send(query, query.text("a")); });
  for (Resolver::Ticket ticket = 0; ticket < 50; ++ticket) world.ask(kText, ticket);
  world.run_until(50);
  BOOST_TEST(server->queries().size() == 1u);
  for (Resolver::Ticket ticket = 0; ticket < 50; ++ticket) {
    BOOST_TEST(world.heard[ticket].ticket == ticket);
  }
}

BOOST_AUTO_TEST_CASE(silent_names_do_not_keep_a_good_one_waiting) {
  EngineFixture world;
  world.settings.timeout = 1s;
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) {
    if (query.reply().question == kText) server->send(query, query.text("a"));
  });
  for (int i = 0; i < 200; ++i) world.ask(question("dead" + std::to_string(i) + ".example"));
  const auto began = base::Clock::now();
  BOOST_TEST(world.text() == "a");
  BOOST_TEST((base::Clock::now() - began < 500ms));
  BOOST_TEST(world.engine().in_flight() == 200u);
}

BOOST_AUTO_TEST_CASE(each_try_has_its_own_id_and_port) {
  EngineFixture world;
  DnsServer& server = world.server([](const Query&) {}, false, false);
  for (int i = 0; i < 20; ++i) world.ask(question("n" + std::to_string(i) + ".example"));
  world.run_until(20);
  BOOST_TEST(server.queries().size() == 60u);
  std::set<std::uint16_t> ids, ports;
  for (const Query& query : server.queries()) {
    ids.insert(query.id());
    ports.insert(reinterpret_cast<const sockaddr_in&>(query.from).sin_port);
  }
  // Chance may give one or the other twice.
  BOOST_TEST(ids.size() >= 57u);
  BOOST_TEST(ports.size() >= 55u);
}

BOOST_AUTO_TEST_CASE(forgeries_are_passed_over_and_the_real_answer_taken) {
  EngineFixture world;
  world.settings.attempts = 1;
  DnsServer* server = nullptr;
  DnsServer stranger(world.loop, [](const Query&) {});
  server = &world.server([&](const Query& query) {
    if (query.tcp) return server->send(query, query.text("real"));
    stranger.send(query, query.text("forged source"));
    for (int i = 1; i <= 100; ++i) {
      Message forged = query.text("forged id");
      forged.id = static_cast<std::uint16_t>(forged.id + i);
      server->send(query, forged);
    }
    Message forged = query.text("forged question");
    forged.question_section = wire("other.example") + u16(16) + u16(1);
    server->send(query, forged);
    forged = query.text("forged direction");
    forged.flags = 0x0100;
    server->send(query, forged);
    server->send_raw(query, {});
    server->send_raw(query, {1, 2, 3});
    server->send(query, query.text("real"));
  });
  BOOST_TEST(world.text() == "real");
  BOOST_TEST(server->queries().size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_few_forgeries_do_not_lead_to_tcp) {
  EngineFixture world;
  world.settings.attempts = 1;
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) {
    for (int i = 1; i <= 15; ++i) {
      Message forged = query.text("forged id");
      forged.id = static_cast<std::uint16_t>(forged.id + i);
      server->send(query, forged);
    }
    server->send(query, query.text("real"));
  });
  BOOST_TEST(world.text() == "real");
  BOOST_TEST(server->queries().size() == 1u);
}

// ---- forwarders that are sloppy

BOOST_AUTO_TEST_CASE(a_server_that_drops_edns_is_asked_without_from_the_second_try_on) {
  EngineFixture world;
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) {
    if (!query.edns()) server->send(query, query.text("a"));
  });
  BOOST_TEST(world.text() == "a");
  BOOST_TEST(server->queries().size() == 2u);
  for (const char* name : {"b.example", "c.example", "d.example"}) {
    BOOST_TEST(world.text(question(name)) == "a");
  }
  BOOST_TEST(server->queries().size() == 6u);  // one glance
}

BOOST_AUTO_TEST_CASE(a_server_that_answers_over_tcp_only_is_understood_and_remembered) {
  EngineFixture world;
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) {
    if (query.tcp) server->send(query, query.text("a"));
  });
  BOOST_TEST(world.text() == "a");
  BOOST_TEST(server->queries().size() == 3u);
  for (const char* name : {"b.example", "c.example", "d.example"}) {
    BOOST_TEST(world.text(question(name)) == "a");
  }
  BOOST_TEST(server->queries().size() == 7u);
}

BOOST_AUTO_TEST_CASE(dead_names_behind_a_sound_server_cost_it_no_connection) {
  EngineFixture world;
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) {
    if (query.reply().question == kText) server->send(query, query.text("a"));
  });
  world.ask(question("dead.example"));
  BOOST_TEST(world.text() == "a");
  world.run_until(2);
  BOOST_TEST(server->queries().size() == 4u);
  BOOST_TEST(std::ranges::none_of(server->queries(), &Query::tcp));
}

BOOST_AUTO_TEST_CASE(a_connection_that_is_there_has_all_the_time_of_the_last_try) {
  EngineFixture world;
  world.settings = {{}, 20ms, 3, 1500ms};
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) {
    if (!query.tcp) return;
    world.loop.after(150ms, [&, query] { server->send(query, query.text("a")); });
  });
  BOOST_TEST(world.text() == "a");
}

BOOST_AUTO_TEST_CASE(servers_of_use_vc_are_asked_over_tcp_alone) {
  EngineFixture world;
  world.settings.tcp_alone = true;
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) { server->send(query, query.text("a")); });
  BOOST_TEST(world.text() == "a");
  BOOST_TEST(server->queries().size() == 1u);
  BOOST_TEST(server->queries().at(0).tcp);
}

BOOST_AUTO_TEST_CASE(a_late_answer_to_a_try_of_an_earlier_server_is_forgotten) {
  EngineFixture world;
  std::optional<Query> first;
  DnsServer& slow = world.server([&](const Query& query) { first = query; });
  DnsServer* other = nullptr;
  other = &world.server([&](const Query& query) {
    slow.send(*first, first->text("late"));
    other->send(query, query.text("second"));
  });
  BOOST_TEST(world.text() == "second");
}

BOOST_AUTO_TEST_CASE(a_server_that_takes_long_for_each_packet_answers_the_first_one_first) {
  EngineFixture world;
  world.settings = {{}, 50ms, 3, 1500ms};
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) {
    if (server->queries().size() == 1) {
      world.loop.after(250ms, [&, query] { server->send(query, query.text("late")); });
    }
  });
  BOOST_TEST(world.text() == "late");
  BOOST_TEST(server->queries().size() == 3u);
}

BOOST_AUTO_TEST_CASE(look_ups_have_a_second_socket_only_while_there_are_plenty) {
  for (const bool fewer_later : {false, true}) {
    EngineFixture world;
    world.settings = {{}, 50ms, 2, 200ms};
    DnsServer* server = nullptr;
    server = &world.server([&](const Query& query) {
      if (server->queries().size() > 3) return;
      world.loop.after(120ms, [&, query] { server->send(query, query.text("late")); });
    });
    world.engine().set_max_sockets(fewer_later ? 16 : 4);
    for (const char* name : {"a.example", "b.example", "c.example"}) world.ask(question(name));
    if (fewer_later) {
      world.run([&] { return server->queries().size() == 6; });
      world.engine().set_max_sockets(4);
      world.ask(question("d.example"));
    }
    world.run_until(3);
    BOOST_TEST(std::ranges::count(world.lookups, "timeout") == 3);
  }
}

// Found where the process was stopped for longer than a try may take.
BOOST_AUTO_TEST_CASE(answers_that_have_come_are_taken_though_the_time_of_their_try_is_over) {
  EngineFixture world;
  world.settings.timeout = 400ms;
  world.settings.attempts = 1;
  DnsServer* server = nullptr;
  constexpr std::size_t kCount = 400;  // more than the loop takes in one turn
  server = &world.server([&](const Query&) {
    if (server->queries().size() < kCount) return;
    while (base::Clock::now() < world.loop.now() + 500ms) {
    }
    // The first try to run out of time is answered last.
    const auto& queries = server->queries();
    for (auto each = queries.rbegin(); each != queries.rend(); ++each) {
      server->send(*each, each->text("a"));
    }
  });
  for (std::size_t i = 0; i < kCount; ++i) {
    world.ask(question("n" + std::to_string(i) + ".example"));
    // No more than the server's socket has room for.
    if (i % 100 == 99) world.run([&] { return server->queries().size() > i; });
  }
  world.run_until(kCount);
  BOOST_TEST(std::ranges::count(world.lookups, "data") == static_cast<std::ptrdiff_t>(kCount));
}

BOOST_AUTO_TEST_CASE(a_truncated_answer_comes_over_tcp) {
  EngineFixture world;
  world.settings.attempts = 1;
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) {
    server->send(query, query.tcp ? query.text("a") : query.reply(kTruncated));
  });
  BOOST_TEST(world.text() == "a");
  BOOST_TEST(server->queries().size() == 2u);
}

BOOST_AUTO_TEST_CASE(tcp_may_come_octet_by_octet_after_a_forgery) {
  EngineFixture world;
  world.settings = {{}, 1s, 1};
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) {
    if (!query.tcp) return server->send(query, query.reply(kTruncated));
    Message other = query.text("forged");
    other.id = static_cast<std::uint16_t>(other.id + 1);
    std::vector<std::uint8_t> stream;
    for (const Message& message : {other, query.text("a")}) {
      const auto octets = message.octets();
      stream.push_back(static_cast<std::uint8_t>(octets.size() >> 8));
      stream.push_back(static_cast<std::uint8_t>(octets.size()));
      stream.insert(stream.end(), octets.begin(), octets.end());
    }
    server->trickle(query, stream);
  });
  BOOST_TEST(world.text() == "a");
}

BOOST_AUTO_TEST_CASE(tcp_that_is_refused_or_hung_up_or_too_large_fails_its_server) {
  for (const char* how :
       {"refused", "hung up", "too large", "as large as can be", "large and forged"}) {
    EngineFixture world;
    DnsServer* bad = nullptr;
    DnsServer* good = nullptr;
    bad = &world.server(
        [&](const Query& query) {
          if (!query.tcp) return bad->send(query, query.reply(kTruncated));
          if (how[0] == 'h') return bad->hang_up(query);
          auto octets = query.text("a").octets();
          octets.resize(how[0] == 't' ? kMaxMessage + 1 : 65535);
          if (how[0] == 'l') octets[1] = static_cast<std::uint8_t>(octets[1] + 1);
          bad->send_raw(query, octets);
        },
        false, how[0] != 'r');
    good = &world.server([&](const Query& query) { good->send(query, query.text(how)); });
    BOOST_TEST(world.text() == how);
    world.settings.servers.pop_back();
    world.engine().reconfigure(world.settings, world.cache_settings);
    BOOST_TEST(world.outcome(question("other.example")) == "failure");
  }
}

BOOST_AUTO_TEST_CASE(tcp_that_is_silent_times_out) {
  EngineFixture world;
  world.settings.attempts = 2;
  DnsServer* silent = nullptr;
  silent = &world.server([&](const Query& query) {
    if (!query.tcp) silent->send(query, query.reply(kTruncated));
  });
  BOOST_TEST(world.outcome() == "timeout");
  BOOST_TEST(silent->queries().size() == 4u);
}

BOOST_AUTO_TEST_CASE(a_failure_is_asked_elsewhere_at_once) {
  for (const std::uint16_t flags : {kServFail, kRefused}) {
    EngineFixture world;
    world.settings.timeout = 10s;
    DnsServer* bad = nullptr;
    DnsServer* good = nullptr;
    bad = &world.server([&](const Query& query) { bad->send(query, query.reply(flags)); });
    good = &world.server([&](const Query& query) { good->send(query, query.text("a")); });
    BOOST_TEST(world.text() == "a");
    // It did answer: the next question goes to it first.
    BOOST_TEST(world.text(question("other.example")) == "a");
    BOOST_TEST(bad->queries().size() == 2u);
  }
}

BOOST_AUTO_TEST_CASE(who_answered_is_the_server_asked_last) {
  EngineFixture world;
  DnsServer* bad = nullptr;
  DnsServer* good = nullptr;
  bad = &world.server([&](const Query& query) { bad->send(query, query.reply(kServFail)); });
  good = &world.server([&](const Query& query) { good->send(query, query.text("a")); });
  BOOST_TEST(world.text() == "a");
  BOOST_TEST((world.answered_by == std::vector{good->endpoint()}));
}

BOOST_AUTO_TEST_CASE(what_is_held_back_can_be_asked_for) {
  EngineFixture world;
  world.settings.checking = false;
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) { server->send(query, query.text("a")); });
  BOOST_TEST(world.text() == "a");
  BOOST_TEST(server->queries().at(0).packet.at(3) == 0x10);  // CD
}

BOOST_AUTO_TEST_CASE(a_failure_of_all_is_a_failure_for_a_second) {
  EngineFixture world;
  DnsServer* bad = nullptr;
  bad = &world.server([&](const Query& query) { bad->send(query, query.reply(kServFail)); });
  BOOST_TEST(world.outcome() == "failure");
  BOOST_TEST(bad->queries().size() == 3u);
  Answer answer;
  BOOST_TEST(world.engine().cached(kText, answer));
  BOOST_TEST((answer.outcome == Outcome::kFailure));
}

// With a dead resolver, /ready put a failure in the place of its canary's good answer.
BOOST_AUTO_TEST_CASE(a_probe_is_answered_by_the_server_and_leaves_the_cache_as_it_is) {
  EngineFixture world;
  bool dead = false;
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) {
    server->send(query, dead ? query.reply(kServFail) : query.text("a", 30));
  });
  const auto probe = [&](const Question& asked) {
    const std::size_t before = world.heard.size();
    world.engine().probe(asked, 1, world);
    world.run_until(before + 1);
    return world.heard.back().answer.outcome;
  };
  BOOST_TEST((probe(question("unknown.example.com")) == Outcome::kData));
  BOOST_TEST(world.engine().cache_entries() == 0u);
  BOOST_TEST(world.text() == "a");
  dead = true;
  BOOST_TEST((probe(kText) == Outcome::kFailure));
  Answer answer;
  BOOST_TEST_REQUIRE(world.engine().cached(kText, answer));
  BOOST_TEST(answer.texts.at(0).text == "a");
  // Whoever asks in earnest meanwhile has the answer kept.
  const Question other = question("other.example.com");
  world.engine().probe(other, 1, world);
  world.ask(other, 2);
  const std::size_t before = world.heard.size();
  world.run_until(before + 2);
  BOOST_TEST(world.engine().cached(other, answer));
  BOOST_TEST(world.misses == 2);
}

BOOST_AUTO_TEST_CASE(edns_that_is_refused_is_not_offered_again) {
  EngineFixture world;
  world.settings.attempts = 1;
  DnsServer* old = nullptr;
  old = &world.server([&](const Query& query) {
    old->send(query, query.edns() ? query.reply(kFormErr) : query.text("a"));
  });
  BOOST_TEST(world.text() == "a");
  BOOST_TEST(old->queries().size() == 2u);
  BOOST_TEST(world.text(question("other.example")) == "a");
  BOOST_TEST(old->queries().size() == 3u);
}

// Found where one name that a resolver could not read cost all later ones their EDNS.
BOOST_AUTO_TEST_CASE(what_is_refused_without_edns_too_says_nothing_of_edns) {
  EngineFixture world;
  world.settings.attempts = 1;
  DnsServer* picky = nullptr;
  picky = &world.server([&](const Query& query) {
    const bool first = picky->queries().size() <= 2;
    picky->send(query, first ? query.reply(kFormErr) : query.text("a"));
  });
  BOOST_TEST(world.outcome() == "failure");
  BOOST_TEST(picky->queries().size() == 2u);
  BOOST_TEST(world.text(question("other.example")) == "a");
  BOOST_TEST(picky->queries().back().edns());
}

BOOST_AUTO_TEST_CASE(what_became_of_each_query_is_told_once) {
  struct Case {
    const char* server;  // what the first one does
    const char* fates;
  };
  for (const Case& c : {Case{"silent", "0 timeout 1 data"}, Case{"failing", "0 failure 1 data"},
                        Case{"truncating", "0 truncated 0 data"}, Case{"old", "0 no-edns 0 data"},
                        Case{"forging", "0 forged 0 data"}, Case{"nothing", "0 nxdomain"},
                        Case{"gone", "0 refused 1 data"}, Case{"far", "0 unreachable 1 data"},
                        Case{"hanging up", "0 truncated 0 error 1 data"}}) {
    EngineFixture world;
    world.settings.timeout = 50ms;
    world.settings.attempts = 2;
    const std::string_view does = c.server;
    DnsServer* first = nullptr;
    if (does == "gone") {
      world.closed_port();
    } else if (does == "far") {
      world.settings.servers = {*base::Endpoint::parse("255.255.255.255", 53)};
    } else {
      first = &world.server([&](const Query& query) {
        if (does == "silent") return;
        if (does == "hanging up" && query.tcp) return first->hang_up(query);
        if (does == "failing") return first->send(query, query.reply(kServFail));
        if (does == "nothing") return first->send(query, query.reply(kNxDomain));
        if (does == "old" && query.edns()) return first->send(query, query.reply(kFormErr));
        if ((does == "truncating" || does == "hanging up") && !query.tcp) {
          return first->send(query, query.reply(kTruncated));
        }
        for (int i = 1; does == "forging" && !query.tcp && i <= 20; ++i) {
          Message forged = query.text("forged");
          forged.id = static_cast<std::uint16_t>(forged.id + i);
          first->send(query, forged);
        }
        if (does != "forging" || query.tcp) first->send(query, query.text("a"));
      });
    }
    DnsServer* second = nullptr;
    second = &world.server([&](const Query& query) { second->send(query, query.text("a")); });
    world.answer();
    BOOST_TEST(world.fates == c.fates, does << ": " << world.fates);
  }
}

BOOST_AUTO_TEST_CASE(a_dead_server_costs_no_time) {
  EngineFixture world;
  world.settings = {{}, 10s, 1};
  world.closed_port();
  DnsServer* good = nullptr;
  good = &world.server([&](const Query& query) { good->send(query, query.text("a")); });
  BOOST_TEST(world.text() == "a");
}

BOOST_AUTO_TEST_CASE(an_unreachable_network_costs_no_time) {
  EngineFixture world;
  world.settings = {{*base::Endpoint::parse("255.255.255.255", 53)}, 10s, 1};
  DnsServer* good = nullptr;
  good = &world.server([&](const Query& query) { good->send(query, query.text("a")); });
  BOOST_TEST(world.text() == "a");
}

BOOST_AUTO_TEST_CASE(when_all_are_dead_it_tries_again_before_it_gives_up) {
  EngineFixture world;
  world.settings = {{}, 30ms, 3};
  world.closed_port();
  const auto began = world.loop.now();  // what the tries reckon from
  const Answer got = world.answer();
  BOOST_TEST((got.outcome == Outcome::kTimeout));
  BOOST_TEST((got.cause == protocol::Cause::kConnectionRefused));
  BOOST_TEST((base::Clock::now() - began >= 60ms));
}

BOOST_AUTO_TEST_CASE(a_silent_server_is_asked_last_by_the_next_ones) {
  EngineFixture world;
  DnsServer& silent = world.server([](const Query&) {});
  DnsServer* good = nullptr;
  good = &world.server([&](const Query& query) { good->send(query, query.text("a")); });
  BOOST_TEST(world.text() == "a");
  BOOST_TEST(silent.queries().size() == 1u);
  for (int i = 0; i < 5; ++i) {
    BOOST_TEST(world.text(question("n" + std::to_string(i) + ".example")) == "a");
  }
  BOOST_TEST(silent.queries().size() == 1u);
}

BOOST_AUTO_TEST_CASE(servers_are_asked_over_ipv6_too) {
  EngineFixture world;
  DnsServer* server = nullptr;
  server = &world.server(
      [&](const Query& query) {
        server->send(query, query.tcp ? query.text("a") : query.reply(kTruncated));
      },
      true);
  BOOST_TEST(world.text() == "a");
}

BOOST_AUTO_TEST_CASE(who_leaves_is_told_what_is_known_and_hears_no_more) {
  EngineFixture world;
  world.settings.attempts = 2;
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) {
    if (server->queries().size() == 1) server->send(query, query.reply(kServFail));
    if (server->queries().size() == 2) {
      BOOST_TEST((world.engine().leave(kText, 2).outcome == Outcome::kFailure));
      server->send(query, query.text("a"));
    }
  });
  for (const Resolver::Ticket ticket : {1U, 2U, 3U}) world.ask(kText, ticket);
  BOOST_TEST((world.engine().leave(kText, 1).outcome == Outcome::kTimeout));
  BOOST_TEST((world.engine().leave(kText, 1).outcome == Outcome::kTimeout));
  world.run_until(1);
  BOOST_TEST(world.heard.size() == 1u);
  BOOST_TEST(world.heard.at(0).ticket == 3u);
}

BOOST_AUTO_TEST_CASE(a_look_up_that_all_have_left_ends_in_the_cache) {
  EngineFixture world;
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) { server->send(query, query.text("a")); });
  world.ask();
  world.engine().leave(kText, 1);
  world.run([&] { return world.engine().in_flight() == 0; });
  Answer answer;
  BOOST_TEST(world.engine().cached(kText, answer));
  BOOST_TEST(world.heard.empty());
}

BOOST_AUTO_TEST_CASE(a_look_up_that_all_have_left_is_not_tried_again_and_not_remembered) {
  EngineFixture world;
  DnsServer& server = world.server([](const Query&) {});
  world.ask();
  world.engine().leave(kText, 1);
  world.run([&] { return world.engine().in_flight() == 0; });
  BOOST_TEST(server.queries().size() == 1u);
  BOOST_TEST((world.lookups == std::vector<std::string>{"timeout"}));
  Answer answer;
  BOOST_TEST(!world.engine().cached(kText, answer));
  BOOST_TEST(world.heard.empty());
}

BOOST_AUTO_TEST_CASE(a_look_up_that_all_have_left_asks_nobody_else_after_a_failure) {
  EngineFixture world;
  DnsServer* bad = nullptr;
  bad = &world.server([&](const Query& query) { bad->send(query, query.reply(kServFail)); });
  world.ask();
  world.engine().leave(kText, 1);
  world.run([&] { return world.engine().in_flight() == 0; });
  BOOST_TEST(bad->queries().size() == 1u);
  BOOST_TEST((world.lookups == std::vector<std::string>{"failure"}));
}

BOOST_AUTO_TEST_CASE(a_look_up_that_all_have_left_goes_on_for_who_joins_it) {
  EngineFixture world;
  DnsServer& server = world.server([](const Query&) {});
  world.ask(kText, 1);
  world.engine().leave(kText, 1);
  world.ask(kText, 2);
  world.run_until(1);
  BOOST_TEST(world.heard.at(0).ticket == 2u);
  BOOST_TEST(server.queries().size() == 3u);
}

// Found where an answer after 3.2 s was a time-out at 3 s: tries of one second, four in all.
BOOST_AUTO_TEST_CASE(an_answer_to_the_last_try_serves_until_the_deadline) {
  EngineFixture world;
  world.settings = {{}, 20ms, 3, 1500ms};
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) {
    if (server->queries().size() < 3) return;
    world.loop.after(150ms, [&, query] { server->send(query, query.text("a")); });
  });
  BOOST_TEST(world.text() == "a");
  BOOST_TEST(server->queries().size() == 3u);
}

// Found where a request that joined a look-up in its last moment had its time-out in the next.
BOOST_AUTO_TEST_CASE(who_joins_a_look_up_that_ends_in_silence_goes_on) {
  EngineFixture world;
  world.settings = {{}, 50ms, 2, 100ms};
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) {
    if (server->queries().size() == 2) world.ask(kText, 2);
    if (server->queries().size() == 4) server->send(query, query.text("a", 30));
  });
  world.ask(kText, 1);
  world.run_until(2);
  BOOST_TEST(world.heard.at(0).ticket == 1u);
  BOOST_TEST((world.heard.at(0).answer.outcome == Outcome::kTimeout));
  BOOST_TEST(world.heard.at(1).ticket == 2u);
  BOOST_TEST((world.heard.at(1).answer.outcome == Outcome::kData));
  BOOST_TEST((world.lookups == std::vector<std::string>{"timeout", "data"}));
}

BOOST_AUTO_TEST_CASE(silence_is_kept_for_a_second_while_others_go_on_and_ends_for_them_too) {
  EngineFixture world;
  world.settings = {{}, 50ms, 2, 100ms};
  DnsServer* server = nullptr;
  server = &world.server([&](const Query&) {
    if (server->queries().size() == 2) world.ask(kText, 2);
  });
  world.ask(kText, 1);
  world.run_until(1);
  Answer answer;
  BOOST_TEST_REQUIRE(world.engine().cached(kText, answer));
  BOOST_TEST((answer.outcome == Outcome::kTimeout));
  BOOST_TEST(world.engine().in_flight() == 1u);
  world.run_until(2);
  BOOST_TEST(world.engine().in_flight() == 0u);
  BOOST_TEST(server->queries().size() == 4u);
}

// Thousands that tried again once made the deadlines of their requests late.
BOOST_AUTO_TEST_CASE(a_timer_that_comes_due_meanwhile_waits_for_few_tries) {
  EngineFixture world;
  world.settings = {{}, 600ms, 2, 1200ms};
  DnsServer& server = world.server([](const Query&) {});
  constexpr std::size_t kCount = 200;
  for (std::size_t i = 0; i < kCount; ++i) {
    world.ask(question("n" + std::to_string(i) + ".example"));
  }
  world.run([&] { return server.queries().size() == kCount; });
  const auto due = world.loop.now() + 700ms;
  std::size_t tried_before = 0;
  bool ran = false;
  world.loop.at(due, [&] {
    tried_before = server.queries_so_far().size() - kCount;
    ran = true;
  });
  world.loop.defer([&] {
    while (base::Clock::now() < due + 1ms) {
    }
  });
  world.run([&] { return ran; });
  BOOST_TEST(tried_before < kCount / 2);
  world.run_until(kCount);
  BOOST_TEST(server.queries().size() == 2 * kCount);
}

BOOST_AUTO_TEST_CASE(who_is_being_told_may_ask_and_leave_for_others) {
  EngineFixture world;
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) { server->send(query, query.text("a")); });
  for (const Resolver::Ticket ticket : {1U, 2U, 3U}) world.ask(kText, ticket);
  world.then = [&](Resolver::Ticket ticket) {
    if (ticket != 1) return;
    world.engine().leave(kText, 2);
    world.ask(question("other.example"), 4);
    world.ask(kText, 5);
  };
  world.run_until(4);
  std::vector<Resolver::Ticket> tickets;
  for (const auto& heard : world.heard) tickets.push_back(heard.ticket);
  std::sort(tickets.begin(), tickets.end());
  BOOST_TEST((tickets == std::vector<Resolver::Ticket>{1, 3, 4, 5}));
}

BOOST_AUTO_TEST_CASE(beyond_the_limit_nothing_is_asked_but_all_can_join) {
  EngineFixture world;
  DnsServer& server = world.server([](const Query&) {});
  world.engine().set_max_sockets(1);
  world.ask(kText, 1);
  world.ask(question("other.example"), 2);
  world.ask(kText, 3);
  BOOST_TEST(world.heard.empty());
  world.run_until(1);
  BOOST_TEST(world.heard.at(0).ticket == 2u);
  BOOST_TEST((world.heard.at(0).answer.outcome == Outcome::kOverloaded));
  Answer answer;
  BOOST_TEST(!world.engine().cached(question("other.example"), answer));
  world.run_until(3);
  BOOST_TEST(server.queries().size() == 3u);
}

BOOST_AUTO_TEST_CASE(a_process_without_descriptors_is_overloaded) {
  EngineFixture world;
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) { server->send(query, query.text("a")); });
  world.engine();
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 0;
  ::setrlimit(RLIMIT_NOFILE, &none);
  world.ask();
  ::setrlimit(RLIMIT_NOFILE, &before);
  world.run_until(1);
  BOOST_TEST((world.heard.at(0).answer.outcome == Outcome::kOverloaded));
  BOOST_TEST(world.text() == "a");
}

BOOST_AUTO_TEST_CASE(a_reload_with_the_same_servers_leaves_what_is_under_way_alone) {
  EngineFixture world;
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) {
    if (server->queries().size() == 2) server->send(query, query.text("a"));
  });
  world.ask(kText);
  world.engine().reconfigure({world.settings.servers, 5s, 1, 5s}, world.cache_settings);
  world.run_until(1);
  BOOST_TEST(world.heard.at(0).answer.texts.at(0).text == "a");
  BOOST_TEST(server->queries().size() == 2u, "the second try is one of the old settings");
}

// Two servers of which the first is replaced by the second.
class ReplacedServer : public EngineFixture {
 public:
  explicit ReplacedServer(DnsServer::Script script) : old(server(std::move(script))) {
    fresh = &server([this](const Query& query) { fresh->send(query, query.text("new")); });
    settings.servers.pop_back();
  }
  void replace() { engine().reconfigure({{fresh->endpoint()}, 150ms, 3, 450ms}, cache_settings); }

  DnsServer& old;
  DnsServer* fresh = nullptr;
};

// A resolver that had been poisoned was replaced, and its answers were served on.
BOOST_AUTO_TEST_CASE(what_replaced_servers_have_said_is_forgotten) {
  ReplacedServer* of = nullptr;
  ReplacedServer world([&](const Query& query) { of->old.send(query, query.text("old")); });
  of = &world;
  BOOST_TEST(world.text() == "old");
  BOOST_TEST(world.engine().cache_entries() == 1u);
  world.replace();
  BOOST_TEST(world.engine().cache_entries() == 0u);
  BOOST_TEST(world.text() == "new");
  BOOST_TEST(world.old.queries().size() == 1u);
  // The same ones again are no reason to forget.
  world.replace();
  BOOST_TEST(world.engine().cache_entries() == 1u);
}

BOOST_AUTO_TEST_CASE(what_replaced_servers_may_yet_say_is_neither_used_nor_kept) {
  ReplacedServer world([](const Query&) {});
  world.ask(kText, 1);
  world.ask(question("b.example"), 2);
  world.run([&] { return world.old.queries_so_far().size() == 2; });
  world.replace();
  // It would be the answer of the first look-up, and of who joins it.
  for (const Query& query : world.old.queries()) world.old.send(query, query.text("old"));
  world.ask(kText, 3);
  world.run_until(3);
  for (const auto& heard : world.heard) BOOST_TEST(heard.answer.texts.at(0).text == "new");
  BOOST_TEST(world.fresh->queries().size() == 2u, "one query a question");
  BOOST_TEST(world.engine().in_flight() == 0u);
  Answer cached;
  BOOST_REQUIRE(world.engine().cached(kText, cached));
  BOOST_TEST(cached.texts.at(0).text == "new");
}

BOOST_AUTO_TEST_CASE(a_look_up_at_replaced_servers_that_all_have_left_just_ends) {
  ReplacedServer world([](const Query&) {});
  world.ask(kText, 1);
  world.run([&] { return world.old.queries_so_far().size() == 1; });
  world.engine().leave(kText, 1);
  world.replace();
  world.run([&] { return world.engine().in_flight() == 0; });
  BOOST_TEST(world.lookups.size() == 1u);
  BOOST_TEST(world.fresh->queries_so_far().empty());
}

BOOST_AUTO_TEST_CASE(an_engine_may_go_with_look_ups_that_are_to_begin_again) {
  ReplacedServer world([](const Query&) {});
  for (int i = 0; i < 10; ++i) world.ask(question("n" + std::to_string(i) + ".example"));
  world.replace();
}

BOOST_AUTO_TEST_CASE(other_cache_settings_begin_an_empty_cache) {
  EngineFixture world;
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) { server->send(query, query.text("a")); });
  BOOST_TEST(world.text() == "a");
  world.engine().reconfigure(world.settings, world.cache_settings);
  BOOST_TEST(world.engine().cache_entries() == 1u);
  world.cache_settings.entries = 7;
  world.engine().reconfigure(world.settings, world.cache_settings);
  BOOST_TEST(world.engine().cache_entries() == 0u);
}

BOOST_AUTO_TEST_CASE(without_servers_those_of_the_machine_are_asked) {
  EngineFixture world;
  DnsServer* server = nullptr;
  server = &world.server([&](const Query& query) { server->send(query, query.text("a")); });
  const auto path = std::filesystem::temp_directory_path() /
                    ("engine-test-" + std::to_string(::getpid()) + ".conf");
  std::ofstream(path) << "nameserver 127.0.0.1:" << server->endpoint().port << "\noptions use-vc\n";
  world.resolv_conf = path;
  world.settings.servers.clear();
  BOOST_TEST(world.text() == "a");
  // Back and forth by reloads.
  world.engine().reconfigure({{server->endpoint()}, 150ms, 3, 450ms}, world.cache_settings);
  BOOST_TEST(world.text(question("b.example")) == "a");
  world.engine().reconfigure(world.settings, world.cache_settings);
  BOOST_TEST(world.text(question("c.example")) == "a");
  std::string used;
  for (const Query& query : server->queries()) used += query.tcp ? "tcp " : "udp ";
  BOOST_TEST(used == "tcp udp tcp ");
  std::filesystem::remove(path);
}

// They are other servers too, at a reload at once and else within the second.
BOOST_AUTO_TEST_CASE(other_servers_of_the_machine_empty_the_cache) {
  ReplacedServer* of = nullptr;
  ReplacedServer world([&](const Query& query) { of->old.send(query, query.text("old")); });
  of = &world;
  const auto path = std::filesystem::temp_directory_path() /
                    ("engine-test-" + std::to_string(::getpid()) + ".conf");
  const auto write = [&](const DnsServer& server) {
    const auto next = path.string() + ".next";
    std::ofstream(next) << "nameserver 127.0.0.1:" << server.endpoint().port << "\n";
    std::filesystem::rename(next, path);
  };
  write(world.old);
  world.resolv_conf = path;
  world.settings.servers.clear();
  BOOST_TEST(world.text() == "old");
  write(*world.fresh);
  world.engine().reconfigure(world.settings, world.cache_settings);
  BOOST_TEST(world.engine().cache_entries() == 0u);
  BOOST_TEST(world.text() == "new");
  // Written again and still the same.
  write(*world.fresh);
  world.engine().reconfigure(world.settings, world.cache_settings);
  BOOST_TEST(world.engine().cache_entries() == 1u);
  std::filesystem::remove(path);
}

BOOST_AUTO_TEST_CASE(an_engine_may_go_with_look_ups_under_way) {
  EngineFixture world;
  world.server([](const Query&) {});
  for (int i = 0; i < 10; ++i) world.ask(question("n" + std::to_string(i) + ".example"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::dns
