"""Web servers that run the relay by CGI, a process for each request: Apache, lighttpd, mini-httpd, and nginx before
fcgiwrap. None of these configurations is shipped; they are the least that each server needs."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import http_client
from dns_servers import start_on_free_port
from front_servers import PlainNginx
from processes import RELAY, Process, Workspace
from relay import clean_environment

_APACHE_MODULES = ("mpm_event", "authz_core", "env", "alias", "rewrite", "cgid")


def _start_apache(workspace: Workspace, port: int, config: Path) -> Process:
    modules = "".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in _APACHE_MODULES)
    path = workspace.write(
        "apache.conf",
        f"""
ServerRoot {workspace.path}
ServerName localhost
PidFile {workspace.path}/apache-{port}.pid
DefaultRuntimeDir {workspace.path}
ErrorLog {workspace.path}/apache-{port}-error.log
Listen 127.0.0.1:{port}
{modules}
{"User www-data" if os.geteuid() == 0 else ""}
{"Group www-data" if os.geteuid() == 0 else ""}
ScriptSock {workspace.path}/cgid-{port}.sock
SetEnv HTTP01_RELAY_CONFIG {config}
ScriptAliasMatch ^ {RELAY}
<Directory {RELAY.parent}>
  Require all granted
</Directory>
""",
    )
    return workspace.start("apache", ["/usr/sbin/apache2", "-D", "FOREGROUND", "-f", path])


def _start_lighttpd(workspace: Workspace, port: int, config: Path) -> Process:
    path = workspace.write(
        "lighttpd.conf",
        f"""
server.modules = ( "mod_rewrite", "mod_setenv", "mod_cgi" )
server.port = {port}
server.bind = "127.0.0.1"
server.document-root = "{RELAY.parent}"
server.errorlog = "{workspace.path}/lighttpd-error.log"
setenv.add-environment = ( "HTTP01_RELAY_CONFIG" => "{config}" )
url.rewrite-once = ( "" => "/{RELAY.name}" )
cgi.assign = ( "/{RELAY.name}" => "" )
""",
    )
    return workspace.start("lighttpd", ["/usr/sbin/lighttpd", "-D", "-f", path])


def _start_mini_httpd(workspace: Workspace, port: int, config: Path) -> Process:
    """It takes the path to the program from the URL, and gives it neither REQUEST_URI nor other variables: the
    program is a script that sets the configuration."""
    site = workspace.fresh("mini-httpd")
    program = site / ".well-known" / "acme-challenge"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nHTTP01_RELAY_CONFIG={config} exec {RELAY} "$@"\n')
    program.chmod(0o755)
    health = site / "health"
    health.write_text(program.read_text())
    health.chmod(0o755)
    command = ["/usr/sbin/mini_httpd", "-D", "-h", "127.0.0.1", "-p", str(port), "-d", site, "-c", "**"]
    return workspace.start("mini-httpd", command, environment=clean_environment())


def _nginx(workspace: Workspace, config: Path) -> PlainNginx:
    path = workspace.fresh("fcgiwrap.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(128)
        path.chmod(0o666)
        workspace.start("fcgiwrap", ["/usr/sbin/fcgiwrap", "-f", "-c", "4"], stdin=listener)
    return PlainNginx(
        workspace,
        f"""
client_max_body_size 100m;
location / {{
    include /etc/nginx/fastcgi_params;
    fastcgi_param SCRIPT_FILENAME {RELAY};
    fastcgi_param HTTP01_RELAY_CONFIG {config};
    fastcgi_pass unix:{path};
}}
""",
    )


STARTERS: dict[str, Callable[[Workspace, int, Path], Process]] = {
    "Apache": _start_apache,
    "lighttpd": _start_lighttpd,
    "mini-httpd": _start_mini_httpd,
}
SERVERS = (*STARTERS, "nginx")


def _answers(port: int) -> bool:
    try:
        return http_client.request(port, "/health", host="localhost").reason is not None
    except (OSError, AssertionError):
        return False


class CgiServer:
    """One of SERVERS, on a port of loopback, which runs the relay for each request."""

    def __init__(self, name: str, workspace: Workspace, config: Path) -> None:
        self.name = name
        if name == "nginx":
            self.port = _nginx(workspace, config).port
            return
        self.process, self.port = start_on_free_port(lambda port: STARTERS[name](workspace, port, config), _answers)
