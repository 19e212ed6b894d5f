#include "log/output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <ctime>
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

// Returns false if nothing can be written after so long. A pipe that is ready takes kMaxWrite.
bool can_write(int fd, const LogPatience& patience) {
  constexpr std::chrono::milliseconds kLook{50};
  pollfd writable{fd, POLLOUT, 0};
  for (std::chrono::milliseconds waited{0};; waited += kLook) {
    const bool lasts = patience.lasts(waited);
    if (::poll(&writable, 1, lasts ? static_cast<int>(kLook.count()) : 0) != 0) return true;
    if (!lasts) return false;
  }
}

// Whether write() may wait there. The memory devices (/dev/null) never do, and of one of them,
// /dev/kmsg, poll() does not say that it can be written.
bool may_wait(int fd) {
  constexpr unsigned kMemoryDevices = 1;
  struct stat file {};
  if (::fstat(fd, &file) != 0 || S_ISREG(file.st_mode)) return false;
  return !S_ISCHR(file.st_mode) || major(file.st_rdev) != kMemoryDevices;
}

// While it lives, no other process ends the half line: each of several would, and leave blank ones.
// Where it cannot be had in time it is done without: no log waits for a stranger's lock.
class EndLock {
 public:
  explicit EndLock(int fd) : fd_(fd) {
    for (int tries = 0; !set(F_WRLCK) && base::would_block(errno) && tries < kTries; ++tries) {
      ::poll(nullptr, 0, 1);
    }
  }
  ~EndLock() { set(F_UNLCK); }
  EndLock(const EndLock&) = delete;
  EndLock& operator=(const EndLock&) = delete;

 private:
  static constexpr int kTries = 50;

  bool set(short type) const {
    struct flock whole {};
    whole.l_type = type;
    whole.l_whence = SEEK_SET;
    return ::fcntl(fd_, F_OFD_SETLK, &whole) == 0;
  }

  int fd_;
};

class DescriptorOutput final : public LogOutput {
 public:
  // A file that was opened here, O_NONBLOCK.
  explicit DescriptorOutput(base::Fd fd) : owned_(std::move(fd)), fd_(owned_.get()) {}
  // Belongs to others: it stays open.
  explicit DescriptorOutput(int fd) : fd_(fd), may_block_(may_wait(fd)) {}

  LogLoss write(std::string_view lines, const LogPatience& patience) override {
    while (!lines.empty()) {
      if (has_half_line()) {
        if (const int error = end_half_line(patience); error != 0) {
          return {line_count(lines), error};
        }
      }
      const std::string_view some = next_write(lines);
      const auto [written, error] = write_all(some, patience);
      lines.remove_prefix(written);
      if (written > 0) leave(seen_ + static_cast<off_t>(written), some[written - 1] != '\n');
      if (error == 0) continue;
      // A line of which but the end is missing is not lost: it will be ended.
      if (written > 0 && half_line_ && lines.starts_with('\n')) lines.remove_prefix(1);
      return {line_count(lines), error};
    }
    return {};
  }

 private:
  struct Written {
    std::size_t bytes;
    int error;  // why that was not all, 0: it was
  };

  Written write_all(std::string_view bytes, const LogPatience& patience) const {
    std::size_t written = 0;
    while (written < bytes.size()) {
      if (may_block_ && !can_write(fd_, patience)) {
        return {written, LogLoss::kNotReadInTime};
      }
      const ssize_t count = ::write(fd_, bytes.data() + written, bytes.size() - written);
      if (count >= 0) {
        written += static_cast<std::size_t>(count);
      } else if (base::would_block(errno)) {
        // A full pipe, or standard error that another process has made non-blocking.
        if (!can_write(fd_, patience)) return {written, LogLoss::kNotReadInTime};
      } else if (errno != EINTR) {
        return {written, errno};
      }
    }
    return {written, 0};
  }

  // Of a file that is not as this process left it, the last byte tells, where it can be read.
  bool has_half_line() {
    struct stat file {};
    if (!owned_ || ::fstat(fd_, &file) != 0 || !S_ISREG(file.st_mode)) return half_line_;
    seen_ = file.st_size;
    if (seen_ == left_) return half_line_;
    char last = '\n';
    if (seen_ > 0 && ::pread(fd_, &last, 1, seen_ - 1) != 1) return half_line_;
    if (last == '\n') leave(seen_, false);
    return last != '\n';
  }

  // What this process knows of the file's end, until another one writes.
  void leave(off_t size, bool half_line) {
    left_ = size;
    half_line_ = half_line;
  }

  // Returns why it could not be ended, 0: it has an end, or another process is writing it.
  int end_half_line(const LogPatience& patience) {
    const EndLock lock(fd_);
    const off_t before = seen_;
    if (!has_half_line()) return 0;
    for (int looks = 0; left_ != seen_ && looks < kLooks; ++looks) {
      ::poll(nullptr, 0, 1);
      if (!has_half_line() || seen_ != before) return 0;
    }
    leave(seen_, true);
    const int error = write_all("\n", patience).error;
    if (error == 0) leave(++seen_, false);
    return error;
  }

  // Milliseconds in which a process in the middle of its line gets on, though others have its
  // processor.
  static constexpr int kLooks = 10;

  base::Fd owned_;
  int fd_;
  bool may_block_ = false;
  off_t seen_ = 0;   // the file's size at the last look
  off_t left_ = -1;  // where half_line_ is known of it
  bool half_line_ = false;
};

