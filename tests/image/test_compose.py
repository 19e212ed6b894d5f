"""The compose files, as docker-compose understands them, and nginx before the container."""

from __future__ import annotations

import importlib
import os
import subprocess
from pathlib import Path
from typing import Any

import http_client
import pytest
from container import CONFIG_IN_IMAGE, OUTSIDE, Container, Options, image_config
from dns_servers import Nsd, Unbound
from processes import REPOSITORY, Workspace, wait_until
from relay import CHALLENGE, config_text
from zones import APP_ID, GATEWAY, ZONES

# docker-compose needs it too. It has no type annotations.
yaml: Any = importlib.import_module("yaml")

DOCKER = REPOSITORY / "deploy" / "docker"


def compose(file: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """The file with its variables filled in and everything in its long form."""
    command = ["docker-compose", "--file", str(DOCKER / file), "config"]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | (environment or {}), timeout=60
    )
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = yaml.safe_load(result.stdout)
    return document


@pytest.mark.parametrize(("file", "services"), [("compose.yml", ["relay"]), ("compose.nginx.yml", ["nginx", "relay"])])
def test_every_service_is_locked_up(file: str, services: list[str]) -> None:
    document = compose(file)
    assert sorted(document["services"]) == services
    for service in document["services"].values():
        assert service["read_only"] is True
        assert service["tmpfs"] == ["/tmp"]
        assert service["cap_drop"] == ["ALL"] and "cap_add" not in service
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["healthcheck"]["test"][0] == "CMD"
        assert not service.get("privileged")
    relay = document["services"]["relay"]
    assert Path(relay["build"]["context"] if isinstance(relay["build"], dict) else relay["build"]) == REPOSITORY
    assert relay["healthcheck"]["test"] == image_config()["Healthcheck"]["Test"]


def test_the_relay_behind_nginx_has_no_port_of_its_own() -> None:
    relay = compose("compose.nginx.yml")["services"]["relay"]
    assert "ports" not in relay
    assert relay["environment"]["TRUSTED_PROXY"] == "all"


def test_a_regular_expression_passes_through_compose() -> None:
    regex = r"^_\.(.+\.phala\.network)$"
    environment = compose("compose.yml", {"ALLOWED_DOMAIN_REGEX": regex})["services"]["relay"]["environment"]
    # "config" prints what may be read again, so every dollar sign twice.
    assert environment["ALLOWED_DOMAIN_REGEX"] == regex.replace("$", "$$")
    assert environment["GATEWAY_DOMAIN_CAPTURE_GROUP"] == ""


def test_nginx_before_the_container(workspace: Workspace) -> None:
    unbound = Unbound(workspace, Nsd(workspace, ZONES))
    config = workspace.write("relay.toml", config_text(unbound.server))
    relay = compose("compose.nginx.yml")["services"]["relay"]
    shipped = (DOCKER / "nginx.conf").read_text()
    for old, new in {"http://relay:8081": "http://127.0.0.1:8081", " /tmp/": f" {workspace.path}/"}.items():
        assert old in shipped
        shipped = shipped.replace(old, new)
    (workspace.path / "fastcgi_params").touch()
    path = workspace.write("nginx.conf", shipped)
    workspace.path.chmod(0o777)
    options = Options(environment=relay["environment"], volumes={CONFIG_IN_IMAGE: config})
    with Container(workspace, options).ready() as container:
        # As compose has it: this user, no capabilities, Docker's setting for ports.
        Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")
        command = ["setpriv", "--reuid=101", "--regid=101", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]
        nginx = workspace.start("nginx", [*command, "nginx", "-e", "stderr", "-c", str(path), "-g", "daemon off;"])
        nginx.wait_until_ready(lambda: _status("/health", "127.0.0.1") == 200)

        answer = http_client.request(
            80, CHALLENGE, host="app.example.test", connect=OUTSIDE, source=OUTSIDE, headers={"X-Forwarded-For": "::1"}
        )
        assert (answer.status, answer.location) == (307, f"https://{APP_ID}.{GATEWAY}{CHALLENGE}")
        wait_until(lambda: f"client={OUTSIDE}" in container.process.output(), "the client's own address")
        assert _status("/metrics", OUTSIDE) == 403
        assert _status("/metrics", "127.0.0.1") == 200
        # Who says to be the container itself is still who it is.
        answer = http_client.request(
            80, "/metrics", host="localhost", connect=OUTSIDE, source=OUTSIDE, headers={"X-Forwarded-For": "127.0.0.1"}
        )
        assert answer.status == 403


def _status(path: str, address: str) -> int:
    try:
        return http_client.request(80, path, host="localhost", connect=address, source=address).status
    except (OSError, AssertionError):
        return 0
