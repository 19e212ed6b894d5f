"""The same program as a CGI program: started by hand with an environment, and by lighttpd's mod_cgi."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import fastcgi_client
import http_client
import pytest
import relay as relay_module
from conftest import World
from http_client import Response
from processes import RELAY, SLOWNESS, Workspace
from relay import CHALLENGE, clean_environment
from web_servers import Lighttpd
from zones import APP_ID, GATEWAY

GOOD = f"https://{APP_ID}.{GATEWAY}{CHALLENGE}"


def run_cgi(
    config: str,
    path: str = CHALLENGE,
    host: str | None = "app.example.test",
    *,
    method: str = "GET",
    arguments: Sequence[str] = (),
    body: bytes = b"",
    extra: dict[str, str] | None = None,
) -> tuple[int, Response]:
    variables = fastcgi_client.cgi_variables(path, host, method) | {"CONTENT_LENGTH": str(len(body))}
    ended = subprocess.run(
        [str(RELAY), *arguments],
        input=body,
        capture_output=True,
        check=False,
        env=clean_environment({"HTTP01_RELAY_CONFIG": config} | variables | (extra or {})),
        timeout=15 * SLOWNESS,
    )
    return ended.returncode, fastcgi_client.parse_cgi(ended.stdout)


@pytest.fixture(name="config", scope="module")
def config_fixture(world: World) -> str:
    return str(world.workspace.write("cgi.toml", world.config()))


def test_a_challenge_is_redirected(config: str) -> None:
    status, response = run_cgi(config)
    assert (status, response.status, response.all("Location")) == (0, 307, [GOOD])
    assert response.header("Cache-Control") == "no-store"
    assert response.header("Content-Length") == str(len(response.body))
    assert response.reason == "ok"


@pytest.mark.parametrize(
    ("host", "status", "reason"),
    [
        ("no-txt.example.test", 404, "txt-missing"),
        ("elsewhere.example.test", 502, "gateway-refused"),
        ("a_b", 400, "bad-host"),
        (None, 400, "bad-host"),
        (GATEWAY, 421, "gateway-name"),
    ],
)
def test_failures_say_why(config: str, host: str | None, status: int, reason: str) -> None:
    code, response = run_cgi(config, host=host)
    assert (code, response.status, response.reason) == (0, status, reason)


def test_head_and_other_methods(config: str) -> None:
    _, response = run_cgi(config, method="HEAD")
    assert (response.location, response.body) == (GOOD, b"")
    _, response = run_cgi(config, method="POST", body=b"x" * 30_000)
    assert response.status == 405
    _, response = run_cgi(config, method="POST", body=b"x" * 70_000)
    assert response.status in (405, 413)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["check", "app.example.test"], ["--listen", "127.0.0.1:1"], ["-c", "/nonexistent"], ["config"]],
)
def test_arguments_may_come_from_the_url_and_are_not_looked_at(config: str, arguments: list[str]) -> None:
    status, response = run_cgi(config, arguments=arguments)
    assert (status, response.location) == (0, GOOD)


def test_a_faulty_configuration_is_a_500_that_keeps_it_to_itself(workspace: Workspace) -> None:
    config = workspace.write("relay.toml", "[dns]\ntimout_ms = 1\n")
    status, response = run_cgi(str(config))
    assert (status, response.status, response.location) == (78, 500, None)
    assert "timout_ms" not in response.text
    assert str(workspace.path) not in response.text
    _, head = run_cgi(str(config), method="HEAD")
    assert (head.status, head.body, head.header("Content-Length")) == (500, b"", str(len(response.body)))


def test_a_health_page(config: str) -> None:
    _, response = run_cgi(config, "/health", "localhost")
    assert (response.status, response.text.strip()) == (200, "OK")


def test_lighttpd_runs_it(world: World, workspace: Workspace) -> None:
    config = workspace.write("relay.toml", world.config())
    text = f"""
server.modules = ( "mod_rewrite", "mod_setenv", "mod_cgi" )
server.port = PORT
server.bind = "127.0.0.1"
server.document-root = "{RELAY.parent}"
server.errorlog = "{workspace.path}/lighttpd-error.log"
setenv.add-environment = ( "HTTP01_RELAY_CONFIG" => "{config}" )
url.rewrite-once = ( "" => "/{RELAY.name}" )
cgi.assign = ( "/{RELAY.name}" => "" )
"""
    web = Lighttpd(workspace, config, text=text)
    assert web.get(CHALLENGE, "app.example.test").all("Location") == [GOOD]
    assert web.get("/a?b=c", "app.example.test").location == "https://app.example.test/a?b=c"
    assert web.get(CHALLENGE, "no-txt.example.test").reason == "txt-missing"
    assert http_client.request(web.port, CHALLENGE, host="app.example.test", method="POST").status == 405


def test_by_hand_without_an_environment_there_is_a_usage_text() -> None:
    ended = relay_module.run()
    assert ended.returncode == 64
    assert "http01-relay" in ended.stderr and "--listen" in ended.stderr
    # And why it does not serve.
    assert "standard input is not a listening socket" in ended.stderr and "GATEWAY_INTERFACE is not set" in ended.stderr
