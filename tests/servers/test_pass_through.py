"""The relay on a host of its own: the domains of the apps lead there, port 80 is the relay's, and port 443 leads on to
the gateways, by nginx with both shipped files."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import http_client
import pytest
from dns_servers import Nsd, Unbound
from front_servers import DEPLOY, nginx_substitutions, start_nginx, start_relay
from gateway import App, Gateway, LoopbackBlock, WebrootServer
from http_client import Response
from processes import Workspace, answers_at, free_port, wait_until
from relay import TOKEN, config_text, toml
from web_servers import has_ipv6, shipped_config

PATH = f"/.well-known/acme-challenge/{TOKEN}"
BASES = ("dstack-prod5.phala.network", "dstack-prod7.phala.network")
ALIASES = {"prod5.relay.example.net": BASES[0], "prod7.relay.example.net": BASES[1]}

# How nginx knows the gateway: it is the default's, by the address of the second alias, by the list of names.
DEFAULT, BY_ADDRESS, BY_NAME, BELOW_NAME = (
    "app5.example.org",
    "other.example.com",
    "app7.example.org",
    "www.app7.example.org",
)

BLOCK = LoopbackBlock()
pytestmark = pytest.mark.skipif(BLOCK.why_not() is not None, reason=str(BLOCK.why_not()))


class PassThrough:
    """Two gateways, an app behind each name, and the relay's host, which has an address for each alias."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.gateway_addresses = dict(zip(BASES, (BLOCK.address(), BLOCK.address()), strict=True))
        self.addresses = (BLOCK.address(), BLOCK.address())
        self.apps = {
            name: App(name, BLOCK.address(), gateway=BASES[0] if name == DEFAULT else BASES[1])
            for name in (DEFAULT, BY_ADDRESS, BY_NAME, BELOW_NAME)
        }
        self.nsd = Nsd(workspace, self._zones())
        self.unbound = Unbound(workspace, self.nsd)
        self.gateways = {
            base: Gateway(workspace, [address], [app for app in self.apps.values() if app.gateway == base])
            for base, address in self.gateway_addresses.items()
        }
        self.servers = {name: self._serve(app) for name, app in self.apps.items()}
        self.relay = start_relay(workspace, config_text(self.unbound.server, {"gateways": {"aliases": ALIASES}}))
        self.log = workspace.path / "pass-through.log"
        self.ipv6_port = free_port()
        self._start()

    def address_of(self, name: str) -> str:
        """What the DNS says: all share one address but the one whose alias has another."""
        return self.addresses[name == BY_ADDRESS]

    def _zones(self) -> dict[str, str]:
        records = "".join(
            f"{name}. CNAME {'prod7' if app.gateway == BASES[1] else 'prod5'}.relay.example.net.\n"
            f'_dstack-app-address.{name}. TXT "{app.app_id}:{app.tls_port}"\n'
            for name, app in self.apps.items()
        )
        gateways = "".join(
            f"{base}. A {address}\n*.{base}. A {address}\n" for base, address in self.gateway_addresses.items()
        )
        return {
            "example.org": "".join(line + "\n" for line in records.splitlines() if "example.org. " in line),
            "example.com": "".join(line + "\n" for line in records.splitlines() if "example.com. " in line),
            "example.net": f"prod5.relay A {self.addresses[0]}\nprod7.relay A {self.addresses[1]}\n",
            "phala.network": gateways,
        }

    def _serve(self, app: App) -> WebrootServer:
        directory = self.workspace.path / app.domain
        directory.mkdir()
        server = WebrootServer(self.workspace, app, directory)
        (server.challenges / TOKEN).write_text(f"the key authorization of {app.domain}\n")
        (server.webroot / "index.html").write_text(f"the site of {app.domain}\n")
        return server

    def _start(self) -> None:
        """One nginx has both files. The second is read where Debian's nginx reads modules."""
        modules = self.workspace.path / "nginx-modules"
        modules.mkdir()
        (modules / "50-mod-stream.conf").write_text("load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n")
        first, second = self.addresses
        # ::1 is everybody's, so not port 443 there.
        ipv6 = f"        listen [::1]:{self.ipv6_port};\n" if has_ipv6() else ""
        host, _, port = self.unbound.server.partition(":")
        changes = {
            "resolver 127.0.0.1 ": f"resolver {host}:{port} ",
            "/var/log/nginx/pass-through.log": str(self.log),
            "        192.0.2.81 dstack-prod7": f"        {second} dstack-prod7",
            "listen 443 backlog=4096;": f"listen {first}:443;\n        listen {second}:443;",
            "        listen [::]:443 backlog=4096;\n": ipv6,
        }
        shipped = shipped_config((DEPLOY / "nginx" / "pass-through.conf").read_text(), changes)
        (modules / "90-http01-relay-pass-through.conf").write_text(shipped)
        changes = nginx_substitutions(self.workspace.path, first, 80, str(self.relay.address))
        changes["listen 80 "] = f"listen {second}:80 default_server;\n        listen {first}:80 "
        shipped = shipped_config((DEPLOY / "nginx" / "http01-relay.conf").read_text(), changes)
        nginx = start_nginx(self.workspace, self.workspace.write("nginx.conf", shipped))
        nginx.wait_until_ready(
            lambda: all(answers_at((address, port)) for address in self.addresses for port in (80, 443))
        )

    def https(self, address: str, name: str, path: str, ca: Path | None, port: int = 443) -> Response:
        """With a certificate that `ca` vouches for, for that name; None: with any."""
        context = ssl.create_default_context(cafile=ca)
        if ca is None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        with (
            socket.create_connection((address, port), 10) as connection,
            context.wrap_socket(connection, server_hostname=name) as tls,
        ):
            tls.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            octets = b""
            while chunk := tls.recv(65536):
                octets += chunk
        return http_client.parse_response(octets)


