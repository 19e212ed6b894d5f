"""Where the relay stands in the end: on port 80 of the gateway's own address, behind lighttpd as it is shipped.

A machine may have several gateways, each with an address, a base domain and a relay configured in its own
way; a domain belongs to the one its CNAME leads to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import http_client
from dns_servers import Nsd, Unbound
from gateway import App, Gateway
from pebble import Pebble
from processes import RELAY, Workspace
from relay import config_text
from web_servers import SHIPPED, shipped_config, substitutions


class Site:
    """One gateway's address, port 80."""

    def __init__(
        self,
        workspace: Workspace,
        name: str,
        address: str,
        dns_server: str,
        sections: Mapping[str, Mapping[str, Any]] | None = None,
        more: str = "",
    ) -> None:
        """`more` is appended to the shipped lighttpd configuration."""
        self.address = address
        self._access_log = workspace.path / f"{name}-access.log"
        self.config = workspace.write("relay.toml", config_text(dns_server, sections))
        changes = substitutions(workspace.path, 80, RELAY, self.config, address) | {
            "/var/log/lighttpd/error.log": f"{workspace.path}/{name}-error.log",
            "/var/log/lighttpd/access.log": str(self._access_log),
            "/run/lighttpd/http01-relay.sock": f"{workspace.path}/{name}.sock",
            # One loopback address each, and IPv4 alone.
            '$SERVER["socket"] == "[::]:80" { }\n': "",
        }
        changes.pop('"[::]:80"', None)
        text = shipped_config((SHIPPED / "http01-relay.conf").read_text(), changes) + more
        path = workspace.write("lighttpd.conf", text)
        self.process = workspace.start(name, ["/usr/sbin/lighttpd", "-D", "-f", path])
        self.process.wait_until_ready(self._answers)

    def _answers(self) -> bool:
        try:
            return http_client.request(80, "/health", host="localhost", connect=self.address).status == 200
        except (OSError, AssertionError):
            return False

    def accesses(self, domain: str) -> list[str]:
        """The lines of lighttpd's access log with this Host. It writes them a few seconds late."""
        return _lines(self._access_log.read_text(errors="replace"), f" {domain} ")

    def decisions(self, domain: str) -> list[str]:
        """What the relay has logged of requests with this Host; not what it says of them together ten seconds later."""
        return [line for line in _lines(self.process.output(), f" host={domain} ") if " reason=" in line]


class Addresses(Protocol):
    def address(self) -> str:
        """The next one."""


class AcmeWorld:
    """All there is between an authority and the apps: names in nsd behind unbound, a site for each gateway,
    the gateway itself, Pebble. `gateways` is base domain → sections of its relay's configuration, `zones`
    what stands in the DNS beside the gateways' own names."""

    def __init__(
        self,
        workspace: Workspace,
        addresses: Addresses,
        gateways: Mapping[str, Mapping[str, Any]],
        apps: Sequence[App],
        zones: Callable[[Mapping[str, str]], Mapping[str, str]],
    ) -> None:
        self.workspace = workspace
        self.addresses = {base: addresses.address() for base in gateways}
        gateway_zones: dict[str, str] = {}
        for base, address in self.addresses.items():
            origin = base.split(".", 1)[1]
            gateway_zones[origin] = gateway_zones.get(origin, "") + f"{base}. A {address}\n*.{base}. A {address}\n"
        self.nsd = Nsd(workspace, gateway_zones | dict(zones(self.addresses)))
        self.unbound = Unbound(workspace, self.nsd)
        self.sites = {
            base: Site(workspace, f"site-{number}", self.addresses[base], self.unbound.server, sections)
            for number, (base, sections) in enumerate(gateways.items())
        }
        self.gateway = Gateway(workspace, list(self.addresses.values()), apps)
        self.ca = Pebble(workspace, self.unbound.server)

    def site_of(self, app: App) -> Site:
        return self.sites[app.gateway]


def _lines(text: str, part: str) -> list[str]:
    return [line for line in text.splitlines() if part in line]
