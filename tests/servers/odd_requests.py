"""Requests as octets, ordinary and odd, and what the relay answers where nothing comes first."""

from __future__ import annotations

from dataclasses import dataclass

from http_client import parse_response
from relay import CHALLENGE
from zones import APP_ID, GATEWAY

APP = f"https://{APP_ID}.{GATEWAY}"
DOMAIN = "https://app.example.test"
CHALLENGES = "/.well-known/acme-challenge/"


@dataclass(frozen=True)
class Answer:
    """A status, and the relay's reason; None where the web server answers by itself."""

    status: int  # 0: a body alone, as HTTP/0.9 has it
    reason: str | None = None
    location: str | None = None

    @staticmethod
    def of(octets: bytes) -> Answer:
        if not octets.startswith(b"HTTP/"):
            return Answer(0, octets.partition(b":")[0].decode("ascii"))
        response = parse_response(octets)
        return Answer(response.status, response.reason, response.location)

    def __str__(self) -> str:
        """For a table: bold is the web server's own."""
        if self.reason is None:
            return f"**{self.status}**"
        return f"{self.status or 'no status,'} {self.reason}"


@dataclass(frozen=True)
class OddRequest:
    name: str
    octets: bytes
    answer: Answer


def _redirect(location: str) -> Answer:
    return Answer(307, "ok", location)


def _request(
    name: str,
    answer: Answer,
    line: str = f"GET {CHALLENGE} HTTP/1.1",
    *fields: str,
    host: str | None = "app.example.test",
    body: str = "",
) -> OddRequest:
    lines = [line] + ([] if host is None else [f"Host: {host}"]) + list(fields) + ["Connection: close", "", ""]
    return OddRequest(name, ("\r\n".join(lines) + body).encode("latin-1"), answer)


def _get(name: str, answer: Answer, target: str) -> OddRequest:
    return _request(name, answer, f"GET {target} HTTP/1.1")


def _host(name: str, answer: Answer, host: str | None, version: str = "HTTP/1.1") -> OddRequest:
    return _request(name, answer, f"GET {CHALLENGE} {version}", host=host)


# The relay itself as a Host may have it, where a proxy that makes every client look like loopback hides its pages.
HIDDEN_HOSTS = (
    "localhost", "LOCALHOST", "localhost:80", "localhost.", "LocalHost.:80", "x", "x.", "x:8081", "127.0.0.1",
    "127.0.0.1:80", "127.0.0.1.", "192.0.2.1.:80", "[::1]", "[::1]:80", "[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]:80",
    "2130706433", "0x7f000001",
)  # fmt: skip

_GOOD = _redirect(APP + CHALLENGE)
_BAD_HOST = Answer(400, "bad-host")
_BAD_PATH = Answer(400, "bad-path")
_BAD_TOKEN = Answer(404, "bad-token")
_BAD_METHOD = Answer(405, "bad-method")
_NOT_FOUND = Answer(404, "not-found")

