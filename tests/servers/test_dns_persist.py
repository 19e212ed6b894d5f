"""Orders that list dns-persist-01 first. Its challenge is the only one without a token, and a client that wants one
of each gets no certificate by any."""

from __future__ import annotations

import os
from collections.abc import Iterator

import certificates
import pytest
from acme_authority import Authority, make_acme_client
from acme_clients import AcmeClient, Acmetool, AcmeTiny, CertbotWebroot, ClientFailed, Dehydrated, LegoWebroot, Uacme
from ca_front import CaFront
from gateway import App, LoopbackBlock
from processes import Workspace


@pytest.fixture(scope="module")
def web_authority(module_workspace: Workspace) -> Authority:
    """It asks on port 80, where the clients are."""
    if why := LoopbackBlock().why_not():
        pytest.skip(why)
    return Authority(module_workspace, (80, 443))


@pytest.fixture(scope="module")
def front(module_workspace: Workspace, web_authority: Authority) -> Iterator[CaFront]:
    with CaFront(module_workspace, web_authority.pebble) as front:
        front.dns_persist_first = True
        yield front


def make(workspace: Workspace, kind: type[AcmeClient], authority: Authority, front: CaFront) -> AcmeClient:
    if why := kind.why_not():
        pytest.skip(why)
    place = authority.place()
    return kind(workspace, workspace.path / kind.__name__, App(place.domain, place.address, "gw.test"), front)  # type: ignore[arg-type]


# The others take longer.
QUICK = [LegoWebroot, AcmeTiny]


@pytest.mark.parametrize("kind", [*QUICK, CertbotWebroot, Acmetool, Dehydrated] if "PEBBLE" in os.environ else QUICK)
def test_other_clients_take_the_challenge_they_can(
    workspace: Workspace, web_authority: Authority, front: CaFront, kind: type[AcmeClient]
) -> None:
    client = make(workspace, kind, web_authority, front)
    client.obtain()
    assert certificates.read(client.chain.read_text()).names == {client.app.domain}


def test_the_client_that_is_shipped_takes_the_challenge_it_can(
    workspace: Workspace, web_authority: Authority, front: CaFront
) -> None:
    place = web_authority.place()
    client = make_acme_client(workspace, web_authority, place, DOMAIN=place.domain)
    client.variables |= front.variables()
    client.account = front.account(web_authority.account)
    client.start()
    client.wait_for_certificate(place.domain)
    assert client.stop() == 0


def test_uacme_fails_before_it_has_called_its_hook(
    workspace: Workspace, web_authority: Authority, front: CaFront
) -> None:
    """So no hook can help it. What it says of a challenge that its hook declines is another word."""
    client = make(workspace, Uacme, web_authority, front)
    with pytest.raises(ClientFailed, match="failed to parse challenge") as failure:
        client.obtain()
    said = str(failure.value)
    assert "creating new order" in said
    assert "declined" not in said
    assert "starting challenge" not in said
