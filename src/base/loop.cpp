#include "base/loop.h"

#include <poll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <new>
#include <system_error>

namespace http01::base {
namespace {

// One turn handles at most this many events before it looks at the timers again.
constexpr int kEventsPerTurn = 256;

// Likewise for timers, before it looks at the descriptors again: thousands of look-ups may run out
// of time at once, and each then begins another try, some twenty microseconds.
constexpr std::size_t kTimersPerTurn = 32;

// Cancelled alarms are swept out when they are more than half of the heap and the heap is not
// small.
constexpr std::size_t kSweepFrom = 1024;

// If the wait itself is refused, or the look at a signal that is there, the loop must not spin
// until it works again.
void rest() { ::poll(nullptr, 0, 10); }

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// What the system refuses to one callback is its loss alone: the others run, and so does the loop.
// Whoever can do more for its request, catches it nearer to it.
template <typename Callback, typename... Arguments>
void call(const Callback& callback, Arguments... arguments) {
  try {
    callback(arguments...);
  } catch (const std::bad_alloc&) {
  } catch (const std::system_error&) {
  }
}

}  // namespace

Loop::Loop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), now_(Clock::now()), heard_until_(now_) {
  if (!epoll_) fail("epoll_create1");
  due_.reserve(kTimersPerTurn);
}

Loop::~Loop() = default;

void Loop::block_signals(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Loop::WatchId Loop::watch(int fd, std::uint32_t events, OnEvents on_events) {
  const WatchId id = next_id_++;
  // First the part that may throw: events of a watch that is not in the table would never end.
  const auto watch = watches_.emplace(id, Watch{fd, std::move(on_events)}).first;
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    const int error = errno;
    watches_.erase(watch);
    errno = error;
    fail("epoll_ctl");
  }
  return id;
}

bool Loop::rewatch(WatchId id, std::uint32_t events) {
  const auto found = watches_.find(id);
  if (found == watches_.end()) return false;
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, found->second.fd, &event) == 0;
}

void Loop::forget(WatchId id) {
  const auto found = watches_.find(id);
  if (found == watches_.end()) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second.fd, nullptr);
  watches_.erase(found);
}

Loop::TimerId Loop::at(TimePoint when, Task task) {
  const TimerId id = next_id_++;
  // In this order: an alarm without a timer does no harm, a timer without an alarm never runs.
  alarms_.push_back({when, id});
  std::push_heap(alarms_.begin(), alarms_.end(), std::greater<>{});
  timers_.emplace(id, std::move(task));
  return id;
}

void Loop::cancel(TimerId id) {
  if (timers_.erase(id) == 0) return;
  if (alarms_.size() < kSweepFrom || alarms_.size() < 2 * timers_.size()) return;
  std::erase_if(alarms_, [this](const Alarm& alarm) { return !timers_.contains(alarm.id); });
  std::make_heap(alarms_.begin(), alarms_.end(), std::greater<>{});
}

void Loop::defer(Task task) { deferred_.push_back(std::move(task)); }

void Loop::on_signal(int signal, Task task) {
  signal_tasks_[signal] = std::move(task);
  sigset_t set;
  sigemptyset(&set);
  for (const auto& [number, unused] : signal_tasks_) sigaddset(&set, number);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  const int fd = ::signalfd(signals_.get(), &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (fd < 0) fail("signalfd");
  if (fd == signals_.get()) return;
  signals_.reset(fd);
  watch(fd, EPOLLIN, [this](std::uint32_t) { read_signals(); });
}

void Loop::read_signals() {
  signalfd_siginfo info{};
  while (true) {
    const ssize_t size = ::read(signals_.get(), &info, sizeof info);
    if (size < 0 && errno != EAGAIN && errno != EINTR) rest();
    if (size != static_cast<ssize_t>(sizeof info)) return;
    const auto found = signal_tasks_.find(static_cast<int>(info.ssi_signo));
    if (found != signal_tasks_.end()) {
      const Task task = found->second;
      call(task);
    }
  }
}

int Loop::milliseconds_to_wait(TimePoint now) {
  if (!deferred_.empty()) return 0;
  while (!alarms_.empty() && !timers_.contains(alarms_.front().id)) {
    std::pop_heap(alarms_.begin(), alarms_.end(), std::greater<>{});
    alarms_.pop_back();
  }
  if (alarms_.empty()) return -1;
  const auto wait = alarms_.front().when - now;
  if (wait <= Duration::zero()) return 0;
  // Rounded up: waking a little early would only turn the loop once for nothing.
  const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
  return static_cast<int>(std::min<std::int64_t>(rounded, 60'000));
}

void Loop::run_timers() {
  // A timer that is set by one of these waits for the next turn, even if it is due: one that sets
  // itself again must not keep the descriptors waiting.
  due_.clear();
  while (!alarms_.empty() && alarms_.front().when <= heard_until_ && due_.size() < kTimersPerTurn) {
    due_.push_back(alarms_.front().id);
    std::pop_heap(alarms_.begin(), alarms_.end(), std::greater<>{});
    alarms_.pop_back();
  }
  for (const TimerId id : due_) {
    auto timer = timers_.extract(id);
    if (timer) call(timer.mapped());
  }
}

void Loop::run_deferred() {
  // What a task defers runs in the same sweep: a chain of answers from the cache needs no turn
  // each.
  while (!deferred_.empty()) {
    running_tasks_.swap(deferred_);
    for (const Task& task : running_tasks_) call(task);
    running_tasks_.clear();
  }
}

void Loop::run() {
  running_ = true;
  std::array<epoll_event, kEventsPerTurn> events;
  now_ = Clock::now();
  run_deferred();
  while (running_) {
    // Not now_: the callbacks of the turn before took their time.
    const TimePoint asked = Clock::now();
    if (!in_round_) {
      in_round_ = true;
      ++round_;
      round_began_ = asked;
    }
    const int count =
        ::epoll_wait(epoll_.get(), events.data(), kEventsPerTurn, milliseconds_to_wait(asked));
    if (count < 0 && errno != EINTR) {
      // Nothing can be heard, and the timers are all that is left.
      rest();
      heard_until_ = asked;
    }
    now_ = Clock::now();
    bool came_round = false;
    for (int i = 0; i < count; ++i) {
      // A copy: epoll_event is packed on x86-64, and find() takes a reference.
      const WatchId id = events[static_cast<std::size_t>(i)].data.u64;
      const auto found = watches_.find(id);
      if (found == watches_.end()) continue;
      came_round |= found->second.told_in == round_;
      found->second.told_in = round_;
      // The callback may forget its own watch: it runs from a copy, which costs no allocation for
      // the two-word captures used here.
      const std::uint32_t seen = events[static_cast<std::size_t>(i)].events;
      call([&found, seen] {
        const OnEvents on_events = found->second.on_events;
        on_events(seen);
      });
      run_deferred();
    }
    // A wait that was interrupted, as after SIGCONT, says nothing. Where more may be ready than one
    // turn takes, they come round robin (epoll_wait(2)): once one comes again, all that were ready
    // when the round began have had their turn. To wait until none is left instead would let a
    // flood keep all timers from running.
    if (count >= 0 && (count < kEventsPerTurn || came_round)) {
      heard_until_ = count < kEventsPerTurn ? asked : round_began_;
      in_round_ = false;
    }
    run_timers();
    run_deferred();
  }
}

}  // namespace http01::base
