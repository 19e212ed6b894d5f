"""FastCGI by hand (FastCGI 1.0, section 3.3 and on): records in, any octets too, what came back out."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from http_client import Response, parse_headers

BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES = range(1, 10)
GET_VALUES_RESULT, UNKNOWN_TYPE = 10, 11
COMPLETE, CANNOT_MULTIPLEX, OVERLOADED, UNKNOWN_ROLE = range(4)
RESPONDER, AUTHORIZER, FILTER = 1, 2, 3
KEEP_CONNECTION = 1

Address = str | tuple[str, int]  # a unix socket's path, or host and port


def record(kind: int, content: bytes = b"", request_id: int = 1, padding: int = 0, version: int = 1) -> bytes:
    assert len(content) < 65536
    header = struct.pack("!BBHHBx", version, kind, request_id, len(content), padding)
    return header + content + b"\0" * padding


def stream(kind: int, content: bytes, request_id: int = 1) -> bytes:
    """As many records as it takes, and the empty one that ends them."""
    chunks = [content[at : at + 65528] for at in range(0, len(content), 65528)]
    return b"".join(record(kind, chunk, request_id) for chunk in [*chunks, b""])


def begin(role: int = RESPONDER, keep: bool = False, request_id: int = 1) -> bytes:
    return record(BEGIN_REQUEST, struct.pack("!HB5x", role, KEEP_CONNECTION if keep else 0), request_id)


def length(size: int) -> bytes:
    return bytes([size]) if size < 128 else struct.pack("!I", size | 0x80000000)


def pairs(values: Iterable[tuple[str, str]]) -> bytes:
    encoded = b""
    for name, value in values:
        key, octets = name.encode("latin-1"), value.encode("latin-1")
        encoded += length(len(key)) + length(len(octets)) + key + octets
    return encoded


def cgi_variables(
    path: str, host: str | None, method: str = "GET", client: str = "127.0.0.1", extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What lighttpd would send."""
    variables = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "test",
        "SERVER_NAME": "unrelated.example.net",
        "REQUEST_METHOD": method,
        "REQUEST_URI": path,
        "QUERY_STRING": path.partition("?")[2],
        "SCRIPT_NAME": path.partition("?")[0],
        "REMOTE_ADDR": client,
    }
    if host is not None:
        variables["HTTP_HOST"] = host
    return variables | dict(extra or {})


def whole_request(variables: Mapping[str, str], body: bytes = b"", keep: bool = False, request_id: int = 1) -> bytes:
    return (
        begin(keep=keep, request_id=request_id)
        + stream(PARAMS, pairs(variables.items()), request_id)
        + stream(STDIN, body, request_id)
    )


@dataclass(frozen=True)
class Record:
    kind: int
    request_id: int
    content: bytes


class Connection:
    """One connection to a FastCGI program."""

    def __init__(self, address: Address, seconds: float = 20.0) -> None:
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
        else:
            self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self.socket.settimeout(seconds)
        self.socket.connect(address)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def _read(self, size: int) -> bytes:
        octets = b""
        while len(octets) < size:
            chunk = self.socket.recv(size - len(octets))
            if not chunk:
                raise ConnectionError(f"closed after {len(octets)} of {size} octets")
            octets += chunk
        return octets

    def read_record(self) -> Record:
        _, kind, request_id, size, padding = struct.unpack("!BBHHBx", self._read(8))
        content = self._read(size + padding)[:size]
        return Record(kind, request_id, content)

    def read_response(self, request_id: int = 1) -> Response:
        """Reads up to END_REQUEST, which must say that the request is complete."""
        output = b""
        while True:
            got = self.read_record()
            assert got.request_id == request_id, got
            if got.kind == STDOUT:
                output += got.content
            elif got.kind == END_REQUEST:
                assert got.content == b"\0" * 8, f"application and protocol status {got.content!r}"
                return parse_cgi(output)
            else:
                raise AssertionError(f"unexpected record {got}")

    def closed_by_peer(self, seconds: float) -> bool:
        """Whether the other side ends the connection within this time, perhaps after some octets."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                pass
            return True
        except ConnectionError:
            return True
        except TimeoutError:
            return False


def parse_cgi(output: bytes) -> Response:
    """A CGI response (RFC 3875 6)."""
    head, separator, body = output.partition(b"\r\n\r\n")
    assert separator, f"not a CGI response: {output[:200]!r}"
    headers = parse_headers(head)
    status = [value for name, value in headers if name.lower() == "status"]
    assert len(status) == 1, headers
    return Response(int(status[0].split()[0]), [pair for pair in headers if pair[0].lower() != "status"], body)


def request(
    address: Address,
    path: str,
    *,
    host: str | None,
    method: str = "GET",
    client: str = "127.0.0.1",
    body: bytes = b"",
    extra: Mapping[str, str] | None = None,
) -> Response:
    with Connection(address) as connection:
        connection.send(whole_request(cgi_variables(path, host, method, client, extra), body))
        return connection.read_response()
