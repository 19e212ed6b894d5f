#include "log/output.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <syslog.h>
#include <unistd.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/loop.h"
#include "base/posix.h"
#include "tests/log/files.h"

namespace http01 {

using namespace std::chrono_literals;

namespace {

std::string open_failure(const std::string& path) {
  const auto opened = LogOutput::open_file(path);
  return opened ? std::string() : opened.error();
}

std::string read_some(const base::Fd& fd) {
  std::array<char, 65536> buffer{};
  const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
  return {buffer.data(), static_cast<std::size_t>(count > 0 ? count : 0)};
}

// "PRIORITY TEXT" of each line.
std::vector<std::string> syslog_lines(std::string_view lines) {
  std::vector<std::string> taken;
  while (!lines.empty()) {
    const SyslogLine line = take_syslog_line(lines);
    taken.push_back(std::to_string(line.priority) + " " + std::string(line.text));
  }
  return taken;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(log_output)

BOOST_AUTO_TEST_CASE(a_new_file_is_for_owner_and_group_whatever_the_umask) {
  const OutputDirectory directory;
  const mode_t mask = ::umask(0);
  BOOST_TEST(open_failure(directory.path / "sub/relay.log") == "");
  ::umask(mask);
  struct stat file {};
  BOOST_REQUIRE(::stat((directory.path / "sub/relay.log").c_str(), &file) == 0);
  BOOST_TEST((file.st_mode & 0777) == 0640u);
  BOOST_REQUIRE(::stat((directory.path / "sub").c_str(), &file) == 0);
  BOOST_TEST((file.st_mode & 0777) == 0755u);
}

BOOST_AUTO_TEST_CASE(a_link_of_a_stranger_is_refused_by_name) {
  const OutputDirectory directory;
  const std::filesystem::path link = directory.path / "relay.log";
  std::filesystem::create_symlink("victim", link);
  if (::lchown(link.c_str(), 54321, 54321) != 0) return;  // only root may give it away
  BOOST_TEST(open_failure(link) == link.string() +
                                       ": relay.log is a symbolic link that belongs to user 54321, "
                                       "who is neither root nor the user of this process");
  BOOST_TEST(!std::filesystem::exists(directory.path / "victim"));
}

BOOST_AUTO_TEST_CASE(a_file_that_cannot_be_opened_says_which_and_why) {
  BOOST_TEST(open_failure("/proc/no/such/file") == "/proc/no/such/file: No such file or directory");
}

// A start and a reload once waited in open() for a reader.
BOOST_AUTO_TEST_CASE(a_pipe_without_a_reader_and_a_directory_are_refused_at_once) {
  const OutputDirectory directory;
  const std::string pipe = directory.path / "pipe";
  BOOST_REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  BOOST_TEST(open_failure(pipe) == pipe + ": a pipe that nobody reads");
  const std::string place = directory.path;
  BOOST_TEST(open_failure(place) == place + ": Is a directory");

  const base::Fd reader(::open(pipe.c_str(), O_RDONLY | O_NONBLOCK));
  const auto opened = LogOutput::open_file(pipe);
  BOOST_REQUIRE(bool(opened));
  BOOST_TEST(lost(*opened, "line\n") == "");
  BOOST_TEST(read_some(reader) == "line\n");
}

// The device has no driver, so it would fail to open, but it is not even tried.
BOOST_AUTO_TEST_CASE(a_disk_is_refused) {
  const OutputDirectory directory;
  const std::string disk = directory.path / "disk";
  if (::mknod(disk.c_str(), S_IFBLK | 0600, makedev(0, 0)) != 0) return;
  BOOST_TEST(open_failure(disk) == disk + ": a disk, not a file");
}

// The socket keeps each write apart.
BOOST_AUTO_TEST_CASE(one_write_is_whole_lines_and_fits_a_pipe) {
  std::array<int, 2> ends{};
  BOOST_REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends.data()) == 0);
  const base::Fd reader(ends[0]);
  base::Fd writer(ends[1]);
  std::string sent;
  for (std::size_t i = 0; i < 200; ++i) sent += std::string(i, 'x') + "\n";
  BOOST_TEST(lost(LogOutput::descriptor(writer.get()), sent) == "");
  writer.reset();
  std::string received;
  std::size_t writes = 0;
  for (std::string some; !(some = read_some(reader)).empty(); ++writes) {
    BOOST_TEST(some.size() <= PIPE_BUF);
    BOOST_TEST(some.back() == '\n');
    received += some;
  }
  BOOST_TEST(received == sent);
  BOOST_TEST(writes < 10u);
}

BOOST_AUTO_TEST_CASE(lines_that_are_one_byte_too_long_together_are_written_one_by_one) {
  for (const std::size_t excess : {0U, 1U}) {
    std::array<int, 2> ends{};
    BOOST_REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends.data()) == 0);
    const base::Fd reader(ends[0]);
    base::Fd writer(ends[1]);
    const std::string lines = "x\n" + std::string(PIPE_BUF - 3 + excess, 'y') + "\n";
    BOOST_TEST(lost(LogOutput::descriptor(writer.get()), lines) == "");
    writer.reset();
    std::vector<std::size_t> writes;
    for (std::string some; !(some = read_some(reader)).empty();) writes.push_back(some.size());
    const std::vector<std::size_t> expected = excess == 0
                                                  ? std::vector<std::size_t>{PIPE_BUF}
                                                  : std::vector<std::size_t>{2, PIPE_BUF - 1};
    BOOST_TEST(writes == expected, boost::test_tools::per_element());
  }
}

