#include "transport/listen.h"

#include <fcgiapp.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>
#include <utility>

#include "base/ascii.h"
#include "base/clock.h"
#include "base/ip_address.h"
#include "base/posix.h"

namespace http01::transport {
namespace {

using Kind = ListenError::Kind;

// Web servers open a connection a request; what does not fit here fails at once. The kernel holds
// it to net.core.somaxconn, 4096 by default.
constexpr int kBacklog = 4096;

// The first descriptor that systemd passes: SD_LISTEN_FDS_START of sd_listen_fds(3).
constexpr int kSystemdFd = 3;

constexpr std::string_view kUnixPrefix = "unix:";

base::Failure<ListenError> cannot_bind(std::string_view address, const std::string& why) {
  return base::Failure{ListenError{Kind::kCannotBind, std::string(address) + ": " + why}};
}

// The time too: the number of a socket that was closed is used again as soon as it is free.
bool is_same_socket(const struct stat& a, const struct stat& b) {
  return base::is_same_file(a, b) && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

// Held by whoever puts a socket at a path or takes it away. Of several that start at once, each
// would else take the socket that another has just bound, and not yet listens on, for one left
// behind. A file of this user, since anybody may lock a directory that he can read; it goes with
// the lock.
class PathLock {
 public:
  // The failure says why not.
  static base::Result<PathLock> take(const std::string& socket) {
    PathLock lock(socket + ".lock");
    const base::TimePoint end = base::Clock::now() + kPatience;
    while (base::Clock::now() < end) {
      constexpr int kFlags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
      lock.fd_.reset(::open(lock.path_.c_str(), kFlags, 0600));
      if (!lock.fd_) {
        const std::string why = base::error_text(errno);
        // Left behind by another user, perhaps; else there is something about the directory.
        struct stat file {};
        const bool in_the_way = ::lstat(lock.path_.c_str(), &file) == 0;
        return base::Failure{in_the_way ? lock.path_ + ": " + why : why};
      }
      const auto taken = lock.is_taken();
      if (!taken) return base::Failure{lock.path_ + ": " + taken.error()};
      if (*taken) return lock;
      // Others hold it for as long as a few calls take.
      const timespec moment{0, 2'000'000};
      ::nanosleep(&moment, nullptr);
    }
    lock.fd_.reset();
    return base::Failure{lock.path_ + " stays locked"};
  }

  PathLock(PathLock&&) = default;
  ~PathLock() {
    if (fd_) ::unlink(path_.c_str());
  }

 private:
  static constexpr std::chrono::seconds kPatience{5};

  explicit PathLock(std::string path) : path_(std::move(path)) {}

  // The failure is what the system does not let us see.
  base::Result<bool> is_taken() const {
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    const bool locked = ::fcntl(fd_.get(), F_OFD_SETLK, &whole) == 0;
    if (!locked && (errno == EAGAIN || errno == EACCES)) return false;
    // A file system without locks is no reason not to serve. Of a file that its last holder has
    // taken along, the lock is worth nothing.
    struct stat mine {};
    struct stat there {};
    if (::fstat(fd_.get(), &mine) != 0) return base::Failure{base::error_text(errno)};
    if (::lstat(path_.c_str(), &there) != 0) {
      if (errno == ENOENT) return false;
      return base::Failure{base::error_text(errno)};
    }
    return base::is_same_file(mine, there);
  }

  std::string path_;
  base::Fd fd_;
};

// Unlinks a socket that nobody serves; the failure says what else is in the way.
base::Result<void> make_room(const sockaddr_un& address) {
  const auto last_error = [] { return base::Failure{base::error_text(errno)}; };
  struct stat file {};
  if (::lstat(address.sun_path, &file) != 0) {
    if (errno == ENOENT) return {};
    return last_error();
  }
  if (!S_ISSOCK(file.st_mode)) return base::Failure{"a file that is no socket is in the way"};
  const base::Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe) return last_error();
  const auto* const peer = reinterpret_cast<const sockaddr*>(&address);
  // EAGAIN is a full backlog, EPROTOTYPE a socket of another type: both are somebody's.
  if (::connect(probe.get(), peer, sizeof address) == 0 || errno == EAGAIN || errno == EPROTOTYPE) {
    return base::Failure{"in use: another process listens there"};
  }
  if (errno != ECONNREFUSED) return last_error();
  if (::unlink(address.sun_path) == 0 || errno == ENOENT) return {};
  return last_error();
}

base::Result<Listener, ListenError> open_unix(std::string_view text, mode_t mode) {
  const std::string path(text.substr(kUnixPrefix.size()));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, path.size());

