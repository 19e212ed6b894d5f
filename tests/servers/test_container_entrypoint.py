"""The container's entrypoint outside of one: which settings it starts lighttpd with, and which stop it."""

from __future__ import annotations

import subprocess

import pytest
from processes import RELAY, REPOSITORY, Workspace
from relay import EXIT_CONFIG

ENTRYPOINT = REPOSITORY / "deploy" / "docker" / "entrypoint"
NETWORKS = ("METRICS_FROM", "TRUSTED_PROXY")


def run(workspace: Workspace, **variables: str) -> subprocess.CompletedProcess[str]:
    """In the place of lighttpd is a program that prints what it would get."""
    lighttpd = workspace.write("lighttpd", '#!/bin/sh\nexec /usr/bin/env\n')
    lighttpd.chmod(0o755)
    if not (relay := workspace.path / RELAY.name).exists():
        relay.symlink_to(RELAY)
    config = REPOSITORY / "etc" / "http01-relay.toml"
    environment = {"PATH": f"{workspace.path}:/usr/bin:/bin", "HTTP01_RELAY_CONFIG": str(config)}
    return subprocess.run(
        [ENTRYPOINT], env=environment | variables, capture_output=True, text=True, check=False, timeout=20
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *((name, value) for name in ("PORT",) for value in ("0", "65536", "abc", " ", "80x", "-1")),
        ("FALLBACK_GATEWAY_DOMAIN", " "),
        ("FALLBACK_GATEWAY_DOMAIN", "no gateway"),
        ("ALLOWED_DOMAIN_REGEX", " "),
        ("ALLOWED_DOMAIN_REGEX", "^_\\.(.+"),
        ("GATEWAY_DOMAIN_CAPTURE_GROUP", "one"),
        ("GATEWAY_DOMAIN_CAPTURE_GROUP", " "),
        ("LOG_LEVEL", "loud"),
        ("LOG_LEVEL", " "),
        ("RUST_LOG", "loud"),
        ("RELAY_MODE", "proxy"),
        ("RELAY_MODE", " "),
    ],
)
def test_a_wrong_variable_stops_it_with_a_message(workspace: Workspace, variable: str, value: str) -> None:
    ended = run(workspace, **{variable: value})
    assert (ended.returncode, ended.stdout) == (EXIT_CONFIG, "")
    assert f"environment: {variable}: " in ended.stderr


@pytest.mark.parametrize(
    "value",
    [
        *("foo", " ", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "0.0.0.0/0", "10.0.0", "256.0.0.1", "01.2.3.4", "10.0.0.1 10.0.0.2"),
        *("10.0.0.0/8,10.1.0.0/16", "::1/129", "::/0", "1:2", ":::", "abcd:", "1::2::3", "12345::1", "::1.2.3.999", "1:2:3:4:5:6:7"),
        *("1:2:3:4:5:6:7:8:9", "1:2:3:4::5:6:7:8", "::1%lo", "[::1]"),
    ],
)  # fmt: skip
def test_what_is_no_network_stops_it(workspace: Workspace, value: str) -> None:
    ended = run(workspace, **dict.fromkeys(NETWORKS, value))
    assert (ended.returncode, ended.stdout) == (EXIT_CONFIG, "")
    for variable in NETWORKS:
        assert f"environment: {variable}: '{value}' is no address or network" in ended.stderr


@pytest.mark.parametrize(
    "value",
    [
        *("127.0.0.1", "10.0.0.0/8", "10.0.0.1/8", "192.0.2.0/32", "::", "::1", "2001:db8::/32", "fe80::1/64", "::ffff:192.0.2.1"),
        *("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:192.0.2.1", "2001:DB8::1/128"),
    ],
)  # fmt: skip
def test_networks_are_taken_by_lighttpd_too(workspace: Workspace, value: str) -> None:
    ended = run(workspace, **dict.fromkeys(NETWORKS, value))
    assert ended.returncode == 0, ended.stderr
    environment = dict(line.split("=", 1) for line in ended.stdout.splitlines())
    assert [environment[name] for name in NETWORKS] == [value, value]
    shipped = (REPOSITORY / "deploy" / "docker" / "lighttpd.conf").read_text()
    config = workspace.write("lighttpd.conf", shipped.replace("/usr/bin/http01-relay", str(RELAY)))
    checked = subprocess.run(
        ["/usr/sbin/lighttpd", "-tt", "-f", config], env=environment, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(("port", "used"), [("", "8081"), ("9001", "9001"), ("09001", "9001"), ("65535", "65535")])
def test_both_sockets_are_at_the_port(workspace: Workspace, port: str, used: str) -> None:
    environment = run(workspace, PORT=port).stdout.splitlines()
    assert f"PORT={used}" in environment
    (second,) = [line for line in environment if line.startswith("RELAY_SECOND_SOCKET=")]
    assert second in (f"RELAY_SECOND_SOCKET=[::]:{used}", f"RELAY_SECOND_SOCKET=0.0.0.0:{used}")


def test_all_faults_are_listed(workspace: Workspace) -> None:
    ended = run(workspace, PORT="x", LOG_LEVEL="loud", METRICS_FROM="foo", TRUSTED_PROXY="everybody")
    assert ended.returncode == EXIT_CONFIG
    for variable in ("PORT", "LOG_LEVEL", *NETWORKS):
        assert f"environment: {variable}: " in ended.stderr
