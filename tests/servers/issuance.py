"""A certificate from the account to its dates, told while dehydrated, Pebble, the relay, the gateway and the
app bring it about. What is shown of each is what it wrote itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import certificates
from acme_clients import ClientFailed, Dehydrated
from gateway import App
from narration import Narrator
from processes import NotReady, Process, Workspace, wait_until
from sites import AcmeWorld

# Pebble asks from three places at once.
_PLACES = 3

# dehydrated calls it with the name of what it has just done; the token and its answer are in no other output.
_HOOK = """#!/bin/sh
[ "$1" != deploy_challenge ] || echo "token $3 answer $4"
"""

# Of files and directories, and of nothing that an authority or a relay would see.
_NOISE = ("# INFO:", " + Creating ", " + Signing domains", " + Done!", "+ Done!", "+ Fetching account URL")


class FollowedDehydrated(Dehydrated):
    """Each line that dehydrated writes is handed to `hear` at once."""

    hear: Callable[[str], None]

    def prepare(self) -> None:
        super().prepare()
        hook = self.directory / "hook"
        hook.write_text(_HOOK)
        hook.chmod(0o755)
        with self._config.open("a") as config:
            config.write(f'HOOK="{hook}"\n')

    def run(self, *command: str | Path) -> str:
        process = self.workspace.start("dehydrated", command, environment=self.environment)
        for line in _lines_as_written(process):
            self.hear(line)
        if status := process.wait():
            raise ClientFailed(f"dehydrated ended with status {status}")
        return process.output()


def _lines_as_written(process: Process) -> Iterator[str]:
    """Until the process ends."""
    seen = 0

    def complete() -> int:
        return process.output().rfind("\n") + 1

    while True:
        running = process.running()
        end = complete()
        yield from process.output()[seen:end].splitlines()
        seen = end
        if not running:
            return
        wait_until(lambda: complete() > seen or not process.running(), "dehydrated to go on", 30)


@dataclass(frozen=True)
class _Cue:
    """What dehydrated writes when a part of the protocol begins, and who tells of that part."""

    pattern: str
    tell: Callable[[re.Match[str]], None]


class Issuance:
    def __init__(self, narrator: Narrator, workspace: Workspace, world: AcmeWorld, app: App) -> None:
        self._narrator = narrator
        self._world = world
        self._app = app
        self._client = FollowedDehydrated(workspace, workspace.path / "app", app, world.ca)
        self._client.hear = self._hear
        self._token = ""
        self._cues = [
            _Cue("Generating account key", self._account),
            _Cue("Registering account key", self._registration),
            _Cue("Requesting new certificate order", self._order),
            _Cue("Received 1 authorizations", self._order_added),
            _Cue("Handling authorization for", self._authorization),
            _Cue(r"token (?P<token>\S+) answer (?P<answer>\S+)", self._challenge),
            _Cue("Responding to challenge", self._requests),
            _Cue("Challenge is valid", self._validation),
            _Cue("Requesting certificate", self._finalisation),
            _Cue("Checking certificate", self._heard),
        ]

    def tell(self) -> None:
        """ClientFailed, NotReady: there is no certificate."""
        self._participants()
        self._client.obtain()
        if self._cues:
            raise ClientFailed(f'dehydrated never said "{self._cues[0].pattern}"')
        self._certificate()

    def _hear(self, line: str) -> None:
        if self._cues and (match := re.search(self._cues[0].pattern, line)):
            self._cues.pop(0).tell(match)
        elif line.strip() and not line.startswith(_NOISE):
            self._narrator.wrote("dehydrated", [line])

    # ---- the parts of the protocol, in their order ----------------------------------------------------

    def _participants(self) -> None:
        domain, gateway = self._app.domain, self._world.addresses[self._app.gateway]
        self._narrator.step("Who takes part in what follows, each a real program on this machine")
        self._narrator.show(
            f"CA       pebble, the small CA of Let's Encrypt's makers: {self._world.ca.directory}\n"
            f"relay    http01-relay behind lighttpd: {gateway} port 80, where {domain} leads to\n"
            f"gateway  nginx in the place of dstack's gateway: {gateway} port 443\n"
            f"app      nginx that serves files: {self._app.address} port 80, known to the gateway alone\n"
            f"client   dehydrated, an ACME client in the app; it knows of no relay"
        )

    def _account(self, match: re.Match[str]) -> None:
        self._narrator.step("An account")
        self._narrator.say(
            "The client makes a key of its own and registers it at the CA. All it sends from now on is signed with it."
        )
        self._heard(match)

    def _registration(self, match: re.Match[str]) -> None:
        self._heard(match)
        self._ca_wrote("accounts in memory")

    def _order(self, match: re.Match[str]) -> None:
        self._narrator.step("The order")
        self._narrator.say(f"The client asks the CA for a certificate for {self._app.domain}.")
        self._heard(match)

    def _order_added(self, match: re.Match[str]) -> None:
        self._ca_wrote("Added order")
        self._heard(match)

    def _authorization(self, match: re.Match[str]) -> None:
        self._narrator.step("The authorization and its token")
        self._narrator.say(
            """The order needs one authorization: whoever orders must show that the name is theirs. The CA
            offers the challenge http-01 with a random token: put a file with this name where the name leads to."""
        )
        self._heard(match)

    def _challenge(self, match: re.Match[str]) -> None:
        self._token = match["token"]
        file = self._client.web.challenges / self._token
        self._narrator.say(
            """The client has written that file for the app's web server. In it: the token, a dot, and the
            fingerprint of the account's key, so that it is of use to this account alone."""
        )
        self._narrator.show(f"name     {file.relative_to(self._client.web.webroot)}\ncontent  {match['answer']}")

    def _requests(self, match: re.Match[str]) -> None:
        app = self._app
        self._narrator.step("The CA asks the relay")
        self._narrator.say(
            f"""The client tells the CA that the file is there. The CA finds the address of {app.domain} in the DNS
            and asks at its port 80 for the file, from {_PLACES} places at once. There the relay stands:"""
        )
        self._heard(match)
        self._ca_wrote("Attempting to validate", _PLACES)
        site = self._world.site_of(app)
        decisions = self._wait(lambda: site.decisions(app.domain), f" token={self._token[:6]} ", "the relay's log")
        self._narrator.wrote("relay", decisions)

        self._narrator.step("The relay redirects it")
        if not all(" status=307 " in line for line in decisions):
            raise ClientFailed("the relay did not redirect the CA")
        target = f"https://{app.gateway_name}/.well-known/acme-challenge/{self._token}"
        self._narrator.say("The relay has looked up the app and its gateway in the DNS and has answered 307, to be found at:")
        self._narrator.show(target)

        self._narrator.step("The CA asks the gateway")
        self._narrator.say(
            """The CA follows. The gateway reads the app's id out of the name in the TLS greeting, ends TLS and
            passes the request on to port 80 of the app:"""
        )
        log = self._world.gateway.forwarded
        sessions = self._wait(lambda: _lines(log.read_text()), f"name={app.gateway_name} ", "the gateway's log")
        self._narrator.wrote("gateway", sessions)

        self._narrator.step("The app answers")
        self._narrator.say(
            "The app's web server finds the file and sends it. The CA tells it from where it was sent here:"
        )
        log = self._client.web.access_log
        self._narrator.wrote("app", self._wait(lambda: _lines(log.read_text()), self._token, "the app's log"))

    def _validation(self, match: re.Match[str]) -> None:
        self._narrator.step("Validation")
        self._narrator.say(
            f"""What the CA got fits the token and the account's key, so whoever holds that key has a say over
            {self._app.domain}: the authorization is valid."""
        )
        self._ca_wrote("set VALID by completed challenge")
        self._heard(match)

    def _finalisation(self, match: re.Match[str]) -> None:
        self._narrator.step("Finalisation")
        self._narrator.say(
            "The client sends the public key that the certificate is for, in a signing request. The CA signs."
        )
        self._heard(match)
        self._ca_wrote("is fully authorized")
        self._ca_wrote("Issued certificate serial")

    def _certificate(self) -> None:
        chain = certificates.split_chain(self._client.chain.read_text())
        certificate = certificates.read(chain[0])
        certificates.verify(self._client.directory, chain, self._world.ca.root, self._app.domain)
        if certificate.names != {self._app.domain}:
            raise ClientFailed(f"the certificate is for {sorted(certificate.names)}")
        if certificate.public_key != certificates.public_key_of(self._client.key):
            raise ClientFailed("the certificate is for another key than the client's")
        self._narrator.step("The certificate")
        self._narrator.show(
            f"subject     {certificate.subject}\n"
            f"names       {', '.join(sorted(certificate.names))}\n"
            f"issuer      {certificate.issuer}\n"
            f"serial      {certificate.serial}\n"
            f"not before  {certificate.not_before}\n"
            f"not after   {certificate.not_after}"
        )
        self._narrator.say(
            """openssl has verified it: its chain leads to this CA's root, its name is the one that was ordered, its
            key is the app's. (Pebble makes a root for each run; no browser trusts it.)"""
        )

    # ---- what the programs wrote ----------------------------------------------------------------------

    def _heard(self, match: re.Match[str]) -> None:
        self._narrator.wrote("dehydrated", [match.string])

    def _ca_wrote(self, part: str, times: int = 1) -> None:
        lines = self._wait(lambda: _lines(self._world.ca.process.output()), part, "the CA's log", times)
        # "Pebble 2026/01/31 23:59:59 "
        self._narrator.wrote("pebble", [line.split(" ", 3)[-1] for line in lines])

    @staticmethod
    def _wait(log: Callable[[], list[str]], part: str, what: str, times: int = _PLACES) -> list[str]:
        """The lines of a log that have `part`, once they are there: a server writes a little after it acts."""

        def found() -> list[str]:
            return [line for line in log() if part in line]

        try:
            wait_until(lambda: len(found()) >= times, what)
        except NotReady as late:
            raise ClientFailed(f"{late}: {len(found())} of {times} lines with {part!r}") from late
        return found()


def _lines(text: str) -> list[str]:
    return text.splitlines()
