"""The ACME client for apps where something fails: a name that leads elsewhere, a CA that does not answer, a program
that is ended in the middle. It waits before it tries again, whatever happens to it."""

from __future__ import annotations

import socket
import time

import certificates
import pytest
from acme_authority import Authority, ClientFactory, Place
from deployed_client import processes_of

# One try at once, one after a second, then none for an hour.
TWO_QUICK_TRIES = "1 3600"


def test_each_name_has_its_own_certificate_and_one_that_fails_does_not_hold_up_the_others(
    make_client: ClientFactory, authority: Authority, place: Place
) -> None:
    before = authority.orders()
    one, two, bad = place.name("one"), place.name("two"), place.elsewhere
    client = make_client(DOMAIN=f"{bad}, {one.upper()}\t{two},{one}", RETRY_DELAYS="3600").start()
    client.wait_for_certificate(two)
    assert authority.orders() == before + 3
    for name in (one, two):
        assert client.trusted(name, authority.pebble.root).status == 404  # there is no TARGET_ENDPOINT

    # A name without a certificate is not served, and the self-signed one gives no name away.
    assert certificates.read(client.certificate(bad)).subject == "CN=no certificate yet"
    response = client.https(bad)
    assert (response.status, response.header("Retry-After")) == (503, "60")
    assert client.get("/", bad).status == 404


def test_after_failures_it_waits_and_a_restart_does_not_shorten_that(
    make_client: ClientFactory, authority: Authority, place: Place
) -> None:
    before = authority.orders()
    name = place.elsewhere
    client = make_client(DOMAIN=name, RETRY_DELAYS=TWO_QUICK_TRIES).start()
    client.wait_for_log("failed attempts: 2")
    assert "connection refused" in client.process.output()
    assert authority.orders() == before + 2

    client.restart()
    client.wait_for_log(f"{name} has no certificate; failed attempts: 2, the next one not before")
    assert client.stop() == 0
    assert authority.orders() == before + 2

    # An hour later the name leads to where the client is.
    (retry,) = client.find(f"retry/{name}")
    retry.write_text(f"2 {int(time.time()) - 1}\n")
    client.start(LISTEN=place.other)
    client.wait_for_certificate(name)
    assert authority.orders() == before + 3
    assert client.find("retry/*") == []
    assert client.stop() == 0


def test_an_attempt_that_was_interrupted_counts(make_client: ClientFactory, authority: Authority, place: Place) -> None:
    name = place.elsewhere
    with socket.create_server((place.other, authority.ports[0])):
        # Pebble connects, and waits for an answer in vain.
        client = make_client(DOMAIN=name).start()
        client.wait_for_log("Responding to challenge")
        before = authority.orders()
        begin = time.monotonic()
        assert client.stop() == 0
        assert time.monotonic() - begin < 8
        assert processes_of(client.process) == []
    client.start()
    client.wait_for_log("failed attempts: 1")
    assert client.stop() == 0
    assert authority.orders() == before


@pytest.mark.parametrize("content", ["", "junk", "1 99999999999", "1 2 3"])
def test_a_damaged_record_of_failures_is_no_licence_to_order(
    make_client: ClientFactory, authority: Authority, place: Place, content: str
) -> None:
    client = make_client(DOMAIN=place.domain, RETRY_DELAYS="3600")
    retry = client.ca_directory / "retry" / place.domain
    retry.parent.mkdir(parents=True)
    retry.write_text(content)
    before, now = authority.orders(), time.time()
    client.start()
    client.wait_for_log("failed attempts: 1, the next one not before")
    until = client.process.output().rpartition("not before ")[2].split()[0]
    assert 3590 < time.mktime(time.strptime(until, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone - now < 3700
    assert client.stop() == 0
    assert authority.orders() == before


@pytest.mark.parametrize("changes", [{"ACME_SERVER": "https://127.0.0.1:1/dir"}, {"ACME_CA_BUNDLE": ""}])
def test_a_ca_that_cannot_be_reached_is_no_failed_attempt(
    make_client: ClientFactory, place: Place, changes: dict[str, str]
) -> None:
    client = make_client(**{"DOMAIN": place.domain} | changes).start()
    client.wait_for_log("does not answer; asking again in 1 s")
    client.wait_for_log("does not answer; asking again in 2 s")
    assert client.find("retry/*") == []
    assert client.stop() == 0


@pytest.mark.parametrize(
    ("staging", "server"),
    [("", "acme-v02"), ("false", "acme-v02"), ("true", "acme-staging-v02"), ("1", "acme-staging-v02")],
)
def test_without_acme_server_it_is_lets_encrypt(
    make_client: ClientFactory, place: Place, staging: str, server: str
) -> None:
    # Through a proxy that is not there: nothing leaves this machine.
    client = make_client(
        DOMAIN=place.domain, ACME_SERVER="", ACME_CA_BUNDLE="", STAGING=staging, https_proxy="http://127.0.0.1:1"
    ).start()
    client.wait_for_log(f"https://{server}.api.letsencrypt.org/directory does not answer")
