// Where the lines of the log go: a file, standard error or syslog. One thread at a time may write
// to an output. Opening a file returns why it cannot be used; nothing throws but std::bad_alloc.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace http01 {

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
  // Each line must begin with its priority, "<6>"; the connection is made when the first is
  // written.
  static Pointer syslog();
  // Does not close it.
  static Pointer descriptor(int fd);

  virtual ~LogOutput() = default;

  // Takes whole lines, each with its line end. Each time the reader does not read, it waits for at
  // most `patience`; syslog(3) has no such limit, so whether its daemon reads is asked before, once
  // for all lines. Returns false if a line was
  // not written or only half of it: a full disk, a pipe without a reader, patience that ran out.
  virtual bool write(std::string_view lines, std::chrono::milliseconds patience) = 0;
};

struct SyslogLine {
  int priority;           // LOG_ERR, ...
  std::string_view text;  // without its line end
};

// Removes the first line from `lines`, which must not be empty. The priority is the line's "<N>",
// which is cut off; a line without it has LOG_INFO.
SyslogLine take_syslog_line(std::string_view& lines);

}  // namespace http01
