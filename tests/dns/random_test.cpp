#include "dns/random.h"

#include <boost/test/unit_test.hpp>
#include <set>

namespace http01::dns {

BOOST_AUTO_TEST_SUITE(random_ids)

int fills = 0;

bool fill_twice(std::span<std::uint8_t> octets) {
  if (fills == 2) return false;
  ++fills;
  return random_octets(octets);
}

BOOST_AUTO_TEST_CASE(ids_are_all_over_the_range) {
  RandomIds ids;
  std::set<std::uint16_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(ids.next());
  BOOST_TEST(seen.size() > 950u);
  BOOST_TEST(!ids.take_refusal());
}

BOOST_AUTO_TEST_CASE(an_id_that_could_be_guessed_is_told_as_none) {
  fills = 0;
  RandomIds ids(fill_twice);
  for (int i = 0; i < 256; ++i) ids.next();
  BOOST_TEST(!ids.take_refusal());
  ids.next();
  BOOST_TEST(ids.take_refusal());
  BOOST_TEST(!ids.take_refusal());
  fills = 1;
  ids.next();
  BOOST_TEST(!ids.take_refusal());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::dns
