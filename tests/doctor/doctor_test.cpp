// The doctor at work, with name servers on the same loop; and its page.
#include "doctor/doctor.h"

#include "doctor/report.h"
#include "pages/check_page.h"
#include "tests/dns/server.h"
#include "tests/doctor/evidence.h"

namespace http01::doctor {

using namespace std::chrono_literals;
using dns::testing::DnsServer;
using Query = DnsServer::Query;

BOOST_AUTO_TEST_SUITE(doctor)

// A server that knows the zone of a Case.
struct Server {
  Server(base::Loop& loop, protocol::Zone known)
      : zone(std::move(known)), dns(loop, [this](const Query& query) { answer(query); }) {}

  void answer(const Query& query) {
    namespace t = dns::testing;
    t::Message message = query.reply();
    const std::string asked =
        std::string(to_string(message.question.type)) + " " + message.question.name.text();
    asked_for.push_back(asked + ((query.packet[3] & 0x10) != 0 ? " CD" : ""));
    if (silent) return;
    const Answer known = zone(message.question);
    std::string owner = t::wire(message.question.name.text());
    const auto add = [&](std::size_t type, const std::string& data) {
      message.answer.push_back(t::record(owner, type, 30, data));
    };
    const bool bogus = known.outcome == Outcome::kFailure && (query.packet[3] & 0x10) == 0;
    for (const Name& alias : known.aliases) {
      add(5, t::wire(alias.text()));
      owner = t::wire(alias.text());
    }
    for (const auto& text : known.texts) {
      add(16, static_cast<char>(text.text.size()) + text.text);
    }
    for (const auto& address : known.addresses) {
      add(address.v6 ? 28 : 1, {reinterpret_cast<const char*>(address.octets.data()),
                                std::size_t{address.v6 ? 16U : 4U}});
    }
    if (bogus) {
      message.answer.clear();
      message.flags = t::kServFail;
    } else if (message.answer.empty()) {
      message.authority = {t::soa("com", 30, 30)};
    }
    dns.send(query, message);
  }

  protocol::Zone zone;
  DnsServer dns;
  bool silent = false;
  std::vector<std::string> asked_for;
};

// For ten seconds at most.
template <class Condition>
void turn_until(base::Loop& loop, Condition done) {
  const auto end = base::Clock::now() + 10s;
  while (!done()) {
    BOOST_TEST_REQUIRE((base::Clock::now() < end));
    loop.after(1ms, [&loop] { loop.stop(); });
    loop.run();
  }
}

struct Clinic {
  explicit Clinic(int servers = 1) {
    config.policy = protocol::default_policy();
    config.dns.timeout = 100ms;
    config.dns.attempts = 2;
    config.deadline = 300ms;
    for (int i = 0; i < servers; ++i) {
      server.push_back(std::make_unique<Server>(loop, Case().zone));
      config.dns.servers.push_back(server.back()->dns.endpoint());
    }
  }
  Doctor& doctor() {
    if (!the_doctor) {
      the_doctor.emplace(loop, config, Doctor::Settings{}, [this](Doctor::Id id, Evidence& found) {
        done.push_back(id);
        evidence = std::move(found);
      });
    }
    return *the_doctor;
  }
  void run(std::size_t wanted) {
    turn_until(loop, [&] { return done.size() >= wanted; });
  }
  const Evidence& examined(const std::string& domain) {
    const std::size_t before = done.size();
    doctor().examine(++last, domain);
    run(before + 1);
    return evidence;
  }

