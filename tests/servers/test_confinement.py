"""What the process that serves may still do: it takes from itself all that serving does not take, and goes on to
serve, reload, rotate its log and end as before."""

from __future__ import annotations

import ctypes
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import fastcgi_client
import pytest
import strace
from held import begin, locations
from injector import Injector
from processes import BUILD, RELAY, SLOWNESS, Process, Workspace, answers_at, descriptors_of, wait_until
from relay import CHALLENGE, Relay, clean_environment, config_text
from static_program import STATIC
from zones import APP_ID, GATEWAY

GOOD = f"https://{APP_ID}.{GATEWAY}{CHALLENGE}"
SANITIZED = "san" in BUILD.name

confined_only = pytest.mark.skipif(SANITIZED, reason="a sanitizer makes calls of its own")

# "Filter", and one of them.
SECCOMP_FILTER = "2"


def status(pid: int, task: int | None = None) -> dict[str, str]:
    path = f"/proc/{pid}/task/{task or pid}/status"
    return dict(line.split(":\t", 1) for line in Path(path).read_text().splitlines())


def tasks(pid: int) -> list[int]:
    return [int(task) for task in os.listdir(f"/proc/{pid}/task")]


@confined_only
def test_every_thread_is_confined(workspace: Workspace, injector: Injector) -> None:
    relay = Relay(workspace, config_text(injector.server))
    wait_until(lambda: "serving" in relay.process.output(), "it to serve")
    threads = tasks(relay.process.pid)
    assert len(threads) == 2, "the loop and the log"
    for thread in threads:
        seen = status(relay.process.pid, thread)
        assert (seen["NoNewPrivs"], seen["Seccomp"]) == ("1", SECCOMP_FILTER)
    assert "not confined" not in relay.process.output()


def test_under_cgi_it_renounces_what_costs_no_time(workspace: Workspace) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        config = workspace.write("relay.toml", config_text(f"127.0.0.1:{silent.getsockname()[1]}"))
        variables = fastcgi_client.cgi_variables(CHALLENGE, "app.test")
        process = workspace.start(
            "cgi", [RELAY], environment=clean_environment(variables | {"HTTP01_RELAY_CONFIG": str(config)})
        )
        silent.settimeout(10)
        silent.recv(512)  # its request waits for the DNS now
        assert status(process.pid)["NoNewPrivs"] == "1"


# ---- one user's processes among themselves


ORDINARY = 65534  # nobody


def as_ordinary(command: list[str | Path]) -> list[str | Path]:
    """Root may do what the rest of this is about."""
    if os.geteuid() != 0:
        return command
    return ["/usr/bin/setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups", *command]


def open_to_all(workspace: Workspace, name: str) -> Path:
    directory = workspace.fresh(name)
    directory.mkdir()
    directory.chmod(0o777)
    return directory


def can_open(path: str) -> bool:
    """Whether another process of the same user can, for reading."""
    command = as_ordinary([sys.executable, "-c", "import sys; open(sys.argv[1], 'rb')", path])
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def ordinary_relay(workspace: Workspace, config: Path, path: Path) -> Process:
    process = workspace.start(
        "relay",
        as_ordinary([RELAY, "-c", config, "--listen", f"unix:{path}"]),
        environment=clean_environment(),
    )
    process.wait_until_ready(lambda: answers_at(str(path)))
    wait_until(lambda: "serving" in process.output(), "it to serve")
    return process


@confined_only
def test_other_processes_of_its_user_cannot_reach_its_memory(workspace: Workspace, injector: Injector) -> None:
    directory = open_to_all(workspace, "run")
    config = workspace.write("relay.toml", config_text(injector.server))
    idle = workspace.start("idle", as_ordinary(["/bin/sleep", "60"]))
    wait_until(lambda: Path(f"/proc/{idle.pid}/comm").read_text().strip() == "sleep", "it to run")
    assert can_open(f"/proc/{idle.pid}/mem"), "else this tests nothing"
    relay = ordinary_relay(workspace, config, directory / "relay.sock")
    for name in ("mem", "environ", "maps"):
        assert not can_open(f"/proc/{relay.pid}/{name}"), name
    assert "not isolated" not in relay.output() or not has_landlock()


