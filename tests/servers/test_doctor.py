"""`check` as a domain's owner sees it: real zones in nsd behind unbound, and what is said of each."""

from __future__ import annotations

import json
import os
import pty
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clinic import CASES, RELAY_ADDRESS, ZONES, check, examine, found, validating_unbound
from dns_servers import Nsd
from injector import Injector
from processes import RELAY, REPOSITORY, SLOWNESS, Workspace
from relay import EXIT_USAGE, clean_environment, config_text, run
from zones import APP_ID, GATEWAY

TARGET = f"https://{APP_ID}.{GATEWAY}/.well-known/acme-challenge/"
INTERNAL = {"gateways": {"allow": ["*.phala.network", "gateway.internal"]}}


@pytest.fixture(name="config", scope="module")
def config_fixture(module_workspace: Workspace, injector: Injector) -> Path:
    nsd = Nsd(module_workspace, ZONES)
    unbound = validating_unbound(module_workspace, nsd, {"faults.test": injector.port})
    return module_workspace.write("doctor.toml", config_text(unbound.server, INTERNAL))


def server_of(config: Path) -> str:
    found_server = re.search(r"127\.0\.0\.1:\d+", config.read_text())
    assert found_server
    return found_server.group()


@pytest.mark.parametrize("name", CASES)
def test_what_is_found(config: Path, name: str) -> None:
    report = examine(config, f"{name}.clinic.test", "--relay-address", RELAY_ADDRESS)
    assert found(report) == CASES[name][1], report["findings"]


def test_an_apex(config: Path) -> None:
    assert found(examine(config, "apex.test", "--relay-address", RELAY_ADDRESS)) == ["apex-without-cname"]


def test_dnssec_that_fails(config: Path) -> None:
    ended = check(config, "app.bogus.test", "--json")
    report = json.loads(ended.stdout)
    assert ended.returncode == 2
    assert report["reason"] == "dns-failure"
    assert "dnssec-bogus" in found(report)
    assert "dns-failure" not in found(report)


def test_another_ca(config: Path) -> None:
    arguments = ("a.caa.clinic.test", "--relay-address", RELAY_ADDRESS)
    assert found(examine(config, *arguments, "--ca", "pki.goog")) == []
    assert found(examine(config, *arguments, "--ca", "PKI.goog.")) == []
    assert found(examine(config, *arguments, "--ca", "example.com")) == ["caa-forbids"]


def test_the_relays_addresses_come_from_service_hosts(config: Path, workspace: Workspace) -> None:
    for host, expected in (("dstack-prod5.phala.network", []), ("45.1.2.3", ["address-elsewhere"])):
        text = config.read_text() + f'[service]\nhosts = ["{host}"]\n'
        with_host = workspace.write("hosts.toml", text)
        assert found(examine(with_host, "good.clinic.test")) == expected


def test_a_zone_line_that_is_set_mends_it(config: Path) -> None:
    """What the doctor says to set is what the domain in order has."""
    report = examine(config, "blank.clinic.test")
    (finding,) = [finding for finding in report["findings"] if finding["id"] == "txt-malformed"]
    assert {"action": "set", "line": f'_dstack-app-address.blank.clinic.test. 300 IN TXT "{APP_ID}:443"'} in finding[
        "records"
    ]


def test_the_text_has_the_verdict_first_then_the_steps_then_the_findings(config: Path) -> None:
    ended = check(config, "good.clinic.test", "no-txt.clinic.test", "--relay-address", RELAY_ADDRESS)
    assert ended.returncode == 1
    good, bad = ended.stdout.split("\n\nno-txt.clinic.test", 1)
    assert good.startswith(f"good.clinic.test: redirect (ok, 307), nothing found wrong\n  to {TARGET}{{token}}\n")
    assert "found" not in good.split("\n", 1)[1]
    step = re.compile(
        rf'  TXT _dstack-app-address\.good\.clinic\.test\n    "{APP_ID}:443"'
        r"  \(TTL \d+ s, 127\.0\.0\.1:\d+, \d+\.\d ms\)\n"
    )
    assert step.search(good), good
    assert bad.startswith(": no redirect (txt-missing, 404), 1 fault\n")
    assert bad.index("\nasked\n") < bad.index("\nfound\n  fault txt-missing\n")
    assert '    set: _dstack-app-address.no-txt.clinic.test. 300 IN TXT "<app id>:<port>"\n' in bad


def test_json_is_one_object_a_line_with_these_members(config: Path) -> None:
    ended = check(config, "--json", "good.clinic.test", "no-txt.clinic.test", "not a name")
    assert ended.returncode == 1
    reports = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [report["domain"] for report in reports] == ["good.clinic.test", "no-txt.clinic.test", "not\\032a\\032name"]
    good, bad, wrong = reports
    members = {
        "domain", "reason", "status", "location", "app_id", "port", "gateway", "explanation", "ca", "relay_addresses",
        "findings", "steps", "resolvers", "time_ms",
    }  # fmt: skip
    for report in reports:
        assert set(report) == members
    assert (good["reason"], good["status"], good["app_id"], good["port"]) == ("ok", 307, APP_ID, "443")
    assert good["location"].startswith(TARGET)
    assert (good["gateway"], good["explanation"], good["ca"]) == (GATEWAY, "", "letsencrypt.org")
    assert bad["explanation"].startswith("txt-missing: ")
    for step in good["steps"]:
        assert set(step) == {
            "type", "name", "server", "outcome", "records", "ttl_s", "authenticated", "decides", "time_ms",
        }  # fmt: skip
        assert re.fullmatch(r"127\.0\.0\.1:\d+", step["server"])
    assert set(bad["findings"][0]) == {"id", "severity", "text", "records"}
    assert (wrong["reason"], found(wrong), wrong["steps"]) == ("bad-host", ["bad-domain"], [])