  base::Loop loop;
  Config config;
  std::vector<std::unique_ptr<Server>> server;
  std::optional<Doctor> the_doctor;
  Doctor::Id last = 0;
  std::vector<Doctor::Id> done;
  Evidence evidence;
};

BOOST_AUTO_TEST_CASE(a_domain_in_order_is_asked_for_once_and_of_whom_is_known) {
  Clinic clinic;
  const Evidence& evidence = clinic.examined("app.example.com");
  BOOST_TEST((evidence.reply.reason == protocol::Reason::kOk));
  for (const Step& step : evidence.steps) {
    BOOST_TEST(step.server == clinic.server[0]->dns.endpoint().text());
  }
  std::vector<std::string> asked = clinic.server[0]->asked_for;
  std::ranges::sort(asked);
  const std::string host = kAppId + ".dstack-prod5.phala.network";
  const std::vector<std::string> expected{"A " + host,
                                          "A app.example.com",
                                          "AAAA " + host,
                                          "AAAA app.example.com",
                                          "CAA app.example.com",
                                          "CAA com",
                                          "CAA example.com",
                                          "CNAME app.example.com",
                                          "TXT _dstack-app-address.app.example.com"};
  BOOST_TEST(asked == expected, boost::test_tools::per_element());
  BOOST_TEST(evidence.steps.front().decides);
  BOOST_TEST(!evidence.steps.back().decides);
  BOOST_TEST(evidence.opinions.empty());
}

BOOST_AUTO_TEST_CASE(nothing_is_kept_from_one_examination_to_the_next) {
  Clinic clinic;
  BOOST_TEST((clinic.examined("app.example.com").reply.reason == protocol::Reason::kOk));
  clinic.server[0]->zone.answers.erase("TXT _dstack-app-address.app.example.com");
  BOOST_TEST((clinic.examined("app.example.com").reply.reason == protocol::Reason::kTxtMissing));
}

BOOST_AUTO_TEST_CASE(what_is_refused_costs_no_question) {
  Clinic clinic;
  clinic.config.policy.domains_deny = {protocol::name_of("example.org")};
  for (const char* domain : {"x.example.org", "x.gw.phala.network", "localhost", "a b", ""}) {
    clinic.examined(domain);
  }
  BOOST_TEST(clinic.server[0]->asked_for.empty());
}

BOOST_AUTO_TEST_CASE(each_server_is_asked_by_itself_where_there_are_several) {
  Clinic clinic(2);
  clinic.server[1]->zone.answers["A app.example.com"] = protocol::address("45.0.0.9");
  const Evidence& evidence = clinic.examined("app.example.com");
  BOOST_TEST_REQUIRE(evidence.opinions.size() == 2u);
  BOOST_TEST(evidence.opinions[1].server == clinic.server[1]->dns.endpoint().text());
  for (const Opinion& opinion : evidence.opinions) {
    BOOST_TEST(opinion.answers.entries().size() == 4u);
  }
  bool differ = false;
  for (const Finding& finding : judge(clinic.config.policy, evidence)) {
    differ |= finding.id == FindingId::kResolversDiffer && has(finding.text, "A app.example.com");
  }
  BOOST_TEST(differ);
}

BOOST_AUTO_TEST_CASE(a_failure_that_goes_without_validation_is_held_back) {
  Clinic clinic;
  clinic.server[0]->zone.answers["TXT _dstack-app-address.app.example.com"].outcome =
      Outcome::kFailure;
  const Evidence& evidence = clinic.examined("app.example.com");
  BOOST_TEST((evidence.reply.reason == protocol::Reason::kDnsFailure));
  BOOST_TEST(evidence.steps.size() > 0u);
  bool held_back = false;
  for (const Step& step : evidence.steps) held_back |= step.held_back;
  BOOST_TEST(held_back);
  BOOST_TEST(std::ranges::count(clinic.server[0]->asked_for,
                                "TXT _dstack-app-address.app.example.com CD") == 1);
}

BOOST_AUTO_TEST_CASE(when_all_of_the_dns_is_dead_it_ends_with_the_deadline) {
  Clinic clinic(3);
  for (auto& server : clinic.server) server->silent = true;
  const auto begun = base::Clock::now();
  for (Doctor::Id id = 1; id <= 10; ++id) {
    clinic.doctor().examine(id, "n" + std::to_string(id) + ".example.com");
  }
  clinic.run(10);
  BOOST_TEST((base::Clock::now() - begun < 2s));
  BOOST_TEST((clinic.evidence.reply.reason == protocol::Reason::kDnsTimeout));
  const Findings found = judge(clinic.config.policy, clinic.evidence);
  BOOST_TEST(std::ranges::count(found, FindingId::kDnsTimeout, &Finding::id) == 1);
}

BOOST_AUTO_TEST_CASE(who_is_forgotten_is_told_nothing) {
  Clinic clinic;
  clinic.server[0]->silent = true;
  clinic.doctor().examine(1, "app.example.com");
  clinic.doctor().examine(2, "app.example.com");
  clinic.doctor().forget(1);
  clinic.run(1);
  BOOST_TEST((clinic.done == std::vector<Doctor::Id>{2}));
  clinic.doctor().examine(3, "app.example.com");  // and may go with it under way
}

BOOST_AUTO_TEST_CASE(another_configuration_holds_from_the_next_question_on) {
  Clinic clinic(2);
  clinic.examined("app.example.com");
  Config other;
  other.policy = protocol::default_policy();
  other.policy.domains_deny = {protocol::name_of("example.com")};
  other.dns.servers = {clinic.server[0]->dns.endpoint()};
  clinic.doctor().use(other);
  BOOST_TEST((clinic.examined("app.example.com").reply.reason == protocol::Reason::kDomainRefused));
}

// ---- the page

BOOST_AUTO_TEST_CASE(the_query_is_read_as_forms_send_it) {
  const auto domain = [](std::string_view query) { return read_check_query(query).domain; };
  BOOST_TEST(domain("?domain=app.example.com") == "app.example.com");
  BOOST_TEST(domain("?x=1&domain=app.example.com&format=json") == "app.example.com");
  BOOST_TEST(domain("?domain=+app.example.com%20") == "app.example.com");
  BOOST_TEST(domain("?domain=%3Cb%3E%00%0a") == std::string("<b>\0\n", 5));
  BOOST_TEST(domain("?domain=%zz%4") == "%zz%4");
  BOOST_TEST(domain("?domain=") == "");
  BOOST_TEST(domain("?mydomain=a.example") == "");
  BOOST_TEST(domain("") == "");
  BOOST_TEST(domain("?domain=" + std::string(1000, 'a')).size() == 300u);
  BOOST_TEST(read_check_query("?format=json&domain=a").json);
  BOOST_TEST(!read_check_query("?format=jsonx").json);
}

struct Page {
  Page()
      : page(clinic.loop, clinic.config,
             [this](CheckPage::Id id, const protocol::Request&, protocol::Reply& reply,
                    base::Duration) {
               ids.push_back(id);
               replies.push_back(std::move(reply));
             }) {}

