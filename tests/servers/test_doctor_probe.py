"""`check --probe` against real servers: the relay behind lighttpd on port 80, a gateway on port 443, an app behind
it; and what stands in their place when something is wrong."""

from __future__ import annotations

import http.server
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clinic import check, examine
from dns_servers import Nsd, Unbound
from gateway import App, Gateway, LoopbackBlock, WebrootServer
from processes import RELAY, Workspace
from relay import EXIT_UNAVAILABLE, clean_environment, run
from sites import Site
from web_servers import has_ipv6

BASE = "dstack-prod5.phala.network"
BLOCK = LoopbackBlock()

pytestmark = pytest.mark.skipif(bool(BLOCK.why_not()), reason=BLOCK.why_not() or "-")


class OtherServer:
    """Some web server that is not the relay's: answers each path as it is told."""

    def __init__(self, address: str, port: int = 80) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            server_version = "Other/1.0"
            sys_version = ""

            def do_GET(self) -> None:  # noqa: N802
                host = self.headers["Host"]
                status, location, body = ANSWERS.get(host, (404, "", b"nothing here"))
                self.send_response(status)
                if location:
                    self.send_header("Location", location.replace("PATH", self.path))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing is wrong with a request."""

        self.server = http.server.ThreadingHTTPServer((address, port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def name(label: str) -> str:
    return f"{label}.probe.test"


# What the other server says, by Host.
ANSWERS: dict[str, tuple[int, str, bytes]] = {
    name("page"): (200, "", b"<html>" + b"x" * 5000),
    name("front"): (301, f"https://{name('front')}PATH", b""),
    name("away"): (302, "https://www.example.net/", b""),
    name("port"): (301, f"https://{name('port')}:8443PATH", b""),
}


class Street:
    """The relay's address, which is the gateway's, and one of another server."""

    def __init__(self, workspace: Workspace) -> None:
        self.address, self.other, self.nobody = BLOCK.address(), BLOCK.address(), BLOCK.address()
        self.apps = {label: App(name(label), BLOCK.address(), BASE) for label in ("good", "down", "busy")}
        at_other = "".join(f"{label} A {self.other}\n" for label in ("page", "front", "away", "port", "missing"))
        records = "".join(
            f'_dstack-app-address.{label} TXT "{self.apps["good"].app_id}:443"\n'
            for label in ("page", "front", "away", "port", "missing", "dead", "six", "unknown")
        )
        zone = (
            "".join(app.records for app in self.apps.values())
            + at_other
            + f"dead A {self.nobody}\n"
            + f"six A {self.address}\nsix AAAA ::1\n"
            + records
            + f'unknown CNAME _.{BASE}.\n_dstack-app-address.unknown-app TXT "{"0" * 40}:443"\n'
            + f"unknown-app CNAME _.{BASE}.\n"
        )
        phala = f"{BASE}. A {self.address}\n*.{BASE}. A {self.address}\n"
        nsd = Nsd(workspace, {"probe.test": zone, "phala.network": phala})
        unbound = Unbound(workspace, nsd)
        self.site = Site(workspace, "relay", self.address, unbound.server, {"gateways": {"fallback": BASE}})
        self.config: Path = self.site.config
        self.gateway = Gateway(workspace, [self.address], [self.apps["good"], self.apps["down"]])
        directory = workspace.fresh("app")
        directory.mkdir()
        self.app = WebrootServer(workspace, self.apps["good"], directory)
        self.server = OtherServer(self.other)

    def probe(self, label: str) -> dict[str, Any]:
        return examine(self.config, name(label), "--probe", "--relay-address", self.address)


@pytest.fixture(name="street", scope="module")
def street_fixture(module_workspace: Workspace) -> Iterator[Street]:
    street = Street(module_workspace)
    yield street
    street.server.stop()


def about_the_probe(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Without what loopback addresses are told anyway."""
    return [
        (finding["severity"], finding["id"]) for finding in report["findings"] if finding["id"].startswith("probe-")
    ]


