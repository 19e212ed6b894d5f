"""What the DNS may do to the relay: be slow, be dead, lie, fail. The relay asks the injector directly."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import fastcgi_client as fcgi
import pytest
from conftest import RelayFactory
from dns_message import NXDOMAIN, SERVFAIL, Query, txt
from http_client import Response
from injector import Behaviour, Injector, Rule, always, by_label
from processes import SLOWNESS, Workspace, free_port, wait_until
from relay import CHALLENGE, Relay, config_text
from zones import APP_ID, GATEWAY

GOOD = f"https://{APP_ID}.{GATEWAY}{CHALLENGE}"
PREFIX = "_dstack-app-address."


def send(relay: Relay, host: str, client: str = "127.0.0.1") -> fcgi.Connection:
    connection = fcgi.Connection(relay.address)
    connection.send(fcgi.whole_request(fcgi.cgi_variables(CHALLENGE, host, client=client)))
    return connection


def timed(relay: Relay, host: str) -> tuple[float, Response]:
    began = time.monotonic()
    response = relay.challenge(host)
    return time.monotonic() - began, response


@contextmanager
def rule_of(injector: Injector, rule: Rule) -> Iterator[None]:
    injector.rule = rule
    try:
        yield
    finally:
        injector.rule = by_label


def test_fifty_requests_for_one_cold_name_ask_once(start_injected: RelayFactory, injector: Injector) -> None:
    relay = start_injected({"dns": {"timeout_ms": 10_000, "deadline_ms": 20_000}})
    host = "cold.good.test"
    all_wait = threading.Event()

    def rule(query: Query, tcp: bool) -> Behaviour:
        all_wait.wait(10)
        return Behaviour()

    with rule_of(injector, rule):
        connections = [send(relay, host, f"192.0.2.{number}") for number in range(50)]
        try:
            wait_until(lambda: relay.metrics()["http_requests_in_flight"] >= 50, "all of them to wait", 8)
        finally:
            all_wait.set()
        for connection in connections:
            with connection:
                assert connection.read_response().location == GOOD
    assert injector.count(PREFIX + host, "TXT") == 1
    assert injector.count(host, "CNAME") == 1


def test_answers_are_kept_for_their_time(start_injected: RelayFactory, injector: Injector) -> None:
    kept = Behaviour(answers=(txt("_dstack-app-address.kept.test", f"{APP_ID}:443", ttl=60),))

    def rule(query: Query, tcp: bool) -> Behaviour:
        return kept if query.type == "TXT" else Behaviour()

    relay = start_injected({"redirect": {"target": "https://{domain}"}})
    with rule_of(injector, rule):
        for _ in range(3):
            assert relay.challenge("kept.test").status == 307
    assert injector.count("_dstack-app-address.kept.test", "TXT") == 1
    # A time of 0 means: not kept.
    for _ in range(3):
        assert relay.challenge("unkept.good.test").status == 307
    assert injector.count("_dstack-app-address.unkept.good.test", "TXT") == 3


def test_failures_are_kept_for_a_second(start_injected: RelayFactory, injector: Injector) -> None:
    relay = start_injected({"dns": {"attempts": 1}})
    assert relay.challenge("kept.servfail.test").reason == "dns-failure"
    assert relay.challenge("kept.servfail.test").reason == "dns-failure"
    assert injector.count(PREFIX + "kept.servfail.test", "TXT") == 1


@pytest.mark.serial
def test_names_that_never_answer_delay_nobody(start_injected: RelayFactory, injector: Injector) -> None:
    relay = start_injected({"limits": {"in_flight_per_client": 1000}})

    def fifty(kind: str) -> float:
        began = time.monotonic()
        for number in range(50):
            assert relay.challenge(f"n{number}.{kind}.good.test").location == GOOD
        return time.monotonic() - began

    alone = fifty("alone")
    dead = [send(relay, f"n{number}.drop.d{number}.test", f"198.51.100.{number % 200}") for number in range(200)]
    wait_until(lambda: relay.metrics()["dns_in_flight"] >= 200, "200 look-ups that wait")
    beside = fifty("beside")
    for connection in dead:
        with connection:
            assert connection.read_response().reason == "dns-timeout"
    assert beside < alone * 5 + 0.5 * SLOWNESS


@pytest.mark.serial
def test_the_second_server_is_asked_when_the_first_is_dead(workspace: Workspace, injector: Injector) -> None:
    # Nobody is at the first port: the kernel says so at once.
    relay = Relay(workspace, config_text([f"127.0.0.1:{free_port()}", injector.server]))
    took, response = timed(relay, "app.good.test")
    assert response.location == GOOD
    assert took < 1.0 * SLOWNESS


@pytest.mark.serial
def test_the_second_server_is_asked_when_the_first_is_silent(workspace: Workspace, injector: Injector) -> None:
    with Injector(lambda query, tcp: Behaviour(drop=True)) as silent:
        relay = Relay(workspace, config_text([silent.server, injector.server], {"dns": {"timeout_ms": 200}}))
        took, response = timed(relay, "app.good.test")
        assert response.location == GOOD
        assert silent.total() > 0
        assert 0.2 <= took < 1.5 * SLOWNESS


@pytest.mark.serial
@pytest.mark.parametrize("rcode", [2, 5])
def test_the_second_server_is_asked_at_once_when_the_first_refuses(
    workspace: Workspace, injector: Injector, rcode: int
) -> None:
    with Injector(lambda query, tcp: Behaviour(rcode=rcode)) as refusing:
        relay = Relay(workspace, config_text([refusing.server, injector.server]))
        took, response = timed(relay, "app.good.test")
        assert response.location == GOOD
        assert refusing.total() > 0
        assert took < 0.9 * SLOWNESS


@pytest.mark.serial
@pytest.mark.parametrize("fault", ["servfail", "refused"])
def test_a_failure_is_503_with_retry_after(start_injected: RelayFactory, fault: str) -> None:
    took, response = timed(start_injected(), f"app.{fault}.test")
    assert (response.status, response.reason, response.location) == (503, "dns-failure", None)
    assert (response.header("Retry-After") or "").isdigit()
    assert took < 2.0 * SLOWNESS


@pytest.mark.serial
@pytest.mark.parametrize(
    ("timeout_ms", "attempts", "deadline_ms"), [(1000, 3, 900), (200, 2, 1000), (100, 10, 500)]
)
def test_silence_is_504_at_the_deadline(
    start_injected: RelayFactory, timeout_ms: int, attempts: int, deadline_ms: int
) -> None:
    relay = start_injected({"dns": {"timeout_ms": timeout_ms, "attempts": attempts, "deadline_ms": deadline_ms}})
    took, response = timed(relay, "app.drop.test")
    assert (response.status, response.reason, response.location) == (504, "dns-timeout", None)
    assert (response.header("Retry-After") or "").isdigit()
    assert deadline_ms / 1000 - 0.05 <= took <= deadline_ms / 1000 + 0.2 * SLOWNESS


@pytest.mark.serial
@pytest.mark.parametrize("slow", ["each query", "the name"])
def test_an_answer_in_the_last_second_still_serves(workspace: Workspace, slow: str) -> None:
    """A resolver that takes its time for each query alone, and one that answers all of them when it knows."""
    began = time.monotonic()
    last_second = 1.6

    def rule(query: Query, tcp: bool) -> Behaviour:
        if query.type != "TXT":
            return Behaviour()
        if slow == "each query":
            return Behaviour(delay=last_second)
        return Behaviour(delay=max(0.0, last_second - (time.monotonic() - began)))

    with Injector(rule) as injector:
        relay = Relay(workspace, config_text(injector.server, {"dns": {"timeout_ms": 400, "deadline_ms": 2000}}))
        began = time.monotonic()
        took, response = timed(relay, "app.good.test")
    assert response.location == GOOD
    assert 1.5 <= took


@pytest.mark.serial
@pytest.mark.parametrize("attempts", [1, 3])
def test_a_request_that_joins_late_keeps_its_own_deadline(start_injected: RelayFactory, attempts: int) -> None:
    relay = start_injected({"dns": {"timeout_ms": 200, "attempts": attempts, "deadline_ms": 600}})
    times: dict[str, float] = {}

    def ask(name: str) -> None:
        took, response = timed(relay, "joined.drop.test")
        assert response.status == 504
        times[name] = took

    first, second = (threading.Thread(target=ask, args=(name,)) for name in ("first", "second"))
    began = time.monotonic()
    first.start()
    wait_until(lambda: time.monotonic() - began > 0.45, "most of the first one's time")
    second.start()
    first.join(10)
    second.join(10)
    # Each by its own beginning: a machine that is busy may let the second one begin late.
    assert times.keys() == {"first", "second"}
    for took in times.values():
        assert 0.55 <= took <= 0.6 + 0.2 * SLOWNESS


@pytest.mark.parametrize("fault", ["wrong-id", "wrong-question", "garbage"])
def test_forged_answers_are_not_believed(start_injected: RelayFactory, fault: str) -> None:
    assert start_injected().challenge(f"app.{fault}.test").location == GOOD


def test_a_truncated_answer_is_asked_for_again_over_tcp(start_injected: RelayFactory, injector: Injector) -> None:
    host = "app.truncate.test"
    assert start_injected().challenge(host).location == GOOD
    assert injector.tcp_counts[(PREFIX + host, "TXT")] == 1
    assert injector.count(PREFIX + host, "TXT") == 2


def test_an_answer_that_only_fits_tcp(start_injected: RelayFactory, injector: Injector) -> None:
    records = (
        *(txt("_dstack-app-address.large.test", "v=filler " + "x" * 200, str(number)) for number in range(15)),
        txt("_dstack-app-address.large.test", f"{APP_ID}:443"),
    )

    def rule(query: Query, tcp: bool) -> Behaviour:
        return Behaviour(answers=records, truncate=True) if query.type == "TXT" else Behaviour()

    with rule_of(injector, rule):
        assert start_injected().challenge("large.test").location == GOOD


@pytest.mark.parametrize("fault", ["formerr-edns", "badvers-edns"])
def test_a_server_that_knows_no_edns_is_asked_without_it(
    start_injected: RelayFactory, injector: Injector, fault: str
) -> None:
    host = f"app.{fault}.test"
    assert start_injected().challenge(host).location == GOOD
    assert injector.count(PREFIX + host, "TXT") == 2


def test_dnssec_may_be_required(start_injected: RelayFactory) -> None:
    relay = start_injected({"dns": {"require_dnssec": True}})
    assert relay.challenge("app.ad.test").location == GOOD
    response = relay.challenge("app.good.test")
    assert (response.status, response.reason, response.location) == (503, "dns-failure", None)
    assert response.header("Retry-After") is not None


def test_a_failure_of_the_exact_name_is_never_made_up_for_by_the_wildcard(
    start_injected: RelayFactory, injector: Injector
) -> None:
    def rule(query: Query, tcp: bool) -> Behaviour:
        if query.name.startswith("_dstack-app-address-wildcard."):
            return Behaviour(answers=(txt(query.name, f"{APP_ID}:443"),))
        return Behaviour(rcode=2) if query.type == "TXT" else Behaviour()

    with rule_of(injector, rule):
        response = start_injected().challenge("a.b.test")
    assert (response.status, response.reason) == (503, "dns-failure")
    assert injector.count("_dstack-app-address-wildcard.b.test", "TXT") == 0


def test_a_failure_of_the_cname_is_never_made_up_for_by_the_fallback(
    start_injected: RelayFactory, injector: Injector
) -> None:
    def rule(query: Query, tcp: bool) -> Behaviour:
        return Behaviour(rcode=2) if query.type == "CNAME" else Behaviour()

    with rule_of(injector, rule):
        response = start_injected({"gateways": {"fallback": GATEWAY}}).challenge("app.test.test")
    assert (response.status, response.reason) == (503, "dns-failure")


def test_names_are_asked_for_in_order_and_together(start_injected: RelayFactory, injector: Injector) -> None:
    response = start_injected().challenge("sub.nodata.test")
    assert (response.status, response.reason) == (404, "txt-missing")
    for name in ("_dstack-app-address.sub.nodata.test", "_tapp-address.sub.nodata.test",
                 "_dstack-app-address-wildcard.nodata.test"):
        assert injector.count(name, "TXT") == 1
    # One level up, and never a public top.
    start_injected().challenge("top.nxdomain")
    assert injector.count("_dstack-app-address-wildcard.nxdomain", "TXT") == 0


def test_ready_without_a_canary_asks_for_what_no_resolver_knows_by_itself(workspace: Workspace) -> None:
    """As systemd-resolved with a dead upstream, which answers for the root all the same."""
    asked = []

    def rule(query: Query, tcp: bool) -> Behaviour:
        asked.append(query.name)
        return Behaviour() if query.name == "." else Behaviour(rcode=SERVFAIL)

    with Injector(rule) as injector:
        for zone in ("phala.network", "gw.example.org"):
            sections = {"gateways": {"allow": ["*.phala.network", "gw.example.org"]}} if "gw" in zone else {}
            response = Relay(workspace, config_text(injector.server, sections)).request("/ready", "localhost")
            assert (response.status, response.reason) == (503, "dns-failure")
            assert asked[-1].endswith(f".{zone}")
            assert asked[-1] in response.text
    assert len({name.split(".")[0] for name in asked}) == 2


def test_ready_without_a_canary_is_ready_where_that_name_does_not_exist(workspace: Workspace) -> None:
    with Injector(always(Behaviour(rcode=NXDOMAIN))) as injector:
        relay = Relay(workspace, config_text(injector.server))
        assert [relay.request("/ready", "localhost").status for _ in range(20)] == [200] * 20
        # One look-up a second, however many ask.
        assert injector.total() <= 3


def test_ready_without_a_canary_when_the_resolver_is_dead(workspace: Workspace) -> None:
    relay = Relay(workspace, config_text(f"127.0.0.1:{free_port()}"))
    response = relay.request("/ready", "localhost")
    assert response.status == 503
    assert "The resolver could not be reached (connection refused)." in response.text


@pytest.mark.parametrize(
    ("canary", "status", "reason"),
    [("app.good.test", 200, None), ("app.nodata.test", 503, "txt-missing"), ("app.servfail.test", 503, "dns-failure")],
)
def test_ready_with_a_canary(start_injected: RelayFactory, canary: str, status: int, reason: str | None) -> None:
    response = start_injected({"service": {"canary": canary}}).request("/ready", "localhost")
    assert response.status == status
    if reason:
        assert reason in response.text
