#include "metrics/state_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/posix.h"
#include "metrics/mapping_guard.h"

namespace http01 {
namespace {

using base::Failure;

// What the file begins with. "relaystt", as the machine writes numbers: a file from a machine of
// the other byte order is none of ours.
struct Header {
  std::uint64_t magic;
  std::uint32_t layout;
  std::uint32_t size;
  char padding[48];  // so that what follows begins on a cache line of its own
};
static_assert(sizeof(Header) == 64);

constexpr std::uint64_t kMagic = 0x7474737961'6c6572;

Header header_of(std::size_t octets, std::uint32_t layout) {
  Header header{};
  header.magic = kMagic;
  header.layout = layout;
  header.size = static_cast<std::uint32_t>(sizeof header + octets);
  return header;
}

struct flock lock_of(std::size_t octet) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(octet);
  lock.l_len = 1;
  return lock;
}

std::string last_error(const std::string& path) { return path + ": " + base::error_text(errno); }

bool is_of_layout(int fd, const Header& wanted) {
  struct stat file {};
  Header header{};
  return ::fstat(fd, &file) == 0 && S_ISREG(file.st_mode) &&
         file.st_size == static_cast<off_t>(wanted.size) &&
         ::pread(fd, &header, sizeof header, 0) == static_cast<ssize_t>(sizeof header) &&
         std::memcmp(&header, &wanted, sizeof header) == 0;
}

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

// Opens a regular file; fails where something else is there: to open a device may do something, to
// open a pipe may wait. An empty descriptor: errno has the reason.
base::Result<base::Fd> open_regular(const std::string& path, int flags) {
  struct stat there {};
  if (::lstat(path.c_str(), &there) == 0 && !S_ISREG(there.st_mode)) {
    return Failure{path + ": is " + kind_of(there.st_mode) + ", which is never replaced"};
  }
  return base::Fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
}

// A file that is empty, or begins as ours do, of whatever version.
bool may_be_replaced(int fd) {
  struct stat file {};
  std::uint64_t magic = 0;
  return ::fstat(fd, &file) == 0 && S_ISREG(file.st_mode) &&
         (file.st_size == 0 ||
          (::pread(fd, &magic, sizeof magic, 0) == static_cast<ssize_t>(sizeof magic) &&
           magic == kMagic));
}

bool is_same_file(int one, int other) {
  struct stat a {};
  struct stat b {};
  return ::fstat(one, &a) == 0 && ::fstat(other, &b) == 0 && base::is_same_file(a, b);
}

std::string not_ours(const std::string& path) {
  return path + ": is a file, but not a state file, and is never replaced";
}

// Blocks for all of it: what a full disk has no room for is said now, not by a signal later.
bool give_room(int fd, std::uint32_t size) {
  errno = ::posix_fallocate(fd, 0, static_cast<off_t>(size));
  return errno == 0;
}

// A whole new file takes the name in one step, so that nobody ever sees half of one.
bool put_new(const std::string& path, const Header& header, bool replace) {
  std::string temporary = path + ".XXXXXX";
  const base::Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return false;
  const bool written =
      give_room(fd.get(), header.size) && ::fchmod(fd.get(), 0660) == 0 &&
      ::pwrite(fd.get(), &header, sizeof header, 0) == static_cast<ssize_t>(sizeof header);
  // Of several processes that start at once, the first one's file is everybody's.
  const bool placed =
      written && (replace ? ::rename(temporary.c_str(), path.c_str()) == 0
                          : ::link(temporary.c_str(), path.c_str()) == 0 || errno == EEXIST);
  const int error = errno;
  ::unlink(temporary.c_str());
  errno = error;
  return placed;
}

}  // namespace

base::Result<void> StateFile::check_path(const std::string& path) {
  const auto fd = open_regular(path, O_RDONLY);
  if (!fd) return Failure{fd.error()};
  if (*fd && !may_be_replaced(fd->get())) return Failure{not_ours(path)};
  return {};
}

base::Result<StateFile> StateFile::open(const std::string& path, std::size_t octets,
                                        std::uint32_t layout, const StateFile* before) {
  const Header header = header_of(octets, layout);
  StateFile file;
  file.path_ = path;
  file.size_ = header.size;
  file.layout_ = layout;
  // The first time it may not be there yet or not be ours, the second time be another process's.
  for (int attempt = 0; attempt < 3; ++attempt) {
    auto opened = open_regular(path, O_RDWR);
    if (!opened) return Failure{opened.error()};
    base::Fd fd = std::move(*opened);
    if (!fd && errno != ENOENT) return Failure{last_error(path)};
    if (fd && is_of_layout(fd.get(), header)) {
      void* const mapping =
          ::mmap(nullptr, file.size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
      if (mapping == MAP_FAILED) return Failure{last_error(path)};
      guard_mapping(mapping, file.size_);
      file.mapping_ = mapping;
      file.fd_ = std::move(fd);
      return file;
    }
    const bool is_before = fd && before != nullptr && is_same_file(fd.get(), before->fd_.get());
    if (fd && !is_before && !may_be_replaced(fd.get())) return Failure{not_ours(path)};
    if (fd) file.replaced_ = true;
    if (!put_new(path, header, bool(fd))) return Failure{last_error(path)};
  }
  return Failure{path + ": other processes keep replacing it; do all run the same version?"};
}

StateFile::StateFile(StateFile&& other) noexcept { *this = std::move(other); }

StateFile& StateFile::operator=(StateFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(mapping_, other.mapping_);
  std::swap(size_, other.size_);
  std::swap(layout_, other.layout_);
  std::swap(replaced_, other.replaced_);
  return *this;
}

StateFile::~StateFile() {
  if (mapping_ == nullptr) return;
  release_mapping(mapping_);
  ::munmap(mapping_, size_);
}

void* StateFile::data() const { return static_cast<char*>(mapping_) + sizeof(Header); }

StateFile::Path StateFile::path_now() const {
  const auto opened = open_regular(path_, O_RDONLY);
  if (!opened) return Path::kOther;
  const base::Fd& fd = *opened;
  // Short of descriptors, say, nothing is known.
  if (!fd) return errno == ENOENT ? Path::kOther : Path::kThis;
  Header header{};
  if (is_of_layout(fd.get(), header_of(size_ - sizeof header, layout_))) {
    return is_same_file(fd.get(), fd_.get()) ? Path::kThis : Path::kOther;
  }
  struct stat there {};
  const bool whole =
      ::pread(fd.get(), &header, sizeof header, 0) == static_cast<ssize_t>(sizeof header) &&
      ::fstat(fd.get(), &there) == 0 && header.magic == kMagic &&
      there.st_size == static_cast<off_t>(header.size);
  return whole ? Path::kForeign : Path::kOther;
}

bool StateFile::lost() const { return mapping_lost(mapping_); }

// Marks are locks of octets behind the end of the file, of the open file description: they go with
// it, a fork's child has them too, and no other process that opens the file (fcntl(2),
// F_OFD_SETLK).
std::optional<std::size_t> StateFile::take_mark(std::size_t marks) {
  for (std::size_t mark = 0; mark < marks; ++mark) {
    struct flock lock = lock_of(size_ + mark);
    if (::fcntl(fd_.get(), F_OFD_SETLK, &lock) == 0) return mark;
    if (errno != EAGAIN && errno != EACCES) break;  // a file system without locks
  }
  return std::nullopt;
}

bool StateFile::held_by_another(std::size_t mark) const {
  struct flock lock = lock_of(size_ + mark);
  return ::fcntl(fd_.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace http01
