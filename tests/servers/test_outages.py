"""A resolver that stops answering and comes back: a line of the log for each, and which one it was in the counters."""

from __future__ import annotations

import itertools
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from fastcgi_client import Connection
from held import begin
from processes import Process, Workspace, wait_until
from quick_dns import QuickDns
from relay import Relay, config_text

# So that a try of three is over soon.
HASTY = {"dns": {"timeout_ms": 400, "attempts": 3, "deadline_ms": 1500}}

CONSEQUENCE = "Challenges fail unless another server answers or the cache has the records."


@contextmanager
def asking(relay: Relay) -> Iterator[Callable[[Callable[[], bool], str], None]]:
    """Waits, as wait_until does, and meanwhile asks for one domain after the other."""
    assert isinstance(relay.address, str)
    address = relay.address
    numbers = itertools.count()
    waiting: list[Connection] = []

    def wait(condition: Callable[[], bool], what: str) -> None:
        def asked() -> bool:
            waiting.append(begin(address, f"app.n{next(numbers)}", 1))
            while len(waiting) > 50:
                waiting.pop(0).socket.close()
            return condition()

        wait_until(asked, what, 20)

    try:
        yield wait
    finally:
        for connection in waiting:
            connection.socket.close()


def lines_of(relay: Relay, dns: QuickDns) -> list[str]:
    return [line for line in relay.process.output().splitlines() if f"DNS server {dns.server} " in line]


def queries(relay: Relay, dns: QuickDns, status: str) -> float:
    return relay.metrics()[f'dns_server_queries_total{{server="{dns.server}",status="{status}"}}']


def stops(process: Process) -> None:
    process.signal(signal.SIGSTOP)


@pytest.mark.parametrize("how", ["silent", "gone"])
def test_a_resolver_that_stops_answering_and_comes_back_is_a_line_each(workspace: Workspace, how: str) -> None:
    dns = QuickDns(workspace)
    relay = Relay(workspace, config_text(dns.server, HASTY))
    assert queries(relay, dns, "timeout") == queries(relay, dns, "refused") == 0, "before it was asked"
    assert relay.challenge("app.first.test").status == 307
    assert queries(relay, dns, "data") == 2
    with asking(relay) as wait:
        if how == "silent":
            stops(dns.process)
        else:
            dns.process.stop()
        wait(lambda: bool(lines_of(relay, dns)), "the warning")
        why = "" if how == "silent" else " (connection refused)"
        assert lines_of(relay, dns)[0].endswith(
            f'level=warning message="DNS server {dns.server} does not answer{why}. {CONSEQUENCE}"'
        )
        assert queries(relay, dns, "timeout" if how == "silent" else "refused") >= 3

        if how == "silent":
            dns.process.signal(signal.SIGCONT)
        else:
            dns = QuickDns(workspace, dns.port)
        wait(lambda: len(lines_of(relay, dns)) == 2, "it to be back")
        news = f"DNS server {dns.server} answers again. It had not answered for "
        assert f'level=info message="{news}' in lines_of(relay, dns)[1]
        before = queries(relay, dns, "data")
        wait(lambda: queries(relay, dns, "data") > before + 20, "more answers")
    assert len(lines_of(relay, dns)) == 2


def test_of_two_resolvers_the_dead_one_is_named(workspace: Workspace) -> None:
    first, second = QuickDns(workspace), QuickDns(workspace)
    # Each query of the first two seconds is one that the first server was asked.
    patient = {"dns": {"timeout_ms": 2000, "attempts": 2, "deadline_ms": 5000}, "log": {"format": "json"}}
    relay = Relay(workspace, config_text([first.server, second.server], patient))
    with asking(relay) as wait:
        stops(first.process)
        wait(lambda: bool(lines_of(relay, first)), "the warning")
        (line,) = lines_of(relay, first)
        told = json.loads(line)
        assert (told["level"], told["message"]) == ("warning", f"DNS server {first.server} does not answer. {CONSEQUENCE}")
        assert queries(relay, first, "timeout") >= 3 and queries(relay, first, "data") == 0
        wait(lambda: queries(relay, second, "data") >= 2, "the other one")
    assert relay.challenge("app.after.test").status == 307
    assert not lines_of(relay, second)
    first.process.signal(signal.SIGCONT)


def test_a_dead_domain_behind_a_sound_resolver_is_no_outage(workspace: Workspace) -> None:
    dns = QuickDns(workspace)
    relay = Relay(workspace, config_text(dns.server, HASTY))
    for name in ("app.one.test", "app.other.test"):
        assert relay.challenge(name).status == 307
    # On a busy machine a deadline leaves less than three tries to a question.
    for number in range(10):
        assert relay.challenge(f"n{number}.drop.test").status == 504
        if queries(relay, dns, "timeout") >= 12:
            break
    assert queries(relay, dns, "timeout") >= 12
    assert relay.terminate() == 0
    assert not lines_of(relay, dns)
