"""A relay is killed with challenges in hand, and its listening socket is kept, as systemd keeps it: each web server asks
the next relay, whichever of the shipped files it runs with. What does not come of a killed relay is asked once."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import http_client
import pytest
from beside_a_site import BESIDE, shipped_snippet, start_beside
from dns_message import SERVFAIL, Query, txt
from dns_servers import start_on_free_port
from front_servers import SHIPPED_SOCKET, FrontServer, serves
from held import GOOD, PATIENT, SilentInjector, children, counted, waiting_at
from http_client import Response
from injector import PREFIX, Behaviour
from processes import REPOSITORY, Process, Workspace, wait_until
from relay import CHALLENGE, config_text, listening_socket, start_on_stdin
from test_container_entrypoint import start_in_its_place
from web_servers import SHIPPED, Lighttpd, shipped_config, substitutions

IN_HAND, MEANWHILE = 8, 4

Ask = Callable[[str], Future[Response]]


class Dns(SilentInjector):
    """Holds some names, and has one for each refusal that a web server could take for its own error."""

    def _decide(self, query: Query, tcp: bool) -> Behaviour:
        if "dead." in query.name:
            return Behaviour(drop=True)
        if "failing." in query.name:
            return Behaviour(rcode=SERVFAIL)
        if "junk." in query.name and query.name.startswith(PREFIX):
            return Behaviour(answers=(txt(query.name, "junk"),))
        return super()._decide(query, tcp)


# Names of the zone above, and the relay's word on each.
REFUSED = {
    "dead.test": (504, "dns-timeout"),
    "failing.test": (503, "dns-failure"),
    "junk.test": (502, "txt-malformed"),
}


@pytest.fixture(name="dns")
def dns_fixture() -> Iterator[Dns]:
    with Dns() as dns:
        yield dns


def systemds_relay(text: str) -> str:
    """lighttpd's file after its own advice: the block for a relay that systemd runs in the place of the other one."""
    advice = re.search(r"(?m)^.* this one, in which .*\n(?:# .*\n)?#\n((?:#   .*\n)+)", text)
    assert advice
    block = advice[1].replace("#   ", "")
    changed, replaced = re.subn(r"(?ms)^fastcgi\.server .*?^\)\) \)\n", lambda _: block, text)
    assert replaced == 1
    return changed


def _start_lighttpd(workspace: Workspace, socket: Path, config: Path, beside: bool) -> int:
    def start(port: int) -> Process:
        changes = substitutions(workspace.path, port, Path(), config, "127.0.0.1")
        name = "challenge-only.conf" if beside else "http01-relay.conf"
        text = systemds_relay((SHIPPED / name).read_text())
        if beside:
            text = f'server.port = 80\nserver.bind = "0.0.0.0"\nserver.document-root = "/var/www/html"\n{text}'
        changes = {old: new for old, new in changes.items() if old in text} | {SHIPPED_SOCKET: str(socket)}
        path = workspace.write("lighttpd.conf", shipped_config(text, changes))
        return workspace.start("lighttpd", ["/usr/sbin/lighttpd", "-D", "-f", path])

    return start_on_free_port(start, redirects)[1]


def redirects(port: int) -> bool:
    try:
        return http_client.request(port, CHALLENGE, host="ready.test").location == GOOD
    except (OSError, AssertionError):
        return False


def _start_beside(name: str, workspace: Workspace, socket: Path) -> int:
    file, site = BESIDE[name]
    (workspace.path / "site").mkdir()
    text = site(workspace, shipped_snippet(workspace, str(socket), file))
    return start_on_free_port(lambda port: start_beside(name, workspace, port, text), redirects)[1]


STARTERS: Mapping[str, Callable[[Workspace, Path, Path], int]] = {
    "nginx": lambda workspace, socket, config: FrontServer("nginx", workspace, str(socket)).port,
    "Caddy": lambda workspace, socket, config: FrontServer("Caddy", workspace, str(socket)).port,
    "Apache": lambda workspace, socket, config: FrontServer("Apache", workspace, str(socket)).port,
    "lighttpd, systemd's relay": lambda workspace, socket, config: _start_lighttpd(workspace, socket, config, False),
    "nginx beside a site": lambda workspace, socket, config: _start_beside("nginx", workspace, socket),
    "Caddy beside a site": lambda workspace, socket, config: _start_beside("Caddy", workspace, socket),
    "Apache beside a site": lambda workspace, socket, config: _start_beside("Apache", workspace, socket),
    "lighttpd beside a site, systemd's relay": (
        lambda workspace, socket, config: _start_lighttpd(workspace, socket, config, True)
    ),
}


@pytest.fixture(name="pool")
def pool_fixture() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(IN_HAND + MEANWHILE) as pool:
        yield pool


