"""The same requests through lighttpd, nginx, Caddy and Apache, each with the configuration that is shipped: the
relay's answer comes back, unless the server answers first."""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Iterator, Mapping

import http_client
import pytest
from conftest import World
from front_servers import SERVERS, Server, start_relay, start_server
from odd_requests import ODD_REQUESTS, Answer, OddRequest
from processes import BUILD, Workspace, wait_until
from web_servers import Lighttpd

# Where a server answers by itself (a status alone), or makes another request of it (an answer of the relay).
FIRST: Mapping[str, Mapping[str, int | Answer]] = {
    "POST, no length": {"lighttpd": 411},
    "GET with a body": {"lighttpd": 400},
    "a body of 1 MB": {"lighttpd": 413, "nginx": 413, "Caddy": 413},
    "OPTIONS *": {"lighttpd": 200, "nginx": 400, "Caddy": 200, "Apache": 200},
    "TRACE": {"nginx": 405, "Apache": 405},
    "FOO": {"lighttpd": 501},
    "get": {"lighttpd": 501, "nginx": 400},
    # Caddy passes the request on with the path "/".
    "CONNECT": {"lighttpd": 400, "nginx": 400, "Caddy": Answer(307, "ok", "https://app.example.test/")},
    "/../../a": {"nginx": 400, "Apache": 400},
    "…/a%00": {"lighttpd": 400, "nginx": 400, "Caddy": 400, "Apache": 404},
    "…/a%0d%0aX:1": {"lighttpd": 400},
    "…/%zz": {"nginx": 400, "Caddy": 400, "Apache": 400},
    # Caddy writes "#" as %23 and other octets in the same way.
    "…/token#fragment": {"Caddy": Answer(404, "bad-token"), "Apache": 400},
    "octet FC in the path": {"lighttpd": 400, "Caddy": Answer(404, "bad-token")},
    "a space in the path": {"nginx": 400, "Caddy": 400, "Apache": 400},
    "octet 01 in the path": dict.fromkeys(SERVERS, 400),
    "no slash": dict.fromkeys(SERVERS, 400),
    "absolute form, another host": {"lighttpd": 400},
    "a path of 9 KB": {"lighttpd": 431, "nginx": 414, "Apache": 414},
    "no Host": dict.fromkeys(SERVERS, 400),
    # nginx answers in HTTP/0.9: no status, no header.
    "HTTP/0.9": {"lighttpd": 400, "nginx": Answer(0, "bad-host"), "Caddy": 400, "Apache": 400},
    "an empty Host": {"lighttpd": 400, "nginx": 400, "Apache": 400},
    # nginx cuts off whatever stands behind the colon.
    "Host with a port that is none": {"lighttpd": 400, "nginx": ODD_REQUESTS[0].answer, "Apache": 400},
    "Host a_b": {"lighttpd": 400},
    "Host -a": {"lighttpd": 400},
    "Host a..b": {"lighttpd": 400, "nginx": 400, "Apache": 400},
    "Host with @": {"lighttpd": 400, "Caddy": 400, "Apache": 400},
    "Host with /": dict.fromkeys(SERVERS, 400),
    "Host with octet FC": {"lighttpd": 400, "Caddy": 400, "Apache": 400},
    "two Hosts": dict.fromkeys(SERVERS, 400),
    "a header field of 9 KB": {"lighttpd": 431, "nginx": 400, "Apache": 400},
    "20 KB of header fields": {"lighttpd": 431, "nginx": 400, "Caddy": 431},
}


class Matrix:
    """Server x request, and what each has answered."""

    def __init__(self, servers: Mapping[str, Server]) -> None:
        self.servers = servers
        self._answers: dict[str, dict[str, Answer]] = {}

    def ask(self, request: OddRequest) -> dict[str, Answer]:
        answers = {
            name: Answer.of(http_client.exchange(server.port, request.octets)) for name, server in self.servers.items()
        }
        self._answers[request.name] = answers
        return answers

    def complete(self) -> bool:
        return len(self._answers) == len(ODD_REQUESTS)

    def table(self) -> str:
        """In Markdown: what each has sent."""
        rows = [f"| request | {' | '.join(SERVERS)} |", "|---" * (len(SERVERS) + 1) + "|"]
        for request in ODD_REQUESTS:
            cells = [str(self._answers[request.name][name]) for name in SERVERS]
            rows.append(f"| {request.name} | {' | '.join(cells)} |")
        return "\n".join(rows) + "\n"

    def differences(self) -> str:
        """The same, only where an answer is not the relay's to that request. An empty cell is."""
        rows = [f"| request | the relay's answer | {' | '.join(SERVERS)} |", "|---" * (len(SERVERS) + 2) + "|"]
        for request in ODD_REQUESTS:
            answers = self._answers[request.name]
            cells = ["" if answers[name] == request.answer else str(answers[name]) for name in SERVERS]
            if any(cells):
                rows.append(f"| {request.name} | {request.answer} | {' | '.join(cells)} |")
        return "\n".join(rows) + "\n"


