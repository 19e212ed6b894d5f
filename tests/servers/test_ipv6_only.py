"""A machine without IPv4: a network namespace whose only addresses are ::1 and a link-local one. Nobody else is in it, so
the shipped configurations keep their port 80."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator, Mapping

import fastcgi_client
import http_client
import pytest
from acme_clients import private_mounts
from dns_servers import Nsd, Unbound
from front_servers import (
    DEPLOY,
    SERVERS,
    apache_frame,
    apache_substitutions,
    caddy_substitutions,
    nginx_substitutions,
    start_caddy,
    start_nginx,
    start_relay,
)
from injector import Injector
from namespaces import without_ipv4
from processes import RELAY, Process, Workspace, answers_at, free_port
from relay import CHALLENGE, Relay, clean_environment, config_text
from web_servers import shipped_config, substitutions
from zones import APP_ID, GATEWAY, ZONES

GOOD = f"https://{APP_ID}.{GATEWAY}{CHALLENGE}"
HOST = "app.example.test"
HTTP = 80


@pytest.fixture(name="network", scope="module", autouse=True)
def network_fixture() -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("only root can make a network namespace here")
    with without_ipv4():
        yield


@pytest.fixture(name="unbound", scope="module")
def unbound_fixture(network: None, module_workspace: Workspace) -> Unbound:
    return Unbound(module_workspace, Nsd(module_workspace, ZONES))


@pytest.fixture(name="relay", scope="module")
def relay_fixture(module_workspace: Workspace, unbound: Unbound) -> Relay:
    """On a unix socket, as the web servers expect it."""
    return start_relay(module_workspace, config_text(unbound.server))


def test_there_is_no_ipv4_here() -> None:
    with socket.socket(socket.AF_INET) as probe:
        assert probe.connect_ex(("127.0.0.1", HTTP)) == errno.ENETUNREACH


def test_the_relay_listens_and_resolves(workspace: Workspace, unbound: Unbound) -> None:
    assert unbound.server.startswith("[::1]:")
    listen = f"[::1]:{free_port()}"
    relay = Relay(workspace, config_text(unbound.server), listen=listen)
    assert relay.challenge(HOST, client="::1").location == GOOD
    assert relay.request("/ready", "localhost", client="::1").status == 200


@pytest.mark.parametrize("nameserver", ["::1", "fe80::53%lo"])
def test_a_name_server_of_resolv_conf_is_asked(workspace: Workspace, nameserver: str) -> None:
    unshare = private_mounts()
    if unshare is None:
        pytest.skip("no mount namespace can be made here")
    resolv_conf = workspace.write("resolv.conf", f"nameserver {nameserver}\n")
    config = workspace.write("relay.toml", '[log]\nlevel = "off"\n')
    socket_path = workspace.fresh("relay.sock")
    script = f'mount --bind {resolv_conf} /etc/resolv.conf && exec "$@"'
    command = [*unshare, "sh", "-c", script, "sh", RELAY, "-c", config, "--listen", f"unix:{socket_path}"]
    with Injector(address=nameserver, port=53) as injector:
        process = workspace.start("relay", command, environment=clean_environment())
        process.wait_until_ready(lambda: answers_at(str(socket_path)))
        response = fastcgi_client.request(str(socket_path), CHALLENGE, host="app.good.test", client="::1")
        assert response.location == GOOD
        assert injector.total() > 0


# ---- the shipped configurations, with all of their addresses


def _lighttpd(workspace: Workspace, relay: Relay) -> Process:
    changes = substitutions(workspace.path, HTTP, RELAY, relay.config, "")
    text = (DEPLOY / "lighttpd" / "http01-relay.conf").read_text()
    path = workspace.write("lighttpd.conf", shipped_config(text, as_shipped(changes)))
    return workspace.start("lighttpd", ["/usr/sbin/lighttpd", "-D", "-f", path])


def _nginx(workspace: Workspace, relay: Relay) -> Process:
    (workspace.path / "nginx-modules").mkdir()
    changes = nginx_substitutions(workspace.path, "127.0.0.1", HTTP, str(relay.address))
    text = (DEPLOY / "nginx" / "http01-relay.conf").read_text()
    return start_nginx(workspace, workspace.write("nginx.conf", shipped_config(text, as_shipped(changes))))


def _caddy(workspace: Workspace, relay: Relay) -> Process:
    changes = caddy_substitutions(workspace.path, HTTP, str(relay.address))
    text = (DEPLOY / "caddy" / "Caddyfile").read_text()
    # Where 127.0.0.1 is missing too, Go opens a socket for all addresses as one for IPv4: the file says what to add.
    changes = as_shipped(changes) | {"\t# bind tcp6/[::]\n": "\tbind tcp6/[::]\n"}
    return start_caddy(workspace, workspace.write("Caddyfile", shipped_config(text, changes)))


def _apache(workspace: Workspace, relay: Relay) -> Process:
    changes = apache_substitutions(workspace.path, HTTP, str(relay.address))
    site = shipped_config((DEPLOY / "apache" / "http01-relay.conf").read_text(), as_shipped(changes))
    # As Debian's ports.conf has it.
    path = workspace.write("apache.conf", apache_frame(workspace.path, HTTP, "Listen 80\n") + site)
    return workspace.start("apache", ["/usr/sbin/apache2", "-D", "FOREGROUND", "-f", path])


def as_shipped(changes: Mapping[str, str]) -> dict[str, str]:
    """Without those that move a server away from port 80 of all addresses."""
    address = ("server.bind", "server.port", '"[::]:80"', "listen ", "http://:80", "<VirtualHost")
    return {old: new for old, new in changes.items() if not old.startswith(address)}


STARTERS: dict[str, Callable[[Workspace, Relay], Process]] = {
    "lighttpd": _lighttpd,
    "nginx": _nginx,
    "Caddy": _caddy,
    "Apache": _apache,
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_web_server_serves_ipv6_as_it_is_shipped(workspace: Workspace, relay: Relay, name: str) -> None:
    def serves() -> bool:
        try:
            return http_client.request(HTTP, "/health", host="localhost", connect="::1").status == 200
        except (OSError, AssertionError):
            return False

    process = STARTERS[name](workspace, relay)
    process.wait_until_ready(serves)
    response = http_client.request(HTTP, CHALLENGE, host=HOST, connect="::1")
    assert (response.status, response.location, response.reason) == (307, GOOD, "ok")
    literal = http_client.request(HTTP, "/health", host="[::1]", connect="::1")
    assert (literal.status, literal.text.strip()) == (200, "OK")