@pytest.fixture(scope="module")
def world(module_workspace: Workspace) -> PassThrough:
    return PassThrough(module_workspace)


@pytest.mark.parametrize("name", [DEFAULT, BY_ADDRESS, BY_NAME, BELOW_NAME])
def test_a_challenge_ends_at_the_app(world: PassThrough, name: str) -> None:
    app = world.apps[name]
    response = http_client.request(80, PATH, host=name, connect=world.address_of(name))
    assert (response.status, response.location) == (307, f"https://{app.gateway_name}{PATH}")
    answer = world.https(world.gateway_addresses[app.gateway], app.gateway_name, PATH, None)
    assert answer.text == f"the key authorization of {name}\n"


@pytest.mark.parametrize("name", [DEFAULT, BY_ADDRESS, BY_NAME, BELOW_NAME])
def test_the_site_is_reached_over_the_same_host(world: PassThrough, name: str) -> None:
    response = http_client.request(80, "/a", host=name, connect=world.address_of(name))
    assert (response.status, response.location) == (307, f"https://{name}/a")
    # TLS ends in the app: its certificate comes back, for its name.
    certificate = world.workspace.path / name / "tls" / "self-signed.pem"
    answer = world.https(world.address_of(name), name, "/", certificate)
    assert answer.text == f"the site of {name}\n"
    # Its own gateway has seen it, and the other has not.
    base = world.apps[name].gateway
    wait_until(lambda: world.gateways[base].sessions(name) > 0, "the gateway's line")
    assert [gateway for gateway in world.gateways.values() if gateway.sessions(name)] == [world.gateways[base]]
    wait_until(lambda: f'"{name}" {base}:443 200 ' in world.log.read_text(), "nginx's line")


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on loopback here")
def test_ipv6_leads_to_the_gateway_too(world: PassThrough) -> None:
    answer = world.https("::1", BY_NAME, "/", None, world.ipv6_port)
    assert answer.text == f"the site of {BY_NAME}\n"


def test_a_name_of_nobody_leads_to_the_gateway_and_nowhere_else(world: PassThrough) -> None:
    for name in ("localhost", "nobody.example.org", "127.0.0.1.example.org"):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            world.https(world.addresses[0], name, "/", None)
    wait_until(lambda: '"nobody.example.org"' in world.log.read_text(), "nginx's line")
    for line in world.log.read_text().splitlines():
        assert f" {BASES[0]}:443 " in line or f" {BASES[1]}:443 " in line


def test_the_relay_s_configuration_is_what_the_comment_shows() -> None:
    text = (DEPLOY / "nginx" / "pass-through.conf").read_text()
    shown = "\n".join(line.removeprefix("#   ") for line in text.splitlines() if line.startswith("#   "))
    assert toml({"gateways": {"aliases": ALIASES}}).removeprefix("[gateways]\n").strip() in shown
