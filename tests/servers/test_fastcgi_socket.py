"""The FastCGI socket itself: what its neighbours may send without hurting anybody but themselves."""

from __future__ import annotations

import struct
import subprocess
import time
from collections.abc import Iterator

import fastcgi_client as fcgi
import http_client
import pytest
from fastcgi_client import Connection
from front_servers import PlainNginx, start_relay
from processes import SLOWNESS, Workspace, wait_until
from relay import CHALLENGE, Relay, config_text, listening_socket, start_on_stdin
from injector import Injector
from zones import APP_ID, GATEWAY

GOOD = f"https://{APP_ID}.{GATEWAY}{CHALLENGE}"

# A connection that has not sent its request after this time is closed.
READ_TIMEOUT = 3.0


@pytest.fixture(name="relay", scope="module")
def relay_fixture(module_workspace: Workspace, injector: Injector) -> Relay:
    return Relay(module_workspace, config_text(injector.server))


@pytest.fixture(autouse=True)
def relay_lives_on(relay: Relay) -> Iterator[None]:
    yield
    assert relay.process.running()
    assert relay.challenge("after.good.test").location == GOOD


def variables(host: str = "app.good.test", method: str = "GET") -> dict[str, str]:
    return fcgi.cgi_variables(CHALLENGE, host, method)


GOOD_REQUEST = fcgi.whole_request(variables())
GET_VALUES = fcgi.record(fcgi.GET_VALUES, fcgi.pairs([("FCGI_MPXS_CONNS", "")]), request_id=0)

