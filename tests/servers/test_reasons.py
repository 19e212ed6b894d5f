"""Every way to fail has its status, its reason and a body that helps."""

from __future__ import annotations

from typing import Any

import fastcgi_client
import http_client
import pytest
from conftest import RelayFactory
from dns_message import Query, cname
from http_client import Response
from injector import Behaviour, Injector, by_label
from processes import wait_until
from relay import CHALLENGE, Relay
from web_servers import Lighttpd
from zones import APP_ID, GATEWAY, MALFORMED


def assert_refused(response: Response, status: int, reason: str, *mentions: str) -> None:
    assert (response.status, response.reason, response.location) == (status, reason, None)
    assert response.header("Cache-Control") == "no-store"
    assert response.header("Content-Type") == "text/plain; charset=utf-8"
    assert response.header("X-Content-Type-Options") == "nosniff"
    assert response.header("Content-Length") == str(len(response.body))
    assert reason in response.text
    for mention in mentions:
        assert mention in response.text
    assert (response.header("Retry-After") is not None) == (status in (503, 504))


@pytest.mark.parametrize(
    ("host", "status", "reason", "mentions"),
    [
        ("no-txt.example.test", 404, "txt-missing", ["_dstack-app-address.no-txt.example.test", "TXT"]),
        ("a-only.example.test", 404, "txt-missing", ["_dstack-app-address.a-only.example.test", "TXT"]),
        ("nowhere.example.test", 404, "txt-missing", ["_dstack-app-address.nowhere.example.test"]),
        # One level up, not two.
        ("a.b.wild.example.test", 404, "txt-missing", ["_dstack-app-address.a.b.wild.example.test"]),
        # Somebody else's records.
        ("shop.spf.example.test", 404, "txt-missing", ["_dstack-app-address.shop.spf.example.test"]),
        ("shop.spf-upper.example.test", 404, "txt-missing", ["_dstack-app-address.shop.spf-upper.example.test"]),
        ("ambiguous.example.test", 502, "txt-ambiguous", ["_dstack-app-address.ambiguous.example.test"]),
        # A malformed record is the owner's mistake to mend; nothing else is tried in its place.
        ("malformed.mixed.example.test", 502, "txt-malformed", ["_dstack-app-address.malformed.mixed.example.test"]),
        ("no-cname.example.test", 502, "gateway-missing", ["no-cname.example.test", "CNAME"]),
        ("same-address.example.test", 502, "gateway-missing", ["CNAME"]),
        ("apex.test", 502, "gateway-missing", ["apex.test"]),
        ("elsewhere.example.test", 502, "gateway-refused", ["cdn.owner.test", "CNAME"]),
        ("aliased.example.test", 502, "gateway-refused", ["relay.owner.test"]),
        ("two-labels.example.test", 502, "gateway-refused", []),
        ("slash.example.test", 502, "gateway-refused", []),
        # The gateway stands behind the ninth hop, which nobody looks at.
        ("hops9.example.test", 502, "gateway-refused", []),
        # The answer is missing, not the record: no wildcard and no fallback in its place.
        ("failing.mixed.example.test", 503, "dns-failure", []),
        ("cname-fails.example.test", 503, "dns-failure", []),
        (GATEWAY, 421, "gateway-name", []),
        (f"{APP_ID}.{GATEWAY}", 421, "gateway-name", []),
        (f"x.y.{GATEWAY}", 421, "gateway-name", []),
        ("192.0.2.1", 404, "not-found", []),
        ("localhost", 404, "not-found", []),
        ("relay", 404, "not-found", []),
        ("[2001:db8::1]", 404, "not-found", []),
    ],
)
def test_challenges_through_lighttpd(web: Lighttpd, host: str, status: int, reason: str, mentions: list[str]) -> None:
    assert_refused(web.get(CHALLENGE, host), status, reason, *mentions)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_record_that_is_no_app_address_is_malformed(relay: Relay, name: str) -> None:
    host = f"bad-{name}.example.test"
    assert_refused(relay.challenge(host), 502, "txt-malformed", f"_dstack-app-address.{host}")


