#include "base/memory_reserve.h"

#include <array>
#include <atomic>
#include <cstdlib>
#include <new>

namespace http01::base {
namespace {

// A hundred requests and their answers. Not one block: the rest of the heap is in pieces by the
// time the reserve is filled up again, and blocks this small come from there. Nobody writes to
// them, so they are address space and next to no memory.
constexpr std::size_t kBlocks = 16;
constexpr std::size_t kBlockSize = std::size_t{64} * 1024;

std::array<std::atomic<void*>, kBlocks> blocks;
std::atomic<bool> given = false;

// Called by operator new, which then tries again.
void give() {
  given = true;
  for (std::atomic<void*>& block : blocks) {
    if (void* const memory = block.exchange(nullptr)) {
      std::free(memory);
      return;
    }
  }
  throw std::bad_alloc();
}

}  // namespace

MemoryReserve::MemoryReserve() {
  refill();
  std::set_new_handler(give);
}

MemoryReserve::~MemoryReserve() {
  std::set_new_handler(nullptr);
  for (std::atomic<void*>& block : blocks) std::free(block.exchange(nullptr));
}

bool MemoryReserve::has_given() const { return given; }

bool MemoryReserve::refill() {
  given = false;
  for (std::atomic<void*>& block : blocks) {
    if (block.load() == nullptr) block = std::malloc(kBlockSize);
    if (block.load() == nullptr) given = true;
  }
  return !given;
}

}  // namespace http01::base