HOSTILE = {
    "garbage": b"GET / HTTP/1.1\r\nHost: app.good.test\r\n\r\n",
    "zeros": b"\0" * 4096,
    "endless-get-values": GET_VALUES * 1000 + GOOD_REQUEST,
    "wrong-version": fcgi.record(fcgi.BEGIN_REQUEST, struct.pack("!HB5x", 1, 0), version=2),
    "authorizer": fcgi.begin(role=fcgi.AUTHORIZER) + GOOD_REQUEST[16:],
    "filter": fcgi.begin(role=fcgi.FILTER) + GOOD_REQUEST[16:],
    "begin-twice": fcgi.begin() + GOOD_REQUEST,
    "request-id-zero": fcgi.whole_request(variables(), request_id=0),
    "short-begin": fcgi.record(fcgi.BEGIN_REQUEST, b"\0\1") + GOOD_REQUEST[16:],
    "50000-parameters": fcgi.whole_request({f"HTTP_X_{number}": "y" for number in range(50_000)} | variables()),
    "large-parameter": fcgi.whole_request(variables() | {"HTTP_COOKIE": "x" * 100_000}),
    "name-of-2-gb": fcgi.begin() + fcgi.stream(fcgi.PARAMS, b"\xff\xff\xff\xff\x00abc") + fcgi.stream(fcgi.STDIN, b""),
    "value-of-2-gb": fcgi.begin() + fcgi.stream(fcgi.PARAMS, b"\x01\xff\xff\xff\xffabc") + fcgi.stream(fcgi.STDIN, b""),
    "lengths-that-add-up-to-nothing": fcgi.begin()
    + fcgi.stream(fcgi.PARAMS, b"\xff\xff\xff\xff\x80\x00\x00\x01abc")
    + fcgi.stream(fcgi.STDIN, b""),
    "cut-length": fcgi.begin() + fcgi.stream(fcgi.PARAMS, b"\xff\xff") + fcgi.stream(fcgi.STDIN, b""),
    "data-record": fcgi.begin() + fcgi.record(fcgi.DATA, b"x") + GOOD_REQUEST[16:],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_request_is_closed_and_never_answered_with_a_redirect(relay: Relay, name: str) -> None:
    with Connection(relay.address) as connection:
        try:
            connection.send(HOSTILE[name])
        except (BrokenPipeError, ConnectionResetError):
            return  # closed while it was still being sent
        received = b""
        connection.socket.settimeout((READ_TIMEOUT + 1.5) * SLOWNESS)
        try:
            while chunk := connection.socket.recv(65536):
                received += chunk
        except ConnectionResetError:
            pass
        assert b"Location" not in received


def test_silent_and_slow_connections_are_closed_and_keep_nobody_waiting(relay: Relay) -> None:
    unfinished = {
        "silent": b"",
        "one octet": b"\1",
        "half a header": GOOD_REQUEST[:5],
        "begin only": GOOD_REQUEST[:16],
        "all but the last octet": GOOD_REQUEST[:-1],
        "a body that never ends": GOOD_REQUEST[:-8] + fcgi.record(fcgi.STDIN, b"x"),
        "no begin": GOOD_REQUEST[16:],
        "parameters of another id": fcgi.begin() + fcgi.stream(fcgi.PARAMS, fcgi.pairs(variables().items()), 2),
        "twenty values": fcgi.record(fcgi.GET_VALUES, fcgi.pairs([("FCGI_MPXS_CONNS", "")] * 20), request_id=0),
        "an unknown management record": fcgi.record(77, b"x", request_id=0),
    }
    began = time.monotonic()
    connections = []
    for octets in list(unfinished.values()) * 5:
        connection = Connection(relay.address)
        connection.send(octets)
        connections.append(connection)

    asked = time.monotonic()
    assert relay.challenge("meanwhile.good.test").location == GOOD
    assert time.monotonic() - asked < 1.0 * SLOWNESS

    for connection in connections:
        with connection:
            left = READ_TIMEOUT + 1.5 * SLOWNESS - (time.monotonic() - began)
            assert connection.closed_by_peer(max(left, 0.1))


def test_a_drip_of_octets_buys_no_time(relay: Relay) -> None:
    began = time.monotonic()
    with Connection(relay.address) as connection:
        connection.socket.settimeout(0.1)
        for octet in GOOD_REQUEST:
            try:
                connection.send(bytes([octet]))
                if connection.socket.recv(1) == b"":
                    break
            except TimeoutError:
                pass
            except ConnectionError:
                break
            assert time.monotonic() - began < READ_TIMEOUT + 1.5 * SLOWNESS, "still open"


def test_a_request_in_many_pieces_is_answered(relay: Relay) -> None:
    with Connection(relay.address) as connection:
        for at in range(0, len(GOOD_REQUEST), 7):
            connection.send(GOOD_REQUEST[at : at + 7])
        assert connection.read_response().location == GOOD


def test_parameters_in_many_records_with_padding_are_one_stream(relay: Relay) -> None:
    encoded = fcgi.pairs(variables().items())
    octets = fcgi.begin()
    for at in range(0, len(encoded), 3):
        octets += fcgi.record(fcgi.PARAMS, encoded[at : at + 3], padding=at % 256)
    octets += fcgi.record(fcgi.PARAMS) + fcgi.record(fcgi.STDIN)
    with Connection(relay.address) as connection:
        connection.send(octets)
        assert connection.read_response().location == GOOD


def test_of_heads_that_come_again_the_last_one_counts(relay: Relay) -> None:
    """As lighttpd sends it after it found the queue of the socket full."""
    head = fcgi.begin() + fcgi.stream(fcgi.PARAMS, fcgi.pairs(variables("other.good.test", "POST").items()))
    with Connection(relay.address) as connection:
        connection.send(head * 5 + GOOD_REQUEST)
        assert connection.read_response().location == GOOD
    with Connection(relay.address) as connection:
        connection.send(head * 6 + GOOD_REQUEST)
        assert connection.closed_by_peer(1.0 * SLOWNESS)


def test_a_request_id_of_the_web_server_comes_back(relay: Relay) -> None:
    for request_id in (1, 255, 256, 65535):
        with Connection(relay.address) as connection:
            connection.send(fcgi.whole_request(variables(), request_id=request_id))
            assert connection.read_response(request_id).location == GOOD


def test_the_connection_s_own_records_are_answered_as_fastcgi_has_it(relay: Relay) -> None:
    names = ("FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS", "FCGI_OTHER")
    with Connection(relay.address) as connection:
        connection.send(fcgi.record(fcgi.GET_VALUES, fcgi.pairs([(name, "") for name in names]), request_id=0))
        connection.send(fcgi.record(77, b"x", request_id=0))
        values = connection.read_record()
        expected = [("FCGI_MAX_CONNS", "10000"), ("FCGI_MAX_REQS", "10000"), ("FCGI_MPXS_CONNS", "0")]
        assert values == fcgi.Record(fcgi.GET_VALUES_RESULT, 0, fcgi.pairs(expected))
        assert connection.read_record() == fcgi.Record(fcgi.UNKNOWN_TYPE, 0, b"\x4d" + b"\0" * 7)
        connection.send(GOOD_REQUEST)
        assert connection.read_response().location == GOOD


@pytest.mark.parametrize("role", [fcgi.AUTHORIZER, fcgi.FILTER])
def test_other_roles_are_refused_by_their_name(relay: Relay, role: int) -> None:
    with Connection(relay.address) as connection:
        connection.send(fcgi.begin(role=role, keep=True) + GOOD_REQUEST[16:])
        connection.send(fcgi.whole_request(variables(), request_id=2))
        assert connection.read_record() == end_of_request(1, fcgi.UNKNOWN_ROLE)
        assert connection.read_response(2).location == GOOD


def end_of_request(request_id: int, status: int) -> fcgi.Record:
    return fcgi.Record(fcgi.END_REQUEST, request_id, struct.pack("!IB3x", 0, status))


def test_a_second_request_of_a_connection_is_refused_while_the_first_waits(relay: Relay) -> None:
    with Connection(relay.address) as connection:
        connection.send(fcgi.whole_request(variables("one.delay-200.test"), request_id=1, keep=True))
        connection.send(fcgi.whole_request(variables("two.good.test"), request_id=2))
        assert connection.read_record() == end_of_request(2, fcgi.CANNOT_MULTIPLEX)
        assert connection.read_response(1).location == GOOD
        connection.send(fcgi.whole_request(variables("two.good.test"), request_id=2))
        assert connection.read_response(2).location == GOOD


def test_an_aborted_request_no_longer_counts_as_waiting(relay: Relay) -> None:
    waiting = "http_requests_in_flight"
    with Connection(relay.address) as connection:
        connection.send(fcgi.whole_request(variables("aborted.drop.test"), keep=True))
        wait_until(lambda: relay.metrics()[waiting] == 1, "the request to wait")
        connection.send(fcgi.record(fcgi.ABORT_REQUEST))
        assert connection.read_record() == end_of_request(1, fcgi.COMPLETE)
        wait_until(lambda: relay.metrics()[waiting] == 0, "the request to be given up", 2.0)
        connection.send(GOOD_REQUEST)
        assert connection.read_response().location == GOOD


def test_web_servers_that_speak_another_protocol_are_logged_by_its_name(workspace: Workspace, relay: Relay) -> None:
    """nginx with each of its wrong settings, asked often: one line for each kind."""
    served = start_relay(workspace, relay.config.read_text())
    passes = {
        "/http": f"proxy_pass http://unix:{served.address}:",
        "/tls": f"proxy_pass https://unix:{served.address}:",
        "/proxy": f"proxy_pass http://unix:{served.address}",
        "/scgi": f"include /etc/nginx/scgi_params; scgi_pass unix:{served.address}",
        "/uwsgi": f"include /etc/nginx/uwsgi_params; uwsgi_pass unix:{served.address}",
    }
    server = PlainNginx(workspace, "".join(f"location {path} {{ {line}; }}\n" for path, line in passes.items()))
    for _ in range(3):
        for path in passes:
            assert http_client.request(server.port, path, host="app.good.test").status == 502
    assert served.request("/health", "localhost").status == 200

    def lines() -> list[str]:
        return [line for line in served.process.output().splitlines() if "FastCGI socket" in line]

    wait_until(lambda: len(lines()) >= 4, "the lines")
    assert served.terminate() == 0
    for kind in ("HTTP came", "TLS came", "SCGI came", "uwsgi came"):
        assert len([line for line in lines() if kind in line and "level=warn" in line]) == 1, lines()
    assert len(lines()) == 4


def test_a_connection_is_closed_after_its_answer(relay: Relay) -> None:
    with Connection(relay.address) as connection:
        connection.send(GOOD_REQUEST)
        assert connection.read_response().location == GOOD
        assert connection.closed_by_peer(1.0 * SLOWNESS)


def test_a_kept_connection_serves_one_request_after_the_other(relay: Relay) -> None:
    with Connection(relay.address) as connection:
        for number in range(20):
            body = b"x" * (number * 3000)
            method = "POST" if body else "GET"
            connection.send(fcgi.whole_request(variables(method=method), body, keep=True))
            assert connection.read_response().status == (405 if body else 307)
        connection.send(GOOD_REQUEST)
        assert connection.read_response().location == GOOD
        assert connection.closed_by_peer(1.0 * SLOWNESS)


@pytest.mark.parametrize("body", [b"", b"x" * 20_000], ids=["GET", "POST"])
def test_libfcgi_s_own_client_is_answered(relay: Relay, body: bytes) -> None:
    """cgi-fcgi(1) sends its environment as one request, by libfcgi's own writer, and prints the answer."""
    method = "POST" if body else "GET"
    environment = variables(method=method) | {"CONTENT_LENGTH": str(len(body))}
    command = ["cgi-fcgi", "-bind", "-connect", str(relay.address)]
    answer = subprocess.run(command, env=environment, input=body, capture_output=True, timeout=20, check=True).stdout
    head = answer.decode().split("\r\n\r\n")[0].split("\r\n")
    if body:
        assert head[0] == "Status: 405 Method Not Allowed"
    else:
        assert head[:2] == ["Status: 307 Temporary Redirect", f"Location: {GOOD}"]


@pytest.mark.parametrize("size", [1, 20_000, 65_535, 65_536])
def test_a_body_of_64_kb_is_ignored(relay: Relay, size: int) -> None:
    assert fcgi.request(relay.address, CHALLENGE, host="app.good.test", body=b"x" * size).location == GOOD


@pytest.mark.parametrize("size", [65_537, 1_000_000])
def test_a_larger_body_is_refused(relay: Relay, size: int) -> None:
    with Connection(relay.address) as connection:
        connection.send(fcgi.whole_request(variables(method="POST"), b"x" * size))
        response = connection.read_response()
        assert (response.status, response.reason) == (413, "too-large")


def test_whoever_hangs_up_does_no_harm(relay: Relay) -> None:
    for octets in (b"", b"\1", GOOD_REQUEST, GOOD_REQUEST[:40], fcgi.whole_request(variables("x.delay-200.test"))):
        with Connection(relay.address) as connection:
            connection.send(octets)


def test_a_hundred_connections_at_once(relay: Relay) -> None:
    connections = [Connection(relay.address) for _ in range(100)]
    for number, connection in enumerate(connections):
        connection.send(fcgi.whole_request(variables(f"n{number % 10}.good.test")))
    for connection in connections:
        with connection:
            assert connection.read_response().location == GOOD


def test_a_listening_socket_as_standard_input_means_fastcgi(workspace: Workspace, injector: Injector) -> None:
    path = workspace.fresh("spawned.sock")
    with listening_socket(path) as listener:
        process = start_on_stdin(workspace, workspace.write("relay.toml", config_text(injector.server)), listener)
    assert fcgi.request(str(path), CHALLENGE, host="app.good.test").location == GOOD
    process.popen.terminate()
    assert process.wait() == 0
    assert path.exists(), "the socket belongs to whoever made it"
