"""The configuration: every fault is told with its place, and what holds can be printed."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from processes import REPOSITORY, Workspace
from relay import EXIT_CONFIG, run

FAULTY = """\
[gateways]
allow = ["not a name", "*.*.phala.network"]
fallbak = "dstack-prod5.phala.network"
allow_regex = "(["

[redirect]
target = "http://{domain}"
status = 303
other_paths = "sometimes"

[dns]
servers = ["resolver.example"]
timeout_ms = "soon"
attempts = 0

[nonsense]
key = 1
"""


def faults_of(ended: subprocess.CompletedProcess[str], file: Path) -> list[str]:
    return [line for line in ended.stderr.splitlines() if line.startswith(f"{file}:")]


@pytest.mark.parametrize("arguments", [["config"], ["check", "app.example.test"], ["--listen", "unix:/nonexistent/x"]])
def test_every_fault_of_a_configuration_is_listed_with_its_place(
    workspace: Workspace, arguments: Sequence[str]
) -> None:
    file = workspace.write("relay.toml", FAULTY)
    ended = run("-c", file, *arguments)
    assert ended.returncode == EXIT_CONFIG
    faults = faults_of(ended, file)
    for line, key in [
        (2, "gateways.allow"),
        (3, "gateways.fallbak"),
        (4, "gateways.allow_regex"),
        (7, "redirect.target"),
        (8, "redirect.status"),
        (9, "redirect.other_paths"),
        (12, "dns.servers"),
        (13, "dns.timeout_ms"),
        (14, "dns.attempts"),
    ]:
        assert any(fault.startswith(f"{file}:{line}:") and key in fault for fault in faults), (line, key, faults)
    assert any("nonsense" in fault for fault in faults)
    assert any("fallback" in fault for fault in faults), "a misspelt key comes with what was meant"


@pytest.mark.parametrize(
    ("text", "mention"),
    [
        ("[gateways\n", "relay.toml:1:"),
        ('[gateways]\nallow_regex = "x"\ncapture_group = 1\n', "capture_group"),
        ('[gateways]\nallow_regex = "(x)"\ncapture_group = 2\n', "capture_group"),
        ('[gateways]\nfallback = "x_y.example"\n', "fallback"),
        ('[gateways.aliases]\n"a.example.net" = "no name"\n', "aliases"),
        ('[app]\nid_pattern = "("\n', "id_pattern"),
        ('[redirect]\ntarget = "https://{app_id}.{gateway}:8443"\n', "target"),
        ('[redirect]\ntarget = "https://{app_id}.{gateway}/path"\n', "target"),
        ('[redirect]\ntarget = "ftp://{gateway}"\n', "target"),
        ('[redirect]\ntarget = "https://{nonsense}"\n', "target"),
        ('[service]\ncanary = "localhost"\n', "canary"),
        ('[log]\nlevel = "loud"\n', "level"),
        ("[limits]\nin_flight = -1\n", "in_flight"),
    ],
)
def test_faults(workspace: Workspace, text: str, mention: str) -> None:
    ended = run("config", "-c", workspace.write("relay.toml", text))
    assert (ended.returncode, ended.stdout) == (EXIT_CONFIG, "")
    assert mention in ended.stderr


def test_a_file_that_was_named_must_be_there(workspace: Workspace) -> None:
    missing = workspace.path / "missing.toml"
    assert run("config", "-c", missing).returncode == EXIT_CONFIG
    ended = run("config", environment={"HTTP01_RELAY_CONFIG": str(missing)})
    assert ended.returncode == EXIT_CONFIG
    assert str(missing) in ended.stderr


def test_the_configuration_is_printed_in_full_and_reads_back(workspace: Workspace) -> None:
    written = """
