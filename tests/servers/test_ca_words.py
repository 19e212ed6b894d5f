"""The README's way from what a CA says to the cause: with that cause brought about, a CA would say so, and the row
has the doctor's word for it."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from ca_words import Refused, validate
from clinic import ELSEWHERE6, examine, found
from dns_servers import Nsd, Unbound
from gateway import App, Gateway, LoopbackBlock
from processes import REPOSITORY, Workspace
from relay import CHALLENGE
from sites import Site

BASE, GONE, DEAD6 = "dstack-prod5.phala.network", "dstack-gone.phala.network", "dstack-six.phala.network"
PAGE = b"<!doctype html><title>My app</title>" + b"<p>There is nothing that it does not answer." * 10
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def rows() -> list[tuple[list[str], list[str]]]:
    """What the CA says, and the doctor's words."""
    table = README.partition("### From the CA's error to the cause")[2].partition("\n##")[0]
    lines = [re.split(r" ?\| ?", line)[1:-1] for line in table.splitlines() if line.startswith("| ")][1:]
    return [(re.findall(r"`([^`]+)`", said), re.findall(r"`([^`]+)`", words)) for said, _, words in lines]


def pattern(said: str) -> str:
    """A cell of the README: "…" is anything, as is what stands in braces."""
    return re.sub(r"…|\\\{\w+\\\}", ".*", re.escape(said))


class Place:
    def __init__(self, workspace: Workspace) -> None:
        block = LoopbackBlock()
        if why := block.why_not():
            pytest.skip(why)
        self.address = block.address()
        bases = {"gone": GONE, "six": DEAD6, "page": BASE, "slow": BASE, "known": BASE}
        self.apps = {label: App(f"{label}.words.test", block.address(), base) for label, base in bases.items()}
        zones = {
            "words.test": "".join(app.records for app in self.apps.values()),
            # The alias of the first resolves, and no app's name below it.
            "phala.network": f"_.dstack-gone A {self.address}\n"
            f"_.dstack-six A {self.address}\n*.dstack-six A {self.address}\n*.dstack-six AAAA {ELSEWHERE6}\n"
            f"*.dstack-prod5 A {self.address}\n",
        }
        self.unbound = Unbound(workspace, Nsd(workspace, zones))
        self.site = Site(workspace, "relay", self.address, self.unbound.server)
        Gateway(workspace, [self.address], list(self.apps.values()))
        self._page = ThreadingHTTPServer((self.apps["page"].address, 80), _Page)
        threading.Thread(target=self._page.serve_forever, daemon=True).start()
        # Takes connections, as an app that hangs does, and says nothing.
        self._silent = socket.create_server((self.apps["slow"].address, 80))

    def stop(self) -> None:
        self._silent.close()
        self._page.shutdown()
        self._page.server_close()

    def refusal(self, label: str, seconds: float = 10) -> str:
        with pytest.raises(Refused) as refused:
            validate(self.unbound.port, self.apps[label].domain, CHALLENGE, seconds)
        return str(refused.value)


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def place(module_workspace: Workspace) -> Iterator[Place]:
    place = Place(module_workspace)
    yield place
    place.stop()


@dataclass(frozen=True)
class Fault:
    label: str
    said: str  # a regular expression
    word: str
    # What the doctor is told; None where it would wait longer than a test should.
    options: tuple[str, ...] | None = ()
    seconds: float = 10


_NAME, _URL = rf"[0-9a-f]{{40}}\.{BASE}", rf"https://[0-9a-f]{{40}}\.{BASE}/\S+"
_DEAD6 = _URL.replace(BASE, DEAD6)

FAULTS = [
    Fault("gone", rf"^DNS problem: NXDOMAIN looking up A for {_NAME.replace(BASE, GONE)} ", "gateway-unresolved"),
    Fault("six", rf"^{ELSEWHERE6}: Fetching {_DEAD6}: Network unreachable$", "gateway-address6"),
    Fault("page", rf"Invalid response from {_URL}: \"<!doctype html>", "probe-gateway-answer", ("--probe",)),
    Fault("slow", rf"Fetching {_URL}: Timeout after connect", "probe-gateway-unreachable", None, 0.7),
    # Nobody listens in the app.
    Fault("known", rf"Fetching {_URL}: Error getting validation data$", "probe-gateway-unreachable", ("--probe",)),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.label)
def test_what_the_ca_says_leads_to_the_cause(place: Place, fault: Fault) -> None:
    said = place.refusal(fault.label, fault.seconds)
    assert re.search(fault.said, said), said
    # The most specific row of those that fit is the one that has been written for it.
    fitting = [
        (max(len(cell) for cell in cells), words)
        for cells, words in rows()
        if any(re.search(pattern(cell), said) for cell in cells)
    ]
    assert fitting, said
    assert fault.word in max(fitting)[1], (said, fitting)
    if fault.options is not None:
        domain = place.apps[fault.label].domain
        report = examine(place.site.config, domain, *fault.options, "--relay-address", place.address)
        assert fault.word in found(report)
