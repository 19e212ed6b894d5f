"""More than one machine: two web servers with their relays behind HAProxy, as it is shipped, one of which dies."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import certificates
import http_client
import pytest
from acme_clients import AcmeTiny
from dns_message import Query, cname, txt
from dns_servers import Nsd, Unbound
from gateway import App, Gateway, LoopbackBlock
from held import children
from http_client import Response
from injector import PREFIX, Behaviour, Injector
from odd_requests import HIDDEN_HOSTS
from pebble import Pebble
from processes import REPOSITORY, Process, Workspace, wait_until
from relay import CHALLENGE
from sites import Site

SHIPPED = REPOSITORY / "deploy" / "haproxy"
BASE = "dstack-prod5.phala.network"

# Pebble asks from three places at once.
PLACES = 3

# A name server that is silent is asked again this often, within the time a request has.
PATIENT = {"dns": {"timeout_ms": 800, "attempts": 10, "deadline_ms": 8000}}


class RelayDns(Injector):
    """What one of the relays asks. It can be silent, so that the relay's requests wait."""

    def __init__(self, apps: dict[str, App]) -> None:
        self._apps = apps
        self.silent = threading.Event()
        self.domains: set[str] = set()
        super().__init__(self.app_records)

    def app_records(self, query: Query, tcp: bool) -> Behaviour:
        app = self._apps.get(query.name.removeprefix(PREFIX))
        if app is None:
            return Behaviour(answers=())
        self.domains.add(app.domain)
        if query.type == "TXT" and query.name.startswith(PREFIX):
            records = (txt(query.name, f"{app.app_id}:{app.tls_port}"),)
        else:
            records = (cname(query.name, f"_.{app.gateway}"),)
        return Behaviour(answers=records, drop=self.silent.is_set())


class Machine:
    """A web server, its relay, and the name server that this one asks."""

    def __init__(self, workspace: Workspace, name: str, address: str, balancer: str, apps: dict[str, App]) -> None:
        self.dns = RelayDns(apps).start()
        self._workspace, self._name, self.address = workspace, name, address
        more = (SHIPPED / "behind-haproxy.conf").read_text()
        assert '"192.0.2.10"' in more
        self._more = more.replace('"192.0.2.10"', f'"{balancer}"')
        self.starts = 0
        self.start()

    def start(self) -> None:
        self.starts += 1
        name = f"{self._name}-{self.starts}"
        self.site = Site(self._workspace, name, self.address, self.dns.server, PATIENT, self._more)

    def die(self) -> None:
        """The power is cut: no word to anybody."""
        os.killpg(self.site.process.pid, signal.SIGKILL)
        self.site.process.wait()


class Haproxy:
    def __init__(self, workspace: Workspace, address: str, servers: list[str]) -> None:
        self.address = address
        changes = {
            # It would need 40 000 descriptors.
            "maxconn 20000": "maxconn 2000",
            "bind 0.0.0.0:80\n": f"bind {address}:80\n",
            "    bind [::]:80 v6only\n": "",
            # On machines of their own it needs not be said which address HAProxy comes from.
            "server relay-1 192.0.2.11:80": f"server relay-1 {servers[0]}:80 source {address}",
            "server relay-2 192.0.2.12:80": f"server relay-2 {servers[1]}:80 source {address}",
        }
        text = (SHIPPED / "haproxy.cfg").read_text()
        for old, new in changes.items():
            assert old in text, f"the shipped HAProxy configuration no longer has {old!r}"
            text = text.replace(old, new)
        path = workspace.write("haproxy.cfg", text)
        self.process: Process = workspace.start("haproxy", ["/usr/sbin/haproxy", "-db", "-f", path])
        self.process.wait_until_ready(self._answers)

    def _answers(self) -> bool:
        try:
            return self.get("/health", "localhost").status == 200
        except (OSError, AssertionError):
            return False

    def get(self, path: str, host: str) -> Response:
        return http_client.request(80, path, host=host, connect=self.address)

    def has_said(self, words: str) -> bool:
        return words in self.process.output()


