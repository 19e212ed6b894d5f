#include "base/loop.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <csignal>
#include <optional>
#include <set>
#include <string>
#include <system_error>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// From <sanitizer/allocator_interface.h>, which GCC does not install.
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace http01::base {
namespace {

using namespace std::chrono_literals;

// Two ends of a connection, which nobody else has.
struct Pair {
  Pair() {
    std::array<int, 2> fds{};
    BOOST_REQUIRE(
        ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()) == 0);
    ours = Fd(fds[0]);
    theirs = Fd(fds[1]);
  }
  void send() const { BOOST_REQUIRE(::write(theirs.get(), "x", 1) == 1); }
  char receive() const {
    char octet = 0;
    return ::read(ours.get(), &octet, 1) == 1 ? octet : '\0';
  }

  Fd ours;
  Fd theirs;
};

// Ready until they are read, or never.
struct Crowd {
  explicit Crowd(int size, bool ready = true) {
    for (int i = 0; i < size; ++i) {
      fds.emplace_back(::eventfd(ready ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK));
      BOOST_REQUIRE(bool(fds.back()));
    }
  }

  std::vector<Fd> fds;
};

void wait_until(TimePoint when) {
  while (Clock::now() < when) {
  }
}

// A sanitizer has an allocator of its own, of which mallinfo2() knows nothing.
std::size_t allocated_bytes() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return __sanitizer_get_current_allocated_bytes();
#else
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;  // large blocks are mapped, each by itself
#endif
}

