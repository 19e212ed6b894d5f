#include "log/writer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <filesystem>
#include <system_error>
#include <utility>

namespace http01 {
namespace {

// Octets that may wait for a slow reader: about a second of a very busy relay.
constexpr std::size_t kMaxWaiting = std::size_t{4} << 20;

// What a pipe takes as a whole, since other processes may write to it too.
constexpr std::size_t kMaxWrite = PIPE_BUF;

// To wake the thread costs more than a line does. Whoever follows the log does not see so short a
// delay.
constexpr std::chrono::milliseconds kRest{2};

// Whole lines from the beginning, as many as go into one write.
std::string_view next_write(std::string_view lines) {
  if (lines.size() <= kMaxWrite) return lines;
  std::size_t end = lines.rfind('\n', kMaxWrite - 1);
  if (end == std::string_view::npos) end = lines.find('\n');
  return lines.substr(0, end == std::string_view::npos ? lines.size() : end + 1);
}

// How long a line that is written directly waits for a reader that does not read.
constexpr int kPatienceMs = 1000;
constexpr int kForever = -1;

// False if it cannot be written: a full disk, a pipe without reader.
bool write_all(int fd, std::string_view octets, int patience_ms) {
  while (!octets.empty()) {
    const ssize_t count = ::write(fd, octets.data(), octets.size());
    if (count >= 0) {
      octets.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      // A pipe, or standard error that somebody else has made non-blocking.
      pollfd writable{fd, POLLOUT, 0};
      if (::poll(&writable, 1, patience_ms) == 0) return false;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

std::string open_error(const std::string& path, int error) {
  struct stat file {};
  const bool is_pipe = error == ENXIO && ::stat(path.c_str(), &file) == 0 && S_ISFIFO(file.st_mode);
  return path + ": " +
         (is_pipe ? "a pipe that nobody reads" : std::generic_category().message(error));
}

}  // namespace

base::Result<LogWriter::Output> LogWriter::open_file(const std::string& path) {
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  struct stat file {};
  if (::stat(path.c_str(), &file) == 0 && S_ISBLK(file.st_mode)) {
    return base::Failure{path + ": a disk, not a file"};
  }
  // To open a pipe would wait for its reader, and a terminal would become this process's own.
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  auto fd = std::make_shared<const base::Fd>(::open(path.c_str(), kFlags, 0666));
  if (!*fd) return base::Failure{open_error(path, errno)};
  return Output(std::move(fd));
}

void LogWriter::write_now(const Output& output, std::string_view line) {
  write_all(output->get(), line, kPatienceMs);
}

LogWriter::Output LogWriter::standard_error() {
  constexpr int kBehindStandardStreams = 3;
  return std::make_shared<const base::Fd>(
      ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, kBehindStandardStreams));
}

LogWriter::LogWriter() : thread_([this] { run(); }) {}

LogWriter::~LogWriter() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void LogWriter::add(const Output& output, std::string_view line) {
  const std::lock_guard lock(mutex_);
  if (waiting_octets_ + line.size() > kMaxWaiting) {
    ++dropped_;
    return;
  }
  if (waiting_.empty() || waiting_.back().output != output) waiting_.push_back({output, {}});
  waiting_.back().lines.append(line);
  waiting_octets_ += line.size();
  if (std::exchange(asleep_, false)) wake_.notify_one();
}

std::uint64_t LogWriter::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

void LogWriter::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    asleep_ = waiting_.empty();
    wake_.wait(lock, [this] { return !waiting_.empty() || ending_; });
    if (waiting_.empty()) return;
    const std::vector<Part> parts = std::exchange(waiting_, {});
    waiting_octets_ = 0;
    lock.unlock();
    for (const Part& part : parts) {
      std::string_view rest = part.lines;
      while (!rest.empty()) {
        const std::string_view lines = next_write(rest);
        if (!write_all(part.output->get(), lines, kForever)) break;
        rest.remove_prefix(lines.size());
      }
    }
    lock.lock();
    wake_.wait_for(lock, kRest, [this] { return ending_; });
  }
}

}  // namespace http01
