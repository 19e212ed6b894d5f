"""What is measured and what it is compared with, each a process of its own on loopback."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import fastcgi_client
from dns_message import probe
from dns_servers import Nsd, start_on_free_port, start_unbound
from front_servers import open_files
from measure import PROGRAMS
from processes import RELAY, Process, Workspace, answers_at, wait_until
from relay import clean_environment, listening_socket
from zones import APP_ID, GATEWAY

# Names that stay in the relay's cache as long as it keeps any, and one for every name below cold.
GOOD = "app.bench.test"
ZONES = {
    "bench.test": f"""
app 3600 CNAME _.{GATEWAY}.
_dstack-app-address.app 3600 TXT "{APP_ID}:443"
*.cold 3600 TXT "{APP_ID}:443"
"""
}

HELLOS = {
    "hello, 1 thread": ("1",),
    "hello, 4 threads": ("4",),
    "hello, 1 thread, detached": ("1", "detach"),
    "hello, 4 threads, detached": ("4", "detach"),
}


def _on_socket(workspace: Workspace, name: str, command: Sequence[str | Path], count: int = 1) -> OnSocket:
    path = workspace.fresh(f"{name}.sock")
    with listening_socket(path, 4096) as listener:
        path.chmod(0o666)
        processes = [
            workspace.start(name, command, stdin=listener, environment=clean_environment()) for _ in range(count)
        ]
    for process in processes:
        process.wait_until_ready(lambda: answers_at(str(path)))
    return OnSocket(path, processes)


class OnSocket:
    """A FastCGI program, one process or more on one listening socket."""

    def __init__(self, path: Path, processes: Sequence[Process]) -> None:
        self.path = path
        self.processes = processes

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.processes]

    def stop(self) -> None:
        for process in self.processes:
            process.stop()


def hello(workspace: Workspace, arguments: Sequence[str]) -> OnSocket:
    return _on_socket(workspace, "hello", [PROGRAMS / "hello", *arguments])


def relay(workspace: Workspace, config: str, count: int = 1) -> OnSocket:
    """Its log goes to a file, a line for each request."""
    return _on_socket(workspace, "relay", [RELAY, "-c", workspace.write("relay.toml", config)], count)


def lighttpd(workspace: Workspace, site: str, modules: Sequence[str]) -> tuple[Process, int]:
    """With the limits of the configuration that is shipped, without an access log."""
    names = ", ".join(f'"{name}"' for name in modules)

    def start(port: int) -> Process:
        text = f"""
