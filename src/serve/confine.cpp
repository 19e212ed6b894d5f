#include "serve/confine.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <type_traits>

#include "base/posix.h"
#include "serve/sanitized.h"

namespace http01 {
namespace {

using base::Failure;
using base::Result;

// Calls that are allowed whatever their arguments are. By what wants them; the C library picks
// among calls that do the same, so its choices of other versions and machines stand here too.
constexpr std::array kAllowed{
    // the loop, the web server's connections, the DNS, the log's socket
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(connect),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(shutdown),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(close),
    SCMP_SYS(signalfd),
    SCMP_SYS(signalfd4),
    // files: the configuration, resolv.conf and /proc are read; the log is opened again; the state
    // file is put in its place whole; the socket's file is removed at the end
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(pread64),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(pwrite64),
    SCMP_SYS(lseek),
    SCMP_SYS(stat),
    SCMP_SYS(fstat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getdents64),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(fchmod),
    SCMP_SYS(link),
    SCMP_SYS(linkat),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    // memory, but none that can be executed
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(msync),
    // the log's thread
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(membarrier),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(restart_syscall),
    // signals
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    // what time it is, who and where we are, random octets
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrusage),
    SCMP_SYS(getrlimit),
    SCMP_SYS(getcwd),
};

constexpr std::array kFamilies{AF_UNIX, AF_INET, AF_INET6};
// No raw sockets; above these bits stand SOCK_NONBLOCK and SOCK_CLOEXEC.
constexpr std::array kSocketTypes{SOCK_STREAM, SOCK_DGRAM};
constexpr unsigned kSocketTypeBits = 0xf;

// Whether a descriptor blocks, and the marks in the state file. No F_SETOWN, F_SETSIG, F_NOTIFY or
// F_SETLEASE, by which the kernel sends signals to whichever process they name.
constexpr std::array kFcntls{F_GETFD,     F_SETFD,     F_GETFL, F_DUPFD_CLOEXEC,
                             F_OFD_SETLK, F_OFD_GETLK, F_SETLK, F_GETLK};

// What a thread has of its process's. CLONE_THREAD alone would allow root a name space.
constexpr std::uint64_t kThread = CLONE_THREAD;
constexpr std::uint64_t kNoThread = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_PTRACE;

// Whether a stream is a terminal; what is there to read; the interface of a link-local address.
constexpr std::array kIoctls{TCGETS, FIONREAD, FIONBIO, SIOCGIFINDEX};

struct FreeFilter {
  void operator()(scmp_filter_ctx filter) const { ::seccomp_release(filter); }
};
using Filter = std::unique_ptr<std::remove_pointer_t<scmp_filter_ctx>, FreeFilter>;

using Argument = scmp_arg_cmp;

Argument equals(unsigned position, std::uint64_t value) {
  return {position, SCMP_CMP_EQ, value, 0};
}
Argument masked(unsigned position, std::uint64_t mask, std::uint64_t value) {
  return {position, SCMP_CMP_MASKED_EQ, mask, value};
}

class Rules {
 public:
  explicit Rules(scmp_filter_ctx filter) : filter_(filter) {}

  void allow(int call, std::initializer_list<Argument> arguments = {}) {
    add(SCMP_ACT_ALLOW, call, arguments);
  }
  void refuse(int call, std::uint32_t error) { add(SCMP_ACT_ERRNO(error), call, {}); }

  int error() const { return error_; }

 private:
  void add(std::uint32_t action, int call, std::initializer_list<Argument> arguments) {
    const auto count = static_cast<unsigned>(arguments.size());
    const int added = ::seccomp_rule_add_array(filter_, action, call, count, arguments.begin());
    if (error_ == 0) error_ = added;
  }

  scmp_filter_ctx filter_;
  int error_ = 0;  // the first one, negative
};

int add_rules(scmp_filter_ctx filter) {
  Rules rules(filter);
  for (const int call : kAllowed) rules.allow(call);

  for (const int family : kFamilies) {
    for (const int type : kSocketTypes) {
      rules.allow(SCMP_SYS(socket), {equals(0, static_cast<std::uint64_t>(family)),
                                     masked(1, kSocketTypeBits, static_cast<std::uint64_t>(type))});
    }
  }
  for (const int request : kIoctls) {
    rules.allow(SCMP_SYS(ioctl), {equals(1, static_cast<std::uint64_t>(request))});
  }
  for (const int command : kFcntls) {
    rules.allow(SCMP_SYS(fcntl), {equals(1, static_cast<std::uint64_t>(command))});
  }
  rules.allow(SCMP_SYS(fcntl), {equals(1, F_SETFL), masked(2, O_ASYNC, 0)});
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) {
    rules.allow(call, {masked(2, PROT_EXEC, 0)});
  }
  // A thread, which the log's end takes, and never a process. Where the flags stand in memory the
  // filter cannot see them: the C library is told that there is no such call, and takes the other.
  rules.allow(SCMP_SYS(clone), {masked(0, kThread | kNoThread, kThread)});
  rules.refuse(SCMP_SYS(clone3), ENOSYS);
  // Limits are read, never set. abort() sends itself a signal.
  rules.allow(SCMP_SYS(prlimit64), {equals(2, 0)});
  rules.allow(SCMP_SYS(tgkill), {equals(0, static_cast<std::uint64_t>(::getpid()))});
  return rules.error();
}

Failure<std::string> failure(const char* what, int error) {
  return {std::string(what) + ": " + base::error_text(error)};
}

}  // namespace

Result<void> confine() {
  if (kSanitized) return Failure{std::string("a sanitizer makes calls of its own")};
  // EPERM, not the process's end: what this list has forgotten, on some machine or with some later
  // C library, is then one operation that fails, in the log and to be repaired, and not a service
  // that dies at a request of somebody's choice. What an intruder is after is refused either way.
  const Filter filter(::seccomp_init(SCMP_ACT_ERRNO(EPERM)));
  if (!filter) return Failure{std::string("seccomp: no memory")};
  if (const int error = add_rules(filter.get()); error != 0) return failure("seccomp", -error);
  // The log's thread is there already.
  if (const int error = ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1); error != 0) {
    return failure("seccomp", -error);
  }
  // Found by halving, not one after the other. An older library's filter does the same, slower.
  ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  // Nobody else's code runs in this process: kernels before 5.16 would slow all of it down against
  // what such code could measure.
  ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_SSB, 1);
  if (const int error = ::seccomp_load(filter.get()); error != 0) {
    return failure("seccomp", -error);
  }
  return {};
}

}  // namespace http01
