"""What is tried with ACME clients behind the relay, each try with a domain, an app and an address of its own,
several at a time; and the table of what came of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import certificates
from acme_clients import (
    AcmeClient,
    Acmetool,
    AcmeTiny,
    CertbotStandalone,
    CertbotWebroot,
    ClientFailed,
    Dehydrated,
    LegoStandalone,
    LegoWebroot,
    Uacme,
    problem,
)
from acme_servers import Caddy, CaddyAlone, ModMd, ModMdAlone, ServerClient
from gateway import App, LoopbackBlock
from processes import NotReady, Workspace, wait_until
from sites import AcmeWorld

APP, PORT, DOMAIN = "https://{app_id}.{gateway}", "https://{app_id}-{port}s.{gateway}", "https://{domain}"

# A gateway for each way in which a relay is set up.
BASES = {APP: "dstack-prod5.phala.network", PORT: "dstack-prod7.phala.network", DOMAIN: "dstack-prod9.phala.network"}
BREADCRUMB = "dstack-breadcrumb.phala.network"
DEAD_DNS = "dstack-dead-dns.phala.network"


@dataclass(frozen=True)
class Try:
    """One client with one target. `refused`: what the authority says where that cannot work."""

    client: type[AcmeClient]
    target: str
    refused: str = ""

    @property
    def name(self) -> str:
        return f"{self.client.__name__.lower()}-{('app', 'port', 'domain')[list(BASES).index(self.target)]}"

    @property
    def renews(self) -> bool:
        """Once for each client."""
        target = DOMAIN if issubclass(self.client, ServerClient) else APP
        return self.client.renews and self.target == target and not self.refused


_HOST, _NO_TLS = "did not match this challenge", "connection closed"
_NO_CERTIFICATE = "remote error: tls: internal error"

# What comes of each client with the targets APP, PORT and DOMAIN.
_MATRIX: dict[type[AcmeClient], tuple[str, str, str]] = {
    # Answers whoever asks, on port 80 alone.
    CertbotStandalone: ("", _NO_TLS, _NO_TLS),
    # Their files are served to whoever asks, by a web server that has a TLS port too.
    CertbotWebroot: ("", "", ""),
    Dehydrated: ("", "", ""),
    Uacme: ("", "", ""),
    AcmeTiny: ("", "", ""),
    LegoWebroot: ("", "", ""),
    Acmetool: ("", "", ""),
    # These look at Host, and the gateway's name is none that they know.
    LegoStandalone: (_HOST, _NO_TLS, _NO_TLS),
    ModMd: ("returned 404", "returned 404", ""),
    Caddy: ("stopped after 10 redirects", _HOST, ""),
    # Asked by their own name they answer once they have any certificate to speak TLS with. These have none.
    ModMdAlone: ("returned 404", "returned 404", "returned 503"),
    CaddyAlone: ("stopped after 10 redirects", _NO_CERTIFICATE, _NO_CERTIFICATE),
}
TRIES = [
    Try(client, target, refused)
    for client, outcomes in _MATRIX.items()
    for target, refused in zip((APP, PORT, DOMAIN), outcomes, strict=True)
]

_UNKNOWN, _OWN = "f" * 40, "e" * 40
_ALIAS = "{domain}. CNAME _.{gateway}.\n"
_TXT = '_dstack-app-address.{domain}. TXT "{app_id}:443"\n'


def _app_address(app_id: str) -> str:
    return _TXT.replace("{app_id}", app_id)


def _stop_listening(client: AcmeTiny) -> None:
    client.web.process.stop()


def _serve_other_files(client: AcmeTiny) -> None:
    client.web.challenges = client.directory / "elsewhere"
    client.web.challenges.mkdir()


@dataclass(frozen=True)
class Fault:
    """A domain that cannot have a certificate."""

    name: str
    refused: str  # what the authority says
    reason: str  # what the relay said
    records: str
    gateway: str = BASES[APP]
    domain: str = ""
    # Done to a client that is ready.
    harm: Callable[[AcmeTiny], None] | None = None


FAULTS = [
    Fault("no-txt", "returned 404", "txt-missing", _ALIAS),
    Fault("no-app-id", "returned 502", "txt-malformed", _ALIAS + _app_address("my-app")),
    Fault("two-apps", "returned 502", "txt-ambiguous", _ALIAS + _TXT + _app_address(_UNKNOWN)),
    Fault("elsewhere", "returned 502", "gateway-refused", "{domain}. CNAME cdn.owner.test.\n" + _TXT),
    Fault("no-alias", "returned 502", "gateway-missing", "{domain}. A {address}\n" + _TXT),
    Fault("denied", "returned 403", "domain-refused", _ALIAS + _TXT, BASES[DOMAIN]),
    Fault("gateways-own", "returned 421", "gateway-name", "", domain=f"{_OWN}.{BASES[APP]}"),
    # The relay's resolver, not the authority's, fails for these labels.
    Fault("servfail", "returned 503", "dns-failure", _ALIAS + _TXT, DEAD_DNS),
    Fault("drop", "returned 504", "dns-timeout", _ALIAS + _TXT, DEAD_DNS),
    # The relay does its part, and what comes after it fails.
    Fault("unknown-app", "connection closed", "ok", _ALIAS + _app_address(_UNKNOWN)),
    Fault("not-listening", "connection closed", "ok", _ALIAS + _TXT, harm=_stop_listening),
    Fault("no-challenge", "returned 404", "ok", _ALIAS + _TXT, harm=_serve_other_files),
    Fault("breadcrumb", "returned 404", "txt-missing", _ALIAS, BREADCRUMB),
]


@dataclass(frozen=True)
class Issued:
    chain: list[str]
    public_key: str  # of the private key that the client has


@dataclass(frozen=True)
class Outcome:
    issued: list[Issued]  # the second one is the renewal
    served: bytes = b""  # the certificate that a server shows its visitors
    failure: str = ""


class Trials:
    """The world, and what goes on in it."""

    def __init__(self, workspace: Workspace, block: LoopbackBlock, failing_dns: str) -> None:
        self.workspace = workspace
        self.apps = {case.name: App(f"{case.name}.example.test", block.address(), BASES[case.target]) for case in TRIES}
        for fault in FAULTS:
            domain = fault.domain or f"{fault.name}.example.test"
            self.apps[fault.name] = App(domain, block.address(), fault.gateway)
        relays: dict[str, dict[str, dict[str, Any]]] = {
            BASES[APP]: {},
            BASES[PORT]: {"redirect": {"target": PORT}},
            BASES[DOMAIN]: {"redirect": {"target": DOMAIN}, "domains": {"deny": ["denied.example.test"]}},
            BREADCRUMB: {"redirect": {"breadcrumb": True}},
            DEAD_DNS: {"dns": {"servers": [failing_dns]}},
        }
        self.world = AcmeWorld(workspace, block, relays, list(self.apps.values()), self._zones)
        self._pool = ThreadPoolExecutor(6, thread_name_prefix="client")
        self._outcomes: dict[str, Future[Outcome]] = {}

    def _zones(self, addresses: Mapping[str, str]) -> dict[str, str]:
        records = [self.apps[case.name].records for case in TRIES]
        for fault in FAULTS:
            app = self.apps[fault.name]
            address = addresses[app.gateway]
            records.append(
                fault.records.format(domain=app.domain, app_id=app.app_id, gateway=app.gateway, address=address)
            )
        return {"example.test": "".join(records), "owner.test": f"*.cdn A 192.0.2.82\ncdn A {addresses[BASES[APP]]}"}

    def start(self, cases: Iterable[Try | Fault]) -> None:
        for case in dict.fromkeys(cases):
            if isinstance(case, Fault):
                self._outcomes[case.name] = self._pool.submit(self._suffer, case)
            else:
                self._outcomes[case.name] = self._pool.submit(self._attempt, case)

    def stop(self) -> None:
        """Nothing new begins; what runs ends with the processes of the workspace."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def outcome(self, case: Try | Fault) -> Outcome:
        """Waits for it."""
        return self._outcomes[case.name].result()

    def validations(self, app: App) -> int:
        """How many challenges of its domain the relay has redirected."""
        return sum(" status=307 " in line for line in self.world.sites[app.gateway].decisions(app.domain))

    def _attempt(self, case: Try) -> Outcome:
        app = self.apps[case.name]
        client = case.client(self.workspace, self.workspace.path / case.name, app, self.world.ca)
        issued, served = [], b""
        try:
            client.obtain()
            issued.append(_issued(client))
            if case.renews:
                self._renew(client, app)
                issued.append(_issued(client))
            if isinstance(client, ServerClient):
                served = client.wait_until_served(self.world.addresses[app.gateway], issued[-1].chain[0])
            return Outcome(issued, served)
        except ClientFailed as failure:
            return Outcome(issued, served, str(failure))
        finally:
            client.stop()

    def _renew(self, client: AcmeClient, app: App) -> None:
        before = self.validations(app)
        # Whatever it is told, Pebble takes one order in a hundred without a new challenge. The relay's log is
        # written a moment after its answers, and some clients cannot renew twice within one second.
        for _ in range(3):
            client.renew()
            try:
                wait_until(lambda: self.validations(app) > before, "the relay's log", seconds=2)
                return
            except NotReady:
                continue

    def _suffer(self, fault: Fault) -> Outcome:
        client = AcmeTiny(self.workspace, self.workspace.path / fault.name, self.apps[fault.name], self.world.ca)
        try:
            if fault.harm:
                fault.harm(client)
            client.obtain()
            return Outcome([_issued(client)])
        except ClientFailed as failure:
            return Outcome([], failure=str(failure))
        finally:
            client.stop()

    def table(self) -> str:
        """Client x outcome, in Markdown; "" unless all has been tried."""
        for case in TRIES:
            outcome = self._outcomes.get(case.name)
            if not case.client.why_not() and (outcome is None or not outcome.done()):
                return ""
        targets = (APP, PORT, DOMAIN)
        rows = ["| ACME client | Debian package | " + " | ".join(f"`{target}`" for target in targets) + " | renewal |"]
        rows.append("|---" * (len(targets) + 3) + "|")
        for client in _MATRIX:
            tried = {case.target: case for case in TRIES if case.client is client}
            cells = [self._cell(tried[target]) for target in targets]
            cells.append(next((self._renewal_cell(case) for case in tried.values() if case.renews), "not tried"))
            rows.append(f"| {client.title}{client.note} | {_version(client.package)} | {' | '.join(cells)} |")
        return "\n".join(rows) + "\n"

    def _cell(self, case: Try) -> str:
        if case.client.why_not():
            return "not tried"
        outcome = self.outcome(case)
        return "issued" if outcome.issued else f"refused: {problem(outcome.failure) or 'unknown'}"

    def _renewal_cell(self, case: Try) -> str:
        if case.client.why_not():
            return "not tried"
        return "issued" if len(self.outcome(case).issued) > 1 else "failed"


def _issued(client: AcmeClient) -> Issued:
    chain = certificates.split_chain(client.chain.read_text())
    return Issued(chain, certificates.public_key_of(client.key))


def _version(package: str) -> str:
    asked = subprocess.run(
        ["/usr/bin/dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=False
    )
    return f"{package} {asked.stdout}".strip()
