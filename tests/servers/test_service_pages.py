"""The pages of the relay itself, and who may see them."""

from __future__ import annotations

import functools
import re
import signal
from dataclasses import replace

import http_client
import pytest
from conftest import RelayFactory, World
from dns_message import SERVFAIL, Query
from injector import Behaviour, Injector, good_records
from processes import Workspace, wait_until
from relay import CHALLENGE, Relay, config_text
from web_servers import Lighttpd, has_ipv6
from zones import GATEWAY


def test_health(relay: Relay) -> None:
    response = relay.request("/health", "localhost")
    assert (response.status, response.text.strip()) == (200, "OK")
    assert response.header("Cache-Control") == "no-store"


@pytest.mark.parametrize("path", ["/health", "/"])
def test_service_pages_are_for_the_relay_itself_and_domains_without_a_record(relay: Relay, path: str) -> None:
    for host in ("localhost", "192.0.2.1", "[::1]:80", "no-txt.example.test", "a-only.example.test"):
        assert relay.request(path, host).status == 200
    assert relay.request(path, "ambiguous.example.test").status == 502


def test_metrics_and_ready_are_not_for_domains(relay: Relay) -> None:
    """Where no web server stood before it, any Host that led nowhere got the whole page."""
    for path in ("/metrics", "/ready"):
        for host in ("localhost", "192.0.2.1", "[::1]:80", "relay"):
            assert relay.request(path, host).status == 200
            refused = relay.request(path, host, client="192.0.2.7")
            assert (refused.status, refused.reason) == (403, "forbidden")
            assert "service.metrics_from" in refused.text
        for host in ("no-txt.example.test", "a-only.example.test"):
            response = relay.request(path, host)
            assert (response.status, response.reason) == (404, "txt-missing")
        assert relay.request(path, "app.example.test").location == f"https://app.example.test{path}"


