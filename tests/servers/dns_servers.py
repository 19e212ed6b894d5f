"""nsd with the zones a test gives as text, and unbound before it. Nothing leaves the machine: unbound sends
all it does not know to nsd too."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dns_message import probe
from processes import REPOSITORY, NotReady, Process, Workspace, free_port, loopback

SHIPPED_RESOLVER = REPOSITORY / "deploy" / "unbound" / "http01-relay.conf"

# The root, so that every name outside the tests' zones does not exist instead of failing.
ROOT_ZONE = """
@ SOA ns.test. admin.test. 1 3600 600 86400 0
@ NS ns.test.
ns.test. A 127.0.0.1
"""


def start_on_free_port(start: Callable[[int], Process], ready: Callable[[int], bool]) -> tuple[Process, int]:
    """Another process may take a free port before our server has it: then with the next one."""
    for attempt in range(3):
        port = free_port()
        process = start(port)
        try:
            process.wait_until_ready(lambda: ready(port))
            return process, port
        except NotReady:
            process.stop()
            if attempt == 2:
                raise
    raise AssertionError("unreachable")


class Nsd:
    """Authoritative for `zones`: origin → zone text, without $ORIGIN, $TTL, SOA and NS where it has none."""

    def __init__(self, workspace: Workspace, zones: Mapping[str, str]) -> None:
        self.zones = {".": ROOT_ZONE} | {origin: zone_text(text) for origin, text in zones.items()}

        def start(port: int) -> Process:
            self.directory = workspace.fresh("nsd")
            self.directory.mkdir()
            return workspace.start("nsd", ["/usr/sbin/nsd", "-d", "-c", self._write(self.directory, port)])

        self.process, self.port = start_on_free_port(
            start, lambda port: all(probe(port, origin, "SOA") for origin in self.zones)
        )

    def _write(self, directory: Path, port: int) -> Path:
        config = f"""
server:
    ip-address: {loopback()}@{port}
    server-count: 1
    username: ""
    chroot: ""
    database: ""
    pidfile: "{directory}/nsd.pid"
    xfrdfile: "{directory}/xfrd.state"
    zonelistfile: "{directory}/zone.list"
    xfrdir: "{directory}"
    zonesdir: "{directory}"
    hide-version: yes
    rrl-ratelimit: 0
remote-control:
    control-enable: no
"""
        for number, origin in enumerate(self.zones):
            self._write_zone(origin)
            config += f'zone:\n    name: "{origin}"\n    zonefile: "{number}.zone"\n'
        path = directory / "nsd.conf"
        path.write_text(config)
        return path

    def _write_zone(self, origin: str) -> None:
        path = self.directory / f"{list(self.zones).index(origin)}.zone"
        path.write_text(f"$ORIGIN {origin.rstrip('.')}.\n$TTL 1\n{self.zones[origin]}")

    def change(self, zones: Mapping[str, str]) -> None:
        """Other texts for some zones, soon: nsd reads them when it has time."""
        for origin, text in zones.items():
            self.zones[origin] = zone_text(text)
            self._write_zone(origin)
        self.process.popen.send_signal(signal.SIGHUP)


def zone_text(records: str) -> str:
    """The records with an SOA and an NS before them. Its times are 0: what is not there is asked again."""
    if re.search(r"\bSOA\b", records):
        return records
    return f"@ SOA ns.test. admin.test. 1 3600 600 86400 0\n@ NS ns.test.\n{records}\n"


class Unbound:
    """The resolver that is shipped, at an address of the test's own. It asks nsd, or `forward` (zone → port) for its
    zones; `options` are of [server] and count more than the shipped ones."""

    def __init__(
        self, workspace: Workspace, nsd: Nsd, forward: Mapping[str, int] | None = None, options: Sequence[str] = ()
    ) -> None:
        stubs = {zone: nsd.port for zone in nsd.zones if zone != "."}
        forward = {".": nsd.port} | dict(forward or {})
        self.process, self.port = start_unbound(workspace, stubs, forward, options, lambda port: probe(port, ".", "NS"))

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self.port}" if loopback() == "127.0.0.1" else f"[::1]:{self.port}"


def start_unbound(
    workspace: Workspace,
    stubs: Mapping[str, int],
    forward: Mapping[str, int],
    options: Sequence[str],
    ready: Callable[[int], bool],
) -> tuple[Process, int]:
    def start(port: int) -> Process:
        config = f"""
include: "{SHIPPED_RESOLVER}"
server:
    username: ""
    chroot: ""
    directory: "{workspace.path}"
    pidfile: ""
    use-syslog: no
remote-control:
    control-enable: no
{on_loopback(port, stubs, forward)}
server:
"""
        path = workspace.write("unbound.conf", config + "".join(f"    {option}\n" for option in options))
        return workspace.start("unbound", ["/usr/sbin/unbound", "-d", "-p", "-c", path])

    return start_on_free_port(start, ready)


def on_loopback(port: int, stubs: Mapping[str, int], forward: Mapping[str, int]) -> str:
    """What of unbound's configuration only tests need: it and all it asks, by zone, are at ports of this machine."""
    host = loopback()
    config = f"""
server:
    interface: {host}
    port: {port}
    outgoing-interface: {host}
    do-ip{"6" if host == "127.0.0.1" else "4"}: no
    do-not-query-localhost: no
    local-zone: "test." nodefault
"""
    for zone, target in stubs.items():
        config += f'stub-zone:\n    name: "{zone}"\n    stub-addr: {host}@{target}\n'
    for zone, target in forward.items():
        config += f'forward-zone:\n    name: "{zone}"\n    forward-addr: {host}@{target}\n'
    return config
