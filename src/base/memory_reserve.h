// Memory put aside for when the system gives no more: what is under way then can still be finished,
// and new work refused in good order. The first allocation that fails takes the reserve, and is
// made from it. Whoever takes on work asks has_given(), refuses while it is true, and fills it up
// again. One in a process; any thread may allocate, the other calls are for one.
#pragma once

namespace http01::base {

class MemoryReserve {
 public:
  MemoryReserve();
  ~MemoryReserve();
  MemoryReserve(const MemoryReserve&) = delete;
  MemoryReserve& operator=(const MemoryReserve&) = delete;

  // Whether some of it is gone.
  bool has_given() const;
  // Returns whether it is whole again.
  bool refill();
};

}  // namespace http01::base
