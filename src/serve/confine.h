// What is left to the process once it has opened all it needs: the calls to the kernel that serving
// takes, by a seccomp filter, and no way to more. The only door to libseccomp. Holds for all
// threads, those to come too, until the process ends. Never throws.
#pragma once

#include <string>

#include "base/result.h"

namespace http01 {

// Nothing that is executed gains rights any more (PR_SET_NO_NEW_PRIVS); false: not on this kernel.
bool renounce_privileges();

// That, and the filter. The failure says why the kernel does not do it; nothing else has changed
// then. A call that is not allowed fails with EPERM from here on.
base::Result<void> confine();

}  // namespace http01
