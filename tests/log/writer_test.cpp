#include "log/writer.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <climits>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace http01 {

BOOST_AUTO_TEST_SUITE(log_writer)

struct Directory {
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "relay-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~Directory() { std::filesystem::remove_all(path); }

  std::string text(const std::string& name) const {
    std::ifstream file(path / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::filesystem::path path;
};

BOOST_AUTO_TEST_CASE(each_line_goes_to_its_output_in_the_order_it_came) {
  const Directory directory;
  std::string first;
  std::string second;
  {
    LogWriter writer;
    const auto one = LogWriter::open_file(directory.path / "one");
    const auto two = LogWriter::open_file(directory.path / "new" / "two");
    BOOST_REQUIRE(bool(one));
    BOOST_REQUIRE(bool(two));
    for (int i = 0; i < 3000; ++i) {
      const std::string line = std::to_string(i) + "\n";
      writer.add(i % 3 == 0 ? *one : *two, line);
      (i % 3 == 0 ? first : second) += line;
    }
    BOOST_TEST(writer.dropped() == 0u);
  }
  BOOST_TEST(directory.text("one") == first);
  BOOST_TEST(directory.text("new/two") == second);
}

BOOST_AUTO_TEST_CASE(a_file_that_cannot_be_opened_says_which_and_why) {
  const auto opened = LogWriter::open_file("/proc/no/such/file");
  BOOST_REQUIRE(!opened);
  BOOST_TEST(opened.error() == "/proc/no/such/file: No such file or directory");
}

// A start and a reload waited in open() for somebody who reads.
BOOST_AUTO_TEST_CASE(a_pipe_that_nobody_reads_and_other_odd_places_are_refused_at_once) {
  const Directory directory;
  const std::string pipe = directory.path / "pipe";
  BOOST_REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const auto error_of = [](const std::string& path) {
    const auto opened = LogWriter::open_file(path);
    return opened ? std::string() : opened.error();
  };
  BOOST_TEST(error_of(pipe) == pipe + ": a pipe that nobody reads");
  const std::string place = directory.path;
  BOOST_TEST(error_of(place) == place + ": Is a directory");

  const base::Fd reader(::open(pipe.c_str(), O_RDONLY | O_NONBLOCK));
  const auto opened = LogWriter::open_file(pipe);
  BOOST_REQUIRE(bool(opened));
  {
    LogWriter writer;
    writer.add(*opened, "queued\n");
  }
  LogWriter::write_now(*opened, "direct\n");
  std::array<char, 64> buffer{};
  const ssize_t count = ::read(reader.get(), buffer.data(), buffer.size());
  BOOST_REQUIRE(count > 0);
  BOOST_TEST(std::string(buffer.data(), static_cast<std::size_t>(count)) == "queued\ndirect\n");
}

// With the number of no driver: it would fail to open, but is not even tried.
BOOST_AUTO_TEST_CASE(a_disk_is_no_log) {
  const Directory directory;
  const std::string disk = directory.path / "disk";
  if (::mknod(disk.c_str(), S_IFBLK | 0600, makedev(0, 0)) != 0) return;
  const auto opened = LogWriter::open_file(disk);
  BOOST_REQUIRE(!opened);
  BOOST_TEST(opened.error() == disk + ": a disk, not a file");
}

// A socket that keeps each write apart.
BOOST_AUTO_TEST_CASE(what_is_written_at_once_is_whole_lines_and_fits_a_pipe) {
  std::array<int, 2> ends{};
  BOOST_REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends.data()) == 0);
  const base::Fd reader(ends[0]);
  std::string sent;
  {
    LogWriter writer;
    const auto output = std::make_shared<const base::Fd>(ends[1]);
    for (std::size_t i = 0; i < 200; ++i) {
      const std::string line = std::string(i, 'x') + "\n";
      writer.add(output, line);
      sent += line;
    }
  }
  std::string received;
  std::size_t writes = 0;
  std::array<char, 65536> buffer{};
  for (ssize_t count; (count = ::read(reader.get(), buffer.data(), buffer.size())) > 0; ++writes) {
    BOOST_TEST(count <= PIPE_BUF);
    received.append(buffer.data(), static_cast<std::size_t>(count));
    BOOST_TEST(received.back() == '\n');
  }
  BOOST_TEST(received == sent);
  BOOST_TEST(writes < 100u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
