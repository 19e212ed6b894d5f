// The doctor at work, with name servers on the same loop.
#include "tests/doctor/clinic.h"

namespace http01::doctor {

BOOST_AUTO_TEST_SUITE(doctor)

BOOST_AUTO_TEST_CASE(a_domain_in_order_is_asked_for_once_and_of_whom_is_known) {
  Clinic clinic;
  const Evidence& evidence = clinic.examined("app.example.com");
  BOOST_TEST((evidence.reply.reason == protocol::Reason::kOk));
  for (const Observation& observation : evidence.observations) {
    BOOST_TEST(observation.server == clinic.server[0]->dns.endpoint().text());
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
  BOOST_TEST(evidence.observations.front().decides);
  BOOST_TEST(!evidence.observations.back().decides);
  BOOST_TEST(evidence.opinions.empty());
}

// The README's example failed now and then: what was answered first came first.
BOOST_AUTO_TEST_CASE(two_runs_report_the_same_whichever_answer_comes_first) {
  Clinic clinic;
  std::vector<std::string> orders;
  for (const std::string_view later :
       {"", "TXT _dstack-app-address.app.example.com", "CNAME app.example.com"}) {
    clinic.server[0]->delayed = later;
    const Evidence evidence = clinic.examined("app.example.com");
    BOOST_TEST(clinic.server[0]->delayed == "");
    std::string& order = orders.emplace_back();
    for (const Observation& observation : evidence.observations) {
      order += std::string(to_string(observation.question.type)) + " " +
               observation.question.name.text() + "\n";
    }
  }
  BOOST_TEST(
      orders[0].starts_with("TXT _dstack-app-address.app.example.com\nCNAME app.example.com\n"));
  BOOST_TEST(orders[1] == orders[0]);
  BOOST_TEST(orders[2] == orders[0]);
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
  BOOST_TEST(evidence.observations.size() > 0u);
  bool held_back = false;
  for (const Observation& observation : evidence.observations) held_back |= observation.held_back;
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
  clinic.doctor().reconfigure(other);
  BOOST_TEST((clinic.examined("app.example.com").reply.reason == protocol::Reason::kDomainRefused));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::doctor
