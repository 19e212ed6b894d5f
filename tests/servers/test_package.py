"""The Debian package on a machine with systemd: what its installation, upgrade and removal do, and what restarts,
crashes and a faulty configuration do, and the rotation of its logs, while requests come all the time.

The package's own maintainer scripts run, by dpkg, and the units as they are shipped.
"""

from __future__ import annotations

import gzip
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import debian_package
import pytest
from debian_package import PROCESSES, SERVICE, SOCKET, Installed
from held import GOOD, begin, locations
from load import CACHED, COLD, HttpLoad, Load
from machine import Machine
from processes import BUILD, REPOSITORY, Workspace, answers_at, free_port, wait_until
from quick_dns import QuickDns
from relay import config_text
from systemd_units import Unit

pytestmark = pytest.mark.skipif("san" in BUILD.name, reason="a sanitizer does more than the units allow")

MIXED = {COLD: 1, CACHED: 1}
THREADS = 2


@pytest.fixture(name="package", scope="module")
def package_fixture(module_workspace: Workspace) -> Path:
    return debian_package.build(module_workspace)


@pytest.fixture(name="dns", scope="module")
def dns_fixture(module_workspace: Workspace) -> QuickDns:
    return QuickDns(module_workspace)


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
    load = Load(installed.address, MIXED, THREADS).start()
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
    with Load(installed.address, MIXED, THREADS) as load:
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
    with Load(installed.address, MIXED, THREADS) as load:
        load.goes_on(50)


# ---- restarts, crashes, faults


def test_ten_restarts_by_hand_lose_no_request(installed: Installed) -> None:
    installed.enable(SOCKET, SERVICE)
    with Load(installed.address, MIXED, THREADS) as load:
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
    load = Load(impatient.address, MIXED, THREADS).start()
    answered = 0
    for _ in range(8):
        wait_until(lambda: load.total() >= answered + 20, "the load to go on")
        impatient.kill()
        answered = load.total()
    wait_until(lambda: load.total() >= answered + 50, "the load to go on")
    load.stop()
    # Each thread has one request at a time. The socket stays: a connection is never refused.
    assert len(load.wrong) <= 8 * THREADS, load.wrong
    assert all("closed after" in fault or "ConnectionReset" in fault or "BrokenPipe" in fault for fault in load.wrong)
    assert impatient.states() == ["active", "active", "inactive"]


def test_several_processes_that_end_again_and_again_are_started_again(impatient: Installed) -> None:
    impatient.enable(PROCESSES)
    for _ in range(8):
        impatient.kill(PROCESSES)
    wait_until(lambda: impatient.states() == ["inactive", "inactive", "active"], "the last start")


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


# ---- logs and their rotation


class Logs:
    """A directory for logs, and logrotate.service in the machine, which there rotates nothing else."""

    def __init__(self, installed: Installed, directory: str) -> None:
        self.machine = installed.machine
        self.log = f"{directory}/relay.log"
        for other in self.machine.path("/etc/logrotate.d").iterdir():
            if other.name != "http01-relay":
                other.unlink()
        # With the niceness that it has, a busy machine would let it wait for long.
        installed.override("logrotate.service", "[Service]\nNice=0\n")
        installed.configure(config_text(installed.dns.server, {"log": {"target": self.log}}))

    def rotate(self, *, due: bool = True) -> None:
        if due:
            state = f'logrotate state -- version 2\n"{self.log}" 2020-1-1-0:0:0\n'
            self.machine.path("/var/lib/logrotate/status").write_text(state)
        self.machine.systemctl("start", "logrotate.service")

    def files(self) -> dict[str, str]:
        """Their text. Nobody reads them but their owner, to whom the directory belongs, and its group."""
        texts = {}
        for path in self.directory.glob("relay.log*") if self.directory.exists() else []:
            status = path.stat()
            assert (status.st_uid, status.st_mode & 0o137) == (self.directory.stat().st_uid, 0), path
            octets = path.read_bytes()
            text = (gzip.decompress(octets) if path.suffix == ".gz" else octets).decode()
            texts[path.name.removeprefix("relay.log")] = text
        return texts

    @property
    def directory(self) -> Path:
        return self.machine.path(self.log).parent

    def remove(self) -> None:
        for path in self.directory.glob("relay.log*"):
            path.unlink()


