"""A certificate authority's request, through lighttpd as it is shipped, the relay, unbound and nsd."""

from __future__ import annotations

import os
import signal
from typing import Any

import http_client
import pytest
from conftest import RelayFactory, World
from http_client import Response
from processes import RELAY, Workspace, wait_until
from relay import CHALLENGE, Relay
from web_servers import SHIPPED, Lighttpd, check_syntax, has_ipv6, shipped_config, substitutions
from zones import APP_ID, GATEWAY

OTHER_GATEWAY = "dstack-prod7.phala.network"
TARGET = f"https://{APP_ID}.{GATEWAY}"
GOOD = f"{TARGET}{CHALLENGE}"


def assert_redirects(response: Response, location: str = GOOD, status: int = 307) -> None:
    assert (response.status, response.location, response.reason) == (status, location, "ok")


def test_a_challenge_is_redirected_to_the_app(web: Lighttpd) -> None:
    response = web.get(CHALLENGE, "app.example.test")
    assert_redirects(response)
    assert response.all("Location") == [GOOD]
    assert response.header("Cache-Control") == "no-store"
    assert response.header("Content-Type") == "text/plain; charset=utf-8"
    assert response.header("X-Content-Type-Options") == "nosniff"
    assert response.header("Content-Length") == str(len(response.body))


def test_head_has_the_headers_of_get_and_no_body(web: Lighttpd) -> None:
    get = web.get(CHALLENGE, "app.example.test")
    head = http_client.request(web.port, CHALLENGE, host="app.example.test", method="HEAD")
    assert head.body == b""
    assert_redirects(head)
    for name in ("Cache-Control", "Content-Type", "X-Content-Type-Options", "X-Relay-Reason"):
        assert head.header(name) == get.header(name)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on loopback here")
def test_ipv6_is_served_too(web: Lighttpd) -> None:
    assert_redirects(http_client.request(web.port, CHALLENGE, host="app.example.test", connect="::1"))


def test_http_1_0_with_a_host_is_served(web: Lighttpd) -> None:
    assert_redirects(http_client.request(web.port, CHALLENGE, host="app.example.test", version="HTTP/1.0"))


@pytest.mark.parametrize(
    "token", ["x", "test-token", "letsdebug-test", "A" * 128, "-_-", "0123456789"], ids=lambda token: str(token)[:16]
)
def test_any_token_of_the_alphabet_is_passed_on(web: Lighttpd, token: str) -> None:
    path = f"/.well-known/acme-challenge/{token}"
    assert_redirects(web.get(path, "app.example.test"), TARGET + path)


@pytest.mark.parametrize(
    "name",
    [
        "port80.example.test",
        "APP.Example.TEST",
        "app.example.test.",
        "app.example.test:80",
        "app.example.test:8081",
        "upper.example.test",  # upper-case app id
        "spf-too.example.test",  # another TXT record beside the app address
        "junk-too.example.test",
        "port-signed.example.test",
        "port-leading-zeros.example.test",
        "strings.example.test",  # one record of two strings
        "first-string.example.test",  # and junk in the second
        "two-ports.example.test",  # of one app: the target has none
        "legacy.example.test",
        "both.example.test",  # the exact name wins over the legacy one
        "delegated.example.test",  # the TXT record is behind an alias
        "anything.wild.example.test",
        "base.example.test",  # CNAME to the base itself
        "label.example.test",  # CNAME to one label under the base
        "mixed-case.example.test",
        "chain.example.test",
        "hops8.example.test",
    ],
)
def test_good_domains(web: Lighttpd, name: str) -> None:
    assert_redirects(web.get(CHALLENGE, name))


def test_the_query_is_dropped(web: Lighttpd) -> None:
    assert_redirects(web.get(f"{CHALLENGE}?x=1&relay=txt-missing", "app.example.test"))


def test_what_a_client_claims_about_the_host_is_ignored(web: Lighttpd) -> None:
    claims = {
        "X-Forwarded-Host": "no-txt.example.test",
        "Forwarded": "host=no-txt.example.test",
        "X-Original-URL": "/health",
        "X-Forwarded-For": "192.0.2.1",
    }
    response = http_client.request(web.port, CHALLENGE, host="app.example.test", headers=claims)
    assert_redirects(response)


@pytest.mark.parametrize("status", [301, 302, 308])
def test_the_status_is_configurable(start_relay: RelayFactory, status: int) -> None:
    relay = start_relay({"redirect": {"status": status}})
    assert_redirects(relay.challenge("app.example.test"), status=status)


@pytest.mark.parametrize(
    ("target", "host", "expected"),
    [
        ("https://{app_id}-{port}s.{gateway}", "app.example.test", f"https://{APP_ID}-443s.{GATEWAY}"),
        ("https://{app_id}-{port}s.{gateway}", "port80.example.test", f"https://{APP_ID}-80s.{GATEWAY}"),
        ("https://{app_id}-{port}s.{gateway}", "first-string.example.test", f"https://{APP_ID}-443s.{GATEWAY}"),
        # No gateway in the template: a domain without CNAME will do, the TXT record stays necessary.
        ("https://{domain}", "no-cname.example.test", "https://no-cname.example.test"),
        ("https://{domain}", "no-txt.example.test", None),
        ("https://{app_id}.gw.example.test", "no-cname.example.test", f"https://{APP_ID}.gw.example.test"),
    ],
)
def test_templates(start_relay: RelayFactory, target: str, host: str, expected: str | None) -> None:
    response = start_relay({"redirect": {"target": target}}).challenge(host)
    if expected is None:
        assert (response.status, response.reason, response.location) == (404, "txt-missing", None)
    else:
        assert_redirects(response, expected + CHALLENGE)


