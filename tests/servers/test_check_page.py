"""/check: the doctor's report for those who have no shell on the relay's host."""

from __future__ import annotations

import json
import signal
from typing import Any

import fastcgi_client as fcgi
import pytest
from conftest import RelayFactory
from dns_message import Query, address, cname, txt
from http_client import Response
from injector import Behaviour, Injector
from processes import Workspace, wait_until
from relay import Relay, config_text, run
from zones import APP_ID, GATEWAY

PUBLIC = {
    "service": {"public_check": True, "hosts": ["relay.example.net"]},
    "limits": {"checks_per_client": 1000, "checks": 1000},
}


def ask(relay: Relay, domain: str, extra: str = "", host: str = "localhost", **options: str) -> Response:
    response: Response = relay.request(f"/check?domain={domain}{extra}", host, **options)
    return response


def test_it_is_off_unless_it_is_wanted(start_relay: RelayFactory) -> None:
    relay = start_relay()
    for path in ("/check", "/check?domain=app.example.org"):
        assert (relay.request(path, "localhost").status, relay.request(path, "localhost").reason) == (404, "not-found")


def test_the_report_as_a_page(start_relay: RelayFactory) -> None:
    relay = start_relay(PUBLIC)
    for host in ("localhost", "192.0.2.1", "relay.example.net"):
        response = ask(relay, "app.example.org", host=host)
        assert response.status == 200
        assert response.header("Content-Type") == "text/html; charset=utf-8"
        assert response.header("Cache-Control") == "no-store"
        assert "Challenges are redirected to the app" in response.text
        assert f"https://{APP_ID}.{GATEWAY}/.well-known/acme-challenge/{{token}}" in response.text
    bad = ask(relay, "no-txt.example.org").text
    assert "Challenges are not redirected" in bad and "txt-missing" in bad
    assert "_dstack-app-address.no-txt.example.org. 300 IN TXT &quot;&lt;app id&gt;:&lt;port&gt;&quot;" in bad


def test_the_report_as_json_is_that_of_the_command(start_relay: RelayFactory) -> None:
    relay = start_relay(PUBLIC)
    for domain in ("app.example.org", "no-txt.example.org", "port80.example.org"):
        response = ask(relay, domain, "&format=json")
        assert response.header("Content-Type") == "application/json"
        page = json.loads(response.text)
        command = json.loads(run("check", "--json", "-c", relay.config, domain).stdout)
        for report in (page, command):
            del report["time_ms"]
            report["steps"] = sorted((step["type"], step["name"], step["records"]) for step in report["steps"])
        assert page == command
        assert "probe" not in page


def test_the_form(start_relay: RelayFactory) -> None:
    relay = start_relay(PUBLIC)
    text = relay.request("/check", "localhost").text
    assert '<form method="get" action="/check">' in text
    assert "<script" not in text and "src=" not in text


@pytest.mark.parametrize(
    "hostile", ["%3Cscript%3Ealert(1)%3C/script%3E", "%22%3E%3Cb%3E", "a%0d%0aX:1", "%00%ff", "*.example.com"]
)
def test_what_is_no_domain_is_shown_harmlessly(start_relay: RelayFactory, injector: Injector, hostile: str) -> None:
    relay = start_relay(PUBLIC)
    response = ask(relay, hostile)
    assert response.status == 200 and "bad-domain" in response.text
    for markup in ("<script", "<b>", '"><'):
        assert markup not in response.text
    assert response.header("X") is None
    assert json.loads(ask(relay, hostile, "&format=json").text)["reason"] == "bad-host"


