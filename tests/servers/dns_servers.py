"""nsd with the zones a test gives as text, and unbound before it. Nothing leaves the machine: unbound sends
all it does not know to nsd too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from dns_message import probe
from processes import NotReady, Process, Workspace, free_port, loopback

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
            directory = workspace.fresh("nsd")
            directory.mkdir()
            return workspace.start("nsd", ["/usr/sbin/nsd", "-d", "-c", self._write(directory, port)])

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
        for number, (origin, text) in enumerate(self.zones.items()):
            (directory / f"{number}.zone").write_text(f"$ORIGIN {origin.rstrip('.')}.\n$TTL 1\n{text}")
            config += f'zone:\n    name: "{origin}"\n    zonefile: "{number}.zone"\n'
        path = directory / "nsd.conf"
        path.write_text(config)
        return path


def zone_text(records: str) -> str:
    """The records with an SOA and an NS before them. Its times are 0: what is not there is asked again."""
    return f"@ SOA ns.test. admin.test. 1 3600 600 86400 0\n@ NS ns.test.\n{records}\n"


class Unbound:
    """A caching resolver that keeps nothing and asks nsd, or `forward` (zone → port) for its zones."""

    def __init__(self, workspace: Workspace, nsd: Nsd, forward: Mapping[str, int] | None = None) -> None:
        def start(port: int) -> Process:
            path = workspace.write("unbound.conf", self._config(workspace, port, nsd, forward or {}))
            return workspace.start("unbound", ["/usr/sbin/unbound", "-d", "-p", "-c", path])

        self.process, self.port = start_on_free_port(start, lambda port: probe(port, ".", "NS"))

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self.port}" if loopback() == "127.0.0.1" else f"[::1]:{self.port}"

    @staticmethod
    def _config(workspace: Workspace, port: int, nsd: Nsd, forward: Mapping[str, int]) -> str:
        host = loopback()
        config = f"""
server:
    interface: {host}
    port: {port}
    outgoing-interface: {host}
    access-control: {host} allow
    do-ip{"6" if host == "127.0.0.1" else "4"}: no
    username: ""
    chroot: ""
    directory: "{workspace.path}"
    pidfile: ""
    use-syslog: no
    do-not-query-localhost: no
    module-config: "iterator"
    qname-minimisation: no
    local-zone: "test." nodefault
    cache-max-ttl: 0
    cache-max-negative-ttl: 0
    wait-limit: 0
    num-threads: 1
remote-control:
    control-enable: no
"""
        for origin in nsd.zones:
            if origin != ".":
                config += f'stub-zone:\n    name: "{origin}"\n    stub-addr: {host}@{nsd.port}\n'
        for zone, target in ({".": nsd.port} | dict(forward)).items():
            config += f'forward-zone:\n    name: "{zone}"\n    forward-addr: {host}@{target}\n'
        return config
