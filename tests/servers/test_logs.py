"""The log: one request, one line, whatever is in it; attempts; rotation; the journal."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastcgi_client
import pytest
from fastcgi_client import Connection, cgi_variables, whole_request
from held import SilentInjector
from processes import RELAY, Workspace, answers_at, wait_until
from relay import CHALLENGE, Relay, clean_environment, config_text
from test_cgi import run_cgi
from test_counters import Load

# key=value, with quotes around what has spaces.
TEXT_LINE = re.compile(r'time=[-0-9T:.]+Z level=[a-z]+( [a-z_]+=("[^"\n]*"|[^\s"]+))+')

# What ends lines, opens quotes, moves terminals or is no UTF-8; each octet is a latin-1 letter here.
HOSTILE = {
    "newline": "a\nlevel=error reason=forged",
    "carriage return": "a\rreason=forged",
    "quotes": 'a","reason":"forged',
    "apostrophes and markup": "'<script>alert(1)</script>&amp;",
    "backslashes": "a\\",
    "backslash and quote": 'a\\"',
    "json escapes": "\\u000a\\n\\x0a",
    "control octets": "".join(map(chr, range(32))) + "\x7f",
    "terminal": "\x1b[2J\x1b]0;title\x07\x9b31m",
    "no utf-8": "\xff\xfe\xc3\x28\xa0\xa1",
    "half a letter": "caf\xc3",
    "line separators": "\xe2\x80\xa8\xe2\x80\xa9\xc2\x85",
    "format": "%s%n{}{0}%v",
    "equals and spaces": "a b=c d",
    "a nul": "a\0b",
    "ten kilobytes": "h" * 10_240,
    "ten kilobytes of quotes": '"' * 10_240,
    "empty": "",
}


@pytest.fixture(name="dns")
def dns_fixture() -> Iterator[SilentInjector]:
    with SilentInjector() as dns:
        yield dns


def hostile_requests() -> list[dict[str, str]]:
    """Each value in each place of a request."""
    requests = []
    for value in HOSTILE.values():
        requests.append(cgi_variables("/", value))
        requests.append(cgi_variables(f"/{value}", "app.test"))
        requests.append(cgi_variables(f"/.well-known/acme-challenge/{value}", "app.test"))
        requests.append(cgi_variables("/", "app.test", method=value or "GET"))
        requests.append(cgi_variables(CHALLENGE, "app.test", client=value))
    return requests


def send_all(address: fastcgi_client.Address, requests: list[dict[str, str]]) -> int:
    """How many were answered."""
    answered = 0
    for variables in requests:
        with Connection(address) as connection:
            connection.send(whole_request(variables))
            assert connection.read_response().status >= 200
            answered += 1
    return answered


@pytest.mark.parametrize("form", ["text", "json"])
def test_one_request_is_one_line_whatever_is_in_it(workspace: Workspace, dns: SilentInjector, form: str) -> None:
    log = workspace.fresh("relay-own.log")
    relay = Relay(workspace, config_text(dns.server, {"log": {"format": form, "target": str(log)}}))
    answered = send_all(relay.address, hostile_requests())
    assert answered == 5 * len(HOSTILE)
    assert relay.terminate() == 0
    octets = log.read_bytes()
    assert octets.isascii() and octets.endswith(b"\n")
    assert all(octet >= 32 or octet == 10 for octet in octets)
    lines = octets.decode("ascii").splitlines()
    assert "reason=forged" not in {word for line in lines for word in line.split()}
    if form == "text":
        assert all(TEXT_LINE.fullmatch(line) for line in lines)
        assert sum(" reason=" in line for line in lines) == answered
    else:
        objects = [json.loads(line) for line in lines]
        assert all(isinstance(one, dict) and one["level"] and one["time"] for one in objects)
        assert sum("reason" in one for one in objects) == answered
        assert all(one.get("reason") != "forged" for one in objects)
    assert max(map(len, lines)) < 4096


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The last one may be under way."""
    complete = path.read_text(encoding="ascii").rpartition("\n")[0]
    return [json.loads(line) for line in complete.splitlines()]


