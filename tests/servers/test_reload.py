"""SIGHUP: what a reload takes over, what it refuses, what it tells the operator, and that it can do all of that from
within the confinement."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fastcgi_client
import pytest
import strace
from dns_message import txt
from held import begin
from injector import Behaviour, Injector, Rule
from processes import BUILD, RELAY, Workspace, answers_at, wait_until
from relay import CHALLENGE, Relay, clean_environment, config_text
from zones import APP_ID

Sections = Mapping[str, Mapping[str, Any]]

DENIED: Sections = {"domains": {"deny": ["evil.test"]}}


def reload(relay: Relay, text: str | None, line: str = "configuration reloaded") -> list[str]:
    """The log's lines of this reload, from the new text of the file on (None: it goes); `line` is the last one."""
    before = len(relay.process.output())
    if text is None:
        relay.config.unlink()
    else:
        relay.config.write_text(text)
    relay.process.signal(signal.SIGHUP)
    wait_until(lambda: line in relay.process.output()[before:], "the reload")
    return relay.process.output()[before:].splitlines()


def told(lines: list[str]) -> set[tuple[str, str]]:
    """Level and text of what is said of the configuration."""
    return {
        (line.split("level=")[1].split()[0], line.split('message="configuration: ')[1].rstrip('"'))
        for line in lines
        if 'message="configuration: ' in line
    }


def test_a_file_cut_in_half_is_told_key_by_key(workspace: Workspace, injector: Injector) -> None:
    """Half of a file is often a right one. It cannot be told from what the operator wants, but what it opens can."""
    sections = {
        "redirect": {"status": 302},
        "domains": {"deny": ["evil.test", "worse.test"]},
        "service": {"public_check": True},
        "log": {"level": "debug"},
    }
    whole = config_text(injector.server, sections)
    relay = Relay(workspace, whole)
    assert relay.challenge("app.evil.test").status == 403
    lines = reload(relay, whole[: whole.index("[redirect]")])
    assert told(lines) == {
        ("info", "redirect.status: was 302, now 307"),
        ("warning", "domains.deny may allow more: removed 2 (evil.test, worse.test), now empty"),
        ("info", "service.public_check: was true, now false"),
        ("info", "log.level: was debug, now info"),
    }
    assert relay.challenge("app.evil.test").status == 307
    assert told(reload(relay, whole)) == {
        ("info", "redirect.status: was 307, now 302"),
        ("info", "domains.deny: added 2 (evil.test, worse.test)"),
        ("warning", "service.public_check may allow more: was false, now true"),
        ("info", "log.level: was info, now debug"),
    }
    assert not told(reload(relay, whole)), "nothing has changed"


def test_the_counters_show_whether_the_last_reload_was_one(workspace: Workspace, injector: Injector) -> None:
    good = config_text(injector.server, {"service": {"state_file": str(workspace.fresh("state"))}})
    relay = Relay(workspace, good)
    success, when = "relay_config_last_reload_successful", "relay_config_last_reload_success_timestamp_seconds"
    started = relay.metrics()
    assert started[success] == 1
    assert abs(started[when] - time.time()) < 60
    other = Relay(workspace, good)

    reload(relay, good + "[log]\nlevle = 1\n", "the old one stays")
    for page in (relay.metrics(), other.metrics()):
        assert page[success] == 0, "one of two processes has refused its own"
        assert page[when] == started[when]

    reload(relay, good)
    assert relay.metrics()[success] == other.metrics()[success] == 1
    # Of several, that for which it is longest ago.
    assert started[when] < relay.metrics()[when] == other.metrics()[when] <= time.time()
    assert other.terminate() == 0
    before = relay.metrics()[when]
    reload(relay, good)
    assert relay.metrics()[when] > before


@pytest.mark.parametrize("text", [None, "", "# deny = []\n", "[domains]\n[dns]\n"], ids=["gone", "empty", "comments", "heads"])
def test_a_lost_file_is_refused(workspace: Workspace, injector: Injector, text: str | None) -> None:
    relay = Relay(workspace, config_text(injector.server, DENIED))
    lines = reload(relay, text, "not reloaded")
    assert any("level=error" in line and str(relay.config) in line for line in lines)
    assert relay.challenge("app.evil.test").status == 403
    assert relay.challenge("app.good.test").status == 307


def test_the_variables_are_compared_too(workspace: Workspace, injector: Injector) -> None:
    """What the environment overrides has not changed, whatever the file says."""
    environment = {"FALLBACK_GATEWAY_DOMAIN": "gateway.test"}
    relay = Relay(workspace, config_text(injector.server), environment=environment)
    assert not told(reload(relay, config_text(injector.server, {"gateways": {"fallback": "other.test"}})))


def test_what_was_lost_with_the_settings_of_the_log_is_told_where_it_was(
    workspace: Workspace, injector: Injector
) -> None:
    """Nobody looks at standard error while the log is a file."""
    log = workspace.fresh("file.log")
    relay = Relay(workspace, config_text(injector.server, {**DENIED, "log": {"target": str(log)}}))
    reload(relay, config_text(injector.server))
    for text in (log.read_text(), relay.process.output()):
        assert "domains.deny may allow more: removed 1 (evil.test)" in text


