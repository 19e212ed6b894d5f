// Writes lines from a thread of its own, so that a reader that does not read (a full pipe) costs
// lines, which are counted, and never time. The lines that wait are one string for each output; the
// thread takes all of them, writes, and rests a moment, so under load it is not woken for every
// line. Calls are safe from one thread; none throws but the constructor. The destructor waits until
// everything is written.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "log/output.h"

namespace http01 {

class LogWriter {
 public:
  LogWriter();
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // The line must have its line end. Lines are written in the order they were added, each to its
  // output.
  void add(const LogOutput::Pointer& output, std::string_view line);

  // The number of lines that found no room.
  std::uint64_t dropped() const;

 private:
  struct Part {
    LogOutput::Pointer output;
    std::string lines;
  };

  void run();

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Part> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::uint64_t dropped_ = 0;
  bool asleep_ = false;
  bool ending_ = false;
  std::thread thread_;  // the last member: it uses all of the above
};

}  // namespace http01
