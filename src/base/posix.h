// What several rooms need beside the system's calls: texts of errors, files. Safe from any thread;
// throws std::bad_alloc only.
#pragma once

#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <string>

namespace http01::base {

// "No such file or directory".
std::string error_text(int error);

// Of a descriptor that does not block: nothing is wrong, there is nothing to do now.
inline bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

// The system is short of descriptors or memory: it may go well later.
inline bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

// The same device and inode. An inode may be used again once its file is gone and no process has it
// open.
bool is_same_file(const struct stat& a, const struct stat& b);

// Appends what the descriptor has, to its end or `most` bytes. False: errno says why it could not
// go on; what was read is there.
bool read_up_to(int fd, std::size_t most, std::string& text);

}  // namespace http01::base
