#include "base/posix.h"

#include <unistd.h>

#include <algorithm>
#include <system_error>

namespace http01::base {

std::string error_text(int error) { return std::generic_category().message(error); }

bool is_same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

bool read_up_to(int fd, std::size_t most, std::string& text) {
  constexpr std::size_t kAtOnce = 16384;
  for (std::size_t left = most; left > 0;) {
    const std::size_t had = text.size();
    text.resize(had + std::min(left, kAtOnce));
    const ssize_t count = ::read(fd, text.data() + had, text.size() - had);
    const int error = errno;
    text.resize(had + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count == 0) return true;
    if (count < 0 && error != EINTR) {
      errno = error;
      return false;
    }
    left -= text.size() - had;
  }
  return true;
}

}  // namespace http01::base
