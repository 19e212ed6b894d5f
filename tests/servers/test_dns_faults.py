"""Everything a DNS server, or whoever claims to be one, may do to a look-up: through the whole relay, over UDP and
TCP. No answer is believed that should not be, and none comes later than a request may take."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from dns_message import Query, cname, txt
from http_client import Response
from injector import FORGED_APP_ID, Behaviour, Injector, by_label
from processes import SLOWNESS, Workspace, free_port, wait_until
from relay import CHALLENGE, Relay, config_text
from zones import APP_ID, GATEWAY

pytestmark = pytest.mark.serial

GOOD = f"https://{APP_ID}.{GATEWAY}{CHALLENGE}"
PREFIX = "_dstack-app-address."

TIMEOUT_MS = int(250 * SLOWNESS)
DEADLINE_MS = int(800 * SLOWNESS)
DNS = {"timeout_ms": TIMEOUT_MS, "attempts": 2, "deadline_ms": DEADLINE_MS}


def rule(query: Query, tcp: bool) -> Behaviour:
    labels = query.name.split(".")
    if "loop" in labels and query.type == "CNAME":
        one = query.name.removeprefix("other.")
        there_and_back = cname(one, f"other.{one}"), cname(f"other.{one}", one)
        return Behaviour(answers=there_and_back if query.name == one else there_and_back[1:])
    if "endless" in labels and query.type == "CNAME":
        return Behaviour(answers=(cname(query.name, f"more.{query.name}"),))
    for label, ttl in (("ttl-0", 0), ("ttl-2-31", 1 << 31), ("ttl-30", 30)):
        if label in labels:
            answers = (txt(query.name, f"{APP_ID}:443", ttl=ttl),)
            return Behaviour(answers=answers if query.type == "TXT" else (cname(query.name, f"_.{GATEWAY}", ttl=ttl),))
    return by_label(query, tcp)


@pytest.fixture(name="faulty", scope="module")
def faulty_fixture() -> Iterator[Injector]:
    with Injector(rule) as injector:
        yield injector


@pytest.fixture(name="relay", scope="module")
def relay_fixture(module_workspace: Workspace, faulty: Injector) -> Relay:
    return Relay(module_workspace, config_text(faulty.server, {"dns": DNS}))


@pytest.fixture(autouse=True)
def relay_lives_on(relay: Relay) -> Iterator[None]:
    yield
    assert relay.process.running()
    assert relay.challenge("after.good.test").location == GOOD


def timed(relay: Relay, host: str) -> tuple[float, Response]:
    began = time.monotonic()
    response = relay.challenge(host)
    return time.monotonic() - began, response


def answered_in_time(relay: Relay, host: str) -> Response:
    took, response = timed(relay, host)
    assert took <= DEADLINE_MS / 1000 + 0.2 * SLOWNESS, f"{host}: {took:.3f} s"
    assert FORGED_APP_ID not in str(response.headers) + response.text
    return response


# ---- what is no obstacle

UNHARMED = [
    "good", "delay-100", "double", "truncate", "tcp-drip",
    "wrong-id", "wrong-question", "wrong-port", "wrong-address", "garbage",
    "tsig", "chain-option", "ttl-0", "ttl-2-31",
    "more", "zero-padded", "opt-in-answer", "opt-before-answer", "formerr-no-question", "bare-formerr", "empty-txt",
]  # fmt: skip


@pytest.mark.parametrize("fault", UNHARMED)
def test_a_redirect_all_the_same(relay: Relay, fault: str) -> None:
    response = answered_in_time(relay, f"app.{fault}.test")
    assert (response.status, response.location) == (307, GOOD)


@pytest.mark.parametrize("fault", ["formerr-edns", "badvers-edns"])
def test_without_edns_where_it_is_refused(workspace: Workspace, faulty: Injector, fault: str) -> None:
    relay = Relay(workspace, config_text(faulty.server, {"dns": DNS}))
    assert answered_in_time(relay, f"app.{fault}.test").location == GOOD


# ---- what is told for what it is

SILENT, FAILED = (504, "dns-timeout"), (503, "dns-failure")
REFUSED = {
    "drop": SILENT,
    f"delay-{int(1.2 * DEADLINE_MS)}": SILENT,
    "only-wrong-id": SILENT,
    "only-wrong-question": SILENT,
    "only-wrong-port": SILENT,
    "only-wrong-address": SILENT,
    "echo": SILENT,
    "tcp-silent": SILENT,
    "servfail": FAILED,
    "refused": FAILED,
    "formerr": FAILED,
    "lame": FAILED,
    "cut": FAILED,
    "bare-servfail": FAILED,
    "bare-refused": FAILED,
    "uncounted": FAILED,
    "txt-9k": FAILED,
    "txt-129": FAILED,
    "fewer": FAILED,
    "pointer-bomb": FAILED,
    "pointer-to-itself": FAILED,
    "txt-bomb-64k": FAILED,
    "tcp-hang-up": FAILED,
    "tcp-half": FAILED,
    "tcp-oversized": FAILED,
    "loop": (502, "cname-loop"),
    "endless": (502, "gateway-refused"),
    # Legal, and no app address.
    "txt-bomb": (502, "txt-malformed"),
    "txt-bomb-8k": (502, "txt-malformed"),
    "many-records": (502, "txt-malformed"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_no_redirect_but_the_cause(relay: Relay, fault: str) -> None:
    response = answered_in_time(relay, f"app.{fault}.test")
    assert (response.status, response.reason, response.location) == (*REFUSED[fault], None)


@pytest.mark.parametrize("fault", [fault for fault, told in REFUSED.items() if told in (SILENT, FAILED)])
def test_the_other_server_makes_up_for_it(workspace: Workspace, faulty: Injector, fault: str) -> None:
    """Whatever the first one does that is no answer. Each relay is new, so it knows nothing of its servers yet."""
    with Injector(lambda query, tcp: Behaviour()) as healthy:
        relay = Relay(workspace, config_text([faulty.server, healthy.server], {"dns": DNS}))
        response = answered_in_time(relay, f"both.{fault}.test")
    assert (response.status, response.location) == (307, GOOD)


def test_nobody_at_the_tcp_port(workspace: Workspace) -> None:
    with Injector(rule, tcp=False) as injector:
        relay = Relay(workspace, config_text(injector.server, {"dns": DNS}))
        response = answered_in_time(relay, "app.truncate.test")
    assert (response.status, response.reason) == FAILED


# ---- forwarders that are sloppy


def test_a_failure_as_a_bare_header_costs_no_time_where_there_is_another_server(workspace: Workspace) -> None:
    for fault in ("bare-servfail", "bare-refused"):
        with Injector(rule) as sloppy, Injector(lambda query, tcp: Behaviour()) as healthy:
            # So long that one lost try would show.
            patient = {"dns": {"timeout_ms": 5000, "deadline_ms": 15_000}}
            relay = Relay(workspace, config_text([sloppy.server, healthy.server], patient))
            took, response = timed(relay, f"app.{fault}.test")
        assert response.location == GOOD
        assert took < 1.0 * SLOWNESS


@pytest.mark.parametrize(("fault", "tries"), [("drop-edns", 1), ("udp-silent", 2)])
def test_a_forwarder_that_drops_what_it_does_not_know(workspace: Workspace, fault: str, tries: int) -> None:
    """The first name takes as many tries as it needs; what was learned is remembered."""
    seconds = 0.4 * SLOWNESS
    dns = {"timeout_ms": int(1000 * seconds), "deadline_ms": int(4000 * seconds)}
    sloppy = by_label(Query(0, fault, "TXT", b"", False), tcp=False)
    with Injector(lambda query, tcp: sloppy) as injector:
        relay = Relay(workspace, config_text(injector.server, {"dns": dns}))
        took, response = timed(relay, "first.good.test")
        assert response.location == GOOD
        assert tries * seconds - 0.05 <= took < (tries + 1) * seconds
        for number in range(5):
            took, response = timed(relay, f"n{number}.good.test")
            assert response.location == GOOD
            assert took < 0.3 * SLOWNESS


def test_dead_names_behind_a_sound_resolver_cost_it_no_connections(workspace: Workspace) -> None:
    with Injector(rule) as injector:
        relay = Relay(workspace, config_text(injector.server, {"dns": DNS | {"attempts": 3}}))
        for number in range(3):
            # Sound for the next ten seconds, which slow programs take for the dead names alone.
            assert relay.challenge(f"app{number}.good.test").location == GOOD
            assert relay.challenge(f"n{number}.drop.test").reason == "dns-timeout"
        assert not injector.tcp_counts


def test_the_cause_is_told_where_it_can_be_mended(workspace: Workspace, relay: Relay) -> None:
    assert "it has more than 8192 bytes" in relay.challenge("text.txt-9k.test").text
    assert "it has more than 128 records" in relay.challenge("text.txt-129.test").text
    nobody = Relay(workspace, config_text(f"127.0.0.1:{free_port()}", {"dns": DNS}))
    response = nobody.challenge("app.good.test")
    assert (response.status, response.reason) == SILENT
    assert "The resolver could not be reached (connection refused)." in response.text
    wait_until(lambda: " cause=connection-refused " in nobody.process.output(), "the line of the log")


# ---- how long answers are kept


@pytest.mark.parametrize(("time_to_live", "asked"), [("ttl-0", 3), ("ttl-2-31", 3), ("ttl-30", 1)])
def test_a_time_to_live_of_nothing_or_of_ages_is_not_kept(
    workspace: Workspace, faulty: Injector, time_to_live: str, asked: int
) -> None:
    # It has time to answer: a try that comes too late would be one more.
    patient = Relay(workspace, config_text(faulty.server, {"dns": {"timeout_ms": 5000, "deadline_ms": 15_000}}))
    host = f"kept.{time_to_live}.test"
    for _ in range(3):
        assert patient.challenge(host).location == GOOD
    assert faulty.count(PREFIX + host, "TXT") == asked


# ---- floods


@pytest.mark.parametrize("flood", ["flood", "flood-elsewhere"])
def test_of_ten_thousand_forged_answers_none_is_accepted(
    workspace: Workspace, relay: Relay, faulty: Injector, flood: str
) -> None:
    """From the server's own address with other ids, as whoever can forge addresses would; and from another port."""
    # Where time is short the true answer may come too late, or find no place among them. But the request's own
    # deadline holds.
    answered_in_time(relay, f"short.{flood}.test")
    patient = Relay(workspace, config_text(faulty.server, {"dns": {"timeout_ms": 3000, "deadline_ms": 15_000}}))
    assert patient.challenge(f"app.{flood}.test").location == GOOD


