#include "protocol/reason.h"

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

namespace http01::protocol {

BOOST_AUTO_TEST_SUITE(reason)

struct Row {
  Reason reason;
  const char* word;
  int status;
  bool passing;
  bool breadcrumb;
  bool unseen = false;
};

constexpr Row kRows[] = {
    {Reason::kOk, "ok", 200, false, false},
    {Reason::kBadHost, "bad-host", 400, false, false, true},
    {Reason::kBadPath, "bad-path", 400, false, false, true},
    {Reason::kBadToken, "bad-token", 404, false, false, true},
    {Reason::kNotFound, "not-found", 404, false, false, true},
    {Reason::kBadMethod, "bad-method", 405, false, false, true},
    {Reason::kTooLong, "too-long", 414, false, false, true},
    {Reason::kTooLarge, "too-large", 413, false, false, true},
    {Reason::kDomainRefused, "domain-refused", 403, false, true, true},
    {Reason::kForbidden, "forbidden", 403, false, false, true},
    {Reason::kGatewayName, "gateway-name", 421, false, true, true},
    {Reason::kTxtMissing, "txt-missing", 404, false, true},
    {Reason::kTxtMalformed, "txt-malformed", 502, false, true},
    {Reason::kTxtAmbiguous, "txt-ambiguous", 502, false, true},
    {Reason::kGatewayMissing, "gateway-missing", 502, false, true},
    {Reason::kGatewayRefused, "gateway-refused", 502, false, true},
    {Reason::kCnameLoop, "cname-loop", 502, false, true},
    {Reason::kDnsFailure, "dns-failure", 503, true, true},
    {Reason::kDnsTimeout, "dns-timeout", 504, true, true},
    {Reason::kOverloaded, "overloaded", 503, true, false},
};

BOOST_AUTO_TEST_CASE(words_and_statuses_are_what_the_interface_says) {
  static_assert(std::size(kRows) == base::kCountOf<Reason>);
  for (const Row& row : kRows) {
    const ReasonInfo& known = info(row.reason);
    BOOST_TEST(known.word == row.word);
    BOOST_TEST(code(known.status) == row.status, row.word);
    BOOST_TEST(known.passing == row.passing, row.word);
    BOOST_TEST(known.breadcrumb == row.breadcrumb, row.word);
    BOOST_TEST(known.unseen == row.unseen, row.word);
  }
}

BOOST_AUTO_TEST_CASE(every_reason_has_its_own_word_and_meaning) {
  std::set<std::string_view> words;
  std::set<std::string_view> meanings;
  for (const Reason reason : base::kAllOf<Reason>) {
    const ReasonInfo& known = info(reason);
    BOOST_TEST(words.insert(known.word).second, known.word);
    BOOST_TEST(meanings.insert(known.means).second, known.word);
    BOOST_TEST(!known.means.empty());
    BOOST_TEST(!known.means.ends_with('.'));
  }
}

BOOST_AUTO_TEST_CASE(every_reason_of_a_failure_is_in_the_readme) {
  std::ifstream file(TESTS_DIR "/../README.md");
  const std::string readme{std::istreambuf_iterator<char>(file), {}};
  for (const Reason reason : base::kAllOf<Reason>) {
    if (reason == Reason::kOk) continue;
    const std::string word(info(reason).word);
    BOOST_TEST(readme.find("`" + word + "`") != std::string::npos, word);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::protocol
