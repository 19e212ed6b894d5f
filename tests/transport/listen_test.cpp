#include "transport/listen.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

namespace http01::transport {

BOOST_AUTO_TEST_SUITE(listen)

using base::Fd;
using Kind = ListenError::Kind;

struct Directory {
  std::filesystem::path path;

  Directory() {
    std::string pattern = std::filesystem::temp_directory_path() / "listen_test.XXXXXX";
    BOOST_REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~Directory() { std::filesystem::remove_all(path); }

  std::string file(const std::string& name = "s") const { return path / name; }
  std::string address(const std::string& name = "s") const { return "unix:" + file(name); }
};

// errno of connecting to a unix socket, 0 for success.
int connect_error(const std::string& path) {
  const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0
             ? 0
             : errno;
}

// Leaves a socket behind, as a process does that is killed.
void leave_socket(const std::string& path) {
  const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  BOOST_REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

mode_t mode_of(const std::string& path) {
  struct stat file {};
  BOOST_REQUIRE(::lstat(path.c_str(), &file) == 0);
  return file.st_mode & 07777;
}

bool has_flags(const Fd& fd) {
  return (::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0 &&
         (::fcntl(fd.get(), F_GETFL) & O_NONBLOCK) != 0;
}

BOOST_AUTO_TEST_CASE(a_unix_socket_listens_with_exactly_its_mode) {
  const Directory directory;
  const mode_t mask = ::umask(0027);
  for (const mode_t mode : {0600u, 0660u, 0666u, 0777u, 0000u}) {
    const auto listener = open_listener(directory.address(), mode);
    BOOST_REQUIRE(bool(listener));
    BOOST_TEST(mode_of(directory.file()) == mode);
    BOOST_TEST(connect_error(directory.file()) == 0);
    BOOST_TEST(has_flags(listener->socket));
  }
  BOOST_TEST(::umask(mask) == 0027u);  // as it was
}

BOOST_AUTO_TEST_CASE(a_socket_left_behind_is_replaced) {
  const Directory directory;
  leave_socket(directory.file());
  BOOST_TEST(connect_error(directory.file()) == ECONNREFUSED);
  const auto listener = open_listener(directory.address(), 0660);
  BOOST_REQUIRE(bool(listener));
  BOOST_TEST(connect_error(directory.file()) == 0);
}

BOOST_AUTO_TEST_CASE(a_socket_that_is_served_is_never_replaced) {
  const Directory directory;
  const auto first = open_listener(directory.address(), 0660);
  BOOST_REQUIRE(bool(first));
  const auto second = open_listener(directory.address(), 0660);
  BOOST_REQUIRE(!second);
  BOOST_TEST((second.error().kind == Kind::kCannotBind));
  BOOST_TEST(second.error().message ==
             directory.address() + ": in use: another process listens there");
  BOOST_TEST(connect_error(directory.file()) == 0);
}

// Children that open the same address once the gate is opened, and serve until it is closed again.
class Starters {
 public:
  Starters(const std::string& address, int count) {
    BOOST_REQUIRE(::pipe(gate_.data()) == 0);
    BOOST_REQUIRE(::pipe(end_.data()) == 0);
    BOOST_REQUIRE(::pipe(results_.data()) == 0);
    for (int i = 0; i < count; ++i) {
      const pid_t child = ::fork();
      BOOST_REQUIRE(child >= 0);
      if (child == 0) start(address);
      children_.push_back(child);
    }
    ::close(results_[1]);
  }
  ~Starters() {
    ::close(end_[1]);
    for (const pid_t child : children_) ::waitpid(child, nullptr, 0);
    for (const int fd : {gate_[0], end_[0], results_[0]}) ::close(fd);
  }

  void go() { ::close(gate_[1]); }
  // How many have it, once all have tried.
  int listening() {
    int count = 0;
    char result = 0;
    for (std::size_t i = 0; i < children_.size(); ++i) {
      BOOST_REQUIRE(::read(results_[0], &result, 1) == 1);
      count += result == 'y' ? 1 : 0;
    }
    return count;
  }

 private:
  [[noreturn]] void start(const std::string& address) {
    char octet = 0;
    ::close(gate_[1]);
    ::close(end_[1]);
    bool told = ::read(gate_[0], &octet, 1) == 0;
    {
      const auto listener = open_listener(address, 0660);
      const char result = listener ? 'y' : 'n';
      told = told && ::write(results_[1], &result, 1) == 1 && ::read(end_[0], &octet, 1) == 0;
    }
    ::_exit(told ? 0 : 1);
  }

  std::array<int, 2> gate_{};
  std::array<int, 2> end_{};
  std::array<int, 2> results_{};
  std::vector<pid_t> children_;
};

// One took the socket that another had just bound for one left behind, and both lived on.
BOOST_AUTO_TEST_CASE(of_several_that_start_at_once_exactly_one_listens) {
  for (int round = 0; round < 40; ++round) {
    const Directory directory;
    if (round % 2 == 1) leave_socket(directory.file());
    {
      Starters starters(directory.address(), 8);
      starters.go();
      BOOST_TEST_REQUIRE(starters.listening() == 1);
      BOOST_TEST(connect_error(directory.file()) == 0);
    }
    BOOST_TEST(std::filesystem::is_empty(directory.path));
  }
}

BOOST_AUTO_TEST_CASE(one_that_ends_leaves_the_socket_of_the_next_alone) {
  for (int round = 0; round < 40; ++round) {
    const Directory directory;
    std::optional<Listener> before = open_listener(directory.address(), 0660).value();
    {
      Starters starters(directory.address(), 4);
      starters.go();
      before->socket.reset();  // as a server does: first the socket, then its file
      before.reset();
      const int listening = starters.listening();
      BOOST_TEST(listening <= 1);
      BOOST_TEST((connect_error(directory.file()) == 0) == (listening == 1));
    }
    BOOST_TEST(std::filesystem::is_empty(directory.path));
  }
}

BOOST_AUTO_TEST_CASE(a_lock_that_was_left_behind_is_no_obstacle) {
  const Directory directory;
  std::ofstream(directory.file("s.lock")) << "";
  {
    const auto listener = open_listener(directory.address(), 0660);
    BOOST_REQUIRE(bool(listener));
    BOOST_TEST(!std::filesystem::exists(directory.file("s.lock")));
  }
  BOOST_TEST(std::filesystem::is_empty(directory.path));
}

BOOST_AUTO_TEST_CASE(what_is_in_the_way_of_the_lock_is_named) {
  const Directory directory;
  std::filesystem::create_directory(directory.file("s.lock"));
  const auto listener = open_listener(directory.address(), 0660);
  BOOST_REQUIRE(!listener);
  BOOST_TEST(listener.error().message ==
             directory.address() + ": " + directory.file("s.lock") + ": Is a directory");
  BOOST_TEST(open_listener("unix:/no/such/place", 0660).error().message ==
             "unix:/no/such/place: No such file or directory");
}

BOOST_AUTO_TEST_CASE(a_socket_with_a_full_backlog_is_served_too) {
  const Directory directory;
  const auto first = open_listener(directory.address(), 0660);
  BOOST_REQUIRE(bool(first));
  BOOST_REQUIRE(::listen(first->socket.get(), 0) == 0);
  BOOST_TEST(connect_error(directory.file()) == 0);  // fills it
  const auto second = open_listener(directory.address(), 0660);
  BOOST_REQUIRE(!second);
  BOOST_TEST(second.error().message ==
             directory.address() + ": in use: another process listens there");
}

BOOST_AUTO_TEST_CASE(what_is_no_stream_socket_is_never_touched) {
  const Directory directory;
  std::ofstream(directory.file("file")) << "precious";
  std::filesystem::create_directory(directory.file("directory"));
  leave_socket(directory.file("stale"));
  std::filesystem::create_symlink(directory.file("stale"), directory.file("link"));
  for (const char* name : {"file", "directory", "link"}) {
    const auto listener = open_listener(directory.address(name), 0660);
    BOOST_REQUIRE(!listener);
    BOOST_TEST((listener.error().kind == Kind::kCannotBind));
    BOOST_TEST(listener.error().message ==
               directory.address(name) + ": a file that is no socket is in the way");
  }
  BOOST_TEST(std::filesystem::file_size(directory.file("file")) == 8u);
  BOOST_TEST(std::filesystem::is_directory(directory.file("directory")));
  BOOST_TEST(std::filesystem::is_symlink(directory.file("link")));

  const Fd datagram(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  directory.file("log").copy(address.sun_path, sizeof address.sun_path - 1);
  BOOST_REQUIRE(
      ::bind(datagram.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  BOOST_TEST(!open_listener(directory.address("log"), 0660));
  BOOST_TEST(std::filesystem::exists(directory.file("log")));
}

BOOST_AUTO_TEST_CASE(the_file_goes_with_its_owner) {
  const Directory directory;
  {
    auto listener = open_listener(directory.address(), 0660);
    BOOST_REQUIRE(bool(listener));
    const Listener moved = std::move(*listener);
    BOOST_TEST(std::filesystem::exists(directory.file()));
  }
  BOOST_TEST(!std::filesystem::exists(directory.file()));
}

BOOST_AUTO_TEST_CASE(a_file_that_is_not_ours_any_more_stays) {
  const Directory directory;
  {
    const auto listener = open_listener(directory.address(), 0660);
    BOOST_REQUIRE(bool(listener));
    std::filesystem::remove(directory.file());
    std::ofstream(directory.file()) << "somebody else's";
  }
  BOOST_TEST(std::filesystem::exists(directory.file()));
  {
    const auto listener = open_listener(directory.address("t"), 0660);
    std::filesystem::remove(directory.file("t"));  // and nothing in its place
  }
}

BOOST_AUTO_TEST_CASE(a_directory_that_is_missing_is_told) {
  const Directory directory;
  const auto listener = open_listener(directory.address("no/s"), 0660);
  BOOST_REQUIRE(!listener);
  BOOST_TEST((listener.error().kind == Kind::kCannotBind));
  BOOST_TEST(listener.error().message == directory.address("no/s") + ": No such file or directory");
}

BOOST_AUTO_TEST_CASE(what_is_no_address_is_malformed) {
  for (const std::string& address : {std::string(""),
                                     std::string("unix:"),
                                     std::string("unix:@abstract"),
                                     "unix:/" + std::string(107, 'x'),
                                     std::string("unix:/a\0b", 9),
                                     std::string("/run/relay.sock"),
                                     std::string("9001"),
                                     std::string(":9001"),
                                     std::string("127.0.0.1"),
                                     std::string("127.0.0.1:"),
                                     std::string("127.0.0.1:0"),
                                     std::string("127.0.0.1:65536"),
                                     std::string("127.0.0.1:-1"),
                                     std::string("127.0.0.1:90x"),
                                     std::string("localhost:9001"),
                                     std::string("::1"),
                                     std::string("[::1]"),
                                     std::string("[::1]:0"),
                                     std::string("[127.0.0.1]:9001"),
                                     std::string("tcp:127.0.0.1:9001")}) {
    const auto listener = open_listener(address, 0660);
    BOOST_REQUIRE(!listener);
    BOOST_TEST((listener.error().kind == Kind::kMalformed), address);
    BOOST_TEST(listener.error().message.starts_with(address + ": "));
  }
}

BOOST_AUTO_TEST_CASE(a_path_may_fill_the_socket_address) {
  const Directory directory;
  const std::string path = directory.file();
  const std::string longest = path + std::string(107 - path.size(), 's');
  const auto listener = open_listener("unix:" + longest, 0660);
  BOOST_REQUIRE(bool(listener));
  BOOST_TEST(std::filesystem::exists(longest));
}

// A port of the loopback address that was free a moment ago.
std::string free_address(int family) {
  const Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 address{};
  address.sin6_family = static_cast<sa_family_t>(family);
  if (family == AF_INET6) address.sin6_addr = in6addr_loopback;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return "";
  socklen_t length = sizeof address;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length);
  return (family == AF_INET ? "127.0.0.1:" : "[::1]:") + std::to_string(ntohs(address.sin6_port));
}

BOOST_AUTO_TEST_CASE(tcp_addresses_of_both_families_can_be_listened_on) {
  for (const int family : {AF_INET, AF_INET6}) {
    const std::string address = free_address(family);
    if (address.empty()) continue;  // a machine without IPv6
    const auto listener = open_listener(address, 0660);
    BOOST_REQUIRE(bool(listener));
    BOOST_TEST(has_flags(listener->socket));
    int listening = 0;
    socklen_t size = sizeof listening;
    ::getsockopt(listener->socket.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &size);
    BOOST_TEST(listening == 1);

    const auto second = open_listener(address, 0660);
    BOOST_REQUIRE(!second);
    BOOST_TEST((second.error().kind == Kind::kCannotBind));
    BOOST_TEST(second.error().message == address + ": Address already in use");
  }
}

BOOST_AUTO_TEST_CASE(a_socket_mode_is_octal) {
  for (const auto& [text, mode] :
       {std::pair{"0660", 0660u}, {"660", 0660u}, {"0", 0u}, {"777", 0777u}}) {
    BOOST_TEST((parse_socket_mode(text) == std::optional<mode_t>(mode)), text);
  }
  for (const char* text : {"", "0888", "1777", "-1", "+660", "0o660", "rw-rw----", "660 ", " 660",
                           "99999999999999999999"}) {
    BOOST_TEST(!parse_socket_mode(text), text);
  }
}

// What inherited_listener() does in a process that was started so: a child, because descriptors 0
// and 3 and libfcgi's one decision belong to a process.
enum class Found { kListener, kNothing, kFault, kWrong };

Found in_child(const std::function<void()>& arrange) {
  const pid_t child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    ::unsetenv("LISTEN_PID");
    ::unsetenv("LISTEN_FDS");
    ::signal(SIGTERM, SIG_DFL);
    ::signal(SIGPIPE, SIG_IGN);
    ::dup2(Fd(::open("/dev/null", O_RDONLY)).get(), 0);
    arrange();
    auto listener = inherited_listener();
    Found found = Found::kFault;
    if (listener) found = *listener ? Found::kListener : Found::kNothing;
    int listening = 0;
    socklen_t size = sizeof listening;
    if (found == Found::kListener) {
      ::getsockopt(listener->get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &size);
      if (listening != 1 || listener->get() < 3) found = Found::kWrong;
      if ((::fcntl(listener->get(), F_GETFD) & FD_CLOEXEC) == 0) found = Found::kWrong;
    }
    if (std::getenv("LISTEN_FDS") != nullptr || std::getenv("LISTEN_PID") != nullptr) {
      found = Found::kWrong;
    }
    struct sigaction now {};
    ::sigaction(SIGTERM, nullptr, &now);
    if (now.sa_handler != SIG_DFL) found = Found::kWrong;
    ::sigaction(SIGPIPE, nullptr, &now);
    if (now.sa_handler != SIG_IGN) found = Found::kWrong;
    ::_exit(static_cast<int>(found));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? static_cast<Found>(WEXITSTATUS(status)) : Found::kWrong;
}

std::ostream& operator<<(std::ostream& out, Found found) { return out << static_cast<int>(found); }

Fd tcp_listener() {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  BOOST_REQUIRE(::listen(fd.get(), 1) == 0);
  return fd;
}

void announce(const char* count, pid_t pid) {
  ::setenv("LISTEN_FDS", count, 1);
  ::setenv("LISTEN_PID", std::to_string(pid).c_str(), 1);
}

BOOST_AUTO_TEST_CASE(a_listening_socket_as_standard_input_is_inherited) {
  const Directory directory;
  const auto unix_listener = open_listener(directory.address(), 0660);
  const Fd tcp = tcp_listener();
  BOOST_TEST(in_child([&] { ::dup2(unix_listener->socket.get(), 0); }) == Found::kListener);
  BOOST_TEST(in_child([&] { ::dup2(tcp.get(), 0); }) == Found::kListener);
}

BOOST_AUTO_TEST_CASE(another_standard_input_is_no_listener) {
  int ends[2];
  BOOST_REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const Fd one(ends[0]);
  const Fd other(ends[1]);
  const Fd udp(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const Fd fresh(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  BOOST_TEST(in_child([] {}) == Found::kNothing);
  BOOST_TEST(in_child([] { ::close(0); }) == Found::kNothing);
  for (const Fd* fd : {&one, &udp, &fresh}) {
    BOOST_TEST(in_child([&] { ::dup2(fd->get(), 0); }) == Found::kNothing);
  }
}

BOOST_AUTO_TEST_CASE(the_one_socket_of_systemd_is_inherited) {
  const Fd tcp = tcp_listener();
  const auto with = [&tcp](const char* count, bool ours) {
    return in_child([&, count, ours] {
      const Fd kept(::fcntl(tcp.get(), F_DUPFD, 10));
      ::dup2(kept.get(), 3);
      announce(count, ours ? ::getpid() : ::getppid());
    });
  };
  BOOST_TEST(with("1", true) == Found::kListener);
  BOOST_TEST(with("1", false) == Found::kNothing);
  BOOST_TEST(with("0", true) == Found::kNothing);
  for (const char* count : {"2", "-1", "x", "1x", "99999999999"}) {
    BOOST_TEST(with(count, true) == Found::kFault, count);
  }
}

BOOST_AUTO_TEST_CASE(a_descriptor_of_systemd_that_does_not_listen_is_a_fault) {
  BOOST_TEST(in_child([] {
               ::dup2(::open("/dev/null", O_RDONLY), 3);
               announce("1", ::getpid());
             }) == Found::kFault);
  BOOST_TEST(in_child([] {
               ::close(3);
               announce("1", ::getpid());
             }) == Found::kFault);
  BOOST_TEST(in_child([] {
               ::dup2(::socket(AF_INET, SOCK_DGRAM, 0), 3);
               announce("1", ::getpid());
             }) == Found::kFault);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::transport
