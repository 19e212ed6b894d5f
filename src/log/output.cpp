#include "log/output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "base/ascii.h"
#include "base/fd.h"
#include "base/posix.h"
#include "base/trusted_path.h"

namespace http01 {
namespace {

// A pipe takes this much as a whole, even if other processes write to it too.
constexpr std::size_t kMaxWrite = PIPE_BUF;

// It names clients and their domains: for its owner and group, whatever the umask.
constexpr mode_t kFileMode = 0640;

// Whole lines from the beginning, as many as go into one write.
std::string_view next_write(std::string_view lines) {
  if (lines.size() <= kMaxWrite) return lines;
  std::size_t end = lines.rfind('\n', kMaxWrite - 1);
  if (end == std::string_view::npos) end = lines.find('\n');
  return lines.substr(0, end == std::string_view::npos ? lines.size() : end + 1);
}

class DescriptorOutput final : public LogOutput {
 public:
  // A file that was opened here, O_NONBLOCK.
  explicit DescriptorOutput(base::Fd fd) : owned_(std::move(fd)), fd_(owned_.get()) {}
  // Belongs to others: it stays open, and write() may wait there.
  explicit DescriptorOutput(int fd) : fd_(fd), may_block_(true) {}

  bool write(std::string_view lines, std::chrono::milliseconds patience) override {
    while (!lines.empty()) {
      const std::string_view some = next_write(lines);
      if (!write_all(some, patience)) return false;
      lines.remove_prefix(some.size());
    }
    return true;
  }

 private:
  bool write_all(std::string_view bytes, std::chrono::milliseconds patience) const {
    while (!bytes.empty()) {
      if (may_block_ && patience != kForever && !wait(patience)) return false;
      const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
      if (count >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(count));
      } else if (base::would_block(errno)) {
        // A full pipe, or standard error that another process has made non-blocking.
        if (!wait(patience)) return false;
      } else if (errno != EINTR) {
        return false;
      }
    }
    return true;
  }

  // Returns false if nothing can be written after so long. A pipe that is ready takes kMaxWrite.
  bool wait(std::chrono::milliseconds patience) const {
    pollfd writable{fd_, POLLOUT, 0};
    return ::poll(&writable, 1, static_cast<int>(patience.count())) != 0;
  }

  base::Fd owned_;
  int fd_;
  bool may_block_ = false;
};

// syslog(3) waits for a daemon whose queue is full, and has no limit. Where there is no daemon, or
// not one that takes datagrams, it does not wait.
bool daemon_reads(std::chrono::milliseconds patience) {
  sockaddr_un address{AF_UNIX, _PATH_LOG};
  const base::Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return true;
  }
  pollfd writable{socket.get(), POLLOUT, 0};
  return ::poll(&writable, 1, static_cast<int>(patience.count())) != 0;
}

// syslog(3) has one connection for the whole process, behind a lock that it holds while it waits
// for a daemon that does not read. The loop's thread must not wait for that lock. So the thread
// that writes makes the connection, and an output that has written nothing does not close it.
class SyslogOutput final : public LogOutput {
 public:
  ~SyslogOutput() override {
    if (opened_) ::closelog();
  }

  bool write(std::string_view lines, std::chrono::milliseconds patience) override {
    if (patience != kForever && !daemon_reads(patience)) return false;
    if (!std::exchange(opened_, true)) ::openlog("http01-relay", LOG_PID, LOG_DAEMON);
    while (!lines.empty()) {
      const SyslogLine line = take_syslog_line(lines);
      const auto size = static_cast<int>(std::min<std::size_t>(line.text.size(), INT_MAX));
      ::syslog(line.priority, "%.*s", size, line.text.data());
    }
    return true;
  }

 private:
  bool opened_ = false;
};

std::string open_error(const std::string& path, const base::OpenFailure& failure) {
  struct stat file {};
  const bool is_pipe =
      failure.error == ENXIO && ::stat(path.c_str(), &file) == 0 && S_ISFIFO(file.st_mode);
  return path + ": " + (is_pipe ? "a pipe that nobody reads" : failure.text);
}

}  // namespace

base::Result<LogOutput::Pointer> LogOutput::open_file(const std::string& path) {
  struct stat file {};
  if (::stat(path.c_str(), &file) == 0 && S_ISBLK(file.st_mode)) {
    return base::Failure{path + ": a disk, not a file"};
  }
  // Without these flags, opening a pipe would wait for its reader, and a terminal would become the
  // terminal that controls this process.
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  auto fd = base::open_trusted(path, kFlags, kFileMode);
  if (!fd) return base::Failure{open_error(path, fd.error())};
  return Pointer(std::make_shared<DescriptorOutput>(std::move(*fd)));
}

LogOutput::Pointer LogOutput::standard_error() { return descriptor(STDERR_FILENO); }

LogOutput::Pointer LogOutput::syslog() { return std::make_shared<SyslogOutput>(); }

LogOutput::Pointer LogOutput::descriptor(int fd) { return std::make_shared<DescriptorOutput>(fd); }

SyslogLine take_syslog_line(std::string_view& lines) {
  const std::string_view text = base::split_off(lines, '\n');
  constexpr std::size_t kFlagSize = 3;
  const bool flagged = text.size() >= kFlagSize && text[0] == '<' && text[1] >= '0' &&
                       text[1] <= '7' && text[2] == '>';
  if (!flagged) return {LOG_INFO, text};
  return {text[1] - '0', text.substr(kFlagSize)};
}

}  // namespace http01
