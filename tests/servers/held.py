"""Requests that wait for the DNS as long as a test wants, and the processes that hold them."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import fastcgi_client
from dns_message import Query
from fastcgi_client import Connection
from http_client import Response
from injector import Behaviour, Injector
from processes import descriptors_of, wait_until
from relay import CHALLENGE
from zones import APP_ID, GATEWAY

GOOD = f"https://{APP_ID}.{GATEWAY}{CHALLENGE}"

# A name server that is silent is asked again this often, within the time a request has.
PATIENT = {"dns": {"timeout_ms": 2000, "attempts": 10, "deadline_ms": 20000}}


class SilentInjector(Injector):
    """Answers nothing until it is told to, so that requests wait."""

    def __init__(self) -> None:
        self.released = threading.Event()
        super().__init__(self._decide)

    def _decide(self, query: Query, tcp: bool) -> Behaviour:
        return Behaviour(drop="held" in query.name and not self.released.is_set())

    def names_asked(self) -> int:
        return len({name for name, kind in list(self.counts) if kind == "CNAME"})


def begin(address: str, name: str, client: int = 1) -> Connection:
    """A request whose answer nobody has waited for yet."""
    connection = Connection(address)
    variables = fastcgi_client.cgi_variables(CHALLENGE, f"{name}.test", client=f"192.0.2.{client}")
    connection.send(fastcgi_client.whole_request(variables))
    return connection


def hold(address: str, count: int, dns: SilentInjector, name: str = "held") -> list[Connection]:
    """So many requests that wait for the DNS."""
    before = dns.names_asked()
    held = [begin(address, f"{name}.n{number}", number) for number in range(count)]
    wait_until(lambda: dns.names_asked() - before >= count, "the requests to wait")
    return held


def answer(connection: Connection) -> Response | None:
    """None: closed without one."""
    with connection:
        try:
            return connection.read_response()
        except ConnectionError:
            return None


def locations(connections: list[Connection]) -> list[str | None]:
    return [response.location if (response := answer(one)) else None for one in connections]


def alive(pid: int) -> bool:
    """Whether it still runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if alive(int(child))]


def is_listening(path: Path) -> bool:
    """Whether one may connect to this unix socket. To try would be a connection: the first starts a service."""
    listens = "00010000"  # __SO_ACCEPTCON
    return any(
        line.split()[3] == listens
        for line in Path("/proc/net/unix").read_text().splitlines()
        if line.endswith(f" {path}")
    )


def waiting_at(path: Path) -> int:
    """How many connections to this unix socket nobody has accepted yet: those have no inode."""
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines() if line.endswith(f" {path}")]
    return sum(line[5] == "02" and line[6] == "0" for line in lines)


def connections_of(pid: int, path: str) -> int:
    """How many that were accepted on this unix socket the process has."""
    accepted = {
        f"socket:[{line.split()[6]}]"
        for line in Path("/proc/net/unix").read_text().splitlines()
        if line.endswith(f" {path}") and line.split()[5] == "03"
    }
    return sum(os.readlink(fd) in accepted for fd in descriptors_of(pid))


def counted(address: str, sample: str) -> float:
    page = fastcgi_client.request(address, "/metrics", host="localhost").text
    values = [line.rsplit(" ", 1)[1] for line in page.splitlines() if line.startswith(f"{sample} ")]
    return float(values[0])
