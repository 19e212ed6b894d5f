#include "log/writer.h"

#include <chrono>
#include <utility>

namespace http01 {
namespace {

// Bytes that may wait for a slow reader: about a second of a very busy relay.
constexpr std::size_t kMaxWaiting = std::size_t{4} << 20;

// Waking the thread costs more than a line does, and a reader of the log does not notice so short a
// delay.
constexpr std::chrono::milliseconds kRest{2};

}  // namespace

LogWriter::LogWriter() : thread_([this] { run(); }) {}

LogWriter::~LogWriter() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void LogWriter::add(const LogOutput::Pointer& output, std::string_view line) {
  const std::lock_guard lock(mutex_);
  if (waiting_bytes_ + line.size() > kMaxWaiting) {
    ++dropped_;
    return;
  }
  if (waiting_.empty() || waiting_.back().output != output) waiting_.push_back({output, {}});
  waiting_.back().lines.append(line);
  waiting_bytes_ += line.size();
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
    std::vector<Part> parts = std::exchange(waiting_, {});
    waiting_bytes_ = 0;
    lock.unlock();
    for (Part& part : parts) {
      part.output->write(part.lines, LogOutput::kForever);
      // An old output closes before the next one is written to.
      part.output.reset();
    }
    lock.lock();
    wake_.wait_for(lock, kRest, [this] { return ending_; });
  }
}

}  // namespace http01
