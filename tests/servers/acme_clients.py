"""ACME clients as Debian packages them, each as an app would run it: challenges on port 80 of the app's
address (or on its TLS port), all its files in a directory of its own, told of no other authority than the
one given. None is changed, and none is told that there is a relay.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
from pathlib import Path
from typing import ClassVar

from certificates import openssl
from gateway import App, WebrootServer
from pebble import Pebble
from processes import Process, Workspace

EMAIL = "owner@example.test"


Words = list[str | Path]


class ClientFailed(Exception):
    """The client ended without a certificate; the text is what it said."""


class AcmeClient:
    """One client of one app. After obtain(), and again after renew(), `chain` and `key` are there."""

    package: ClassVar[str]
    title: ClassVar[str]
    renews: ClassVar[bool] = False
    # What its row in the table adds to its title.
    note: ClassVar[str] = ""
    chain: Path
    key: Path

    def __init__(self, workspace: Workspace, directory: Path, app: App, ca: Pebble) -> None:
        self.workspace = workspace
        self.directory = directory
        self.app = app
        self.ca = ca
        directory.mkdir()
        self.processes: list[Process] = []
        self._runs = 0
        self.prepare()

    def prepare(self) -> None:
        """Writes what the client reads, starts what it needs beside it."""

    def stop(self) -> None:
        for process in self.processes:
            process.stop()

    def obtain(self) -> None:
        raise NotImplementedError

    def renew(self) -> None:
        """A second certificate for the same name, with the same account."""
        raise NotImplementedError

    @classmethod
    def why_not(cls) -> str | None:
        """Why this client cannot be tried on this machine; None if it can."""
        return None

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the user's who runs the tests. The variables make the authority's API trusted."""
        trust = str(self.ca.api_certificate)
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.directory),
            "SSL_CERT_FILE": trust,
            "CURL_CA_BUNDLE": trust,
            "REQUESTS_CA_BUNDLE": trust,
            "LEGO_CA_CERTIFICATES": trust,
        }

    def run(self, *command: str | Path) -> str:
        """The client to its end, and what it said."""
        self._runs += 1
        log = self.directory / f"run-{self._runs}.log"
        process = Process(self.title, command, log, environment=self.environment)
        self.workspace.processes.append(process)
        try:
            status = process.wait(90)
        finally:
            process.stop()
        if status != 0:
            raise ClientFailed(process.output())
        return process.output()


class _WebrootClient(AcmeClient):
    """A client that writes files for a web server to serve."""

    def prepare(self) -> None:
        self.web = WebrootServer(self.workspace, self.app, self.directory)
        self.processes.append(self.web.process)


class _Certbot(AcmeClient):
    package = "certbot"
    renews = True

    def _certbot(self, *arguments: str | Path) -> None:
        options: Words = ["--server", self.ca.directory, "--non-interactive"]
        for name in ("config", "work", "logs"):
            options += [f"--{name}-dir", self.directory / name]
        self.run("/usr/bin/certbot", *arguments, *options)

    def _obtain_with(self, *plugin: str | Path) -> None:
        self._certbot("certonly", *plugin, "--domain", self.app.domain, "--agree-tos", "--email", EMAIL)
        live = self.directory / "config" / "live" / self.app.domain
        self.chain, self.key = live / "fullchain.pem", live / "privkey.pem"

    def renew(self) -> None:
        self._certbot("renew", "--force-renewal", "--no-random-sleep-on-renew")


class CertbotStandalone(_Certbot):
    title = "certbot --standalone"

    def obtain(self) -> None:
        self._obtain_with("--standalone", "--http-01-address", self.app.address)


class CertbotWebroot(_Certbot, _WebrootClient):
    title = "certbot --webroot"

    def obtain(self) -> None:
        self._obtain_with("--webroot", "--webroot-path", self.web.webroot)


class Dehydrated(_WebrootClient):
    package = "dehydrated"
    title = "dehydrated"
    renews = True

    def prepare(self) -> None:
        super().prepare()
        self._config = self.directory / "config"
        settings = {
            "CA": self.ca.directory,
            "BASEDIR": self.directory,
            "WELLKNOWN": self.web.challenges,
            "CHALLENGETYPE": "http-01",
            "CONTACTEMAIL": EMAIL,
        }
        self._config.write_text("".join(f'{name}="{value}"\n' for name, value in settings.items()))

    def _dehydrated(self, *arguments: str) -> None:
        self.run("/usr/bin/dehydrated", *arguments, "--config", self._config)

    def obtain(self) -> None:
        self._dehydrated("--register", "--accept-terms")
        self._dehydrated("--cron", "--domain", self.app.domain)
        certificates = self.directory / "certs" / self.app.domain
        self.chain, self.key = certificates / "fullchain.pem", certificates / "privkey.pem"

    def renew(self) -> None:
        self._dehydrated("--cron", "--force", "--domain", self.app.domain)


