#include "log/writer.h"

#include <algorithm>
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

// With a reader that does not read, while lines for another output wait.
constexpr std::chrono::milliseconds kReaderPatience{1000};

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
  LogLoss lost_last;       // since the last line that found room
  std::uint64_t held = 0;  // neither written nor lost yet
  std::uint64_t dropped = 0;
  bool asleep = false;
  bool ending = false;
  bool hurried = false;  // no reader is waited for
  bool left = false;     // what was held is counted as lost
  bool ended = false;

 private:
  // These, and what follows, are the thread's.
  bool write(Part& part);
  bool waits_on(std::chrono::milliseconds waited);
  bool another_waits() const;

  std::vector<Part> writing_;
  LogOutput::Pointer given_up_;  // its reader has cost the patience there is
  const LogOutput* output_ = nullptr;
  LossReporter losses_;
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
    if (patience != LogOutput::kForever) {
      const auto hurry = patience / 4;
      state_->hurried = !state_->has_ended.wait_for(lock, patience - hurry, ended);
      state_->left = state_->hurried && !state_->has_ended.wait_for(lock, hurry, ended);
      if (state_->left) {
        state_->dropped += std::exchange(state_->held, 0);
        thread_.detach();
        return false;
      }
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
  held += line_count(line);
  if (std::exchange(asleep, false)) wake.notify_one();
}

void LogWriter::State::lose(int error) {
  ++dropped;
  ++lost_last.lines;
  lost_last.error = error;
}

void LogWriter::State::run() {
  std::unique_lock lock(mutex);
  while (true) {
    asleep = waiting.empty();
    wake.wait(lock, [this] { return !waiting.empty() || ending; });
    if (waiting.empty() || left) break;
    writing_ = std::exchange(waiting, {});
    waiting_bytes = 0;
    lock.unlock();
    for (Part& part : writing_) {
      if (!write(part)) break;
    }
    writing_.clear();
    lock.lock();
    wake.wait_for(lock, kRest, [this] { return ending; });
  }
  waiting.clear();
  ended = true;
  has_ended.notify_one();
}

// In pieces, so that what is held is known. Returns false if that was counted as lost.
bool LogWriter::State::write(Part& part) {
  losses_.add(part.lost_before);
  output_ = part.output.get();
  if (given_up_ != part.output) given_up_.reset();
  const LogPatience patience([this](std::chrono::milliseconds waited) { return waits_on(waited); });
  for (std::string_view rest = part.lines; !rest.empty();) {
    const std::string_view some = next_write(rest);
    const std::uint64_t lost = losses_.write(*part.output, some, patience);
    rest.remove_prefix(some.size());
    const std::lock_guard lock(mutex);
    if (left) return false;
    held -= line_count(some);
    dropped += lost;
  }
  // An old output closes before the next one is written to.
  part.output.reset();
  return true;
}

bool LogWriter::State::waits_on(std::chrono::milliseconds waited) {
  const std::lock_guard lock(mutex);
  if (hurried) return false;
  const bool is_given_up = given_up_.get() == output_;
  if ((waited < kReaderPatience && !is_given_up) || !another_waits()) return true;
  const auto part = std::ranges::find(
      writing_, output_, [](const Part& each) -> const LogOutput* { return each.output.get(); });
  if (part != writing_.end()) given_up_ = part->output;
  return false;
}

bool LogWriter::State::another_waits() const {
  const auto is_another = [this](const Part& part) {
    return part.output && part.output.get() != output_;
  };
  return std::ranges::any_of(writing_, is_another) || std::ranges::any_of(waiting, is_another);
}

}  // namespace http01
