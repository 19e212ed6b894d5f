"""Web servers that run the relay by CGI: whatever a client sends along, the relay's own answer arrives."""

from __future__ import annotations

import http_client
import pytest
from cgi_servers import SERVERS, CgiServer
from http_client import Response
from injector import Injector
from processes import Workspace
from relay import CHALLENGE, config_text
from zones import APP_ID, GATEWAY

GOOD = f"https://{APP_ID}.{GATEWAY}{CHALLENGE}"
HOST = "app.good.test"

# mini-httpd closes its side of the connection as soon as it has passed a body on, whatever the program.
TAKES_BODIES = [name for name in SERVERS if name != "mini-httpd"]
SETS_NO_REQUEST_URI = ["mini-httpd"]


@pytest.fixture(name="server", scope="module", params=SERVERS)
def server_fixture(module_workspace: Workspace, injector: Injector, request: pytest.FixtureRequest) -> CgiServer:
    # mini-httpd sends the client what a program writes to standard error.
    config = module_workspace.write("cgi.toml", config_text(injector.server, {"log": {"level": "off"}}))
    return CgiServer(request.param, module_workspace, config)


def post(port: int, body: bytes, *, chunked: bool) -> Response:
    headers = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(body))}
    if chunked:
        pieces = [body[at : at + 8000] for at in range(0, len(body), 8000)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join([f"POST {CHALLENGE} HTTP/1.1", f"Host: {HOST}", *lines, "Connection: close", "", ""])
    return http_client.raw(port, head.encode() + body)


def test_a_challenge_is_redirected(server: CgiServer) -> None:
    response = http_client.request(server.port, CHALLENGE, host=HOST)
    assert (response.status, response.location, response.reason) == (307, GOOD, "ok")


@pytest.mark.parametrize("server", TAKES_BODIES, indirect=True)
@pytest.mark.parametrize("size", [5, 60_000, 70_000, 300_000, 5_000_000])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_an_answer_over_a_body_arrives(server: CgiServer, size: int, chunked: bool) -> None:
    """Lost now and then, or each time, where the relay has not read the body: so it is asked several times."""
    for _ in range(4 if size < 1_000_000 else 1):
        response = post(server.port, b"x" * size, chunked=chunked)
        expected = (405, "bad-method") if size < 65_536 else (413, "too-large")
        assert (response.status, response.reason) == expected


@pytest.mark.parametrize("server", SETS_NO_REQUEST_URI, indirect=True)
@pytest.mark.parametrize(
    ("path", "status", "location"),
    [
        (f"{CHALLENGE}?a=b%20c#d", 307, GOOD),
        ("/.well-known/acme-challenge/%61bc", 307, f"https://{APP_ID}.{GATEWAY}/.well-known/acme-challenge/abc"),
        ("/.well-known/acme-challenge/a%0d%0aX-Injected:%20y", 400, None),
        ("/.well-known/acme-challenge/a%3fb", 404, None),
        ("/health/%25%23%3F?%0D%0A", 307, f"https://{HOST}/health/%25%23%3F?%0D%0A"),
    ],
)
def test_a_path_that_the_server_has_decoded_is_encoded_again_or_refused(
    server: CgiServer, path: str, status: int, location: str | None
) -> None:
    response = http_client.request(server.port, path, host=HOST)
    assert (response.status, response.location) == (status, location)
    assert response.header("X-Injected") is None
