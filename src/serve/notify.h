// What the service manager is told: that the relay serves, reloads, stops and, by the loop, that it
// is alive (sd_notify(3), by datagrams of its own). Never waits; a state that finds no room is sent
// once there is some. Where no manager asks for it, does nothing. The constructor and ready() throw
// std::bad_alloc, and ready() what base::Loop::watch() throws; nothing else throws.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/loop.h"
#include "config/environment.h"

namespace http01 {

class Notifier {
 public:
  // Gets a sentence about what is wrong with the environment or, once for each loss of it,
  // with the manager's socket.
  using OnFault = std::function<void(const std::string& fault)>;

  // Connects to $NOTIFY_SOCKET, a path or "@" and an abstract name. Before isolate(), which forbids
  // the latter, and confine().
  explicit Notifier(const Environment& environment);
  ~Notifier();
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  // It serves from now on. The loop, which must outlive this, feeds the watchdog at a third of
  // $WATCHDOG_USEC, if $WATCHDOG_PID is this process or not set: one that hangs does not.
  void ready(base::Loop& loop, OnFault on_fault);
  // Around a reload, whether it succeeds or not.
  void reload_begins();
  void reload_ends();
  void stops();

 private:
  enum class State { kNone, kServing, kReloading, kStopping };

  void open_socket();
  void start_watchdog(const Environment& environment);
  void enter(State state);
  void send_state();
  void feed_watchdog();
  bool try_to_send(std::string_view message);
  int send(std::string_view message) const;  // errno
  bool connect() const;
  void report(std::string fault);

  std::string name_;
  sockaddr_un address_{};
  socklen_t address_size_ = 0;
  base::Fd socket_;    // none: there is no manager to notify
  base::Fd watchdog_;  // a timer; none: there is no watchdog to feed
  base::Loop* loop_ = nullptr;
  base::Loop::WatchId writable_ = 0;
  base::Loop::WatchId feeding_ = 0;
  State state_ = State::kNone;
  std::uint64_t since_ = 0;  // microseconds of CLOCK_MONOTONIC
  bool unsent_ = false;
  bool owes_feed_ = false;
  OnFault on_fault_;
  std::vector<std::string> faults_;  // for on_fault_
  bool gone_ = false;                // and that is reported
};

}  // namespace http01
