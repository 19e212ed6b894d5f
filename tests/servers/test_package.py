"""The Debian package on a machine with systemd: what its installation, upgrade and removal do, and what restarts,
crashes and a faulty configuration do, while requests come all the time.

The package's own maintainer scripts run, by dpkg, and the units as they are shipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import debian_package
import pytest
from held import GOOD, begin, locations
from load import CACHED, COLD, Load
from machine import Machine
from processes import BUILD, Workspace, wait_until
from quick_dns import QuickDns
from relay import config_text
from systemd_units import Unit

pytestmark = pytest.mark.skipif("san" in BUILD.name, reason="a sanitizer does more than the units allow")

SOCKET, SERVICE, PROCESSES = "http01-relay.socket", "http01-relay.service", "http01-relay-spawn-fcgi.service"
CONFIG = "/etc/http01-relay/http01-relay.toml"
MIXED = {COLD: 1, CACHED: 1}


@pytest.fixture(name="package", scope="module")
def package_fixture(module_workspace: Workspace) -> Path:
    return debian_package.build(module_workspace)


@pytest.fixture(name="dns", scope="module")
def dns_fixture(module_workspace: Workspace) -> QuickDns:
    return QuickDns(module_workspace)


class Installed:
    """The package on a machine, with a configuration that asks the tests' name server."""

    def __init__(self, machine: Machine, package: Path, dns: QuickDns) -> None:
        self.machine = machine
        machine.path("/root/http01-relay.deb").write_bytes(package.read_bytes())
        self.install()
        self.good = config_text(dns.server)
        self.configure(self.good)

    @property
    def address(self) -> str:
        return str(self.machine.path("/run/http01-relay/relay.sock"))

    def install(self) -> None:
        """Where it is installed already, this is an upgrade to dpkg and to the scripts."""
        self.machine.run("dpkg", "--no-triggers", "--install", "/root/http01-relay.deb")

    def configure(self, text: str) -> None:
        self.machine.path(CONFIG).write_text(text)

    def enable(self, *units: str) -> None:
        self.machine.systemctl("enable", "--now", *units)

    def states(self) -> list[str]:
        return [self.machine.show(unit, "ActiveState") for unit in (SOCKET, SERVICE, PROCESSES)]

    def main_pid(self, unit: str = SERVICE) -> int:
        return int(self.machine.show(unit, "MainPID"))

    def override(self, unit: str, text: str) -> None:
        """As `systemctl edit` does it; `systemctl revert` takes it back."""
        path = self.machine.path(f"/etc/systemd/system/{unit}.d/override.conf")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.machine.systemctl("daemon-reload")

    def kill(self, unit: str = SERVICE) -> None:
        """As an out-of-memory killer would. It returns when another main process runs."""
        pid = self.main_pid(unit)
        self.machine.systemctl("kill", "--kill-whom=main", "--signal=KILL", unit)
        wait_until(lambda: self.main_pid(unit) not in (0, pid), "the next start")


@pytest.fixture(name="machine")
def machine_fixture(workspace: Workspace) -> Iterator[Machine]:
    machine = Machine(workspace)
    yield machine
    machine.stop()


@pytest.fixture(name="shared", scope="module")
def shared_fixture(module_workspace: Workspace, package: Path, dns: QuickDns) -> Iterator[Installed]:
    machine = Machine(module_workspace)
    yield Installed(machine, package, dns)
    machine.stop()


@pytest.fixture(name="impatient")
def impatient_fixture(installed: Installed) -> Iterator[Installed]:
    """Both services are tried again at once, so that a loop takes a second and not a minute."""
    for unit in (SERVICE, PROCESSES):
        installed.override(unit, "[Service]\nRestartSec=100ms\n")
    yield installed
    installed.machine.systemctl("revert", SERVICE, PROCESSES)


@pytest.fixture(name="installed")
def installed_fixture(shared: Installed) -> Iterator[Installed]:
    """Nothing is enabled or runs."""
    yield shared
    shared.configure(shared.good)
    shared.machine.systemctl("disable", "--now", SOCKET, SERVICE, PROCESSES)
    shared.machine.systemctl("reset-failed")


# ---- the package


def test_an_installation_starts_nothing_and_a_purge_leaves_nothing(
    machine: Machine, package: Path, dns: QuickDns
) -> None:
    installed = Installed(machine, package, dns)
    assert installed.states() == ["inactive"] * 3
    enabled = machine.systemctl("is-enabled", SOCKET, SERVICE, PROCESSES, check=False)
    assert enabled.split() == ["disabled"] * 3
    installed.enable(SOCKET, SERVICE)
    load = Load(installed.address, MIXED).start()
    load.goes_on(50)
    assert not load.wrong
    machine.run("dpkg", "--remove", "http01-relay")
    load.stop()
    assert installed.states() == ["inactive"] * 3, "no request has started it again"
    assert not machine.path("/run/http01-relay/relay.sock").exists()
    machine.run("dpkg", "--purge", "http01-relay")
    assert machine.run("find", "/etc", "/var/log", "/var/lib/systemd", "-name", "*http01-relay*").stdout == ""