def test_who_sees_them_can_be_set_and_set_anew(start_relay: RelayFactory) -> None:
    relay = start_relay({"service": {"metrics_from": ["192.0.2.0/24", "2001:db8::/32"]}})

    def seen_by(*clients: str) -> list[int]:
        return [relay.request("/metrics", "localhost", client=client).status for client in clients]

    # An address of a web server's socket for both versions of IP; none at all.
    assert seen_by("192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "127.0.0.1", "192.0.3.0", "") == [200] * 3 + [403] * 3
    before = total(relay_metrics(relay, "192.0.2.7"), "relay_decisions_total", 'reason="forbidden"')
    seen_by("127.0.0.1", "::1")
    after = total(relay_metrics(relay, "192.0.2.7"), "relay_decisions_total", 'reason="forbidden"')
    assert after - before == 2
    wait_until(lambda: "reason=forbidden status=403 " in relay.process.output(), "the log's line")

    relay.config.write_text(relay.config.read_text().replace('"192.0.2.0/24"', '"198.51.100.7"'))
    relay.process.signal(signal.SIGHUP)
    wait_until(lambda: seen_by("198.51.100.7", "192.0.2.7") == [200, 403], "the new configuration")


def relay_metrics(relay: Relay, client: str) -> dict[str, float]:
    text = relay.request("/metrics", "localhost", client=client).text
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_a_page_for_people(relay: Relay) -> None:
    response = relay.request("/", "localhost")
    assert response.status == 200
    for words in ("_dstack-app-address", "CNAME", "check a domain"):
        assert words.lower() in response.text.lower()


def test_unknown_pages_are_not_found(relay: Relay) -> None:
    for path in ("/nothing", "/healthz", "/metrics/", "//health", "/%68ealth"):
        assert relay.request(path, "localhost").status == 404


SAMPLE = re.compile(r'[a-z_][a-z0-9_]*(\{[a-z_]+="[^"\\\n]*"(,[a-z_]+="[^"\\\n]*")*\})? [0-9.e+-]+(Inf|NaN)?')


def test_metrics_are_prometheus_text(relay: Relay) -> None:
    relay.challenge("app.example.test")
    response = relay.request("/metrics", "localhost")
    assert (response.header("Content-Type") or "").startswith("text/plain; version=0.0.4")
    typed = set()
    for line in response.text.splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert name not in typed, f"{name} is announced twice"
            typed.add(name)
        elif line and not line.startswith("#"):
            assert SAMPLE.fullmatch(line), line
    for name in (
        "http_requests_total", "http_request_duration_seconds", "dns_lookups_total", "redirects_total",
        "relay_decisions_total", "dns_lookup_duration_seconds", "dns_cache_hits_total", "dns_cache_misses_total",
        "dns_cache_entries", "dns_in_flight", "http_requests_in_flight", "relay_build_info",
    ):  # fmt: skip
        assert name in typed
    assert any(name.startswith("process_") for name in typed)


def total(samples: dict[str, float], name: str, *labels: str) -> float:
    """The sum of all samples of this name that have all these labels."""
    return sum(
        value
        for sample, value in samples.items()
        if sample.partition("{")[0] == name and all(label in sample for label in labels)
    )


def test_counts_are_true(start_relay: RelayFactory) -> None:
    relay = start_relay()
    before = relay.metrics()
    for _ in range(7):
        assert relay.challenge("app.example.test").status == 307
    for _ in range(5):
        assert relay.challenge("no-txt.example.test").status == 404
    for _ in range(3):
        assert relay.request("/", "ambiguous.example.test", method="POST").status == 502
    assert relay.challenge("a_b").status == 400
    after = relay.metrics()

    def grown(name: str, *labels: str) -> float:
        return total(after, name, *labels) - total(before, name, *labels)

    assert grown("relay_decisions_total", 'reason="ok"') == 7
    assert grown("relay_decisions_total", 'reason="txt-missing"') == 5
    assert grown("relay_decisions_total", 'reason="txt-ambiguous"') == 3
    assert grown("relay_decisions_total", 'reason="bad-host"') == 1
    assert grown("http_requests_total", 'status="307"') == 7
    assert grown("http_requests_total", 'status="404"') == 5
    assert grown("http_requests_total", 'status="502"', 'method="POST"') == 3
    assert grown("http_requests_total", 'status="400"') == 1
    assert grown("redirects_total", 'status="307"') == 7
    # The page itself is counted once its numbers are written, or before: one either way.
    assert grown("http_requests_total") in (16, 17)
    assert grown("http_request_duration_seconds_count") in (16, 17)
    assert grown("dns_lookups_total", 'type="TXT"') > 0
    assert grown("dns_lookups_total") == grown("dns_cache_misses_total")


def test_labels_never_come_from_a_request(relay: Relay) -> None:
    relay.request("/secret-path", "no-txt.example.test", method="BREW")
    text = relay.request("/metrics", "localhost").text
    for word in ("secret-path", "no-txt", "BREW"):
        assert word not in text


def test_counters_outlive_a_process_in_a_state_file(start_relay: RelayFactory, workspace: Workspace) -> None:
    sections = {"service": {"state_file": str(workspace.path / "state")}}
    first = start_relay(sections)
    for _ in range(4):
        first.challenge("app.example.test")
    second = start_relay(sections)
    second.challenge("app.example.test")
    for relay in (first, second):
        assert total(relay.metrics(), "relay_decisions_total", 'reason="ok"') == 5


# ---- ready


@pytest.mark.parametrize(
    ("canary", "reason"),
    [
        ("app.example.test", "ok"),
        ("no-txt.example.test", "txt-missing"),
        ("bad-no-port.example.test", "txt-malformed"),
        ("ambiguous.example.test", "txt-ambiguous"),
        ("no-cname.example.test", "gateway-missing"),
        ("elsewhere.example.test", "gateway-refused"),
        ("loop.example.test", "cname-loop"),
        ("cname-fails.example.test", "dns-failure"),
        (f"x.{GATEWAY}", "gateway-name"),
    ],
)
def test_ready_says_what_a_challenge_for_the_canary_would_get(
    start_relay: RelayFactory, canary: str, reason: str
) -> None:
    relay = start_relay({"service": {"canary": canary}})
    response = relay.request("/ready", "localhost")
    assert response.status == (200 if reason == "ok" else 503)
    assert response.reason == relay.challenge(canary).reason == reason
    assert response.text == "OK" if reason == "ok" else response.text.startswith(f"{reason}: ")
    assert response.location is None
    head = relay.request("/ready", "localhost", method="HEAD")
    assert (head.status, head.reason, head.body) == (response.status, reason, b"")


def test_ready_follows_the_canary_down_and_up(workspace: Workspace) -> None:
    works = False

    def rule(query: Query, tcp: bool) -> Behaviour:
        return Behaviour() if works else Behaviour(rcode=SERVFAIL)

    with Injector(rule) as injector:
        sections = {"service": {"canary": "app.good.test"}, "cache": {"max_ttl_s": 1}}
        relay = Relay(workspace, config_text(injector.server, sections))

        def says(reason: str) -> bool:
            return relay.request("/ready", "localhost").reason == reason

        for works, reason in ((False, "dns-failure"), (True, "ok"), (False, "dns-failure")):
            # What was known of the canary is kept for a second.
            wait_until(functools.partial(says, reason), f"/ready to say {reason}")
        # The process itself is well all the time.
        assert relay.request("/health", "localhost").status == 200


@pytest.mark.parametrize("canary", ["", "app.good.test"])
def test_ready_is_not_ready_soon_after_the_resolver_has_gone(workspace: Workspace, canary: str) -> None:
    """Whatever the TTLs say: a minute of readiness was kept in the cache."""

    def rule(query: Query, tcp: bool) -> Behaviour:
        return Behaviour(answers=tuple(replace(record, ttl=300) for record in good_records(query)))

    with Injector(rule) as injector:
        relay = Relay(workspace, config_text(injector.server, {"service": {"canary": canary}}))
        assert relay.request("/ready", "localhost").status == 200
        for host in ("other.good.test", "app.good.test"):
            assert relay.challenge(host).status == 307
    wait_until(lambda: relay.request("/ready", "localhost").status == 503, "it not to be ready", 3)
    response = relay.request("/ready", "localhost")
    assert response.reason in ("dns-failure", "dns-timeout")
    if not canary:
        assert "The resolver could not be reached (connection refused). The question was TXT " in response.text
        assert "dns.servers" in response.text
        assert "app-address" not in response.text
    # What is known is answered all the same, of the canary too.
    for host in ("other.good.test", "app.good.test"):
        assert relay.challenge(host).status == 307


# ---- through lighttpd


@pytest.mark.parametrize("path", ["/metrics", "/ready", "/health", "/"])
def test_loopback_sees_all_pages(web: Lighttpd, path: str) -> None:
    assert web.get(path, "localhost").status == 200
    if has_ipv6():
        assert http_client.request(web.port, path, host="[::1]", connect="::1").status == 200
