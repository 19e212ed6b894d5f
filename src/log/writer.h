// Writes lines by a thread of its own, so that a reader that does not read (a full pipe) costs
// lines, which are counted, and never time. What waits is one string; the thread takes all of it,
// writes, and rests a moment, so under load it is not woken for every line. Calls are safe from one
// thread; none throws but the constructor. The destructor waits until everything is written.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace http01 {

class LogWriter {
 public:
  using Output = std::shared_ptr<const base::Fd>;

  // The failure says why not. The file is made, and its directory, if there is none. Never waits: a
  // pipe that nobody reads is a failure.
  static base::Result<Output> open_file(const std::string& path);
  static Output standard_error();
  // Without a thread: before the call returns, or not at all where nobody reads for a second.
  static void write_now(const Output& output, std::string_view line);

  LogWriter();
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // With its end-of-line. Lines are written in the order they were added, each to its output.
  void add(const Output& output, std::string_view line);

  // Lines that found no room.
  std::uint64_t dropped() const;

 private:
  struct Part {
    Output output;
    std::string lines;
  };

  void run();

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Part> waiting_;
  std::size_t waiting_octets_ = 0;
  std::uint64_t dropped_ = 0;
  bool asleep_ = false;
  bool ending_ = false;
  std::thread thread_;  // the last: it uses all of the above
};

}  // namespace http01