@pytest.fixture(scope="module")
def matrix(world: World) -> Iterator[Matrix]:
    relay = start_relay(world.workspace, world.config())
    tried = Matrix({name: start_server(name, world.workspace, relay) for name in SERVERS})
    yield tried
    if tried.complete():
        (BUILD / "server-table.md").write_text(tried.table(), encoding="utf-8")
        (BUILD / "server-differences.md").write_text(tried.differences(), encoding="utf-8")


def expected(request: OddRequest, server: str) -> Answer:
    answer = FIRST.get(request.name, {}).get(server, request.answer)
    return Answer(answer) if isinstance(answer, int) else answer


@pytest.mark.parametrize("request_", ODD_REQUESTS, ids=[request.name for request in ODD_REQUESTS])
def test_the_answer_is_the_same_everywhere_but_where_a_server_answers_first(
    matrix: Matrix, request_: OddRequest
) -> None:
    assert matrix.ask(request_) == {name: expected(request_, name) for name in SERVERS}


def test_every_exception_is_of_a_request_that_is_made() -> None:
    assert set(FIRST) <= {request.name for request in ODD_REQUESTS}
    for request in ODD_REQUESTS:
        for server, answer in FIRST.get(request.name, {}).items():
            assert answer != request.answer, (request.name, server)


@pytest.mark.parametrize("server", SERVERS)
def test_the_answer_has_the_headers_of_the_relay_and_none_of_fastcgi(matrix: Matrix, server: str) -> None:
    get, head = (
        http_client.request(matrix.servers[server].port, "/a", host="app.example.test", method=method)
        for method in ("GET", "HEAD")
    )
    assert head.body == b""
    for response in (get, head):
        assert response.header("Status") is None
        assert response.header("Content-Type") == "text/plain; charset=utf-8"
        assert response.header("Cache-Control") == "no-store"
        assert response.header("X-Content-Type-Options") == "nosniff"
        assert response.all("Location") == ["https://app.example.test/a"]
    assert get.header("Content-Length") == str(len(get.body))
    assert head.header("Content-Length") in (None, str(len(get.body)))


@pytest.mark.parametrize("server", SERVERS)
def test_two_requests_on_one_connection(matrix: Matrix, server: str) -> None:
    first = b"GET /a HTTP/1.1\r\nHost: app.example.test\r\n\r\n"
    second = b"GET /b HTTP/1.1\r\nHost: no-txt.example.test\r\nConnection: close\r\n\r\n"
    octets = http_client.exchange(matrix.servers[server].port, first + second)
    assert (octets.count(b"HTTP/1.1 307"), octets.count(b"HTTP/1.1 404")) == (1, 1)


def test_lighttpd_is_answered_though_it_has_found_the_queue_full(workspace: Workspace) -> None:
    """It then sends what it could not send before once more, up to six times in all, on one connection. That the relay
    refused, and lighttpd had no other answer for its client than 500."""
    config = workspace.write("relay.toml", "")
    web = Lighttpd(workspace, config, extra_changes={'"listen-backlog" => 4096': '"listen-backlog" => 1'})
    log = workspace.path / "lighttpd-error.log"
    statuses: Counter[int] = Counter()

    def second_tries() -> int:
        """Requests that went through at a later try: the tries that failed, without those of who got nowhere."""
        return log.read_text().count("connection was dropped after accept()") - 6 * statuses[500]

    def refused() -> list[str]:
        return re.findall(r"response not received, request sent: [1-9].*", log.read_text())

    def rush() -> bool:
        clients = [socket.create_connection(("127.0.0.1", web.port), 20) for _ in range(200)]
        for client in clients:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        for client in clients:
            with client:
                statuses[http_client.parse_response(b"".join(iter(lambda: client.recv(65536), b""))).status] += 1
        return second_tries() >= 20 or refused()

    wait_until(rush, "tries that succeed after one that failed", 30)
    assert set(statuses) <= {200, 500}, statuses
    assert not refused()
