#include "base/trusted_path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <string_view>
#include <utility>
#include <vector>

#include "base/posix.h"

namespace http01::base {
namespace {

// As the kernel has it (path_resolution(7)).
constexpr int kMaxLinks = 40;

constexpr mode_t kDirectoryMode = 0755;

constexpr int kLook = O_PATH | O_CLOEXEC;

Failure<OpenFailure> failure(int error) { return {{error, error_text(error)}}; }

// Puts the parts of a path on top of the stack, the first one uppermost.
void push_parts(std::vector<std::string>& parts, std::string_view path) {
  while (!path.empty()) {
    const std::size_t slash = path.rfind('/');
    const std::size_t begin = slash == std::string_view::npos ? 0 : slash + 1;
    if (begin < path.size()) parts.emplace_back(path.substr(begin));
    path = path.substr(0, begin == 0 ? 0 : slash);
  }
}

// Links in /proc, /dev/stderr's last step, lead to open files, not to paths: only the kernel can
// follow them, and only the kernel makes them.
bool is_of_proc(const struct stat& link) {
  struct stat proc {};
  return ::lstat("/proc", &proc) == 0 && link.st_dev == proc.st_dev;
}

bool is_trusted(const struct stat& link) { return link.st_uid == 0 || link.st_uid == ::geteuid(); }

Fd start_of(std::string_view path) {
  return Fd(::open(path.starts_with('/') ? "/" : ".", kLook | O_DIRECTORY));
}

}  // namespace

Result<Fd, OpenFailure> open_trusted(const std::string& path, int flags, mode_t mode) {
  std::vector<std::string> parts;
  push_parts(parts, path);
  if (parts.empty() || path.ends_with('/')) return failure(path.empty() ? ENOENT : EISDIR);
  Fd directory = start_of(path);
  int links = 0;
  while (directory) {
    const std::string name = std::move(parts.back());
    parts.pop_back();
    const bool is_last = parts.empty();
    Fd entry(::openat(directory.get(), name.c_str(), kLook | O_NOFOLLOW));
    if (!entry && errno == ENOENT && (flags & O_CREAT) != 0 && !is_last &&
        (::mkdirat(directory.get(), name.c_str(), kDirectoryMode) == 0 || errno == EEXIST)) {
      entry.reset(::openat(directory.get(), name.c_str(), kLook | O_NOFOLLOW));
    }
    struct stat found {};
    if (entry && ::fstat(entry.get(), &found) != 0) return failure(errno);
    if (!entry && (errno != ENOENT || !is_last)) return failure(errno);

    if (entry && S_ISLNK(found.st_mode)) {
      if (!is_trusted(found)) {
        return Failure{
            OpenFailure{ELOOP, name + " is a symbolic link that belongs to user " +
                                   std::to_string(found.st_uid) +
                                   ", who is neither root nor the user of this process"}};
      }
      if (++links > kMaxLinks) return failure(ELOOP);
      if (!is_of_proc(found)) {
        std::array<char, PATH_MAX> target;
        const ssize_t size = ::readlinkat(entry.get(), "", target.data(), target.size());
        if (size <= 0) return failure(size < 0 ? errno : ENOENT);
        const std::string_view to(target.data(), static_cast<std::size_t>(size));
        push_parts(parts, to);
        if (to.starts_with('/')) directory = start_of(to);
        if (parts.empty()) return failure(EISDIR);
        continue;
      }
      if (is_last) {
        Fd opened(::openat(directory.get(), name.c_str(), flags, mode));
        if (!opened) return failure(errno);
        return opened;
      }
      entry.reset(::openat(directory.get(), name.c_str(), kLook | O_DIRECTORY));
    } else if (is_last) {
      Fd opened(::openat(directory.get(), name.c_str(), flags | O_NOFOLLOW, mode));
      if (!opened) return failure(errno);
      return opened;
    }
    directory = std::move(entry);
  }
  return failure(errno);
}

}  // namespace http01::base
