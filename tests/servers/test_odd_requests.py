"""Requests that no certificate authority sends: through lighttpd as raw octets, and past it by FastCGI."""

from __future__ import annotations

import http_client
import pytest
from conftest import RelayFactory
from injector import Injector
from relay import CHALLENGE, Relay
from web_servers import Lighttpd
from zones import APP_ID, GATEWAY

GOOD = f"https://{APP_ID}.{GATEWAY}{CHALLENGE}"
CHALLENGES = "/.well-known/acme-challenge/"


def label(size: int) -> str:
    return "x" * size


# ---- the Host


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "a_b.example.test",
        "_acme-challenge.app.example.test",
        "_.example.test",
        "*.example.test",
        "-a.example.test",
        "a-.example.test",
        "a..example.test",
        ".app.example.test",
        "app.example.test..",
        f"{label(64)}.example.test",
        ".".join([label(49)] * 4) + "." + label(34),  # the record's name would have 254 octets
        "e xample.test",
        "app.example.test/../x",
        "app@evil.test",
        "app.example.test%00",
        "app.example.test\x00",
        "b\xfccher.test",
        "app.example.test:abc",
        "app.example.test:",
        "app.example.test:80:80",
        "app.example.test, evil.test",
        "a.123",
        "1.2.3.4.5",
        "app.example.test\r\nX: y",
        "<script>.test",
        "\\x.example.test",
    ],
)
def test_a_host_that_is_no_name_is_refused_without_a_query(
    start_injected: RelayFactory, injector: Injector, host: str | None
) -> None:
    relay = start_injected()
    before = injector.total()
    for path in (CHALLENGE, "/", "/a"):
        response = relay.request(path, host)
        assert (response.status, response.reason, response.location) == (400, "bad-host", None)
        assert "script" not in response.text
    assert injector.total() == before


def test_a_name_as_long_as_its_record_may_be_is_asked_for(start_injected: RelayFactory, injector: Injector) -> None:
    host = ".".join([label(49)] * 4) + "." + label(33)
    relay = start_injected()
    relay.challenge(host)
    assert injector.count(f"_dstack-app-address.{host}", "TXT") == 1


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:80", "relay", "203.0.113.9", "203.0.113.9:80", "[::1]", "[::1]:80", "[2001:db8::1]"],
)
def test_the_relay_itself_has_no_challenges_and_asks_nothing(
    start_injected: RelayFactory, injector: Injector, host: str
) -> None:
    relay = start_injected()
    before = injector.total()
    response = relay.challenge(host)
    assert (response.status, response.location) == (404, None)
    assert relay.request("/health", host).status == 200
    assert injector.total() == before


def test_service_hosts_are_the_relay_itself(start_injected: RelayFactory, injector: Injector) -> None:
    relay = start_injected({"service": {"hosts": ["relay.example.net"]}})
    before = injector.total()
    assert relay.challenge("relay.example.net").status == 404
    assert relay.request("/health", "RELAY.example.net.:80").status == 200
    assert injector.total() == before


@pytest.mark.parametrize(
    "host",
    ["app.example.test:80", "app.example.test:8081", "APP.EXAMPLE.TEST", "app.example.test.", "app.example.test.:80"],
)
def test_one_port_and_one_final_dot_are_stripped(relay: Relay, host: str) -> None:
    response = relay.challenge(host)
    assert (response.status, response.location) == (307, GOOD)


def test_server_name_and_forwarded_hosts_are_never_looked_at(relay: Relay) -> None:
    claims = {
        "SERVER_NAME": "app.example.test",
        "HTTP_X_FORWARDED_HOST": "app.example.test",
        "HTTP_FORWARDED": "host=app.example.test",
        "HTTP_X_HOST": "app.example.test",
    }
    response = relay.challenge("no-txt.example.test", extra=claims)
    assert (response.status, response.reason) == (404, "txt-missing")
    response = relay.request(CHALLENGE, None, extra=claims)
    assert (response.status, response.reason) == (400, "bad-host")


# ---- the path

BAD_TOKENS = [
    "",
    "a%2Fb",
    "..%2f..%2fadmin",
    "%2e%2e",
    "%0d%0aX:1",
    "%00",
    "a%20b",
    "tok.html",
    "tok/",
    "tok//x",
    "tok+tok",
    "tok=",
    "tok;a",
    "tok:443",
    "../../x",
    "A" * 129,
    "@evil.test",
]


@pytest.mark.parametrize("token", BAD_TOKENS, ids=lambda token: repr(token[:20]))
def test_any_other_token_is_not_found_without_a_query(
    start_injected: RelayFactory, injector: Injector, token: str
) -> None:
    relay = start_injected()
    before = injector.total()
    response = relay.request(CHALLENGES + token, "n1.good.test")
    assert (response.status, response.reason, response.location) == (404, "bad-token", None)
    assert injector.total() == before