def output_on_a_terminal(environment: dict[str, str], *arguments: str | Path) -> bytes:
    child, terminal = pty.fork()
    if child == 0:
        os.execve(RELAY, [str(RELAY), *map(str, arguments)], environment)
    output = b""
    try:
        while chunk := os.read(terminal, 65536):
            output += chunk
    except OSError:
        pass  # EIO: the other side has ended
    os.close(terminal)
    os.waitpid(child, 0)
    return output


def test_colors_only_on_a_terminal_that_wants_them(config: Path) -> None:
    arguments = ("check", "-c", config, "no-txt.clinic.test")
    terminal = clean_environment({"TERM": "xterm"})
    assert b"\x1b[1;31mno redirect\x1b[0m" in output_on_a_terminal(terminal, *arguments)
    assert b"\x1b" not in output_on_a_terminal(terminal | {"NO_COLOR": "1"}, *arguments)
    assert b"\x1b" not in output_on_a_terminal(terminal | {"TERM": "dumb"}, *arguments)
    assert "\x1b" not in check(config, "no-txt.clinic.test").stdout


def test_two_resolvers_that_do_not_agree(config: Path, workspace: Workspace) -> None:
    old = Nsd(workspace, ZONES | {"clinic.test": "good A 45.0.0.1\n"})
    unbound = server_of(config)
    text = config_text([unbound, f"127.0.0.1:{old.port}"])
    report = examine(workspace.write("two.toml", text), "good.clinic.test", "--relay-address", RELAY_ADDRESS)
    assert set(found(report)) == {"resolvers-differ"}
    assert [resolver["server"] for resolver in report["resolvers"]] == [unbound, f"127.0.0.1:{old.port}"]


@pytest.fixture(name="silent_servers")
def silent_servers_fixture() -> Iterator[list[str]]:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    for udp in sockets:
        udp.bind(("127.0.0.1", 0))
    yield [f"127.0.0.1:{udp.getsockname()[1]}" for udp in sockets]
    for udp in sockets:
        udp.close()


@pytest.mark.serial
def test_when_all_of_the_dns_is_dead_it_answers_within_five_seconds(
    workspace: Workspace, silent_servers: list[str]
) -> None:
    config = workspace.write("dead.toml", config_text(silent_servers))
    domains = [f"app{number}.example.com" for number in range(10)]
    begun = time.monotonic()
    ended = check(config, *domains)
    took = time.monotonic() - begun
    assert ended.returncode == 2
    assert took < 5 * SLOWNESS, took
    assert ended.stdout.count("no redirect (dns-timeout, 504)") == len(domains)
    assert ended.stdout.count("No resolver answered anything.") == len(domains)


def test_a_resolver_that_is_silent_is_named(config: Path, workspace: Workspace, silent_servers: list[str]) -> None:
    unbound = server_of(config)
    text = config_text([unbound, silent_servers[0]])
    report = examine(workspace.write("half.toml", text), "good.clinic.test", "--relay-address", RELAY_ADDRESS)
    assert report["reason"] == "ok"
    assert found(report) == ["resolver-silent"]
    assert silent_servers[0] in report["findings"][0]["text"]


MANUAL = REPOSITORY / "deploy" / "man" / "http01-relay.8"
README_BLOCK = re.compile(r"^```\n(\$ http01-relay check [^\n]+)\n(.+?)^```$", re.DOTALL | re.MULTILINE)


def without_times(text: str) -> str:
    text = re.sub(r"TTL \d+ s", "TTL 300 s", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:53", text)
    return re.sub(r"\d+\.\d ms", "1.0 ms", text)


def test_the_readme_shows_what_is_really_said(config: Path, workspace: Workspace) -> None:
    gateways = {"gateways": {"allow": ["dstack-prod5.phala.network", "*.phala.network"]}}
    plain = workspace.write("readme.toml", config_text(server_of(config), gateways))
    readme = (REPOSITORY / "README.md").read_text()
    section = readme.partition("## When it does not work\n")[2].partition("\n## ")[0]
    blocks = README_BLOCK.findall(section)
    assert len(blocks) == 6
    for word in set(re.findall(r"`([a-z0-9]+(?:-[a-z0-9]+)+)`", section)):
        assert word in run("--help").stdout or word in MANUAL.read_text(), f"there is no finding {word}"
    for command, shown in blocks:
        name, _, pipe = command.removeprefix("$ http01-relay check ").partition(" | ")
        said = check(plain, name, "--relay-address", RELAY_ADDRESS).stdout
        if pipe:
            assert pipe == "sed -n '1p;/^found/,$p'", command
            said = said.split("\n", 1)[0] + "\n" + said[said.index("found\n", said.index("\nasked")) :]
        assert without_times(shown) == without_times(said), command


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "a.example", "--relay-address", "a.example"],
        ["check", "a.example", "--ca", "localhost"],
        ["check", "a.example", "--ca"],
        ["config", "--probe"],
        ["--probe"],
    ],
    ids=" ".join,
)
def test_wrong_usage(config: Path, arguments: list[str]) -> None:
    ended = run(*arguments, "-c", config)
    assert (ended.returncode, ended.stdout) == (EXIT_USAGE, "")
    assert ended.stderr.startswith("http01-relay: ")