@confined_only
def test_an_ordinary_user_has_all_that_serving_takes(workspace: Workspace, injector: Injector) -> None:
    """Its own files in /proc are root's: the metrics, standard error by its name and the state file are not lost."""
    directory = open_to_all(workspace, "run")
    sections = {"service": {"state_file": str(directory / "state")}}
    config = workspace.write("relay.toml", config_text(injector.server, sections))
    relays = [ordinary_relay(workspace, config, directory / f"{number}.sock") for number in range(2)]
    address = str(directory / "0.sock")
    assert locations([begin(address, "good")]) == [GOOD]

    def metric(name: str) -> float:
        page = fastcgi_client.request(address, "/metrics", host="localhost").text
        (value,) = re.findall(rf"^{name} (\S+)$", page, re.MULTILINE)
        return float(value)

    assert metric("relay_processes") == 2
    for name, pid_file in (("process_resident_memory_bytes", "statm"), ("process_open_fds", "fd")):
        if pid_file == "fd" and os.geteuid() != 0:
            continue
        both = (
            sum(len(descriptors_of(relay.pid)) for relay in relays)
            if pid_file == "fd"
            else sum(int(Path(f"/proc/{relay.pid}/statm").read_text().split()[1]) * 4096 for relay in relays)
        )
        assert both * 0.6 < metric(name) < both * 1.5, name

    # Standard error is a file of the test's, which that user could not open itself: as with any pipe.
    config.write_text(config_text(injector.server, sections | {"log": {"target": "/dev/stderr"}}))
    standard_error = Path(f"/proc/{relays[0].pid}/fd/2")
    if os.geteuid() == 0:
        os.chown(standard_error.resolve(), ORDINARY, ORDINARY)
    relays[0].signal(signal.SIGHUP)
    wait_until(lambda: "configuration reloaded" in relays[0].output(), "the reload")
    assert "level=error" not in relays[0].output()
    assert locations([begin(address, "after")]) == [GOOD]
    wait_until(lambda: "host=after.test" in relays[0].output(), "the line")


def test_a_cgi_process_is_its_own_too(workspace: Workspace) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        config = workspace.write("relay.toml", config_text(f"127.0.0.1:{silent.getsockname()[1]}"))
        variables = fastcgi_client.cgi_variables(CHALLENGE, "app.test")
        process = workspace.start(
            "cgi",
            as_ordinary([RELAY]),
            environment=clean_environment(variables | {"HTTP01_RELAY_CONFIG": str(config)}),
        )
        silent.settimeout(10)
        silent.recv(512)
        assert SANITIZED or not can_open(f"/proc/{process.pid}/mem")


def has_landlock() -> bool:
    """landlock_create_ruleset, asked for its version."""
    return ctypes.CDLL(None).syscall(444, None, 0, 1) > 0


