"""What the shipped configurations of the web servers promise beside the relay's answers: both versions of IP, a
client's own address, what a slow client may cost, logs, a site beside the relay, a relay that dies."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import http_client
import pytest
from beside_a_site import BESIDE, apache_site, shipped_snippet, start_beside
from conftest import World
from dns_servers import start_on_free_port
from front_servers import DEPLOY, SERVERS, FrontServer, Server, start_relay, start_server
from processes import Workspace, answers_at, wait_until
from relay import CHALLENGE
from web_servers import Lighttpd, has_ipv6
from zones import APP_ID, GATEWAY

GOOD = f"https://{APP_ID}.{GATEWAY}{CHALLENGE}"

# All of 127.0.0.0/8 is here; in these tests the relay shows its pages to one of these addresses and to no other.
EXEMPT, STRANGER = "127.0.0.2", "127.0.0.3"
SEEN_BY = {"service": {"metrics_from": [f"{EXEMPT}/32", "::1"], "hosts": ["relay.example.test"]}}

# How long a client may take for its request, in each file, and a second instead.
PATIENCE = {
    "lighttpd": {"server.max-read-idle       = 10": "server.max-read-idle = 1"},
    "nginx": {"client_header_timeout 10s;": "client_header_timeout 1s;"},
    "Caddy": {"read_header 10s": "read_header 1s"},
    "Apache": {"RequestReadTimeout header=10 body=10": "RequestReadTimeout header=1 body=1"},
}

# The log file of each server, as the tests' changes name it.
ACCESS_LOGS = {
    "lighttpd": "lighttpd-access.log",
    "nginx": "nginx-{port}-access.log",
    "Caddy": "caddy-{port}-access.log",
    "Apache": "apache-{port}-access.log",
}


@pytest.fixture(scope="module")
def servers(world: World) -> dict[str, Server]:
    relay = start_relay(world.workspace, world.config(SEEN_BY))
    return {name: start_server(name, world.workspace, relay, extra_changes=PATIENCE[name]) for name in SERVERS}


def assert_redirects(server: Server) -> None:
    response = server.get(CHALLENGE, "app.example.test")
    assert (response.status, response.location) == (307, GOOD)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on loopback here")
@pytest.mark.parametrize("name", SERVERS)
def test_ipv6_is_served_too(servers: dict[str, Server], name: str) -> None:
    response = http_client.request(servers[name].port, CHALLENGE, host="app.example.test", connect="::1")
    assert response.location == GOOD
    assert http_client.request(servers[name].port, "/metrics", host="[::1]", connect="::1").status == 200


# ---- /metrics and /ready: the relay decides by the client's address, and the server has no part in it

# The relay itself, as a Host may have it. A server may refuse some of them itself.
PLAIN_HOSTS = ("localhost", "127.0.0.1", "x", "[::1]")
ODD_HOSTS = (
    "x.", "LOCALHOST:80", "localhost.", "localhost.:80", "127.0.0.1:80", "127.0.0.1.", "[::1]:80", "[::1].",
    "[::ffff:127.0.0.1]", "2130706433", "0x7f000001",
)  # fmt: skip
# Never the relay's own pages, whoever asks: bad Hosts, and a name of service.hosts.
OTHER_HOSTS = (
    "127.1", "127.0.0.1..", "localhost..", "x..", "[127.0.0.1]", "[::1", "::1", "", "localhost, app.example.test",
    "relay.example.test", "RELAY.example.test.:80",
)  # fmt: skip
# nginx takes what follows the first colon for a port.
HOSTS_WITHOUT_A_PORT = ("localhost:x", "localhost:80:80", "127.0.0.1:-80")
ODD_PATHS = (
    "/metrics#x", "/metrics#", "/metrics/", "//metrics", "/./metrics", "/a/../metrics", "/%6detrics", "/metrics%3fx",
    "/metrics%23", "/metrics%00", "/metrics;x", "/METRICS", "/metrics#/../x", "/x?/../metrics", "/metrics/../metrics",
    "/metrics?/../x", "http://localhost/metrics", "http://localhost/metrics#x", "HTTP://127.0.0.1:80/metrics",
    "http://[::1]/metrics", "http://localhost@x/metrics", "metrics", "http:/metrics",
)  # fmt: skip


def assert_hidden(response: http_client.Response, what: str) -> None:
    assert response.status in (400, 403, 404), what
    assert b"process_" not in response.body, what


@pytest.mark.parametrize("name", SERVERS)
def test_metrics_and_ready_are_seen_by_the_clients_of_metrics_from(servers: dict[str, Server], name: str) -> None:
    server = servers[name]
    for host in PLAIN_HOSTS + ODD_HOSTS:
        for path in ("/metrics", "/ready", "/metrics?x", "/metrics?"):
            shown, refused = server.get(path, host, source=EXEMPT), server.get(path, host, source=STRANGER)
            if host in ODD_HOSTS and shown.reason is None:
                assert (shown.status, refused.status, refused.reason) == (400, 400, None), host
                continue
            assert (shown.status, shown.reason) == (200, "ok"), host
            assert (b"process_" in shown.body) == path.startswith("/metrics"), host
            assert (refused.status, refused.reason) == (403, "forbidden"), host
    # A path is compared as it was sent, so most of these are none of its pages for anybody.
    for path in ODD_PATHS:
        assert_hidden(server.get(path, "localhost", source=STRANGER), path)
        if "#" not in path and "?" not in path and ":" not in path:
            assert_hidden(server.get(path, "localhost", source=EXEMPT), path)
    for host in OTHER_HOSTS:
        for source in (EXEMPT, STRANGER):
            assert_hidden(server.get("/metrics", host, source=source), host)
            assert_hidden(server.get("/ready", host, source=source), host)
    for host in HOSTS_WITHOUT_A_PORT:
        assert_hidden(server.get("/metrics", host, source=STRANGER), host)
    for path, host in (("/health", "localhost"), ("/", "localhost"), (CHALLENGE, "app.example.test")):
        assert server.get(path, host, source=STRANGER).status in (200, 307)


@pytest.mark.parametrize("name", SERVERS)
def test_nothing_that_a_client_says_makes_it_another_client(servers: dict[str, Server], name: str) -> None:
    said = {
        header: EXEMPT
        for header in ("X-Forwarded-For", "X-Real-IP", "Client-IP", "Remote-Addr", "Remote_Addr", "X-Client-IP")
    } | {"Forwarded": f"for={EXEMPT}", "X-Forwarded-Host": "localhost"}
    for host in ("localhost", "127.0.0.1"):
        response = http_client.request(servers[name].port, "/metrics", host=host, headers=said, source=STRANGER)
        assert (response.status, response.reason) == (403, "forbidden")


@pytest.mark.parametrize("name", SERVERS)
def test_no_server_stands_between_a_domain_and_its_redirect(servers: dict[str, Server], name: str) -> None:
    server = servers[name]
    for path in ("/metrics", "/ready", "/metrics?x", "/metrics/", "//metrics", "/%6detrics", "/./ready"):
        for source in (EXEMPT, STRANGER):
            response = server.get(path, "app.example.test", source=source)
            assert (response.status, response.location) == (307, f"https://app.example.test{path}")
            response = server.get(path, "no-txt.example.test", source=source)
            assert (response.status, response.reason) == (404, "txt-missing")
    # Two names in one request: whichever counts, a stranger sees nothing of the relay's own.
    for target, host in (
        ("http://localhost/metrics", "app.example.test"), ("http://app.example.test/metrics", "localhost"),
        ("http://127.0.0.1/ready", "app.example.test"),
    ):  # fmt: skip
        response = server.get(target, host, source=STRANGER)
        assert response.status in (307, 400, 403)
        assert b"process_" not in response.body
    for host in ("localhost", "app.example.test"):
        other = {"localhost": "app.example.test", "app.example.test": "localhost"}[host]
        response = http_client.request(
            server.port, "/metrics", host=host, headers={"Host": other}, source=STRANGER
        )
        assert_hidden(response, f"{host} and {other}")


@pytest.mark.parametrize("name", SERVERS)
def test_a_client_that_does_not_finish_its_request_is_cut_off(servers: dict[str, Server], name: str) -> None:
    # One second as changed here, against ten as shipped.
    begin = time.monotonic()
    http_client.exchange(servers[name].port, b"GET / HTTP/1.1\r\nHost: app.exam", seconds=9)
    assert time.monotonic() - begin < 8


@pytest.mark.parametrize("name", SERVERS)
def test_requests_are_logged(world: World, servers: dict[str, Server], name: str) -> None:
    server = servers[name]
    http_client.request(
        server.port, f"/logged-{name}", host="app.example.test", headers={"User-Agent": 'x" 200 "y'}
    )
    log = world.workspace.path / ACCESS_LOGS[name].format(port=server.port)
    wait_until(lambda: f"/logged-{name}" in log.read_text(), "the log's line")
    (line,) = [line for line in log.read_text().splitlines() if f"/logged-{name}" in line]
    assert "app.example.test" in line
    assert "127.0.0.1" in line
    assert "307" in line
    # Nothing that a client sends looks like a field of the line.
    assert 'x" 200' not in line


# ---- a relay that dies


@pytest.mark.parametrize("name", SERVERS)
def test_a_dead_relay_is_an_error_until_it_is_back(world: World, workspace: Workspace, name: str) -> None:
    relay = start_relay(workspace, world.config())
    server = start_server(name, workspace, relay)
    assert_redirects(server)
    before = server.process.pid

    if isinstance(server, Lighttpd):
        first = server.relay_pid()
        os.kill(first, signal.SIGKILL)  # lighttpd starts it again by itself
    else:
        relay.process.signal(signal.SIGKILL)
        relay.process.wait()
        for _ in range(3):
            assert server.get(CHALLENGE, "app.example.test").status in (502, 503)
        relay = start_relay(workspace, world.config(), f"unix:{relay.address}")

    statuses = []

    def back() -> bool:
        statuses.append(server.get(CHALLENGE, "app.example.test").status)
        return statuses[-1] == 307

    wait_until(back, "the relay to be back")
    assert set(statuses) <= {307, 500, 502, 503}
    assert_redirects(server)
    assert server.process.running() and server.process.pid == before
    if isinstance(server, Lighttpd):
        assert server.relay_pid() != first


# ---- beside a site that has port 80


@pytest.mark.parametrize("name", BESIDE)
def test_only_challenges_reach_the_relay_beside_a_site(world: World, workspace: Workspace, name: str) -> None:
    relay = start_relay(workspace, world.config())
    file, site = BESIDE[name]
    (workspace.path / "site").mkdir()
    (workspace.path / "site" / "index.html").write_text("the site\n")
    text = site(workspace, shipped_snippet(workspace, str(relay.address), file))
    _, port = start_on_free_port(
        lambda port: start_beside(name, workspace, port, text), lambda port: answers_at(("127.0.0.1", port))
    )

    assert "the site\n" in http_client.request(port, "/", host="app.example.test").text
    for method in ("GET", "HEAD"):
        response = http_client.request(port, CHALLENGE, host="app.example.test", method=method)
        assert (response.status, response.location, response.reason) == (307, GOOD, "ok")
    response = http_client.request(port, CHALLENGE, host="app.example.test", method="POST", body=b"x")
    assert (response.status, response.reason) == (405, "bad-method")
    response = http_client.request(port, f"http://no-txt.example.test{CHALLENGE}", host="app.example.test")
    assert (response.status, response.reason) == (404, "txt-missing")
    for path in ("/metrics", "/ready", "/health", "/.well-known/security.txt"):
        assert http_client.request(port, path, host="localhost").reason is None


_TO_HTTPS = "RewriteEngine On\nRewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301,L]"
_DENIED = '<Location "/">\nRequire all denied\n</Location>'
_GRANTED = '<Location "/.well-known/acme-challenge/">\nRequire all granted\n</Location>'


@pytest.mark.parametrize(
    ("directives", "status", "other"),
    [
        ("Redirect permanent / https://localhost/", 307, 301),
        ('ProxyPass "/" "http://127.0.0.1:1/"', 307, 503),
        # What the file's comment says that a site may need.
        (_TO_HTTPS, 301, 301),
        (_TO_HTTPS.replace("On\n", "On\nRewriteRule ^/\\.well-known/acme-challenge/ - [END]\n"), 307, 301),
        (_DENIED, 403, 403),
        (f"{_DENIED}\n{_GRANTED}", 307, 403),
        ('SetEnvIf Request_URI "^/\\.well-known/acme-challenge/" no-proxy', 404, 404),
    ],
)
def test_sites_of_apache_that_have_rules_of_their_own(
    world: World, workspace: Workspace, directives: str, status: int, other: int
) -> None:
    relay = start_relay(workspace, world.config())
    (workspace.path / "site").mkdir()
    text = apache_site(workspace, shipped_snippet(workspace, str(relay.address), BESIDE["Apache"][0]), directives)
    _, port = start_on_free_port(
        lambda port: start_beside("Apache", workspace, port, text), lambda port: answers_at(("127.0.0.1", port))
    )
    response = http_client.request(port, CHALLENGE, host="app.example.test")
    assert (response.status, response.reason) == (status, "ok" if status == 307 else None)
    assert http_client.request(port, "/other", host="app.example.test").status == other


# ---- what the servers' own checks say


@pytest.mark.parametrize("name", [name for name in SERVERS if name != "lighttpd"])
def test_the_server_finds_no_fault_in_the_shipped_file(servers: dict[str, Server], name: str) -> None:
    server = servers[name]
    assert isinstance(server, FrontServer)
    # They write nothing at the start but what is wrong. Caddy writes its progress, what has been
    # switched off, and that no challenge is its own.
    lines = server.process.output().splitlines()
    expected = (
        '"level":"info"',
        '"msg":"admin endpoint disabled"',
        '"msg":"automatic HTTPS is completely disabled for server"',
        '"msg":"looking up info for HTTP challenge"',
    )
    assert [line for line in lines if not any(part in line for part in expected)] == []


def test_caddys_files_are_in_its_own_format() -> None:
    for path in (DEPLOY / "caddy").iterdir():
        formatted = subprocess.run(["/usr/bin/caddy", "fmt", path], capture_output=True, text=True, check=False)
        assert formatted.stdout == path.read_text()
