"""What only a newer Pebble than Debian's offers, by itself: renewal information, profiles, and challenges in random order
with dns-persist-01 among them. PEBBLE=/path/to/pebble; `make test-pebble` builds one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from acme_authority import Authority, make_acme_client
from acme_clients import AcmeClient, ClientFailed, Uacme
from deployed_client import PATH
from gateway import App, LoopbackBlock
from processes import Workspace
from test_acme_client_renewal import DAY
from test_acme_client_renewal_info import read

pytestmark = [
    pytest.mark.skipif("PEBBLE" not in os.environ, reason="PEBBLE names none"),
    pytest.mark.skipif(bool(LoopbackBlock().why_not()), reason="no server can have port 80"),
]

# Where dehydrated is; Debian 12's asks for no profile.
PATHS = os.environ.get("DEHYDRATED_PATH", PATH)


@pytest.fixture(scope="module")
def web_authority(module_workspace: Workspace) -> Iterator[Authority]:
    yield Authority(module_workspace, (80, 443))


def asks_for_profiles() -> bool:
    programs = [Path(directory, "dehydrated") for directory in PATHS.split(":")]
    return any("ACME_PROFILE" in program.read_text() for program in programs if program.exists())


def test_the_client_that_is_shipped_is_told_when_to_renew(workspace: Workspace, web_authority: Authority) -> None:
    place = web_authority.place()
    client = make_acme_client(workspace, web_authority, place, DOMAIN=place.domain).start()
    client.wait_for_certificate(place.domain)
    client.restart()
    client.wait_for_log("its CA wants a new certificate between")
    window = re.search(r"between (\S+) and (\S+): to be renewed from (\S+) on", client.process.output())
    assert window and window[1] <= window[3] <= window[2]
    assert client.stop() == 0


@pytest.mark.skipif(not asks_for_profiles(), reason="this dehydrated cannot ask for a profile")
def test_a_profile_is_what_the_certificate_is_of(workspace: Workspace, web_authority: Authority) -> None:
    place = web_authority.place()
    client = make_acme_client(
        workspace, web_authority, place, DOMAIN=place.domain, ACME_PROFILE="shortlived", PATH=PATHS
    ).start()
    client.wait_for_certificate(place.domain)
    assert client.stop() == 0
    told = re.search(r"has a certificate until (\S+), to be renewed from (\S+) on", client.process.output())
    assert told
    # Half of six days.
    assert abs(read(told[1]) - read(told[2]) - 3 * DAY) <= 2
    client.start(ACME_PROFILE="nonesuch", DOMAIN=place.name("other"))
    client.wait_for_log("ACME profile 'nonesuch' not found")
    client.wait_for_log("failed attempts: 1")
    assert client.stop() == 0


def test_uacme_fails_where_dns_persist_comes_first_and_not_where_it_does_not(
    workspace: Workspace, web_authority: Authority
) -> None:
    if why := Uacme.why_not():
        pytest.skip(why)
    said = set()
    for number in range(16):
        place = web_authority.place()
        app = App(place.domain, place.address, "gw.test")
        client: AcmeClient = Uacme(workspace, workspace.path / f"uacme-{number}", app, web_authority.pebble)
        try:
            client.obtain()
            said.add("issued")
        except ClientFailed as failure:
            assert "failed to parse challenge" in str(failure)
            said.add("failed")
        client.stop()
        if len(said) == 2:
            return
    pytest.fail(f"each time it has {said}")
