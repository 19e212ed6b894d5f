// What the process takes from itself before it does anything, for next to no time: what can be
// executed gains no rights, and neither do its user's other processes reach its memory nor it
// theirs. Never throws.
#pragma once

#include "base/result.h"

namespace http01 {

// Call it before there are threads: a part holds for those that come after only. The failure says
// what this kernel does not do; the rest has been done.
base::Result<void> isolate();

}  // namespace http01