def test_one_app_with_two_ports_is_ambiguous_where_the_target_has_the_port(start_relay: RelayFactory) -> None:
    relay = start_relay({"redirect": {"target": "https://{app_id}-{port}s.{gateway}"}})
    host = "two-ports.example.test"
    assert_refused(relay.challenge(host), 502, "txt-ambiguous", f"_dstack-app-address.{host}")


def test_records_are_quoted_with_care(relay: Relay) -> None:
    response = relay.challenge("bad-header-injection.example.test")
    assert "Set-Cookie" not in [name for name, _ in response.headers]
    assert "\r" not in response.text
    response = relay.challenge("bad-nul.example.test")
    assert "\0" not in response.text


@pytest.mark.parametrize("path", ["/", "/a?b", "/favicon.ico"])
@pytest.mark.parametrize(
    ("host", "status", "reason"),
    [
        ("bad-no-port.example.test", 502, "txt-malformed"),
        ("ambiguous.example.test", 502, "txt-ambiguous"),
        ("failing.mixed.example.test", 503, "dns-failure"),
    ],
)
def test_other_paths_fail_as_challenges_do(relay: Relay, path: str, host: str, status: int, reason: str) -> None:
    assert_refused(relay.request(path, host), status, reason)


def test_other_paths_of_a_domain_without_records_are_not_found(relay: Relay) -> None:
    response = relay.request("/a", "no-txt.example.test")
    assert_refused(response, 404, "txt-missing", "_dstack-app-address.no-txt.example.test")
    assert_refused(relay.request("/a", "192.0.2.1"), 404, "not-found")


def test_a_cname_loop(start_injected: RelayFactory, injector: Injector, request: pytest.FixtureRequest) -> None:
    def rule(query: Query, tcp: bool) -> Behaviour:
        if query.type != "CNAME":
            return Behaviour()
        target = "two.loop.test" if query.name == "one.loop.test" else "one.loop.test"
        return Behaviour(answers=(cname(query.name, target),))

    injector.rule = rule
    request.addfinalizer(lambda: setattr(injector, "rule", by_label))
    assert_refused(start_injected().challenge("one.loop.test"), 502, "cname-loop", "one.loop.test")


@pytest.mark.parametrize("path", ["/metrics", "/ready"])
def test_a_stranger_is_forbidden_the_relays_own_pages(relay: Relay, path: str) -> None:
    assert_refused(relay.request(path, "localhost", client="192.0.2.7"), 403, "forbidden", "service.metrics_from")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_only_get_and_head_for_challenges(web: Lighttpd, method: str) -> None:
    response = http_client.request(web.port, CHALLENGE, host="app.example.test", method=method)
    assert_refused(response, 405, "bad-method")
    assert response.header("Allow") == "GET, HEAD"


def test_the_method_is_looked_at_before_the_token_and_after_the_host(relay: Relay) -> None:
    bad_token = relay.request("/.well-known/acme-challenge/a.b", "app.example.test", method="POST")
    assert_refused(bad_token, 405, "bad-method")
    assert_refused(relay.request(CHALLENGE, "a_b", method="POST"), 400, "bad-host")


def test_domains_of_the_operator(start_relay: RelayFactory, injector: Injector) -> None:
    relay = start_relay({"domains": {"allow": ["example.test"], "deny": ["wild.example.test"]}})
    assert relay.challenge("app.example.test").status == 307
    assert_refused(relay.challenge("x.wild.example.test"), 403, "domain-refused")
    assert_refused(relay.challenge("wild.example.test"), 403, "domain-refused")
    assert_refused(relay.challenge("apex.test"), 403, "domain-refused")
    assert_refused(relay.challenge("notexample.test"), 403, "domain-refused")
    # Before any query: the injector's zone is refused without being asked.
    assert_refused(relay.challenge("n1.good.faults.test"), 403, "domain-refused")
    assert injector.count("_dstack-app-address.n1.good.faults.test", "TXT") == 0


