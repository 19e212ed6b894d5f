// Where the lines of the log go: a file, standard error or syslog. One thread at a time may write
// to an output. Opening a file returns why it cannot be used; nothing throws but std::bad_alloc,
// and write() throws nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace http01 {

// Lines that were not written, or only half of them.
struct LogLoss {
  std::uint64_t lines = 0;
  int error = 0;  // errno of the last one, or kNotReadInTime

  static constexpr int kNotReadInTime = -1;
};

// "33 lines of the log were lost: No space left on device".
std::string loss_text(const LogLoss& loss);

// How long a writer waits for a reader that does not read.
class LogPatience {
 public:
  // Told how long the reader has not read by now: whether to wait on.
  using Ask = std::function<bool(std::chrono::milliseconds waited)>;

  LogPatience(std::chrono::milliseconds most) : most_(most) {}
  explicit LogPatience(Ask ask) : ask_(std::move(ask)) {}

  bool lasts(std::chrono::milliseconds waited) const {
    if (ask_) return ask_(waited);
    return most_.count() < 0 || waited < most_;
  }

 private:
  std::chrono::milliseconds most_{0};
  Ask ask_;
};

class LogOutput {
 public:
  // A line in the queue keeps its output alive after the log has gone over to another.
  using Pointer = std::shared_ptr<LogOutput>;

  static constexpr std::chrono::milliseconds kForever{-1};

  // Creates the file, and its directory, if they are missing; nobody but its owner and group may
  // read it, whatever the umask. Never waits: a pipe without a reader is a failure. So is a
  // symbolic link, anywhere in the path, that belongs to neither root nor this process's user.
  static base::Result<Pointer> open_file(const std::string& path);
  static Pointer standard_error();
  // Each line must begin with its priority, "<6>"; the connection to the daemon is made when the
  // first is written, and made again when the daemon was started again. Of a line of more than
  // eight kilobytes, the beginning is sent.
  static Pointer syslog();
  // Does not close it.
  static Pointer descriptor(int fd);

  virtual ~LogOutput() = default;

  // Takes whole lines, each with its line end. Each time the reader does not read, it waits as long
  // as `patience` lasts, which it asks every few milliseconds. At the first line that cannot be
  // written (a full disk, a pipe without a reader, patience that ran out) it gives up; that line
  // and those behind it are lost. A line of which a part was written is lost too; its part is ended
  // before the next line is written. So is one that another process, or an earlier output, leaves
  // at the end of a file, at any time.
  virtual LogLoss write(std::string_view lines, const LogPatience& patience) = 0;

  // Makes the line that reports a loss, "" for none.
  using Notice = std::function<std::string(const LogLoss&)>;
  // To be called before the first line is written, if lost ones are to be reported here.
  void set_notice(Notice notice) { notice_ = std::move(notice); }
  std::string notice(const LogLoss& loss) const { return notice_ ? notice_(loss) : std::string(); }

 private:
  Notice notice_;
};

// Whole lines from the beginning, as many as a pipe takes in one piece; at least one.
std::string_view next_write(std::string_view lines);

std::uint64_t line_count(std::string_view lines);

struct SyslogLine {
  int priority;           // LOG_ERR, ...
  std::string_view text;  // without its line end
};

// Removes the first line from `lines`, which must not be empty. The priority is the line's "<N>",
// which is cut off; a line without it has LOG_INFO.
SyslogLine take_syslog_line(std::string_view& lines);

}  // namespace http01