  void ask(CheckPage::Id id, const std::string& uri, const std::string& client = "192.0.2.1") {
    protocol::RawRequest raw = protocol::get("localhost", uri);
    raw.client = client;
    page.answer(id, protocol::read_request(clinic.config.policy, raw));
  }
  void run(std::size_t wanted) {
    turn_until(clinic.loop, [&] { return replies.size() >= wanted; });
  }

  Clinic clinic;
  CheckPage page;
  std::vector<CheckPage::Id> ids;
  std::vector<protocol::Reply> replies;
};

BOOST_AUTO_TEST_CASE(without_a_domain_there_is_a_form) {
  Page p;
  p.ask(1, "/check");
  BOOST_TEST_REQUIRE(p.replies.size() == 1u);
  BOOST_TEST(has(p.replies[0].response.body, "<form"));
  BOOST_TEST(p.page.in_flight() == 0u);
}

BOOST_AUTO_TEST_CASE(the_report_comes_as_a_page_or_as_json) {
  Page p;
  p.ask(1, "/check?domain=app.example.com");
  BOOST_TEST(p.page.in_flight() == 1u);
  p.run(1);
  BOOST_TEST(p.replies[0].response.content_type == "text/html; charset=utf-8");
  BOOST_TEST(has(p.replies[0].response.body, "Challenges are redirected to the app"));
  p.ask(2, "/check?format=json&domain=app.example.com");
  p.run(2);
  BOOST_TEST(p.replies[1].response.content_type == "application/json");
  BOOST_TEST(p.replies[1].response.body.starts_with("{\"domain\":\"app.example.com\""));
  p.ask(3, "/check?domain=%3Cscript%3E");
  p.run(3);
  BOOST_TEST(!has(p.replies[2].response.body, "<script"));
  BOOST_TEST(has(p.replies[2].response.body, "bad-domain"));
}

BOOST_AUTO_TEST_CASE(so_many_at_once_and_fewer_of_one_client) {
  Page p;
  p.clinic.server[0]->silent = true;
  for (CheckPage::Id id = 1; id <= 3; ++id) p.ask(id, "/check?domain=a.example.com");
  BOOST_TEST_REQUIRE(p.replies.size() == 1u);
  BOOST_TEST(protocol::code(p.replies[0].response.status) == 503);
  BOOST_TEST((p.replies[0].reason == protocol::Reason::kOverloaded));
  for (CheckPage::Id id = 11; id <= 20; ++id) {
    p.ask(id, "/check?domain=b.example.com", "198.51.100." + std::to_string(id));
  }
  BOOST_TEST(p.page.in_flight() == CheckPage::kAtOnce);
  BOOST_TEST(p.replies.size() == 5u);
  // Whoever goes makes room.
  p.page.forget(11);
  p.ask(21, "/check?domain=b.example.com", "198.51.100.21");
  BOOST_TEST(p.page.in_flight() == CheckPage::kAtOnce);
  p.run(13);
  BOOST_TEST(p.page.in_flight() == 0u);
  BOOST_TEST(std::ranges::count(p.ids, 11u) == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::doctor
