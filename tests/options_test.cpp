#include "options.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <initializer_list>

namespace http01 {
namespace {

using Command = Options::Command;
using Words = std::vector<const char*>;

base::Result<Options> parse(Words words) {
  words.insert(words.begin(), "http01-relay");
  return parse_options(static_cast<int>(words.size()), words.data());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(options)

BOOST_AUTO_TEST_CASE(nothing_given_serves_with_the_defaults) {
  const auto options = parse({});
  BOOST_REQUIRE(bool(options));
  BOOST_TEST((options.value().command == Command::kServe));
  BOOST_TEST(options.value().config == "");
  BOOST_TEST(options.value().listen == "");
  BOOST_TEST(options.value().socket_mode == "0660");
  BOOST_TEST(!options.value().json);
  BOOST_TEST(parse_options(0, nullptr).value().domains.empty());
}

BOOST_AUTO_TEST_CASE(options_stand_before_or_after_the_command) {
  for (const Words& words :
       {Words{"-c", "f", "--json", "check", "a.example", "b.example"},
        Words{"check", "-cf", "a.example", "--json", "b.example"},
        Words{"check", "a.example", "b.example", "--json", "--config=f"},
        Words{"--json", "--config", "f", "--", "check", "a.example", "b.example"},
        Words{"check", "-c", "f", "--json", "--", "a.example", "b.example"}}) {
    const auto options = parse(words);
    BOOST_REQUIRE(bool(options));
    BOOST_TEST((options.value().command == Command::kCheck));
    BOOST_TEST(options.value().config == "f");
    BOOST_TEST(options.value().json);
    BOOST_TEST((options.value().domains == std::vector<std::string>{"a.example", "b.example"}));
  }
}

BOOST_AUTO_TEST_CASE(the_order_of_words_does_not_depend_on_posixly_correct) {
  ::setenv("POSIXLY_CORRECT", "1", 1);
  const auto options = parse({"check", "a.example", "--json"});
  ::unsetenv("POSIXLY_CORRECT");
  BOOST_REQUIRE(bool(options));
  BOOST_TEST(options.value().json);
  BOOST_TEST(options.value().domains.size() == 1u);
}

BOOST_AUTO_TEST_CASE(each_option_is_kept_as_text) {
  const auto serve = parse({"--listen", "unix:/run/relay.sock", "--socket-mode=0600"});
  BOOST_REQUIRE(bool(serve));
  BOOST_TEST((serve.value().command == Command::kServe));
  BOOST_TEST(serve.value().listen == "unix:/run/relay.sock");
  BOOST_TEST(serve.value().socket_mode == "0600");
  BOOST_TEST(parse({"--listen=[::1]:9001"}).value().listen == "[::1]:9001");
  BOOST_TEST(parse({"--listen=whatever"}).value().listen == "whatever");
  BOOST_TEST(parse({"-c", "a", "-c", "b"}).value().config == "b");
  BOOST_TEST(parse({"-c", "--json"}).value().config == "--json");
  BOOST_TEST((parse({"config", "-c", "a"}).value().command == Command::kConfig));
  BOOST_TEST(parse({"check", "--", "-x.example"}).value().domains.at(0) == "-x.example");
}

BOOST_AUTO_TEST_CASE(what_only_check_takes) {
  const auto options = parse({"check", "a.example", "--probe", "--ca", "PKI.goog.",
                              "--relay-address", "192.0.2.1", "--relay-address=2001:db8::1"});
  BOOST_REQUIRE(bool(options));
  BOOST_TEST(options.value().probe);
  BOOST_TEST(options.value().ca == "pki.goog");
  BOOST_TEST_REQUIRE(options.value().relay_addresses.size() == 2u);
  BOOST_TEST(options.value().relay_addresses[1].text() == "2001:db8::1");
  const auto plain = parse({"check", "a.example"});
  BOOST_TEST(!plain.value().probe);
  BOOST_TEST(plain.value().ca == "letsencrypt.org");
  BOOST_TEST(plain.value().relay_addresses.empty());
}

BOOST_AUTO_TEST_CASE(help_and_version_come_before_what_follows_them) {
  BOOST_TEST((parse({"-h"}).value().command == Command::kHelp));
  BOOST_TEST((parse({"--help", "--frob"}).value().command == Command::kHelp));
  BOOST_TEST((parse({"check", "--help"}).value().command == Command::kHelp));
  BOOST_TEST((parse({"-V"}).value().command == Command::kVersion));
  BOOST_TEST((parse({"--version"}).value().command == Command::kVersion));
  BOOST_TEST((parse({"-hV"}).value().command == Command::kHelp));
}

BOOST_AUTO_TEST_CASE(wrong_usage_is_said_in_one_line) {
  const struct {
    Words words;
    const char* fault;
  } cases[] = {
      {{"--frob"}, "unknown option \"--frob\""},
      {{"--frob=1"}, "unknown option \"--frob\""},
      {{"-x"}, "unknown option \"-x\""},
      {{"--json", "-xh"}, "unknown option \"-x\""},
      {{"-hx"}, nullptr},
      {{"-\xff"}, "unknown option \"-\\255\""},
      {{"--\n"}, "unknown option \"--\\010\""},
      {{"--conf", "f"}, "unknown option \"--conf\""},
      {{"--conf=f"}, "unknown option \"--conf\""},
      {{"--js", "check", "a.example"}, "unknown option \"--js\""},
      {{"--ver"}, "unknown option \"--ver\""},
      {{"--socket", "0600", "--listen", "unix:/s"}, "unknown option \"--socket\""},
      {{"-c"}, "option --config needs an argument"},
      {{"check", "a.example", "--config"}, "option --config needs an argument"},
      {{"--listen"}, "option --listen needs an argument"},
      {{"--socket-mode"}, "option --socket-mode needs an argument"},
      {{"--json=yes", "check", "a.example"}, "option --json takes no argument"},
      {{"--help=me"}, "option --help takes no argument"},
      {{"--config="}, "the argument of --config is empty"},
      {{"-c", ""}, "the argument of --config is empty"},
      {{"--listen", ""}, "the argument of --listen is empty"},
      {{"--socket-mode=", "--listen", "unix:/s"}, "the argument of --socket-mode is empty"},
      {{"serve"}, "unknown command \"serve\""},
      {{"Check", "a.example"}, "unknown command \"Check\""},
      {{""}, "unknown command \"\""},
      {{"-"}, "unknown command \"-\""},
      {{"--", "--help"}, "unknown command \"--help\""},
      {{"check"}, "check needs a domain"},
      {{"check", "--json"}, "check needs a domain"},
      {{"config", "a.example"}, "config takes no argument, but there is \"a.example\""},
      {{"config", "--json"}, "--json is for check"},
      {{"--json"}, "--json is for check"},
      {{"--probe"}, "--probe is for check"},
      {{"config", "--ca", "pki.goog"}, "--ca is for check"},
      {{"--relay-address", "192.0.2.1"}, "--relay-address is for check"},
      {{"check", "a.example", "--relay-address", "a.example"},
       "--relay-address: \"a.example\" is no IP address"},
      {{"check", "a.example", "--ca", "letsencrypt"},
       "--ca: \"letsencrypt\" is no domain, allowed are names of two labels or more, such as "
       "\"example.com\""},
      {{"check", "a.example", "--ca"}, "option --ca needs an argument"},
      {{"check", "a.example", "--probe=1"}, "option --probe takes no argument"},
      {{"--listen", "unix:/s", "config"}, "--listen does not go with a command"},
      {{"check", "a.example", "--listen", "unix:/s"}, "--listen does not go with a command"},
      {{"--socket-mode", "0600"}, "--socket-mode is for --listen unix:..."},
      {{"--socket-mode", "0600", "--listen", "127.0.0.1:9001"},
       "--socket-mode is for --listen unix:..."},
      {{"check", "a.example", "--socket-mode", "0600"}, "--socket-mode is for --listen unix:..."},
  };
  for (const auto& [words, fault] : cases) {
    const auto options = parse(words);
    BOOST_TEST(bool(options) == (fault == nullptr), words[0]);
    if (!options && fault != nullptr) BOOST_TEST(options.error() == fault);
  }
}

BOOST_AUTO_TEST_CASE(the_usage_names_every_option_and_command) {
  const std::string usage = usage_text();
  for (const char* word :
       {"--listen", "--socket-mode", "-c, --config", "--json", "--probe", "--ca NAME",
        "--relay-address", "-h, --help", "-V, --version", "check DOMAIN...", "config"}) {
    BOOST_TEST(usage.find(word) != std::string::npos, word);
  }
  BOOST_TEST(usage.ends_with("\n"));
}

BOOST_AUTO_TEST_CASE(the_version_is_the_name_and_three_numbers) {
  const std::string version = version_text();
  BOOST_TEST(version.starts_with("http01-relay "));
  BOOST_TEST(version.ends_with("\n"));
  BOOST_TEST(std::count(version.begin(), version.end(), '.') == 2);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
