"""The container image, as `docker run` would have it."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import http_client
import pytest
from container import CONFIG_IN_IMAGE, OUTSIDE, Container, Options, image_config, status_field, variables_of
from dns_servers import Nsd, Unbound
from injector import Injector
from processes import REPOSITORY, Workspace, wait_until
from relay import CHALLENGE, EXIT_CONFIG, config_text
from web_servers import has_ipv6
from zones import APP_ID, GATEWAY, ZONES

HEALTH = "/usr/lib/http01-relay/health"
FIRST_FREE = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


class World:
    """Names, and a configuration that a user of the image mounts over its own."""

    def __init__(self, workspace: Workspace, injector: Injector) -> None:
        self.nsd = Nsd(workspace, ZONES)
        self.unbound = Unbound(workspace, self.nsd, {"faults.test": injector.port})
        self.config = workspace.write("relay.toml", config_text(self.unbound.server))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    workspace = Workspace()
    with Injector() as injector:
        try:
            yield World(workspace, injector)
        finally:
            workspace.stop()


Run = Callable[..., Container]


@pytest.fixture
def run(world: World, workspace: Workspace) -> Iterator[Run]:
    """run(PORT="80", user="4711:0"): variables are in upper case, options in lower."""
    started: list[Container] = []

    def start(**given: Any) -> Container:
        for container in started:
            container.__exit__()
        variables = {name: value for name, value in given.items() if name.isupper()}
        options = {name: value for name, value in given.items() if not name.isupper()}
        options.setdefault("volumes", {CONFIG_IN_IMAGE: world.config})
        started.append(Container(workspace, Options(environment=variables, **options)))
        return started[-1]

    yield start
    for container in started:
        container.__exit__()


def test_what_the_image_says_of_itself() -> None:
    config = image_config()
    user, _, group = config["User"].partition(":")
    assert int(user) >= 1000 and int(group) >= 1000  # numbers: Kubernetes can tell that this is not root
    assert list(config["ExposedPorts"]) == ["8081/tcp"]
    assert config["StopSignal"] == "SIGINT"
    assert config["Healthcheck"]["Test"] == ["CMD", HEALTH]
    assert [variable.split("=")[0] for variable in config["Env"]] == ["PATH"]
    assert not config.get("Cmd")


def test_serves_on_8081(run: Run) -> None:
    container = run().ready()
    answer = container.get(CHALLENGE, "app.example.test")
    assert (answer.status, answer.location) == (307, f"https://{APP_ID}.{GATEWAY}{CHALLENGE}")
    wait_until(lambda: "reason=ok status=307" in container.process.output(), "the relay's log")
    if has_ipv6():
        assert container.get("/health", "localhost", connect="::1").status == 200


def test_runs_with_no_rights_at_all(run: Run) -> None:
    container = run(SECRET="x", FALLBACK_GATEWAY_DOMAIN="prod5.phala.network", LISTEN_FDS="1").ready()
    for pid in (container.first, container.relay):
        assert set(status_field(pid, "Uid")) == {"10001"}
        assert set(status_field(pid, "Gid")) == {"10001"}
        assert set(status_field(pid, "CapEff") + status_field(pid, "CapBnd")) == {"0" * 16}
        assert status_field(pid, "NoNewPrivs") == ["1"]
    assert Path(f"/proc/{container.first}/comm").read_text() == "lighttpd\n"  # no shell is left
    variables = set(variables_of(container.relay))
    assert {"PATH", "PORT", "FALLBACK_GATEWAY_DOMAIN"} <= variables
    # PHP_FCGI_CHILDREN is lighttpd's.
    assert not variables - {"PATH", "PORT", "FALLBACK_GATEWAY_DOMAIN", "PHP_FCGI_CHILDREN"}


def test_port_80(run: Run) -> None:
    before = FIRST_FREE.read_text()
    try:
        FIRST_FREE.write_text("0")  # as Docker has it
        container = run(PORT="80", FALLBACK_GATEWAY_DOMAIN="prod5.phala.network").ready()
        answer = container.get(CHALLENGE, "no-cname.example.test")
        assert answer.location == f"https://{APP_ID}.prod5.phala.network{CHALLENGE}"

        FIRST_FREE.write_text("1024")
        container = run(PORT="80")
        assert container.process.wait() == 77
        assert "net.ipv4.ip_unprivileged_port_start=80" in container.process.output()
    finally:
        FIRST_FREE.write_text(before)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "http"),
        ("PORT", "65536"),
        ("FALLBACK_GATEWAY_DOMAIN", "no gateway"),
        ("ALLOWED_DOMAIN_REGEX", "^_\\.(.+"),
        ("GATEWAY_DOMAIN_CAPTURE_GROUP", "7"),
        ("LOG_LEVEL", "loud"),
        ("RELAY_MODE", "proxy"),
        ("HTTP01_RELAY_CONFIG", "/nowhere.toml"),
    ],
)
def test_a_wrong_variable_stops_it(run: Run, variable: str, value: str) -> None:
    more = {"ALLOWED_DOMAIN_REGEX": "^_\\.(.+)$"} if variable == "GATEWAY_DOMAIN_CAPTURE_GROUP" else {}
    container = run(**{variable: value}, **more)
    assert container.process.wait() == EXIT_CONFIG
    named = value if variable == "HTTP01_RELAY_CONFIG" else variable
    assert named in container.process.output()
    assert "server started" not in container.process.output()


@pytest.mark.parametrize("value", ["10.0.0.0/99", "10.0.0", "proxy", "::1/129", "10.0.0.1 10.0.0.2", "256.0.0.1"])
def test_a_wrong_network_stops_it(run: Run, value: str) -> None:
    container = run(TRUSTED_PROXY=value, METRICS_FROM=value, LOG_LEVEL="loud")
    assert container.process.wait() == EXIT_CONFIG
    for variable in ("TRUSTED_PROXY", "METRICS_FROM", "LOG_LEVEL"):
        assert f"environment: {variable}: " in container.process.output()


@pytest.mark.parametrize("value", ["2001:db8::/32", "::1", "127.0.0.0/8"])
def test_a_right_network(run: Run, value: str) -> None:
    run(TRUSTED_PROXY=value, METRICS_FROM=value).ready()


def test_the_original_variables_have_their_effect(run: Run) -> None:
    container = run(
        ALLOWED_DOMAIN_REGEX=r"^_\.(dstack-prod7\..+)$",
        GATEWAY_DOMAIN_CAPTURE_GROUP="1",
        RUST_LOG="relay_server=error",
        RELAY_MODE="redirect",
        FALLBACK_GATEWAY_DOMAIN="",
        PORT="",
    ).ready()
    assert container.get(CHALLENGE, "app.example.test").reason == "gateway-refused"
    assert "reason=gateway-refused" not in container.process.output()


def test_without_a_configuration_of_ones_own(run: Run) -> None:
    container = run(volumes={}, arguments=["config"])
    assert container.process.wait() == 0
    printed = container.process.output()
    assert re.search(r'^fallback = "prod5\.phala\.network"$', printed, re.MULTILINE), printed
    run(volumes={}).ready()


def test_another_configuration_file(run: Run, world: World) -> None:
    container = run(HTTP01_RELAY_CONFIG="/tmp/my.toml", volumes={"/tmp/my.toml": world.config}).ready()
    # By the name server that it names.
    assert container.get(CHALLENGE, "app.example.test").status == 307


def test_the_programs_commands(run: Run) -> None:
    container = run(arguments=["check", "app.example.test"])
    assert container.process.wait() == 0
    assert f"https://{APP_ID}.{GATEWAY}" in container.process.output()


@pytest.mark.parametrize(
    "options",
    [
        {"user": "471147:0"},
        {"tmpfs": ["/run"]},
        {"tmpfs": []},  # /dev/shm is left
        {"descriptors": 1024},
        {"proc": False},  # and so nothing that says there is IPv6
    ],
    ids=str,
)
def test_odd_surroundings(run: Run, options: dict[str, Any]) -> None:
    container = run(**options).ready()
    assert container.get(CHALLENGE, "app.example.test").status == 307
    # What lighttpd does not hold in memory.
    body = b"x" * 65000
    assert container.get("/", "app.example.test", method="POST", body=body).status == 307


def test_nowhere_to_write(run: Run) -> None:
    container = run(tmpfs=[], shm=False)
    assert container.process.wait() == 73
    assert "--tmpfs /tmp" in container.process.output()


def test_a_stop_answers_what_is_held(run: Run) -> None:
    container = run().ready()
    with socket.create_connection(("127.0.0.1", container.port)) as held:
        held.sendall(f"GET {CHALLENGE} HTTP/1.1\r\nHost: delay-700.faults.test\r\n\r\n".encode())
        wait_until(
            lambda: "\nhttp_requests_in_flight 1\n" in container.get("/metrics", "127.0.0.1").text, "a held request"
        )
        container.signal(image_config()["StopSignal"])
        begun = time.monotonic()
        held.settimeout(15)
        answer = b""
        while chunk := held.recv(4096):
            answer += chunk
    assert http_client.parse_response(answer).status == 307
    assert container.process.wait() == 0
    assert time.monotonic() - begun < 8


def test_sigterm_ends_it(run: Run) -> None:
    container = run().ready()
    container.signal("SIGTERM")
    # lighttpd, which leaves what it has here, says 1 now and then.
    assert container.process.wait(3) in (0, 1)


def test_the_health_check(run: Run) -> None:
    container = run(PORT="8090").ready()
    assert container.execute([HEALTH], {"PORT": "8090"}) == (0, "")
    assert container.execute([HEALTH])[0] == 1  # nobody is at 8081
    relay = container.relay
    os.kill(relay, signal.SIGSTOP)
    try:
        assert container.execute([HEALTH], {"PORT": "8090"}) == (1, "http01-relay: /health answered: nothing\n")
    finally:
        os.kill(relay, signal.SIGCONT)


def test_a_dead_relay_is_started_again(run: Run) -> None:
    container = run().ready()
    dead = container.relay
    os.kill(dead, signal.SIGKILL)
    container.ready()
    assert container.relay != dead


def test_who_may_see_the_counters(run: Run) -> None:
    container = run().ready()
    assert container.get("/metrics", "127.0.0.1").status == 200
    for path in ("/metrics", "/ready"):
        assert container.get(path, OUTSIDE, connect=OUTSIDE, source=OUTSIDE).status == 403
    assert container.get("/health", OUTSIDE, connect=OUTSIDE, source=OUTSIDE).status == 200
    container = run(METRICS_FROM="192.0.2.0/24").ready()
    assert container.get("/metrics", OUTSIDE, connect=OUTSIDE, source=OUTSIDE).status == 200


def test_whom_it_believes_about_the_client(run: Run) -> None:
    def client(container: Container) -> str:
        said = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Host": "evil.example.test"}
        answer = container.get(CHALLENGE, "app.example.test", connect=OUTSIDE, source=OUTSIDE, headers=said)
        assert answer.location == f"https://{APP_ID}.{GATEWAY}{CHALLENGE}"
        wait_until(lambda: "host=app.example.test" in container.process.output(), "the request's line")
        lines: list[str] = re.findall(r"host=app\.example\.test .*client=(\S+)", container.process.output())
        return lines[-1]

    assert client(run().ready()) == OUTSIDE
    assert client(run(TRUSTED_PROXY=OUTSIDE).ready()) == "198.51.100.7"
    assert client(run(TRUSTED_PROXY="all").ready()) == "198.51.100.7"


def test_the_limits_are_those_of_the_lighttpd_that_is_shipped() -> None:
    def settings(path: Path) -> dict[str, str]:
        setting = r'^\s*"?(server\.(?:max-[a-z-]+|listen-backlog|graceful-[a-z-]+|h2proto))"?\s*=>?\s*(\S+?),?$'
        return dict(re.findall(setting, path.read_text(), re.MULTILINE))

    ours = settings(REPOSITORY / "deploy/docker/lighttpd.conf")
    shipped = settings(REPOSITORY / "deploy/lighttpd/http01-relay.conf")
    assert len(ours) == 9
    # These depend on how many descriptors a container has: the entrypoint sets them.
    entrypoint = (REPOSITORY / "deploy/docker/entrypoint").read_text()
    assert f"RELAY_MAX_FDS={shipped.pop('server.max-fds')}" in entrypoint
    shipped.pop("server.max-connections")
    del ours["server.max-fds"], ours["server.max-connections"]
    assert ours == shipped
