"""The systemd units, and how systemd starts the relay."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import fastcgi_client
import pytest
import strace
import systemd_units
from held import GOOD, PATIENT, SilentInjector, begin, children, hold, is_listening, locations
from processes import BUILD, RELAY, Workspace, wait_until
from relay import CHALLENGE, clean_environment, config_text, listening_socket, run, start_on_stdin
from systemd_units import Unit

SOCKET, SERVICE, PROCESSES = "http01-relay.socket", "http01-relay.service", "http01-relay-spawn-fcgi.service"
UNITS = [SOCKET, SERVICE, PROCESSES]
SERVICES = [SERVICE, PROCESSES]


@pytest.fixture(name="dns")
def dns_fixture() -> Iterator[SilentInjector]:
    with SilentInjector() as dns:
        yield dns


# ---- the units


def test_the_units_are_in_order(workspace: Workspace) -> None:
    for name in UNITS:
        paths = systemd_units.write([Unit(name) for name in UNITS], workspace.fresh("units"))
        verified = systemd_units.verify([path for path in paths if path.name == name])
        assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


def test_a_fault_in_a_unit_would_be_seen(workspace: Workspace) -> None:
    faulty = Unit(SERVICE, {"DynamicUser=yes": "DynamicUser=maybe"})
    verified = systemd_units.verify(systemd_units.write([faulty, Unit(SOCKET)], workspace.fresh("units"))[:1])
    assert "maybe" in verified.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_do_little(workspace: Workspace, name: str) -> None:
    (path,) = systemd_units.write([Unit(name)], workspace.fresh("units"))
    level = systemd_units.exposure(path)
    (BUILD / f"exposure-{name}.txt").write_text(f"{level}\n")
    assert level <= 1.5


def test_both_services_are_confined_alike() -> None:
    def confinement(unit: Unit) -> str:
        found = re.search(r"# ---- what it may do\n.*?\n\n\[Install\]", unit.text, re.DOTALL)
        assert found
        return found[0]

    assert confinement(Unit(SERVICE)) == confinement(Unit(PROCESSES))


@pytest.mark.parametrize("name", SERVICES)
def test_the_check_before_the_start_finds_faults_and_says_nothing_else(workspace: Workspace, name: str) -> None:
    unit = Unit(name)
    assert unit.all("StandardOutput") == ["null"]
    (command,) = unit.commands("ExecStartPre")
    assert command[0] == "/usr/bin/http01-relay"
    good = workspace.write("good.toml", config_text("127.0.0.1:53"))
    bad = workspace.write("bad.toml", "[dns]\ntimout_ms = 3\n")
    checked = run(*command[1:], environment={"HTTP01_RELAY_CONFIG": str(good)})
    assert (checked.returncode, checked.stderr) == (0, "")
    checked = run(*command[1:], environment={"HTTP01_RELAY_CONFIG": str(bad)})
    assert checked.returncode == 78
    assert "timout_ms" in checked.stderr
    # It counts for the main process alone, and leaves the socket's requests to start the service: test_package.py.
    assert not unit.all("RestartPreventExitStatus")


def test_what_the_relay_does_is_what_the_units_allow(workspace: Workspace, dns: SilentInjector) -> None:
    """systemd is not the first process here and confines nothing; but strace sees all that it would have to allow."""
    unit = Unit(SERVICE)
    assert Unit(PROCESSES).system_calls() == unit.system_calls()
    if "san" in BUILD.name:
        pytest.skip("a sanitizer does more than the relay")
    path = workspace.fresh("relay.sock")
    state = workspace.fresh("state")
    config = workspace.write("relay.toml", config_text(dns.server, {"service": {"state_file": str(state)}}))
    command, trace = strace.command(workspace, [RELAY, "-c", config])
    with listening_socket(path) as listener:
        traced = workspace.start("strace", command, stdin=listener, environment=clean_environment())
        wait_until(lambda: "serving" in traced.output(), "the relay to start")
        (relay,) = children(traced.pid)
        assert locations([begin(str(path), name) for name in ("good", "truncate", "servfail")])[0] == GOOD
        assert fastcgi_client.request(str(path), "/ready", host="localhost").status == 200
        assert fastcgi_client.request(str(path), "/metrics", host="localhost").status == 200
        os.kill(relay, signal.SIGHUP)
        wait_until(lambda: "configuration reloaded" in traced.output(), "the reload")
        os.kill(relay, signal.SIGTERM)
        traced.wait()

    lines = strace.calls(trace)
    calls = {match[1] for line in lines if (match := re.match(r"\d+ +(\w+)\(", line))}
    assert {"epoll_wait", "accept4", "sendto", "execve"} <= calls, calls
    assert calls <= unit.system_calls(), calls - unit.system_calls()
    families = {match[1] for line in lines if (match := re.search(r" socket\((\w+),", line))}
    assert families <= set(unit.all("RestrictAddressFamilies")[0].split()), families
    assert not [line for line in lines if "PROT_WRITE|PROT_EXEC" in line or ("mprotect" in line and "PROT_EXEC" in line)]


# ---- socket activation


@pytest.mark.parametrize("mode", [["--inetd"], []], ids=["standard-input", "LISTEN_FDS"])
def test_the_first_request_starts_the_relay(workspace: Workspace, dns: SilentInjector, mode: list[str]) -> None:
    path = workspace.fresh("relay.sock")
    config = workspace.write("relay.toml", config_text(dns.server))
    activator = workspace.start(
        "relay",
        ["/usr/bin/systemd-socket-activate", *mode, "-l", path, "-E", f"HTTP01_RELAY_CONFIG={config}", RELAY],
        environment=clean_environment(),
    )
    wait_until(lambda: is_listening(path), "the socket")
    # As much as fits; what a relay's exe is only root may look at.
    assert Path(f"/proc/{activator.pid}/comm").read_text().strip() == "systemd-socket-"
    assert fastcgi_client.request(str(path), CHALLENGE, host="good.test").location == GOOD
    assert Path(f"/proc/{activator.pid}/comm").read_text().strip() == RELAY.name
    activator.signal(signal.SIGTERM)
    assert activator.wait() == 0
    assert path.exists(), "the socket is not the relay's to remove"


def test_a_restart_loses_no_request(workspace: Workspace, dns: SilentInjector) -> None:
    path = workspace.fresh("relay.sock")
    address = str(path)
    config = workspace.write("relay.toml", config_text(dns.server, PATIENT))
    # As systemd does, the listening socket is kept open here all the time.
    with listening_socket(path) as listener:
        first = start_on_stdin(workspace, config, listener)
        held = hold(address, 80, dns)
        first.signal(signal.SIGTERM)
        wait_until(lambda: "stopping" in first.output(), "the first one to stop")
        # Nobody accepts these now.
        meanwhile = [begin(address, f"meanwhile.n{number}", number) for number in range(40)]
        second = start_on_stdin(workspace, config, listener)
        assert locations(meanwhile) == [GOOD] * 40
        assert first.running(), "it waits for what it holds"
        dns.released.set()
        assert locations(held) == [GOOD] * 80
        assert first.wait() == 0
        assert fastcgi_client.request(address, CHALLENGE, host="after.test").location == GOOD
        second.signal(signal.SIGTERM)
        assert second.wait() == 0


def test_the_listening_socket_may_be_made_to_block(workspace: Workspace, dns: SilentInjector) -> None:
    """systemd does that whenever it runs a command of a service with StandardInput=socket, ExecReload= too."""
    path = workspace.fresh("relay.sock")
    config = workspace.write("relay.toml", config_text(dns.server))
    with listening_socket(path) as listener:
        relay = start_on_stdin(workspace, config, listener)
        assert locations([begin(str(path), "before")]) == [GOOD]
        os.set_blocking(listener.fileno(), True)
        for number in range(3):
            with begin(str(path), f"after.n{number}") as connection:
                connection.socket.settimeout(5)
                assert connection.read_response().location == GOOD
            os.set_blocking(listener.fileno(), True)
        relay.signal(signal.SIGTERM)
        assert relay.wait(5) == 0


def test_a_socket_unit_that_passes_datagrams_is_refused(workspace: Workspace) -> None:
    """ListenDatagram= by mistake: told at once, not served as CGI."""
    config = workspace.write("relay.toml", config_text("127.0.0.1:53"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(str(workspace.fresh("relay.sock")))
        started = run("-c", config, stdin=datagrams)
    assert started.returncode == 64
