#include "serve/announce.h"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>

#include "base/fd.h"
#include "config/load.h"
#include "transport/listen.h"

namespace http01 {

BOOST_AUTO_TEST_SUITE(announce)

std::string announced(std::string_view toml, int socket = -1) {
  const auto config = parse_config(toml, "relay.toml", [](const char*) { return std::nullopt; });
  BOOST_REQUIRE(bool(config));
  return serving_line("1.2.3", socket, "/no/such/relay.toml", *config);
}

BOOST_AUTO_TEST_CASE(the_line_names_version_socket_configuration_and_gateways) {
  BOOST_TEST(
      announced("") ==
      "serving version=1.2.3 socket=an unnamed socket config=/no/such/relay.toml (not there, "
      "the defaults hold) gateways=*.phala.network");
  const std::string all = announced(
      "[gateways]\nallow = [\"a.example.net\", \"*.b.example.net\"]\n"
      "fallback = \"a.example.net\"\nallow_regex = '^_\\.(.+)$'\n");
  BOOST_TEST(all.ends_with("gateways=a.example.net,*.b.example.net fallback=a.example.net "
                           "allow_regex=^_\\.(.+)$"),
             all);
}

BOOST_AUTO_TEST_CASE(a_socket_is_named_as_listen_takes_it) {
  std::string directory = (std::filesystem::temp_directory_path() / "http01-XXXXXX").string();
  BOOST_REQUIRE(::mkdtemp(directory.data()) != nullptr);
  const std::string address = "unix:" + directory + "/relay.sock";
  {
    const auto listener = transport::open_listener(address, 0660);
    BOOST_REQUIRE(bool(listener));
    BOOST_TEST(transport::socket_address(listener->socket.get()) == address);
  }
  ::rmdir(directory.c_str());
  int pair[2];
  BOOST_REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  const base::Fd one(pair[0]);
  const base::Fd other(pair[1]);
  BOOST_TEST(transport::socket_address(one.get()) == "an unnamed socket");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
