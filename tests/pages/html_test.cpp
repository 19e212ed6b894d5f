#include "pages/html.h"

#include <boost/test/unit_test.hpp>

namespace http01 {

BOOST_AUTO_TEST_SUITE(html)

BOOST_AUTO_TEST_CASE(nothing_opens_a_tag_or_ends_an_attribute) {
  BOOST_TEST(html_escaped("<a href=\"x\" id='y'>&amp;</a> é") ==
             "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt; é");
  BOOST_TEST(html_escaped("") == "");
}

BOOST_AUTO_TEST_CASE(the_head_has_the_title_and_asks_for_nothing) {
  const std::string head = html_head("a <b> & c", "<meta name=\"x\">\n");
  BOOST_TEST(head.find("<meta name=\"x\">\n<title>a &lt;b&gt; &amp; c</title>\n") !=
             std::string::npos);
  BOOST_TEST(head.ends_with("<body>\n"));
  for (const char* word : {"src=", "url(", "@import", "<script"}) {
    BOOST_TEST(head.find(word) == std::string::npos, word);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
