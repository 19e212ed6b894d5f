#include "log/writer.h"

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <new>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "log/loss_reporter.h"

namespace http01 {
namespace {

// Bytes that may wait for a slow reader: about a second of a very busy relay.
constexpr std::size_t kMaxWaiting = std::size_t{4} << 20;

// Waking the thread costs more than a line does, and a reader of the log does not notice so short a
// delay.
constexpr std::chrono::milliseconds kRest{2};

}  // namespace

struct LogWriter::State {
  struct Part {
    LogOutput::Pointer output;
    std::string lines;
    LogLoss lost_before;
  };

  void add(const LogOutput::Pointer& output, std::string_view line);
  void lose(int error);
  void run();

  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable has_ended;
  std::vector<Part> waiting;
  std::size_t waiting_bytes = 0;
  LogLoss lost_last;  // since the last line that found room
  std::uint64_t dropped = 0;
  bool asleep = false;
  bool ending = false;
  bool ended = false;
};

LogWriter::LogWriter() : state_(std::make_shared<State>()) {
  try {
    thread_ = std::thread([state = state_] { state->run(); });
  } catch (const std::system_error& refusal) {
    throw std::system_error(refusal.code(), "the thread of the log");
  }
}

LogWriter::~LogWriter() { finish(LogOutput::kForever); }

void LogWriter::add(const LogOutput::Pointer& output, std::string_view line) {
  const std::lock_guard lock(state_->mutex);
  try {
    state_->add(output, line);
  } catch (const std::bad_alloc&) {
    state_->lose(ENOMEM);
  }
}

void LogWriter::lose(int error) {
  const std::lock_guard lock(state_->mutex);
  state_->lose(error);
}

bool LogWriter::finish(std::chrono::milliseconds patience) {
  if (!thread_.joinable()) return true;
  {
    std::unique_lock lock(state_->mutex);
    state_->ending = true;
    state_->wake.notify_one();
    const auto ended = [this] { return state_->ended; };
    if (patience != LogOutput::kForever && !state_->has_ended.wait_for(lock, patience, ended)) {
      thread_.detach();
      return false;
    }
  }
  thread_.join();
  return true;
}

std::uint64_t LogWriter::dropped() const {
  const std::lock_guard lock(state_->mutex);
  return state_->dropped;
}

void LogWriter::State::add(const LogOutput::Pointer& output, std::string_view line) {
  if (waiting_bytes + line.size() > kMaxWaiting) {
    lose(LogLoss::kNotReadInTime);
    return;
  }
  if (waiting.empty() || waiting.back().output != output || lost_last.lines > 0) {
    waiting.push_back({output, {}, lost_last});
    lost_last = {};
  }
  waiting.back().lines.append(line);
  waiting_bytes += line.size();
  if (std::exchange(asleep, false)) wake.notify_one();
}

void LogWriter::State::lose(int error) {
  ++dropped;
  ++lost_last.lines;
  lost_last.error = error;
}

void LogWriter::State::run() {
  LossReporter losses;
  std::unique_lock lock(mutex);
  while (true) {
    asleep = waiting.empty();
    wake.wait(lock, [this] { return !waiting.empty() || ending; });
    if (waiting.empty()) break;
    std::vector<Part> parts = std::exchange(waiting, {});
    waiting_bytes = 0;
    lock.unlock();
    for (Part& part : parts) {
      losses.add(part.lost_before);
      const std::uint64_t lost = losses.write(*part.output, part.lines, LogOutput::kForever);
      // An old output closes before the next one is written to.
      part.output.reset();
      if (lost == 0) continue;
      lock.lock();
      dropped += lost;
      lock.unlock();
    }
    lock.lock();
    wake.wait_for(lock, kRest, [this] { return ending; });
  }
  ended = true;
  has_ended.notify_one();
}

}  // namespace http01
