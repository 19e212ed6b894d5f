#include "serve/descriptors.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"

namespace http01 {

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

// The table grows by itself as they are opened, but in a process with threads each time waits for
// every processor to let go of the old one. A rush of connections then met pauses of 100 ms in
// which nothing was accepted, and the listening socket's queue overflowed.
void make_room_for_descriptors(std::size_t count) {
  const base::Fd last(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, static_cast<int>(count - 1)));
}

}  // namespace http01
