#include "config/load.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <sstream>

#include "base/fd.h"
#include "tests/config/helpers.h"

namespace http01 {
namespace {

// What stands behind `mark` in the lines that begin with it.
std::vector<std::string> marked_lines(const std::string& text, const std::string& mark) {
  std::vector<std::string> lines;
  std::istringstream in(text.starts_with("\xef\xbb\xbf") ? text.substr(3) : text);
  for (std::string line; std::getline(in, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.starts_with(mark)) lines.push_back(line.substr(mark.size()));
  }
  return lines;
}

// A directory of its own, gone with it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (fs::temp_directory_path() / "http01-relay-test-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  std::string file(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return (path_ / name).string();
  }
  std::string path(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(config)

BOOST_AUTO_TEST_CASE(nothing_set_is_the_defaults_all_printed) {
  BOOST_TEST(outcome("", kNothing) == kDefaults);
}

BOOST_AUTO_TEST_CASE(each_bad_file_has_the_faults_that_its_head_lists) {
  const auto files = toml_files("bad");
  BOOST_TEST(files.size() >= 80u);
  for (const fs::path& path : files) {
    const std::string text = read(path);
    const auto expected = marked_lines(text, "# fault: ");
    BOOST_TEST(!expected.empty(), path);
    const auto config = parse_config(text, path.filename(), kNothing);
    BOOST_TEST(!config, path);
    if (config) continue;
    const ConfigFaults& faults = config.error();
    BOOST_TEST(faults.size() == expected.size(), path);
    for (std::size_t i = 0; i < std::min(faults.size(), expected.size()); ++i) {
      const std::string line = path.filename().string() + ":" + expected[i];
      BOOST_TEST(is_as_expected(faults[i], line), faults[i] << "\n  but expected: " << line);
    }
  }
}

BOOST_AUTO_TEST_CASE(each_key_has_a_bad_file) {
  std::string all;
  for (const fs::path& path : toml_files("bad")) {
    for (const std::string& fault : marked_lines(read(path), "# fault: ")) all += fault + "\n";
  }
  std::string table;
  std::istringstream defaults(kDefaults);
  for (std::string line; std::getline(defaults, line);) {
    if (line.starts_with('[')) table = line.substr(1, line.find(']') - 1);
    if (line.find('=') == std::string::npos) continue;
    const std::string key = table + "." + line.substr(0, line.find(' '));
    BOOST_TEST(all.find(": " + key + ": ") != std::string::npos, key);
  }
}

BOOST_AUTO_TEST_CASE(each_good_file_is_read_as_its_head_says) {
  for (const fs::path& path : toml_files("good")) {
    const std::string text = read(path);
    const auto config = parse_config(text, path.filename(), kNothing);
    BOOST_TEST(bool(config), path << ": " << outcome(text, kNothing));
    if (!config) continue;
    const std::string printed = to_toml(config.value());
    for (const std::string& line : marked_lines(text, "# toml: ")) {
      BOOST_TEST(has_line(printed, line), path << ": no line " << line << " in\n" << printed);
    }
    BOOST_TEST(outcome(printed, kNothing) == printed, path);
  }
}

BOOST_AUTO_TEST_CASE(the_good_file_with_everything_changes_every_default) {
  const std::string printed =
      outcome(read(fs::path(TESTS_DIR) / "data/config/good/everything.toml"), kNothing);
  std::istringstream defaults(kDefaults);
  std::string table;
  for (std::string line; std::getline(defaults, line);) {
    if (line.starts_with('[')) table = line.substr(1, line.find(']') - 1);
    const std::string full = table + "." + line;
    if (line.find('=') != std::string::npos) BOOST_TEST(!has_line(printed, full), full);
  }
}

BOOST_AUTO_TEST_CASE(the_shipped_file_shows_every_key_at_its_default) {
  const std::string shipped = read(fs::path(TESTS_DIR) / "../etc/http01-relay.toml");
  BOOST_TEST(outcome(shipped, kNothing) == kDefaults);

  // A setting is "#" without a space. All of them taken in, and then each on its own line.
  std::string live;
  std::vector<std::string> lines;
  std::istringstream in(shipped);
  for (std::string line; std::getline(in, line);) {
    const bool setting = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    lines.push_back(setting ? line.substr(1) : line);
    live += lines.back() + "\n";
  }
  BOOST_TEST(outcome(live, kNothing) == kDefaults);
  std::string table;
  std::istringstream defaults(kDefaults);
  auto at = lines.begin();
  for (std::string line; std::getline(defaults, line);) {
    if (line.empty()) continue;
    at = std::find(at, lines.end(), line);  // in the same order
    BOOST_REQUIRE_MESSAGE(at != lines.end(), line);
  }
}

BOOST_AUTO_TEST_CASE(every_key_is_in_the_dictionary_of_the_fuzzer) {
  const std::string words = read(fs::path(TESTS_DIR) / "fuzz/config.dict");
  std::istringstream defaults(kDefaults);
  for (std::string line; std::getline(defaults, line);) {
    const std::size_t end = line.find(" = ");
    if (end == std::string::npos) continue;
    BOOST_TEST(words.find("\n\"" + line.substr(0, end + 3) + "\"\n") != std::string::npos, line);
  }
}

BOOST_AUTO_TEST_CASE(what_is_read_arrives_where_it_is_used) {
  auto parsed =
      parse_config(read(fs::path(TESTS_DIR) / "data/config/good/everything.toml"), "f", kNothing);
  BOOST_REQUIRE(bool(parsed));
  const Config& config = *parsed;
  const protocol::Policy& policy = config.policy;
  BOOST_TEST(policy.gateways.bases.size() == 1u);
  BOOST_TEST(policy.gateways.wildcard_parents.at(1).text() == "example");
  BOOST_TEST(policy.gateways.aliases.at(1).first.text() == "prod7.relay.example.net");
  BOOST_TEST(policy.gateways.aliases.at(1).second.text() == "dstack-prod7.phala.network");
  BOOST_TEST(*policy.gateways.regex->capture("_.a.phala.network", 2) == "a");
  BOOST_TEST(protocol::code(policy.redirect_status) == 302);
  BOOST_TEST((policy.other_paths == protocol::OtherPaths::kApp));
  BOOST_TEST(policy.domains_allow.at(0).text() == "com");
  BOOST_TEST(policy.relay_hosts.at(0) == "relay.example.net");
  BOOST_TEST(policy.relay_hosts.at(3) == "2001:db8::9");
  BOOST_TEST(policy.metrics_from.at(1).contains(*base::IpAddress::parse("10.255.0.1")));
  BOOST_TEST(!policy.metrics_from.at(1).contains(*base::IpAddress::parse("11.0.0.1")));
  BOOST_TEST(config.dns.servers.at(0).port == 53);
  BOOST_TEST(config.dns.timeout.count() == 50);
  BOOST_TEST(config.dns.deadline.count() == 20000);
  BOOST_TEST(config.cache.max_ttl.count() == 0);
  BOOST_TEST(config.limits.in_flight_per_client == 1'000'000u);
  BOOST_TEST(config.limits.checks_per_client == 1000u);
  BOOST_TEST(config.limits.checks == 1u);
  BOOST_TEST((config.log.level == LogLevel::kCritical));
}

BOOST_AUTO_TEST_CASE(a_file_that_cannot_be_read_is_a_fault_with_the_reason) {
  const TemporaryDirectory directory;
  const auto first_fault = [](const std::string& path) {
    const auto config = load_config(path, kNothing);
    return config ? std::string() : config.error().at(0);
  };
  const std::string missing = directory.path("missing.toml");
  BOOST_TEST(first_fault(missing) == missing + ": cannot be read: No such file or directory");
  BOOST_TEST(first_fault(directory.path("")) ==
             directory.path("") + ": cannot be read: Is a directory");
  const std::string large = directory.file("large.toml", std::string(1024 * 1024 + 1, '#'));
  BOOST_TEST(first_fault(large) == large + ": cannot be read: File too large, allowed is 1 MB");
  const std::string full = directory.file("full.toml", std::string(1024 * 1024, '#'));
  BOOST_TEST(first_fault(full) == "");

  const auto config = load_config(missing, environment_of({{"PORT", "x"}}));
  BOOST_REQUIRE(!config);
  BOOST_TEST(config.error().size() == 2u);
}

// Otherwise the defaults would silently take the place of what the operator has set.
BOOST_AUTO_TEST_CASE(the_default_file_may_be_missing_but_not_unreadable) {
  rlimit before{};
  BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  // Whether the file is there or not, the kernel has no descriptor for it.
  const rlimit none{0, before.rlim_max};
  BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const auto first = load_config("", kNothing);
  const auto again = reload_config("", kNothing, Config{});
  BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  for (const auto* const config : {&first, &again}) {
    BOOST_REQUIRE(!*config);
    BOOST_TEST(config->error().at(0) ==
               "/etc/http01-relay/http01-relay.toml: cannot be read: Too many open files");
  }
}

// -c <(...) came back empty after SIGHUP, which is a right configuration: all the defaults.
BOOST_AUTO_TEST_CASE(what_is_no_regular_file_is_read_once) {
  const TemporaryDirectory directory;
  std::array<int, 2> ends{};
  BOOST_REQUIRE(::pipe(ends.data()) == 0);
  const base::Fd reader(ends[0]);
  base::Fd writer(ends[1]);
  const std::string text = "dns.attempts = 5\n";
  BOOST_REQUIRE(::write(writer.get(), text.data(), text.size()) == std::ssize(text));
  writer.reset();
  const std::string path = "/dev/fd/" + std::to_string(reader.get());
  const auto first = load_config(path, kNothing);
  BOOST_REQUIRE(bool(first));
  BOOST_TEST(first->dns.attempts == 5u);

  // To open this one would wait for a writer.
  const std::string named = directory.path("pipe");
  BOOST_REQUIRE(::mkfifo(named.c_str(), 0600) == 0);
  for (const std::string& once : {path, named, directory.path("")}) {
    const auto again = reload_config(once, kNothing, *first);
    BOOST_REQUIRE(!again);
    BOOST_TEST(again.error().at(0) == once + ": cannot be read again: not a regular file");
  }
  const auto file = reload_config(directory.file("one.toml", text), kNothing, *first);
  BOOST_REQUIRE(bool(file));
  BOOST_TEST(file->dns.attempts == 5u);
}

// A disk that was full, or a "git checkout" without the file: a reload then was the defaults.
BOOST_AUTO_TEST_CASE(a_reload_takes_no_lost_file_for_the_defaults) {
  const TemporaryDirectory directory;
  const auto running = parse_config("[domains]\ndeny = [\"evil.test\"]\n", "f", kNothing);
  BOOST_REQUIRE(running->file_has_keys);
  for (const char* const text :
       {"", "\n", "# deny = []\n", "[domains]\n[dns]\n", "[gateways.aliases]\n"}) {
    const std::string path = directory.file("lost.toml", text);
    const auto again = reload_config(path, kNothing, *running);
    BOOST_TEST_CONTEXT(text) BOOST_REQUIRE(!again);
    BOOST_TEST(again.error().at(0) ==
               path +
                   ": has no settings, and the running configuration has some; to go back to "
                   "the defaults, restart the relay");
    // Who started with the defaults may go on with them.
    BOOST_TEST(bool(reload_config(path, kNothing, *load_config(path, kNothing))), text);
  }
  // One key is a configuration, even if it only says what holds anyway.
  for (const char* const text : {"[domains]\ndeny = []\n", "dns.attempts = 3\n",
                                 "[gateways.aliases]\n\"a.test\" = \"b.test\"\n"}) {
    BOOST_TEST(bool(reload_config(directory.file("a.toml", text), kNothing, *running)), text);
  }
  // The variables are no file.
  const std::string empty = directory.file("empty.toml", "");
  const auto variables = environment_of({{"FALLBACK_GATEWAY_DOMAIN", "gateway.test"}});
  BOOST_TEST(!reload_config(empty, variables, *running));
}

BOOST_AUTO_TEST_CASE(the_default_file_may_not_go_while_its_keys_are_in_use) {
  const std::string path = config_path("", kNothing);
  if (fs::exists(path)) return;  // this machine's own
  Config running;
  BOOST_TEST(bool(reload_config("", kNothing, running)));
  running.file_has_keys = true;
  const auto again = reload_config("", kNothing, running);
  BOOST_REQUIRE(!again);
  BOOST_TEST(again.error().at(0) == path + ": cannot be read: No such file or directory");
}

BOOST_AUTO_TEST_CASE(the_option_comes_before_the_variable) {
  const TemporaryDirectory directory;
  const std::string one = directory.file("one.toml", "dns.attempts = 1\n");
  const std::string two = directory.file("two.toml", "dns.attempts = 2\n");
  const auto attempts = [&](const std::string& option) {
    const auto config = load_config(option, environment_of({{"HTTP01_RELAY_CONFIG", two}}));
    return config ? config.value().dns.attempts : 0;
  };
  BOOST_TEST(attempts(one) == 1u);
  BOOST_TEST(attempts("") == 2u);

  const std::string missing = directory.path("missing.toml");
  const auto config = load_config("", environment_of({{"HTTP01_RELAY_CONFIG", missing}}));
  BOOST_REQUIRE(!config);
  BOOST_TEST(config.error().at(0) == missing + ": cannot be read: No such file or directory");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