class Uacme(_WebrootClient):
    package = "uacme"
    title = "uacme"
    note = ", but not from a CA that lists dns-persist-01 before http-01"
    renews = True

    @classmethod
    def why_not(cls) -> str | None:
        return None if private_mounts() else "it trusts /etc/ssl/certs alone, and mounts cannot be made private here"

    def prepare(self) -> None:
        super().prepare()
        trust = self.directory / "trust"
        trust.mkdir()
        # As a directory to Debian 12's libcurl with GnuTLS, as this file in it to Debian 13's.
        (trust / "ca-certificates.crt").write_text(self.ca.api_certificate.read_text())
        mount = f"mount --bind {trust} /etc/ssl/certs"
        self._with_trust = [*(private_mounts() or []), "/bin/sh", "-c", f'{mount} && exec "$@"', "sh"]

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"UACME_CHALLENGE_PATH": str(self.web.challenges)}

    def _uacme(self, *arguments: str) -> None:
        state = self.directory / "state"
        hook = "/usr/share/uacme/uacme.sh"
        options: Words = ["--verbose", "--yes", "--acme-url", self.ca.directory, "--confdir", state, "--hook", hook]
        self.run(*self._with_trust, "/usr/bin/uacme", *options, *arguments)

    def obtain(self) -> None:
        self._uacme("new", EMAIL)
        self._uacme("issue", self.app.domain)
        state = self.directory / "state"
        self.chain = state / self.app.domain / "cert.pem"
        self.key = state / "private" / self.app.domain / "key.pem"

    def renew(self) -> None:
        self._uacme("--force", "issue", self.app.domain)


class AcmeTiny(_WebrootClient):
    package = "acme-tiny"
    title = "acme-tiny"
    renews = True

    def prepare(self) -> None:
        super().prepare()
        self.chain, self.key = self.directory / "chain.pem", self.directory / "domain.key"
        self._account, self._request = self.directory / "account.key", self.directory / "domain.csr"
        openssl("genrsa", "-out", self._account, "2048")
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key)
        names = f"subjectAltName=DNS:{self.app.domain}"
        openssl("req", "-new", "-key", self.key, "-subj", "/", "-addext", names, "-out", self._request)

    def obtain(self) -> None:
        # The check that it makes first resolves the name as this machine does, which knows no such name.
        client = ["/usr/bin/acme-tiny", "--disable-check", "--directory-url", self.ca.directory]
        files: Words = ["--account-key", self._account, "--csr", self._request, "--acme-dir", self.web.challenges]
        self.run("/bin/sh", "-c", 'out=$1; shift; exec "$@" >"$out"', "sh", self.chain, *client, *files)

    def renew(self) -> None:
        self.obtain()


class _Lego(AcmeClient):
    package = "lego"

    def _lego(self, *arguments: str | Path) -> None:
        options = ["--server", self.ca.directory, "--accept-tos", "--email", EMAIL, "--domains", self.app.domain]
        self.run("/usr/bin/lego", *options, "--path", self.directory / "lego", "--http", *arguments)
        certificates = self.directory / "lego" / "certificates"
        self.chain = certificates / f"{self.app.domain}.crt"
        self.key = certificates / f"{self.app.domain}.key"


class LegoWebroot(_Lego, _WebrootClient):
    title = "lego --http.webroot"
    renews = True

    def obtain(self) -> None:
        self._lego("--http.webroot", self.web.webroot, "run")

    def renew(self) -> None:
        self._lego("--http.webroot", self.web.webroot, "renew", "--days", "10000", "--no-random-sleep")


class LegoStandalone(_Lego):
    title = "lego --http.port"

    def obtain(self) -> None:
        self._lego("--http.port", f"{self.app.address}:80", "run")


class Acmetool(_WebrootClient):
    package = "acmetool"
    title = "acmetool"

    def prepare(self) -> None:
        super().prepare()
        self._state = self.directory / "state"
        (self._state / "conf").mkdir(parents=True)
        (self.directory / "hooks").mkdir()
        challenge = {"webroot-paths": [str(self.web.challenges)], "http-self-test": False}
        target = {"request": {"provider": self.ca.directory, "challenge": challenge}}
        # JSON is YAML.
        (self._state / "conf" / "target").write_text(json.dumps(target))
        terms = "data:text/plain,Do%20what%20thou%20wilt"
        answers = {"acme-enter-email": EMAIL, f"acme-agreement:{terms}": True}
        (self._state / "conf" / "responses").write_text(json.dumps(answers))

    def obtain(self) -> None:
        options: Words = ["--state", self._state, "--hooks", self.directory / "hooks", "--batch"]
        self.run("/usr/bin/acmetool", *options, "--xlog.severity=info", "want", self.app.domain)
        live = self._state / "live" / self.app.domain
        self.chain, self.key = live / "fullchain", live / "privkey"


@functools.cache
def private_mounts() -> list[str] | None:
    """A command that gives another one mounts of its own, None where there is no such thing."""
    shared = " shared:" in Path("/proc/self/mountinfo").read_text()
    # In a chroot nothing can be made private; it may be so from the start.
    for propagation in ("private",) if shared else ("private", "unchanged"):
        command = ["/usr/bin/unshare", "--mount", "--propagation", propagation]
        if subprocess.run([*command, "/bin/true"], capture_output=True, check=False).returncode == 0:
            return command
    return None


# What of the authority's words stays the same from one try to the next.
_PROBLEM = re.compile(
    r"returned \d{3}\b|did not match this challenge|stopped after \d+ redirects|remote error: tls: [a-z ]+"
    r"|connection reset by peer|\bEOF\b"
)


def problem(output: str) -> str:
    """Why the authority refused, in its own words, from whatever the client wrote of it last; "" if it did not."""
    found = _PROBLEM.findall(output)
    if not found:
        return ""
    return "connection closed" if found[-1] in ("EOF", "connection reset by peer") else str(found[-1])
