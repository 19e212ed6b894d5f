"""Lines of the log that cannot be written: a full disk, a pipe that lost its reader, a daemon that has gone. Each is
counted, and reported once lines can be written again; none is glued to half a line; no request is lost."""

from __future__ import annotations

import fcntl
import os
import re
import resource
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import strace
from acme_clients import private_mounts
from fastcgi_client import cgi_variables
from held import SilentInjector, children
from processes import BUILD, RELAY, Process, Workspace, wait_until
from relay import CHALLENGE, Relay, clean_environment, config_text
from test_confinement import hears, syslog_fixture, syslog_socket  # the second is a fixture
from test_logs import TEXT_LINE

assert syslog_fixture

DROPPED = "relay_log_lines_dropped_total"
# A request's line that has all: whatever of it is missing, its end is.
REQUEST = re.compile(r"time=\S+Z level=info reason=.* (?:cache=(?:hit|miss)|path=/metrics .* total_ms=\d+\.\d{3})")
REPORT = re.compile(r'level=warning message="(\d+) lines? of the log (?:was|were) lost: ([^"]+)"')


@pytest.fixture(name="dns")
def dns_fixture() -> Iterator[SilentInjector]:
    with SilentInjector() as dns:
        yield dns


class Asked:
    """A relay that is asked, and what its log should have."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.requests = 0

    def ask(self, count: int = 1) -> None:
        for _ in range(count):
            self.requests += 1
            assert self.relay.challenge("app.test").status == 307

    def dropped(self) -> int:
        self.requests += 1
        return int(self.relay.metrics()[DROPPED])

    def lose(self, count: int) -> None:
        """Asks until so many lines are lost."""
        before = self.dropped()

        def lost() -> bool:
            self.ask()
            return self.dropped() >= before + count

        wait_until(lost, "lines to be lost")

    def has_lost_what_is_missing(self, *logs: Path, others: int = 0) -> list[tuple[int, str]]:
        """What is reported, once the relay has ended. So many of the lost lines were not a request's."""
        dropped = self.dropped()
        assert self.relay.terminate() == 0
        lines = [line for log in logs for line in log.read_text().splitlines()]
        assert sum(bool(REQUEST.fullmatch(line)) for line in lines) + dropped - others == self.requests
        # Half a line has an end of its own: nothing is glued to it.
        assert all(line.startswith("time=") and line.count("time=") == 1 for line in lines)
        reports = [(int(found[1]), found[2]) for line in lines if (found := REPORT.search(line))]
        assert sum(count for count, _ in reports) == dropped
        return reports


def limit_files(process: Process, size: int = -1) -> None:
    """Of its files, none may grow beyond this size."""
    _, most = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most if size < 0 else size, most))


class SizeLimit:
    """No file of the process may grow beyond a size that falls into a line."""

    WHY = "File too large"

    def __init__(self, workspace: Workspace, dns: SilentInjector) -> None:
        self.log = workspace.fresh("relay-own.log")
        self.relay = Relay(workspace, config_text(dns.server, {"log": {"target": str(self.log)}}))

    def fill(self) -> None:
        limit_files(self.relay.process, self.log.stat().st_size + 30)

    def free(self) -> None:
        limit_files(self.relay.process)


class SmallDisk:
    """A file system of 64 kB, which a file fills."""

    WHY = "No space left on device"

    def __init__(self, workspace: Workspace, dns: SilentInjector) -> None:
        unshare = private_mounts()
        if unshare is None:
            pytest.skip("no file system can be mounted here")
        disk = workspace.fresh("disk")
        disk.mkdir()
        text = config_text(dns.server, {"log": {"target": str(disk / "relay-own.log")}})
        script = f'mount -t tmpfs -o size=64k tmpfs {disk} && exec "$0" "$@"'
        self.relay = Relay(workspace, text, within=[*unshare, "/bin/sh", "-c", script])
        # Kept open: the disk goes with the relay.
        self._disk = os.open(f"/proc/{self.relay.process.pid}/root{disk}", os.O_RDONLY)
        self.log = Path(f"/proc/self/fd/{self._disk}/relay-own.log")

    def fill(self) -> None:
        with open(f"/proc/self/fd/{self._disk}/other", "wb", buffering=0) as other:
            try:
                while True:
                    other.write(b"x" * 4096)
            except OSError:
                pass

    def free(self) -> None:
        os.truncate(f"/proc/self/fd/{self._disk}/other", 0)

    def __del__(self) -> None:
        if hasattr(self, "_disk"):
            os.close(self._disk)