def test_a_value_of_the_file_forges_no_line(workspace: Workspace, injector: Injector) -> None:
    relay = Relay(workspace, config_text(injector.server))
    pattern = 'x"\\n'
    lines = reload(relay, config_text(injector.server) + f"[app]\nid_pattern = '{pattern}'\n")
    (line,) = [line for line in lines if "app.id_pattern" in line]
    assert line.endswith('now x\\034\\092n"')


# ---- other servers


def says(app_id: str) -> Rule:
    def rule(query: Any, tcp: bool) -> Behaviour:
        return Behaviour(answers=(txt(query.name, f"{app_id}:443"),)) if query.type == "TXT" else Behaviour()

    return rule


def test_what_a_replaced_resolver_has_said_is_forgotten(workspace: Workspace) -> None:
    """It was poisoned, and its answers were served on without a query to the new one."""
    forged = "f" * 40
    target = {"redirect": {"target": "https://{app_id}.gateway.test"}}

    def forges(query: Any, tcp: bool) -> Behaviour:
        return Behaviour(drop=True) if ".late." in query.name else says(forged)(query, tcp)

    with Injector(forges) as old, Injector(says(APP_ID)) as new:
        relay = Relay(workspace, config_text(old.server, target))
        location = relay.challenge("app.good.test").location
        assert location and forged in location
        with begin(str(relay.address), "n1.late") as held:
            wait_until(lambda: any(".late." in name for name, _ in old.counts), "a look-up that waits")
            reload(relay, config_text(new.server, target))
            # Who waits is answered by the new one as well.
            location = held.read_response().location
            assert location and APP_ID in location
        for _ in range(2):
            location = relay.challenge("app.good.test").location
            assert location and APP_ID in location


def test_answers_that_were_not_validated_do_for_nobody_who_wants_them_validated(
    workspace: Workspace, injector: Injector
) -> None:
    relay = Relay(workspace, config_text(injector.server))
    for name, status in (("app.good.test", 307), ("app.ad.test", 307)):
        assert relay.challenge(name).status == status
    reload(relay, config_text(injector.server, {"dns": {"require_dnssec": True}}))
    assert relay.challenge("app.good.test").reason == "dns-failure"
    assert relay.challenge("app.ad.test").status == 307


# ---- from within the confinement


@pytest.mark.skipif("san" in BUILD.name, reason="a sanitizer makes calls of its own")
def test_a_reload_may_turn_on_all_there_is(workspace: Workspace, injector: Injector) -> None:
    """strace sees every call that the filter refuses: at a reload to other files and to what was off at the start."""
    path = workspace.fresh("relay.sock")
    config = workspace.write("relay.toml", config_text(injector.server))
    command, trace = strace.command(workspace, [RELAY, "-c", config, "--listen", f"unix:{path}"])
    traced = workspace.start("strace", command, environment=clean_environment())
    traced.wait_until_ready(lambda: answers_at(str(path)))
    (relay,) = [int(child) for child in Path(f"/proc/{traced.pid}/task/{traced.pid}/children").read_text().split()]
    directory = workspace.fresh("elsewhere")

    def again(text: str, done: Path | None, domain: str) -> None:
        seen = traced.output if done is None else lambda: done.read_text() if done.exists() else ""
        before = seen().count("configuration reloaded")
        config.write_text(text)
        os.kill(relay, signal.SIGHUP)
        wait_until(lambda: seen().count("configuration reloaded") > before, "the reload")
        for page in (f"/check?domain={domain}", "/metrics", "/ready", "/"):
            fastcgi_client.request(str(path), page, host="localhost")
        fastcgi_client.request(str(path), CHALLENGE, host=domain)

    log = directory / "logs" / "relay.log"
    everything: dict[str, dict[str, Any]] = {
        "service": {"public_check": True, "state_file": str(workspace.fresh("state"))},
        "log": {"target": str(log), "format": "json"},
        "dns": {"timeout_ms": 100, "deadline_ms": 300},
    }
    again(config_text([injector.server, "[::1]:1", "fe80::1%lo"], everything), log, "app.good.test")
    # The servers of the machine.
    everything["dns"]["servers"] = []
    del everything["log"]
    again(config_text(injector.server, everything), None, "app.machine.invalid")
    again(config_text(injector.server, {"log": {"target": "/dev/stderr"}}), None, "more.good.test")
    os.kill(relay, signal.SIGTERM)
    traced.wait()
    lines = strace.calls(trace)
    (loaded,) = [at for at, line in enumerate(lines) if "SECCOMP_SET_MODE_FILTER" in line and "TSYNC" in line and " = 0" in line]
    assert not [line for line in lines[loaded:] if " = -1 EPERM" in line]
    assert any("NETLINK_ROUTE" in line for line in lines[:loaded])
