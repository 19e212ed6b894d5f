"""The relay itself: its configuration, its process on a socket of its own, its command line."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fastcgi_client
from fastcgi_client import Address
from http_client import Response
from processes import RELAY, SLOWNESS, Process, Workspace, answers_at

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
CHALLENGE = f"/.well-known/acme-challenge/{TOKEN}"

# sysexits.h: EX_USAGE, EX_UNAVAILABLE, EX_IOERR, EX_CONFIG.
EXIT_USAGE, EXIT_UNAVAILABLE, EXIT_OUTPUT, EXIT_CONFIG = 64, 69, 74, 78


def toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "[" + ", ".join(toml_value(item) for item in value) + "]"


def toml(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """{"dns": {"servers": [...]}} as TOML; a mapping within a section is a section of its own."""
    lines = []
    for section, keys in sections.items():
        lines.append(f"[{section}]")
        nested = {}
        for key, value in keys.items():
            if isinstance(value, Mapping):
                nested[key] = value
            else:
                lines.append(f"{key} = {toml_value(value)}")
        for key, table in nested.items():
            lines.append(f"[{section}.{key}]")
            lines += [f'"{name}" = {toml_value(value)}' for name, value in table.items()]
    return "\n".join(lines) + "\n"


def config_text(server: str | Sequence[str], sections: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """A configuration that asks these name servers, and whatever else the test wants."""
    merged: dict[str, dict[str, Any]] = {"dns": {"servers": [server] if isinstance(server, str) else list(server)}}
    for section, keys in (sections or {}).items():
        merged.setdefault(section, {}).update(keys)
    return toml(merged)


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Without variables that the relay would take for settings."""
    sanitizers = {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"} | sanitizers | dict(extra or {})


def run(
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    stdin: Any = subprocess.DEVNULL,
    seconds: float = 20.0,
) -> subprocess.CompletedProcess[str]:
    """The relay as a command, to its end."""
    return subprocess.run(
        [str(RELAY), *map(str, arguments)],
        stdin=stdin,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=clean_environment(environment),
        timeout=seconds * SLOWNESS,
    )


def said_of(config: subprocess.CompletedProcess[str]) -> list[str]:
    """What the command `config` has said, without what depends on this machine: where its resolvers are."""
    lines = config.stderr.splitlines()
    if any(line.startswith("note: dns.servers: ") and " of /etc/resolv.conf " in line for line in lines):
        lines = [line for line in lines if not line.startswith("note: dns.") and not line.endswith(": in order")]
    return lines


class Relay:
    """The relay with --listen, ready to be asked by FastCGI."""

    def __init__(
        self,
        workspace: Workspace,
        config: str,
        *,
        listen: str | None = None,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        within: Sequence[str | Path] = (),
    ) -> None:
        """`within` is a command that runs the relay."""
        self.config = workspace.write("relay.toml", config)
        if listen is None:
            listen = f"unix:{workspace.fresh('relay.sock')}"
        self.address = parse_listen(listen)
        self.process = workspace.start(
            "relay",
            [*within, RELAY, "-c", self.config, "--listen", listen, *options],
            environment=clean_environment(environment),
        )
        self.process.wait_until_ready(lambda: answers_at(self.address))

    def request(self, path: str = CHALLENGE, host: str | None = "", **options: Any) -> Response:
        return fastcgi_client.request(self.address, path, host=host, **options)

    def challenge(self, host: str, **options: Any) -> Response:
        return self.request(CHALLENGE, host, **options)

    def metrics(self) -> dict[str, float]:
        """Sample (name and labels, as printed) → value."""
        response = self.request("/metrics", "127.0.0.1")
        assert response.status == 200
        samples = [line.rsplit(" ", 1) for line in response.text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in samples}

    def terminate(self) -> int:
        self.process.signal(signal.SIGTERM)
        return self.process.wait(15)


def parse_listen(listen: str) -> Address:
    if listen.startswith("unix:"):
        return listen.removeprefix("unix:")
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def listening_socket(path: Path, backlog: int = 128) -> socket.socket:
    """As spawn-fcgi and systemd make one before they start the program."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(backlog)
    return listener


def start_on_stdin(workspace: Workspace, config: Path, listener: socket.socket) -> Process:
    return workspace.start("relay", [RELAY, "-c", config], stdin=listener, environment=clean_environment())
