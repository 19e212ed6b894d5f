"""Mixed traffic and faults for as long as $SOAK_MINUTES says, or some seconds: nothing grows, nothing leaks, and the
relay has counted exactly what it was sent."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from crowd import Crowd, many_descriptors
from fastcgi_client import BEGIN_REQUEST, Address, begin, record
from load import CACHED, COLD, GOOD, Kind, Load
from processes import BUILD, REPOSITORY, SLOWNESS, Workspace, descriptors_of, wait_until
from quick_dns import QuickDns
from relay import CHALLENGE, Relay, config_text

pytestmark = pytest.mark.serial

MINUTES = float(os.environ.get("SOAK_MINUTES", "0"))
SECONDS = MINUTES * 60 or 20.0
# By then all that is kept has its size.
WARM_AFTER = min(60.0, SECONDS / 3)

TRAFFIC = {
    COLD: 6,
    CACHED: 12,
    Kind("n{n}.double.s{n}.test", 307, "ok", location=GOOD): 1,
    Kind("n{n}.wrong-id.s{n}.test", 307, "ok", location=GOOD): 1,
    Kind("n{n}.wrong-question.s{n}.test", 307, "ok", location=GOOD): 1,
    Kind("n{n}.tsig.s{n}.test", 307, "ok", location=GOOD): 1,
    Kind("n{n}.chain-option.s{n}.test", 307, "ok", location=GOOD): 1,
    Kind("n{n}.nxdomain.s{n}.test", 404, "txt-missing"): 2,
    Kind("n{n}.nodata.s{n}.test", 404, "txt-missing"): 1,
    Kind("n{n}.servfail.s{n}.test", 503, "dns-failure"): 2,
    Kind("n{n}.refused.s{n}.test", 503, "dns-failure"): 1,
    Kind("n{n}.lame.s{n}.test", 503, "dns-failure"): 1,
    Kind("n{n}.cut.s{n}.test", 503, "dns-failure"): 1,
    Kind("n{n}.pointer-bomb.s{n}.test", 503, "dns-failure"): 1,
    Kind("n{n}.truncate.s{n}.test", 503, "dns-failure"): 1,  # nobody is there over TCP
    Kind("n{n}.txt-bomb.s{n}.test", 502, "txt-malformed"): 1,
    Kind("n{n}.many-records.s{n}.test", 502, "txt-malformed"): 1,
    Kind("n{n}_.test", 400, "bad-host"): 1,
    Kind("n{n}.dstack-prod5.phala.network", 421, "gateway-name"): 1,
    Kind("n{n}.cold.test", 404, "bad-token", path=CHALLENGE + "/../x"): 1,
    Kind("n{n}.cold.test", 405, "bad-method", method="POST"): 1,
    Kind("in-use.kept.test", 414, "too-long", path="/" + "x" * 3000): 1,
    Kind("in-use.kept.test", 307, "ok", path="/a?b", location="https://in-use.kept.test/a?b"): 1,
    Kind("localhost", 200, "ok", path="/health"): 1,
    Kind("localhost", 200, "ok", path="/"): 1,
}  # fmt: skip
# Each holds its thread for as long as a request may take.
SILENT = {Kind("n{n}.drop.s{n}.test", 504, "dns-timeout"): 1}

# The relay's own, which are no decisions.
PAGES = ("/", "/health")

NO_REQUESTS = (b"", b"\1", b"GET / HTTP/1.0\r\n\r\n", begin() + b"\1\4\0\1", record(BEGIN_REQUEST, b"\0\1"), b"\0" * 64)


class Strangers(threading.Thread):
    """Connections that are no requests, ten times a second, from begin to end."""

    def __init__(self, address: Address) -> None:
        super().__init__(daemon=True)
        self._address = address
        self.done = threading.Event()
        self.count = 0

    def run(self) -> None:
        while not self.done.is_set():
            with Crowd(self._address) as crowd:
                for octets in NO_REQUESTS * 3:
                    crowd.join(octets)
                    self.count += 1
                crowd.read(0.1)  # and some are hung up on by this side
                self.done.wait(0.1)


def resident_kb(pid: int) -> int:
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1])


def path_label(kind: Kind) -> str:
    if kind.path.startswith("/.well-known/acme-challenge/"):
        return "/.well-known/acme-challenge/*"
    return kind.path if kind.path in PAGES else "/*"


def expected(answered: Counter[Kind]) -> Counter[str]:
    """The samples of /metrics that this traffic makes."""
    samples: Counter[str] = Counter()
    for kind, count in answered.items():
        method, path = kind.method, path_label(kind)
        samples[f'http_requests_total{{method="{method}",path="{path}",status="{kind.status}"}}'] += count
        samples[f'http_request_duration_seconds_count{{method="{method}",path="{path}"}}'] += count
        if kind.location:
            samples[f'redirects_total{{status="{kind.status}"}}'] += count
        if kind.path not in PAGES:
            samples[f'relay_decisions_total{{reason="{kind.reason}"}}'] += count
    return samples


def test_nothing_grows_and_every_request_is_counted(workspace: Workspace) -> None:
    dns = QuickDns(workspace)
    logs = workspace.fresh("logs")
    logs.mkdir()
    log = logs / "relay.log"
    # A small cache has its size soon: what grows after that is a leak.
    sections = {"cache": {"entries": 2000}, "log": {"target": str(log)}, "limits": {"in_flight_per_client": 1000}}
    relay = Relay(workspace, config_text(dns.server, sections))
    pid = relay.process.pid
    # The log is opened before other things are.
    wait_until(lambda: log.exists() and "message=\"serving " in log.read_text(), "it to serve")
    descriptors = len(descriptors_of(pid))

    began = time.monotonic()
    strangers = Strangers(relay.address)
    memory: list[tuple[float, int]] = []
    warm = 0
    reloads = rotations = 0
    with many_descriptors(), Load(relay.address, TRAFFIC) as load, Load(relay.address, SILENT, threads=16) as silent:
        strangers.start()
        while (passed := time.monotonic() - began) < SECONDS:
            load.goes_on(20)
            if passed >= WARM_AFTER and not warm:
                warm = resident_kb(pid)
            if passed >= (reloads + 1) * SECONDS / 20:
                relay.process.signal(signal.SIGHUP)
                reloads += 1
                memory.append((passed, resident_kb(pid)))
            if passed >= (rotations + 0.5) * SECONDS / 10:
                log.rename(logs / f"relay.log.{rotations}")
                relay.process.signal(signal.SIGUSR1)
                wait_until(log.exists, "the new log")
                rotations += 1
            assert not load.wrong and not silent.wrong
        at_end = resident_kb(pid)
        strangers.done.set()
        strangers.join(30)
    answered = load.answered + silent.answered

    wait_until(lambda: len(descriptors_of(pid)) <= descriptors, "the descriptors to be free", 10)
    sample = relay.metrics()
    counted = {
        name: value
        for name, value in sample.items()
        if name.startswith(("http_requests_total", "http_request_duration_seconds_count", "redirects_", "relay_decisions"))
        and "/metrics" not in name
        and value
    }
    assert counted == dict(expected(answered))
    looked_up = sum(value for name, value in sample.items() if name.startswith("dns_lookups_total"))
    timed = sum(value for name, value in sample.items() if name.startswith("dns_lookup_duration_seconds_count"))
    assert looked_up == timed
    assert (sample["http_requests_in_flight"], sample["dns_in_flight"]) == (0, 0)
    assert relay.terminate() == 0
    # The page itself was asked for once.
    lines = sum(path.read_text().count("reason=") for path in logs.iterdir())
    assert lines + sample["relay_log_lines_dropped_total"] == answered.total() + 1

    report = (
        f"{time.monotonic() - began:.0f} s, {answered.total()} requests of {len(answered)} kinds,"
        f" {strangers.count} connections that were none, {reloads} reloads, {rotations} log files:"
        f" RSS {warm} kB after {WARM_AFTER:.0f} s, {at_end} kB at the end"
    )
    (BUILD / "soak.txt").write_text(report + "\n" + "".join(f"{at:.0f} s: {kb} kB\n" for at, kb in memory))
    print(report)
    if SLOWNESS == 1:  # a sanitizer keeps what was freed
        assert at_end - warm <= 5 * 1024, report
