// Every input that fuzzing has kept, through the same functions that it was found with.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "tests/fuzz/target.h"

namespace http01::fuzz {

namespace fs = std::filesystem;

BOOST_AUTO_TEST_SUITE(fuzz_corpus)

std::string octets_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

BOOST_AUTO_TEST_CASE(every_target_holds_for_every_kept_input) {
  for (const Target& target : targets()) {
    std::size_t inputs = 0;
    for (const auto& entry :
         fs::directory_iterator(fs::path(TESTS_DIR) / "fuzz/corpus" / target.name)) {
      try {
        target.run(octets_of(entry.path()));
      } catch (const std::exception& broken) {
        BOOST_ERROR(entry.path() << ": " << broken.what());
      }
      ++inputs;
    }
    BOOST_TEST(inputs >= 5u, target.name << " has no corpus");
    // No input at all is one too.
    BOOST_CHECK_NO_THROW(target.run(""));
  }
}

BOOST_AUTO_TEST_CASE(every_corpus_has_its_target) {
  std::set<std::string> names;
  for (const Target& target : targets()) names.emplace(target.name);
  for (const auto& entry : fs::directory_iterator(fs::path(TESTS_DIR) / "fuzz/corpus")) {
    BOOST_TEST(names.contains(entry.path().filename().string()), entry.path() << " has no target");
  }
  BOOST_TEST(names.size() >= 10u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::fuzz