@pytest.mark.parametrize(
    ("gateways", "host"),
    [
        ({"fallback": "gw.owner.test"}, "gw.owner.test"),
        ({"fallback": "gw.owner.test"}, "x.gw.owner.test"),
        ({"aliases": {"relay.owner.test": "gw.owner.test"}}, "relay.owner.test"),
        ({"aliases": {"relay.owner.test": "gw.owner.test"}}, "x.relay.owner.test"),
        ({"aliases": {"relay.owner.test": "gw.owner.test"}}, "gw.owner.test"),
        ({"allow": ["gw.owner.test"]}, "x.y.gw.owner.test"),
    ],
)
def test_gateway_names(start_relay: RelayFactory, gateways: dict[str, Any], host: str) -> None:
    assert_refused(start_relay({"gateways": gateways}).challenge(host), 421, "gateway-name")


def test_names_searched_are_a_choice(start_relay: RelayFactory) -> None:
    relay = start_relay({"dns": {"legacy_prefix": False, "wildcard": False}})
    assert_refused(relay.challenge("legacy.example.test"), 404, "txt-missing")
    assert_refused(relay.challenge("x.wild.example.test"), 404, "txt-missing")


def test_a_match_of_addresses_needs_an_exactly_named_base(start_relay: RelayFactory) -> None:
    relay = start_relay({"gateways": {"match_addresses": True}})
    assert_refused(relay.challenge("same-address.example.test"), 502, "gateway-missing")


def test_a_regular_expression_alone_decides_where_there_is_no_list(start_relay: RelayFactory) -> None:
    relay = start_relay({"gateways": {"allow_regex": r"_\.(gw\.owner\.test)"}})
    assert_refused(relay.challenge("app.example.test"), 502, "gateway-refused")


def test_the_breadcrumb_is_left_once_and_never_believed(start_relay: RelayFactory) -> None:
    relay = start_relay({"redirect": {"breadcrumb": True}})
    first = relay.challenge("no-txt.example.test")
    assert first.status == 302
    assert first.location == f"http://no-txt.example.test{CHALLENGE}?relay=txt-missing"
    assert_refused(relay.request(f"{CHALLENGE}?relay=txt-missing", "no-txt.example.test"), 404, "txt-missing")
    # The port stays where one was sent.
    assert relay.challenge("no-txt.example.test:8080").location == (
        f"http://no-txt.example.test:8080{CHALLENGE}?relay=txt-missing"
    )
    # Asked again, and found.
    second = relay.request(f"{CHALLENGE}?relay=txt-missing", "app.example.test")
    assert (second.status, second.location) == (307, f"https://{APP_ID}.{GATEWAY}{CHALLENGE}")
    # Policy leaves one too; what is wrong with the request itself does not.
    assert relay.challenge(GATEWAY).location == f"http://{GATEWAY}{CHALLENGE}?relay=gateway-name"
    assert relay.challenge("failing.mixed.example.test").status == 302
    assert relay.request("/.well-known/acme-challenge/a.b", "app.example.test").status == 404
    assert relay.challenge("a..b").status == 400
    # Only challenges do.
    assert relay.request("/", "ambiguous.example.test").status == 502


def test_overload_is_said_at_once(start_injected: RelayFactory) -> None:
    relay = start_injected({"limits": {"in_flight_per_client": 1}, "dns": {"timeout_ms": 2000, "attempts": 1}})
    with fastcgi_client.Connection(relay.address) as held:
        held.send(fastcgi_client.whole_request(fastcgi_client.cgi_variables(CHALLENGE, "n2.drop.test")))
        # Asked and waiting, as soon as the metrics say so.
        wait_until(lambda: relay.metrics()["dns_in_flight"] >= 1, "the request to wait for DNS")
        assert_refused(relay.challenge("n3.good.test"), 503, "overloaded")
        assert relay.challenge("n3.good.test", client="192.0.2.99").status == 307
        assert held.read_response().status == 504
    assert relay.challenge("n4.good.test").status == 307
