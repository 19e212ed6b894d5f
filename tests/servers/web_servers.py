"""lighttpd with the configurations that are shipped, changed only where a test on loopback must."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

import http_client
from dns_servers import start_on_free_port
from http_client import Response
from processes import RELAY, REPOSITORY, Process, Workspace

SHIPPED = REPOSITORY / "deploy" / "lighttpd"


def has_ipv6() -> bool:
    try:
        addresses = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        return False
    return any(line.startswith("0" * 31 + "1 ") for line in addresses)


def substitutions(workspace: Path, port: int, relay: Path, config: Path, address: str) -> dict[str, str]:
    """All that is changed in a shipped file: ports, addresses, paths, user, number of descriptors."""
    changes = {
        'server.bind = "0.0.0.0"': f'server.bind = "{address}"',
        "server.port = 80\n": f"server.port = {port}\n",
        '"[::]:80"': f'"[::1]:{port}"',
        "/var/log/lighttpd/error.log": f"{workspace}/lighttpd-error.log",
        "/var/log/lighttpd/access.log": f"{workspace}/lighttpd-access.log",
        "/run/lighttpd/http01-relay.sock": f"{workspace}/relay-{port}.sock",
        "/run/lighttpd.pid": f"{workspace}/lighttpd.pid",
        "/var/www/html": str(workspace),
        "/usr/bin/http01-relay": str(relay),
        "/etc/http01-relay/http01-relay.toml": str(config),
        # lighttpd runs as whoever runs the tests, and will not "change" to root.
        'server.username  = "www-data"\n': "",
        'server.groupname = "www-data"\n': "",
    }
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < 24000:
        changes["server.max-fds         = 24000"] = f"server.max-fds = {hard}"
        changes["server.max-connections = 11000"] = f"server.max-connections = {hard * 9 // 20}"
    if not has_ipv6():
        del changes['"[::]:80"']
        changes['$SERVER["socket"] == "[::]:80" { }\n'] = ""
    return changes


def shipped_config(text: str, changes: dict[str, str]) -> str:
    """The shipped text after the changes. One that finds nothing to change is a mistake."""
    for old, new in changes.items():
        assert old in text, f"the shipped lighttpd configuration no longer has {old!r}"
        text = text.replace(old, new)
    return text


class Lighttpd:
    """lighttpd, and the relay that it starts."""

    def __init__(
        self,
        workspace: Workspace,
        config: Path,
        *,
        extra_changes: dict[str, str] | None = None,
        text: str | None = None,
        relay: Path = RELAY,
    ) -> None:
        """`text` is a configuration of the test's own, in which PORT and SOCKET are filled in."""

        def start(port: int) -> Process:
            if text is None:
                changes = substitutions(workspace.path, port, relay, config, "127.0.0.1") | (extra_changes or {})
                filled = shipped_config((SHIPPED / "http01-relay.conf").read_text(), changes)
            else:
                filled = text.replace("PORT", str(port)).replace("SOCKET", f"{workspace.path}/relay-{port}.sock")
            path = workspace.write("lighttpd.conf", filled)
            return workspace.start("lighttpd", ["/usr/sbin/lighttpd", "-D", "-f", path])

        self.process, self.port = start_on_free_port(start, self._answers)

    @staticmethod
    def _answers(port: int) -> bool:
        try:
            return http_client.request(port, "/health", host="localhost").status not in (500, 502, 503)
        except (OSError, AssertionError):
            return False

    def get(self, path: str, host: str | None, **options: str) -> Response:
        return http_client.request(self.port, path, host=host, method="GET", **options)  # type: ignore[arg-type]

    def relay_pid(self) -> int:
        """The process id of the relay, lighttpd's one child."""
        pids = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                # "pid (name) state parent ..."; a name may hold anything.
                parent = stat.read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if int(parent) == self.process.pid:
                pids.append(int(stat.parent.name))
        assert len(pids) == 1, pids
        return pids[0]


def check_syntax(config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/usr/sbin/lighttpd", "-tt", "-f", str(config)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"LC_ALL": "C"},
    )
