"""The ACME client for apps with all that it meets in its place: another user, the relay, the gateway."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from acme_authority import ClientFactory, Place
from deployed_client import ENTRYPOINT, SHIPPED, AcmeClient, App
from gateway import App as GatewayApp
from gateway import LoopbackBlock
from processes import Workspace, wait_until
from sites import AcmeWorld


@pytest.fixture
def app() -> Iterator[App]:
    with App() as app:
        yield app


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_anybody_can_run_it(make_client: ClientFactory, place: Place) -> None:
    client = make_client(DOMAIN=place.domain, registered=False)
    # The repository may be where nobody else can read.
    shipped = shutil.copytree(SHIPPED, client.directory / "shipped")
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
    client.command = (*nobody, shipped / ENTRYPOINT.name)
    client.directory.chmod(0o777)
    client.access_log.touch()
    client.access_log.chmod(0o666)
    client.start()
    client.wait_for_certificate(place.domain)
    client.wait_until_served(place.domain)
    assert client.stop() == 0


def as_in_the_container() -> tuple[str, ...]:
    """Root without most of what root can do, as compose.yaml has it."""
    found = re.search(r"cap_add: \[(.+)\]", (SHIPPED / "compose.yaml").read_text())
    assert found
    capabilities = "".join(f",+{name.lower()}" for name in found[1].split(", "))
    return "setpriv", "--no-new-privs", "--inh-caps=-all", f"--bounding-set=-all{capabilities}"


@pytest.mark.parametrize("target", ["https://{app_id}.{gateway}", "https://{domain}"])
def test_through_the_relay_and_the_gateway(workspace: Workspace, app: App, target: str) -> None:
    block = LoopbackBlock()
    if why_not := block.why_not():
        pytest.skip(why_not)
    base, domain = "gw.phala.test", "app.acme.test"
    behind = GatewayApp(domain, block.address(), base)
    sections: dict[str, dict[str, Any]] = {"gateways": {"allow": [base]}, "redirect": {"target": target}}
    world = AcmeWorld(workspace, block, {base: sections}, [behind], lambda _: {"acme.test": behind.records})
    variables = {
        "DOMAIN": domain,
        "ACME_SERVER": world.ca.directory,
        "ACME_CA_BUNDLE": str(world.ca.api_certificate),
        "TARGET_ENDPOINT": f"http://127.0.0.1:{app.port}",
    }
    client = AcmeClient(workspace, behind.address, variables, ports=(80, 443))
    if os.geteuid() == 0:
        client.command = (*as_in_the_container(), ENTRYPOINT)
    client.start()
    client.wait_for_certificate(domain)
    wait_until(lambda: client.https(domain).status == 200, "HTTPS", 10)
    # What README.md has for a monitor: with a certificate, the domain's own /health is a redirect.
    assert client.get("/health", domain).status == 308
    # The domain's CNAME leads to the gateway, and its TXT record to the client's TLS port.
    client.address = world.addresses[base]
    assert client.trusted(domain, world.ca.root).text == "the app\n"
    assert client.https(behind.gateway_name, "/health").text == "OK\n"
    # Before there was a certificate, a challenge over TLS came with the self-signed one.
    port = "https" if "{domain}" in target else "http"
    host = domain if "{domain}" in target else behind.gateway_name
    assert f'{port}://{host} "GET /.well-known/acme-challenge/' in client.access_log.read_text()
    assert client.stop() == 0
