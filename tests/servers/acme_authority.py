"""A certificate authority for clients of deploy/acme-client, and names for them that nobody had before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deployed_client import AcmeClient
from dns_servers import Nsd, Unbound
from gateway import LoopbackBlock
from pebble import Pebble
from processes import Workspace, free_port

ORDER = "POST /order-plz"


@dataclass(frozen=True)
class Place:
    """Names that nobody had before. All lead to `address`, but `elsewhere`, which leads to `other`."""

    domain: str
    address: str
    other: str

    def name(self, label: str) -> str:
        return f"{label}.{self.domain}"

    @property
    def elsewhere(self) -> str:
        return self.name("elsewhere")


class Authority:
    """Pebble, and names for its clients."""

    def __init__(self, workspace: Workspace) -> None:
        block = LoopbackBlock()
        places = [Place(f"c{number}.acme.test", block.address(), block.address()) for number in range(40)]
        records = "".join(
            f"{place.domain}. A {place.address}\n"
            f"*.{place.domain}. A {place.address}\n"
            f"{place.elsewhere}. A {place.other}\n"
            for place in places
        )
        self._places = iter(places)
        # Each client has an address of its own, so all can have the same ports.
        self.ports = free_port(), free_port()
        unbound = Unbound(workspace, Nsd(workspace, {"acme.test": records}))
        self.pebble = Pebble(workspace, unbound.server, self.ports[0])

    def place(self) -> Place:
        return next(self._places)

    def orders(self) -> int:
        return self.pebble.process.output().count(ORDER)


def make_acme_client(workspace: Workspace, authority: Authority, place: Place, **variables: str) -> AcmeClient:
    """A client that is not started yet, for these variables."""
    known = {
        "ACME_SERVER": authority.pebble.directory,
        "ACME_CA_BUNDLE": str(authority.pebble.api_certificate),
        "EMAIL": "owner@acme.test",
    }
    return AcmeClient(workspace, place.address, known | variables, ports=authority.ports)


ClientFactory = Callable[..., AcmeClient]
