// CAA records: which count, and what they allow.
#include "doctor/caa.h"

#include "tests/doctor/evidence.h"

namespace http01::doctor {

using namespace protocol;

BOOST_AUTO_TEST_SUITE(doctor_caa)

BOOST_AUTO_TEST_CASE(caa_records_and_what_they_allow) {
  struct Set {
    std::vector<CaaRecord> records;
    const char* found;
  };
  for (const Set& set : {
           Set{{{false, "issue", "letsencrypt.org"}}, ""},
           {{{false, "issue", " LetsEncrypt.ORG "}}, ""},
           {{{false, "issue", "pki.goog"}, {false, "issue", "letsencrypt.org"}}, ""},
           {{{false, "iodef", "mailto:a@example.com"}}, ""},
           {{{false, "issuewild", ";"}}, ""},
           {{{false, "issue", "pki.goog"}}, "fault caa-forbids"},
           {{{false, "issue", ";"}}, "fault caa-forbids"},
           {{{false, "issue", ""}}, "fault caa-forbids"},
           {{{false, "issue", "letsencrypt.org.evil.example"}}, "fault caa-forbids"},
           {{{false, "issue", "letsencrypt.org; nonsense"}}, "fault caa-forbids"},
           {{{false, "issue", ";"}, {false, "issuewild", "letsencrypt.org"}}, "fault caa-forbids"},
           {{{true, "tbs", "x"}}, "fault caa-forbids"},
           // Be it behind one that allows.
           {{{false, "issue", "letsencrypt.org"}, {true, "tbs", "x"}}, "fault caa-forbids"},
           {{{false, "tbs", "x"}}, ""},
           {{{true, "issue", "letsencrypt.org"}}, ""},
           {{{false, "issue", "letsencrypt.org;validationmethods=dns-01"}}, "fault caa-method"},
           {{{false, "issue", "letsencrypt.org; validationmethods=dns-01,tls-alpn-01"}},
            "fault caa-method"},
           {{{false, "issue", "letsencrypt.org;validationmethods=dns-01, http-01"}}, ""},
           {{{false, "issue",
              "letsencrypt.org;validationmethods=http-01;validationmethods=http-01"}},
            "fault caa-forbids"},
           {{{false, "issue", "letsencrypt.org;accounturi=https://ca.example/acct/1"}},
            "note caa-account"},
           {{{false, "issue",
              "letsencrypt.org;accounturi=https://ca.example/acct/1;"
              "accounturi=https://ca.example/acct/1"}},
            "fault caa-forbids"},
           {{{false, "issue", "letsencrypt.org;accounturi=https://ca.example/acct/1"},
             {false, "issue", "letsencrypt.org"}},
            ""},
           {{{false, "issue",
              "letsencrypt.org;validationmethods=dns-01;accounturi=https://ca.example/acct/1"}},
            "fault caa-method"},
       }) {
    Case c;
    c.set("CAA example.com", caa(set.records));
    BOOST_TEST(c.found() == set.found, set.records[0].value);
  }
  Case other;
  other.ca = "pki.goog";
  other.set("CAA example.com", issue("pki.goog"));
  BOOST_TEST(other.found() == "");
  Case wild;
  wild.set("CAA example.com",
           caa({{false, "issue", ";"}, {false, "issuewild", "letsencrypt.org"}}));
  BOOST_TEST(has(wild.only(FindingId::kCaaForbids).text, "issuewild does allow it"));
}

BOOST_AUTO_TEST_CASE(caa_is_of_the_nearest_name_that_has_any) {
  Case c;
  c.set("CAA com", issue(";")).set("CAA example.com", issue("letsencrypt.org"));
  BOOST_TEST(c.found() == "");
  c.set("CAA app.example.com", issue("pki.goog"));
  BOOST_TEST(lines_of(c.only(FindingId::kCaaForbids)) ==
             "set: app.example.com. 300 IN CAA 0 issue \"letsencrypt.org\"\n");
  // By the alias's records, which are not the owner's.
  c.set("CAA app.example.com", through("_.dstack-prod5.phala.network", issue("pki.goog")));
  const Finding finding = c.only(FindingId::kCaaForbids);
  BOOST_TEST(has(finding.text, "They belong to the owner of _.dstack-prod5.phala.network"));
  BOOST_TEST(c.drop("CAA app.example.com").drop("CAA example.com").found() == "fault caa-forbids");
}

BOOST_AUTO_TEST_CASE(caa_that_cannot_be_looked_up_is_a_no) {
  for (const Outcome outcome : {Outcome::kFailure, Outcome::kTimeout}) {
    Case c;
    c.set("CAA example.com", with_outcome(outcome));
    BOOST_TEST(c.found() == "fault caa-failure");
    // Not where a nearer name has records.
    c.set("CAA app.example.com", issue("letsencrypt.org"));
    BOOST_TEST(c.found() == "");
  }
  Case nothing;
  nothing.set("CAA example.com", with_outcome(Outcome::kNxDomain));
  BOOST_TEST(nothing.found() == "");
}

BOOST_AUTO_TEST_CASE(the_climb_is_bounded) {
  std::string deep;
  for (int i = 0; i < 60; ++i) deep += "a.";
  BOOST_TEST(caa_questions(name_of(deep + "example.com")).size() == 16u);
  BOOST_TEST(caa_questions(name_of("app.example.com")).size() == 3u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::doctor
