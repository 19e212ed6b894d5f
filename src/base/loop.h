// The event loop of a process: epoll, timers and signals on one thread. Everything that waits,
// waits here; nothing called from here may block. Not safe from other threads. Callbacks may call
// anything below, also on the watch or timer that is being told.
//
// Descriptors are borrowed: whoever owns one calls forget() before closing it. Watches and timers
// are known by ids that are never used twice, so an event that was queued before a descriptor was
// closed and its number reused finds nobody. Throws std::system_error from the constructor, watch()
// and on_signal() only, where the kernel refuses a descriptor, and std::bad_alloc; what was to be
// added is then not there. A callback that throws one of the two ends, and nothing else does.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"

namespace http01::base {

class Loop {
 public:
  using WatchId = std::uint64_t;
  using TimerId = std::uint64_t;
  using OnEvents = std::function<void(std::uint32_t events)>;  // EPOLLIN, EPOLLOUT, ...
  using Task = std::function<void()>;

  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Blocks these signals in the calling thread (and in threads it starts later), so that none is
  // lost between the start of the program and on_signal().
  static void block_signals(std::initializer_list<int> signals);

  WatchId watch(int fd, std::uint32_t events, OnEvents on_events);
  // False where the kernel refuses it: the events are the old ones.
  bool rewatch(WatchId id, std::uint32_t events);
  void forget(WatchId id);

  TimerId at(TimePoint when, Task task);
  TimerId after(Duration delay, Task task) { return at(now() + delay, std::move(task)); }
  void cancel(TimerId id);

  // Runs the task before the loop waits again, never from inside this call: the way to tell others
  // of a finished thing without re-entering them.
  void defer(Task task);

  void on_signal(int signal, Task task);

  // The time at which the current turn of the loop began.
  TimePoint now() const { return now_; }

  // All that had come to the descriptors by this time has been told. A timer runs once this has
  // reached its time, so what is already there is never given up for being late, however long the
  // process was stopped.
  TimePoint heard_until() const { return heard_until_; }

  // Turns until stop().
  void run();
  void stop() { running_ = false; }

 private:
  struct Watch {
    int fd;
    OnEvents on_events;
    std::uint64_t told_in = 0;  // round
  };
  struct Alarm {
    TimePoint when;
    TimerId id;
    bool operator>(const Alarm& other) const {
      return when != other.when ? when > other.when : id > other.id;
    }
  };

  int milliseconds_to_wait(TimePoint now);
  void run_timers();
  void run_deferred();
  void read_signals();

  Fd epoll_;
  Fd signals_;
  TimePoint now_;
  TimePoint heard_until_;
  TimePoint round_began_;
  std::uint64_t round_ = 0;
  bool in_round_ = false;
  bool running_ = false;
  std::uint64_t next_id_ = 1;
  std::unordered_map<WatchId, Watch> watches_;
  std::vector<Alarm>
      alarms_;  // a heap; a cancelled timer's alarm stays until its time or a clean-up
  std::unordered_map<TimerId, Task> timers_;
  std::vector<TimerId> due_;  // of this turn
  std::vector<Task> deferred_;
  std::vector<Task> running_tasks_;
  std::unordered_map<int, Task> signal_tasks_;
};

}  // namespace http01::base
