"""A certificate authority for clients of deploy/acme-client, and names for them that nobody had before."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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

    def __init__(self, workspace: Workspace, ports: tuple[int, int] | None = None) -> None:
        self._workspace = workspace
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
        self.ports = ports or (free_port(), free_port())
        unbound = Unbound(workspace, Nsd(workspace, {"acme.test": records}))
        self.pebble = Pebble(workspace, unbound.server, self.ports[0])

    def place(self) -> Place:
        return next(self._places)

    def orders(self) -> int:
        return self.pebble.process.output().count(ORDER)

    @functools.cached_property
    def account(self) -> Path:
        """What dehydrated keeps of an account here (its BASEDIR/accounts)."""
        directory = self._workspace.fresh("account")
        settings = {
            "CA": self.pebble.directory,
            "BASEDIR": directory,
            "CURL_OPTS": f"--cacert {self.pebble.api_certificate}",
            "KEYSIZE": 2048,
        }
        directory.mkdir()
        config = directory / "config"
        config.write_text("".join(f"{name}={shlex.quote(str(value))}\n" for name, value in settings.items()))
        words: list[str | Path] = ["/usr/bin/dehydrated", "--config", config, "--register", "--accept-terms"]
        process = self._workspace.start("register", words)
        assert process.wait(60) == 0, process.output()
        return directory / "accounts"


def make_acme_client(
    workspace: Workspace, authority: Authority, place: Place, *, registered: bool = True, **variables: str
) -> AcmeClient:
    """A client that is not started yet, for these variables. To make an account and its key takes longer than most of
    what is tested with it: it has one, unless it is not `registered`."""
    known = {
        "ACME_SERVER": authority.pebble.directory,
        "ACME_CA_BUNDLE": str(authority.pebble.api_certificate),
        "EMAIL": "owner@acme.test",
    }
    client = AcmeClient(workspace, place.address, known | variables, ports=authority.ports)
    if registered:
        client.account = authority.account
    return client


ClientFactory = Callable[..., AcmeClient]