// Standard error is of either kind. A CGI process once waited in write() and never answered.
BOOST_AUTO_TEST_CASE(a_pipe_that_is_not_read_for_a_while_is_a_failure) {
  for (const int flags : {0, O_NONBLOCK}) {
    std::array<int, 2> ends{};
    BOOST_REQUIRE(::pipe2(ends.data(), flags) == 0);
    const base::Fd reader(ends[0]);
    const base::Fd writer(ends[1]);
    const auto output = LogOutput::descriptor(writer.get());
    const std::string line = std::string(PIPE_BUF - 1, 'x') + "\n";
    std::size_t lines = 0;
    std::string why;
    while ((why = lost(output, line, std::chrono::milliseconds(1))).empty()) ++lines;
    BOOST_TEST(lines > 0u);
    BOOST_TEST(why == "1: not read");
    BOOST_TEST(read_some(reader).ends_with('\n'));
    BOOST_TEST(lost(output, line, std::chrono::milliseconds(1)) == "");
  }
}

BOOST_AUTO_TEST_CASE(a_full_disk_costs_each_line_and_says_why) {
  const auto opened = LogOutput::open_file("/dev/full");
  BOOST_REQUIRE(bool(opened));
  BOOST_TEST(lost(*opened, "one\ntwo\n") == "2: No space left on device");
}

BOOST_AUTO_TEST_CASE(a_pipe_whose_reader_has_gone_costs_each_line_until_there_is_another) {
  base::Loop::block_signals({SIGPIPE});
  const OutputDirectory directory;
  const std::string pipe = directory.path / "pipe";
  BOOST_REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  base::Fd reader(::open(pipe.c_str(), O_RDONLY | O_NONBLOCK));
  const auto opened = LogOutput::open_file(pipe);
  BOOST_REQUIRE(bool(opened));
  reader.reset();
  BOOST_TEST(lost(*opened, "one\ntwo\nthree\n") == "3: Broken pipe");
  reader.reset(::open(pipe.c_str(), O_RDONLY | O_NONBLOCK));
  BOOST_TEST(lost(*opened, "four\n") == "");
  BOOST_TEST(read_some(reader) == "four\n");
}

// poll() says of it that it can be read, and no more.
BOOST_AUTO_TEST_CASE(the_kernels_log_takes_lines_at_once) {
  const base::Fd kernel(::open("/dev/kmsg", O_WRONLY | O_CLOEXEC));
  if (!kernel) return;
  BOOST_TEST(lost(LogOutput::descriptor(kernel.get()), "<7>http01-relay: a test\n", 0ms) == "");
}

BOOST_AUTO_TEST_CASE(a_loss_is_told_by_its_number_and_its_reason) {
  BOOST_TEST(loss_text({33, ENOSPC}) == "33 lines of the log were lost: No space left on device");
  BOOST_TEST(loss_text({1, LogLoss::kNotReadInTime}) ==
             "1 line of the log was lost: not read in time");
}

BOOST_AUTO_TEST_CASE(each_line_for_syslog_has_the_priority_at_its_beginning) {
  const std::vector<std::string> expected{
      std::to_string(LOG_INFO) + " reason=ok", std::to_string(LOG_ERR) + " {\"message\":\"<4>\"}",
      std::to_string(LOG_WARNING) + " ", std::to_string(LOG_DEBUG) + " no end"};
  BOOST_TEST(syslog_lines("<6>reason=ok\n<3>{\"message\":\"<4>\"}\n<4>\n<7>no end") == expected,
             boost::test_tools::per_element());
}

// No such line is written. A priority of other digits could set the facility.
BOOST_AUTO_TEST_CASE(a_line_without_a_priority_is_information_for_syslog) {
  for (const std::string line : {"", "<", "<6", "<8>x", "<66>x", "<a>x", "6>x", "x<6>"}) {
    const std::vector<std::string> expected{std::to_string(LOG_INFO) + " " + line};
    BOOST_TEST(syslog_lines(line + "\n") == expected, boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
