"""How the benchmarks measure: load from outside, processor time from /proc, everything by turns so that a noisy
machine is noisy for all."""

from __future__ import annotations

import json
import os
import re
import resource
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from processes import BUILD, Process

PROGRAMS = BUILD / "bench"

# Of one measurement; wrk takes whole seconds.
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "2"))

T = TypeVar("T")


@dataclass(frozen=True)
class Load:
    """What one load generator saw."""

    requests: int
    seconds: float
    p50_us: float = 0.0
    p99_us: float = 0.0
    cpu_us: float = 0.0  # of the program measured, a request
    server_cpu_us: float = 0.0  # of the web server before it, likewise

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def cpu_seconds(processes: Sequence[int]) -> float:
    """Processor time that all threads of these have had."""
    nanoseconds = 0
    for pid in processes:
        for task in Path(f"/proc/{pid}/task").iterdir():
            nanoseconds += int((task / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


def _with_all_descriptors() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _run(command: Sequence[str], seconds: float, *groups: Sequence[int]) -> tuple[str, list[float]]:
    """What the command printed, and the processor time that each group of processes had meanwhile."""
    before = [cpu_seconds(group) for group in groups]
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 30,
        preexec_fn=_with_all_descriptors,
    )
    return ended.stdout, [cpu_seconds(group) - had for group, had in zip(groups, before, strict=True)]


def load_command(socket: str | Path, options: Mapping[str, Any]) -> list[str]:
    return [str(PROGRAMS / "load"), str(socket)] + [
        word for name, value in options.items() for word in (f"--{name}", str(value))
    ]


def fastcgi(socket: str | Path, *, watched: Sequence[int] = (), **options: Any) -> Load:
    """FastCGI without a web server."""
    seconds = float(options.setdefault("seconds", SECONDS))
    output, (cpu,) = _run(load_command(socket, options), seconds, watched)
    seen = json.loads(output)
    assert seen["requests"] > 0 and seen["wrong"] == 0, seen
    # A request or two may be cut off at the end, and a program that closes early costs a few more.
    assert seen["lost"] <= seen["requests"] / 100, seen
    return Load(seen["requests"], seen["seconds"], seen["p50_us"], seen["p99_us"], cpu * 1e6 / seen["requests"])


def http(
    port: int, path: str, host: str, *, connections: int = 64, watched: Sequence[int] = (), server: Sequence[int] = ()
) -> Load:
    """HTTP through a web server."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "--timeout", "10s"]
    command += ["-H", f"Host: {host}", f"http://127.0.0.1:{port}{path}"]
    output, (cpu, server_cpu) = _run(command, SECONDS, watched, server)
    counted = re.search(r"(\d+) requests in ([\d.]+)(m?s)", output)
    assert counted and int(counted[1]) > 0, output
    assert "Non-2xx or 3xx" not in output, output
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    assert not errors or sum(map(int, errors.groups())) <= int(counted[1]) / 100, output
    taken = float(counted[2]) / (1000 if counted[3] == "ms" else 1)
    quantiles = {part: _microseconds(value) for part, value in re.findall(r"(50|99)%\s+([\d.]+[mu]?s)", output)}
    requests = int(counted[1])
    return Load(
        requests, taken, quantiles["50"], quantiles["99"], cpu * 1e6 / requests, server_cpu * 1e6 / requests
    )


def _microseconds(text: str) -> float:
    for unit, factor in (("us", 1.0), ("ms", 1e3), ("s", 1e6)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(text)


def by_turns(cells: Mapping[str, Callable[[], T]], rounds: int = ROUNDS) -> dict[str, list[T]]:
    """Every cell once a round, each round beginning with another one."""
    names = list(cells)
    seen: dict[str, list[T]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            seen[name].append(cells[name]())
    return seen


@dataclass(frozen=True)
class Ratio:
    """Of two cells, round by round: the median, the least, the most."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} to {self.most:.2f})"


def ratio(above: Sequence[float], below: Sequence[float]) -> Ratio:
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def rates(loads: Sequence[Load]) -> list[float]:
    return [load.rate for load in loads]


def median_rate(loads: Sequence[Load]) -> float:
    return statistics.median(rates(loads))


def children(process: Process) -> list[int]:
    """Its pid and those of the processes it has started."""
    pids = [process.pid]
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        pids += map(int, (task / "children").read_text().split())
    return pids


def resident_megabytes(process: Process) -> float:
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")
