// Takes connections out of a listening socket's queue and hands them on, some at a time, so that a
// rush of them does not starve those that are there. Lives on the loop, which must outlive it; one
// thread. Nothing is thrown once it is built. Where the kernel has no connection to give, for want
// of descriptors or memory, it pauses; where there is no memory for one, that one is closed.
#pragma once

#include <deque>
#include <functional>

#include "base/fd.h"
#include "base/loop.h"

namespace http01::transport {

class Acceptor {
 public:
  // Must not throw. It may not destroy the acceptor.
  using OnConnection = std::function<void(base::Fd connection)>;

  Acceptor(base::Loop& loop, base::Fd listener, OnConnection on_connection);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // So many connections at most are taken out of the kernel's queue before they are handed on.
  void set_max_waiting(std::size_t max_waiting) { max_waiting_ = max_waiting; }
  std::size_t waiting() const { return waiting_.size(); }

  // To be called when memory may be there again: a pause that could not even be begun is.
  void keep_on();

  // Takes and hands on what already waits to be accepted, then closes the listening socket, which
  // is neither shut down nor unlinked: others may share it.
  void finish();

 private:
  void start();
  void pause();
  void take_new();
  bool accept_some(std::size_t limit);
  void hand_on_some(std::size_t limit);

  base::Loop& loop_;
  base::Fd listener_;
  OnConnection on_connection_;
  base::Loop::WatchId watch_ = 0;  // 0 while it pauses
  base::Loop::TimerId pause_timer_ = 0;
  std::deque<base::Fd> waiting_;  // accepted, in their order
  std::size_t max_waiting_ = 1024;
  base::Loop::TimerId waiting_timer_ = 0;
};

}  // namespace http01::transport
