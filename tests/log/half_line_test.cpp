// Half a line that a full disk or a killed process has left in a log, and several that write to
// one.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <latch>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "log/output.h"
#include "tests/log/files.h"

namespace http01 {

using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(half_lines)

BOOST_AUTO_TEST_CASE(a_half_line_is_lost_and_ended_before_the_next) {
  const OutputDirectory directory;
  const std::filesystem::path path = directory.path / "relay.log";
  const base::Fd unreadable(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT, 0600));
  const auto opened = LogOutput::open_file(path);
  BOOST_REQUIRE(bool(opened));
  // What the second writes last, it has to remember.
  for (const auto& output : {*opened, LogOutput::descriptor(unreadable.get())}) {
    BOOST_REQUIRE(::truncate(path.c_str(), 0) == 0);
    {
      const FileSizeLimit limit(7);
      BOOST_TEST(lost(output, "whole\nhalf\nthird\n") == "2: File too large");
      BOOST_TEST(lost(output, "fourth\n") == "1: File too large");
    }
    BOOST_TEST(contents(path) == "whole\nh");
    BOOST_TEST(lost(output, "fifth\nsixth\n") == "");
    BOOST_TEST(contents(path) == "whole\nh\nfifth\nsixth\n");
  }
}

BOOST_AUTO_TEST_CASE(a_line_of_which_but_the_end_is_missing_is_ended_and_not_lost) {
  const OutputDirectory directory;
  const std::filesystem::path path = directory.path / "relay.log";
  const auto opened = LogOutput::open_file(path);
  BOOST_REQUIRE(bool(opened));
  {
    const FileSizeLimit limit(5);
    BOOST_TEST(lost(*opened, "whole\nnext\n") == "1: File too large");
  }
  BOOST_TEST(lost(*opened, "last\n") == "");
  BOOST_TEST(contents(path) == "whole\nlast\n");
}

// As after a full disk and SIGUSR1, or a process that was killed.
BOOST_AUTO_TEST_CASE(a_half_line_that_another_has_left_is_ended_first) {
  const OutputDirectory directory;
  const std::filesystem::path path = directory.path / "relay.log";
  for (const std::string left : {"", "whole\n", "whole\nhalf"}) {
    std::ofstream(path) << left;
    const auto opened = LogOutput::open_file(path);
    BOOST_REQUIRE(bool(opened));
    BOOST_TEST(lost(*opened, "next\n") == "");
    BOOST_TEST(contents(path) == left + (left.ends_with("half") ? "\n" : "") + "next\n");
  }
}

// It had once looked at the file's end, and never again.
BOOST_AUTO_TEST_CASE(a_half_line_that_another_process_leaves_meanwhile_is_ended_once) {
  const OutputDirectory directory;
  const std::filesystem::path path = directory.path / "relay.log";
  const auto one = LogOutput::open_file(path);
  const auto other = LogOutput::open_file(path);
  BOOST_REQUIRE((one && other));
  for (const auto& [writer, next] : {std::pair{*one, *other}, {*other, *one}}) {
    BOOST_REQUIRE(::truncate(path.c_str(), 0) == 0);
    BOOST_TEST(lost(next, "first\n") == "");
    {
      const FileSizeLimit limit(7);
      BOOST_TEST(lost(writer, "half\n") == "1: File too large");
    }
    BOOST_TEST(lost(next, "next\n") == "");
    BOOST_TEST(lost(writer, "last\n") == "");
    BOOST_TEST(contents(path) == "first\nh\nnext\nlast\n");
  }
}

// Each had seen the half line, and each ended it.
BOOST_AUTO_TEST_CASE(of_several_that_find_a_half_line_one_ends_it) {
  const OutputDirectory directory;
  const std::filesystem::path path = directory.path / "relay.log";
  for (int round = 0; round < 10; ++round) {
    std::ofstream(path) << "half";
    std::latch begin(6);
    std::vector<std::thread> writers;
    for (int i = 0; i < 6; ++i) {
      writers.emplace_back([&, output = *LogOutput::open_file(path)] {
        begin.arrive_and_wait();
        output->write("line\n", LogOutput::kForever);
      });
    }
    for (std::thread& writer : writers) writer.join();
    BOOST_TEST(contents(path) == "half\nline\nline\nline\nline\nline\nline\n");
  }
}

// Between its look and its turn another one had ended it.
BOOST_AUTO_TEST_CASE(a_half_line_that_is_ended_meanwhile_is_not_ended_again) {
  const OutputDirectory directory;
  const std::filesystem::path path = directory.path / "relay.log";
  const auto output = *LogOutput::open_file(path);
  for (auto delay = 0ms; delay < 8ms; ++delay) {
    BOOST_REQUIRE(::truncate(path.c_str(), 0) == 0);
    {
      const FileSizeLimit limit(4);
      BOOST_TEST(lost(output, "half\nnext\n") == "1: File too large");
    }
    base::Fd other(::open(path.c_str(), O_WRONLY | O_APPEND));
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    BOOST_REQUIRE(::fcntl(other.get(), F_OFD_SETLK, &whole) == 0);
    const auto begun = std::chrono::steady_clock::now();
    const auto passed = [&] { return std::chrono::steady_clock::now() - begun; };
    std::thread writer([&] { output->write("line\n", LogOutput::kForever); });
    while (passed() < delay) std::this_thread::yield();
    BOOST_REQUIRE(::write(other.get(), "\n", 1) == 1);
    // On a very busy machine it may have gone on without the lock.
    const bool in_time = passed() < 40ms;
    other.reset();
    writer.join();
    if (in_time) BOOST_TEST(contents(path) == "half\nline\n");
  }
}

// A file that grows is being written, however often it ends in the middle of a line.
BOOST_AUTO_TEST_CASE(a_line_that_grows_is_not_ended) {
  const OutputDirectory directory;
  const std::filesystem::path path = directory.path / "relay.log";
  const auto line_ends = [&] {
    std::ofstream(path) << "half";
    const auto output = *LogOutput::open_file(path);
    std::atomic<bool> written = false;
    std::thread other([&] {
      const base::Fd fd(::open(path.c_str(), O_WRONLY | O_APPEND));
      while (!written) (void)!::write(fd.get(), "x", 1);
    });
    output->write("line\n", LogOutput::kForever);
    written = true;
    other.join();
    return line_count(contents(path));
  };
  // On a busy machine the other one may stand still for long enough.
  bool any = false;
  for (int round = 0; round < 20 && !any; ++round) any = line_ends() == 1;
  BOOST_TEST(any);
}

// One that is in the middle of its line has left no half one.
BOOST_AUTO_TEST_CASE(writers_at_full_speed_put_nothing_into_each_others_lines) {
  const OutputDirectory directory;
  const std::filesystem::path path = directory.path / "relay.log";
  const std::string line = std::string(300, 'x') + "\n";
  std::string lines;
  for (int i = 0; i < 10; ++i) lines += line;
  constexpr std::size_t kWrites = 500;
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&, output = *LogOutput::open_file(path)] {
      for (std::size_t n = 0; n < kWrites; ++n) output->write(lines, LogOutput::kForever);
    });
  }
  for (std::thread& writer : writers) writer.join();
  std::string expected;
  for (std::size_t n = 0; n < 4 * kWrites; ++n) expected += lines;
  BOOST_TEST((contents(path) == expected));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
