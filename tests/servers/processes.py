"""Child processes that never outlive the tests: each in its own session, told to end when this process
dies, its output in a file, ready only once it answers."""

from __future__ import annotations

import ctypes
import errno
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = REPOSITORY / os.environ.get("BUILD", "build")
RELAY = BUILD / "http01-relay"

# How much slower than usual the program under test runs; a build with sanitizers sets more than 1.
SLOWNESS = float(os.environ.get("SLOWNESS", "1"))

# What the sanitizers begin their reports with.
_SANITIZER_MARKS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:")

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def take_signals() -> None:
    """Between fork and exec. With nohup, or as a background job of a script, the tests ignore some signals, and what
    they start would too; a shell cannot even trap those."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def _end_with_parent() -> None:
    take_signals()
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class NotReady(Exception):
    """A server did not come up, or something did not become true in time."""


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Asks again every few milliseconds until the condition is true."""
    end = time.monotonic() + seconds * SLOWNESS
    while not condition():
        if time.monotonic() > end:
            raise NotReady(f"waited {seconds * SLOWNESS:.0f} s for {what}")
        time.sleep(0.005)


# Tests run in several processes at once (pytest-xdist); each of them has its own share of what is given away here.
# "gw3" is the fourth.
WORKERS = 16
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
assert WORKER < WORKERS, f"there are ports for {WORKERS} processes"

# Below those that the kernel gives to outgoing connections, which may take one of theirs at any time.
_PORTS = range(12_000 + WORKER * 1_250, 12_000 + (WORKER + 1) * 1_250)
# Where two runs of the tests share a machine, they begin at different ones.
_next_port = random.randrange(len(_PORTS))


def loopback() -> str:
    """This machine's own address: 127.0.0.1, or ::1 in a network namespace without IPv4."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", 0))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            return "::1"
    return "127.0.0.1"


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def free_port() -> int:
    """A loopback port that nobody has at this moment, neither TCP nor UDP, and that this has not given to another
    server, which may not have it yet."""
    global _next_port
    host = loopback()
    for _ in _PORTS:
        port = _PORTS[_next_port % len(_PORTS)]
        _next_port += 1
        if _is_free(host, port):
            return port
    raise NotReady(f"none of the ports {_PORTS} is free")


def _is_free(host: str, port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(family_of(host), kind) as probe:
            if kind == socket.SOCK_STREAM:
                # As the servers do: connections that have ended keep a port busy for a minute.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


class Workspace:
    """A temporary directory and the processes that work in it; stop() ends both."""

    def __init__(self) -> None:
        # Short: a unix socket's path has at most 107 octets.
        self._directory = tempfile.TemporaryDirectory(prefix="relay-", ignore_cleanup_errors=True)
        self.path = Path(self._directory.name)
        self.path.chmod(0o755)
        self.processes: list[Process] = []
        self._names: dict[str, int] = {}

    def fresh(self, name: str) -> Path:
        """A path in the directory that nothing has used yet: "a.sock", then "a-2.sock"."""
        number = self._names[name] = self._names.get(name, 0) + 1
        path = Path(name)
        return self.path / (name if number == 1 else f"{path.stem}-{number}{path.suffix}")

    def write(self, name: str, text: str) -> Path:
        path = self.fresh(name)
        path.write_text(text, encoding="utf-8")
        return path

    def start(self, name: str, command: Sequence[str | Path], *, to_terminal: bool = False, **options: Any) -> Process:
        process = Process(name, command, None if to_terminal else self.fresh(f"{name}.log"), **options)
        self.processes.append(process)
        return process

    def logs(self) -> str:
        """What all processes have written, servers' own log files too."""
        parts = []
        for path in sorted(self.path.glob("*.log")):
            text = path.read_text(encoding="utf-8", errors="replace")
            if text:
                parts.append(f"--- {path.name}\n{text[-8000:]}")
        return "\n".join(parts)

    def sanitizer_reports(self) -> str:
        return "\n".join(
            text
            for path in sorted(self.path.glob("*.log"))
            if any(mark in (text := path.read_text(encoding="utf-8", errors="replace")) for mark in _SANITIZER_MARKS)
        )

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.stop()
        self._directory.cleanup()


class Process:
    """A program that runs. Its standard output and error go to `log`; None: to those of this one."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path | None,
        *,
        environment: dict[str, str] | None = None,
        stdin: Any = subprocess.DEVNULL,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log = log
        output = log.open("wb") if log else None
        try:
            self.popen = subprocess.Popen(
                [str(word) for word in command],
                stdin=stdin,
                stdout=output,
                stderr=output,
                env=os.environ | {"LC_ALL": "C"} if environment is None else environment,
                pass_fds=pass_fds,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        finally:
            if output:
                output.close()

    @property
    def pid(self) -> int:
        return self.popen.pid

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log else ""

    def running(self) -> bool:
        return self.popen.poll() is None

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def wait(self, seconds: float = 10.0) -> int:
        """The exit status, once it has ended by itself."""
        return self.popen.wait(seconds * SLOWNESS)

    def wait_until_ready(self, ready: Callable[[], bool]) -> None:
        def ready_or_dead() -> bool:
            if not self.running():
                raise NotReady(f"{self.name} ended with status {self.popen.returncode}:\n{self.output()}")
            return ready()

        wait_until(ready_or_dead, f"{self.name} to answer")

    def stop(self) -> None:
        """Ends it and everything it has started."""
        if self.running():
            self.popen.terminate()
            try:
                self.popen.wait(5 * SLOWNESS)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()


def descriptors_of(pid: int) -> list[Path]:
    """The open descriptors of a process. Those of the relay only root may look at."""
    try:
        return list(Path(f"/proc/{pid}/fd").iterdir())
    except PermissionError as error:
        pytest.skip(f"only root may look: {error}")


def answers_at(address: tuple[str, int] | str) -> bool:
    """Whether something accepts connections there: (host, port), or a unix socket's path."""
    if isinstance(address, str):
        probe = socket.socket(socket.AF_UNIX)
    else:
        probe = socket.socket(family_of(address[0]))
    with probe:
        probe.settimeout(1)
        return probe.connect_ex(address) == 0