  const auto lock = PathLock::take(path);
  if (!lock) return cannot_bind(text, lock.error());
  if (const auto room = make_room(address); !room) return cannot_bind(text, room.error());
  Listener listener;
  listener.socket.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener.socket) return cannot_bind(text, base::error_text(errno));
  // By the mask and not by a chmod() after bind(): there is no moment with a wider mode.
  const mode_t mask = ::umask(static_cast<mode_t>(~mode & 0777));
  const int bound =
      ::bind(listener.socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::umask(mask);
  if (bound != 0) return cannot_bind(text, base::error_text(error));
  if (::listen(listener.socket.get(), kBacklog) != 0) {
    const std::string why = base::error_text(errno);
    ::unlink(address.sun_path);
    return cannot_bind(text, why);
  }
  listener.file = SocketFile(path);
  return listener;
}

base::Result<Listener, ListenError> open_tcp(std::string_view text) {
  const auto endpoint = base::Endpoint::parse(text, 0);
  sockaddr_storage address;
  const socklen_t length = endpoint->to_sockaddr(address);
  Listener listener;
  listener.socket.reset(::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int fd = listener.socket.get();
  const int on = 1;
  // Connections of the process before this one may still be in TIME_WAIT.
  if (fd < 0 || ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      (endpoint->address.v6 && ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
      ::bind(fd, reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      ::listen(fd, kBacklog) != 0) {
    return cannot_bind(text, base::error_text(errno));
  }
  return listener;
}

int socket_option(int fd, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : 0;
}

bool is_listening_stream(int fd) {
  return socket_option(fd, SO_ACCEPTCONN) != 0 && socket_option(fd, SO_TYPE) == SOCK_STREAM;
}

// How many sockets sd_listen_fds(3) would report; -1 for a number that is none.
int take_systemd_count() {
  const auto take = [](const char* name) {
    const char* const value = std::getenv(name);
    std::string text = value == nullptr ? "" : value;
    ::unsetenv(name);
    return text;
  };
  const std::string pid = take("LISTEN_PID");
  const std::string count = take("LISTEN_FDS");
  take("LISTEN_FDNAMES");
  // Meant for another process, which this one descends from.
  if (pid != std::to_string(::getpid()) || count.empty()) return 0;
  return std::max(base::parse_number<int>(count).value_or(-1), -1);
}

// Whether descriptor 0 is an unconnected socket, which is how FastCGI programs are started. Asks
// libfcgi, which decides once and for all at the first call.
bool standard_input_is_fastcgi() {
  // FCGX_IsCGI runs FCGX_Init, which puts its own handlers over SIG_DFL and SIG_IGN.
  constexpr std::array kSignals{SIGPIPE, SIGTERM, SIGUSR1};
  std::array<struct sigaction, kSignals.size()> before{};
  for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], nullptr, &before[i]);
  const bool is_cgi = ::FCGX_IsCGI() != 0;
  for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before[i], nullptr);
  return !is_cgi;
}

}  // namespace

SocketFile::SocketFile(const std::string& path) {
  if (::lstat(path.c_str(), &file_) == 0) path_ = path;
}

SocketFile::SocketFile(SocketFile&& other) noexcept
    : path_(std::exchange(other.path_, {})), file_(other.file_) {}

