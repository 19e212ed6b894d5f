"""The ACME client for apps, with Pebble as its CA: its entrypoint and configuration as they are shipped."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import certificates
import pytest
from acme_authority import Authority, make_acme_client
from deployed_client import AcmeClient, App
from processes import Workspace, wait_until
from relay import CHALLENGE, TOKEN

BODY = f"{TOKEN}.thumbprint"
DAY = 86400


def name_of_loopback() -> str:
    """A name, as an endpoint has one, if this machine can look one up; else the address."""
    try:
        return "localhost" if socket.gethostbyname("localhost") == "127.0.0.1" else "127.0.0.1"
    except OSError:
        return "127.0.0.1"


class Issued:
    """A client that has obtained its first certificate. Each test leaves it running with one."""

    def __init__(self, client: AcmeClient, name: str, app: App, orders: int) -> None:
        self.client = client
        self.name = name
        self.app = app
        self.orders = orders


@pytest.fixture(scope="module")
def issued(module_workspace: Workspace, authority: Authority) -> Iterator[Issued]:
    place, before = authority.place(), authority.orders()
    with App() as app:
        target = f"http://{name_of_loopback()}:{app.port}"
        client = make_acme_client(
            module_workspace, authority, place, registered=False, DOMAIN=place.domain, TARGET_ENDPOINT=target
        ).start()
        client.wait_for_certificate(place.domain)
        wait_until(lambda: client.https(place.domain).status == 200, "HTTPS", 10)
        yield Issued(client, place.domain, app, authority.orders() - before)


def test_at_its_first_start_it_obtains_a_certificate_and_serves_the_app_with_it(
    issued: Issued, authority: Authority
) -> None:
    client, name = issued.client, issued.name
    assert issued.orders == 1
    response = client.trusted(name, authority.pebble.root, "/page?query=1")
    assert (response.status, response.text) == (200, "the app\n")
    path, headers = issued.app.requests[-1]
    assert path == "/page?query=1"
    assert headers["host"] == name
    assert headers["x-forwarded-proto"] == "https"
    assert certificates.read(client.certificate(name)).names == {name}

    redirect = client.get("/page?query=1", name)
    assert (redirect.status, redirect.location) == (308, f"https://{name}/page?query=1")
    for line in (f'https://{name} "GET /page?query=1 HTTP/1.1" 200', f'http://{name} "GET /.well-known/acme-challenge/'):
        wait_until(lambda line=line: line in client.access_log.read_text(), "nginx's line")  # type: ignore[misc]


def test_a_client_of_the_site_cannot_say_where_it_comes_from(issued: Issued) -> None:
    issued.client.https(issued.name, "/", headers=["X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: http"])
    headers = issued.app.requests[-1][1]
    assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("127.0.0.1", "https")


def test_challenges_are_answered_on_both_ports_whatever_the_host(issued: Issued) -> None:
    (issued.client.webroot / CHALLENGE[1:]).write_text(BODY)
    for host in (issued.name, "0123456789abcdef.gateway.test"):
        assert issued.client.get(CHALLENGE, host).text == BODY
        assert issued.client.https(host, CHALLENGE).text == BODY


def test_keys_are_readable_for_their_owner_alone(issued: Issued) -> None:
    client = issued.client
    keys = client.find("certs/*/privkey-*.pem") + client.find("accounts/*/account_key.pem")
    assert len(keys) == 2
    for file in [*keys, client.run / "keys" / "self-signed.key"]:
        assert file.stat().st_mode & 0o777 == 0o600, file
    for directory in (client.state, client.run / "keys"):
        assert directory.stat().st_mode & 0o777 == 0o700, directory
    if os.geteuid() == 0:
        # A worker that has just been started is root still.
        wait_until(lambda: bool(users := client.worker_users()) and 0 not in users, "workers of another user")


def test_a_restart_orders_nothing(issued: Issued, authority: Authority) -> None:
    client = issued.client
    served, before = client.certificate(issued.name), authority.orders()
    client.restart()
    client.wait_for_certificate(issued.name)
    assert client.certificate(issued.name) == served
    # Whatever is due it would have begun to order by the time it is stopped and started again.
    client.restart()
    client.wait_for_certificate(issued.name)
    assert "ordering" not in client.process.output()
    assert authority.orders() == before


@pytest.mark.parametrize(
    ("renew_days", "age", "left", "due_in"),
    [
        # With two thirds of its life over, or half of a short one.
        ("", 0, 90, 60),
        ("", 10, 80, 50),
        ("", 1, 5, 2),
        ("30", 10, 80, 50),
        ("10", 10, 80, 70),
        # Whatever RENEW_DAYS says, not in its first third: it would be ordered again and again.
        ("90", 10, 80, 20),
        ("30", 0, 6, 2),
    ],
)
def test_when_a_certificate_is_renewed(issued: Issued, renew_days: str, age: int, left: int, due_in: int) -> None:
    client, now = issued.client, int(time.time())
    assert client.stop() == 0
    client.give_certificate(issued.name, now - age * DAY, now + left * DAY)
    client.start(RENEW_DAYS=renew_days)
    due = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + due_in * DAY))
    client.wait_for_log(f"to be renewed from {due} on")
    client.variables["RENEW_DAYS"] = ""


@pytest.mark.parametrize("due_in", [-DAY, 4], ids=["at the start", "while it runs"])
def test_a_certificate_is_renewed_before_its_end(issued: Issued, authority: Authority, due_in: int) -> None:
    client, now, before = issued.client, time.time(), authority.orders()
    assert client.stop() == 0
    # As it stands in the file: on a slow machine there is another one by the time that this one is asked for.
    old = client.give_certificate(issued.name, now - 60 * DAY + due_in, now + 30 * DAY + due_in)
    client.start()
    nginx = client.nginx_pid()
    wait_until(lambda: client.certificate(issued.name) != old, "another certificate", 60)
    assert time.time() >= now + due_in - 1
    assert client.trusted(issued.name, authority.pebble.root).text == "the app\n"
    # Reloaded, not started again; and what is of no use any more is not kept.
    assert client.nginx_pid() == nginx
    client.wait_for_log("has a certificate", 2)
    assert len(client.find("certs/*/privkey-*.pem")) == 1
    assert authority.orders() == before + 1


def test_files_that_a_crash_has_emptied_are_obtained_again(issued: Issued, authority: Authority) -> None:
    client = issued.client
    assert client.stop() == 0
    for file in client.find("certs/*/fullchain-*.pem") + client.find("accounts/*/registration_info.json"):
        file.write_text("")
    client.start()
    client.wait_for_log(f"{issued.name} has no certificate")
    client.wait_for_certificate(issued.name)
    wait_until(lambda: client.https(issued.name).status == 200, "HTTPS", 10)
