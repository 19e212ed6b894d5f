// Opens files by paths that may lead through other people's directories. A symbolic link counts
// only if it belongs to root or to this process's user: in a directory where others may write, such
// as /tmp, a stranger's link would have this process write to any file that it may write to. Every
// part of the path is looked at, those of the links' targets too, and each is opened relative to
// the one before it, so nothing that is exchanged meanwhile gets by. Throws std::bad_alloc only.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace http01::base {

struct OpenFailure {
  int error;         // errno; ELOOP for a stranger's link
  std::string text;  // does not name the path, but the link
};

// As open(2). With O_CREAT, directories that are missing are made too, for others to look into but
// not to write to.
Result<Fd, OpenFailure> open_trusted(const std::string& path, int flags, mode_t mode);

}  // namespace http01::base
