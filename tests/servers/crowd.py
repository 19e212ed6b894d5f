"""Thousands of FastCGI connections of one thread: each sends its octets, and what comes back is kept with its time."""

from __future__ import annotations

import resource
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import fastcgi_client as fcgi
from fastcgi_client import Address
from http_client import Response
from processes import NotReady
from relay import CHALLENGE


@dataclass
class Member:
    socket: socket.socket
    begun: float
    received: bytearray = field(default_factory=bytearray)
    ended: float = 0.0  # 0: it is still open

    @property
    def seconds(self) -> float:
        return self.ended - self.begun

    def response(self) -> Response:
        """What stands in its STDOUT records."""
        output, at = b"", 0
        while at < len(self.received):
            kind = self.received[at + 1]
            size = int.from_bytes(self.received[at + 4 : at + 6], "big")
            if kind == fcgi.STDOUT:
                output += self.received[at + 8 : at + 8 + size]
            at += 8 + size + self.received[at + 6]
        return fcgi.parse_cgi(output)


class Crowd:
    def __init__(self, address: Address) -> None:
        self._address = address
        self._selector = selectors.EpollSelector()
        self.members: list[Member] = []

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def join(self, octets: bytes) -> Member:
        family = socket.AF_UNIX if isinstance(self._address, str) else socket.AF_INET
        connection = socket.socket(family)
        connection.settimeout(20)
        connection.connect(self._address)
        if octets:
            connection.sendall(octets)
        connection.setblocking(False)
        member = Member(connection, time.monotonic())
        self._selector.register(connection, selectors.EVENT_READ, member)
        self.members.append(member)
        return member

    def ask(self, host: str, client: str) -> Member:
        return self.join(fcgi.whole_request(fcgi.cgi_variables(CHALLENGE, host, client=client)))

    def open(self) -> int:
        return len(self._selector.get_map())

    def read(self, seconds: float = 0.0) -> None:
        """What has come by then."""
        for key, _ in self._selector.select(seconds):
            member: Member = key.data
            try:
                octets = member.socket.recv(65536)
            except BlockingIOError:
                continue
            except ConnectionError:
                octets = b""
            member.received += octets
            if not octets:
                member.ended = time.monotonic()
                self._selector.unregister(member.socket)
                member.socket.close()

    def read_all(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self.open():
            if time.monotonic() > end:
                raise NotReady(f"{self.open()} of {len(self.members)} are still open")
            self.read(0.1)

    def close(self) -> None:
        self._selector.close()
        for member in self.members:
            member.socket.close()


@contextmanager
def many_descriptors() -> Iterator[int]:
    """This process may have all that it can, until the end. Programs started before this raise their own limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield hard if hard != resource.RLIM_INFINITY else 1 << 20
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def client_address(number: int) -> str:
    return f"198.18.{number // 250 % 250}.{number % 250 + 1}"