class World:
    """A gateway's address whose port 80 is HAProxy's; apps behind the gateway, and Pebble."""

    def __init__(self, workspace: Workspace, block: LoopbackBlock) -> None:
        self.workspace = workspace
        front, back = block.address(), [block.address(), block.address()]
        self.apps = [App(f"app{number}.example.test", block.address(), BASE) for number in range(7)]
        by_domain = {app.domain: app for app in self.apps}
        self.machines = [
            Machine(workspace, f"machine-{number}", address, front, by_domain)
            for number, address in enumerate(back, start=1)
        ]
        records = f"{BASE}. A {front}\n*.{BASE}. A {front}\n"
        zones = {"phala.network": records, "example.test": "".join(app.records for app in self.apps)}
        self.unbound = Unbound(workspace, Nsd(workspace, zones))
        Gateway(workspace, [front], self.apps)
        self.haproxy = Haproxy(workspace, front, back)
        self.ca = Pebble(workspace, self.unbound.server)

    def client(self, app: App) -> AcmeTiny:
        return AcmeTiny(self.workspace, self.workspace.path / app.domain, app, self.ca)

    def obtain(self, client: AcmeTiny) -> str:
        """The name in the certificate that an ACME client in its app has got, with no more than one try."""
        try:
            client.obtain()
            chain = certificates.split_chain(client.chain.read_text())
            certificates.verify(client.directory, chain, self.ca.root, client.app.domain)
            (name,) = certificates.read(chain[0]).names
            return name
        finally:
            client.stop()


@pytest.fixture(name="world")
def world_fixture(workspace: Workspace) -> Iterator[World]:
    block = LoopbackBlock()
    if why := block.why_not():
        pytest.skip(why)
    world = World(workspace, block)
    try:
        yield world
    finally:
        for machine in world.machines:
            machine.dns.stop()


