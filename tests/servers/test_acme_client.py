"""The ACME client for apps, with Pebble as its CA: its entrypoint and configuration as they are shipped."""

from __future__ import annotations

import functools
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from typing import Any

import certificates
import pytest
from acme_authority import Authority, ClientFactory, Place, make_acme_client
from deployed_client import ENTRYPOINT, SHIPPED, AcmeClient, App, processes_of
from gateway import App as GatewayApp
from gateway import LoopbackBlock
from processes import Workspace, wait_until
from relay import CHALLENGE, TOKEN
from sites import AcmeWorld

BODY = f"{TOKEN}.thumbprint"
DAY = 86400
# One try at once, one after a second, then none for an hour.
TWO_QUICK_TRIES = "1 3600"


@pytest.fixture(scope="module")
def authority(module_workspace: Workspace) -> Authority:
    return Authority(module_workspace)


@pytest.fixture
def place(authority: Authority) -> Place:
    return authority.place()


@pytest.fixture
def app() -> Iterator[App]:
    with App() as app:
        yield app


@pytest.fixture
def make_client(workspace: Workspace, authority: Authority, place: Place) -> ClientFactory:
    return functools.partial(make_acme_client, workspace, authority, place)


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
        target = f"http://localhost:{app.port}"
        client = make_acme_client(module_workspace, authority, place, DOMAIN=place.domain, TARGET_ENDPOINT=target).start()
        client.wait_for_certificate(place.domain)
        wait_until(lambda: client.https(place.domain).status == 200, "HTTPS", 10)
        yield Issued(client, place.domain, app, authority.orders() - before)


# ---- certificates


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
        # With a third of its life left.
        ("", 0, 90, 60),
        ("", 10, 80, 50),
        ("", 1, 5, 3),
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
    client.replace_certificate(issued.name, now - age * DAY, now + left * DAY)
    client.start(RENEW_DAYS=renew_days)
    due = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + due_in * DAY))
    client.wait_for_log(f"to be renewed from {due} on")
    client.variables["RENEW_DAYS"] = ""


@pytest.mark.parametrize("due_in", [-DAY, 4], ids=["at the start", "while it runs"])
def test_a_certificate_is_renewed_before_its_end(issued: Issued, authority: Authority, due_in: int) -> None:
    client, now, before = issued.client, time.time(), authority.orders()
    assert client.stop() == 0
    # As it stands in the file: on a slow machine there is another one by the time that this one is asked for.
    old = client.replace_certificate(issued.name, now - 60 * DAY + due_in, now + 30 * DAY + due_in)
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


# ---- failures


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
    directory = client.state / authority.pebble.directory.removeprefix("https://").replace(":", "_").replace("/", "_")
    (directory / "retry").mkdir(parents=True)
    (directory / "retry" / place.domain).write_text(content)
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


# ---- without privileges


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_anybody_can_run_it(make_client: ClientFactory, place: Place) -> None:
    client = make_client(DOMAIN=place.domain)
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


# ---- the whole way


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
    # The domain's CNAME leads to the gateway, and its TXT record to the client's TLS port.
    client.address = world.addresses[base]
    assert client.trusted(domain, world.ca.root).text == "the app\n"
    # Before there was a certificate, a challenge over TLS came with the self-signed one.
    port = "https" if "{domain}" in target else "http"
    host = domain if "{domain}" in target else behind.gateway_name
    assert f'{port}://{host} "GET /.well-known/acme-challenge/' in client.access_log.read_text()
    assert client.stop() == 0