SocketFile& SocketFile::operator=(SocketFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(file_, other.file_);
  return *this;
}

SocketFile::~SocketFile() {
  if (path_.empty()) return;
  try {
    const auto lock = PathLock::take(path_);
    if (!lock) return;  // the next one replaces it
    struct stat now {};
    if (::lstat(path_.c_str(), &now) == 0 && is_same_socket(now, file_)) ::unlink(path_.c_str());
  } catch (const std::bad_alloc&) {
    // Likewise.
  }
}

base::Result<void> check_listen_address(std::string_view address) {
  const auto fault = [address](const std::string& why) {
    return base::Failure{std::string(address) + ": " + why};
  };
  if (!address.starts_with(kUnixPrefix)) {
    if (base::Endpoint::parse(address, 0)) return {};
    return fault("not an address; allowed are unix:/path, 127.0.0.1:9001, [::1]:9001");
  }
  const std::string_view path = address.substr(kUnixPrefix.size());
  // "@" is how others write Linux's abstract sockets, which have no mode to keep strangers out.
  if (path.empty() || path.starts_with('@') || path.find('\0') != std::string::npos) {
    return fault("there must be a path after unix:");
  }
  constexpr std::size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;
  if (path.size() <= kMaxPath) return {};
  return fault("the path is too long for a socket, which may have " + std::to_string(kMaxPath) +
               " octets");
}

base::Result<Listener, ListenError> open_listener(std::string_view address, mode_t mode) {
  if (const auto checked = check_listen_address(address); !checked) {
    return base::Failure{ListenError{Kind::kMalformed, checked.error()}};
  }
  return address.starts_with(kUnixPrefix) ? open_unix(address, mode) : open_tcp(address);
}

std::string socket_address(int fd) {
  constexpr const char* kUnnamed = "an unnamed socket";
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return kUnnamed;
  if (const auto endpoint = base::Endpoint::from_sockaddr(address)) return endpoint->text();
  const auto& path = reinterpret_cast<const sockaddr_un&>(address).sun_path;
  constexpr std::size_t kBegin = offsetof(sockaddr_un, sun_path);
  if (address.ss_family != AF_UNIX || size <= kBegin) return kUnnamed;
  // An abstract name begins with a zero, and has no other at its end.
  std::string name(path, std::min<std::size_t>(size - kBegin, sizeof path));
  if (name[0] == '\0') {
    name[0] = '@';
  } else {
    name.resize(::strnlen(name.c_str(), name.size()));
  }
  return std::string(kUnixPrefix) + name;
}

std::optional<mode_t> parse_socket_mode(std::string_view text) {
  const auto mode = base::parse_number<mode_t>(text, 8);
  return mode && *mode <= 0777 ? mode : std::nullopt;
}

base::Result<base::Fd> inherited_listener() {
  const int count = take_systemd_count();
  if (count < 0 || count > 1) {
    return base::Failure{std::string("LISTEN_FDS: exactly one socket can be served on")};
  }
  if (count == 1) {
    if (!is_listening_stream(kSystemdFd)) {
      return base::Failure{
          std::string("LISTEN_FDS: descriptor 3 is no listening stream socket; "
                      "the socket unit needs ListenStream= and Accept=no")};
    }
    ::fcntl(kSystemdFd, F_SETFD, FD_CLOEXEC);
    return base::Fd(kSystemdFd);
  }
  // libfcgi also takes a socket that is merely not connected, such as one of UDP.
  if (!standard_input_is_fastcgi() || !is_listening_stream(STDIN_FILENO)) return base::Fd();
  base::Fd listener(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!listener) return base::Failure{"descriptor 0: " + base::error_text(errno)};
  // Nothing that is opened later becomes the standard input by chance.
  const base::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (null) ::dup2(null.get(), STDIN_FILENO);
  return listener;
}

}  // namespace http01::transport
