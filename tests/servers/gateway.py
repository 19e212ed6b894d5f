"""A stand-in for dstack's gateway: nginx that reads the name in a TLS greeting and passes octets on.

    {app_id}.{base}            TLS ends here, with a certificate of no authority; the octets go to the app's port 80
    {app_id}-{port}s.{base}    TLS passes through to that port of the app
    a custom name              TLS passes through to the port in the name's TXT record
    any other                  the connection is closed

It never looks into the HTTP, so an app sees the Host that the client sent. Like the gateway it speaks TLS
1.2 alone and listens on port 443: a certificate authority goes nowhere else.
"""

from __future__ import annotations

import hashlib
import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from certificates import self_signed
from processes import WORKER, WORKERS, Process, Workspace, answers_at

NGINX = "/usr/sbin/nginx"
_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"


class LoopbackBlock:
    """256 loopback addresses that nobody else uses, for servers on ports that must be 80 and 443."""

    def __init__(self) -> None:
        for _ in range(20):
            # Another process that runs tests at this moment has other ones in the last place.
            last = random.randrange(WORKER, 256, WORKERS)
            self._prefix = f"127.{random.randint(2, 254)}.{last}"
            if self.why_not() is None:
                break
        self._next = 0

    def why_not(self) -> str | None:
        """Why no server can have these ports here; None if one can."""
        for port in (80, 443):
            with socket.socket() as probe:
                try:
                    probe.bind((f"{self._prefix}.1", port))
                except OSError as error:
                    return f"no server can have port {port} of {self._prefix}.1: {error.strerror}"
        return None

    def address(self) -> str:
        """The next one."""
        self._next += 1
        assert self._next < 255
        return f"{self._prefix}.{self._next}"


@dataclass(frozen=True)
class App:
    """An app behind the gateway, and the custom name of its owner."""

    domain: str
    address: str
    gateway: str  # the base domain
    tls_port: int = 443

    @property
    def app_id(self) -> str:
        return hashlib.sha1(self.domain.encode()).hexdigest()

    @property
    def gateway_name(self) -> str:
        return f"{self.app_id}.{self.gateway}"

    @property
    def passthrough_name(self) -> str:
        return f"{self.app_id}-{self.tls_port}s.{self.gateway}"

    @property
    def records(self) -> str:
        """What the owner puts into the DNS."""
        return (
            f"{self.domain}. CNAME _.{self.gateway}.\n"
            f'_dstack-app-address.{self.domain}. TXT "{self.app_id}:{self.tls_port}"\n'
        )


class Gateway:
    """Listens on port 443 of `addresses` for these apps."""

    def __init__(self, workspace: Workspace, addresses: Sequence[str], apps: Sequence[App]) -> None:
        self._directory = workspace.fresh("gateway")
        pair = self_signed(self._directory, *sorted({f"DNS:*.{app.gateway}" for app in apps}))
        self._log = workspace.fresh("gateway-sessions.log")
        # A line for each connection whose TLS has ended here: the name it asked for, where its octets went.
        self.forwarded = workspace.fresh("gateway-forwarded.log")
        inner = f"unix:{self._directory}/inner.sock"
        routes = "".join(
            f"    {app.gateway_name} {inner};\n"
            f"    ~^{app.app_id}-(?<port{number}>[0-9]+)s\\.{app.gateway.replace('.', '[.]')}$ "
            f"{app.address}:$port{number};\n"
            f"    {app.domain} {app.address}:{app.tls_port};\n"
            for number, app in enumerate(apps)
        )
        config = f"""
{_common(self._directory)}
stream {{
  map_hash_bucket_size 256;
  log_format session "$ssl_preread_server_name $destination";
  log_format forwarded "name=$ssl_server_name to=$app protocol=$ssl_protocol";
  map $ssl_preread_server_name $destination {{
    default "";
{routes}  }}
  map $ssl_server_name $app {{
{"".join(f"    {app.gateway_name} {app.address}:80;{chr(10)}" for app in apps)}  }}
  server {{
{"".join(f"    listen {address}:443;{chr(10)}" for address in addresses)}    ssl_preread on;
    proxy_connect_timeout 5s;
    proxy_pass $destination;
    access_log {self._log} session;
  }}
  server {{
    listen {inner} ssl;
    ssl_certificate {pair.certificate};
    ssl_certificate_key {pair.key};
    ssl_protocols TLSv1.2;
    proxy_connect_timeout 5s;
    proxy_pass $app;
    access_log {self.forwarded} forwarded;
  }}
}}
"""
        path = workspace.write("gateway.conf", f"load_module {_STREAM};\n{config}")
        self.process = _start(workspace, "gateway", path)
        self.process.wait_until_ready(lambda: all(answers_at((address, 443)) for address in addresses))

    def sessions(self, name: str) -> int:
        """How many TLS connections that asked for this name have ended."""
        return sum(line.split(" ")[0] == name for line in self._log.read_text().splitlines())


class WebrootServer:
    """An app's web server: serves files on port 80, and with a certificate of its own on the TLS port."""

    def __init__(self, workspace: Workspace, app: App, directory: Path) -> None:
        self.webroot = directory / "webroot"
        self.access_log = directory / "access.log"
        self.challenges = self.webroot / ".well-known" / "acme-challenge"
        self.challenges.mkdir(parents=True)
        pair = self_signed(directory / "tls", f"DNS:{app.domain}")
        config = f"""
{_common(directory)}
http {{
{_temporary_paths(directory)}
  log_format request '"$request" host=$http_host referer=$http_referer status=$status agent="$http_user_agent"';
  access_log {self.access_log} request;
  server {{
    listen {app.address}:80;
    listen {app.address}:{app.tls_port} ssl;
    ssl_certificate {pair.certificate};
    ssl_certificate_key {pair.key};
    root {self.webroot};
    default_type text/plain;
  }}
}}
"""
        path = directory / "nginx.conf"
        path.write_text(config)
        self.process = _start(workspace, f"app-{app.domain}", path)
        self.process.wait_until_ready(lambda: answers_at((app.address, 80)))


def _common(directory: Path) -> str:
    return f"""
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr;
events {{ worker_connections 512; }}
"""


def _temporary_paths(directory: Path) -> str:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return "\n".join(f"  {kind}_temp_path {directory}/{kind}_temp;" for kind in kinds)


def _start(workspace: Workspace, name: str, config: Path) -> Process:
    return workspace.start(name, [NGINX, "-e", "stderr", "-p", config.parent, "-c", config])
