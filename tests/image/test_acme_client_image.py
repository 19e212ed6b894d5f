"""The image of the ACME client for apps: its own dehydrated, nginx and openssl get a certificate, and serve with it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from acme_authority import Authority, make_acme_client
from processes import Workspace

TREE = Path(os.environ.get("ACME_CLIENT_TREE", "/nonexistent"))


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    workspace = Workspace()
    try:
        yield workspace
    finally:
        workspace.stop()


def test_it_gets_a_certificate(workspace: Workspace) -> None:
    config = json.loads(Path(os.environ["ACME_CLIENT_CONFIG"]).read_text())["Docker"]["config"]
    authority = Authority(workspace)
    place = authority.place()
    client = make_acme_client(workspace, authority, place, registered=False, DOMAIN=place.domain)
    # The files of this test are at the same place in there; all others are the image's.
    inside = f"mount -t proc proc {TREE}/proc && mount --bind /dev {TREE}/dev && mount --bind /tmp {TREE}/tmp"
    words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", f'{inside} && exec chroot {TREE} "$@"', "sh"]
    client.command = [*words, *config["Entrypoint"]]
    client.start()
    client.wait_for_certificate(place.domain)
    client.wait_until_served(place.domain)
    assert client.trusted(place.domain, authority.pebble.root).status == 404  # there is no TARGET_ENDPOINT
