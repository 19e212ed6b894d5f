#include "protocol/name.h"

#include <boost/test/unit_test.hpp>

namespace http01::protocol {

BOOST_AUTO_TEST_SUITE(name)

std::optional<Name> from_wire(std::string_view wire) {
  return Name::from_wire({reinterpret_cast<const std::uint8_t*>(wire.data()), wire.size()});
}

BOOST_AUTO_TEST_CASE(text_is_lowered_and_a_final_dot_is_nothing) {
  BOOST_TEST(Name::from_text("WWW.Example.COM.")->text() == "www.example.com");
  BOOST_TEST((Name::from_text("WWW.Example.COM.") == Name::from_text("www.example.com")));
  BOOST_TEST(Name::from_text("_dstack-app-address")->text() == "_dstack-app-address");
  BOOST_TEST(Name::from_text("")->is_root());
  BOOST_TEST(Name::from_text(".")->text() == ".");
}

BOOST_AUTO_TEST_CASE(text_that_is_no_plain_name_is_refused) {
  for (const char* text : {"a..b", ".a", "a b", "a/b", "a\\046b", "a@b", "*.example.com", "a.b..",
                           "[::1]", "\xc3\xa4.example", "a\n"}) {
    BOOST_TEST(!Name::from_text(text), text);
  }
  BOOST_TEST(!Name::from_text(std::string(64, 'a') + ".com"));
  BOOST_TEST(bool(Name::from_text(std::string(63, 'a') + ".com")));
}

BOOST_AUTO_TEST_CASE(a_name_has_at_most_253_octets_of_text) {
  const std::string label(49, 'x');
  const std::string four = label + "." + label + "." + label + "." + label + ".";  // 200 octets
  BOOST_TEST(bool(Name::from_text(four + std::string(53, 'y'))));
  BOOST_TEST(!Name::from_text(four + std::string(54, 'y')));
}

BOOST_AUTO_TEST_CASE(wire_form_must_end_exactly_and_be_uncompressed) {
  using namespace std::string_view_literals;
  BOOST_TEST(from_wire("\3WwW\3com\0"sv)->text() == "www.com");
  BOOST_TEST(from_wire("\0"sv)->is_root());
  BOOST_TEST(!from_wire(""sv));
  BOOST_TEST(!from_wire("\3www"sv));
  BOOST_TEST(!from_wire("\3www\0\0"sv));
  BOOST_TEST(!from_wire("\3ww\0"sv));
  BOOST_TEST(!from_wire("\300\14\0"sv));
}

BOOST_AUTO_TEST_CASE(any_octet_in_a_label_is_escaped_and_never_a_boundary) {
  using namespace std::string_view_literals;
  const Name dotted = *from_wire("\11a.example\3com\0"sv);
  BOOST_TEST(dotted.text() == "a\\046example.com");
  BOOST_TEST(!dotted.is_plain());
  BOOST_TEST(!dotted.is_at_or_under(*Name::from_text("example.com")));
  BOOST_TEST(from_wire("\4\"\\\n\377\0"sv)->text() == "\\034\\092\\010\\255");
}

BOOST_AUTO_TEST_CASE(under_is_by_labels) {
  const auto is_under = [](const char* name, const char* ancestor) {
    return Name::from_text(name)->is_at_or_under(*Name::from_text(ancestor));
  };
  BOOST_TEST(is_under("a.example.com", "example.com"));
  BOOST_TEST(is_under("example.com", "example.com"));
  BOOST_TEST(is_under("example.com", "."));
  BOOST_TEST(!is_under("aexample.com", "example.com"));
  BOOST_TEST(!is_under("com", "example.com"));
}

BOOST_AUTO_TEST_CASE(octets_that_look_like_a_length_are_no_boundary) {
  using namespace std::string_view_literals;
  // One label "x\3com" ends with the same octets as the name "com".
  BOOST_TEST(!from_wire("\5x\3com\0"sv)->is_at_or_under(*Name::from_text("com")));
}

BOOST_AUTO_TEST_CASE(a_domain_is_two_host_labels_or_more_and_no_number_last) {
  for (const char* text :
       {"example.com", "a.b", "xn--bcher-kva.example", "1.2.example", "a-b.c1"}) {
    BOOST_TEST(Name::from_text(text)->is_domain(), text);
  }
  for (const char* text :
       {"localhost", "a_b.com", "-a.com", "a-.com", "192.0.2.1", "a.123", "_.com", "."}) {
    BOOST_TEST(!Name::from_text(text)->is_domain(), text);
  }
}

BOOST_AUTO_TEST_CASE(joining_stops_at_the_length_of_a_name) {
  const Name prefix = *Name::from_text("_dstack-app-address");
  BOOST_TEST(join(prefix, *Name::from_text("example.com"))->text() ==
             "_dstack-app-address.example.com");
  const std::string label(49, 'x');
  const std::string long_name = label + "." + label + "." + label + "." + label + ".";
  BOOST_TEST(join(prefix, *Name::from_text(long_name + std::string(33, 'y')))->text_octets() ==
             253u);
  BOOST_TEST(!join(prefix, *Name::from_text(long_name + std::string(34, 'y'))));
}

BOOST_AUTO_TEST_CASE(parents_and_labels) {
  const Name name = *Name::from_text("a.b.c");
  BOOST_TEST(name.label_count() == 3u);
  BOOST_TEST(name.first_label() == "a");
  BOOST_TEST(name.parent().text() == "b.c");
  BOOST_TEST(Name().parent().is_root());
}

BOOST_AUTO_TEST_CASE(a_text_is_a_domain_where_its_name_is_one_and_reads_the_same) {
  const std::string label(63, 'a');
  const std::string longest = label + '.' + label + '.' + label + '.' + std::string(61, 'b');
  for (const std::string& text : {std::string("a.b"),
                                  std::string("a-1.example.com"),
                                  std::string("1.2.c3"),
                                  std::string("xn--a.b"),
                                  longest,
                                  longest + 'c',
                                  label + "a.com",
                                  std::string(),
                                  std::string("a"),
                                  std::string("."),
                                  std::string("a."),
                                  std::string(".a"),
                                  std::string("a.b."),
                                  std::string("a..b"),
                                  std::string(".a.b"),
                                  std::string("A.b"),
                                  std::string("a.B"),
                                  std::string("-a.b"),
                                  std::string("a-.b"),
                                  std::string("a.-b"),
                                  std::string("a.b-"),
                                  std::string("_a.b"),
                                  std::string("a.b_"),
                                  std::string("1.2"),
                                  std::string("a.0"),
                                  std::string("a.0.b"),
                                  std::string("a b.c"),
                                  std::string("a\0.b", 4),
                                  std::string("a\xe9.b")}) {
    const auto name = Name::from_text(text);
    BOOST_TEST(Name::is_domain_text(text) == (name && name->is_domain() && name->text() == text),
               text);
  }
}

BOOST_AUTO_TEST_CASE(labels_make_the_same_name_again) {
  for (const char* const text : {".", "a", "_x.example.com"}) {
    const Name name = Name::from_text(text).value();
    BOOST_TEST((Name::from_labels(name.labels()) == name));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::protocol
