"""Refusals of the system, put in by strace: which calls the program makes, with which errors they may fail, and what
becomes of the program then."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import fastcgi_client
import strace
from http_client import Response
from processes import RELAY, SLOWNESS, NotReady, Process, Workspace, wait_until
from relay import CHALLENGE, clean_environment, config_text

STRACE = "/usr/bin/strace"

# What the kernel's manual pages have for these, and a running system does. A call that is not here has DEFAULT.
ERRORS = {
    "accept4": ("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ECONNABORTED", "EPERM"),
    "bind": ("EACCES", "EADDRINUSE", "ENOMEM"),
    "brk,mmap": ("ENOMEM",),
    "clone,clone3": ("EAGAIN", "ENOMEM"),
    "connect": ("EAGAIN", "EACCES", "ENETUNREACH", "EADDRNOTAVAIL", "ENOBUFS"),
    "epoll_create1": ("EMFILE", "ENFILE", "ENOMEM"),
    "epoll_ctl": ("ENOMEM", "ENOSPC"),
    "epoll_wait": ("ENOMEM",),
    "fallocate": ("ENOSPC", "EDQUOT", "EIO"),
    "fcntl": ("EMFILE", "ENOLCK", "EINVAL"),
    "getdents64": ("ENOMEM", "EACCES"),
    "getrandom": ("ENOSYS", "EPERM"),
    "listen": ("EADDRINUSE", "ENOBUFS"),
    "openat": ("EMFILE", "ENFILE", "ENOMEM", "EACCES", "EIO"),
    "prctl": ("EINVAL", "EPERM"),
    "read": ("EIO", "ENOMEM"),
    "recvfrom": ("ENOMEM", "ECONNRESET", "ECONNREFUSED"),
    "seccomp": ("EINVAL", "ENOMEM", "EFAULT"),
    "sendto": ("ENOBUFS", "ENOMEM", "EPIPE", "EPERM", "ENETUNREACH"),
    "signalfd4": ("EMFILE", "ENFILE", "ENOMEM"),
    "socket": ("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EACCES", "EAFNOSUPPORT"),
    "write": ("ENOSPC", "EIO", "EPIPE", "EDQUOT"),
}
DEFAULT = ("ENOMEM", "EPERM", "EIO")

# Never made to fail, and why.
SPARED = {
    "clock_nanosleep": "fails with EINTR alone",
    "close": "a close that fails closes; one that strace skips does not",
    "execve": "begins the program",
    "exit": "does not return",
    "exit_group": "does not return",
    "futex": "fails by faults of its caller alone, for which the C library ends the process",
    "getpid": "cannot fail",
    "geteuid": "cannot fail",
    "gettid": "cannot fail",
    "getuid": "cannot fail",
    "madvise": "a hint",
    "munmap": "of a stack or of a large block: the C library ends the process where it is refused",
    "nanosleep": "fails with EINTR alone",
    "restart_syscall": "is the kernel's",
    "rseq": "is the C library's",
    "rt_sigaction": "fails by faults of its caller alone",
    "rt_sigprocmask": "fails by faults of its caller alone",
    "rt_sigreturn": "does not return",
    "set_robust_list": "is the C library's",
    "set_tid_address": "cannot fail",
    "tgkill": "ends the process",
}

# These do the same, and the C library takes the other one where the first is refused.
TOGETHER = {"brk": "brk,mmap", "mmap": "brk,mmap", "clone": "clone,clone3", "clone3": "clone,clone3"}


@dataclass(frozen=True)
class Fault:
    call: str
    error: str
    when: str = "1+"  # of the calls of one thread

    @property
    def options(self) -> list[str]:
        """Of strace. brk() has no errors: a kernel that refuses returns the old end of the heap. glibc would take an
        error's number for an address, and write there."""
        calls = [call for call in self.call.split(",") if call != "brk"]
        injections = [f"inject={','.join(calls)}:error={self.error}:when={self.when}"]
        if "brk" in self.call.split(","):
            injections.append(f"inject=brk:retval=0:when={self.when}")
        return [word for injection in injections for word in ("-e", injection)]

    def __str__(self) -> str:
        return f"{self.call}={self.error}@{self.when}"


def faults_of(calls: dict[str, int], whens: int) -> list[Fault]:
    """Each error of each call: at all times, and at its first times, as often as it was made but `whens` at most."""
    faults = []
    counts: dict[str, int] = {}
    for call, count in calls.items():
        if call not in SPARED:
            name = TOGETHER.get(call, call)
            counts[name] = max(count, counts.get(name, 0))
    for call, count in sorted(counts.items()):
        for error in ERRORS.get(call, DEFAULT):
            faults.append(Fault(call, error))
            faults += [Fault(call, error, str(number + 1)) for number in range(min(count, whens))]
    return faults


def count_calls(trace: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    for line in strace.calls(trace):
        if found := re.match(r"\d+ +(\w+)\(", line):
            counts[found[1]] = counts.get(found[1], 0) + 1
    return counts


# ---- the program


def settings(workspace: Workspace, server: str) -> str:
    """With all that the program takes of the system: a log, a state file, a second server; and short times."""
    return config_text(
        [server, "127.0.0.1:9"],
        {
            "dns": {"timeout_ms": 150, "attempts": 2, "deadline_ms": 600},
            "log": {"target": str(workspace.fresh("own.log"))},
            "service": {"state_file": str(workspace.fresh("state"))},
        },
    )


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def attached(workspace: Workspace, pid: int, options: list[str]) -> Iterator[Path]:
    """strace at a process that runs, all of its threads, for as long as this lasts."""
    trace = workspace.fresh("attached")
    tracer = subprocess.Popen(
        [STRACE, "-f", "-qq", "-p", str(pid), "-o", str(trace), *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def is_traced() -> bool:
        tasks = Path(f"/proc/{pid}/task")
        return all("TracerPid:\t0\n" not in (task / "status").read_text() for task in tasks.iterdir())

    try:
        wait_until(is_traced, "strace to attach", 10)
        yield trace
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)


def ask(address: fastcgi_client.Address, host: str, path: str = CHALLENGE, seconds: float = 5.0) -> Response | None:
    """None: closed without an answer."""
    with fastcgi_client.Connection(address, seconds * SLOWNESS) as connection:
        try:
            connection.send(fastcgi_client.whole_request(fastcgi_client.cgi_variables(path, host)))
            return connection.read_response()
        except ConnectionError:
            return None


_number = iter(range(1_000_000))


def fresh_name(label: str = "good") -> str:
    """A name that nobody has asked for yet."""
    return f"{label}.n{next(_number)}.test"


def serves_within(address: fastcgi_client.Address, seconds: float) -> bool:
    """Whether a name that is not cached is redirected by then."""

    def serves() -> bool:
        try:
            response = ask(address, fresh_name(), seconds=1)
        except OSError:
            return False
        return response is not None and response.status == 307

    return comes_true(serves, seconds)


def comes_true(condition: Callable[[], bool], seconds: float) -> bool:
    try:
        wait_until(condition, "it to come true", seconds)
    except NotReady:
        return False
    return True


def ends_within(process: Process, seconds: float) -> bool:
    return comes_true(lambda: not process.running(), seconds)


def start_traced(workspace: Workspace, options: list[str], program: list[str | Path], **more: object) -> Process:
    return workspace.start("relay", [STRACE, "-f", "-qq", *options, *program], environment=clean_environment(), **more)


def command(config: Path, sock: Path) -> list[str | Path]:
    return [RELAY, "-c", config, "--listen", f"unix:{sock}"]