@pytest.mark.parametrize("disk_type", [SizeLimit, SmallDisk])
@pytest.mark.parametrize("reopen", [None, signal.SIGUSR1, signal.SIGHUP], ids=["goes on", "SIGUSR1", "SIGHUP"])
def test_the_lines_that_a_full_disk_costs_are_counted_and_reported(
    workspace: Workspace, dns: SilentInjector, disk_type: type[SizeLimit | SmallDisk], reopen: signal.Signals | None
) -> None:
    """33 lines went missing, the count stayed 0, and the next line was glued to half a line. A limit for files ended
    the process."""
    disk = disk_type(workspace, dns)
    asked = Asked(disk.relay)
    asked.ask(5)
    wait_until(lambda: disk.log.read_text().count(" reason=") == 5, "the lines of these")
    disk.fill()
    asked.lose(10)
    half = disk.log.read_text()
    assert not half.endswith("\n")
    disk.free()
    if reopen:
        disk.relay.process.signal(reopen)
        wait_until(lambda: asked.dropped() > 0, "requests to go on")
    asked.ask(3)
    wait_until(lambda: len(REPORT.findall(disk.log.read_text())) == 1, "the report")
    ((_, why),) = asked.has_lost_what_is_missing(disk.log)
    assert why == disk.WHY
    assert REPORT.search(disk.log.read_text().removeprefix(half).splitlines()[1]), "where the lines are missing"


def test_another_log_reports_what_the_one_before_has_lost(workspace: Workspace, dns: SilentInjector) -> None:
    disk = SizeLimit(workspace, dns)
    asked = Asked(disk.relay)
    asked.ask(20)
    wait_until(lambda: disk.log.read_text().count(" reason=") == 20, "the lines of these")
    disk.fill()
    asked.lose(5)
    other = workspace.fresh("other.log")
    disk.relay.config.write_text(config_text(dns.server, {"log": {"target": str(other)}}))
    disk.relay.process.signal(signal.SIGHUP)
    wait_until(lambda: other.exists() and "configuration reloaded" in other.read_text(), "the reload")
    assert REPORT.search(other.read_text().splitlines()[0])
    disk.free()
    # The old one is told where the log goes, and has no room for that either.
    assert len(asked.has_lost_what_is_missing(disk.log, other, others=1)) == 1


def test_half_a_line_is_ended_by_whichever_process_writes_next(workspace: Workspace, dns: SilentInjector) -> None:
    """Of two processes with one log, the one that had written all of its own lines glued the next to the other's."""
    disk = SizeLimit(workspace, dns)
    other = Relay(workspace, disk.relay.config.read_text())
    assert other.challenge("app.test").status == 307
    wait_until(lambda: disk.log.read_text().count(" reason=") == 1, "its line")
    disk.fill()
    Asked(disk.relay).lose(1)
    half = disk.log.read_text()
    assert not half.endswith("\n")
    assert other.challenge("app.test").status == 307
    wait_until(lambda: disk.log.read_text().count(" reason=") == 2, "the next line")
    rest = disk.log.read_text().removeprefix(half)
    assert rest.startswith("\n") and TEXT_LINE.fullmatch(rest.strip("\n"))