@pytest.mark.parametrize(
    "enabled", [[SOCKET, SERVICE], [SERVICE], [SOCKET]], ids=["both", "the service alone", "the socket alone"]
)
def test_an_upgrade_loses_no_request(installed: Installed, enabled: list[str]) -> None:
    installed.enable(*enabled)
    with Load(installed.address, MIXED) as load:
        load.goes_on(50)
        before = installed.main_pid()
        installed.install()
        load.goes_on(50)
        assert installed.main_pid() not in (0, before), "it was restarted"
        assert installed.states() == ["active", "active", "inactive"]


def test_an_upgrade_restarts_several_processes_and_starts_nothing_else(installed: Installed) -> None:
    installed.enable(PROCESSES)
    before = installed.main_pid(PROCESSES)
    installed.install()
    assert installed.main_pid(PROCESSES) not in (0, before)
    assert installed.states() == ["inactive", "inactive", "active"]
    wait_until(lambda: installed.machine.path("/run/http01-relay/relay.sock").exists(), "spawn-fcgi's socket")
    with Load(installed.address, MIXED) as load:
        load.goes_on(50)


# ---- restarts, crashes, faults


def test_ten_restarts_by_hand_lose_no_request(installed: Installed) -> None:
    installed.enable(SOCKET, SERVICE)
    with Load(installed.address, MIXED) as load:
        for _ in range(10):
            load.goes_on(20)
            installed.machine.systemctl("restart", SERVICE)
        load.goes_on(50)
    assert installed.states() == ["active", "active", "inactive"]


def test_six_restarts_of_the_socket_or_of_several_processes_take_nothing_down(installed: Installed) -> None:
    installed.enable(SOCKET, SERVICE)
    for _ in range(6):
        installed.machine.systemctl("restart", SOCKET, SERVICE)
    assert installed.states() == ["active", "active", "inactive"]
    for _ in range(6):
        installed.machine.systemctl("restart", PROCESSES)
    assert installed.states() == ["inactive", "inactive", "active"]


def test_a_relay_that_crashes_again_and_again_loses_only_what_it_holds(impatient: Installed) -> None:
    impatient.enable(SOCKET, SERVICE)
    load = Load(impatient.address, MIXED).start()
    answered = 0
    for _ in range(8):
        wait_until(lambda: load.total() >= answered + 20, "the load to go on")
        impatient.kill()
        answered = load.total()
    wait_until(lambda: load.total() >= answered + 50, "the load to go on")
    load.stop()
    # Four threads have four requests at a time. The socket stays: a connection is never refused.
    assert len(load.wrong) <= 8 * 4, load.wrong
    assert all("closed after" in fault or "ConnectionReset" in fault or "BrokenPipe" in fault for fault in load.wrong)
    assert impatient.states() == ["active", "active", "inactive"]


def test_several_processes_that_end_again_and_again_are_started_again(impatient: Installed) -> None:
    impatient.enable(PROCESSES)
    for _ in range(8):
        impatient.kill(PROCESSES)
    assert impatient.states() == ["inactive", "inactive", "active"]


@pytest.mark.parametrize("checked", [True, False], ids=["by the check before the start", "by the service itself"])
def test_a_configuration_that_is_mended_serves_the_requests_that_waited(impatient: Installed, checked: bool) -> None:
    machine = impatient.machine
    impatient.enable(SOCKET, SERVICE)
    if not checked:
        impatient.override(SERVICE, "[Service]\nExecStartPre=\nRestartSec=100ms\n")
    impatient.configure("[dns]\ntimout_ms = 3\n")
    seen = machine.journal(SERVICE).count("timout_ms")
    restarted = machine.run("systemctl", "restart", SERVICE, check=False)
    assert not checked or restarted.returncode != 0, "the operator sees that at once"
    waiting = [begin(impatient.address, f"waiting.n{number}", number) for number in range(40)]
    # It is tried again and again, and no limit is reached.
    wait_until(lambda: machine.journal(SERVICE).count("timout_ms") >= seen + 8, "more tries")
    assert machine.show(SOCKET, "ActiveState") == "active"
    impatient.configure(impatient.good)
    assert locations(waiting) == [GOOD] * 40
    assert impatient.states() == ["active", "active", "inactive"]


@pytest.mark.parametrize("name", [SERVICE, PROCESSES])
def test_a_service_that_has_failed_is_tried_again_every_five_seconds(name: str) -> None:
    unit = Unit(name)
    assert (unit.all("StartLimitIntervalSec"), unit.all("RestartSec")) == (["0"], ["5"])
