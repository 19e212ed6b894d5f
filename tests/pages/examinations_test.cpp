// What /check does, with name servers on the same loop.
#include "pages/examinations.h"

#include <algorithm>

#include "tests/doctor/clinic.h"

namespace http01 {

BOOST_AUTO_TEST_SUITE(examinations)

struct Page {
  Page()
      : page(
            clinic.loop, clinic.config,
            [this](const protocol::Request&) {
              return admits-- > 0 ? std::nullopt : std::optional(protocol::Limit::kChecks);
            },
            [this](Examinations::Id id, const protocol::Request&, protocol::Reply& reply,
                   base::Duration) {
              ids.push_back(id);
              replies.push_back(std::move(reply));
            }) {}

  void ask(Examinations::Id id, const std::string& uri, const std::string& client = "192.0.2.1") {
    protocol::RawRequest raw = protocol::get("localhost", uri);
    raw.client = client;
    page.begin(id, protocol::read_request(clinic.config.policy, raw));
  }
  void run(std::size_t wanted) {
    doctor::turn_until(clinic.loop, [&] { return replies.size() >= wanted; });
  }

  doctor::Clinic clinic;
  int admits = 100;
  Examinations page;
  std::vector<Examinations::Id> ids;
  std::vector<protocol::Reply> replies;
};

BOOST_AUTO_TEST_CASE(without_a_domain_there_is_a_form) {
  Page p;
  p.ask(1, "/check");
  BOOST_TEST_REQUIRE(p.replies.size() == 1u);
  BOOST_TEST(doctor::has(p.replies[0].response.body, "<form"));
  BOOST_TEST(p.page.in_flight() == 0u);
}

BOOST_AUTO_TEST_CASE(the_report_comes_as_a_page_or_as_json) {
  Page p;
  p.ask(1, "/check?domain=app.example.com");
  BOOST_TEST(p.page.in_flight() == 1u);
  p.run(1);
  BOOST_TEST(p.replies[0].response.content_type == "text/html; charset=utf-8");
  BOOST_TEST(doctor::has(p.replies[0].response.body, "Challenges are redirected to the app"));
  BOOST_TEST(p.replies[0].checked == "app.example.com");
  p.ask(2, "/check?format=json&domain=app.example.com");
  p.run(2);
  BOOST_TEST(p.replies[1].response.content_type == "application/json");
  BOOST_TEST(p.replies[1].response.body.starts_with("{\"domain\":\"app.example.com\""));
  p.ask(3, "/check?domain=%3Cscript%3E");
  p.run(3);
  BOOST_TEST(!doctor::has(p.replies[2].response.body, "<script"));
  BOOST_TEST(doctor::has(p.replies[2].response.body, "bad-domain"));
  BOOST_TEST(p.replies[2].checked == "<script>");
}

BOOST_AUTO_TEST_CASE(beyond_the_rate_nothing_is_examined_and_the_form_is_free) {
  Page p;
  p.admits = 1;
  p.ask(1, "/check?domain=app.example.com");
  p.ask(2, "/check");
  p.ask(3, "/check?domain=app.example.com");
  BOOST_TEST_REQUIRE(p.replies.size() == 2u);
  BOOST_TEST(doctor::has(p.replies[0].response.body, "<form"));
  BOOST_TEST((p.replies[1].reason == protocol::Reason::kOverloaded));
  BOOST_TEST((p.replies[1].limit == protocol::Limit::kChecks));
  BOOST_TEST(p.replies[1].checked == "app.example.com");
  BOOST_TEST(protocol::code(p.replies[1].response.status) == 503);
  p.run(3);
  BOOST_TEST(p.page.in_flight() == 0u);
}

BOOST_AUTO_TEST_CASE(strangers_are_shown_no_private_address) {
  Page p;
  p.clinic.server[0]->zone.answers["A app.example.com"] = protocol::address("10.1.2.3");
  p.ask(1, "/check?domain=app.example.com");
  p.run(1);
  BOOST_TEST(doctor::has(p.replies[0].response.body, "reserved-address"));
  for (const char* hidden : {"10.1.2.3", "127.0.0.1"}) {
    BOOST_TEST(!doctor::has(p.replies[0].response.body, hidden));
  }
}

BOOST_AUTO_TEST_CASE(so_many_at_once_and_fewer_of_one_client) {
  Page p;
  p.clinic.server[0]->silent = true;
  for (Examinations::Id id = 1; id <= 3; ++id) p.ask(id, "/check?domain=a.example.com");
  BOOST_TEST_REQUIRE(p.replies.size() == 1u);
  BOOST_TEST(protocol::code(p.replies[0].response.status) == 503);
  BOOST_TEST((p.replies[0].reason == protocol::Reason::kOverloaded));
  BOOST_TEST((p.replies[0].limit == protocol::Limit::kChecksPerClient));
  for (Examinations::Id id = 11; id <= 20; ++id) {
    p.ask(id, "/check?domain=b.example.com", "198.51.100." + std::to_string(id));
  }
  BOOST_TEST(p.page.in_flight() == Examinations::kAtOnce);
  BOOST_TEST(p.replies.size() == 5u);
  BOOST_TEST((p.replies.back().limit == protocol::Limit::kChecks));
  // Whoever goes makes room.
  p.page.forget(11);
  p.ask(21, "/check?domain=b.example.com", "198.51.100.21");
  BOOST_TEST(p.page.in_flight() == Examinations::kAtOnce);
  p.run(13);
  BOOST_TEST(p.page.in_flight() == 0u);
  BOOST_TEST(std::ranges::count(p.ids, 11u) == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
