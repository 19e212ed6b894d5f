#include "serve/isolate.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/posix.h"
#include "serve/sanitized.h"

namespace http01 {
namespace {

using base::Failure;
using base::Result;

// linux/landlock.h, whose older versions lack a part.
struct Ruleset {
  std::uint64_t handled_access_fs;
  std::uint64_t handled_access_net;
  std::uint64_t scoped;
};
constexpr std::uint32_t kAskVersion = 1;
constexpr std::uint64_t kExecute = 1;
constexpr std::uint64_t kAbstractSockets = 1;
constexpr std::uint64_t kSignals = 2;
constexpr long kFirstWithScopes = 6;

Failure<std::string> failure(const char* what) {
  return {std::string(what) + ": " + base::error_text(errno)};
}

// A process in a Landlock domain cannot trace one outside of it, and so neither open its memory
// (/proc/PID/mem), whatever the domain is about. Files stay as they are: a reload may name any. So
// this one forbids what is not done: to execute a file, and to reach others' abstract sockets or
// send them signals.
Result<void> enter_domain() {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, std::size_t{0}, kAskVersion);
  if (version < 0) return failure("Landlock");
  const bool scopes = version >= kFirstWithScopes;
  const Ruleset rules{kExecute, 0, scopes ? kAbstractSockets | kSignals : 0};
  const std::size_t size = scopes ? sizeof rules : sizeof rules.handled_access_fs;
  const base::Fd fd(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, size, std::uint32_t{0})));
  if (!fd) return failure("Landlock");
  if (::syscall(SYS_landlock_restrict_self, fd.get(), std::uint32_t{0}) != 0) {
    return failure("Landlock");
  }
  return {};
}

}  // namespace

Result<void> isolate() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failure("no_new_privs");
  // A sanitizer looks at the process from another one.
  if (kSanitized) return {};
  // The files of /proc/self that would change it, above all mem, are root's from here on.
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  return enter_domain();
}

}  // namespace http01
