"""What the service manager is told (sd_notify(3)): with a socket of the test's in its place."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastcgi_client import cgi_variables
from held import GOOD, PATIENT, SilentInjector, hold, locations
from processes import RELAY, SLOWNESS, Workspace, wait_until
from relay import CHALLENGE, Relay, clean_environment, config_text, run
from test_confinement import SANITIZED, SECCOMP_FILTER, status
from test_life_cycle import state_of


@pytest.fixture(name="dns")
def dns_fixture() -> Iterator[SilentInjector]:
    with SilentInjector() as dns:
        yield dns


class Manager:
    """A service manager's socket."""

    def __init__(self, path: Path, *, abstract: bool = False) -> None:
        self.name = ("@" if abstract else "") + str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + str(path) if abstract else str(path))
        self.socket.settimeout(20 * SLOWNESS)

    def hears(self) -> str:
        return self.socket.recv(4096).decode()

    def hears_but_watchdog(self) -> str:
        while (message := self.hears()) == "WATCHDOG=1":
            pass
        return message

    def heard_nothing(self) -> bool:
        self.socket.setblocking(False)
        try:
            self.socket.recv(4096)
            return False
        except BlockingIOError:
            return True


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_the_manager_hears_of_service_reloads_and_stop(
    workspace: Workspace, dns: SilentInjector, abstract: bool
) -> None:
    """Also where the relay may not connect to abstract sockets any more."""
    manager = Manager(workspace.fresh("notify"), abstract=abstract)
    environment = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "300000"}
    relay = Relay(workspace, config_text(dns.server), environment=environment)
    assert manager.hears_but_watchdog() == "READY=1"
    if not SANITIZED:
        assert status(relay.process.pid)["Seccomp"] == SECCOMP_FILTER, "it is told once it is confined"
    for text in (config_text(dns.server), "a fault"):
        relay.config.write_text(text)
        before = time.monotonic_ns() // 1000
        relay.process.signal(signal.SIGHUP)
        found = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", manager.hears_but_watchdog())
        assert found and before <= int(found[1]) <= time.monotonic_ns() // 1000
        assert manager.hears_but_watchdog() == "READY=1"
    assert [manager.hears() for _ in range(2)] == ["WATCHDOG=1"] * 2
    relay.process.signal(signal.SIGTERM)
    assert manager.hears_but_watchdog() == "STOPPING=1"
    assert relay.process.wait() == 0
    assert "NOTIFY_SOCKET" not in relay.process.output()


def test_a_manager_that_has_gone_is_told_once_and_it_serves(workspace: Workspace, dns: SilentInjector) -> None:
    path = workspace.fresh("notify")
    manager = Manager(path)
    environment = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "30000"}
    relay = Relay(workspace, config_text(dns.server), environment=environment)
    assert manager.hears() == "READY=1"
    manager.socket.close()
    wait_until(lambda: "is not notified" in relay.process.output(), "it to notice")
    path.unlink()
    relay.process.signal(signal.SIGHUP)
    wait_until(lambda: "configuration reloaded" in relay.process.output(), "the reload")
    assert relay.challenge("good.test").location == GOOD
    # It is back, and hears what it has missed.
    manager = Manager(path)
    assert manager.hears_but_watchdog() == "READY=1"
    assert manager.hears() == "WATCHDOG=1"
    assert relay.terminate() == 0
    (line,) = [line for line in relay.process.output().splitlines() if "NOTIFY_SOCKET" in line]
    assert f"level=warning message=\"NOTIFY_SOCKET: {path}: Connection refused; the service manager" in line


@pytest.mark.parametrize(
    ("name", "why"),
    [("vsock:2:1234", "is neither a path nor @NAME"), ("/nonexistent/notify", ": No such file or directory")],
)
def test_a_manager_that_never_was_is_told_once_and_it_serves(
    workspace: Workspace, dns: SilentInjector, name: str, why: str
) -> None:
    environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000"}
    relay = Relay(workspace, config_text(dns.server), environment=environment)
    assert relay.challenge("good.test").location == GOOD
    relay.process.signal(signal.SIGHUP)
    wait_until(lambda: "configuration reloaded" in relay.process.output(), "the reload")
    assert relay.terminate() == 0
    (line,) = [line for line in relay.process.output().splitlines() if "NOTIFY_SOCKET" in line]
    assert "level=warning" in line and name in line and why in line


