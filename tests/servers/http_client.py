"""HTTP by hand: any octets in, what came back out."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Response:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """Its value; None where it is not there. Twice is an error."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} stands there {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def location(self) -> str | None:
        return self.header("Location")

    @property
    def reason(self) -> str | None:
        return self.header("X-Relay-Reason")

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")


def parse_headers(block: bytes) -> list[tuple[str, str]]:
    headers = []
    for line in block.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        assert colon and name and not name.endswith(b" "), f"not a header line: {line!r}"
        headers.append((name.decode("ascii"), value.decode("latin-1").strip()))
    return headers


def parse_response(octets: bytes) -> Response:
    """One HTTP/1.x response that ends with its connection."""
    head, separator, body = octets.partition(b"\r\n\r\n")
    assert separator, f"not an HTTP response: {octets[:200]!r}"
    status_line, _, block = head.partition(b"\r\n")
    return Response(int(status_line.split()[1]), parse_headers(block), body)


def exchange(port: int, octets: bytes, *, host: str = "127.0.0.1", source: str = "", seconds: float = 20.0) -> bytes:
    """Sends, and reads until the server closes."""
    source_address = (source, 0) if source else None
    with socket.create_connection((host, port), seconds, source_address) as connection:
        connection.settimeout(seconds)
        try:
            connection.sendall(octets)
        except OSError:
            pass  # refused halfway: the answer is what counts
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionResetError:
            pass
        return received


def raw(port: int, octets: bytes, *, host: str = "127.0.0.1", source: str = "") -> Response:
    return parse_response(exchange(port, octets, host=host, source=source))


def request(
    port: int,
    path: str,
    *,
    host: str | None,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    version: str = "HTTP/1.1",
    connect: str = "127.0.0.1",
    source: str = "",
) -> Response:
    lines = [f"{method} {path} {version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method in ("POST", "PUT"):
        lines.append(f"Content-Length: {len(body)}")
    lines += ["Connection: close", "", ""]
    return raw(port, "\r\n".join(lines).encode("latin-1") + body, host=connect, source=source)
