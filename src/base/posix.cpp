#include "base/posix.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <system_error>

namespace http01::base {

std::string error_text(int error) { return std::generic_category().message(error); }

bool is_same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

bool read_up_to(int fd, std::size_t most, std::string& text) {
  // Not into the string: making room there writes zeros first.
  std::array<char, 16384> buffer;
  for (std::size_t left = most; left > 0;) {
    const ssize_t count = ::read(fd, buffer.data(), std::min(left, buffer.size()));
    if (count == 0) return true;
    if (count < 0 && errno != EINTR) return false;
    if (count < 0) continue;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    left -= static_cast<std::size_t>(count);
  }
  return true;
}

}  // namespace http01::base
