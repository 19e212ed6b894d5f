"""The statically linked program of `make static`: one file that needs nothing of the machine it runs on."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import fastcgi_client
import pytest
import strace
from conftest import World
from http_client import Response
from processes import RELAY, Workspace, answers_at
from relay import CHALLENGE, clean_environment, config_text
from static_program import STATIC
from zones import APP_ID, GATEWAY

pytestmark = pytest.mark.static
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the root directory")

GOOD = f"https://{APP_ID}.{GATEWAY}{CHALLENGE}"

# elf(5)
PT_DYNAMIC, PT_INTERP, SHT_SYMTAB = 2, 3, 2


def cgi_environment(config: str, host: str) -> dict[str, str]:
    return clean_environment({"HTTP01_RELAY_CONFIG": config} | fastcgi_client.cgi_variables(CHALLENGE, host, "GET"))


def elf_types(octets: bytes) -> tuple[set[int], set[int]]:
    """The types of the segments and of the sections of a 64-bit little-endian program."""
    assert octets[:6] == b"\x7fELF\x02\x01"
    segments_at, sections_at = struct.unpack_from("<QQ", octets, 32)
    segment_size, segments, section_size, sections = struct.unpack_from("<HHHH", octets, 54)
    return (
        {struct.unpack_from("<I", octets, segments_at + number * segment_size)[0] for number in range(segments)},
        {struct.unpack_from("<I", octets, sections_at + number * section_size + 4)[0] for number in range(sections)},
    )


def test_it_needs_no_loader_and_no_library() -> None:
    segments, sections = elf_types(STATIC.read_bytes())
    assert not segments & {PT_DYNAMIC, PT_INTERP}
    assert SHT_SYMTAB not in sections, "it is not stripped"
    # The same look at a program that does need them.
    segments, _ = elf_types(RELAY.read_bytes())
    assert segments >= {PT_DYNAMIC, PT_INTERP}


@pytest.fixture(name="empty_root")
def empty_root_fixture(workspace: Workspace, world: World) -> Path:
    """A root directory in which there are the program and its configuration."""
    root = workspace.fresh("root")
    root.mkdir()
    shutil.copy(STATIC, root / "relay")
    (root / "relay.toml").write_text(config_text(world.unbound.server))
    return root


def in_root(
    root: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["/usr/sbin/chroot", root, "/relay", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env=environment or clean_environment(),
        timeout=20,
    )


@as_root
def test_it_answers_a_cgi_request_in_an_empty_root(empty_root: Path) -> None:
    for host, status, location in (("app.example.test", 307, GOOD), ("no-txt.example.test", 404, None)):
        ended = in_root(empty_root, environment=cgi_environment("/relay.toml", host))
        response: Response = fastcgi_client.parse_cgi(ended.stdout)
        assert (ended.returncode, response.status, response.location) == (0, status, location)
        assert b"level=info" in ended.stderr and ended.stderr.count(b"\n") == 1


@as_root
def test_its_commands_run_in_an_empty_root(empty_root: Path) -> None:
    assert in_root(empty_root, "--version").stdout.startswith(b"http01-relay ")
    assert in_root(empty_root, "-c", "/relay.toml", "config").returncode == 0
    checked = in_root(empty_root, "-c", "/relay.toml", "check", "app.example.test")
    assert (checked.returncode, GOOD.split("/.")[0].encode() in checked.stdout) == (0, True)
    assert in_root(empty_root, "-c", "/missing.toml", "config").returncode == 78


def test_a_request_opens_its_configuration_and_asks_no_library_for_files(workspace: Workspace, world: World) -> None:
    """No nsswitch.conf, no openssl.cnf, nothing that would have to be there and takes time to read."""
    config = workspace.write("relay.toml", config_text(world.unbound.server))
    command, trace = strace.command(workspace, [STATIC])
    environment = cgi_environment(str(config), "app.example.test")
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True, env=environment, timeout=20)
    assert fastcgi_client.parse_cgi(ended.stdout).location == GOOD
    opened = [match[1] for line in strace.calls(trace) if (match := re.search(r' open(?:at)?\(.*?"(.*?)"', line))]
    assert opened[0] == str(config)
    assert set(opened[1:]) <= {"/etc/localtime"}


def test_it_says_that_it_has_no_probe() -> None:
    ended = subprocess.run(
        [STATIC, "check", "--probe", "app.example.test"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=clean_environment(), timeout=20,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (64, "")
    assert "linked statically" in ended.stderr


@as_root
def test_it_serves_fastcgi_in_an_empty_root(empty_root: Path, workspace: Workspace) -> None:
    socket = str(empty_root / "s")
    command = ["/usr/sbin/chroot", str(empty_root), "/relay", "-c", "/relay.toml", "--listen", "unix:/s"]
    process = workspace.start("relay", command, environment=clean_environment())
    process.wait_until_ready(lambda: answers_at(socket))
    assert fastcgi_client.request(socket, CHALLENGE, host="app.example.test").location == GOOD


def seconds_to_answer(program: Path, environment: Mapping[str, str]) -> float:
    """From the start of the program to the first octet of its answer."""
    reading, writing = os.pipe()
    begun = time.perf_counter()
    pid = os.posix_spawn(
        program,
        [str(program)],
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, writing, 1),
            (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
        ],
    )
    os.close(writing)
    octets = os.read(reading, 65536)
    took = time.perf_counter() - begun
    os.close(reading)
    os.waitpid(pid, 0)
    assert octets.startswith(b"Status: ")
    return took


def page_of_counters(program: Path, config: Path) -> str:
    environment = clean_environment({"HTTP01_RELAY_CONFIG": str(config)})
    environment |= fastcgi_client.cgi_variables("/metrics", "localhost")
    ended = subprocess.run(
        [program], stdin=subprocess.DEVNULL, capture_output=True, check=True, env=environment, timeout=20
    )
    return fastcgi_client.parse_cgi(ended.stdout).text


def test_its_page_of_counters_is_that_of_the_library(workspace: Workspace, world: World) -> None:
    sections = {"service": {"state_file": str(workspace.fresh("state"))}}
    config = workspace.write("relay.toml", config_text(world.unbound.server, sections))
    for program in (RELAY, STATIC):
        environment = cgi_environment(str(config), "app.example.test")
        subprocess.run([program], stdin=subprocess.DEVNULL, capture_output=True, check=True, env=environment, timeout=20)

    def lines(program: Path) -> list[str]:
        """Without what differs from one moment to the next."""
        page = page_of_counters(program, config)
        assert 'relay_decisions_total{reason="ok"} 2' in page.splitlines()
        return [line for line in page.splitlines() if not re.match(r"process_|http_request|relay_config_last_reload_success_timestamp", line)]

    page_of_counters(RELAY, config)
    page_of_counters(STATIC, config)
    assert lines(STATIC) == lines(RELAY)


def test_it_answers_much_sooner_than_the_dynamic_program(workspace: Workspace, world: World) -> None:
    config = workspace.write("relay.toml", config_text(f"127.0.0.1:{world.nsd.port}"))
    for what, host in (("without DNS", "localhost"), ("with DNS", "app.example.test")):
        environment = cgi_environment(str(config), host)
        times: dict[Path, list[float]] = {RELAY: [], STATIC: []}
        for _ in range(200):
            for program, took in times.items():
                took.append(seconds_to_answer(program, environment))
        # What one of them takes that nothing else interrupts. On a busy machine most wait for a processor first.
        dynamic, static = (min(took) for took in times.values())
        print(
            f"\nstart to answer, {what}: dynamic {dynamic * 1e3:.2f} ms, static {static * 1e3:.2f} ms,"
            f" ratio {static / dynamic:.3f}; {STATIC.stat().st_size / 1e6:.1f} MB"
        )
        # What is measured is about a fifth.
        assert static < dynamic / 2
