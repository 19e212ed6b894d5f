"""The rows of the table: what is measured, what is to be reached, what came out."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import instructions
import measure
import programs
from chart import Chart
from dns_servers import Nsd
from measure import SECONDS, Load, Ratio, by_turns, fastcgi, http, median_rate, rates, ratio
from processes import Process, Workspace
from programs import GOOD, HELLOS, OnSocket
from relay import CHALLENGE, config_text
from static_program import STATIC, why_not
from zones import GATEWAY

# Names that are never answered, all waiting at once.
DEAD = 5000


@dataclass
class Table:
    rows: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    def add(self, what: str, target: str, measured: str, reached: bool | None, remark: str = "") -> None:
        verdict = "" if reached is None else "yes" if reached else "**no**"
        self.rows.append((what, target, measured, verdict, remark))
        print(f"{what}: {measured} (to reach: {target or 'nothing'}) {verdict}", flush=True)

    def detail(self, title: str, cells: Mapping[str, list[Load]]) -> None:
        """The absolute figures behind a ratio, for scale."""
        lines = [
            f"{title}:",
            "",
            "| | requests/s | CPU µs a request | of the web server | p99 ms |",
            "|---|---|---|---|---|",
        ]
        for name, loads in cells.items():
            own = statistics.median(load.cpu_us for load in loads)
            server = statistics.median(load.server_cpu_us for load in loads)
            p99 = statistics.median(load.p99_us for load in loads) / 1000
            times = f"{f'{own:.1f}' if own else ''} | {f'{server:.1f}' if server else ''}"
            lines.append(f"| {name} | {median_rate(loads):,.0f} | {times} | {p99:.2f} |")
        self.details.append("\n".join(lines))


def best_hello(cells: Mapping[str, list[Load]]) -> str:
    return max(HELLOS, key=lambda name: median_rate(cells[name]))


def cpu_of(loads: list[Load]) -> float:
    """Processor time of a request, of the program and of the web server before it."""
    return statistics.median(load.cpu_us + load.server_cpu_us for load in loads)


def cpu_remark(mine: list[Load], theirs: list[Load]) -> str:
    return f"CPU of a request: {cpu_of(mine):.1f} and {cpu_of(theirs):.1f} µs"


def cached_config(nsd: Nsd) -> str:
    """What is in the cache stays there: a look-up now and then would be noise, and thousands of requests that
    wait for it more than one client may have."""
    return config_text(f"127.0.0.1:{nsd.port}", {"cache": {"max_ttl_s": 3600}})


class Backends:
    """A relay and every kind of hello, each with a socket."""

    def __init__(self, workspace: Workspace, nsd: Nsd) -> None:
        self.relay = programs.relay(workspace, cached_config(nsd))
        self.hellos = {name: programs.hello(workspace, arguments) for name, arguments in HELLOS.items()}

    def all(self) -> dict[str, OnSocket]:
        return {"relay": self.relay, **self.hellos}


def idle_memory(workspace: Workspace, nsd: Nsd, table: Table) -> None:
    relay = programs.relay(workspace, cached_config(nsd))
    fastcgi(relay.path, connections=1, requests=1, host=GOOD)
    megabytes = measure.resident_megabytes(relay.processes[0])
    table.add("RSS idle, one process", "≤ 8 MB", f"{megabytes:.1f} MB", megabytes <= 8)
    relay.stop()


def on_the_socket(backends: Backends, table: Table) -> None:
    def cell(backend: OnSocket, keep: int = 0) -> Callable[[], Load]:
        return lambda: fastcgi(backend.path, host=GOOD, keep=keep, watched=backend.pids)

    cells = {name: cell(backend) for name, backend in backends.all().items()}
    cells["relay, kept connections"] = cell(backends.relay, keep=1)
    seen = by_turns(cells)
    table.detail("On the socket, 64 connections", seen)
    four = "hello, 4 threads"
    against = ratio(rates(seen["relay"]), rates(seen[four]))
    table.add(
        "cached redirect on the bare socket, relay / hello with 4 threads",
        "≥ 1.4",
        str(against),
        against.median >= 1.4,
        cpu_remark(seen["relay"], seen[four]),
    )
    best = best_hello(seen)
    against = ratio(rates(seen["relay"]), rates(seen[best]))
    table.add(f"the same / the best hello ({best})", "", str(against), None, cpu_remark(seen["relay"], seen[best]))


def behind(workspace: Workspace, backends: Backends, server: str, table: Table) -> None:
    start = {"lighttpd": programs.lighttpd_fastcgi, "nginx": programs.nginx_fastcgi}[server]
    redirect = {"lighttpd": programs.lighttpd_redirect, "nginx": programs.nginx_redirect}[server]

    def cell(started: tuple[Process, int], pids: list[int]) -> Callable[[], Load]:
        process, port = started
        return lambda: http(port, CHALLENGE, GOOD, watched=pids, server=measure.children(process))

    cells = {name: cell(start(workspace, backend.path), backend.pids) for name, backend in backends.all().items()}
    if server == "nginx":
        keeping = programs.nginx_fastcgi(workspace, backends.relay.path, keep=True)
        cells["relay, fastcgi_keep_conn"] = cell(keeping, backends.relay.pids)
    cells["its own redirect"] = cell(redirect(workspace), [])
    seen = by_turns(cells)
    table.detail(f"Through {server}, 64 clients", seen)
    best = best_hello(seen)
    against = ratio(rates(seen["relay"]), rates(seen[best]))
    table.add(
        f"cached redirect through {server}, relay / the best hello ({best})",
        "≥ 1.0",
        str(against),
        against.median >= 1.0,
        cpu_remark(seen["relay"], seen[best]),
    )
    if server == "nginx":
        kept = seen["relay, fastcgi_keep_conn"]
        keep = ratio(rates(kept), rates(seen["relay"]))
        table.add(
            "nginx with `fastcgi_keep_conn` / without",
            "≥ 1.6",
            str(keep),
            keep.median >= 1.6,
            cpu_remark(kept, seen["relay"]),
        )
    fastest = "relay, fastcgi_keep_conn" if server == "nginx" else "relay"
    own = ratio(rates(seen[fastest]), rates(seen["its own redirect"]))
    hello = ratio(rates(seen[best]), rates(seen["its own redirect"]))
    table.add(
        f"{fastest} / {server}'s own static redirect",
        "as close as it gets",
        str(own),
        None,
        f"the best hello: {hello.median:.2f}",
    )


def instructions_of_a_request(workspace: Workspace, nsd: Nsd, table: Table) -> None:
    config = workspace.write("relay.toml", cached_config(nsd))
    profile = instructions.of_one_request(workspace, config)
    count = instructions.MANY - instructions.FEW
    own = instructions.own(profile) / count
    table.add(
        "instructions of a cached request in the relay's own code, with C++ libraries, without libc",
        "≤ 15 000",
        f"{own:,.0f}",
        own <= 15_000,
        f"{profile.allocations / count:.0f} allocations",
    )
    lines = ["Instructions of a cached request:", "", "| where | instructions |", "|---|---|"]
    for name, value in profile.by_object.most_common(5):
        lines.append(f"| {name.rsplit('/', 1)[-1]} | {value / count:,.0f} |")
    table.details.append("\n".join(lines))


def cold_names(workspace: Workspace, nsd: Nsd, table: Table) -> None:
    for behind_it, what in ((None, "that has the names itself"), (nsd, "that asks nsd")):
        resolver, port = programs.unbound(workspace, behind_it)
        relay = programs.relay(workspace, config_text(f"127.0.0.1:{port}", {"gateways": {"fallback": GATEWAY}}))
        ratios, names = [], []
        for turn in range(measure.ROUNDS):
            theirs = measure.cpu_seconds([resolver.pid])
            load = fastcgi(relay.path, host=f"n{{n}}.r{turn}.cold.bench.test", watched=relay.pids)
            theirs = measure.cpu_seconds([resolver.pid]) - theirs
            ratios.append(load.cpu_us * load.requests / 1e6 / theirs)
            names.append(load.rate)
        spread = Ratio(statistics.median(ratios), min(ratios), max(ratios))
        table.add(
            f"cold names, CPU of relay / CPU of an unbound {what}",
            "≤ 1.0",
            str(spread),
            spread.median <= 1.0,
            f"{statistics.median(names):,.0f} names/s",
        )
        relay.stop()
        resolver.stop()


def cache_size(table: Table) -> None:
    seen = by_turns({"": lambda: json.loads(subprocess.check_output([measure.PROGRAMS / "cache_size"]))}, 3)[""]
    octets = statistics.median(one["octets_each"] for one in seen)
    small = statistics.median(one["lookup_ns_1000"] for one in seen)
    large = statistics.median(one["lookup_ns_1000000"] for one in seen)
    table.add("a million names in the cache, memory", "≤ 300 bytes each", f"{octets:.0f} bytes each", octets <= 300)
    table.add(
        "the time of a look-up there / among 1000",
        "≤ 2",
        f"{large / small:.2f}",
        large / small <= 2,
        f"{large:.0f} and {small:.0f} ns",
    )


def dead_names(workspace: Workspace, table: Table) -> None:
    relay = programs.relay(
        workspace, config_text(f"127.0.0.1:{programs.dns_server(workspace)}", {"gateways": {"fallback": GATEWAY}})
    )

    def good(kind: str, turn: int) -> Load:
        host = GOOD if kind == "cached" else f"n{{n}}.{kind}{turn}.good.test"
        return fastcgi(relay.path, connections=2, pause=1000, host=host, seconds=2 * SECONDS)

    without: dict[str, list[Load]] = {"cached": [], "looked up": []}
    among: dict[str, list[Load]] = {"cached": [], "looked up": []}
    for turn in range(measure.ROUNDS):
        for name, loads in without.items():
            loads.append(good(name.replace(" ", "-"), 2 * turn))
        # Spread over the deadline, after which each gives way to the next.
        options = {"connections": DEAD, "ramp": 4, "seconds": 120, "status": 504}
        command = measure.load_command(relay.path, options | {"host": "n{n}.dead{g}.test", "client": "10.0.{g}.1"})
        crowd = workspace.start("load", command)
        programs.wait_for_in_flight(relay.path, DEAD)
        for name, loads in among.items():
            loads.append(good(name.replace(" ", "-"), 2 * turn + 1))
        crowd.stop()
        programs.wait_for_in_flight(relay.path, 0)
    for name in without:
        with_them = [load.p99_us for load in among[name]]
        alone = [load.p99_us for load in without[name]]
        p99 = ratio(with_them, alone)
        table.add(
            f"p99 of a good name ({name}) while {DEAD} dead ones wait / without them",
            "≤ 2",
            str(p99),
            p99.median <= 2,
            f"{statistics.median(with_them) / 1000:.2f} and {statistics.median(alone) / 1000:.2f} ms",
        )
    relay.stop()


def cgi(workspace: Workspace, nsd: Nsd, table: Table) -> None:
    what = "CGI, the static program / a static C program that looks nothing up, through the same lighttpd"
    if reason := why_not():
        table.add(what, "≥ 0.7", "not measured", None, reason)
        return
    config = workspace.write("relay.toml", cached_config(nsd))
    ports = {
        "relay": programs.lighttpd_cgi(workspace, STATIC, config)[1],
        "C program": programs.lighttpd_cgi(workspace, measure.PROGRAMS / "hello_cgi", config)[1],
    }
    seen = by_turns({name: _cgi_cell(port) for name, port in ports.items()})
    table.detail("CGI through lighttpd, 8 clients", seen)
    against = ratio(rates(seen["relay"]), rates(seen["C program"]))
    table.add(what, "≥ 0.7", str(against), against.median >= 0.7)


def _cgi_cell(port: int) -> Callable[[], Load]:
    return lambda: http(port, CHALLENGE, GOOD, connections=8)


def growth(workspace: Workspace, nsd: Nsd, table: Table) -> list[Chart]:
    counts = (1, 2, 4, 8)
    several = {count: programs.relay(workspace, cached_config(nsd), count) for count in counts}

    def on_socket(count: int, connections: int, keep: int) -> Callable[[], Load]:
        return lambda: fastcgi(several[count].path, host=GOOD, connections=connections, keep=keep)

    def cells(keep: int) -> dict[str, Callable[[], Load]]:
        return {str(count): on_socket(count, 64, keep) for count in counts}

    by_processes = {"bare socket": by_turns(cells(0), 3), "kept connections": by_turns(cells(1), 3)}
    connections = (10, 50, 100, 500, 1000, 2000, 5000)
    port = programs.lighttpd_fastcgi(workspace, several[1].path)[1]
    by_connections = {
        "bare socket": by_turns({str(n): on_socket(1, n, 0) for n in connections}, 3),
        "through lighttpd": by_turns({str(n): _http_cell(port, n) for n in connections}, 3),
    }
    for programs_on_socket in several.values():
        programs_on_socket.stop()
    charts = [
        Chart("Requests/s by processes, 64 connections", "processes", counts, _medians(by_processes)),
        Chart("Requests/s by connections, one process", "connections", connections, _medians(by_connections)),
    ]
    for chart in charts:
        for name, line in chart.lines.items():
            least = min(line) / max(line)
            table.add(
                f"requests/s with {chart.marks[0]} to {chart.marks[-1]} {chart.across}, {name}: least / most",
                "no cliff",
                f"{least:.2f}",
                None,
                ", ".join(f"{mark}: {value:,.0f}" for mark, value in zip(chart.marks, line, strict=True)),
            )
    return charts


def _http_cell(port: int, connections: int) -> Callable[[], Load]:
    return lambda: http(port, CHALLENGE, GOOD, connections=connections)


def _medians(lines: Mapping[str, Mapping[str, list[Load]]]) -> dict[str, list[float]]:
    return {name: [median_rate(loads) for loads in cells.values()] for name, cells in lines.items()}
