#include "metrics/mapping_guard.h"

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>

namespace http01 {
namespace {

// A process has one state file, and a second one for the moment in which it changes over.
constexpr std::size_t kMappings = 8;

struct Mapping {
  std::atomic<std::uintptr_t> begin{0};  // 0: free
  std::atomic<std::size_t> size{0};
  std::atomic<bool> lost{false};
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free);

std::array<Mapping, kMappings> mappings;

Mapping* find(const void* begin) {
  for (Mapping& mapping : mappings) {
    if (mapping.begin.load() == reinterpret_cast<std::uintptr_t>(begin)) return &mapping;
  }
  return nullptr;
}

// Of what may be called here (signal-safety(7)) mmap() is not listed, but it is the bare system
// call.
void on_bus_error(int signal, siginfo_t* info, void*) {
  const int error = errno;
  const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (Mapping& mapping : mappings) {
    const std::uintptr_t begin = mapping.begin.load();
    const std::size_t size = mapping.size.load();
    if (begin == 0 || at < begin || at >= begin + size) continue;
    void* const place = reinterpret_cast<void*>(begin);  // NOLINT(performance-no-int-to-ptr)
    if (::mmap(place, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
               0) == MAP_FAILED) {
      break;
    }
    mapping.lost.store(true);
    errno = error;
    return;
  }
  // Not ours: on return the access is tried again, and ends the process as if nobody had listened.
  ::signal(signal, SIG_DFL);
}

bool install() {
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  ::sigemptyset(&action.sa_mask);
  return ::sigaction(SIGBUS, &action, nullptr) == 0;
}

}  // namespace

bool guard_mapping(void* begin, std::size_t size) {
  Mapping* const free = find(nullptr);
  // Each time, since a library may have put its own handler there meanwhile.
  if (free == nullptr || !install()) return false;
  free->lost.store(false);
  free->size.store(size);
  free->begin.store(reinterpret_cast<std::uintptr_t>(begin));
  return true;
}

void release_mapping(const void* begin) {
  if (Mapping* const mapping = find(begin)) mapping->begin.store(0);
}

bool mapping_lost(const void* begin) {
  const Mapping* const mapping = find(begin);
  return mapping != nullptr && mapping->lost.load();
}

}  // namespace http01
