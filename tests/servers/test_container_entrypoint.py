"""The container's entrypoint outside of one: which settings it starts lighttpd with, and which stop it; and the
container's lighttpd, and nginx before it, as they are shipped."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from typing import Any

import http_client
import pytest
from dns_servers import start_on_free_port
from front_servers import open_files, serves, start_nginx
from injector import Injector
from odd_requests import HIDDEN_HOSTS
from processes import RELAY, REPOSITORY, Process, Workspace
from relay import EXIT_CONFIG, config_text
from web_servers import shipped_config

ENTRYPOINT = REPOSITORY / "deploy" / "docker" / "entrypoint"
DOCKER = ENTRYPOINT.parent
EXEMPT, STRANGER = "127.0.0.2", "127.0.0.3"


def run(workspace: Workspace, **variables: str) -> subprocess.CompletedProcess[str]:
    """In the place of lighttpd is a program that prints what it would get."""
    lighttpd = workspace.write("lighttpd", '#!/bin/sh\nexec /usr/bin/env\n')
    lighttpd.chmod(0o755)
    if not (relay := workspace.path / RELAY.name).exists():
        relay.symlink_to(RELAY)
    config = REPOSITORY / "etc" / "http01-relay.toml"
    environment = {"PATH": f"{workspace.path}:/usr/bin:/bin", "HTTP01_RELAY_CONFIG": str(config)}
    return subprocess.run(
        [ENTRYPOINT], env=environment | variables, capture_output=True, text=True, check=False, timeout=20
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *((name, value) for name in ("PORT",) for value in ("0", "65536", "abc", " ", "80x", "-1")),
        ("FALLBACK_GATEWAY_DOMAIN", " "),
        ("FALLBACK_GATEWAY_DOMAIN", "no gateway"),
        ("ALLOWED_DOMAIN_REGEX", " "),
        ("ALLOWED_DOMAIN_REGEX", "^_\\.(.+"),
        ("GATEWAY_DOMAIN_CAPTURE_GROUP", "one"),
        ("GATEWAY_DOMAIN_CAPTURE_GROUP", " "),
        ("LOG_LEVEL", "loud"),
        ("LOG_LEVEL", " "),
        ("RUST_LOG", "loud"),
        ("RELAY_MODE", "proxy"),
        ("RELAY_MODE", " "),
    ],
)
def test_a_wrong_variable_stops_it_with_a_message(workspace: Workspace, variable: str, value: str) -> None:
    ended = run(workspace, **{variable: value})
    assert (ended.returncode, ended.stdout) == (EXIT_CONFIG, "")
    assert f"environment: {variable}: " in ended.stderr


FOR_BOTH = ("foo", " ", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "10.0.0", "256.0.0.1", "01.2.3.4", "10.0.0.1 10.0.0.2",
            "::1/129", "1:2", ":::", "abcd:", "1::2::3", "12345::1", "::1.2.3.999", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
            "1:2:3:4::5:6:7:8", "::1%lo", "[::1]")  # fmt: skip
# lighttpd takes one network; to it one of all addresses is none.
FOR_LIGHTTPD = ("0.0.0.0/0", "::/0", "10.0.0.0/8,10.1.0.0/16")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *(("METRICS_FROM", value) for value in FOR_BOTH),
        *(("TRUSTED_PROXY", value) for value in FOR_BOTH + FOR_LIGHTTPD),
    ],
)
def test_what_is_no_network_stops_it(workspace: Workspace, variable: str, value: str) -> None:
    ended = run(workspace, **{variable: value})
    assert (ended.returncode, ended.stdout) == (EXIT_CONFIG, "")
    assert re.search(rf"^environment: {variable}: .* is (no address or|not a) network", ended.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    "value",
    [
        *("127.0.0.1", "10.0.0.0/8", "10.0.0.1/8", "192.0.2.0/32", "::", "::1", "2001:db8::/32", "fe80::1/64", "::ffff:192.0.2.1"),
        *("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:192.0.2.1", "2001:DB8::1/128"),
    ],
)  # fmt: skip
def test_networks_are_taken_by_lighttpd_too(workspace: Workspace, value: str) -> None:
    ended = run(workspace, METRICS_FROM=value, TRUSTED_PROXY=value)
    assert ended.returncode == 0, ended.stderr
    environment = dict(line.split("=", 1) for line in ended.stdout.splitlines())
    assert (environment["METRICS_FROM"], environment["TRUSTED_PROXY"]) == (value, value)
    shipped = (DOCKER / "lighttpd.conf").read_text()
    config = workspace.write("lighttpd.conf", shipped.replace("/usr/lib/http01-relay/relay", f"{DOCKER}/relay"))
    checked = subprocess.run(
        ["/usr/sbin/lighttpd", "-tt", "-f", config], env=environment, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_several_networks_may_see_the_counters(workspace: Workspace) -> None:
    ended = run(workspace, METRICS_FROM="127.0.0.0/8, 0.0.0.0/0,::/0")
    assert ended.returncode == 0, ended.stderr
    assert "METRICS_FROM=127.0.0.0/8, 0.0.0.0/0,::/0" in ended.stdout.splitlines()
    assert "METRICS_FROM" not in run(workspace).stdout


@pytest.mark.parametrize(("port", "used"), [("", "8081"), ("9001", "9001"), ("09001", "9001"), ("65535", "65535")])
def test_both_sockets_are_at_the_port(workspace: Workspace, port: str, used: str) -> None:
    environment = run(workspace, PORT=port).stdout.splitlines()
    assert f"PORT={used}" in environment
    (second,) = [line for line in environment if line.startswith("RELAY_SECOND_SOCKET=")]
    assert second in (f"RELAY_SECOND_SOCKET=[::]:{used}", f"RELAY_SECOND_SOCKET=0.0.0.0:{used}")


def test_all_faults_are_listed(workspace: Workspace) -> None:
    ended = run(workspace, PORT="x", LOG_LEVEL="loud", METRICS_FROM="foo", TRUSTED_PROXY="everybody")
    assert ended.returncode == EXIT_CONFIG
    for variable in ("PORT", "LOG_LEVEL", "METRICS_FROM", "TRUSTED_PROXY"):
        assert f"environment: {variable}: " in ended.stderr


# ---- its web servers


def start_in_its_place(
    workspace: Workspace, dns: str, sections: Mapping[str, Mapping[str, Any]] | None = None, **variables: str
) -> int:
    """The container's lighttpd, started by the entrypoint; its port. Only paths are changed."""
    changes = {
        '"/usr/lib/http01-relay/relay"': f'"{DOCKER}/relay"',
        'env.RELAY_RUN + "/http01-relay.sock"': f'"{workspace.path}/image.sock"',
        "/var/www/html": str(workspace.path),
    }
    shipped = workspace.write("image.conf", shipped_config((DOCKER / "lighttpd.conf").read_text(), changes))
    lighttpd = workspace.write("lighttpd", f"#!/bin/sh\nexec /usr/sbin/lighttpd -D -f {shipped}\n")
    lighttpd.chmod(0o755)
    (workspace.path / RELAY.name).symlink_to(RELAY)
    config = workspace.write("image.toml", config_text(dns, sections))
    environment = {"PATH": f"{workspace.path}:/usr/bin:/bin", "HTTP01_RELAY_CONFIG": str(config)} | variables

    def start(port: int) -> Process:
        return workspace.start("image", [ENTRYPOINT], environment=environment | {"PORT": str(port)})

    return start_on_free_port(start, serves)[1]