// A loop that ends by itself where a test does not end it.
struct GuardedLoop : Loop {
  GuardedLoop() {
    after(10s, [this] {
      BOOST_ERROR("the loop was not stopped");
      stop();
    });
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(loop)

BOOST_AUTO_TEST_CASE(timers_run_by_time_and_those_of_one_time_as_they_were_set) {
  GuardedLoop loop;
  std::string order;
  const TimePoint start = loop.now();
  loop.at(start + 2ms, [&] { order += 'd'; });
  loop.at(start - 1s, [&] { order += 'b'; });
  loop.at(start - 1s, [&] { order += 'c'; });
  loop.at(start - 2s, [&] { order += 'a'; });
  loop.at(start + 3ms, [&] { loop.stop(); });
  loop.run();
  BOOST_TEST(order == "abcd");
}

BOOST_AUTO_TEST_CASE(a_timer_never_runs_before_its_time) {
  GuardedLoop loop;
  const TimePoint when = Clock::now() + 5ms;
  loop.at(when, [&] {
    BOOST_TEST((loop.now() >= when));
    loop.stop();
  });
  loop.run();
}

BOOST_AUTO_TEST_CASE(a_cancelled_timer_does_not_run) {
  GuardedLoop loop;
  std::string order;
  const auto first = loop.at(loop.now() - 1s, [&] { order += 'a'; });
  Loop::TimerId third = 0;
  loop.at(loop.now(), [&] {
    order += 'b';
    loop.cancel(third);  // due in the same turn
  });
  third = loop.at(loop.now(), [&] { order += 'c'; });
  loop.after(1ms, [&] { loop.stop(); });
  loop.cancel(first);
  loop.cancel(first);
  loop.cancel(0);
  loop.run();
  BOOST_TEST(order == "b");
}

BOOST_AUTO_TEST_CASE(a_timer_may_cancel_itself_and_set_itself_again) {
  GuardedLoop loop;
  int runs = 0;
  Loop::TimerId id = 0;
  Loop::Task task = [&] {
    loop.cancel(id);
    if (++runs == 3) return loop.stop();
    id = loop.after(1ms, task);
  };
  id = loop.after(1ms, task);
  loop.run();
  BOOST_TEST(runs == 3);
}

// A timer that set itself again for at once once kept all else from running.
BOOST_AUTO_TEST_CASE(a_timer_that_is_always_due_lets_events_and_others_through) {
  GuardedLoop loop;
  const Pair pair;
  bool heard = false;
  bool other = false;
  int runs = 0;
  Loop::Task task = [&] {
    if (++runs == 1) pair.send();
    if ((heard && other) || runs == 1000) return loop.stop();
    loop.at(loop.now() - 1s, task);
  };
  loop.at(loop.now() - 1s, task);
  loop.at(loop.now(), [&] { other = true; });
  loop.watch(pair.ours.get(), EPOLLIN, [&](std::uint32_t) {
    pair.receive();
    heard = true;
  });
  loop.run();
  BOOST_TEST(heard);
  BOOST_TEST(other);
  BOOST_TEST(runs < 10);
}

BOOST_AUTO_TEST_CASE(many_cancelled_timers_leave_the_others_in_order) {
  GuardedLoop loop;
  std::vector<Loop::TimerId> cancelled;
  std::vector<int> ran;
  for (int i = 0; i < 5000; ++i) {
    const TimePoint when = loop.now() - std::chrono::milliseconds(i * 7919 % 5000);
    if (i % 10 == 0) {
      loop.at(when, [&ran, i] { ran.push_back(i * 7919 % 5000); });
    } else {
      cancelled.push_back(loop.at(when, [] { BOOST_ERROR("a cancelled timer ran"); }));
    }
  }
  for (const auto id : cancelled) loop.cancel(id);
  loop.after(1ms, [&] { loop.stop(); });
  loop.run();
  BOOST_TEST(ran.size() == 500u);
  BOOST_TEST(std::is_sorted(ran.rbegin(), ran.rend()));
}

// Every look-up that is answered cancels a timer that would have run a second later.
BOOST_AUTO_TEST_CASE(timers_that_are_cancelled_long_before_their_time_take_no_memory) {
  Loop loop;
  const std::size_t before = allocated_bytes();
  for (int i = 0; i < 200'000; ++i) loop.cancel(loop.after(1h, [] {}));
  const std::size_t after = allocated_bytes();
  // At 16 bytes each they would take three million.
  BOOST_TEST(after < before + 200'000, after << " bytes, before " << before);
}

BOOST_AUTO_TEST_CASE(timers_that_stay_are_not_swept_out_with_cancelled_ones) {
  GuardedLoop loop;
  int ran = 0;
  for (int i = 0; i < 5000; ++i) {
    loop.cancel(loop.after(1h, [] { BOOST_ERROR("a cancelled timer ran"); }));
    if (i % 50 == 0) loop.at(loop.now(), [&ran] { ++ran; });
  }
  loop.after(1ms, [&] { loop.stop(); });
  loop.run();
  BOOST_TEST(ran == 100);
}

BOOST_AUTO_TEST_CASE(ids_are_never_used_twice) {
  Loop loop;
  const Pair pair;
  std::set<std::uint64_t> ids;
  for (int i = 0; i < 100; ++i) {
    const auto watch = loop.watch(pair.ours.get(), EPOLLIN, [](std::uint32_t) {});
    loop.forget(watch);
    const auto timer = loop.after(1h, [] {});
    loop.cancel(timer);
    BOOST_TEST(ids.insert(watch).second);
    BOOST_TEST(ids.insert(timer).second);
  }
  BOOST_TEST(!ids.contains(0));
}

BOOST_AUTO_TEST_CASE(a_watch_hears_of_what_it_asked_for) {
  GuardedLoop loop;
  const Pair pair;
  std::vector<std::uint32_t> heard;
  Loop::WatchId id = 0;
  id = loop.watch(pair.ours.get(), EPOLLOUT, [&](std::uint32_t events) {
    heard.push_back(events);
    if (heard.size() == 1) {
      loop.rewatch(id, EPOLLIN);
      pair.send();
    } else {
      loop.stop();
    }
  });
  loop.run();
  BOOST_TEST((heard == std::vector<std::uint32_t>{EPOLLOUT, EPOLLIN}));
}

BOOST_AUTO_TEST_CASE(a_watch_may_forget_itself) {
  GuardedLoop loop;
  const Pair pair;
  pair.send();
  int heard = 0;
  const std::string captured(100, 'x');
  Loop::WatchId id = 0;
  id = loop.watch(pair.ours.get(), EPOLLIN, [&, captured](std::uint32_t) {
    loop.forget(id);
    ++heard;
    BOOST_TEST(captured == std::string(100, 'x'));  // still there, though forgotten
  });
  loop.after(2ms, [&] { loop.stop(); });
  loop.run();
  BOOST_TEST(heard == 1);
}

BOOST_AUTO_TEST_CASE(what_is_forgotten_hears_nothing_even_of_events_that_wait) {
  GuardedLoop loop;
  const Pair a;
  const Pair b;
  a.send();
  b.send();
  int heard = 0;
  Loop::WatchId id_a = 0;
  Loop::WatchId id_b = 0;
  // Both events are in one turn; whichever comes first takes the other one away.
  id_a = loop.watch(a.ours.get(), EPOLLIN, [&](std::uint32_t) {
    ++heard;
    a.receive();
    loop.forget(id_b);
  });
  id_b = loop.watch(b.ours.get(), EPOLLIN, [&](std::uint32_t) {
    ++heard;
    b.receive();
    loop.forget(id_a);
  });
  loop.after(2ms, [&] { loop.stop(); });
  loop.run();
  BOOST_TEST(heard == 1);
}

BOOST_AUTO_TEST_CASE(an_event_of_a_closed_descriptor_does_not_reach_who_got_its_number) {
  GuardedLoop loop;
  Pair a;
  Pair b;
  a.send();
  b.send();
  bool reused = false;
  Loop::WatchId id_a = 0;
  Loop::WatchId id_b = 0;
  std::optional<Pair> fresh;
  const auto replace = [&](Loop::WatchId other, Pair& pair) {
    loop.forget(other);
    const int number = pair.ours.get();
    pair.ours.reset();
    fresh.emplace();
    reused = fresh->ours.get() == number || fresh->theirs.get() == number;
    loop.watch(fresh->ours.get(), EPOLLIN,
               [](std::uint32_t) { BOOST_ERROR("nothing was sent to it"); });
  };
  id_a = loop.watch(a.ours.get(), EPOLLIN, [&](std::uint32_t) {
    a.receive();
    if (!fresh) replace(id_b, b);
  });
  id_b = loop.watch(b.ours.get(), EPOLLIN, [&](std::uint32_t) {
    b.receive();
    if (!fresh) replace(id_a, a);
  });
  loop.after(2ms, [&] { loop.stop(); });
  loop.run();
  BOOST_TEST(reused);
}

BOOST_AUTO_TEST_CASE(forgetting_and_rewatching_what_is_not_there_is_nothing) {
  Loop loop;
  const Pair pair;
  loop.forget(0);
  loop.forget(12345);
  loop.rewatch(12345, EPOLLIN);
  const auto timer = loop.after(1h, [] {});
  loop.forget(timer);  // an id of another kind
  loop.cancel(loop.watch(pair.ours.get(), EPOLLIN, [](std::uint32_t) {}));
}

BOOST_AUTO_TEST_CASE(a_descriptor_that_the_kernel_refuses_throws) {
  Loop loop;
  BOOST_CHECK_THROW(loop.watch(-1, EPOLLIN, [](std::uint32_t) {}), std::system_error);
}

BOOST_AUTO_TEST_CASE(deferred_tasks_run_in_order_after_the_call_and_before_the_next_event) {
  GuardedLoop loop;
  const Pair a;
  const Pair b;
  a.send();
  b.send();
  std::string order;
  int events = 0;
  const auto on_event = [&](const Pair& pair) {
    pair.receive();
    ++events;
    order += 'e';
    loop.defer([&] {
      order += '1';
      loop.defer([&] { order += '3'; });
    });
    loop.defer([&] { order += '2'; });
    order += ';';
    if (events == 2) loop.defer([&] { loop.stop(); });
  };
  loop.watch(a.ours.get(), EPOLLIN, [&](std::uint32_t) { on_event(a); });
  loop.watch(b.ours.get(), EPOLLIN, [&](std::uint32_t) { on_event(b); });
  loop.defer([&] { order += '0'; });
  BOOST_TEST(order == "");
  loop.run();
  BOOST_TEST(order == "0e;123e;123");
}

BOOST_AUTO_TEST_CASE(what_a_timer_defers_runs_after_all_due_timers) {
  GuardedLoop loop;
  std::string order;
  loop.at(loop.now(), [&] {
    order += 'a';
    loop.defer([&] {
      order += 'c';
      loop.stop();
    });
  });
  loop.at(loop.now(), [&] { order += 'b'; });
  loop.run();
  BOOST_TEST(order == "abc");
}

BOOST_AUTO_TEST_CASE(a_stopped_loop_can_run_again) {
  GuardedLoop loop;
  int runs = 0;
  for (int i = 0; i < 2; ++i) {
    loop.defer([&] {
      ++runs;
      loop.stop();
    });
    loop.run();
  }
  BOOST_TEST(runs == 2);
}

BOOST_AUTO_TEST_CASE(signals_come_as_tasks_and_none_is_lost_before_the_loop_runs) {
  Loop::block_signals({SIGUSR1, SIGUSR2});
  ::raise(SIGUSR1);  // nobody is there yet
  GuardedLoop loop;
  std::string order;
  bool turning = false;
  loop.on_signal(SIGUSR1, [&] {
    BOOST_TEST(turning);
    order += '1';
    ::raise(SIGUSR2);
  });
  loop.on_signal(SIGUSR2, [&] {
    order += '2';
    loop.stop();
  });
  turning = true;
  loop.run();
  BOOST_TEST(order == "12");
}

BOOST_AUTO_TEST_CASE(a_signal_has_one_task_which_may_put_another_in_its_place) {
  GuardedLoop loop;
  std::string order;
  loop.on_signal(SIGUSR1, [] { BOOST_ERROR("this task was replaced"); });
  loop.on_signal(SIGUSR1, [&] {
    loop.on_signal(SIGUSR1, [&] {
      order += 'b';
      loop.stop();
    });
    order += 'a';
    ::raise(SIGUSR1);
  });
  ::raise(SIGUSR1);
  loop.run();
  BOOST_TEST(order == "ab");
}

BOOST_AUTO_TEST_CASE(thousands_of_timers_at_once_do_not_keep_a_descriptor_waiting) {
  Loop loop;
  std::array<int, 2> ends{};
  BOOST_REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const Fd in(ends[0]);
  const Fd out(ends[1]);
  int timers = 0;
  int timers_before_the_descriptor = -1;
  for (int i = 0; i < 5000; ++i) {
    loop.at(loop.now(), [&] {
      if (++timers == 1) BOOST_TEST(::write(out.get(), "x", 1) == 1);
      if (timers == 5000) loop.stop();
    });
  }
  const auto watch = loop.watch(in.get(), EPOLLIN, [&](std::uint32_t) {
    if (timers_before_the_descriptor < 0) timers_before_the_descriptor = timers;
  });
  loop.run();
  loop.forget(watch);
  BOOST_TEST(timers == 5000);
  BOOST_TEST(timers_before_the_descriptor > 0);
  BOOST_TEST(timers_before_the_descriptor < 1000);
}

// What had come while the process was stopped was once given up by timers that had run out
// meanwhile, behind the first events.
BOOST_AUTO_TEST_CASE(all_that_is_ready_is_told_before_any_timer_that_is_overdue) {
  GuardedLoop loop;
  const Crowd crowd(600);  // more than one turn takes
  std::size_t told = 0;
  for (const Fd& fd : crowd.fds) {
    loop.watch(fd.get(), EPOLLIN, [&told, &fd](std::uint32_t) {
      std::uint64_t count = 0;
      BOOST_TEST(::read(fd.get(), &count, sizeof count) == 8);
      ++told;
    });
  }
  int timers = 0;
  for (int i = 0; i < 100; ++i) {
    loop.at(loop.now() + 1ms, [&] {
      BOOST_TEST(told == crowd.fds.size());
      if (++timers == 100) loop.stop();
    });
  }
  wait_until(loop.now() + 2ms);
  loop.run();
  BOOST_TEST(timers == 100);
}

BOOST_AUTO_TEST_CASE(
    what_comes_while_events_are_told_is_told_before_timers_that_run_out_meanwhile) {
  GuardedLoop loop;
  const Pair first;
  const Pair second;
  std::string order;
  first.send();
  loop.watch(first.ours.get(), EPOLLIN, [&](std::uint32_t) {
    first.receive();
    order += '1';
    loop.after(1ms, [&] {
      order += 't';
      loop.stop();
    });
    second.send();
    wait_until(loop.now() + 2ms);
  });
  loop.watch(second.ours.get(), EPOLLIN, [&](std::uint32_t) {
    second.receive();
    order += '2';
  });
  loop.run();
  BOOST_TEST(order == "12t");
}

// As it is after SIGSTOP and SIGCONT: the wait has ended, and nobody has said for what.
int interrupting_fd = -1;
volatile std::sig_atomic_t interrupting_writes = 0;
TimePoint interrupted_until;

BOOST_AUTO_TEST_CASE(a_wait_that_is_interrupted_is_no_word_that_nothing_has_come) {
  GuardedLoop loop;
  const Pair pair;
  interrupting_fd = pair.theirs.get();
  interrupting_writes = 0;
  struct sigaction action {};
  struct sigaction before {};
  // Only what a handler may do (signal-safety(7)), which Boost's checks are not.
  action.sa_handler = [](int) {
    const int error = errno;
    if (::write(interrupting_fd, "x", 1) == 1) interrupting_writes = interrupting_writes + 1;
    wait_until(interrupted_until);
    errno = error;
  };
  BOOST_REQUIRE(::sigaction(SIGALRM, &action, &before) == 0);
  std::string order;
  loop.watch(pair.ours.get(), EPOLLIN, [&](std::uint32_t) { order += pair.receive(); });
  const TimePoint due = Clock::now() + 50ms;
  interrupted_until = due + 1ms;
  loop.at(due, [&] {
    order += 't';
    loop.stop();
  });
  const itimerval soon{{}, {0, 5000}};
  BOOST_REQUIRE(::setitimer(ITIMER_REAL, &soon, nullptr) == 0);
  loop.run();
  ::sigaction(SIGALRM, &before, nullptr);
  BOOST_TEST(interrupting_writes == 1);
  BOOST_TEST(order == "xt");
}

BOOST_AUTO_TEST_CASE(descriptors_that_are_always_ready_hold_a_timer_up_for_one_round) {
  GuardedLoop loop;
  const Crowd crowd(300);
  const Crowd idle(600, false);
  std::size_t told = 0;
  for (const Fd& fd : idle.fds) loop.watch(fd.get(), EPOLLIN, [](std::uint32_t) {});
  // For each timer what is left of the round in which it was set, and the next one, in whole turns.
  const std::size_t most = 20 * (crowd.fds.size() + 256);
  for (const Fd& fd : crowd.fds) {
    loop.watch(fd.get(), EPOLLIN, [&](std::uint32_t) {
      if (++told > most) loop.stop();
    });
  }
  int timers = 0;
  Loop::Task task = [&] {
    if (++timers == 10) return loop.stop();
    loop.at(loop.now(), task);
  };
  loop.at(loop.now(), task);
  loop.run();
  BOOST_TEST(timers == 10);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::base