def test_haproxy_takes_the_file_as_it_is() -> None:
    command = ["/usr/sbin/haproxy", "-c", "-f", str(SHIPPED / "haproxy.cfg")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "WARNING" not in checked.stderr and "ALERT" not in checked.stderr


def test_a_machine_dies_while_the_authority_validates(world: World) -> None:
    first, second = world.machines
    for machine in world.machines:
        machine.dns.silent.set()
    apps, later = world.apps[:4], [world.client(app) for app in world.apps[4:]]
    clients = [world.client(app) for app in apps]
    with ThreadPoolExecutor(len(apps)) as pool:
        try:
            obtained = [pool.submit(world.obtain, client) for client in clients]
            # All validations have begun, and both machines have requests of more than one that they cannot answer.
            domains = {app.domain for app in apps}
            wait_until(
                lambda: first.dns.domains | second.dns.domains == domains and len(first.dns.domains) > 1,
                "the validations",
                30,
            )
            first.die()
        finally:
            second.dns.silent.clear()
        assert {one.result() for one in obtained} == domains
    assert not [line for app in apps for line in first.site.decisions(app.domain)], "it has answered nothing"
    wait_until(lambda: all(len(second.site.decisions(app.domain)) >= PLACES for app in apps), "the relay's log")

    # Nobody is sent there any more.
    wait_until(lambda: world.haproxy.has_said("Server relays/relay-1 is DOWN"), "HAProxy to notice")
    assert world.obtain(later[0]) == later[0].app.domain

    # It comes back and takes its share; then the other one dies.
    first.dns.silent.clear()
    first.start()
    wait_until(lambda: world.haproxy.has_said("Server relays/relay-1 is UP"), "HAProxy to notice")
    assert world.obtain(later[1]) == later[1].app.domain
    wait_until(lambda: bool(first.site.decisions(later[1].app.domain)), "the relay's log")
    second.die()
    assert world.obtain(later[2]) == later[2].app.domain


def test_through_haproxy_all_is_as_before(world: World) -> None:
    haproxy, app = world.haproxy, world.apps[0]
    for _ in range(4):
        answer = haproxy.get(CHALLENGE, app.domain)
        assert answer.location == f"https://{app.gateway_name}{CHALLENGE}"
    # Both are told who the client is: a hundred requests of HAProxy's own would be too many.
    for machine in world.machines:
        site = machine.site
        wait_until(lambda site=site: len(site.decisions(app.domain)) == 2, "the relay's log")  # type: ignore[misc]
        assert all(" client=127.0.0.1 " in line for line in machine.site.decisions(app.domain))

    # What only the machine itself may see is not shown because HAProxy asks, or a client on HAProxy's machine.
    for path in ("/metrics", "/ready", "/metrics?x", "/metrics#x", "/metrics#", "http://localhost/metrics"):
        for host in HIDDEN_HOSTS:
            answer = haproxy.get(path, host)
            assert answer.status in (400, 403) and answer.reason is None, (path, host)
    for version in ("HTTP/1.0", "HTTP/1.1"):
        octets = f"GET http://localhost/metrics {version}\r\nConnection: close\r\n\r\n".encode()
        assert b" 200 " not in http_client.exchange(80, octets, host=haproxy.address).split(b"\r\n")[0], version
    for path in ("/%6detrics", "//metrics", "/metrics/", "/./metrics", "/a/../metrics"):
        assert haproxy.get(path, "localhost").reason == "not-found", path
    # Whichever of two names counts.
    assert haproxy.get("http://localhost/metrics", app.domain).status in (400, 403)
    assert haproxy.get(f"http://{app.domain}/metrics", "localhost").status in (400, 403)
    # At a domain they are paths like any other.
    for path in ("/metrics", "/ready", "/metrics?x"):
        assert haproxy.get(path, app.domain.upper() + ".:80").location == f"https://{app.domain}{path}"
    # A refusal of the relay comes with its reason.
    unknown = haproxy.get(CHALLENGE, "unknown.example.test")
    assert (unknown.status, unknown.reason) == (404, "txt-missing")


def test_a_relay_whose_dns_fails_says_so_itself(world: World) -> None:
    """503 is asked again elsewhere; where all say it, the last one's words reach the client."""
    for machine in world.machines:
        machine.dns.rule = lambda query, tcp: Behaviour(rcode=2)
    answer = world.haproxy.get(CHALLENGE, world.apps[0].domain)
    assert (answer.status, answer.reason) == (503, "dns-failure")
    assert answer.header("Retry-After")

    # Where one machine's DNS works, that one answers for all.
    second = world.machines[1]
    second.dns.rule = second.dns.app_records
    for _ in range(4):
        answer = world.haproxy.get(CHALLENGE, world.apps[1].domain)
        assert answer.location == f"https://{world.apps[1].gateway_name}{CHALLENGE}"


def test_what_a_killed_relay_had_in_hand_is_asked_of_the_other_machine(world: World) -> None:
    """Its web server lives, and says 500: not even that reaches an authority."""
    first = world.machines[0]
    for machine in world.machines:
        machine.dns.silent.set()
    with ThreadPoolExecutor(len(world.apps)) as pool:
        answers = {app: pool.submit(world.haproxy.get, CHALLENGE, app.domain) for app in world.apps}
        asked = [machine.dns.domains for machine in world.machines]
        wait_until(lambda: len(asked[0] | asked[1]) == len(answers), "the relays to have them in hand")
        assert len(asked[0]) > 1
        for machine in world.machines:
            machine.dns.silent.clear()
        (relay,) = children(first.site.process.pid)
        os.kill(relay, signal.SIGKILL)
        for app, answer in answers.items():
            assert answer.result().location == f"https://{app.gateway_name}{CHALLENGE}"


def test_a_relay_that_dies_alone_is_not_noticed(world: World) -> None:
    """lighttpd lives and starts it again, and says 500 or 503 meanwhile."""
    first, app = world.machines[0], world.apps[0]
    for number in range(20):
        if number == 5:
            (relay,) = children(first.site.process.pid)
            os.kill(relay, signal.SIGKILL)
        answer = world.haproxy.get(CHALLENGE, app.domain)
        assert answer.location == f"https://{app.gateway_name}{CHALLENGE}", f"{number}: {answer}"
