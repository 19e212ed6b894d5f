"""The ACME client for apps and an authority with renewal information, over TLS: it orders when it is told to, and
its health is bad for as long as it could not."""

from __future__ import annotations

import re
import time
from calendar import timegm
from collections.abc import Iterator

import pytest
from acme_authority import Authority, ClientFactory, Place
from ca_front import CaFront
from deployed_client import AcmeClient
from processes import Workspace
from test_acme_client_renewal import DAY, ID, ISSUED


@pytest.fixture
def front(workspace: Workspace, authority: Authority) -> Iterator[CaFront]:
    with CaFront(workspace, authority.pebble) as front:
        yield front


@pytest.fixture
def client(make_client: ClientFactory, place: Place, authority: Authority, front: CaFront) -> AcmeClient:
    client = make_client(DOMAIN=place.domain, **front.variables())
    client.account = front.account(authority.account)
    return client


def written(second: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def read(text: str) -> int:
    return timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def test_it_orders_once_within_the_window(
    client: AcmeClient, place: Place, authority: Authority, front: CaFront
) -> None:
    now, before = int(time.time()), authority.orders()
    client.give_certificate(place.domain, now - 10 * DAY, now + 80 * DAY, ISSUED)
    start, end = now + 3, now + 6
    front.suggest(written(start), written(end), explanation="https://ca.test/why")
    client.start()
    client.wait_for_log(f"its CA wants a new certificate between {written(start)} and {written(end)}: to be renewed")
    planned = re.search(r"to be renewed from (\S+) on; it explains: https://ca.test/why", client.process.output())
    assert planned
    assert start <= read(planned[1]) <= end
    client.wait_for_log("has a certificate", 2)
    ordered = re.search(r"(\S+) acme-client: ordering", client.process.output())
    assert ordered
    assert read(ordered[1]) >= read(planned[1])
    # For the new one the window is no reason.
    client.restart()
    client.wait_for_log("is of no use for this certificate")
    assert client.stop() == 0
    assert authority.orders() == before + 1
    assert front.asked[0] == f"{ID.partition('.')[0]}.AQ"
    (other,) = front.asked[1:]
    assert re.fullmatch(r"[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{2,12}", other)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, {}, "x" * 300_000), "(curl: 23)"),
        ((302, {"Location": "http://127.0.0.1:1/"}, ""), "(curl: 1)"),
    ],
    ids=["endless", "http"],
)
def test_an_authority_that_answers_anything_else_does_not_hold_it_up(
    client: AcmeClient, place: Place, front: CaFront, answer: tuple[int, dict[str, str], str], said: str
) -> None:
    now = int(time.time())
    client.give_certificate(place.domain, now - 10 * DAY, now + 80 * DAY - 1, ISSUED)
    front.renewal_info, front.answer = front.renewal_url, answer
    client.start()
    client.wait_for_log(f"no renewal information from {front.renewal_url} {said}")
    assert f"to be renewed from {written(now + 50 * DAY)} on" in client.process.output()
    assert client.stop() == 0


def test_its_health_is_bad_from_seven_days_before_the_end(
    client: AcmeClient, place: Place, front: CaFront
) -> None:
    now = int(time.time())
    alarm = now + 4
    client.give_certificate(place.domain, now - 80 * DAY, alarm + 7 * DAY)
    front.out_of_order = True
    client.start()
    client.wait_for_log(f"near their end and not renewed: {place.domain}; /health answers 503")
    assert time.time() >= alarm
    assert client.get("/health").status == 503
    # For everybody, so without the name.
    assert client.get("/health").text == client.https("elsewhere.test", "/health").text
    assert place.domain not in client.get("/health").text
    # A start with another one finds it good.
    assert client.stop() == 0
    client.give_certificate(place.domain, now - 80 * DAY, now + 10 * DAY)
    client.start()
    assert client.stop() == 0
