"""What a user of Let's Encrypt reads when a challenge fails: Boulder's words (va/va.go, va/http.go, bdns/problem.go)
for what happens when a challenge is asked for here. It goes to the first address, an IPv6 one before those of IPv4, as
Boulder does after a redirect (before one it has a second try). Nothing leaves this machine."""

from __future__ import annotations

import errno
import socket
import ssl
import struct
from urllib.parse import urlsplit

import http_client
from ca_rules import faults
from dns_message import NOERROR, NXDOMAIN, TYPES, question

# So much of an answer is read, and shown where it is no answer to a challenge.
_MAX_BODY = 128
_WORDS = {
    errno.ENETUNREACH: "Network unreachable",
    errno.ECONNREFUSED: "Connection refused",
    errno.ECONNRESET: "Connection reset by peer",
}


class Refused(Exception):
    """The challenge is invalid; the text is Boulder's."""


def look_up(dns_port: int, name: str, record_type: str) -> tuple[int, list[str]]:
    """The response code, and the addresses."""
    with socket.create_connection(("127.0.0.1", dns_port), 10) as tcp:
        query = question(name, record_type)
        tcp.sendall(struct.pack("!H", len(query)) + query)
        stream = tcp.makefile("rb")
        answer = stream.read(*struct.unpack("!H", stream.read(2)))
    (answers,) = struct.unpack("!H", answer[6:8])
    found, at = [], _skip_name(answer, 12) + 4
    for _ in range(answers):
        at = _skip_name(answer, at)
        kind, _, _, size = struct.unpack("!HHIH", answer[at : at + 10])
        data = answer[at + 10 : at + 10 + size]
        if kind == TYPES[record_type]:
            found.append(socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data))
        at += 10 + size
    return answer[3] & 0xF, found


def _skip_name(packet: bytes, at: int) -> int:
    while size := packet[at]:
        if size >= 0xC0:
            return at + 2
        at += 1 + size
    return at + 1


def _addresses(dns_port: int, name: str) -> list[str]:
    """IPv6 first."""
    found: list[str] = []
    said = []
    for record_type in ("A", "AAAA"):
        code, addresses = look_up(dns_port, name, record_type)
        found[:0] = addresses[:1]
        if code == NXDOMAIN:
            advice = "check that a DNS record exists for this domain"
            said.append(f"DNS problem: NXDOMAIN looking up {record_type} for {name} - {advice}")
        elif code != NOERROR:
            said.append(f"DNS problem: SERVFAIL looking up {record_type} for {name}")
    if not found:
        raise Refused("; ".join(said) or f"no valid A records found for {name}; no valid AAAA records found for {name}")
    return found


def validate(dns_port: int, domain: str, path: str, seconds: float) -> None:
    """Asks for a challenge as long as Boulder's deadline, which is here so many seconds for each hop; what is not
    refused has been answered with something short."""
    url = f"http://{domain}{path}"
    for _ in range(11):
        host = urlsplit(url).hostname or ""
        address = _addresses(dns_port, host)[0]
        try:
            response = _get(address, url, seconds)
        except OSError as error:
            raise Refused(f"{address}: Fetching {url}: {_words(error)}") from error
        if 300 <= response.status < 400:
            assert faults(response, host, urlsplit(url).path) == []
            url = response.location or ""
            continue
        if response.status != 200:
            raise Refused(f"{address}: Invalid response from {url}: {response.status}")
        if len(response.body) >= _MAX_BODY:
            shown = response.body[:_MAX_BODY].decode("latin-1").replace('"', '\\"')
            raise Refused(f'{address}: Invalid response from {url}: "{shown}"')
        return
    raise Refused("Too many redirects")


class _ConnectTimeout(OSError):
    pass


def _words(error: OSError) -> str:
    if isinstance(error, _ConnectTimeout):
        return "Timeout during connect (likely firewall problem)"
    if isinstance(error, TimeoutError):
        return "Timeout after connect (your server may be slow or overloaded)"
    return _WORDS.get(error.errno or 0, "Error getting validation data")


def _get(address: str, url: str, seconds: float) -> http_client.Response:
    parts = urlsplit(url)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as plain:
        # Where an address of the world's is none, no way leads there.
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
        plain.settimeout(seconds)
        try:
            plain.connect((address, 443 if parts.scheme == "https" else 80))
        except TimeoutError as error:
            raise _ConnectTimeout from error
        connection: socket.socket = plain
        if parts.scheme == "https":
            trust = ssl.create_default_context()
            trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
            connection = trust.wrap_socket(plain, server_hostname=parts.hostname)
        request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.hostname}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        connection.close()
    if not received:
        raise OSError("closed")
    return http_client.parse_response(received)
