#!/usr/bin/python3 -B
"""Measures how fast the relay is, against what does less, and writes build/bench.md and build/bench.svg.

Usage: tests/bench/run.py [ROW...]        (of idle socket lighttpd nginx instructions cold cache dead cgi growth)
BENCH_ROUNDS (5) and BENCH_SECONDS (2, of one measurement) make it shorter or steadier.
"""

from __future__ import annotations

import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "servers"))

import chart
import measure
import programs
import rows
from dns_servers import Nsd
from processes import BUILD, Workspace

NAMES = ("idle", "socket", "lighttpd", "nginx", "instructions", "cold", "cache", "dead", "cgi", "growth")


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cpu = models[0] if models else platform.machine()
    return f"{len(os.sched_getaffinity(0))} cores of {cpu}, Linux {platform.release()}"


def written(table: rows.Table, minutes: float) -> str:
    lines = [
        f"{time.strftime('%Y-%m-%d')}, {machine()}; {measure.ROUNDS} rounds of {measure.SECONDS} s by turns, in "
        f"{minutes:.0f} minutes; medians, and in brackets the least and the most of a round.",
        "",
        "| what | to reach | measured | reached | |",
        "|---|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in table.rows),
        "",
    ]
    return "\n".join(lines) + "\n" + "\n\n".join(table.details) + "\n"


def main() -> int:
    wanted = sys.argv[1:] or NAMES
    if unknown := set(wanted) - set(NAMES):
        print(f"no row {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}", file=sys.stderr)
        return 64
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begun = time.monotonic()
    table = rows.Table()
    workspace = Workspace()
    try:
        nsd = Nsd(workspace, programs.ZONES)
        charts = measured(wanted, workspace, nsd, table)
    except BaseException:
        print(workspace.logs()[-4000:], file=sys.stderr)
        raise
    finally:
        workspace.stop()
    text = written(table, (time.monotonic() - begun) / 60)
    (BUILD / "bench.md").write_text(text, encoding="utf-8")
    if charts:
        (BUILD / "bench.svg").write_text(chart.svg(charts), encoding="utf-8")
    print(f"\n{text}\nin {BUILD}/bench.md, the chart in {BUILD}/bench.svg")
    return 0


def measured(wanted: Sequence[str], workspace: Workspace, nsd: Nsd, table: rows.Table) -> list[chart.Chart]:
    if {"socket", "lighttpd", "nginx"} & set(wanted):
        backends = rows.Backends(workspace, nsd)
        for server in ("lighttpd", "nginx"):
            if server in wanted:
                rows.behind(workspace, backends, server, table)
        if "socket" in wanted:
            rows.on_the_socket(backends, table)
        for backend in backends.all().values():
            backend.stop()
    if "instructions" in wanted:
        rows.instructions_of_a_request(workspace, nsd, table)
    if "cold" in wanted:
        rows.cold_names(workspace, nsd, table)
    if "cache" in wanted:
        rows.cache_size(table)
    if "dead" in wanted:
        rows.dead_names(workspace, table)
    if "cgi" in wanted:
        rows.cgi(workspace, nsd, table)
    if "idle" in wanted:
        rows.idle_memory(workspace, nsd, table)
    return rows.growth(workspace, nsd, table) if "growth" in wanted else []


if __name__ == "__main__":
    sys.exit(main())