@pytest.mark.parametrize(
    ("gateways", "host", "expected"),
    [
        # The fallback is for domains whose records name no gateway.
        ({"fallback": GATEWAY}, "no-cname.example.test", GATEWAY),
        ({"fallback": GATEWAY}, "elsewhere.example.test", GATEWAY),
        ({"fallback": OTHER_GATEWAY}, "app.example.test", GATEWAY),
        ({"fallback": GATEWAY}, "apex.test", GATEWAY),
        ({"aliases": {"relay.owner.test": GATEWAY}}, "aliased.example.test", GATEWAY),
        ({"aliases": {"two.owner.test": OTHER_GATEWAY}}, "chain.example.test", OTHER_GATEWAY),
        ({"allow": [GATEWAY]}, "app.example.test", GATEWAY),
        ({"allow": [GATEWAY], "match_addresses": True}, "same-address.example.test", GATEWAY),
        ({"allow": [f"a.b.{GATEWAY}"]}, "two-labels.example.test", f"a.b.{GATEWAY}"),
        ({"allow_regex": r"^_\.(.+\.phala\.network)$"}, "mixed-case.example.test", GATEWAY),
        ({"allow_regex": r"_\.([a-z0-9-]+\.phala\.network)", "capture_group": 1}, "chain.example.test", GATEWAY),
    ],
)
def test_where_the_gateway_comes_from(
    start_relay: RelayFactory, gateways: dict[str, Any], host: str, expected: str
) -> None:
    assert_redirects(start_relay({"gateways": gateways}).challenge(host), f"https://{APP_ID}.{expected}{CHALLENGE}")


def test_an_app_id_pattern_of_the_operator(start_relay: RelayFactory) -> None:
    relay = start_relay({"app": {"id_pattern": "[0-9a-z]{1,63}"}})
    short = APP_ID[:-1]
    assert_redirects(relay.challenge("bad-short-id.example.test"), f"https://{short}.{GATEWAY}{CHALLENGE}")
    # Whatever the pattern, an app id is one label and none of the gateway's own names.
    for name in ("gateway", "health", "localhost", "slash", "port-in-label"):
        assert relay.challenge(f"bad-{name}.example.test").reason == "txt-malformed"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
def test_other_paths_go_to_https_of_the_domain(web: Lighttpd, method: str) -> None:
    response = http_client.request(web.port, "/a/%62?c=%64", host="app.example.test", method=method)
    assert_redirects(response, "https://app.example.test/a/%62?c=%64")


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("https", "https://app.example.test/a?b=c"), ("app", f"{TARGET}/a?b=c"), ("none", None)],
)
def test_other_paths_by_mode(start_relay: RelayFactory, mode: str, expected: str | None) -> None:
    response = start_relay({"redirect": {"other_paths": mode}}).request("/a?b=c", "app.example.test")
    if expected is None:
        assert (response.status, response.reason, response.location) == (404, "not-found", None)
    else:
        assert_redirects(response, expected)


def test_other_paths_of_a_gateway_name_stay_on_it_and_cost_no_look_up(relay: Relay) -> None:
    assert_redirects(relay.request("/a?b", f"{APP_ID}.{GATEWAY}"), f"https://{APP_ID}.{GATEWAY}/a?b")


def test_service_pages_of_a_good_domain_are_other_paths(relay: Relay) -> None:
    for path in ("/", "/health", "/ready", "/metrics"):
        assert_redirects(relay.request(path, "app.example.test"), f"https://app.example.test{path}")


def test_https_requests_are_answered_like_http(relay: Relay) -> None:
    assert_redirects(relay.challenge("app.example.test", extra={"HTTPS": "on"}))


def test_only_challenges_reach_the_relay_beside_a_site(world: World, workspace: Workspace) -> None:
    config = workspace.write("relay.toml", world.config())
    (workspace.path / "index.html").write_text("the site\n")
    site = f"""
server.port = PORT
server.bind = "127.0.0.1"
server.document-root = "{workspace.path}"
server.errorlog = "{workspace.path}/site-error.log"
index-file.names = ( "index.html" )
"""
    shipped = (SHIPPED / "challenge-only.conf").read_text()
    changes = {
        "/run/lighttpd/http01-relay.sock": "SOCKET",
        "/usr/bin/http01-relay": str(RELAY),
        "/etc/http01-relay/http01-relay.toml": str(config),
    }
    web = Lighttpd(workspace, config, text=site + shipped_config(shipped, changes))
    assert web.get("/", "app.example.test").text == "the site\n"
    assert_redirects(web.get(CHALLENGE, "app.example.test"))
    assert web.get("/.well-known/security.txt", "app.example.test").reason is None


def test_lighttpd_finds_no_fault_in_the_shipped_files(workspace: Workspace) -> None:
    config = workspace.write("relay.toml", "")
    for name in ("http01-relay.conf", "challenge-only.conf"):
        text = (SHIPPED / name).read_text()
        changes = substitutions(workspace.path, 8080, RELAY, config, "127.0.0.1")
        if name == "challenge-only.conf":
            text = f'server.document-root = "{workspace.path}"\n' + text
            changes = {old: new for old, new in changes.items() if old in text}
        checked = check_syntax(workspace.write(name, shipped_config(text, changes)))
        assert checked.returncode == 0, checked.stderr
        assert checked.stderr == ""


def test_the_relay_is_one_process_and_comes_back_when_it_dies(world: World, workspace: Workspace) -> None:
    web = Lighttpd(workspace, workspace.write("relay.toml", world.config()))
    first = web.relay_pid()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: web.get(CHALLENGE, "app.example.test").status == 307, "lighttpd to start the relay again")
    assert web.relay_pid() != first
