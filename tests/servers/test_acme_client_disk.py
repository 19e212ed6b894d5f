"""The ACME client for apps where its volume is full or read-only: it serves what it has, and orders nothing that
it could not keep."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import certificates
import pytest
from acme_authority import Authority, ClientFactory, Place
from deployed_client import AcmeClient
from processes import Workspace, wait_until

DAY = 86400
REFUSED = " is full or cannot be written: ordering nothing for "


class Volume:
    """A file system of one megabyte."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self.ballast = directory / "ballast"
        options = ["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(directory)]
        mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")

    def fill(self) -> None:
        with self.ballast.open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                pass

    def remount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.directory)], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.directory)], check=True)


@pytest.fixture
def client(make_client: ClientFactory, place: Place) -> AcmeClient:
    return make_client(DOMAIN=place.domain)


@pytest.fixture
def volume(client: AcmeClient) -> Iterator[Volume]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    volume = Volume(client.state)
    try:
        yield volume
    finally:
        volume.unmount()


def test_on_a_volume_that_is_full_from_the_start_it_serves_challenges_and_orders_nothing(
    client: AcmeClient, volume: Volume, authority: Authority, place: Place
) -> None:
    before = authority.orders()
    client.account = None
    volume.fill()
    client.start()
    client.wait_for_log(f"{REFUSED}{place.domain}; asking again in 2 s")
    assert client.get("/health").status == 200
    assert authority.orders() == before
    volume.ballast.unlink()
    client.wait_for_certificate(place.domain)
    assert authority.orders() == before + 1
    assert client.stop() == 0


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_certificate_that_cannot_be_renewed_is_served_until_there_is_room_again(
    client: AcmeClient, volume: Volume, authority: Authority, place: Place, how: str
) -> None:
    now = time.time()
    client.give_certificate(place.domain, now - 61 * DAY, now + 29 * DAY)
    client.find_account()
    before = authority.orders()
    if how == "full":
        volume.fill()
    else:
        volume.remount("ro")
    # A start, which needs no room; then while it runs.
    client.start()
    client.wait_for_log(f"{REFUSED}{place.domain}; asking again in 2 s")
    assert certificates.read(client.certificate(place.domain)).subject == f"CN={place.domain}"
    assert authority.orders() == before
    old = client.certificate(place.domain)
    if how == "full":
        volume.ballast.unlink()
    else:
        volume.remount("rw")
    wait_until(lambda: client.certificate(place.domain) != old, "another certificate", 60)
    client.wait_for_log("has a certificate", 2)
    assert authority.orders() == before + 1
    assert client.stop() == 0


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_failures_are_remembered_on_a_volume_that_takes_no_more(
    client: AcmeClient, volume: Volume, authority: Authority, place: Place, how: str
) -> None:
    client.give_certificate(place.domain, time.time(), time.time() + 90 * DAY)
    client.start(DOMAIN=f"{place.elsewhere} {place.domain}", RETRY_DELAYS="3600")
    client.wait_for_log(f"{place.elsewhere} has no certificate; failed attempts: 1")
    assert client.stop() == 0
    before = authority.orders()
    # The hour is over, but the next attempt cannot be counted.
    (retry,) = client.find(f"retry/{place.elsewhere}")
    retry.write_text(f"1 {int(time.time()) - 1}\n")
    if how == "full":
        volume.fill()
    else:
        volume.remount("ro")
    for _ in range(2):
        client.start()
        client.wait_for_log(f"{REFUSED}{place.elsewhere}; asking again in 2 s")
        assert client.stop() == 0
    assert authority.orders() == before
    assert retry.read_text().startswith("1 ")


def test_without_a_certificate_a_volume_that_cannot_be_written_is_a_fault(
    workspace: Workspace, client: AcmeClient, volume: Volume
) -> None:
    volume.remount("ro")
    process = workspace.start("acme-client", client.command, environment=client.environment())
    assert process.wait() == 78
    assert f"STATE_DIR: {client.state}: not a directory that can be written" in process.output()