def test_a_manager_that_does_not_read_holds_nothing_up(workspace: Workspace, dns: SilentInjector) -> None:
    manager = Manager(workspace.fresh("notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others:
        others.setblocking(False)
        others.connect(manager.name)
        filled = 0
        while True:
            try:
                others.send(b"FILL=1")
                filled += 1
            except BlockingIOError:
                break
        environment = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "30000"}
        relay = Relay(workspace, config_text(dns.server), environment=environment)
        assert relay.challenge("good.test").location == GOOD
        wait_until(lambda: "serving" in relay.process.output(), "it to serve")
        # Now it reads.
        assert [manager.hears() for _ in range(filled)] == ["FILL=1"] * filled
        assert manager.hears_but_watchdog() == "READY=1"
        assert relay.terminate() == 0


def test_only_what_serves_is_a_service(workspace: Workspace, dns: SilentInjector) -> None:
    manager = Manager(workspace.fresh("notify"))
    config = str(workspace.write("relay.toml", config_text(dns.server)))
    environment = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "20000", "HTTP01_RELAY_CONFIG": config}
    for command in (["config"], ["check", "good.test"], ["--version"]):
        run(*command, environment=environment)
    ended = subprocess.run(
        [RELAY],
        env=clean_environment(cgi_variables(CHALLENGE, "good.test") | environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=20 * SLOWNESS,
    )
    assert ended.stdout.startswith(b"Status: 307 ")
    assert manager.heard_nothing()


def test_the_watchdog_of_a_process_above_is_not_fed(workspace: Workspace, dns: SilentInjector) -> None:
    """As under multiwatch, whose processes all have its environment."""
    manager = Manager(workspace.fresh("notify"))
    environment = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": str(os.getpid())}
    relay = Relay(workspace, config_text(dns.server), environment=environment)
    assert relay.challenge("good.test").location == GOOD
    assert relay.terminate() == 0
    assert (manager.hears(), manager.hears()) == ("READY=1", "STOPPING=1")
    assert manager.heard_nothing()


def test_the_watchdog_is_fed_while_requests_are_held_and_a_stop_waits_for_them(
    workspace: Workspace, dns: SilentInjector
) -> None:
    manager = Manager(workspace.fresh("notify"))
    environment = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "1000000"}
    relay = Relay(workspace, config_text(dns.server, PATIENT), environment=environment)
    assert manager.hears() == "READY=1"
    held = hold(str(relay.address), 200, dns)
    began = time.monotonic()
    assert [manager.hears() for _ in range(2)] == ["WATCHDOG=1"] * 2
    relay.process.signal(signal.SIGTERM)
    assert manager.hears_but_watchdog() == "STOPPING=1"
    assert [manager.hears() for _ in range(2)] == ["WATCHDOG=1"] * 2
    assert time.monotonic() - began < 5 * 0.5 * SLOWNESS, "at less than half of its time"
    dns.released.set()
    assert locations(held) == [GOOD] * 200
    assert relay.process.wait() == 0


def test_a_loop_that_hangs_feeds_no_watchdog(workspace: Workspace, dns: SilentInjector) -> None:
    """The kernel's timer goes on, and so would a thread."""
    manager = Manager(workspace.fresh("notify"))
    environment = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "60000"}
    relay = Relay(workspace, config_text(dns.server), environment=environment)
    assert [manager.hears() for _ in range(2)] == ["READY=1", "WATCHDOG=1"]
    relay.process.signal(signal.SIGSTOP)
    wait_until(lambda: state_of(relay.process.pid) == "T", "it to stop")
    manager.socket.settimeout(0.02)
    with pytest.raises(TimeoutError):
        while True:
            manager.hears()
    manager.socket.settimeout(0.1)
    with pytest.raises(TimeoutError):
        manager.hears()
    manager.socket.settimeout(20 * SLOWNESS)
    relay.process.signal(signal.SIGCONT)
    assert manager.hears() == "WATCHDOG=1"
