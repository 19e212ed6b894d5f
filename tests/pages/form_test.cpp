#include "pages/form.h"

#include <boost/test/unit_test.hpp>
#include <string>

namespace http01 {

BOOST_AUTO_TEST_SUITE(form_fields)

BOOST_AUTO_TEST_CASE(a_field_is_decoded_and_trimmed) {
  struct Case {
    const char* query;
    const char* value;  // nullptr: none
  };
  for (const Case& c : {
           Case{"?a=x", "x"},
           Case{"a=x", "x"},
           Case{"?b=1&a=x&c=2", "x"},
           Case{"?a=+x%20y%09", "x y"},
           Case{"?a=%3cB%3E", "<B>"},
           Case{"?a=%zz%4&b", "%zz%4"},
           Case{"?a=b=c", "b=c"},
           Case{"?a=1&a=2", "1"},
           Case{"?a=&a=2", nullptr},
           Case{"?a", nullptr},
           Case{"?a&a=x", "x"},
           Case{"?ab=x&xa=x", nullptr},
           Case{"?&&=&", nullptr},
           Case{"", nullptr},
       }) {
    const auto value = form_field(c.query, "a");
    BOOST_TEST(value.has_value() == (c.value != nullptr), c.query);
    if (value && c.value != nullptr) BOOST_TEST(*value == c.value, c.query);
  }
  BOOST_TEST(form_field("?a=%00%ff", "a").value() == std::string("\0\xff", 2));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
