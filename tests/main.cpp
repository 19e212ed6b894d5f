#define BOOST_TEST_MODULE http01_relay
#include <boost/test/unit_test.hpp>
