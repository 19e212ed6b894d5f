"""The program from outside: options, exit statuses, sockets, signals, configuration."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess

import fastcgi_client as fcgi
import pytest
from conftest import RelayFactory, World
from injector import Injector
from processes import RELAY, Workspace, answers_at, free_port, wait_until
from relay import (
    CHALLENGE,
    EXIT_CONFIG,
    EXIT_OUTPUT,
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
    Relay,
    clean_environment,
    config_text,
    listening_socket,
    run,
)
from web_servers import has_ipv6
from zones import APP_ID, GATEWAY

GOOD = f"https://{APP_ID}.{GATEWAY}{CHALLENGE}"


# ---- the command line


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(option: str) -> None:
    ended = run(option)
    assert (ended.returncode, ended.stderr) == (0, "")
    for word in ("--listen", "check", "config", "--json", "--socket-mode", "--config", "--version"):
        assert word in ended.stdout


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(option: str) -> None:
    ended = run(option)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "http01-relay" in ended.stdout
    assert any(character.isdigit() for character in ended.stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonsense"],
        ["nonsense"],
        ["check"],
        ["config", "extra"],
        ["--listen"],
        ["--listen", ""],
        ["--listen", "unix:"],
        ["--listen", "127.0.0.1"],
        ["--listen", "127.0.0.1:0x50"],
        ["--listen", "127.0.0.1:65536"],
        ["--listen", "localhost:80"],
        ["--listen", "unix:/" + "x" * 200],
        ["--listen", "unix:/tmp/x", "--socket-mode", "rw"],
        ["--listen", "unix:/tmp/x", "--socket-mode", "999"],
        ["-c"],
        [],
    ],
    ids=lambda arguments: " ".join(arguments)[:40] or "nothing",
)
def test_wrong_usage(arguments: list[str]) -> None:
    ended = run(*arguments)
    assert ended.returncode == EXIT_USAGE
    assert ended.stdout == ""
    assert ended.stderr.strip()


def test_wrong_usage_is_told_before_a_faulty_configuration(workspace: Workspace) -> None:
    config = workspace.write("relay.toml", "[dns]\nnonsense = 1\n")
    for arguments in (["--listen", "nonsense"], ["--listen", "unix:"], ["--listen", "unix:/x", "--socket-mode", "9"]):
        ended = run("-c", config, *arguments)
        assert (ended.returncode, ended.stdout) == (EXIT_USAGE, "")
        assert str(config) not in ended.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["config", "-c", os.devnull], ["check", "localhost"]])
def test_what_could_not_be_printed_is_no_success(arguments: list[str]) -> None:
    """A configuration saved to a full disk was cut off, and the status was 0."""
    nobody_reads, output = os.pipe()
    os.close(nobody_reads)
    try:
        ended = subprocess.run(
            [RELAY, *arguments], stdout=output, stderr=subprocess.PIPE, env=clean_environment(), check=False
        )
    finally:
        os.close(output)
    assert ended.returncode == EXIT_OUTPUT
    assert b"standard output" in ended.stderr


def test_options_stand_before_or_after_the_command(world: World, workspace: Workspace) -> None:
    config = workspace.write("relay.toml", world.config())
    before = run("-c", config, "check", "app.example.test")
    after = run("check", "app.example.test", "--config", config)
    assert (before.returncode, after.returncode) == (0, 0)
    assert run("config", "-c", config).returncode == 0


# ---- sockets


def test_a_unix_socket_is_for_owner_and_group(workspace: Workspace, injector: Injector) -> None:
    relay = Relay(workspace, config_text(injector.server))
    assert isinstance(relay.address, str)
    assert stat.S_IMODE(os.stat(relay.address).st_mode) == 0o660
    other = Relay(workspace, config_text(injector.server), options=["--socket-mode", "0600"])
    assert isinstance(other.address, str)
    assert stat.S_IMODE(os.stat(other.address).st_mode) == 0o600


def test_a_socket_left_behind_is_replaced(workspace: Workspace, injector: Injector) -> None:
    path = workspace.fresh("left.sock")
    listening_socket(path).close()
    assert path.exists() and not answers_at(str(path))
    relay = Relay(workspace, config_text(injector.server), listen=f"unix:{path}")
    assert relay.challenge("app.good.test").location == GOOD


def test_a_live_socket_is_never_replaced(workspace: Workspace, injector: Injector) -> None:
    relay = Relay(workspace, config_text(injector.server))
    ended = run("-c", relay.config, "--listen", f"unix:{relay.address}")
    assert ended.returncode == EXIT_UNAVAILABLE
    assert str(relay.address) in ended.stderr
    assert relay.challenge("app.good.test").location == GOOD


def test_of_several_that_start_at_once_one_lives(workspace: Workspace, injector: Injector) -> None:
    config = workspace.write("relay.toml", config_text(injector.server))
    directory = workspace.fresh("run")
    directory.mkdir()
    path = directory / "relay.sock"
    for _ in range(20):
        command = [RELAY, "-c", config, "--listen", f"unix:{path}"]
        relays = [workspace.start("relay", command, environment=clean_environment()) for _ in range(8)]
        wait_until(lambda relays=relays: sum(relay.running() for relay in relays) == 1, "one to be left")  # type: ignore[misc]
        (alive,) = (relay for relay in relays if relay.running())
        assert [relay.wait() for relay in relays if relay is not alive] == [EXIT_UNAVAILABLE] * 7
        assert fcgi.request(str(path), CHALLENGE, host="app.good.test").location == GOOD
        # What it leaves behind is the next round's.
        alive.signal(signal.SIGKILL)
        alive.wait()
        assert [file.name for file in directory.iterdir()] == ["relay.sock"]
    relay = Relay(workspace, config.read_text(), listen=f"unix:{path}")
    assert relay.terminate() == 0
    assert not list(directory.iterdir())


def test_what_is_no_socket_is_never_replaced(workspace: Workspace, injector: Injector) -> None:
    config = workspace.write("relay.toml", config_text(injector.server))
    path = workspace.write("precious", "text")
    assert run("-c", config, "--listen", f"unix:{path}").returncode == EXIT_UNAVAILABLE
    assert path.read_text() == "text"


def test_tcp(workspace: Workspace, injector: Injector) -> None:
    relay = Relay(workspace, config_text(injector.server), listen=f"127.0.0.1:{free_port()}")
    assert relay.challenge("app.good.test").location == GOOD
    assert isinstance(relay.address, tuple)
    ended = run("-c", relay.config, "--listen", f"127.0.0.1:{relay.address[1]}")
    assert ended.returncode == EXIT_UNAVAILABLE


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on loopback here")
def test_tcp_over_ipv6(workspace: Workspace, injector: Injector) -> None:
    relay = Relay(workspace, config_text(injector.server), listen=f"[::1]:{free_port()}")
    assert relay.challenge("app.good.test").location == GOOD


def test_an_address_that_cannot_be_bound(workspace: Workspace, injector: Injector) -> None:
    config = workspace.write("relay.toml", config_text(injector.server))
    assert run("-c", config, "--listen", "192.0.2.1:9001").returncode == EXIT_UNAVAILABLE
    missing = run("-c", config, "--listen", f"unix:{workspace.path}/no/such/directory.sock")
    assert missing.returncode == EXIT_UNAVAILABLE


def test_a_socket_of_systemd(workspace: Workspace, injector: Injector) -> None:
    path = workspace.fresh("systemd.sock")
    config = workspace.write("relay.toml", config_text(injector.server))
    with listening_socket(path) as listener:
        # The program learns that the descriptors are meant for it by its process id (sd_listen_fds(3)).
        script = 'exec 3<&"$1"; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$2" -c "$3"'
        process = workspace.start(
            "relay",
            ["/bin/bash", "-c", script, "start", str(listener.fileno()), RELAY, config],
            environment=clean_environment(),
            pass_fds=[listener.fileno()],
        )
        assert fcgi.request(str(path), CHALLENGE, host="app.good.test").location == GOOD
    process.popen.terminate()
    assert process.wait() == 0
    assert path.exists()


# ---- signals


def held_request(relay: Relay, host: str) -> fcgi.Connection:
    """A request that waits for DNS."""
    before = relay.metrics()["dns_in_flight"]
    connection = fcgi.Connection(relay.address)
    connection.send(fcgi.whole_request(fcgi.cgi_variables(CHALLENGE, host)))
    wait_until(lambda: relay.metrics()["dns_in_flight"] > before, "the request to wait for DNS")
    return connection


def test_sigterm_answers_what_is_held_and_accepts_no_more(start_injected: RelayFactory) -> None:
    relay = start_injected()
    assert isinstance(relay.address, str)
    with held_request(relay, "held.delay-700.test") as held:
        relay.process.signal(signal.SIGTERM)
        assert held.read_response().location == GOOD
    assert relay.process.wait() == 0
    assert not answers_at(relay.address)


def test_sigterm_with_nothing_to_do_ends_at_once(start_injected: RelayFactory) -> None:
    relay = start_injected()
    with fcgi.Connection(relay.address) as idle:
        idle.send(fcgi.whole_request(fcgi.cgi_variables(CHALLENGE, "kept.good.test"), keep=True))
        assert idle.read_response().location == GOOD
        assert relay.terminate() == 0


def test_sighup_reads_the_configuration_again_and_keeps_the_old_one_if_it_is_faulty(
    start_injected: RelayFactory, injector: Injector
) -> None:
    relay = start_injected()
    assert relay.challenge("app.good.test").status == 307

    with held_request(relay, "reload.delay-500.test") as held:
        relay.config.write_text(config_text(injector.server, {"redirect": {"status": 302}}))
        relay.process.signal(signal.SIGHUP)
        wait_until(lambda: relay.challenge("app.good.test").status == 302, "the new configuration")
        assert held.read_response().location == GOOD

    relay.config.write_text("[redirect]\nstatus = 303\n")
    relay.process.signal(signal.SIGHUP)
    wait_until(lambda: f"{relay.config}:2:" in relay.process.output(), "the fault to be logged")
    assert relay.challenge("app.good.test").status == 302


def test_sighup_reopens_the_log_file(start_injected: RelayFactory, workspace: Workspace) -> None:
    log = workspace.path / "requests.txt"
    relay = start_injected({"log": {"target": str(log)}})
    relay.challenge("first.good.test")
    wait_until(lambda: log.exists() and "first.good.test" in log.read_text(), "the first line")
    log.rename(workspace.path / "requests.txt.1")
    relay.process.signal(signal.SIGHUP)
    wait_until(log.exists, "a new log file")
    relay.challenge("second.good.test")
    wait_until(lambda: "second.good.test" in log.read_text(), "the second line")
    # Ten seconds later comes what is said of the first one's attempt.
    assert not [line for line in log.read_text().splitlines() if " reason=" in line and "first.good.test" in line]


def test_sighup_reopens_the_log_file_of_a_faulty_configuration_too(
    start_injected: RelayFactory, workspace: Workspace
) -> None:
    log = workspace.path / "requests.txt"
    relay = start_injected({"log": {"target": str(log)}})
    relay.challenge("first.good.test")
    wait_until(lambda: log.exists() and "first.good.test" in log.read_text(), "the first line")
    relay.config.write_text("[redirect]\nstatus = 303\n")
    log.rename(workspace.path / "requests.txt.1")
    relay.process.signal(signal.SIGHUP)
    wait_until(lambda: log.exists() and "the old one stays" in log.read_text(), "the fault in a new log file")
    relay.challenge("second.good.test")
    wait_until(lambda: "second.good.test" in log.read_text(), "the second line")


# ---- the configuration's file


def test_a_configuration_from_a_pipe_is_not_read_again(workspace: Workspace, injector: Injector) -> None:
    text = config_text(injector.server, {"redirect": {"status": 302}})
    path = workspace.fresh("relay.sock")
    script = 'exec "$0" -c <(printf %s "$1") --listen "$2"'
    relay = workspace.start(
        "relay", ["/bin/bash", "-c", script, RELAY, text, f"unix:{path}"], environment=clean_environment()
    )
    relay.wait_until_ready(lambda: answers_at(str(path)))
    for number in (1, 2):
        relay.signal(signal.SIGHUP)
        wait_until(lambda number=number: relay.output().count("the old one stays") == number, "the refusal")  # type: ignore[misc]
        assert "cannot be read again: not a regular file" in relay.output()
        assert fcgi.request(str(path), CHALLENGE, host="app.good.test").status == 302


def test_a_configuration_that_cannot_be_read(workspace: Workspace, injector: Injector) -> None:
    directory = workspace.fresh("directory")
    directory.mkdir()
    for path, why in ((directory, "Is a directory"), (workspace.fresh("no.toml"), "No such file or directory")):
        for arguments in (["config"], ["check", "app.good.test"], ["--listen", f"unix:{workspace.fresh('r.sock')}"]):
            ended = run("-c", path, *arguments)
            assert (ended.returncode, ended.stdout) == (EXIT_CONFIG, "")
            assert ended.stderr == f"{path}: cannot be read: {why}\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be somebody else")
def test_a_configuration_that_may_not_be_read(workspace: Workspace, injector: Injector) -> None:
    config = workspace.write("relay.toml", config_text(injector.server))
    config.chmod(0o600)
    command = ["/usr/bin/setpriv", "--reuid=65534", "--clear-groups", str(RELAY), "-c", str(config), "config"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment())
    assert (ended.returncode, ended.stderr) == (EXIT_CONFIG, f"{config}: cannot be read: Permission denied\n")


# ---- the log


def test_a_request_is_one_line_that_cannot_be_forged(start_injected: RelayFactory) -> None:
    relay = start_injected()
    relay.challenge("app.good.test", client="192.0.2.7")
    relay.request("/x", "evil\nreason=ok status=307 host=app.good.test", client="192.0.2.8")
    wait_until(lambda: "192.0.2.8" in relay.process.output(), "the lines")
    first = next(line for line in relay.process.output().splitlines() if "192.0.2.7" in line)
    for word in ("reason=ok", "status=307", "method=GET", "app.good.test", APP_ID, GATEWAY):
        assert word in first
    assert CHALLENGE.rpartition("/")[2] not in relay.process.output(), "tokens are not logged in full"
    second = next(line for line in relay.process.output().splitlines() if "192.0.2.8" in line)
    assert "reason=bad-host" in second
    assert not any(line.startswith("reason=ok") for line in relay.process.output().splitlines())


def test_the_log_as_json(start_injected: RelayFactory) -> None:
    relay = start_injected({"log": {"format": "json"}})
    relay.challenge("app.good.test", client="192.0.2.7")
    wait_until(lambda: "192.0.2.7" in relay.process.output(), "the line")
    line = json.loads(next(line for line in relay.process.output().splitlines() if "192.0.2.7" in line))
    assert line["reason"] == "ok"
    assert line["status"] in (307, "307")
    assert line["host"] == "app.good.test"


# ---- check


@pytest.mark.parametrize(
    ("name", "status", "mention"),
    [
        ("app.example.test", 0, GOOD.partition("/.well-known")[0]),
        ("no-txt.example.test", 1, "txt-missing"),
        ("bad-no-port.example.test", 1, "txt-malformed"),
        (GATEWAY, 1, "gateway-name"),
        ("failing.mixed.example.test", 2, "dns-failure"),
    ],
)
def test_check_says_what_would_be_answered(
    world: World, workspace: Workspace, name: str, status: int, mention: str
) -> None:
    config = workspace.write("relay.toml", world.config())
    ended = run("check", name, "-c", config)
    assert ended.returncode == status, ended.stdout + ended.stderr
    assert mention in ended.stdout
    as_json = run("check", name, "--json", "-c", config)
    assert as_json.returncode == status
    assert json.loads(as_json.stdout)
    assert mention in as_json.stdout
