#include "config/toml.h"

#include <boost/test/unit_test.hpp>
#include <iterator>
#include <random>

#include "tests/config/helpers.h"

namespace http01 {

BOOST_AUTO_TEST_SUITE(config_file)

BOOST_AUTO_TEST_CASE(octets_that_are_no_text_are_faults_with_a_place) {
  using namespace std::string_literals;
  for (const std::string& text :
       {"[log]\nlevel = \"\xff\"\n"s, "[log]\n# \xc3\n"s, "[log]\nlevel = \"\0\"\n"s, "\0"s,
        "\xff\xfe[\0"s, "[log]\nlevel = \"\xed\xa0\x80\"\n"s}) {
    const auto config = parse_config(text, "f", kNothing);
    BOOST_REQUIRE(!config);
    BOOST_TEST(config.error().size() == 1u);
    BOOST_TEST(config.error()[0].starts_with("f:"), config.error()[0]);
    BOOST_TEST(config.error()[0].find(": syntax: ") != std::string::npos, config.error()[0]);
  }
}

BOOST_AUTO_TEST_CASE(nesting_without_end_is_a_fault) {
  // Each of these once was, or would be, the end of the stack.
  const auto times = [](std::size_t count, const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += text;
    return out;
  };
  const std::size_t many = 100'000;
  std::string shallow_keys = "a = ";
  for (int i = 0; i < 100; ++i) shallow_keys += "{" + times(200, "a.") + "a = ";
  for (const std::string& text : {"[" + times(many, "a.") + "a]\n", times(many, "a.") + "a = 1\n",
                                  times(many, "\"a\" . ") + "a = 1\n", "a = " + times(many, "["),
                                  "a = " + times(many, "{ a = "), shallow_keys}) {
    const auto config = parse_config(text, "f", kNothing);
    BOOST_REQUIRE(!config);
    BOOST_TEST(config.error().size() == 1u);
  }
}

BOOST_AUTO_TEST_CASE(values_know_their_type_and_their_place) {
  const auto root = parse_toml(
      "\xef\xbb\xbf# ü\na.s = 'x'\n[t]\n  i = -1\n  f = 1.5\n  b = true\n  d = 2020-01-01\n  l = [ "
      "1 ]\n");
  BOOST_REQUIRE(bool(root));
  using Type = FileValue::Type;
  BOOST_TEST((root.value().type == Type::kTable));
  const FileValue* s = root.value().find("a")->find("s");
  BOOST_TEST((s->type == Type::kString));
  BOOST_TEST(s->text == "x");
  BOOST_TEST((s->key_place == Place{2, 3}));
  BOOST_TEST((s->place == Place{2, 7}));
  const FileValue& t = *root.value().find("t");
  BOOST_TEST(t.items.size() == 5u);
  BOOST_TEST(t.find("i")->integer == -1);
  BOOST_TEST((t.find("f")->type == Type::kFloat));
  BOOST_TEST(t.find("b")->boolean);
  BOOST_TEST((t.find("d")->type == Type::kTime));
  BOOST_TEST((t.find("l")->items.at(0).place == Place{8, 9}));
  BOOST_TEST(t.find("no such key") == nullptr);
  BOOST_TEST(t.find("i")->find("i") == nullptr);
}

// The parser once took a letter beyond ASCII, where white space may be, to wherever the compiler
// had put what was said never to happen.
BOOST_AUTO_TEST_CASE(letters_beyond_ascii_are_for_strings_and_comments) {
  for (const std::string text : {"é = 1\n", "a = é\n", "a = 1 é\n", "é", "[é]\n", "a\u00a0= 1\n",
                                 "a = 1 \ufffd\n", "a = \u201cx\u201d\n"}) {
    BOOST_TEST(!parse_toml(text), text);
  }
  for (const std::string text : {"# é\n", "a = 'é'\n", "a = \"é\"\n", "'é' = 1\n",
                                 "a = \"\"\"x\\\n  é\"\"\"\n", "a = '''\né'''\n"}) {
    BOOST_TEST(bool(parse_toml(text)), text);
  }
}

BOOST_AUTO_TEST_CASE(a_mangled_file_is_right_or_has_faults_and_nothing_else) {
  std::mt19937 random(20240917);
  std::vector<std::string> seeds;
  for (const char* directory : {"good", "bad"}) {
    for (const fs::path& path : toml_files(directory)) seeds.push_back(read(path));
  }
  const std::string kPieces[] = {"[",
                                 "]",
                                 "\"",
                                 "'",
                                 "\"\"\"",
                                 "\n",
                                 "\\",
                                 ".",
                                 "=",
                                 "{",
                                 "}",
                                 ",",
                                 std::string(1, '\0'),
                                 "\xff",
                                 "#",
                                 "*.",
                                 "\xc3\xa9",
                                 "\xe2\x80\x9d"};
  for (int round = 0; round < 3000; ++round) {
    std::string text = seeds[random() % seeds.size()];
    for (int change = 0; change < 4; ++change) {
      const std::size_t at = random() % (text.size() + 1);
      const std::string& piece = kPieces[random() % std::size(kPieces)];
      if (random() % 2 == 0) {
        text.insert(at, piece);
      } else {
        text.erase(at, 1 + random() % 8);
      }
    }
    const auto config = parse_config(text, "f", kNothing);
    if (config) {
      const std::string printed = to_toml(config.value());
      BOOST_TEST(outcome(printed, kNothing) == printed, text);
      continue;
    }
    BOOST_TEST(!config.error().empty());
    for (const std::string& fault : config.error()) {
      BOOST_TEST(fault.starts_with("f:"), fault);
      BOOST_TEST(fault.find_first_of("\n\r\x1b") == std::string::npos, fault);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