def test_the_way_that_is_in_order(street: Street) -> None:
    report = street.probe("good")
    assert about_the_probe(report) == []
    (hop,), (gateway,) = report["probe"]["domain"], report["probe"]["gateway"]
    token = hop["url"].rpartition("/")[2]
    assert len(token) == 43 and token.replace("-", "").replace("_", "").isalnum()
    assert (hop["address"], hop["status"], hop["error"]) == (street.address, 307, "")
    assert hop["location"] == gateway["url"] and gateway["url"].endswith(token)
    # The certificate is nobody's, which no CA minds.
    assert (gateway["address"], gateway["status"], gateway["error"]) == (street.address, 404, "")
    assert gateway["body_octets"] > 0 and not gateway["body_cut"]
    other = street.probe("good")["probe"]["domain"][0]["url"]
    assert not other.endswith(token), "a token is for once"


def test_it_is_not_done_unasked(street: Street) -> None:
    assert "probe" not in examine(street.config, name("good"))


def test_the_text_shows_it(street: Street) -> None:
    text = check(street.config, name("good"), "--probe").stdout
    assert "\nprobed\n  GET http://good.probe.test/.well-known/acme-challenge/" in text
    assert f" at {street.address}\n    307, to https://" in text


@pytest.mark.parametrize(
    ("label", "expected", "words"),
    [
        # "Couldn't", and "Could not" since Debian 13.
        ("dead", ("fault", "probe-unreachable"), r"does not answer: Could(n't| not) connect to server"),
        ("missing", ("fault", "probe-other-server"), r"another server \(Server: Other/1\.0\): it answers 404"),
        ("page", ("fault", "probe-other-server"), "it answers 200"),
        ("front", ("warning", "probe-redirect"), "The relay must answer there too"),
        ("away", ("fault", "probe-redirect"), "The relay was not asked"),
        ("port", ("fault", "probe-redirect"), "a port other than 80 and 443"),
    ],
)
def test_port_80_that_is_not_the_relays(street: Street, label: str, expected: tuple[str, str], words: str) -> None:
    report = street.probe(label)
    assert about_the_probe(report) == [expected]
    assert any(re.search(words, finding["text"]) for finding in report["findings"]), report["findings"]
    if label == "page":
        assert report["probe"]["domain"][0]["body_cut"]


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on loopback here")
def test_ipv6_that_is_dead(street: Street) -> None:
    report = street.probe("six")
    assert about_the_probe(report) == [("fault", "probe-unreachable")]
    (text,) = [finding["text"] for finding in report["findings"] if finding["id"] == "probe-unreachable"]
    assert "Port 80 of ::1" in text and "A CA tries IPv6 first." in text
    assert [hop["address"] for hop in report["probe"]["domain"]] == ["::1", street.address]


def test_an_app_that_is_down_and_one_that_is_not_there(street: Street) -> None:
    for label in ("down", "unknown-app"):
        report = street.probe(label)
        assert about_the_probe(report) == [("fault", "probe-gateway-unreachable")], report["findings"]


def test_a_relay_of_another_mind(street: Street, workspace: Workspace) -> None:
    text = street.config.read_text() + '[redirect]\ntarget = "https://{domain}"\n'
    report = examine(workspace.write("other.toml", text), name("good"), "--probe")
    assert ("fault", "probe-redirect") in about_the_probe(report)
    assert any("not as this one would" in finding["text"] for finding in report["findings"])


def test_proxies_of_the_environment_are_not_asked(street: Street) -> None:
    ended = run(
        "check", "-c", street.config, name("good"), "--probe", "--json",
        environment=dict.fromkeys(("http_proxy", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:9"),
    )  # fmt: skip
    assert '"status":307' in ended.stdout.partition('"probe"')[2]


def test_where_libcurl_is_missing_it_says_so(street: Street, workspace: Workspace) -> None:
    # A library of the same name that is none.
    workspace.write("libcurl.so.4", "no library")
    environment = clean_environment({"LD_LIBRARY_PATH": str(workspace.path)})
    ended = run("check", "-c", street.config, name("good"), "--probe", environment=environment)
    assert (ended.returncode, ended.stdout) == (EXIT_UNAVAILABLE, "")
    assert ended.stderr.startswith("http01-relay: --probe: ")
    assert run("check", "-c", street.config, name("good"), environment=environment).returncode == 0


def test_the_serving_program_does_not_load_libcurl(street: Street) -> None:
    linked = subprocess.run(["/usr/bin/ldd", RELAY], capture_output=True, text=True, check=True).stdout
    assert "libfcgi" in linked and "libcurl" not in linked
    assert street.probe("good")["probe"]["domain"][0]["status"] == 307