@pytest.mark.parametrize(
    "path",
    [
        f"/{CHALLENGE}",
        "/.well-known/../.well-known/acme-challenge/tok",
        "/.WELL-KNOWN/acme-challenge/tok",
        "/.well-known/ACME-challenge/tok",
        "/.well-known//acme-challenge/tok",
        "/%2ewell-known/acme-challenge/tok",
        "/.well-known/acme-challenge",
        "/x/.well-known/acme-challenge/tok",
    ],
)
def test_the_path_is_compared_as_it_was_sent(relay: Relay, path: str) -> None:
    response = relay.request(path, "app.example.test")
    assert (response.status, response.location) == (307, f"https://app.example.test{path}")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (f"http://app.example.test{CHALLENGE}", GOOD),
        (f"https://other.test:8080{CHALLENGE}?x", GOOD),
        (f"HTTP://other.test{CHALLENGE}", GOOD),
        (f"{CHALLENGE}#fragment", GOOD),
        (f"{CHALLENGE}?", GOOD),
        ("http://other.test/a?b", "https://app.example.test/a?b"),
    ],
)
def test_absolute_forms_queries_and_fragments(relay: Relay, uri: str, expected: str) -> None:
    response = relay.request(uri, "app.example.test")
    assert (response.status, response.location) == (307, expected)


@pytest.mark.parametrize("uri", ["", "*", "app.example.test:443", "well-known", "?a", "ftp://app.example.test/x"])
def test_what_does_not_begin_with_a_slash_is_not_found(relay: Relay, uri: str) -> None:
    response = relay.request(uri, "app.example.test")
    assert (response.status, response.location) == (404, None)


@pytest.mark.parametrize("octet", ["\r\nX-Injected: 1", "\n", "\0", "\x01", " ", "\x7f", "\xff", "\t"], ids=repr)
@pytest.mark.parametrize("place", [CHALLENGE, "/a", "/a?b="])
def test_octets_outside_visible_ascii_are_refused(relay: Relay, place: str, octet: str) -> None:
    response = relay.request(f"{place}{octet}x", "app.example.test")
    assert response.location is None
    assert "X-Injected" not in [name for name, _ in response.headers]
    assert (response.status, response.reason) == (400, "bad-path")


def test_path_and_query_may_have_2000_octets(relay: Relay) -> None:
    longest = "/" + "a" * 1990 + "?" + "b" * 8
    assert len(longest) == 2000
    assert relay.request(longest, "app.example.test").location == f"https://app.example.test{longest}"
    for path in (longest + "b", "/" + "a" * 2000, f"{CHALLENGES}{'a' * 5000}", f"{CHALLENGE}?{'b' * 2000}"):
        response = relay.request(path, "app.example.test")
        assert (response.status, response.reason, response.location) == (414, "too-long", None)


@pytest.mark.parametrize(
    "method", ["get", "FOO", "", "TRACE", "CONNECT", "GET\r\nX: y", "A" * 1000], ids=lambda method: repr(method[:8])
)
def test_odd_methods_are_refused_for_challenges(relay: Relay, method: str) -> None:
    response = relay.challenge("app.example.test", method=method)
    assert (response.status, response.reason, response.header("Allow")) == (405, "bad-method", "GET, HEAD")


def test_nothing_of_a_request_is_echoed_as_markup(relay: Relay) -> None:
    response = relay.request("/<script>alert(1)</script>", "no-txt.example.test")
    assert "<script>" not in response.text
    assert response.header("Content-Type") == "text/plain; charset=utf-8"


# ---- raw octets through lighttpd: refused by one or the other, and never a redirect