[gateways]
allow = ["*.phala.network", "gw.example.net"]
fallback = "dstack-prod5.phala.network"
match_addresses = true
[gateways.aliases]
"prod5.relay.example.net" = "dstack-prod5.phala.network"
[dns]
servers = ["192.0.2.1", "[2001:db8::1]:5353"]
timeout_ms = 700
[redirect]
breadcrumb = true
"""
    printed = run("config", "-c", workspace.write("relay.toml", written))
    assert printed.returncode == 0
    values = tomllib.loads(printed.stdout)
    assert set(values) == {"gateways", "app", "redirect", "domains", "dns", "cache", "limits", "service", "log"}
    assert values["gateways"]["aliases"] == {"prod5.relay.example.net": "dstack-prod5.phala.network"}
    assert values["dns"]["timeout_ms"] == 700
    assert values["dns"]["deadline_ms"] == 4000
    assert values["redirect"] == {
        "target": "https://{app_id}.{gateway}",
        "status": 307,
        "other_paths": "https",
        "breadcrumb": True,
    }
    again = run("config", "-c", workspace.write("again.toml", printed.stdout))
    assert (again.returncode, again.stdout) == (0, printed.stdout)


def test_what_is_odd_is_said_beside_what_is_printed(workspace: Workspace) -> None:
    text = '[gateways]\nfallback = "gw.internal"\n[dns]\nservers = ["127.0.0.1", "192.0.2.1"]\n'
    file = workspace.write("relay.toml", text)
    ended = run("config", "-c", file, environment={"LOG_LEVEL": "warn", "RUST_LOG": "debug"})
    assert ended.returncode == 0
    assert tomllib.loads(ended.stdout)["log"]["level"] == "warn"
    said = ended.stderr.splitlines()
    assert said[:2] == [f"{file}: in order", "environment: LOG_LEVEL overrides the file"]
    assert said[2].startswith("note: gateways.fallback: gw.internal is under no public suffix")
    assert said[3].startswith("note: dns.servers: 192.0.2.1:53 is not on this machine: ")
    assert len(said) == 4


def test_the_shipped_configuration_shows_every_default(workspace: Workspace) -> None:
    shipped = run("config", "-c", REPOSITORY / "etc" / "http01-relay.toml")
    nothing = run("config", "-c", workspace.write("empty.toml", ""))
    assert (shipped.returncode, nothing.returncode) == (0, 0)
    assert shipped.stdout == nothing.stdout


def test_variables_of_the_original_relay_override_the_file(workspace: Workspace) -> None:
    file = workspace.write("relay.toml", '[gateways]\nfallback = "a.phala.network"\n[log]\nlevel = "warn"\n')
    environment = {
        "FALLBACK_GATEWAY_DOMAIN": "dstack-prod5.phala.network",
        "ALLOWED_DOMAIN_REGEX": r"^_\.(.+\.phala\.network)$",
        "GATEWAY_DOMAIN_CAPTURE_GROUP": "0",
        "RUST_LOG": "relay_server=debug",
        "RELAY_MODE": "redirect",
        "PORT": "8081",
    }
    values = tomllib.loads(run("config", "-c", file, environment=environment).stdout)
    assert values["gateways"]["fallback"] == "dstack-prod5.phala.network"
    assert values["gateways"]["allow_regex"] == r"^_\.(.+\.phala\.network)$"
    assert values["gateways"]["capture_group"] == 0
    assert values["log"]["level"] == "debug"
    level = tomllib.loads(run("config", "-c", file, environment={"LOG_LEVEL": "error"}).stdout)["log"]["level"]
    assert level == "error"
    empty = run("config", "-c", file, environment={name: "" for name in environment})
    assert empty.returncode == 0
    assert tomllib.loads(empty.stdout)["gateways"]["fallback"] == "a.phala.network"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FALLBACK_GATEWAY_DOMAIN", "http://x"),
        ("ALLOWED_DOMAIN_REGEX", "(["),
        ("GATEWAY_DOMAIN_CAPTURE_GROUP", "x"),
        ("LOG_LEVEL", "loud"),
        ("RELAY_MODE", "proxy"),
    ],
)
def test_a_wrong_variable_is_a_fault_that_names_it(workspace: Workspace, name: str, value: str) -> None:
    ended = run("config", "-c", workspace.write("relay.toml", ""), environment={name: value})
    assert (ended.returncode, ended.stdout) == (EXIT_CONFIG, "")
    assert name in ended.stderr