def rotated_twice(logs: Logs, load: Load) -> None:
    """No line is lost, and the lines after a rotation are in the new file."""
    logs.rotate(due=False)
    assert not logs.files().keys() - {""}, "it was not due"
    for number in (1, 2):
        load.goes_on(30)
        logs.rotate()
        wait_until(lambda: (logs.directory / "relay.log").exists(), "the new file")
        load.goes_on(10)
        assert set(logs.files()) == ({"", ".1"} if number == 1 else {"", ".1", ".2.gz"})
    load.stop()
    assert not load.wrong
    total = load.total()

    def lines() -> int:
        return sum(text.count(" reason=ok ") for text in logs.files().values())

    wait_until(lambda: lines() >= total, "all lines")
    assert lines() == total
    assert " reason=ok " in logs.files()[""], "in the new file too"


def a_namesake(machine: Machine) -> str:
    """A process of the relay's name, that is none of its: SIGUSR1 would end it."""
    started = "setpriv --reuid=www-data --clear-groups /tmp/http01-relay 600 >/dev/null 2>&1 & echo $!"
    return machine.run("sh", "-c", f"cp /bin/sleep /tmp/http01-relay; {started}").stdout.strip()


@pytest.mark.parametrize("units", [[SOCKET, SERVICE], [PROCESSES]], ids=["one process", "several processes"])
def test_the_log_of_a_unit_is_rotated_and_loses_no_line(installed: Installed, units: list[str]) -> None:
    logs = Logs(installed, "/var/log/http01-relay")
    logs.rotate()
    assert not logs.files(), "there is no log, and that is no fault"
    namesake = a_namesake(installed.machine)
    installed.enable(*units)
    wait_until(lambda: installed.machine.path("/run/http01-relay/relay.sock").exists(), "the socket")
    with Load(installed.address, MIXED, THREADS) as load:
        load.goes_on(30)
        main = installed.main_pid(units[-1])
        rotated_twice(logs, load)
    assert logs.directory.stat().st_mode & 0o777 == 0o750
    assert installed.main_pid(units[-1]) == main
    installed.machine.run("kill", namesake)
    logs.remove()


def test_both_units_write_to_one_log(installed: Installed) -> None:
    """Each has a user of its own; systemd hands the directory over."""
    logs = Logs(installed, "/var/log/http01-relay")
    for units in ([SOCKET, SERVICE], [PROCESSES], [SOCKET, SERVICE]):
        installed.machine.systemctl("start", *units)
        wait_until(lambda: installed.machine.path("/run/http01-relay/relay.sock").exists(), "the socket")
        with Load(installed.address, MIXED, THREADS) as load:
            load.goes_on(10)
        before = load.total()
        wait_until(lambda: logs.files()[""].count(" reason=ok ") >= before, "the lines")
        os.truncate(logs.directory / "relay.log", 0)
    logs.remove()


def test_the_log_of_a_relay_that_lighttpd_starts_is_rotated_and_loses_no_line(installed: Installed) -> None:
    machine = installed.machine
    logs = Logs(installed, "/var/log/http01-relay-lighttpd")
    made = logs.directory.stat()
    assert (made.st_uid, made.st_mode & 0o777) == (pwd.getpwnam("www-data").pw_uid, 0o750), "by the package"
    logs.rotate()
    port = free_port()
    text = (REPOSITORY / "deploy" / "lighttpd" / "http01-relay.conf").read_text()
    ipv6 = '$SERVER["socket"] == "[::]:80" { }'
    for old, new in {"0.0.0.0": "127.0.0.1", "server.port = 80": f"server.port = {port}", ipv6: ""}.items():
        assert old in text
        text = text.replace(old, new)
    machine.path("/etc/lighttpd/lighttpd.conf").write_text(text)
    machine.run("install", "-d", "-o", "www-data", "-g", "www-data", "/run/lighttpd", "/var/log/lighttpd")
    namesake = a_namesake(machine)
    machine.systemctl("start", "lighttpd")
    wait_until(lambda: answers_at(("127.0.0.1", port)), "lighttpd")
    rotated_twice(logs, HttpLoad(port, MIXED, THREADS).start())
    machine.run("kill", namesake)
    machine.systemctl("stop", "lighttpd")