def test_the_container_shows_its_counters_to_the_networks_of_the_variable(workspace: Workspace) -> None:
    with Injector() as dns:
        port = start_in_its_place(workspace, dns.server, METRICS_FROM=f"192.0.2.0/24, {EXEMPT}", TRUSTED_PROXY="127.0.0.9")

        def get(host: str, source: str, said: str = "") -> tuple[int, str | None]:
            headers = {"X-Forwarded-For": said} if said else {}
            response = http_client.request(port, "/metrics", host=host, source=source, headers=headers)
            assert (b"process_" in response.body) == (response.status == 200)
            return response.status, response.reason

        for host in ("localhost", "x.", "LOCALHOST:80", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"):
            assert get(host, EXEMPT) == (200, "ok")
            assert get(host, STRANGER) == get(host, "127.0.0.1") == (403, "forbidden")
        # By the client that the trusted proxy reports, and nobody else.
        assert get("localhost", "127.0.0.9", "192.0.2.7") == (200, "ok")
        assert get("localhost", "127.0.0.9", "198.51.100.7") == (403, "forbidden")
        assert get("localhost", "127.0.0.9", f"{EXEMPT}, 198.51.100.7") == (403, "forbidden")
        assert get("localhost", STRANGER, EXEMPT) == (403, "forbidden")
        assert get("app.good.test", EXEMPT) == get("app.good.test", STRANGER) == (307, "ok")


def test_nginx_before_the_container_hides_the_counters_at_all_of_its_own_names(workspace: Workspace) -> None:
    with Injector() as dns:
        # As compose.nginx.yml has it. The relay takes all of 127.0.0.0/8 for the container itself.
        inner = start_in_its_place(workspace, dns.server, TRUSTED_PROXY="all")
        directories = "".join(
            f"{kind}_temp_path {workspace.path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        shipped = re.sub(r"(?m)^ *\w+_temp_path .*\n", "", (DOCKER / "nginx.conf").read_text())

        def start(port: int) -> Process:
            changes = {
                "http://relay:8081": f"http://127.0.0.1:{inner}",
                "/tmp/nginx.pid": f"{workspace.path}/nginx.pid",
                "listen 80 ": f"listen 127.0.0.1:{port} ",
                "    listen [::]:80 default_server;\n": "",
                "http {\n": f"http {{ {directories}\n",
                # In this test all of it is a stranger's but one address.
                "127.0.0.0/8  0;": f"{EXEMPT}/32 0;",
            }
            if open_files() < 65536:
                changes["worker_rlimit_nofile 65536;"] = f"worker_rlimit_nofile {open_files()};"
                changes["worker_connections 24576;"] = f"worker_connections {min(24576, open_files() - 100)};"
            return start_nginx(workspace, workspace.write("nginx.conf", shipped_config(shipped, changes)))

        port = start_on_free_port(start, serves)[1]
        for path in ("/metrics", "/ready", "/metrics?x", "/metrics#x"):
            for host in HIDDEN_HOSTS:
                response = http_client.request(port, path, host=host, source=STRANGER)
                assert response.status in (400, 403) and response.reason is None, (path, host)
            shown = http_client.request(port, path, host="LOCALHOST.:80", source=EXEMPT)
            assert (shown.status, shown.reason) == (200, "ok")
            for source in (EXEMPT, STRANGER):
                response = http_client.request(port, path, host="app.good.test", source=source)
                assert response.location == f"https://app.good.test{path.removesuffix('#x')}"
