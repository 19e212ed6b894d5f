#include "serve/confine.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "serve/isolate.h"

namespace http01 {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

struct Action {
  const char* name;
  std::function<bool()> succeeds;
};

// A child process is confined, tries all actions, and says of each whether it succeeded and, if
// not, with which error. 255: it could not be confined.
std::vector<int> outcomes_when_confined(const std::vector<Action>& actions) {
  std::array<int, 2> pipe{};
  BOOST_REQUIRE_EQUAL(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const base::Fd reading(pipe[0]);
  base::Fd writing(pipe[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    std::vector<unsigned char> errors;
    static_cast<void>(isolate());
    if (confine()) {
      for (const Action& action : actions) {
        errno = 0;
        errors.push_back(action.succeeds() ? 0 : static_cast<unsigned char>(errno));
      }
    } else {
      errors.assign(actions.size(), 255);
    }
    const ssize_t written = ::write(writing.get(), errors.data(), errors.size());
    ::_exit(written == static_cast<ssize_t>(errors.size()) ? 0 : 1);
  }
  writing.reset();
  std::vector<unsigned char> errors(actions.size());
  const ssize_t got = ::read(reading.get(), errors.data(), errors.size());
  int status = 0;
  ::waitpid(child, &status, 0);
  BOOST_TEST_REQUIRE(WIFEXITED(status));
  BOOST_TEST_REQUIRE(got == static_cast<ssize_t>(errors.size()));
  return {errors.begin(), errors.end()};
}

// As whom nothing can be written by right of being root. Dumpable again, as a service is that was
// started so.
bool becomes_ordinary() {
  constexpr uid_t kNobody = 65534;
  if (::getuid() == 0 && (::setresgid(kNobody, kNobody, kNobody) != 0 ||
                          ::setresuid(kNobody, kNobody, kNobody) != 0)) {
    return false;
  }
  return ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

bool opens_memory_of(pid_t process) {
  const std::string path = "/proc/" + std::to_string(process) + "/mem";
  return static_cast<bool>(base::Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC)));
}

// A process of that user that does nothing.
class Victim {
 public:
  Victim() : pid_(::fork()) {
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (becomes_ordinary()) ::raise(SIGSTOP);
    ::_exit(1);
  }
  ~Victim() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  bool ready() const {
    int status = 0;
    return ::waitpid(pid_, &status, WUNTRACED) == pid_ && WIFSTOPPED(status);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

bool has_landlock() { return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1) > 0; }

// 0: it was true there.
int status_of_child(const std::function<bool()>& story) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(story() ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

bool opens(int family, int type) { return ::socket(family, type | SOCK_CLOEXEC, 0) >= 0; }

bool is_executed(const char* program) {
  std::string name(program);
  std::array<char*, 2> arguments{name.data(), nullptr};
  ::execv(program, arguments.data());
  return false;
}

bool maps(int protection) {
  return ::mmap(nullptr, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

bool makes_memory_executable() {
  void* const page =
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return ::mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0;
}

bool forks() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  if (child > 0) ::waitpid(child, nullptr, 0);
  return child > 0;
}

bool raises_a_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

bool binds_to_a_port() {
  sockaddr address{};
  address.sa_family = AF_INET;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return ::bind(fd, &address, sizeof(sockaddr)) == 0;
}

long call(long number, long first = 0, long second = 0, long third = 0) {
  return ::syscall(number, first, second, third);
}

bool commands(long command, long argument) {
  const base::Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  errno = 0;
  return call(SYS_fcntl, fd.get(), command, argument) == 0;
}

// What whoever takes over the process would want next.
const std::vector<Action> kWaysOut{
    {"a program", [] { return is_executed("/bin/true"); }},
    {"a program by descriptor", [] { return call(SYS_execveat, AT_FDCWD) == 0; }},
    {"a process", forks},
    {"a process by vfork()", [] { return call(SYS_vfork) >= 0; }},
    {"another process's memory", [] { return ::ptrace(PTRACE_ATTACH, ::getppid(), 0, 0) == 0; }},
    {"another process's memory, read", [] { return call(SYS_process_vm_readv, ::getppid()) >= 0; }},
    {"a signal to another process", [] { return ::kill(::getppid(), 0) == 0; }},
    {"a signal to a thread of another process",
     [] { return call(SYS_tgkill, ::getppid(), ::getppid(), SIGCONT) == 0; }},
    {"memory that is code", [] { return maps(PROT_READ | PROT_WRITE | PROT_EXEC); }},
    {"memory that becomes code", makes_memory_executable},
    {"a netlink socket", [] { return opens(AF_NETLINK, SOCK_RAW); }},
    {"a packet socket", [] { return opens(AF_PACKET, SOCK_DGRAM); }},
    {"a vsock", [] { return opens(AF_VSOCK, SOCK_STREAM); }},
    {"a raw socket", [] { return opens(AF_INET, SOCK_RAW); }},
    {"a port to listen on", binds_to_a_port},
    {"listening", [] { return ::listen(0, 1) == 0; }},
    {"another user", [] { return ::setuid(::getuid()) == 0; }},
    {"another root", [] { return ::chroot("/") == 0; }},
    {"a name space", [] { return ::unshare(CLONE_NEWUSER) == 0; }},
    {"a mount", [] { return call(SYS_mount) == 0; }},
    {"a device", [] { return ::mknod("/tmp/http01-relay-no-such", S_IFCHR, 0) == 0; }},
    {"a limit", raises_a_limit},
    {"io_uring, which no filter sees into", [] { return call(SYS_io_uring_setup, 1) >= 0; }},
    {"bpf", [] { return call(SYS_bpf) >= 0; }},
    {"keys", [] { return call(SYS_keyctl) >= 0; }},
    {"the process's own attributes", [] { return ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0; }},
    {"the owner of a socket's signals", [] { return commands(F_SETOWN, ::getppid()); }},
    {"which signal that is", [] { return commands(F_SETSIG, SIGKILL); }},
    {"the owner in another way",
     [] {
       f_owner_ex owner{F_OWNER_PID, ::getppid()};
       return commands(F_SETOWN_EX, reinterpret_cast<long>(&owner));
     }},
    {"signals when a socket is ready", [] { return commands(F_SETFL, O_ASYNC | O_NONBLOCK); }},
    {"signals when a directory changes", [] { return commands(F_NOTIFY, DN_MODIFY); }},
    {"signals when a file is opened", [] { return commands(F_SETLEASE, F_RDLCK); }},
    {"a command with more bits than it has",
     [] { return commands(F_SETOWN | (1L << 32), ::getppid()); }},
    {"signals by ioctl", [] { return call(SYS_ioctl, 0, FIOASYNC) == 0; }},
    {"the owner by ioctl", [] { return call(SYS_ioctl, 0, FIOSETOWN) == 0; }},
    {"another process's memory, written",
     [] { return call(SYS_process_vm_writev, ::getppid()) >= 0; }},
    {"another process by descriptor", [] { return call(SYS_pidfd_open, ::getppid()) >= 0; }},
    {"a signal with a value", [] { return call(SYS_rt_sigqueueinfo, ::getppid(), SIGUSR1) == 0; }},
    {"a timer's signals", [] { return call(SYS_timer_create, CLOCK_MONOTONIC) == 0; }},
    {"another process's limits, set",
     [] {
       rlimit limit{};
       return ::prlimit(::getppid(), RLIMIT_NOFILE, &limit, nullptr) == 0;
     }},
    {"another process's priority", [] { return ::setpriority(PRIO_PROCESS, 0, 19) == 0; }},
    {"a file in memory, to be executed", [] { return call(SYS_memfd_create) >= 0; }},
    {"shared memory that is code", [] { return call(SYS_shmget) >= 0; }},
    {"page faults to be handled", [] { return call(SYS_userfaultfd) >= 0; }},
    {"a thread in a name space of its own",
     [] { return call(SYS_clone, CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_NEWNET) >= 0; }},
    {"its own memory dumpable", [] { return ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0; }},
    {"a module", [] { return call(SYS_init_module) == 0; }},
    {"the time", [] { return call(SYS_settimeofday) == 0; }},
    {"typing into the terminal", [] { return call(SYS_ioctl, 0, TIOCSTI) == 0; }},
};

bool runs_a_thread() {
  bool ran = false;
  std::thread([&ran] { ran = true; }).join();
  return ran;
}

bool reads(const char* path) {
  std::string line;
  return static_cast<bool>(std::getline(std::ifstream(path), line));
}

const std::vector<Action> kNeeds{
    {"UDP", [] { return opens(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK); }},
    {"TCP", [] { return opens(AF_INET, SOCK_STREAM | SOCK_NONBLOCK); }},
    {"IPv6", [] { return opens(AF_INET6, SOCK_DGRAM) || errno == EAFNOSUPPORT; }},
    {"syslog", [] { return opens(AF_UNIX, SOCK_DGRAM); }},
    {"a link-local address", [] { return ::if_nametoindex("lo") != 0; }},
    {"a thread", runs_a_thread},
    {"/proc", [] { return reads("/proc/self/stat") && reads("/proc/stat"); }},
    {"memory", [] { return maps(PROT_READ | PROT_WRITE); }},
    {"entropy",
     [] {
       std::array<char, 16> octets{};
       return ::getentropy(octets.data(), octets.size()) == 0;
     }},
    {"a socket that does not block", [] { return commands(F_SETFL, O_NONBLOCK); }},
    {"a mark in a file",
     [] {
       struct flock lock {};
       lock.l_type = F_RDLCK;
       const base::Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
       return ::fcntl(file.get(), F_OFD_GETLK, &lock) == 0;
     }},
    {"standard error by its name",
     [] { return base::Fd(::open("/dev/stderr", O_WRONLY | O_CLOEXEC)) || errno == ENXIO; }},
    {"the limit of descriptors",
     [] {
       rlimit limit{};
       return ::getrlimit(RLIMIT_NOFILE, &limit) == 0;
     }},
};

}  // namespace

BOOST_AUTO_TEST_SUITE(confinement)

BOOST_AUTO_TEST_CASE(there_is_no_way_out) {
  if (kSanitized) return;
  const auto outcomes = outcomes_when_confined(kWaysOut);
  for (std::size_t i = 0; i < kWaysOut.size(); ++i) {
    BOOST_TEST_CONTEXT(kWaysOut[i].name) BOOST_TEST(outcomes[i] == EPERM);
  }
}

BOOST_AUTO_TEST_CASE(what_serving_takes_is_left) {
  if (kSanitized) return;
  const auto outcomes = outcomes_when_confined(kNeeds);
  for (std::size_t i = 0; i < kNeeds.size(); ++i) {
    BOOST_TEST_CONTEXT(kNeeds[i].name) BOOST_TEST(outcomes[i] == 0);
  }
}

// /proc/self/mem writes to pages that are not writable, code too, and it ran.
BOOST_AUTO_TEST_CASE(a_process_cannot_write_its_own_code) {
  if (kSanitized) return;
  BOOST_TEST(status_of_child([] { return becomes_ordinary() && opens_memory_of(::getpid()); }) ==
             0);
  for (const char* const path : {"/proc/self/mem", "/proc/thread-self/mem"}) {
    const int status = status_of_child([&] {
      if (!becomes_ordinary()) return false;
      static_cast<void>(isolate());
      return !base::Fd(::open(path, O_WRONLY | O_CLOEXEC)) && errno == EACCES &&
             !base::Fd(::open(path, O_RDONLY | O_CLOEXEC));
    });
    BOOST_TEST(status == 0, path);
  }
}

BOOST_AUTO_TEST_CASE(a_process_cannot_reach_the_memory_of_its_users_other_ones) {
  if (kSanitized) return;
  const Victim victim;
  BOOST_REQUIRE(victim.ready());
  BOOST_TEST(status_of_child([&] { return becomes_ordinary() && opens_memory_of(victim.pid()); }) ==
             0);
  if (!has_landlock()) {
    BOOST_TEST_MESSAGE("not tested: this kernel has no Landlock");
    return;
  }
  BOOST_TEST(status_of_child([&] {
               return becomes_ordinary() && isolate() && !opens_memory_of(victim.pid());
             }) == 0);
  // And the relays of a pool not one another's, nor a thread that was begun after.
  BOOST_TEST(status_of_child([&] {
               if (!becomes_ordinary() || !isolate()) return false;
               bool opened = true;
               std::thread([&] { opened = opens_memory_of(victim.pid()); }).join();
               return !opened;
             }) == 0);
}

// What the filter forbids too, for the kernels and builds that have none.
BOOST_AUTO_TEST_CASE(where_there_is_landlock_it_forbids_programs_and_signals) {
  if (kSanitized || !has_landlock()) return;
  BOOST_TEST(status_of_child(
                 [] { return isolate() && !is_executed("/bin/true") && errno == EACCES; }) == 0);
  const bool scopes = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1) >= 6;
  BOOST_TEST(status_of_child([&] {
               return isolate() && (!scopes || (::kill(::getppid(), 0) != 0 && errno == EPERM)) &&
                      ::kill(::getpid(), 0) == 0;
             }) == 0);
}

BOOST_AUTO_TEST_CASE(a_kernel_without_landlock_does_the_rest) {
  if (kSanitized) return;
  const int status = status_of_child([] {
    const scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
    ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(landlock_create_ruleset), 0);
    if (::seccomp_load(filter) != 0) return false;
    const auto result = isolate();
    return !result && result.error() == "Landlock: Function not implemented" &&
           ::prctl(PR_GET_DUMPABLE) == 0 && ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
  });
  BOOST_TEST(status == 0);
}

// Which is where the log is written.
BOOST_AUTO_TEST_CASE(a_thread_that_runs_already_is_confined_too) {
  if (kSanitized) return;
  const int status = status_of_child([] {
    std::promise<void> confined;
    bool refused = false;
    std::thread thread([&, begin = confined.get_future()]() mutable {
      begin.wait();
      refused = !opens(AF_NETLINK, SOCK_RAW) && errno == EPERM;
    });
    const bool done = static_cast<bool>(confine());
    confined.set_value();
    thread.join();
    return done && refused;
  });
  BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_CASE(a_kernel_that_refuses_leaves_all_as_it_was_and_is_told_of) {
  if (kSanitized) return;
  const int status = status_of_child([] {
    const scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
    ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(seccomp), 0);
    if (::seccomp_load(filter) != 0) return false;
    const auto result = confine();
    return !result && result.error().starts_with("seccomp: ") && opens(AF_UNIX, SOCK_DGRAM) &&
           forks();
  });
  BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
