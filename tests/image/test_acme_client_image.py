"""The image of the ACME client for apps: its own dehydrated, nginx and openssl get a certificate, and serve with it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from acme_authority import Authority, make_acme_client
from processes import Workspace

TREE = Path(os.environ.get("ACME_CLIENT_TREE", "/nonexistent"))


def test_it_gets_a_certificate(workspace: Workspace) -> None:
    config = json.loads(Path(os.environ["ACME_CLIENT_CONFIG"]).read_text())["Docker"]["config"]
    authority = Authority(workspace)
    place = authority.place()
    client = make_acme_client(workspace, authority, place, registered=False, DOMAIN=place.domain)
    # The files of this test are at the same place in there; all others are the image's.
    inside = 'mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev" && mount --bind "$2" "$1$2" && exec chroot "$1" "$3"'
    (TREE / str(workspace.path)[1:]).mkdir()
    (entrypoint,) = config["Entrypoint"]
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    client.command = [*unshare, "sh", "-euc", inside, "sh", TREE, workspace.path, entrypoint]
    client.start()
    client.wait_for_certificate(place.domain)
    client.wait_until_served(place.domain)
    assert client.trusted(place.domain, authority.pebble.root).status == 404  # there is no TARGET_ENDPOINT