def test_a_write_that_fails_costs_its_lines_alone(workspace: Workspace, dns: SilentInjector) -> None:
    if "san" in BUILD.name:
        pytest.skip("a sanitizer does more than the relay")
    log = workspace.fresh("relay-own.log")
    tracer, _ = strace.command(workspace, [])
    inject: list[str | Path] = ["-P", log, "-e", "inject=write:error=EIO:when=3..5"]
    text = config_text(dns.server, {"log": {"target": str(log)}})
    relay = Relay(workspace, text, within=[*tracer, *inject])
    asked = Asked(relay)

    def reported() -> bool:
        asked.ask()
        return bool(REPORT.search(log.read_text()))

    wait_until(reported, "the report")
    dropped = asked.dropped()
    (pid,) = children(relay.process.pid)
    os.kill(pid, signal.SIGTERM)
    assert relay.process.wait(15) == 0
    written = log.read_text()
    assert REPORT.findall(written) == [(str(dropped), "Input/output error")]
    assert written.count(" reason=") + dropped == asked.requests


def test_a_pipe_without_its_reader_costs_lines_until_there_is_another(workspace: Workspace, dns: SilentInjector) -> None:
    pipe = workspace.fresh("pipe")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    relay = Relay(workspace, config_text(dns.server, {"log": {"target": str(pipe)}}))
    asked = Asked(relay)
    asked.ask(3)
    read = b""

    def has(count: int) -> bool:
        nonlocal read
        try:
            read += os.read(reader, 65536)
        except BlockingIOError:
            pass
        return read.count(b" reason=") >= count

    wait_until(lambda: has(3), "their lines")
    os.close(reader)
    asked.lose(5)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    asked.ask(2)
    wait_until(lambda: has(5), "lines in the pipe")
    dropped = asked.dropped()
    wait_until(lambda: has(asked.requests - dropped), "the last line")
    assert REPORT.findall(read.decode()) == [(str(dropped), "Broken pipe")]
    assert relay.terminate() == 0
    os.close(reader)


@pytest.mark.parametrize("reload", [True, False], ids=["another log", "stop"])
def test_a_reader_that_hangs_costs_its_lines_and_each_is_counted(
    workspace: Workspace, dns: SilentInjector, reload: bool
) -> None:
    """The log that was to replace it stayed empty, and what was held at the stop was in no counter."""
    pipe, other, state = (workspace.fresh(name) for name in ("pipe", "other.log", "state"))
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)

    def text(log: Path) -> str:
        return config_text(dns.server, {"log": {"target": str(log)}, "service": {"state_file": str(state)}})

    relay = Relay(workspace, text(pipe))
    asked = Asked(relay)
    asked.ask(100)
    if reload:
        relay.config.write_text(text(other))
        relay.process.signal(signal.SIGHUP)
        wait_until(lambda: other.exists() and "configuration reloaded" in other.read_text(), "the reload")
        asked.ask(5)
    assert relay.terminate() == 0
    lines = os.read(reader, 65536).decode().splitlines() + (other.read_text().splitlines() if reload else [])
    os.close(reader)
    dropped = Relay(workspace, text(other)).metrics()[DROPPED]
    # The pipe has room for a short line now and then: a report, or one of those that are not a request's.
    others = {"log.target: was": 2} if reload else {"event=attempt": 1, '"stopping"': 1, '"stopped"': 1}
    lost = sum(others.values()) - sum(word in line for word in others for line in lines)
    assert sum(bool(REQUEST.fullmatch(line)) for line in lines) + dropped - lost == asked.requests
    if reload:
        assert sum(int(found[1]) for line in lines if (found := REPORT.search(line))) == dropped > 0