// Not by syslog(3), which does not return whether a line reached the daemon, and waits for one
// that does not read for ever, behind the lock of the process's only connection.
class SyslogOutput final : public LogOutput {
 public:
  LogLoss write(std::string_view lines, const LogPatience& patience) override {
    while (!lines.empty()) {
      std::string_view rest = lines;
      const SyslogLine line = take_syslog_line(rest);
      if (const int error = send(line, patience); error != 0) return {line_count(lines), error};
      lines = rest;
    }
    return {};
  }

 private:
  // These return 0 or the error, as LogLoss has it.

  int send(const SyslogLine& line, const LogPatience& patience) {
    std::array<char, kMaxMessage + 1> message;
    const std::size_t size = fill(message, line);
    const bool was_connected = bool(daemon_);
    int error = was_connected ? send_all({message.data(), size}, patience) : 0;
    // A daemon that was started again has another socket.
    if (!was_connected || (error != 0 && error != LogLoss::kNotReadInTime)) {
      error = connect();
      if (error == 0) error = send_all({message.data(), size}, patience);
    }
    // The rest of half a message would be taken for the next one.
    if (error != 0 && is_stream_) daemon_.reset();
    return error;
  }

  int connect() {
    sockaddr_un address{AF_UNIX, _PATH_LOG};
    int error = 0;
    for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
      daemon_.reset(::socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      if (!daemon_) return errno;
      is_stream_ = type == SOCK_STREAM;
      if (::connect(daemon_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
          0) {
        return 0;
      }
      error = errno;
      daemon_.reset();
      if (error != EPROTOTYPE) break;
    }
    return error;
  }

  int send_all(std::string_view message, const LogPatience& patience) const {
    // A stream's messages end with a NUL byte.
    if (!is_stream_) message.remove_suffix(1);
    while (!message.empty()) {
      const ssize_t count = ::send(daemon_.get(), message.data(), message.size(), MSG_NOSIGNAL);
      if (count >= 0) {
        message.remove_prefix(static_cast<std::size_t>(count));
      } else if (base::would_block(errno)) {
        if (!can_write(daemon_.get(), patience)) return LogLoss::kNotReadInTime;
      } else if (errno != EINTR) {
        return errno;
      }
    }
    return 0;
  }

  static constexpr std::size_t kMaxMessage = 8192;

  // As syslog(3) writes it: "<30>Nov  3 07:01:02 http01-relay[815]: reason=ok ...". Returns its
  // size, with the NUL byte at the end.
  static std::size_t fill(std::array<char, kMaxMessage + 1>& message, const SyslogLine& line) {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    ::localtime_r(&now, &local);
    std::array<char, 32> stamp{};
    std::strftime(stamp.data(), stamp.size(), "%h %e %T", &local);
    const int priority = LOG_DAEMON | line.priority;
    const int text_size = static_cast<int>(std::min(line.text.size(), kMaxMessage));
    const int size =
        std::snprintf(message.data(), message.size(), "<%d>%s http01-relay[%d]: %.*s", priority,
                      stamp.data(), static_cast<int>(::getpid()), text_size, line.text.data());
    return std::min(static_cast<std::size_t>(size), kMaxMessage) + 1;
  }

  base::Fd daemon_;
  bool is_stream_ = false;
};

std::string open_error(const std::string& path, const base::OpenFailure& failure) {
  struct stat file {};
  const bool is_pipe =
      failure.error == ENXIO && ::stat(path.c_str(), &file) == 0 && S_ISFIFO(file.st_mode);
  return path + ": " + (is_pipe ? "a pipe that nobody reads" : failure.text);
}

}  // namespace

std::string_view next_write(std::string_view lines) {
  if (lines.size() <= kMaxWrite) return lines;
  std::size_t end = lines.rfind('\n', kMaxWrite - 1);
  if (end == std::string_view::npos) end = lines.find('\n');
  return lines.substr(0, end == std::string_view::npos ? lines.size() : end + 1);
}

std::uint64_t line_count(std::string_view lines) {
  return static_cast<std::uint64_t>(std::ranges::count(lines, '\n'));
}

std::string loss_text(const LogLoss& loss) {
  return std::to_string(loss.lines) +
         (loss.lines == 1 ? " line of the log was lost: " : " lines of the log were lost: ") +
         (loss.error == LogLoss::kNotReadInTime ? "not read in time"
                                                : base::error_text(loss.error));
}

base::Result<LogOutput::Pointer> LogOutput::open_file(const std::string& path) {
  struct stat file {};
  const bool is_there = ::stat(path.c_str(), &file) == 0;
  if (is_there && S_ISBLK(file.st_mode)) return base::Failure{path + ": a disk, not a file"};
  // Without these flags, opening a pipe would wait for its reader, and a terminal would become the
  // terminal that controls this process.
  constexpr int kFlags = O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  // A file is read too, for whether its last line has an end. A pipe must not be: it would have a
  // reader then.
  const bool is_file = !is_there || S_ISREG(file.st_mode);
  auto fd = base::open_trusted(path, kFlags | (is_file ? O_RDWR : O_WRONLY), kFileMode);
  if (!fd && is_file && fd.error().error == EACCES) {
    fd = base::open_trusted(path, kFlags | O_WRONLY, kFileMode);
  }
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