ODD_REQUESTS = [
    _get("a challenge", _GOOD, CHALLENGE),
    _get("with a query", _GOOD, f"{CHALLENGE}?x=1"),
    _host("no app address record", Answer(404, "txt-missing"), "no-txt.example.test"),
    _host("records that are wrong", Answer(502, "txt-malformed"), "bad-no-port.example.test"),
    _host("a gateway's name", Answer(421, "gateway-name"), f"{APP_ID}.{GATEWAY}"),
    _host("HTTP/1.0", _GOOD, "app.example.test", "HTTP/1.0"),
    _get("another path", _redirect(f"{DOMAIN}/a/%62?c=%64"), "/a/%62?c=%64"),
    # Methods.
    _request("HEAD", _GOOD, f"HEAD {CHALLENGE} HTTP/1.1"),
    _request("POST", _BAD_METHOD, f"POST {CHALLENGE} HTTP/1.1", "Content-Length: 3", body="abc"),
    _request("POST, another path", _redirect(f"{DOMAIN}/a"), "POST /a HTTP/1.1", "Content-Length: 3", body="abc"),
    _request("POST, no length", _BAD_METHOD, f"POST {CHALLENGE} HTTP/1.1"),
    _request("POST, chunked", _BAD_METHOD, f"POST {CHALLENGE} HTTP/1.1", "Transfer-Encoding: chunked",
             body="3\r\nabc\r\n0\r\n\r\n"),
    _request("GET with a body", _GOOD, f"GET {CHALLENGE} HTTP/1.1", "Content-Length: 3", body="abc"),
    _request("a body of 64 KB", _redirect(f"{DOMAIN}/a"), "PUT /a HTTP/1.1", "Content-Length: 65536",
             body="x" * 65536),
    _request("a body of 1 MB", Answer(413, "too-large"), "PUT /a HTTP/1.1", "Content-Length: 1000000",
             body="x" * 1_000_000),
    _request("PUT", _BAD_METHOD, f"PUT {CHALLENGE} HTTP/1.1", "Content-Length: 0"),
    _request("DELETE", _BAD_METHOD, f"DELETE {CHALLENGE} HTTP/1.1"),
    _request("OPTIONS", _BAD_METHOD, f"OPTIONS {CHALLENGE} HTTP/1.1"),
    _request("OPTIONS *", _NOT_FOUND, "OPTIONS * HTTP/1.1"),
    _request("TRACE", _BAD_METHOD, f"TRACE {CHALLENGE} HTTP/1.1"),
    _request("FOO", _BAD_METHOD, f"FOO {CHALLENGE} HTTP/1.1"),
    _request("get", _BAD_METHOD, f"get {CHALLENGE} HTTP/1.1"),
    _request("CONNECT", _NOT_FOUND, "CONNECT app.example.test:443 HTTP/1.1"),
    # The path: dots, slashes, octets.
    _get("//.well-known/…", _redirect(f"{DOMAIN}/{CHALLENGE}"), f"/{CHALLENGE}"),
    _get("/.well-known//…", _redirect(f"{DOMAIN}/.well-known//acme-challenge/tok"), "/.well-known//acme-challenge/tok"),
    _get("/x/../.well-known/…", _redirect(f"{DOMAIN}/x/..{CHALLENGE}"), f"/x/..{CHALLENGE}"),
    _get("/./.well-known/…", _redirect(f"{DOMAIN}/.{CHALLENGE}"), f"/.{CHALLENGE}"),
    _get("/%2ewell-known/…", _redirect(f"{DOMAIN}/%2ewell-known/acme-challenge/tok"),
         "/%2ewell-known/acme-challenge/tok"),
    _get("…/../../a", _BAD_TOKEN, f"{CHALLENGES}../../a"),
    _get("/../../a", _redirect(f"{DOMAIN}/../../a"), "/../../a"),
    _get("…/%2e%2e", _BAD_TOKEN, f"{CHALLENGES}%2e%2e"),
    _get("…/tok/", _BAD_TOKEN, f"{CHALLENGES}tok/"),
    _get("…/a%2Fb", _BAD_TOKEN, f"{CHALLENGES}a%2Fb"),
    _get("…/a%00", _BAD_TOKEN, f"{CHALLENGES}a%00"),
    _get("…/a%0d%0aX:1", _BAD_TOKEN, f"{CHALLENGES}a%0d%0aX:1"),
    _get("…/%zz", _BAD_TOKEN, f"{CHALLENGES}%zz"),
    _get("…/token#fragment", _GOOD, f"{CHALLENGE}#fragment"),
    _get("a space in the path", _BAD_PATH, f"{CHALLENGES}a b"),
    _get("octet 01 in the path", _BAD_PATH, f"{CHALLENGES}\x01"),
    _get("octet FC in the path", _BAD_PATH, f"{CHALLENGES}\xfc"),
    _get("no slash", _NOT_FOUND, "well-known"),
    _get("absolute form", _GOOD, f"http://app.example.test{CHALLENGE}"),
    # RFC 9112 3.2.2: the host of the first line counts.
    _get("absolute form, another host", Answer(404, "txt-missing"), f"http://no-txt.example.test{CHALLENGE}"),
    _get("a path of 3 KB", Answer(414, "too-long"), f"/{'a' * 3000}"),
    _get("a path of 9 KB", Answer(414, "too-long"), f"/{'a' * 9000}"),
    # The Host.
    _host("no Host", _BAD_HOST, None),
    _host("no Host, HTTP/1.0", _BAD_HOST, None, "HTTP/1.0"),
    OddRequest("HTTP/0.9", f"GET {CHALLENGE}\r\n\r\n".encode(), _BAD_HOST),
    _host("an empty Host", _BAD_HOST, ""),
    _host("Host with a port", _GOOD, "app.example.test:8081"),
    _host("Host with a port that is none", _BAD_HOST, "app.example.test:abc"),
    _host("Host in capitals, with a dot", _GOOD, "APP.Example.TEST."),
    _host("Host a_b", _BAD_HOST, "a_b.example.test"),
    _host("Host -a", _BAD_HOST, "-a.example.test"),
    _host("Host a..b", _BAD_HOST, "a..b"),
    _host("Host with @", _BAD_HOST, "app@example.test"),
    _host("Host with /", _BAD_HOST, "app.example.test/x"),
    _host("Host with octet FC", _BAD_HOST, "b\xfccher.test"),
    _host("Host with a label of 64", _BAD_HOST, f"{'x' * 64}.test"),
    _host("Host an address", _NOT_FOUND, "[::1]"),
    _request("two Hosts", _BAD_HOST, f"GET {CHALLENGE} HTTP/1.1", "Host: no-txt.example.test"),
    # Header fields.
    _request("7 KB of header fields", _GOOD, f"GET {CHALLENGE} HTTP/1.1", *[f"X-{n}: {'x' * 990}" for n in range(7)]),
    _request("a header field of 7 KB", _GOOD, f"GET {CHALLENGE} HTTP/1.1", f"Cookie: {'x' * 7000}"),
    _request("a header field of 9 KB", _GOOD, f"GET {CHALLENGE} HTTP/1.1", f"Cookie: {'x' * 9000}"),
    _request("20 KB of header fields", _GOOD, f"GET {CHALLENGE} HTTP/1.1", *[f"X-{n}: {'x' * 990}" for n in range(20)]),
    _request("claims about the Host", _GOOD, f"GET {CHALLENGE} HTTP/1.1", "X-Forwarded-Host: no-txt.example.test",
             "Forwarded: host=no-txt.example.test", "Proxy: http://evil.test/", "X-Original-URL: /health"),
]  # fmt: skip