def test_only_get_and_head_and_not_on_the_site_of_an_app(start_relay: RelayFactory) -> None:
    relay = start_relay(PUBLIC)
    assert ask(relay, "app.example.org", method="POST").status == 405
    head = ask(relay, "app.example.org", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert ask(relay, "app.example.org", host="app.example.org").status == 307
    assert ask(relay, "app.example.org", host=f"x.{GATEWAY}").status == 307
    for host in ("no-txt.example.org", GATEWAY, f"gateway.{GATEWAY}"):
        page = ask(relay, "app.example.org", host=host)
        assert page.status == 200 and "Challenges are redirected to the app" in page.text


def begin(relay: Relay, domain: str, client: str) -> fcgi.Connection:
    connection = fcgi.Connection(relay.address)
    variables = fcgi.cgi_variables(f"/check?domain={domain}", "localhost", client=client)
    connection.send(fcgi.whole_request(variables))
    return connection


def in_flight(relay: Relay) -> float:
    return relay.metrics()["http_requests_in_flight"]


def test_examinations_are_bounded_and_keep_nobody_waiting(start_injected: RelayFactory) -> None:
    relay = start_injected(PUBLIC)
    held = [begin(relay, f"n{number}.drop.example.com", f"192.0.2.{number}") for number in range(8)]
    wait_until(lambda: in_flight(relay) == 8, "eight examinations")
    response = ask(relay, "n9.drop.example.com", client="192.0.2.99")
    assert (response.status, response.reason, response.header("Retry-After")) == (503, "overloaded", "5")
    # Requests of CAs go on.
    assert relay.challenge("app.good.example.com").status == 307
    for connection in held:
        assert "dns-timeout" in connection.read_response().text
        connection.socket.close()
    assert ask(relay, "app.good.example.com", client="192.0.2.99").status == 200


def test_one_client_has_two_at_once(start_injected: RelayFactory) -> None:
    relay = start_injected(PUBLIC)
    held = [begin(relay, f"n{number}.drop.example.com", "192.0.2.1") for number in range(2)]
    wait_until(lambda: in_flight(relay) == 2, "two examinations")
    assert ask(relay, "n3.drop.example.com", client="192.0.2.1").status == 503
    assert ask(relay, "app.good.example.com", client="192.0.2.2").status == 200
    # Who has gone away is not waited for.
    for connection in held:
        connection.socket.close()
    wait_until(lambda: in_flight(relay) == 0, "nobody to be waited for")


def test_a_reload_switches_it_off_and_leaves_what_is_under_way(
    start_injected: RelayFactory, injector: Injector
) -> None:
    relay = start_injected(PUBLIC)
    with begin(relay, "n1.delay-700.example.com", "192.0.2.1") as held:
        wait_until(lambda: in_flight(relay) == 1, "the examination")
        relay.config.write_text(config_text(injector.server))
        relay.process.signal(signal.SIGHUP)
        wait_until(lambda: relay.request("/check", "localhost").status == 404, "the new configuration")
        assert held.read_response().status == 200


def test_it_is_counted_and_logged(start_relay: RelayFactory) -> None:
    relay = start_relay(PUBLIC)
    ask(relay, "app.example.org", client="192.0.2.77")
    wait_until(lambda: "192.0.2.77" in relay.process.output(), "the line")
    line = next(line for line in relay.process.output().splitlines() if "192.0.2.77" in line)
    assert " path=/check domain=app.example.org " in line
    assert relay.metrics()['http_requests_total{method="GET",path="/check",status="200"}'] == 1


def asked_by_cgi(workspace: Workspace, injector: Injector, sections: dict[str, Any]) -> Response:
    config = workspace.write("relay.toml", config_text(injector.server, sections))
    variables = fcgi.cgi_variables("/check?domain=app.good.example.com&format=json", "localhost")
    ended = run(environment=variables | {"HTTP01_RELAY_CONFIG": str(config)})
    return fcgi.parse_cgi(ended.stdout.replace("\n", "\r\n").encode())


def test_cgi_has_it_too_where_its_processes_count_together(workspace: Workspace, injector: Injector) -> None:
    service = {"public_check": True, "state_file": str(workspace.fresh("state"))}
    counted: dict[str, Any] = {"service": service, "limits": {"checks": 2}}
    for _ in range(2):
        assert json.loads(asked_by_cgi(workspace, injector, counted).text)["reason"] == "ok"
    assert asked_by_cgi(workspace, injector, counted).reason == "overloaded"
    # Each alone would limit nothing.
    for state_file in ("", str(workspace.fresh("nowhere") / "state")):
        alone = {"service": service | {"state_file": state_file}}
        assert asked_by_cgi(workspace, injector, alone).status == 404
    said = run("config", "-c", workspace.write("relay.toml", config_text("127.0.0.1", PUBLIC))).stderr
    assert "note: service.public_check: without service.state_file" in said


def test_so_many_a_minute_for_one_network_and_in_all_over_all_processes(
    workspace: Workspace, injector: Injector
) -> None:
    state = str(workspace.fresh("state"))
    sections = {"service": {"public_check": True, "state_file": state}, "limits": {"checks": 8}}
    relays = [Relay(workspace, config_text(injector.server, sections)) for _ in range(2)]

    def status(number: int, client: str) -> int:
        return ask(relays[number % 2], "app.good.example.com", client=client).status

    # A mistyped name asks nobody anything.
    assert [ask(relays[0], typo, client="192.0.2.1").status for typo in ("x", "-bad", "localhost")] == [200] * 3
    assert [status(number, f"192.0.2.{number}") for number in range(6)] == [200] * 6
    refused = ask(relays[0], "app.good.example.com", client="192.0.2.99")
    assert (refused.status, refused.reason, refused.header("Retry-After")) == (503, "overloaded", "60")
    assert [status(number, f"2001:db8:1:{number}::1") for number in range(2)] == [200] * 2
    assert status(0, "198.51.100.1") == 503
    # The form costs nothing, nor do challenges.
    assert relays[0].request("/check", "localhost").status == 200
    assert relays[0].challenge("app.good.example.com").status == 307


def test_nothing_of_private_networks_and_zones_is_shown(workspace: Workspace) -> None:
    """A resolver of a company knows its own names, and /check is open to the world."""
    secret = "secret-7f3a"

    def rule(query: Query, tcp: bool) -> Behaviour:
        name = query.name
        if name == "evil.example.com":
            return Behaviour(answers=(cname(name, "db.internal"),) if query.type == "CNAME" else None)
        if name.endswith("db.internal") or name == "_dstack-app-address.evil.example.com":
            if query.type == "TXT":
                return Behaviour(answers=(cname(name, "x.internal"), txt("x.internal", secret)))
            if query.type == "CNAME":
                return Behaviour(answers=(cname(name, f"{secret}.corp"),))
        if query.type == "A":
            return Behaviour(answers=(address(name, "10.11.12.13"),))
        return Behaviour()

    with Injector(rule) as injector:
        relay = Relay(workspace, config_text(injector.server, PUBLIC))
        for domain in ("db.internal", "evil.example.com", "app.good.example.com"):
            for form in ("", "&format=json"):
                text = ask(relay, domain, form).text
                assert secret not in text and "10.11.12.13" not in text and injector.server not in text
                assert ("under no public suffix" in text) == (domain != "app.good.example.com")
        assert "reserved-address" in ask(relay, "app.good.example.com").text
        command = run("check", "-c", relay.config, "db.internal", "app.good.example.com").stdout
        assert secret in command and "10.11.12.13" in command and injector.server in command


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_log_names_what_was_checked_and_the_limit_that_refused(start_relay: RelayFactory, form: str) -> None:
    limits = {"limits": {"checks_per_client": 2, "checks": 3}, "log": {"format": form}}
    relay = start_relay(PUBLIC | limits)
    assert ask(relay, "app.example.org", client="192.0.2.1").status == 200
    assert ask(relay, "a.example.org%0Areason%3Dforged%20%22", client="192.0.2.1").status == 200
    assert ask(relay, "no-txt.example.org", client="192.0.2.1").status == 200
    refused = ask(relay, "again.example.org", client="192.0.2.1")
    assert refused.status == 503 and "Your network has reached its limit of checks a minute" in refused.text
    assert ask(relay, "other.example.org", client="198.51.100.1").status == 200
    refused = ask(relay, "last.example.org", client="203.0.113.1")
    assert refused.status == 503 and "All clients together have reached the limit" in refused.text
    samples = relay.metrics()
    assert [samples[f'relay_overloaded_total{{limit="{limit}"}}'] for limit in ("checks_per_client", "checks")] == [1, 1]
    assert relay.terminate() == 0
    lines = [line for line in relay.process.output().splitlines() if "/check" in line]
    assert len(lines) == 6
    assert not [line for line in lines if "cache" in line], "none of these came out of the cache"
    if form == "json":
        domains = [json.loads(line)["domain"] for line in lines]
        assert [json.loads(line).get("limit") for line in lines if "limit" in line] == ["checks_per_client", "checks"]
    else:
        domains = [line.split(" domain=")[1].split()[0] for line in lines]
        assert lines[3].endswith(" limit=checks_per_client") and lines[5].endswith(" limit=checks")
    assert sorted(domains) == sorted([
        "app.example.org", r"a.example.org\010reason=forged\032\034", "no-txt.example.org", "again.example.org",
        "other.example.org", "last.example.org",
    ])  # fmt: skip
