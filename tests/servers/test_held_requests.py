"""Thousands of requests that wait for a DNS that does not answer, through lighttpd and nginx with the limits that
are shipped: all are held at the same time, and all are answered."""

from __future__ import annotations

import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import http_client
import pytest
from crowd import many_descriptors
from front_servers import Server, open_files, start_relay, start_server
from processes import SLOWNESS, NotReady, Workspace, wait_until
from relay import CHALLENGE, config_text

WANTED = 5_000

# One request waits for DNS as long as this; all of them must have come in less. (Five thousand take 0.7 s here.)
DEADLINE_MS = min(20_000, int(4_000 * SLOWNESS))

# Of one client's address and of one registrable domain at most, so no limit is raised: the relay's are 100 and
# 1000, nginx's is 200.
PER_CLIENT = 50
PER_DOMAIN = 500


def possible() -> int:
    """How many this machine can hold: the web server needs two descriptors for each, and lighttpd uses nine
    tenths; the relay reckons with three, and wants a few hundred for itself."""
    return min(WANTED, open_files() * 9 // 20, (open_files() - 1000) // 3)


@dataclass
class Client:
    name: str
    socket: socket.socket
    received: bytearray = field(default_factory=bytearray)
    done: bool = False


class Crowd:
    """Clients on many loopback addresses, each with one request for a domain of its own."""

    def __init__(self, port: int, count: int, per_client: int = PER_CLIENT) -> None:
        self._selector = selectors.DefaultSelector()
        self.clients: list[Client] = []
        for number in range(count):
            name = f"n{number}.held{number // PER_DOMAIN}.test"
            connection = socket.socket()
            client_number = number // per_client
            connection.bind((f"127.0.{1 + client_number // 200}.{1 + client_number % 200}", 0))
            connection.connect(("127.0.0.1", port))
            connection.setblocking(False)
            lines = [f"GET {CHALLENGE} HTTP/1.1", f"Host: {name}", "Connection: close", "", ""]
            connection.sendall("\r\n".join(lines).encode())
            client = Client(name, connection)
            self._selector.register(connection, selectors.EVENT_READ, client)
            self.clients.append(client)

    def answered(self) -> int:
        return sum(bool(client.received) for client in self.clients)

    def read(self, seconds: float) -> None:
        """What has come within this time."""
        for key, _ in self._selector.select(seconds):
            client: Client = key.data
            try:
                octets = client.socket.recv(65536)
            except BlockingIOError:
                continue
            except ConnectionError:
                octets = b""
            client.received += octets
            if not octets:
                client.done = True
                self._selector.unregister(client.socket)

    def read_all(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self._selector.get_map():
            if time.monotonic() > end:
                raise NotReady(f"{len(self._selector.get_map())} clients have no answer")
            self.read(0.5)

    def close(self) -> None:
        self._selector.close()
        for client in self.clients:
            client.socket.close()


@pytest.fixture(name="black_hole")
def black_hole_fixture() -> Iterator[str]:
    """A name server that takes queries and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{hole.getsockname()[1]}"


def in_flight(server: Server) -> int:
    metrics = server.get("/metrics", "localhost").text
    (line,) = [line for line in metrics.splitlines() if line.startswith("http_requests_in_flight ")]
    return int(float(line.split()[1]))


def settings(black_hole: str, milliseconds: int, **limits: int) -> str:
    """One query a request, which nobody answers."""
    dns = {"timeout_ms": milliseconds, "attempts": 1, "deadline_ms": milliseconds}
    return config_text(black_hole, {"dns": dns, "limits": limits, "log": {"level": "warning"}})


def statuses(clients: Sequence[Client]) -> Counter[str]:
    """"504 dns-timeout" and the like → how many."""
    found: Counter[str] = Counter()
    for client in clients:
        if client.received:
            response = http_client.parse_response(bytes(client.received))
            found[f"{response.status} {response.reason}"] += 1
            assert response.header("Retry-After") is not None
            assert client.name in response.text
        else:
            found["nothing"] += 1
    return found


@pytest.mark.serial
@pytest.mark.skipif(possible() < 200, reason="too few file descriptors here")
@pytest.mark.parametrize("name", ["lighttpd", "nginx"])
def test_requests_that_wait_for_dns_are_held_and_answered(workspace: Workspace, black_hole: str, name: str) -> None:
    count = possible()
    relay = start_relay(workspace, settings(black_hole, DEADLINE_MS))
    server = start_server(name, workspace, relay)
    with many_descriptors():
        crowd = Crowd(server.port, count)
        try:
            # The relay's pages come all the same. The one that asks is in flight too.
            wait_until(lambda: in_flight(server) >= count, f"{count} requests in flight")
            begin = time.monotonic()
            assert server.get("/health", "localhost").status == 200
            assert time.monotonic() - begin < 2 * SLOWNESS
            crowd.read(0)
            assert crowd.answered() == 0, "some had their answer before all had come"
            crowd.read_all(30 * SLOWNESS)
            assert statuses(crowd.clients) == {"504 dns-timeout": count}
        finally:
            crowd.close()
    # And all of it is free again.
    assert in_flight(server) <= 1
    assert server.get("/health", "localhost").status == 200


def test_nginx_lets_one_address_have_two_hundred_requests_at_a_time(workspace: Workspace, black_hole: str) -> None:
    """Twice what the relay lets wait as it is shipped, so nginx is never the first to refuse."""
    relay = start_relay(workspace, settings(black_hole, int(2_000 * SLOWNESS), in_flight_per_client=1000))
    server = start_server("nginx", workspace, relay)
    crowd = Crowd(server.port, 250, per_client=250)
    try:
        crowd.read_all(20 * SLOWNESS)
        answers = [http_client.parse_response(bytes(client.received)) for client in crowd.clients]
    finally:
        crowd.close()
    assert Counter((answer.status, answer.reason) for answer in answers) == {(504, "dns-timeout"): 200, (503, None): 50}
