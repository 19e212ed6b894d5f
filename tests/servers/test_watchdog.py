"""The service as it is shipped, on a machine with systemd: when it counts as started, and what happens when it hangs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import fastcgi_client
import pytest
from held import GOOD, begin, locations
from machine import Machine
from processes import BUILD, RELAY, Workspace, wait_until
from quick_dns import QuickDns
from relay import CHALLENGE, config_text
from systemd_units import SHIPPED, Unit
from test_package import PROCESSES, SERVICE, SOCKET

pytestmark = pytest.mark.skipif("san" in BUILD.name, reason="a sanitizer does more than the units allow")

SECONDS = 1.0


@pytest.fixture(name="machine")
def machine_fixture(workspace: Workspace) -> Iterator[Machine]:
    """The relay and its units, with less patience than the shipped ones have."""
    machine = Machine(workspace)
    shutil.copy(RELAY, machine.path("/usr/bin/http01-relay"))
    for name in (SOCKET, SERVICE):
        shutil.copy(SHIPPED / name, machine.path(f"/etc/systemd/system/{name}"))
    config = machine.path("/etc/http01-relay/http01-relay.toml")
    config.parent.mkdir()
    config.write_text(config_text(QuickDns(workspace).server))
    override = machine.path(f"/etc/systemd/system/{SERVICE}.d/override.conf")
    override.parent.mkdir()
    override.write_text(
        f"[Service]\nWatchdogSec={SECONDS}\nRestartSec=100ms\n"
        "ExecStopPost=+/bin/sh -c 'echo $SERVICE_RESULT >/run/result'\n"
    )
    machine.systemctl("daemon-reload")
    machine.systemctl("start", SOCKET, SERVICE)
    yield machine
    machine.stop()


def test_a_relay_that_hangs_is_ended_and_the_next_one_serves(machine: Machine) -> None:
    address = str(machine.path("/run/http01-relay/relay.sock"))
    assert fastcgi_client.request(address, CHALLENGE, host="before.test").location == GOOD
    assert machine.show(SERVICE, "ActiveState") == "active", "it has said that it is ready"
    first = machine.show(SERVICE, "MainPID")
    machine.systemctl("reload", SERVICE)
    wait_until(lambda: "configuration reloaded" in machine.journal(SERVICE), "the reload")
    assert (machine.show(SERVICE, "ActiveState"), machine.show(SERVICE, "NRestarts")) == ("active", "0")

    # Its process is there, and its loop does nothing.
    machine.systemctl("kill", "--kill-whom=main", "--signal=STOP", SERVICE)
    waiting = [begin(address, f"n{number}") for number in range(10)]
    wait_until(lambda: machine.show(SERVICE, "MainPID") not in ("0", first), "the next one")
    assert machine.path("/run/result").read_text() == "watchdog\n"
    assert locations(waiting) == [GOOD] * 10, "what it had not accepted waited at the socket"
    assert machine.show(SERVICE, "NRestarts") == "1"
    # The next one's loop feeds it, several times over.
    second = machine.show(SERVICE, "MainPID")
    fed = int(machine.show(SERVICE, "WatchdogTimestampMonotonic"))
    wait_until(lambda: int(machine.show(SERVICE, "WatchdogTimestampMonotonic")) > fed + 2e6 * SECONDS, "it to be fed")
    assert machine.show(SERVICE, "MainPID") == second


def test_the_shipped_service_has_a_watchdog_and_that_of_several_processes_has_none() -> None:
    assert (Unit(SERVICE).all("Type"), Unit(PROCESSES).all("Type")) == (["notify"], ["exec"])
    (seconds,) = Unit(SERVICE).all("WatchdogSec")
    assert int(seconds) >= 30, "ten seconds are a stop that waits"
    assert not Unit(PROCESSES).all("WatchdogSec")
