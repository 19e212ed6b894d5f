"""nginx, Caddy and Apache with the configurations that are shipped, changed only where a test on loopback
must, before a relay that listens on a socket of its own. (web_servers.py has lighttpd, which starts the relay.)"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Mapping
from pathlib import Path

import http_client
from dns_servers import start_on_free_port
from http_client import Response
from processes import REPOSITORY, Process, Workspace, answers_at
from relay import Relay
from web_servers import Lighttpd, has_ipv6, shipped_config

DEPLOY = REPOSITORY / "deploy"
SHIPPED_SOCKET = "/run/http01-relay/relay.sock"

_APACHE_MODULES = "/usr/lib/apache2/modules"
# Those that Debian switches on for every Apache and the shipped site needs, and what the site's first lines
# tell an operator to switch on.
APACHE_MODULES = ("mpm_event", "authz_core", "alias", "env", "reqtimeout", "proxy", "proxy_fcgi")


def open_files() -> int:
    """How many descriptors a process may have here."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 1 << 20 if hard == resource.RLIM_INFINITY else hard


def nginx_substitutions(workspace: Path, address: str, port: int, socket: str) -> dict[str, str]:
    """All that is changed in nginx's file: ports, addresses, paths, user, number of descriptors."""
    temporary = "".join(
        f"    {kind}_temp_path {workspace}/nginx-{port}-{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    changes = {
        "pid /run/nginx.pid;": f"pid {workspace}/nginx-{port}.pid;",
        "/var/log/nginx/error.log": f"{workspace}/nginx-{port}-error.log",
        "/var/log/nginx/access.log": f"{workspace}/nginx-{port}-access.log",
        "/etc/nginx/modules-enabled": f"{workspace}/nginx-modules",
        "http {\n": f"http {{\n{temporary}",
        "listen 80 ": f"listen {address}:{port} ",
        SHIPPED_SOCKET: socket,
    }
    if os.geteuid() != 0:
        changes["user www-data;\n"] = ""  # only root can be another user
    if address == "127.0.0.1" and has_ipv6():
        changes["listen [::]:80 "] = f"listen [::1]:{port} "
    else:
        changes["        listen [::]:80 default_server backlog=4096;\n"] = ""
    if open_files() < 65536:
        changes["worker_rlimit_nofile 65536;"] = f"worker_rlimit_nofile {open_files()};"
        # Listening sockets, logs and pipes want some too.
        changes["worker_connections 24576;"] = f"worker_connections {min(24576, open_files() - 100)};"
    return changes


def caddy_substitutions(workspace: Path, port: int, socket: str) -> dict[str, str]:
    """All that is changed in Caddy's file: port, addresses, paths."""
    addresses = "127.0.0.1 [::1]" if has_ipv6() else "127.0.0.1"
    return {
        # One at a time has this port.
        "admin localhost:2019": "admin off",
        "http://:80 {\n": f"http://:{port} {{\n\tbind {addresses}\n",
        "/var/log/caddy/access.log": f"{workspace}/caddy-{port}-access.log",
        SHIPPED_SOCKET: socket,
    }


def apache_substitutions(workspace: Path, port: int, socket: str) -> dict[str, str]:
    """All that is changed in Apache's file: port, paths."""
    return {
        "<VirtualHost *:80>": f"<VirtualHost *:{port}>",
        "/var/log/apache2/http01-relay-access.log": f"{workspace}/apache-{port}-access.log",
        "/var/log/apache2/http01-relay-error.log": f"{workspace}/apache-{port}-error.log",
        SHIPPED_SOCKET: socket,
    }


def apache_frame(workspace: Path, port: int, listen: str = "") -> str:
    """What stands around a site in Debian's apache2.conf and ports.conf, as far as it matters here."""
    modules = "".join(f"LoadModule {name}_module {_APACHE_MODULES}/mod_{name}.so\n" for name in APACHE_MODULES)
    listen = listen or f"Listen 127.0.0.1:{port}\n" + (f"Listen [::1]:{port}\n" if has_ipv6() else "")
    user = "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""
    return f"""
ServerRoot {workspace}
PidFile {workspace}/apache-{port}.pid
DefaultRuntimeDir {workspace}
ServerName localhost
ErrorLog {workspace}/apache-{port}-main-error.log
LogLevel warn
{listen}{user}{modules}
"""


