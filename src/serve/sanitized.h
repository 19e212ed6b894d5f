// Whether a sanitizer of the compiler is built in: it makes system calls of its own, and looks at
// the process from another one.
#pragma once

namespace http01 {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace http01
