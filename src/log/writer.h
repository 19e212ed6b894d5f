// Writes lines from a thread of its own, so that a reader that does not read (a full pipe) and a
// disk that is full cost lines, which are counted and reported, and never time. While lines for
// another output wait, a reader that does not read for a second loses its own. The lines that wait
// are one string for each output; the thread takes all of them, writes, and rests a moment, so
// under load it is not woken for every line. Calls are safe from one thread. The constructor throws
// std::system_error where the system gives no thread; nothing else throws or takes anything of the
// system but memory for the lines: one for which there is none is lost too.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <thread>

#include "log/output.h"

namespace http01 {

class LogWriter {
 public:
  LogWriter();
  // Waits until everything is written.
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // The line must have its line end. Lines are written in the order they were added, each to its
  // output.
  void add(const LogOutput::Pointer& output, std::string_view line);

  // A line that did not get here is counted and reported as well.
  void lose(int error);

  // Writes what waits, for at most `patience`; in the last quarter it waits for no reader. What is
  // not written then is lost, and counted. Returns false if the system holds the thread in a write:
  // it then ends by itself, and writes no more after that. Nothing may be added after.
  bool finish(std::chrono::milliseconds patience);

  // The number of lines that were lost: they found no room, or could not be written.
  std::uint64_t dropped() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // the thread's too
  std::thread thread_;
};

}  // namespace http01