def request_bytes(line: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join([line, *fields, b"Connection: close", b"", b""])


HOST = b"Host: app.example.test"


@pytest.mark.parametrize(
    ("octets", "statuses"),
    [
        (request_bytes(b"GET /.well-known/acme-challenge/tok HTTP/1.1"), {400}),
        (request_bytes(b"GET /.well-known/acme-challenge/tok HTTP/1.0"), {400}),
        (request_bytes(b"GET /.well-known/acme-challenge/tok HTTP/1.1", b"Host:"), {400}),
        (request_bytes(b"GET /.well-known/acme-challenge/tok HTTP/1.1", HOST, b"Host: evil.test"), {400}),
        (request_bytes(b"GET /.well-known/acme-challenge/tok HTTP/1.1", b"Host: a_b.example.test"), {400}),
        (request_bytes(b"GET /.well-known/acme-challenge/tok HTTP/1.1", b"Host: -a.example.test"), {400}),
        (request_bytes(b"GET /.well-known/acme-challenge/tok HTTP/1.1", b"Host: a..b"), {400}),
        (request_bytes(b"GET /.well-known/acme-challenge/tok HTTP/1.1", b"Host: app.example.test:abc"), {400}),
        (request_bytes(b"GET /.well-known/acme-challenge/tok HTTP/1.1", b"Host: app@evil.test"), {400}),
        (request_bytes(b"GET /.well-known/acme-challenge/tok HTTP/1.1", b"Host: app.example.test/x"), {400}),
        (request_bytes(b"GET /.well-known/acme-challenge/tok HTTP/1.1", b"Host: b\xc3\xbccher.test"), {400}),
        (request_bytes(b"GET /.well-known/acme-challenge/tok HTTP/1.1", b"Host: " + b"x" * 64 + b".test"), {400}),
        (request_bytes(b"GET http://evil.test/.well-known/acme-challenge/tok HTTP/1.1", HOST), {400}),
        (request_bytes(b"GET /.well-known/acme-challenge/%00 HTTP/1.1", HOST), {400, 404}),
        (request_bytes(b"GET /.well-known/acme-challenge/a%0d%0aX:1 HTTP/1.1", HOST), {400, 404}),
        (request_bytes(b"GET /.well-known/acme-challenge/a%2Fb HTTP/1.1", HOST), {404}),
        (request_bytes(b"GET /.well-known/acme-challenge/%zz HTTP/1.1", HOST), {400, 404}),
        (request_bytes(b"GET /.well-known/acme-challenge/a b HTTP/1.1", HOST), {400}),
        (request_bytes(b"GET /.well-known/acme-challenge/\x01 HTTP/1.1", HOST), {400}),
        (request_bytes(b"GET /.well-known/acme-challenge/\xc3\xbc HTTP/1.1", HOST), {400}),
        (request_bytes(b"GET /" + b"a" * 9000 + b" HTTP/1.1", HOST), {414, 431}),
        (request_bytes(b"GET /" + b"a" * 3000 + b" HTTP/1.1", HOST), {414}),
        (request_bytes(b"FOO /.well-known/acme-challenge/tok HTTP/1.1", HOST), {405, 501}),
        (request_bytes(b"get /.well-known/acme-challenge/tok HTTP/1.1", HOST), {405, 501}),
        (request_bytes(b"TRACE /.well-known/acme-challenge/tok HTTP/1.1", HOST), {405}),
        (request_bytes(b"POST /.well-known/acme-challenge/tok HTTP/1.1", HOST), {405, 411}),
        (request_bytes(b"CONNECT app.example.test:443 HTTP/1.1", HOST), {400, 404, 405, 501}),
        (b"GET /.well-known/acme-challenge/tok\r\n\r\n", {400}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}),
    ],
    ids=lambda value: repr(value[:70]) if isinstance(value, bytes) else "",
)
def test_raw_requests_that_are_refused(web: Lighttpd, octets: bytes, statuses: set[int]) -> None:
    response = http_client.raw(web.port, octets)
    assert response.status in statuses
    assert response.location is None
    assert "X" not in [name for name, _ in response.headers]


@pytest.mark.parametrize(
    ("line", "location"),
    [
        (f"GET http://app.example.test{CHALLENGE} HTTP/1.1", GOOD),
        (f"GET {CHALLENGE}#x HTTP/1.1", GOOD),
        (f"GET /{CHALLENGE} HTTP/1.1", f"https://app.example.test/{CHALLENGE}"),
        ("GET /a/../b//c HTTP/1.1", "https://app.example.test/a/../b//c"),
        ("GET /%2e%2e%2f HTTP/1.1", "https://app.example.test/%2e%2e%2f"),
    ],
)
def test_raw_requests_that_are_redirected(web: Lighttpd, line: str, location: str) -> None:
    response = http_client.raw(web.port, request_bytes(line.encode(), HOST))
    assert (response.status, response.location) == (307, location)


def test_options_for_the_server_is_no_redirect(web: Lighttpd) -> None:
    response = http_client.raw(web.port, request_bytes(b"OPTIONS * HTTP/1.1", HOST))
    assert response.location is None


def test_two_requests_on_one_connection(web: Lighttpd) -> None:
    first = f"GET {CHALLENGE} HTTP/1.1\r\nHost: app.example.test\r\n\r\n".encode()
    second = f"GET {CHALLENGE} HTTP/1.1\r\nHost: no-txt.example.test\r\nConnection: close\r\n\r\n".encode()
    octets = http_client.exchange(web.port, first + second)
    assert octets.count(b"HTTP/1.1 307") == 1
    assert octets.count(b"HTTP/1.1 404") == 1


def test_a_body_up_to_64_kb_is_ignored_and_a_larger_one_refused(web: Lighttpd) -> None:
    for size in (1, 20_000, 65_536):
        response = http_client.request(web.port, "/a", host="app.example.test", method="POST", body=b"x" * size)
        assert (response.status, response.location) == (307, "https://app.example.test/a")
    for size in (65_537, 1_000_000):
        response = http_client.request(web.port, "/a", host="app.example.test", method="POST", body=b"x" * size)
        assert (response.status, response.location) == (413, None)
