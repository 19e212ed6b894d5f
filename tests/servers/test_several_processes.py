"""Several relays on one socket, started by spawn-fcgi and by the systemd unit that runs it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from held import GOOD, PATIENT, SilentInjector, alive, begin, children, connections_of, counted, hold, locations
from processes import RELAY, Process, Workspace, answers_at, wait_until
from relay import clean_environment, config_text
from systemd_units import Unit

PROCESSES = "http01-relay-spawn-fcgi.service"


@pytest.fixture(name="dns")
def dns_fixture() -> Iterator[SilentInjector]:
    with SilentInjector() as dns:
        yield dns


@contextmanager
def spawned(workspace: Workspace, config: Path, path: Path, count: int) -> Iterator[list[int]]:
    """spawn-fcgi -F: so many processes, of which nobody takes care but whoever reads their ids."""
    ids = workspace.fresh("pids")
    command: list[str | Path] = ["/usr/bin/spawn-fcgi", "-s", path, "-M", "0660", "-b", "4096", "-P", ids]
    command += ["-F", str(count), "--", RELAY, "-c", config]
    subprocess.run(command, check=True, capture_output=True, env=clean_environment())
    pids = [int(word) for word in ids.read_text().split()]
    try:
        yield pids
    finally:
        for pid in filter(alive, pids):
            os.kill(pid, signal.SIGKILL)


def test_of_several_processes_one_may_die(workspace: Workspace, dns: SilentInjector) -> None:
    path = workspace.fresh("relay.sock")
    address = str(path)
    state = workspace.fresh("state")
    log = workspace.fresh("relays.log")
    sections = PATIENT | {"service": {"state_file": str(state)}, "log": {"target": str(log)}}
    config = workspace.write("relay.toml", config_text(dns.server, sections))
    with spawned(workspace, config, path, 4) as pids:
        assert len(pids) == 4
        assert path.stat().st_mode & 0o777 == 0o660
        wait_until(lambda: log.exists() and log.read_text().count("serving") == 4, "all to serve")
        held = hold(address, 100, dns)
        holding = {pid: connections_of(pid, address) for pid in pids}
        assert sum(holding.values()) == 100
        victim = max(holding, key=lambda pid: holding[pid])
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: not alive(victim), "it to be dead")
        assert locations([begin(address, f"other.n{number}", number) for number in range(40)]) == [GOOD] * 40

        dns.released.set()
        answered = locations(held)
        assert answered.count(None) == holding[victim]
        assert answered.count(GOOD) == 100 - holding[victim]
        # Whichever process is asked: what all have done, the dead one too.
        for _ in range(8):
            assert counted(address, 'redirects_total{status="307"}') == 140 - holding[victim]

        dns.released.clear()
        held = hold(address, 50, dns, "held.again")
        survivors = [pid for pid in pids if pid != victim]
        for pid in survivors:
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: log.read_text().count("stopping") == 3, "all to stop")
        dns.released.set()
        assert locations(held) == [GOOD] * 50
        wait_until(lambda: not any(map(alive, survivors)), "all to end")


@pytest.fixture(name="start_unit")
def start_unit_fixture(workspace: Workspace, dns: SilentInjector) -> Callable[[], tuple[Unit, Process, str]]:
    """The unit's own commands, run as systemd would but for the confinement."""

    def start() -> tuple[Unit, Process, str]:
        directory = workspace.fresh("run")
        directory.mkdir()
        sections = PATIENT | {"service": {"state_file": str(directory / "state")}}
        config = workspace.write("relay.toml", config_text(dns.server, sections))
        changes = {
            "/run/http01-relay/": f"{directory}/",
            "/usr/bin/http01-relay": str(RELAY),
            "=/etc/http01-relay/http01-relay.toml": f"={config}",
        }
        unit = Unit(PROCESSES, changes)
        (command,) = unit.commands("ExecStart")
        process = workspace.start("unit", command, environment=clean_environment(unit.environment))
        address = str(directory / "relay.sock")
        process.wait_until_ready(lambda: answers_at(address))
        wait_until(lambda: process.output().count("serving") == 4, "all to serve")
        return unit, process, address

    return start


@contextmanager
def stopping(unit: Unit, process: Process) -> Iterator[None]:
    """As systemd does: the command, which is waited for, then the signal to whoever is there still."""
    (command,) = unit.commands("ExecStop")
    environment = clean_environment(unit.environment | {"MAINPID": str(process.pid)})
    with subprocess.Popen(command, env=environment) as told:
        yield
        process.wait()
    assert told.returncode == 0
    assert unit.all("KillSignal") == ["SIGTERM"]
    assert unit.all("KillMode") == ["control-group"]


def test_the_service_of_several_processes(
    start_unit: Callable[[], tuple[Unit, Process, str]], dns: SilentInjector
) -> None:
    unit, process, address = start_unit()
    relays = children(process.pid)
    assert len(relays) == int(unit.environment["PROCESSES"]) == 4
    assert Path(address).stat().st_mode & 0o777 == 0o660
    assert locations([begin(address, f"n{number}", number) for number in range(40)]) == [GOOD] * 40

    # One that dies is started again.
    os.kill(relays[0], signal.SIGKILL)
    wait_until(lambda: process.output().count("serving") == 5, "another one")
    relays = children(process.pid)
    assert len(relays) == 4

    # A reload reaches all of them, and ends none.
    environment = clean_environment(unit.environment | {"MAINPID": str(process.pid)})
    for command in unit.commands("ExecReload"):
        subprocess.run(command, check=True, capture_output=True, env=environment)
    wait_until(lambda: process.output().count("configuration reloaded") == 4, "all to reload")
    assert children(process.pid) == relays
    assert locations([begin(address, "after")]) == [GOOD]
    assert counted(address, 'redirects_total{status="307"}') == 41

    # A stop lets all of them finish.
    held = hold(address, 60, dns)
    with stopping(unit, process):
        wait_until(lambda: process.output().count("stopping") == 4, "all to stop")
        dns.released.set()
        assert locations(held) == [GOOD] * 60
    assert not any(map(alive, relays))


def test_a_faulty_configuration_fails_the_reload(start_unit: Callable[[], tuple[Unit, Process, str]]) -> None:
    unit, process, address = start_unit()
    Path(unit.environment["HTTP01_RELAY_CONFIG"]).write_text("[dns]\ntimout_ms = 3\n")
    environment = clean_environment(unit.environment | {"MAINPID": str(process.pid)})
    signalled, checked = (
        subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        for command in unit.commands("ExecReload")
    )
    assert (signalled.returncode, checked.returncode) == (0, 78)
    assert "timout_ms" in checked.stderr
    wait_until(lambda: process.output().count("not reloaded, the old one stays") == 4, "all to refuse it")
    assert locations([begin(address, "still")]) == [GOOD]
    with stopping(unit, process):
        pass