def resident_kb(pid: int) -> int:
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1])


@pytest.mark.skipif(SLOWNESS > 1, reason="a sanitizer keeps what was freed")
def test_bombs_cost_no_memory(workspace: Workspace, faulty: Injector) -> None:
    relay = Relay(workspace, config_text(faulty.server, {"dns": DNS}))
    bombs = {"txt-bomb": 100, "many-records": 100, "pointer-bomb": 100, "tsig": 100, "chain-option": 100}
    bombs |= {"txt-bomb-8k": 20, "txt-bomb-64k": 20}  # over TCP
    for bomb in bombs:
        answered_in_time(relay, f"warm.{bomb}.test")
    before = resident_kb(relay.process.pid)
    for bomb, count in bombs.items():
        for number in range(count):
            response = answered_in_time(relay, f"n{number}.{bomb}.test")
            assert (response.status, response.reason) == REFUSED.get(bomb, (307, "ok"))
    assert resident_kb(relay.process.pid) - before < 2_000


# ---- one of two is dead


def medians_of_cold_names(relays: Sequence[Relay], count: int) -> list[float]:
    """By turns, so that what else the machine does is a burden to all of them."""
    times: list[list[float]] = [[] for _ in relays]
    for number in range(count):
        for relay, its in zip(relays, times, strict=True):
            took, response = timed(relay, f"n{number}.delay-20.test")
            assert response.location == GOOD
            its.append(took)
    return [statistics.median(its) for its in times]


@pytest.mark.parametrize("dead", ["silent", "nobody there"])
@pytest.mark.parametrize("place", [0, 1], ids=["first", "second"])
def test_with_one_of_two_dead_names_take_no_longer_after_the_first_second(
    workspace: Workspace, faulty: Injector, dead: str, place: int
) -> None:
    with Injector(lambda query, tcp: Behaviour(drop=True)) as silent:
        servers = [faulty.server]
        servers.insert(place, silent.server if dead == "silent" else f"127.0.0.1:{free_port()}")
        relay = Relay(workspace, config_text(servers))
        alone = Relay(workspace, config_text(faulty.server))
        began = time.monotonic()
        number = iter(range(1000))
        wait_until(
            lambda: relay.challenge(f"early{next(number)}.delay-20.test").location == GOOD
            and time.monotonic() - began > 1.0,
            "the first second",
        )
        beside, healthy = medians_of_cold_names([relay, alone], 30)
        assert beside <= 1.2 * healthy
