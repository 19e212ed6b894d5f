// The log: a line for each request, and for what operators need to know of the service itself. The
// only door to spdlog. Values from outside are escaped here, so no caller can forge a line. A
// service's lines go through one bounded queue to a thread, whatever the target: a reader that does
// not read (a full pipe) costs lines, and never time: for a second at most the lines of another
// target wait behind it. Lost lines, also those of a full disk, are counted, and reported in the
// log once lines can be written again. Where standard error is the journal, lines begin with their
// priority (sd-daemon(3)). Calls are safe from the loop's thread only; none throws but the
// constructor of a queued log: std::system_error where the system gives it no thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.h"
#include "log/attempts.h"
#include "log/settings.h"
#include "protocol/decide.h"
#include "protocol/request_times.h"

namespace http01 {

class Log {
 public:
  enum class Writing {
    kQueued,  // a service: never waits
    kDirect,  // one request or command: written before the call returns
  };

  explicit Log(Writing writing);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // Sets level, format and target from now on. The failure is why the target cannot be written to;
  // the old settings then stay. Until the first success nothing is logged. For rotation, open the
  // same file again.
  base::Result<void> open(const LogSettings& settings);

  void request(const protocol::Request& request, const protocol::Reply& reply,
               const protocol::RequestTimes& times);
  // Several requests that are one event, in addition to their own lines.
  void attempt(const Attempt& attempt);
  // Whether the two above write anything at this level.
  bool tells_requests() const;
  void info(std::string_view message);
  void warn(std::string_view message);
  void error(std::string_view message);

  // The number of lines that were lost: that could not be written, or for which the queue or the
  // memory had no room.
  std::uint64_t dropped() const;

  // Writes the queued lines, for at most `patience`, and takes no more. What is not written then is
  // lost, and counted. Returns false if the thread could not be ended: the system holds it in a
  // write, so leave with _exit.
  bool close(std::chrono::milliseconds patience);

 private:
  void message(LogLevel level, std::string_view text);

  struct Sink;
  std::unique_ptr<Sink> sink_;
};

}  // namespace http01