# A kernel without seccomp, for the programs that are run by this one.
WITHOUT_SECCOMP = """
import ctypes, errno, os, sys
library = ctypes.CDLL("libseccomp.so.2")
library.seccomp_init.restype = ctypes.c_void_p
ALLOW, ENOSYS = 0x7FFF0000, 0x00050000 | errno.ENOSYS
context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(ALLOW)))
call = library.seccomp_syscall_resolve_name(b"seccomp")
assert library.seccomp_rule_add(context, ctypes.c_uint32(ENOSYS), call, 0) == 0
assert library.seccomp_load(context) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_kernel_that_refuses_stops_nothing(workspace: Workspace, injector: Injector) -> None:
    path = workspace.fresh("relay.sock")
    config = workspace.write("relay.toml", config_text(injector.server))
    process = workspace.start(
        "relay",
        [sys.executable, "-c", WITHOUT_SECCOMP, RELAY, "-c", config, "--listen", f"unix:{path}"],
        environment=clean_environment(),
    )
    process.wait_until_ready(lambda: answers_at(str(path)))
    assert locations([begin(str(path), "good")]) == [GOOD]
    process.signal(signal.SIGHUP)
    wait_until(lambda: "configuration reloaded" in process.output(), "the reload")
    (line,) = [line for line in process.output().splitlines() if "not confined" in line]
    assert "level=warning" in line
    assert status(process.pid)["NoNewPrivs"] == "1"


@pytest.fixture(name="syslog")
def syslog_fixture() -> socket.socket:
    return syslog_socket(socket.SOCK_DGRAM)


def syslog_socket(kind: socket.SocketKind) -> socket.socket:
    """At /dev/log; skips where something listens there already."""
    listener = socket.socket(socket.AF_UNIX, kind)
    try:
        listener.bind("/dev/log")
    except OSError as error:
        pytest.skip(f"/dev/log: {error.strerror}")
    listener.settimeout(10)
    return listener


def hears(syslog: socket.socket, what: bytes) -> bool:
    """Reads messages up to this one; one that does not come is a time-out."""
    while what not in syslog.recv(4096):
        pass
    return True


def test_syslog_is_reached_again_from_within(workspace: Workspace, injector: Injector, syslog: socket.socket) -> None:
    """A reload closes the connection to it and makes another one."""
    try:
        relay = Relay(workspace, config_text(injector.server, {"log": {"target": "syslog"}}))
        assert hears(syslog, b"serving")
        assert relay.challenge("app.good.test").location == GOOD
        assert hears(syslog, b"reason=ok")
        relay.process.signal(signal.SIGHUP)
        assert hears(syslog, b"reloaded")
        assert relay.challenge("again.good.test").location == GOOD
        assert hears(syslog, b"host=again.good.test")
        assert relay.terminate() == 0
    finally:
        syslog.close()
        os.unlink("/dev/log")


def test_a_syslog_that_does_not_read_holds_up_neither_reload_nor_end(
    workspace: Workspace, injector: Injector, syslog: socket.socket
) -> None:
    """The log's thread waits in syslog(3), which holds the C library's lock. A reload that opened the connection
    from the loop waited for it, and with it all requests and the end."""
    try:
        sections = {"log": {"target": "syslog"}}
        relay = Relay(workspace, config_text(injector.server, sections))
        # A few more lines than the kernel keeps for a reader (net.unix.max_dgram_qlen).
        for number in range(60):
            assert relay.challenge(f"n{number % 5}.good.test").location == GOOD
        denied = sections | {"domains": {"deny": ["good.test"]}}
        relay.config.write_text(config_text(injector.server, denied))
        relay.process.signal(signal.SIGHUP)
        wait_until(lambda: relay.challenge("app.good.test").status == 403, "the new configuration")
        assert relay.terminate() == 0
    finally:
        syslog.close()
        os.unlink("/dev/log")


def test_under_cgi_a_syslog_daemon_that_does_not_read_costs_a_second(
    workspace: Workspace, injector: Injector, syslog: socket.socket
) -> None:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others:
            others.connect("/dev/log")
            others.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while others.send(b"<6>a line that nobody reads"):
                    pass
        config = workspace.write("relay.toml", config_text(injector.server, {"log": {"target": "syslog"}}))
        variables = fastcgi_client.cgi_variables(CHALLENGE, "app.good.test")
        ended = subprocess.run(
            [RELAY],
            env=clean_environment(variables | {"HTTP01_RELAY_CONFIG": str(config)}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10 * SLOWNESS,
            check=False,
        )
        assert (ended.returncode, GOOD.encode() in ended.stdout) == (0, True)
    finally:
        syslog.close()
        os.unlink("/dev/log")


def test_all_else_that_serving_takes_goes_on(workspace: Workspace, injector: Injector) -> None:
    directory = workspace.fresh("var")
    directory.mkdir()
    log, state = directory / "relay.log", directory / "state"
    sections = {"log": {"target": str(log)}, "service": {"state_file": str(state)}}
    relay = Relay(workspace, config_text(injector.server, sections))

    # UDP, then TCP; /metrics reads /proc.
    assert relay.challenge("app.good.test").location == GOOD
    assert relay.challenge("app.truncate.test").location == GOOD
    assert relay.metrics()["process_open_fds"] > 5

    # A log file that was moved away is made again.
    log.rename(directory / "relay.log.1")
    relay.process.signal(signal.SIGUSR1)
    wait_until(log.exists, "the new log file")
    # Other files, in directories that are not there yet, an interface by its name, and all of it read again.
    elsewhere = workspace.fresh("elsewhere")
    others = {
        "log": {"target": str(elsewhere / "logs/relay.log")},
        "service": {"state_file": str(directory / "other-state")},
    }
    relay.config.write_text(config_text(["fe80::1%lo", injector.server], others | {"dns": {"timeout_ms": 300}}))
    relay.process.signal(signal.SIGHUP)
    reloaded = elsewhere / "logs/relay.log"
    wait_until(lambda: reloaded.exists() and "reloaded" in reloaded.read_text(), "the reload")
    assert "error" not in reloaded.read_text()
    assert (directory / "other-state").exists()
    assert relay.challenge("after.good.test").location == GOOD
    assert relay.metrics()['redirects_total{status="307"}'] == 1, "it counts in the new file"

    address = str(relay.address)
    assert relay.terminate() == 0
    assert not os.path.exists(address), "the socket's file is removed"
    assert "stopped" in reloaded.read_text()


def test_dns_over_ipv6_from_within(workspace: Workspace) -> None:
    with Injector(address="::1") as injector:
        relay = Relay(workspace, config_text(injector.server))
        assert relay.challenge("app.good.test").location == GOOD
        assert relay.challenge("app.truncate.test").location == GOOD


@confined_only
def test_nothing_that_serving_does_is_refused(workspace: Workspace, injector: Injector) -> None:
    """strace sees every call that the filter answers itself."""
    path, log, state = workspace.fresh("relay.sock"), workspace.fresh("file.log"), workspace.fresh("state")
    sections = {"log": {"target": str(log)}, "service": {"state_file": str(state), "public_check": True}}
    config = workspace.write("relay.toml", config_text(injector.server, sections))
    command, trace = strace.command(workspace, [RELAY, "-c", config, "--listen", f"unix:{path}"])
    traced = workspace.start("strace", command, environment=clean_environment())
    traced.wait_until_ready(lambda: answers_at(str(path)))
    (relay,) = [int(child) for child in Path(f"/proc/{traced.pid}/task/{traced.pid}/children").read_text().split()]
    for name in ("good", "truncate", "servfail"):
        locations([begin(str(path), name)])
    for page in ("/ready", "/metrics", "/health", "/", "/check?domain=app.good.test"):
        assert fastcgi_client.request(str(path), page, host="localhost").status == 200
    for number, line in ((signal.SIGUSR1, None), (signal.SIGHUP, "configuration reloaded")):
        os.kill(relay, number)
        wait_until(lambda line=line: line is None or line in log.read_text(), "the signal")  # type: ignore[misc]
    os.kill(relay, signal.SIGTERM)
    traced.wait()
    lines = strace.calls(trace)
    (loaded,) = [at for at, line in enumerate(lines) if re.search(r" seccomp\(SECCOMP_SET_MODE_FILTER, .*TSYNC.* = 0", line)]
    # A domain is of the thread that enters it and of those that it begins.
    (domain,) = [at for at, line in enumerate(lines) if re.search(r" (landlock_restrict_self|syscall_0x1be)\(", line)] or [0]
    assert domain < min(at for at, line in enumerate(lines) if re.search(r" clone3?\(", line))
    refused = [line for line in lines[loaded:] if " = -1 EPERM" in line]
    assert not refused
    # And what the list is for is behind it.
    assert any(" accept4(" in line for line in lines[loaded:])
    assert not any(re.search(r" (bind|listen|execve|setrlimit)\(", line) for line in lines[loaded:])
    # With a second thread the kernel would take its time to make room for descriptors.
    (room,) = [at for at, line in enumerate(lines) if re.search(r" fcntl\(0, F_DUPFD_CLOEXEC, \d{4,}\)", line)]
    assert room < min(at for at, line in enumerate(lines) if re.search(r" clone3?\(", line))


# ---- what the compiler and the linker add


ENDBR64 = b"\xf3\x0f\x1e\xfa"


def readelf(option: str, program: Path) -> str:
    return subprocess.run(["/usr/bin/readelf", "-W", option, program], capture_output=True, text=True, check=True).stdout


def undefined_symbols(program: Path) -> set[str]:
    names = subprocess.run(["/usr/bin/nm", "-D", "-u", program], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1].partition("@")[0] for line in names.splitlines()}


def test_the_program_is_hardened() -> None:
    assert re.search(r"Type:\s+DYN \(Position-Independent Executable", readelf("-h", RELAY))
    segments = readelf("-l", RELAY)
    assert "GNU_RELRO" in segments
    assert re.search(r"GNU_STACK .* RW ", segments), "the stack is not code"
    flags = readelf("-d", RELAY)
    assert "BIND_NOW" in flags and re.search(r"FLAGS_1.*NOW.*PIE", flags)
    assert not re.search(r"RPATH|RUNPATH|TEXTREL", flags)
    assert re.search(r"x86 feature:.*SHSTK", readelf("-n", RELAY))
    # IBT is a property of the whole program, which Debian's crtbegin.o has not; but what can be called says so.
    assert RELAY.read_bytes().count(ENDBR64) > 1000
    assert "__stack_chk_fail" in undefined_symbols(RELAY)
    assert any("__glibcxx_assert_fail" in name for name in undefined_symbols(RELAY)), "no index is checked"


@confined_only
def test_the_program_is_fortified() -> None:
    fortified = {name for name in undefined_symbols(RELAY) if name.endswith("_chk") and name != "__stack_chk_fail"}
    assert fortified, "no call into the C library is checked"


@pytest.mark.static
def test_the_static_program_is_hardened() -> None:
    segments = readelf("-l", STATIC)
    assert "GNU_RELRO" in segments
    assert re.search(r"GNU_STACK .* RW ", segments)