def hold(pool: ThreadPoolExecutor, port: int, dns: Dns) -> list[Future[Response]]:
    """Challenges that the relay behind this port has in hand: a CA's GET, and HEAD."""
    # nginx keeps connections that a dying relay ends too.
    ready = pool.map(lambda n: http_client.request(port, CHALLENGE, host=f"ready.n{n}.test"), range(IN_HAND))
    assert {response.location for response in ready} == {GOOD}
    before = dns.names_asked()
    held = [
        pool.submit(http_client.request, port, CHALLENGE, host=f"held.n{n}.test", method="HEAD" if n % 2 else "GET")
        for n in range(IN_HAND)
    ]
    wait_until(lambda: dns.names_asked() - before >= IN_HAND, "the relay to have them in hand")
    return held


@pytest.mark.parametrize("server", STARTERS)
def test_the_next_relay_answers_what_a_killed_one_had_in_hand(
    workspace: Workspace, dns: Dns, pool: ThreadPoolExecutor, server: str
) -> None:
    path = workspace.fresh("relay.sock")
    patient = workspace.write("patient.toml", config_text(dns.server, PATIENT))
    brief = {"dns": {"timeout_ms": 100, "attempts": 2, "deadline_ms": 200}, "redirect": {"breadcrumb": False}}
    with listening_socket(path, 4096) as listener:
        path.chmod(0o666)
        relay = start_on_stdin(workspace, patient, listener)
        port = STARTERS[server](workspace, path, patient)
        held = hold(pool, port, dns)
        relay.signal(signal.SIGKILL)
        relay.wait()
        come = [pool.submit(http_client.request, port, CHALLENGE, host=f"new.n{n}.test") for n in range(MEANWHILE)]
        # Those that come while there is none wait at the socket, and those that were cut off wait there again.
        everyone = held + come
        wait_until(lambda: waiting_at(path) >= len(everyone) or any(one.done() for one in everyone), "all to wait")
        dns.released.set()
        start_on_stdin(workspace, workspace.write("brief.toml", config_text(dns.server, brief)), listener)
        assert Counter(one.result().location for one in everyone) == {GOOD: len(everyone)}

        # No server has taken the relay for dead, and no word of the relay's own is asked for twice.
        for host, expected in REFUSED.items():
            response = http_client.request(port, CHALLENGE, host=host)
            assert (response.status, response.reason) == expected
            assert counted(str(path), f'relay_decisions_total{{reason="{expected[1]}"}}') == 1


def test_a_container_asks_the_next_relay_too(workspace: Workspace, dns: Dns, pool: ThreadPoolExecutor) -> None:
    port = start_in_its_place(workspace, dns.server, sections=PATIENT)
    lighttpd = workspace.processes[-1].pid
    (keeper,) = children(lighttpd)
    (relay,) = children(keeper)
    held = hold(pool, port, dns)
    dns.released.set()
    os.kill(relay, signal.SIGKILL)
    assert Counter(one.result().location for one in held) == {GOOD: IN_HAND}
    assert redirects(port)
    assert " deploy/docker/relay " in (REPOSITORY / "Dockerfile").read_text()
    assert children(lighttpd) == [keeper] and children(keeper) != [relay]


def test_the_containers_relay_ends_when_it_is_told_to(workspace: Workspace, dns: Dns) -> None:
    """lighttpd tells the one process that it knows."""
    port = start_in_its_place(workspace, dns.server)
    assert redirects(port)
    (keeper,) = children(workspace.processes[-1].pid)
    (relay,) = children(keeper)
    os.kill(keeper, signal.SIGHUP)
    wait_until(lambda: "configuration reloaded" in workspace.processes[-1].output(), "the reload")
    assert children(keeper) == [relay]
    os.kill(keeper, signal.SIGTERM)
    wait_until(lambda: not Path(f"/proc/{relay}").exists(), "the relay to end")
    # lighttpd, which still runs, starts the whole of it again.
    wait_until(lambda: redirects(port), "another one")


def test_a_relay_that_lighttpd_starts_takes_with_it_what_it_had_in_hand(
    workspace: Workspace, dns: Dns, pool: ThreadPoolExecutor
) -> None:
    """Its socket dies with it, so there is nobody to ask: the file says so, and what to do about it."""
    web = Lighttpd(workspace, workspace.write("relay.toml", config_text(dns.server, PATIENT)))
    held = hold(pool, web.port, dns)
    dns.released.set()
    os.kill(web.relay_pid(), signal.SIGKILL)
    assert Counter(one.result().status for one in held) == {500: IN_HAND}
    wait_until(lambda: redirects(web.port), "lighttpd to start it again")
