"""Counters that are true of all processes together, whichever is asked and whatever befalls them."""

from __future__ import annotations

import os
import re
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fastcgi_client
import pytest
from held import GOOD, PATIENT, SilentInjector, alive, connections_of, counted, hold, locations
from processes import RELAY, Workspace, descriptors_of, wait_until
from relay import CHALLENGE, Relay, clean_environment, config_text, run
from test_cgi import run_cgi
from test_several_processes import spawned

CHALLENGES = re.compile(r'^http_requests_total\{method="GET",path="/\.well-known/acme-challenge/\*".*\} (\d+)$', re.M)


@pytest.fixture(name="dns")
def dns_fixture() -> Iterator[SilentInjector]:
    with SilentInjector() as dns:
        yield dns


def challenges_counted(address: str) -> int:
    page = fastcgi_client.request(address, "/metrics", host="localhost").text
    return sum(int(count) for count in CHALLENGES.findall(page))


class Load:
    """Asks for challenges from several threads, and knows how many were answered whole."""

    def __init__(self, address: str, threads: int, each: int) -> None:
        self.address = address
        self.answered = 0
        self.lost = 0
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number, each)) for number in range(threads)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join()

    def _run(self, number: int, each: int) -> None:
        for count in range(each):
            # Some share a look-up, some have one of their own, some are refused without.
            host = ("same.test", f"n{number}-{count}.test", "a_b")[count % 3]
            try:
                response = fastcgi_client.request(self.address, CHALLENGE, host=host, client=f"192.0.2.{number}")
            except (ConnectionError, BlockingIOError):
                with self._lock:
                    self.lost += 1
                continue
            assert response.status in (307, 400)
            with self._lock:
                self.answered += 1


def test_right_to_the_last_request_though_processes_are_killed(workspace: Workspace, dns: SilentInjector) -> None:
    address = str(workspace.fresh("relay.sock"))
    log = workspace.fresh("relays.log")
    sections = {"service": {"state_file": str(workspace.fresh("state"))}, "log": {"target": str(log)}}
    config = workspace.write("relay.toml", config_text(dns.server, sections))
    with spawned(workspace, config, Path(address), 8) as pids:
        wait_until(lambda: log.exists() and log.read_text().count("serving") == 8, "all to serve")
        victims = pids[:3]
        with Load(address, threads=8, each=300) as load:
            for number, victim in enumerate(victims, 1):
                wait_until(lambda: load.answered >= 500 * number, "some to be answered", 60)
                os.kill(victim, signal.SIGKILL)
        assert load.answered + load.lost == 2400
        assert load.answered > 2000
        wait_until(lambda: not any(map(alive, victims)), "them to be dead")
        # A request is counted and then answered: one that was killed between the two is too many.
        for _ in range(8):
            assert load.answered <= challenges_counted(address) <= load.answered + len(victims)
        assert counted(address, "relay_processes") == 5

        # Without force there is nothing to allow for.
        before = challenges_counted(address)
        with Load(address, threads=4, each=50) as load:
            pass
        assert (load.answered, load.lost) == (200, 0)
        assert challenges_counted(address) == before + 200


def test_what_is_true_now_is_true_of_those_who_live(workspace: Workspace, dns: SilentInjector) -> None:
    address = str(workspace.fresh("relay.sock"))
    log = workspace.fresh("relays.log")
    sections = PATIENT | {"service": {"state_file": str(workspace.fresh("state"))}, "log": {"target": str(log)}}
    config = workspace.write("relay.toml", config_text(dns.server, sections))
    with spawned(workspace, config, Path(address), 3) as pids:
        wait_until(lambda: log.exists() and log.read_text().count("serving") == 3, "all to serve")
        held = hold(address, 60, dns)
        holding = {pid: connections_of(pid, address) for pid in pids}
        victim = max(holding, key=lambda pid: holding[pid])

        def shows(requests: int, processes: int) -> Callable[[], bool]:
            # What was accepted after the last question came is being read at this moment.
            return lambda: (
                counted(address, "http_requests_in_flight") == requests
                and counted(address, "dns_in_flight") == 2 * requests
                and counted(address, "relay_processes") == processes
            )

        for _ in range(6):
            wait_until(shows(60, 3), "all that wait to be counted")
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: not alive(victim), "it to be dead")
        for _ in range(6):
            wait_until(shows(60 - holding[victim], 2), "the dead one's to be gone")
        dns.released.set()
        assert locations(held).count(GOOD) == 60 - holding[victim]
        for _ in range(6):
            wait_until(shows(0, 2), "none to wait")


def test_processes_are_measured_together(workspace: Workspace, dns: SilentInjector) -> None:
    address = str(workspace.fresh("relay.sock"))
    log = workspace.fresh("relays.log")
    sections = {"service": {"state_file": str(workspace.fresh("state"))}, "log": {"target": str(log)}}
    config = workspace.write("relay.toml", config_text(dns.server, sections))
    with spawned(workspace, config, Path(address), 4) as pids:
        wait_until(lambda: log.exists() and log.read_text().count("serving") == 4, "all to serve")
        resident = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 for pid in pids)
        assert resident / 2 < counted(address, "process_resident_memory_bytes") < resident * 2
        descriptors = sum(len(descriptors_of(pid)) for pid in pids)
        assert abs(counted(address, "process_open_fds") - descriptors) < 8
        started = {counted(address, "process_start_time_seconds") for _ in range(12)}
        assert len(started) == 1, "it depends on who is asked"
        assert log.stat().st_ctime - 60 < started.pop() < log.stat().st_mtime + 1
        spent = [counted(address, "process_cpu_seconds_total") for _ in range(12)]
        assert spent == sorted(spent) and spent[0] > 0


