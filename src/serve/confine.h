// What is left to the process once it has opened all it needs: the calls to the kernel that serving
// takes, by a seccomp filter, and no way to more. The only door to libseccomp. Holds for all
// threads, those to come too, until the process ends. Never throws.
#pragma once

#include <string>

#include "base/result.h"

namespace http01 {

// Call it once isolate() was called. The failure says why the kernel does not do it; nothing has
// changed then. A call that is not allowed fails with EPERM from here on.
base::Result<void> confine();

}  // namespace http01