Starter = Callable[[Workspace, int, str, Mapping[str, str]], Process]


def _start_nginx(workspace: Workspace, port: int, socket: str, extra: Mapping[str, str]) -> Process:
    (workspace.path / "nginx-modules").mkdir(exist_ok=True)
    changes = nginx_substitutions(workspace.path, "127.0.0.1", port, socket) | dict(extra)
    text = shipped_config((DEPLOY / "nginx" / "http01-relay.conf").read_text(), changes)
    return start_nginx(workspace, workspace.write("nginx.conf", text))


def start_nginx(workspace: Workspace, config: Path) -> Process:
    return workspace.start(
        "nginx", ["/usr/sbin/nginx", "-e", "stderr", "-p", workspace.path, "-g", "daemon off;", "-c", config]
    )


class PlainNginx:
    """nginx with the test's own words within server { }, on a port of loopback."""

    def __init__(self, workspace: Workspace, server: str) -> None:
        def start(port: int) -> Process:
            temporary = "".join(
                f"    {kind}_temp_path {workspace.path}/nginx-{port}-{kind};\n"
                for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            )
            text = f"""
pid {workspace.path}/nginx-{port}.pid;
error_log {workspace.path}/nginx-{port}-error.log;
events {{ }}
http {{
{temporary}
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        {server}
    }}
}}
"""
            return start_nginx(workspace, workspace.write("nginx.conf", text))

        self.process, self.port = start_on_free_port(start, lambda port: answers_at(("127.0.0.1", port)))


def _start_caddy(workspace: Workspace, port: int, socket: str, extra: Mapping[str, str]) -> Process:
    changes = caddy_substitutions(workspace.path, port, socket) | dict(extra)
    text = shipped_config((DEPLOY / "caddy" / "Caddyfile").read_text(), changes)
    return start_caddy(workspace, workspace.write("Caddyfile", text))


def start_caddy(workspace: Workspace, config: Path) -> Process:
    home = {"HOME": str(workspace.path), "XDG_DATA_HOME": str(workspace.path), "XDG_CONFIG_HOME": str(workspace.path)}
    return workspace.start(
        "caddy",
        ["/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config", config],
        environment=os.environ | home,
    )


def _start_apache(workspace: Workspace, port: int, socket: str, extra: Mapping[str, str]) -> Process:
    changes = apache_substitutions(workspace.path, port, socket) | dict(extra)
    site = shipped_config((DEPLOY / "apache" / "http01-relay.conf").read_text(), changes)
    return start_apache(workspace, port, site)


def start_apache(workspace: Workspace, port: int, site: str) -> Process:
    path = workspace.write("apache.conf", apache_frame(workspace.path, port) + site)
    return workspace.start("apache", ["/usr/sbin/apache2", "-D", "FOREGROUND", "-f", path])


STARTERS: dict[str, Starter] = {"nginx": _start_nginx, "Caddy": _start_caddy, "Apache": _start_apache}
SERVERS = ("lighttpd", *STARTERS)


class FrontServer:
    """One of STARTERS, on a port of loopback, before the relay at `socket`."""

    def __init__(
        self, name: str, workspace: Workspace, socket: str, *, extra_changes: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.process, self.port = start_on_free_port(
            lambda port: STARTERS[name](workspace, port, socket, extra_changes or {}), serves
        )

    def get(self, path: str, host: str | None, *, source: str = "") -> Response:
        return http_client.request(self.port, path, host=host, source=source)


Server = Lighttpd | FrontServer


def start_relay(workspace: Workspace, config: str, listen: str | None = None) -> Relay:
    """With a socket that is open to the user that nginx and Apache change to."""
    return Relay(workspace, config, listen=listen, options=["--socket-mode", "0666"])


def start_server(
    name: str, workspace: Workspace, relay: Relay, *, extra_changes: dict[str, str] | None = None
) -> Server:
    """One of SERVERS. lighttpd starts a relay of its own, with the same configuration."""
    if name == "lighttpd":
        return Lighttpd(workspace, relay.config, extra_changes=extra_changes)
    return FrontServer(name, workspace, str(relay.address), extra_changes=extra_changes)


def serves(port: int) -> bool:
    """Whether a relay's answer comes back at this port."""
    try:
        return http_client.request(port, "/health", host="localhost").status == 200
    except (OSError, AssertionError):
        return False
