// Whether the DNS answers, and whether all of it says the same.
#include "tests/doctor/evidence.h"

namespace http01::doctor {

using namespace protocol;

BOOST_AUTO_TEST_SUITE(doctor_resolution)

BOOST_AUTO_TEST_CASE(dns_that_fails_or_is_silent) {
  Case failing;
  failing.set("TXT _dstack-app-address.app.example.com", with_outcome(Outcome::kFailure));
  BOOST_TEST(failing.found() == "fault dns-failure");
  Case silent;
  silent.set("CNAME app.example.com", with_outcome(Outcome::kTimeout));
  BOOST_TEST(silent.found() == "fault dns-timeout");
  BOOST_TEST(has(silent.only(FindingId::kDnsTimeout).text, "CNAME app.example.com"));
  Case dead;
  dead.zone.answers.clear();
  dead.zone.otherwise = with_outcome(Outcome::kTimeout);
  BOOST_TEST(dead.found() == "fault dns-timeout");
  BOOST_TEST(has(dead.only(FindingId::kDnsTimeout).text, "No resolver answered anything"));
  Case busy;
  busy.set("CNAME app.example.com", with_outcome(Outcome::kOverloaded));
  BOOST_TEST(busy.found() == "warning overloaded");
}

// What has not been answered is said, be it that nothing depends on it.
BOOST_AUTO_TEST_CASE(what_was_not_asked_or_not_answered_is_found) {
  Case busy;
  busy.set("AAAA app.example.com", with_outcome(Outcome::kOverloaded));
  BOOST_TEST(busy.found() == "warning overloaded");
  BOOST_TEST(has(busy.only(FindingId::kOverloaded).text, "AAAA app.example.com"));
  Case caa;
  caa.set("CAA com", with_outcome(Outcome::kOverloaded));
  BOOST_TEST(caa.found() == "warning overloaded");

  Case half;
  const Question a{name_of("app.example.com"), RecordType::kA};
  const Question cname{name_of("app.example.com"), RecordType::kCname};
  Opinion one{"one", {}};
  Opinion other{"other", {}};
  for (Opinion* opinion : {&one, &other}) {
    opinion->answers.put(a, half.zone(a));
    opinion->answers.put(cname,
                         opinion == &one ? half.zone(cname) : with_outcome(Outcome::kTimeout));
  }
  half.extra.opinions = {one, other};
  BOOST_TEST(half.found() == "warning resolver-silent");
  const std::string text = half.only(FindingId::kResolverSilent).text;
  BOOST_TEST(has(text, "other has not answered in time for CNAME app.example.com"), text);
  // Where nobody has answered it is the zone's name servers that did not.
  half.set("CNAME app.example.com", with_outcome(Outcome::kTimeout));
  BOOST_TEST(half.found() == "fault dns-timeout");
}

BOOST_AUTO_TEST_CASE(a_cause_that_is_known_is_told) {
  const auto caused = [](Outcome outcome, protocol::Cause cause) {
    Answer answer = with_outcome(outcome);
    answer.cause = cause;
    return answer;
  };
  Case large;
  large.set("TXT _dstack-app-address.app.example.com",
            caused(Outcome::kFailure, protocol::Cause::kTooManyRecords));
  BOOST_TEST(large.found() == "fault dns-failure");
  BOOST_TEST(has(large.only(FindingId::kDnsFailure).text,
                 "TXT _dstack-app-address.app.example.com has more than 128 records"));
  Case refused;
  refused.zone.answers.clear();
  refused.zone.otherwise = caused(Outcome::kTimeout, protocol::Cause::kConnectionRefused);
  BOOST_TEST(has(refused.only(FindingId::kDnsTimeout).text,
                 "No resolver answered anything: connection refused."));
}

BOOST_AUTO_TEST_CASE(dnssec) {
  Case bogus;
  bogus.set("TXT _dstack-app-address.app.example.com", with_outcome(Outcome::kFailure));
  Observation held{{name_of("_dstack-app-address.app.example.com"), RecordType::kTxt}, {}};
  held.held_back = true;
  bogus.extra.observations = {held};
  BOOST_TEST(bogus.found() == "fault dnssec-bogus");
  Case unsigned_zone;
  unsigned_zone.policy.require_dnssec = true;
  BOOST_TEST(unsigned_zone.found() == "fault dnssec-missing");
  for (auto& [question, answer] : unsigned_zone.zone.answers) answer.authenticated = true;
  unsigned_zone.zone.otherwise.authenticated = true;
  BOOST_TEST(unsigned_zone.found() == "");
}

Opinion opinion(const std::string& server, Answer answer) {
  Opinion opinion{server, {}};
  opinion.answers.put({name_of("app.example.com"), RecordType::kA}, std::move(answer));
  return opinion;
}

BOOST_AUTO_TEST_CASE(resolvers_that_do_not_agree) {
  const auto found = [](std::vector<Opinion> opinions) {
    Case c;
    c.extra.opinions = std::move(opinions);
    return c.found();
  };
  Answer both = address("45.0.0.1");
  both.addresses.push_back(*base::IpAddress::parse("45.0.0.2"));
  Answer turned = address("45.0.0.2");
  turned.addresses.push_back(*base::IpAddress::parse("45.0.0.1"));
  turned.ttl_s = 7;
  BOOST_TEST(found({opinion("a", both), opinion("b", turned)}) == "");
  BOOST_TEST(found({opinion("a", both), opinion("b", address("45.0.0.1"))}) ==
             "warning resolvers-differ");
  BOOST_TEST(found({opinion("a", both), opinion("b", with_outcome(Outcome::kFailure))}) ==
             "warning resolvers-differ");
  BOOST_TEST(found({opinion("a", with_outcome(Outcome::kNxDomain)),
                    opinion("b", with_outcome(Outcome::kNoData))}) == "");
  BOOST_TEST(found({opinion("a", both), opinion("b", with_outcome(Outcome::kTimeout))}) ==
             "warning resolver-silent");
}

BOOST_AUTO_TEST_CASE(an_answer_that_takes_long) {
  Case c;
  Observation slow{{name_of("app.example.com"), RecordType::kCname}, {}};
  slow.took = std::chrono::seconds(2);
  c.extra.observations = {slow};
  BOOST_TEST(c.found() == "warning slow");
  c.extra.observations[0].took = std::chrono::milliseconds(1999);
  BOOST_TEST(c.found() == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::doctor