server.modules = ( {names} )
server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{workspace.path}"
server.errorlog = "{workspace.path}/lighttpd-{port}-error.log"
server.max-fds = {min(24000, open_files())}
server.max-connections = {min(11000, open_files() * 9 // 20)}
server.listen-backlog = 4096
server.feature-flags = ( "server.h2proto" => "disable" )
{site}
"""
        return workspace.start("lighttpd", ["/usr/sbin/lighttpd", "-D", "-f", workspace.write("lighttpd.conf", text)])

    return start_on_free_port(start, lambda port: answers_at(("127.0.0.1", port)))


def lighttpd_fastcgi(workspace: Workspace, path: Path) -> tuple[Process, int]:
    site = f'fastcgi.server = ( "" => (( "socket" => "{path}", "check-local" => "disable" )) )'
    return lighttpd(workspace, site, ["mod_fastcgi"])


def lighttpd_redirect(workspace: Workspace) -> tuple[Process, int]:
    site = 'url.redirect = ( "" => "https://hello.test/" )\nurl.redirect-code = 307'
    return lighttpd(workspace, site, ["mod_redirect"])


def lighttpd_cgi(workspace: Workspace, program: Path, config: Path) -> tuple[Process, int]:
    site = f"""
server.document-root := "{program.parent}"
setenv.set-environment = ( "HTTP01_RELAY_CONFIG" => "{config}" )
url.rewrite-once = ( "" => "/{program.name}" )
cgi.assign = ( "/{program.name}" => "" )
"""
    return lighttpd(workspace, site, ["mod_setenv", "mod_rewrite", "mod_cgi"])


def nginx(workspace: Workspace, locations: str, upstream: str = "") -> tuple[Process, int]:
    """One worker, since there is one relay; otherwise the sizes that are shipped."""

    def start(port: int) -> Process:
        temporary = "".join(
            f"    {kind}_temp_path {workspace.path}/nginx-{port}-{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        text = f"""
worker_processes 1;
pid {workspace.path}/nginx-{port}.pid;
error_log {workspace.path}/nginx-{port}-error.log warn;
worker_rlimit_nofile {min(65536, open_files())};
events {{ worker_connections {min(24576, open_files() - 100)}; }}
http {{
{temporary}
    access_log off;
    keepalive_requests 1000000;
    client_max_body_size 64k;
    {upstream}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        {locations}
    }}
}}
"""
        config = workspace.write("nginx.conf", text)
        return workspace.start(
            "nginx", ["/usr/sbin/nginx", "-e", "stderr", "-p", workspace.path, "-g", "daemon off;", "-c", config]
        )

    return start_on_free_port(start, lambda port: answers_at(("127.0.0.1", port)))


_PARAMETERS = """
        fastcgi_pass_request_headers off;
        fastcgi_param REQUEST_METHOD $request_method;
        fastcgi_param REQUEST_URI $request_uri;
        fastcgi_param CONTENT_LENGTH $content_length;
        fastcgi_param REMOTE_ADDR $remote_addr;
        fastcgi_param HTTPS $https if_not_empty;
        fastcgi_param SERVER_PROTOCOL $server_protocol;
        fastcgi_param HTTP_HOST $host;
        fastcgi_buffer_size 8k;
"""


def nginx_fastcgi(workspace: Workspace, path: Path, *, keep: bool = False) -> tuple[Process, int]:
    if not keep:
        return nginx(workspace, f"{_PARAMETERS}        location / {{ fastcgi_pass unix:{path}; }}")
    upstream = f"upstream relay {{ server unix:{path}; keepalive 64; }}"
    locations = f"{_PARAMETERS}        fastcgi_keep_conn on;\n        location / {{ fastcgi_pass relay; }}"
    return nginx(workspace, locations, upstream)


def nginx_redirect(workspace: Workspace) -> tuple[Process, int]:
    return nginx(workspace, "location / { return 307 https://hello.test/; }")


def unbound(workspace: Workspace, nsd: Nsd | None) -> tuple[Process, int]:
    """Asks nsd for the names under cold.bench.test, or, without one, knows them all itself."""
    options = ['module-config: "iterator"']
    if nsd is None:
        options += [
            'local-zone: "cold.bench.test." redirect',
            'local-data: "cold.bench.test. 3600 SOA ns.test. admin.test. 1 3600 600 86400 60"',
            f"""local-data: 'cold.bench.test. 3600 TXT "{APP_ID}:443"'""",
        ]
    stubs, forward = ({}, {}) if nsd is None else ({"bench.test": nsd.port}, {".": nsd.port})
    return start_unbound(workspace, stubs, forward, options, lambda port: probe(port, "x.cold.bench.test", "TXT"))


def wait_for_in_flight(path: Path, count: int) -> None:
    """Until so many requests wait; 0: none but, perhaps, the one that asks."""

    def there() -> bool:
        page = fastcgi_client.request(str(path), "/metrics", host="localhost").text
        (line,) = [line for line in page.splitlines() if line.startswith("http_requests_in_flight ")]
        waiting = int(float(line.split()[1]))
        return waiting >= count * 0.97 if count else waiting <= 1

    wait_until(there, f"{count} requests in flight", 30)


def dns_server(workspace: Workspace) -> int:
    """The port of a name server that answers at once, or, for names with "dead" in them, never."""
    process = workspace.start("dns_server", [PROGRAMS / "dns_server"])
    wait_until(lambda: process.output().endswith("\n"), "the name server's port")
    return int(process.output())
