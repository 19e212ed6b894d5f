#include "pages/check_page.h"

#include "tests/doctor/hostile.h"

namespace http01 {

BOOST_AUTO_TEST_SUITE(check_page_html)

using doctor::Case;
using doctor::has;
using doctor::hostile;
using doctor::kHostile;
using doctor::Report;
using doctor::report_of;

BOOST_AUTO_TEST_CASE(the_page_has_no_markup_from_outside) {
  const Report report = report_of(hostile());
  for (const std::string& page : {check_page(&report, kHostile), check_page(nullptr, kHostile)}) {
    for (const char c : page) {
      BOOST_TEST((c == '\n' || (c >= ' ' && c <= '~')), static_cast<int>(c));
    }
    BOOST_TEST(!has(page, "<script"));
    BOOST_TEST(!has(page, "\x1b"));
    BOOST_TEST(!has(page, "=\"'"));
    // Nothing is fetched from anywhere.
    for (const char* word : {"src=", "url(", "@import"}) BOOST_TEST(!has(page, word));
    // The empty icon alone.
    const std::size_t link = page.find("href=");
    BOOST_TEST(page.substr(link).starts_with("href=\"data:,\""));
    BOOST_TEST(page.find("href=", link + 1) == std::string::npos);
    BOOST_TEST(has(page, "name=\"domain\""));
    BOOST_TEST(page.ends_with("</html>\n"));
  }
  BOOST_TEST(has(check_page(&report, "x"), "txt-malformed"));
  Case missing;
  missing.drop("TXT _dstack-app-address.app.example.com");
  const Report placeholder = report_of(missing);
  BOOST_TEST(has(check_page(&placeholder, ""), "&quot;&lt;app id&gt;:&lt;port&gt;&quot;"));
}

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

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