def test_what_a_json_line_says_of_a_request(workspace: Workspace, dns: SilentInjector) -> None:
    log = workspace.fresh("relay-own.log")
    relay = Relay(workspace, config_text(dns.server, {"log": {"format": "json", "target": str(log)}}))
    relay.challenge("app.test", client="192.0.2.7")
    relay.terminate()
    (line,) = (line for line in json_lines(log) if "reason" in line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line.pop("dns_ms") > 0 and line.pop("total_ms") > 0
    assert line == {
        "level": "info", "reason": "ok", "status": 307, "method": "GET", "host": "app.test",
        "path": "/.well-known/acme-challenge/*", "token": "evaGxf",
        "app_id": "5b912f5cec6c02d851db76bc20f410700f01fc65", "gateway": "dstack-prod5.phala.network",
        "client": "192.0.2.7", "cache": "miss",
    }  # fmt: skip


# ---- attempts


def test_what_a_ca_asks_for_one_token_is_one_event(workspace: Workspace, dns: SilentInjector) -> None:
    log = workspace.fresh("relay-own.log")
    relay = Relay(workspace, config_text(dns.server, {"log": {"format": "json", "target": str(log)}}))
    for client in (1, 2, 3, 4, 5, 1):
        assert relay.challenge("app.test", client=f"192.0.2.{client}").status == 307
    relay.request("/.well-known/acme-challenge/other", "app.test")
    relay.request("/.well-known/acme-challenge/other", "servfail.test")
    relay.request("/", "app.test")

    def attempts() -> list[dict[str, Any]]:
        return [line for line in json_lines(log) if line.get("event") == "attempt"]

    assert not attempts(), "it is too early"
    wait_until(lambda: len(attempts()) == 3, "their ten seconds to pass", 15)
    assert relay.terminate() == 0
    first, second, third = attempts()
    assert 0 <= first.pop("span_ms") < 10_000
    del first["time"]
    assert first == {
        "level": "info", "event": "attempt", "outcome": "ok", "requests": 6, "clients": 5, "host": "app.test",
        "token": "evaGxf", "answers": "ok:6",
    }  # fmt: skip
    assert (second["requests"], second["clients"], second["token"]) == (1, 1, "other")
    assert (third["host"], third["outcome"]) == ("servfail.test", "ok")


def test_an_attempt_that_is_under_way_at_the_end_is_told(workspace: Workspace, dns: SilentInjector) -> None:
    relay = Relay(workspace, config_text(dns.server))
    relay.challenge("app.test", client="192.0.2.1")
    relay.challenge("app.test", client="192.0.2.2")
    assert relay.terminate() == 0
    assert " event=attempt outcome=ok requests=2 clients=2 host=app.test token=evaGxf answers=ok:2 span_ms=" in (
        relay.process.output()
    )


def test_a_cgi_process_knows_of_one_request_only(workspace: Workspace, dns: SilentInjector) -> None:
    log = workspace.fresh("relay-own.log")
    config = workspace.write("cgi.toml", config_text(dns.server, {"log": {"target": str(log)}}))
    assert run_cgi(str(config), host="app.test")[1].status == 307
    assert "reason=ok" in log.read_text()
    assert "event=attempt" not in log.read_text()


# ---- rotation


def test_a_rotation_loses_no_line(workspace: Workspace, dns: SilentInjector) -> None:
    log = workspace.fresh("relay-own.log")
    relay = Relay(workspace, config_text(dns.server, {"log": {"target": str(log)}}))
    assert isinstance(relay.address, str)
    with Load(relay.address, threads=4, each=400) as load:
        for number in range(1, 5):
            wait_until(lambda: load.answered >= 100 * number, "some to be answered", 60)
            log.rename(f"{log}.{number}")
            relay.process.signal(signal.SIGUSR1)
            wait_until(lambda: log.exists() and log.stat().st_size > 0, "a line in the new file")
    assert relay.terminate() == 0
    assert (load.answered, load.lost) == (1600, 0)
    texts = [path.read_text() for path in [log, *(Path(f"{log}.{number}") for number in range(1, 5))]]
    assert all(texts)
    assert sum(text.count(" reason=") for text in texts) == 1600


def test_a_log_that_cannot_be_opened_again_stays_open(workspace: Workspace, dns: SilentInjector) -> None:
    directory = workspace.fresh("logs")
    directory.mkdir()
    log = directory / "relay.log"
    relay = Relay(workspace, config_text(dns.server, {"log": {"target": str(log)}}))
    wait_until(lambda: log.exists() and "serving" in log.read_text(), "it to serve")
    moved = directory.rename(workspace.fresh("moved")) / "relay.log"
    directory.write_text("in the way")
    relay.process.signal(signal.SIGUSR1)
    wait_until(lambda: "the old one stays" in moved.read_text(), "it to say so")
    relay.challenge("app.test")
    wait_until(lambda: "reason=ok" in moved.read_text(), "the request's line")


# ---- other places than files


def test_a_pipe_that_nobody_reads_holds_nothing_up(workspace: Workspace, dns: SilentInjector) -> None:
    pipe = workspace.fresh("pipe")
    os.mkfifo(pipe)
    text = config_text(dns.server, {"log": {"target": str(pipe)}})
    relay = Relay(workspace, text)
    why = f"log: {pipe}: a pipe that nobody reads"
    wait_until(lambda: f"{why}; logging to standard error" in relay.process.output(), "the reason")
    assert relay.challenge("app.test").status == 307
    wait_until(lambda: "reason=ok" in relay.process.output(), "the request's line")
    for number, reload in enumerate((signal.SIGUSR1, signal.SIGHUP), 1):
        relay.process.signal(reload)
        wait_until(lambda number=number: relay.process.output().count(f"{why}; the old one") == number, "the reason")  # type: ignore[misc]
        assert relay.challenge("app.test").status == 307

    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as reader:
        relay.process.signal(signal.SIGUSR1)
        read = b""

        def has(word: bytes) -> bool:
            nonlocal read
            assert relay.challenge("app.test").status == 307
            read += reader.read() or b""
            return word in read

        wait_until(lambda: has(b"reason=ok"), "lines in the pipe")
    # Its reader has gone.
    assert relay.challenge("app.test").status == 307
    relay.process.signal(signal.SIGHUP)
    for _ in range(3):
        assert relay.challenge("app.test").status == 307
    assert relay.terminate() == 0


def test_a_cgi_process_does_not_wait_for_whoever_reads_the_log(workspace: Workspace, dns: SilentInjector) -> None:
    pipe = workspace.fresh("pipe")
    os.mkfifo(pipe)
    config = workspace.write("cgi.toml", config_text(dns.server, {"log": {"target": str(pipe)}}))
    ended = subprocess.run(
        [RELAY],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(cgi_variables(CHALLENGE, "app.test") | {"HTTP01_RELAY_CONFIG": str(config)}),
        timeout=20,
    )
    assert ended.stdout.startswith("Status: 307 ")
    assert f"log: {pipe}: a pipe that nobody reads; logging to standard error" in ended.stderr
    assert "reason=ok" in ended.stderr


def test_a_log_that_is_a_directory_or_may_not_be_written(workspace: Workspace, dns: SilentInjector) -> None:
    directory = workspace.fresh("directory")
    directory.mkdir()
    file = workspace.write("file", "text")
    for target, why in ((directory, "Is a directory"), (file / "relay.log", "Not a directory")):
        relay = Relay(workspace, config_text(dns.server, {"log": {"target": str(target)}}))
        assert relay.challenge("app.test").status == 307
        wait_until(lambda relay=relay: "reason=ok" in relay.process.output(), "the request's line")  # type: ignore[misc]
        assert f"log: {target}: {why}" in relay.process.output()
        assert relay.terminate() == 0


# ---- the journal


def journal_stream(fd: int) -> str:
    """What systemd tells a service whose standard error is the journal (systemd.exec(5))."""
    file = os.fstat(fd)
    return f"{file.st_dev}:{file.st_ino}"


@pytest.mark.parametrize("form", ["text", "json"])
def test_lines_for_the_journal_begin_with_their_priority(
    workspace: Workspace, dns: SilentInjector, form: str
) -> None:
    journal = workspace.fresh("journal")
    address = str(workspace.fresh("relay.sock"))
    sections = {"log": {"format": form}, "service": {"state_file": "/nonexistent/state"}}
    config = workspace.write("relay.toml", config_text(dns.server, sections))
    with journal.open("wb") as stream:
        relay = subprocess.Popen(
            [RELAY, "-c", config, "--listen", f"unix:{address}"],
            stderr=stream,
            env=clean_environment({"JOURNAL_STREAM": journal_stream(stream.fileno())}),
        )
    try:
        wait_until(lambda: answers_at(address), "the relay to serve")
        assert fastcgi_client.request(address, CHALLENGE, host="app.test").status == 307
    finally:
        relay.terminate()
        assert relay.wait(20) == 0
    lines = journal.read_text().splitlines()
    # 4 is a warning, where there are few file descriptors.
    assert {"<3>", "<6>"} <= {line[:3] for line in lines} <= {"<3>", "<4>", "<6>"}
    (error,) = (line[3:] for line in lines if line.startswith("<3>"))
    (request,) = (line[3:] for line in lines if '"reason"' in line or line.startswith("<6>reason="))
    if form == "text":
        # The journal has the time and the priority.
        assert error.startswith('message="service.state_file: ')
        assert request.startswith("reason=ok status=307 ")
    else:
        assert json.loads(error)["level"] == "error"
        assert json.loads(request)["reason"] == "ok"


def test_standard_error_that_is_not_the_journal_is_none(workspace: Workspace, dns: SilentInjector) -> None:
    """A service's process whose standard error was put elsewhere, as a web server does with its log."""
    config = workspace.write("relay.toml", config_text(dns.server))
    variables = cgi_variables(CHALLENGE, "app.test") | {"HTTP01_RELAY_CONFIG": str(config)}
    reading, writing = os.pipe()
    for stream, journal in ((journal_stream(writing), True), ("1:2", False), ("", False), ("nonsense", False)):
        subprocess.run(
            [RELAY], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=writing,
            env=clean_environment(variables | {"JOURNAL_STREAM": stream}),
        )  # fmt: skip
        line = os.read(reading, 65536).decode()
        assert line.startswith("<6>reason=ok" if journal else "time=")
    assert stat.S_ISFIFO(os.fstat(reading).st_mode)
    os.close(reading)
    os.close(writing)