def test_a_syslog_daemon_that_has_gone_costs_lines_until_it_is_back(
    workspace: Workspace, dns: SilentInjector, syslog: socket.socket
) -> None:
    """syslog(3) does not tell, so nothing was counted."""
    try:
        relay = Relay(workspace, config_text(dns.server, {"log": {"target": "syslog"}}))
        asked = Asked(relay)
        assert hears(syslog, b"serving")
        syslog.close()
        asked.lose(3)
        os.unlink("/dev/log")
        asked.lose(3)
        syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        syslog.bind("/dev/log")
        syslog.settimeout(10)
        dropped = asked.dropped()
        asked.ask()
        report = syslog.recv(4096).decode()
        found = re.fullmatch(
            r'<28>\w{3} [ \d]\d \d\d:\d\d:\d\d http01-relay\[(\d+)\]: message="(\d+) lines of the log were lost: '
            r'No such file or directory"',
            report,
        )
        assert found, report
        assert int(found[1]) == relay.process.pid
        assert int(found[2]) - dropped in (0, 1), "that of the last look at the counters"
        assert hears(syslog, b"reason=ok")
        assert relay.terminate() == 0
    finally:
        syslog.close()
        os.unlink("/dev/log")


def test_a_syslog_daemon_that_takes_a_stream_gets_whole_messages(workspace: Workspace, dns: SilentInjector) -> None:
    """As syslog(3) sends them: a NUL byte ends each. After a restart of the daemon the next one is whole too."""
    listener = syslog_socket(socket.SOCK_STREAM)
    try:
        listener.listen()

        def messages(count: int) -> list[bytes]:
            """Those of the next connection, up to so many of requests."""
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                octets = b""
                while octets.count(b" reason=ok ") < count or not octets.endswith(b"\0"):
                    octets += connection.recv(4096)
            return octets[:-1].split(b"\0")

        relay = Relay(workspace, config_text(dns.server, {"log": {"target": "syslog"}}))
        asked = Asked(relay)
        asked.ask(3)
        form = re.compile(rb"<\d+>\w{3} [ \d]\d [\d:]{8} http01-relay\[\d+\]: [^\0\n]+")
        heard = messages(3)
        asked.ask(2)
        heard += messages(2)
        assert all(form.fullmatch(message) for message in heard), heard
        assert sum(b" reason=ok " in message for message in heard) == 5
        assert asked.dropped() == 0
        assert relay.terminate() == 0
    finally:
        listener.close()
        os.unlink("/dev/log")


def test_under_cgi_a_lost_line_is_counted_and_half_a_line_is_ended_by_the_next(
    workspace: Workspace, dns: SilentInjector
) -> None:
    log, state = workspace.fresh("relay-own.log"), workspace.fresh("state")
    text = config_text(dns.server, {"log": {"target": str(log)}, "service": {"state_file": str(state)}})
    config = workspace.write("cgi.toml", text)
    environment = clean_environment(cgi_variables(CHALLENGE, "app.test") | {"HTTP01_RELAY_CONFIG": str(config)})

    def answers(*command: str) -> bool:
        ended = subprocess.run(
            [*command, RELAY], stdin=subprocess.DEVNULL, capture_output=True, check=False, env=environment
        )
        return ended.stdout.startswith(b"Status: 307 ")

    assert answers()
    size = log.stat().st_size
    assert answers("/usr/bin/prlimit", f"--fsize={size + 20}:")
    assert answers()
    first, half, third = log.read_text().splitlines()
    assert TEXT_LINE.fullmatch(first) and TEXT_LINE.fullmatch(third)
    assert len(half) == 20 and half.startswith("time=")
    assert Relay(workspace, text).metrics()[DROPPED] == 1


def test_standard_error_that_is_full_is_told_there(workspace: Workspace, dns: SilentInjector) -> None:
    relay = Relay(workspace, config_text(dns.server))
    asked = Asked(relay)
    assert relay.process.log
    wait_until(lambda: "serving" in relay.process.output(), "it to serve")
    limit_files(relay.process, relay.process.log.stat().st_size + 30)
    asked.lose(5)
    limit_files(relay.process)
    asked.ask()
    ((_, why),) = asked.has_lost_what_is_missing(relay.process.log)
    assert why == "File too large"