def test_cgi_processes_count_and_show_the_sum(workspace: Workspace, dns: SilentInjector) -> None:
    sections = {"service": {"state_file": str(workspace.fresh("state"))}}
    text = config_text(dns.server, sections)
    config = str(workspace.write("cgi.toml", text))
    for number in range(5):
        assert run_cgi(config, host=f"n{number}.test")[1].status == 307
    relay = Relay(workspace, text)
    assert relay.challenge("n.test").status == 307
    for page in (run_cgi(config, "/metrics", "localhost")[1].text, relay.request("/metrics", "localhost").text):
        assert 'relay_decisions_total{reason="ok"} 6' in page.splitlines()
    assert "relay_processes 2" in run_cgi(config, "/metrics", "localhost")[1].text.splitlines()
    assert relay.metrics()["relay_processes"] == 1


def test_a_cgi_process_that_waits_is_seen_and_one_that_is_killed_is_not(
    workspace: Workspace, dns: SilentInjector
) -> None:
    text = config_text(dns.server, PATIENT | {"service": {"state_file": str(workspace.fresh("state"))}})
    variables = fastcgi_client.cgi_variables(CHALLENGE, "held.test")
    variables["HTTP01_RELAY_CONFIG"] = str(workspace.write("cgi.toml", text))
    waiting = [workspace.start("cgi", [RELAY], environment=clean_environment(variables)) for _ in range(3)]
    relay = Relay(workspace, text)

    def shows(count: int) -> Callable[[], bool]:
        return lambda: (
            (seen := relay.metrics())["http_requests_in_flight"] == count and seen["relay_processes"] == count + 1
        )

    wait_until(shows(3), "all to wait")
    waiting[0].signal(signal.SIGKILL)
    wait_until(shows(2), "the dead one to be gone")
    dns.released.set()
    assert [process.wait(20) for process in waiting[1:]] == [0, 0]
    wait_until(shows(0), "none to wait")
    assert relay.metrics()['relay_decisions_total{reason="ok"}'] == 2


@pytest.mark.parametrize("mishap", ["removed", "emptied", "cut", "garbage"])
def test_nothing_done_to_the_state_file_takes_a_process_down(
    workspace: Workspace, dns: SilentInjector, mishap: str
) -> None:
    state = workspace.fresh("state")
    relay = Relay(workspace, config_text(dns.server, {"service": {"state_file": str(state)}}))
    assert relay.challenge("n.test").status == 307
    if mishap == "removed":
        state.unlink()
    elif mishap == "garbage":
        state.write_bytes(os.urandom(state.stat().st_size))
    else:
        os.truncate(state, 0 if mishap == "emptied" else 100)

    def noticed() -> bool:
        assert relay.challenge("n.test").status == 307
        return "service.state_file" in relay.process.output()

    wait_until(noticed, "it to be noticed")
    assert relay.process.output().count("service.state_file") == 1
    before = relay.metrics()['relay_decisions_total{reason="ok"}']
    other = Relay(workspace, relay.config.read_text())
    assert other.challenge("n.test").status == 307
    assert relay.metrics()['relay_decisions_total{reason="ok"}'] == before + 1
    assert relay.terminate() == 0


def test_a_state_file_of_another_version_is_begun_anew(workspace: Workspace, dns: SilentInjector) -> None:
    state = workspace.write("state", "relaystt of another version")
    relay = Relay(workspace, config_text(dns.server, {"service": {"state_file": str(state)}}))
    assert relay.challenge("n.test").status == 307
    assert relay.metrics()['relay_decisions_total{reason="ok"}'] == 1
    wait_until(lambda: "counting starts again from 0" in relay.process.output(), "a line in the log")


def make_device(path: Path) -> None:
    """One of our own with the numbers of /dev/null."""
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root may")


def make_directory_with_a_file(path: Path) -> None:
    path.mkdir()
    (path / "precious").touch()


IN_THE_WAY: dict[str, Callable[[Path], Any]] = {
    "a device": make_device,
    "a pipe": os.mkfifo,
    "a directory": make_directory_with_a_file,
    "a file": lambda path: path.write_text("precious"),
}


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_what_is_no_state_file_stays_and_the_process_counts_alone(
    workspace: Workspace, dns: SilentInjector, what: str
) -> None:
    state = workspace.fresh("state")
    IN_THE_WAY[what](state)
    before = state.lstat()
    text = config_text(dns.server, {"service": {"state_file": str(state)}})
    relay = Relay(workspace, text)
    for number in range(3):
        assert relay.challenge(f"n{number}.test").status == 307
    assert run_cgi(str(relay.config), host="n.test")[1].status == 307
    assert relay.metrics()['relay_decisions_total{reason="ok"}'] == 3
    # The log is written in its own time, and to its end when the program ends.
    assert relay.terminate() == 0
    assert relay.process.output().count(f"service.state_file: {state}: is {what}") == 1
    after = state.lstat()
    assert (after.st_ino, after.st_mode, after.st_size) == (before.st_ino, before.st_mode, before.st_size)
    assert f"note: service.state_file: {state}: is {what}" in run("config", "-c", relay.config).stderr
