"""What an operator does to a relay over the months, for as long as $SOAK_MINUTES says, or some seconds: upgrades,
reloads, kills and a disk that fills, while requests come through nginx as it is shipped. What each may lose is counted."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crowd import many_descriptors
from fastcgi_client import request as ask_relay
from front_servers import FrontServer
from load import CACHED, COLD, HttpLoad, Kind
from processes import BUILD, SLOWNESS, Process, Workspace, descriptors_of, wait_until
from quick_dns import QuickDns
from relay import config_text, listening_socket, start_on_stdin
from test_soak import resident_kb

pytestmark = [pytest.mark.serial, pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")]

SECONDS = float(os.environ.get("SOAK_MINUTES", "0")) * 60 or 8.0
THREADS = 8
HELD = Kind("n{n}.drop.s{n}.test", 504, "dns-timeout")
DISK_KB = 512
# Between what is done and the next.
PAUSE = SECONDS / 200


@pytest.fixture(name="disk")
def disk_fixture(workspace: Workspace) -> Iterator[Path]:
    """A disk that a test can fill."""
    disk = workspace.fresh("disk")
    disk.mkdir()
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", f"size={DISK_KB}k", "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no disk of its own here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["/bin/umount", "--lazy", disk], check=True)


class Operator:
    """A relay on a socket that stays, as systemd keeps it."""

    def __init__(self, workspace: Workspace, disk: Path, dns: QuickDns) -> None:
        self._workspace = workspace
        self._disk = disk
        self._sections = {
            "cache": {"entries": 2000},
            # A relay that ends waits for what it holds.
            "dns": {"timeout_ms": 300, "attempts": 2, "deadline_ms": 600},
            "log": {"target": str(disk / "relay.log")},
            "limits": {"in_flight_per_client": 1000},
            "service": {"metrics_from": ["127.0.0.0/8"], "state_file": str(workspace.fresh("state"))},
        }
        self._server = dns.server
        self._config = workspace.write("relay.toml", "")
        self.path = workspace.fresh("relay.sock")
        self.listener = listening_socket(self.path, 4096)
        self.path.chmod(0o666)
        self.log = disk / "relay.log"
        self.reloads = 0
        self._write_config()
        self.process = self._start()

    def _write_config(self) -> None:
        other_paths = ("https", "none")[self.reloads % 2]
        redirect = {"breadcrumb": False, "other_paths": other_paths}
        self._config.write_text(config_text(self._server, self._sections | {"redirect": redirect}))

    def _start(self) -> Process:
        process = start_on_stdin(self._workspace, self._config, self.listener)
        process.log, output = None, process.log
        if output:
            output.unlink()  # months of them
        return process

    def upgrade(self) -> None:
        self.process.signal(signal.SIGTERM)
        assert self.process.wait(15) == 0
        self._workspace.processes.remove(self.process)
        self.process = self._start()

    def reload(self) -> None:
        self.reloads += 1
        self._write_config()
        successes = self.sample("relay_config_last_reload_success_timestamp_seconds")
        self.process.signal(signal.SIGHUP)
        wait_until(lambda: self.sample("relay_config_last_reload_success_timestamp_seconds") > successes, "the reload")

    def kill(self) -> None:
        self.process.signal(signal.SIGKILL)
        self.process.wait()
        self._workspace.processes.remove(self.process)
        self.process = self._start()

    def fill(self, load: HttpLoad) -> None:
        """The disk is full, lines are lost; there is room again, and the log says how many were."""
        self.rotate()
        lost = self.sample("relay_log_lines_dropped_total")
        filler = self._disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                pass
        wait_until(lambda: self.sample("relay_log_lines_dropped_total") > lost, "lines to be lost")
        load.goes_on(20)
        filler.unlink()
        wait_until(lambda: "of the log were lost: No space left" in self.log.read_text(), "the log to report what was lost")

    def rotate(self) -> None:
        """As logrotate does; each line has to be a line."""
        old = self.log.with_suffix(".1")
        if self.log.exists():
            self.log.rename(old)
        self.process.signal(signal.SIGUSR1)
        wait_until(self.log.exists, "the new log")
        if old.exists():
            glued = [line for line in old.read_text().splitlines() if line.count("time=") > 1]
            assert not glued, glued[:3]
            old.unlink()

    def sample(self, name: str) -> float:
        page = ask_relay(str(self.path), "/metrics", host="127.0.0.1").text
        (value,) = (line.rsplit(" ", 1)[1] for line in page.splitlines() if line.startswith(f"{name} "))
        return float(value)


def test_what_an_operator_does_loses_almost_nothing(workspace: Workspace, disk: Path) -> None:
    operator = Operator(workspace, disk, QuickDns(workspace))
    nginx = FrontServer("nginx", workspace, str(operator.path))
    done: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    memory: list[int] = []
    began = time.monotonic()
    with many_descriptors():
        load = HttpLoad(nginx.port, {COLD: 1, CACHED: 2})
        # What is killed holds some of these.
        held = HttpLoad(nginx.port, {HELD: 1})
        work: dict[str, Callable[[], None]] = {
            "upgrade": operator.upgrade,
            "reload": operator.reload,
            "full disk": lambda: operator.fill(load),
            "kill": operator.kill,
        }
        load.start()
        held.start()
        load.goes_on(200)
        while time.monotonic() - began < SECONDS or len(done) < len(work):
            name = list(work)[done.total() % len(work)]
            before = len(load.wrong) + len(held.wrong)
            next_at = time.monotonic() + PAUSE
            work[name]()
            load.every_thread_goes_on()
            load.goes_on(50)
            wait_until(lambda next_at=next_at: time.monotonic() >= next_at, "the pause")  # type: ignore[misc]
            done[name] += 1
            held.every_thread_goes_on()
            lost[name] += len(load.wrong) + len(held.wrong) - before
            if name == "full disk":
                operator.rotate()
                memory.append(resident_kb(operator.process.pid))
        load.stop()
        held.stop()
    wrong = load.wrong + held.wrong
    report = (
        f"{time.monotonic() - began:.0f} s, {load.total() + held.total()} requests well answered;"
        f" done: {dict(done)}; lost: {dict(lost)}; RSS {min(memory)} to {max(memory)} kB"
    )
    (BUILD / "soak-operations.txt").write_text("\n".join([report, *wrong]) + "\n")
    print(report)
    # A web server that has sent a request asks again where the relay was killed over it.
    assert not [lost[name] for name in ("upgrade", "reload", "full disk") if lost[name]], (report, wrong[:5])
    assert lost["kill"] <= done["kill"], (report, wrong[:5])
    # Others may have been counted twice: by the one that was killed, and by the next.
    counted = operator.sample('redirects_total{status="307"}')
    assert load.total() <= counted <= load.total() + THREADS * done["kill"] + lost.total(), report
    assert operator.sample("relay_config_last_reload_successful") == 1
    wait_until(lambda: operator.sample("dns_in_flight") == 0, "the look-ups to end")
    if SLOWNESS == 1:
        assert max(memory) - min(memory) <= 5 * 1024, report
    wait_until(lambda: len(descriptors_of(operator.process.pid)) < 100, "the connections to be given back")
    operator.process.signal(signal.SIGTERM)
    assert operator.process.wait(15) == 0
    operator.listener.close()
