"""Web servers that are ACME clients themselves: Apache with mod_md, Caddy. They look up a challenge by the
Host that asks for it, so they want to be asked by their own name: on the TLS port, through the gateway."""

from __future__ import annotations

import json
import signal
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from acme_clients import EMAIL, AcmeClient, ClientFailed
from certificates import public_key_of, read, self_signed, split_chain
from processes import NotReady, Process, wait_until

_MODULES = Path("/usr/lib/apache2/modules")


class ServerClient(AcmeClient):
    """A server that gets its certificate by itself, sometime after it has started."""

    process: Process
    # What it writes when the authority refuses.
    refusals: tuple[str, ...]

    def start_server(self, command: list[str | Path]) -> None:
        self.process = Process(self.title, command, self.directory / "server.log", environment=self.environment)
        self.workspace.processes.append(self.process)
        self.processes.append(self.process)

    def said(self) -> str:
        return "".join(path.read_text(errors="replace") for path in sorted(self.directory.glob("*.log")))

    def has_pair(self, old: str = "") -> bool:
        """Whether there is another certificate than the old one, and its key: no server writes both in one step."""
        try:
            chain = self.chain.read_text()
            fits = split_chain(chain) and read(chain).public_key == public_key_of(self.key)
        except (AssertionError, OSError):
            return False
        return bool(fits) and chain != old

    def wait_for(self, obtained: Callable[[], bool]) -> None:
        def obtained_or_refused() -> bool:
            said = self.said()
            if not self.process.running() or any(word in said for word in self.refusals):
                raise ClientFailed(said)
            return obtained()

        try:
            wait_until(obtained_or_refused, f"{self.title} to get a certificate", 60)
        except NotReady as late:
            raise ClientFailed(f"{late}; it said:\n{self.said()}") from late

    def wait_until_served(self, gateway_address: str, certificate: str) -> bytes:
        """The certificate that a visitor of the custom name sees, through the gateway. A server needs a moment
        to take a new one into use; this waits for it."""
        wanted = ssl.PEM_cert_to_DER_cert(certificate)
        seen = b""

        def served() -> bool:
            nonlocal seen
            seen = self._served(gateway_address)
            return seen == wanted

        wait_until(served, f"{self.title} to serve its new certificate")
        return seen

    def _served(self, gateway_address: str) -> bytes:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            with socket.create_connection((gateway_address, 443), 10) as connection:
                with context.wrap_socket(connection, server_hostname=self.app.domain) as tls:
                    return tls.getpeercert(binary_form=True) or b""
        except OSError:
            return b""  # in the middle of a reload


class ModMd(ServerClient):
    """Until it has a certificate for a name, it answers 503 to all that asks for the name over TLS, even for
    the challenge. So the TLS port is at first a host without that name, with a self-signed certificate."""

    package = "apache2-bin"
    title = "Apache mod_md, a self-signed certificate at first"
    renews = True
    refusals = ("AH10056:",)
    first_certificate = True

    def prepare(self) -> None:
        store = self.directory / "md"
        self._staged = store / "staging" / self.app.domain / "pubcert.pem"
        active = store / "domains" / self.app.domain
        self.chain, self.key = active / "pubcert.pem", active / "privkey.pem"
        modules = ["mpm_event", "authz_core", "socache_shmcb", "ssl", "md"]
        loaded = "\n".join(f"LoadModule {name}_module {_MODULES}/mod_{name}.so" for name in modules)
        (self.directory / "htdocs").mkdir()
        self._config = self.directory / "apache2.conf"
        self._config.write_text(f"""
{loaded}
User www-data
Group www-data
ServerRoot {self.directory}
DefaultRuntimeDir {self.directory}
PidFile {self.directory}/apache2.pid
Mutex pthread
ServerName localhost
ServerAdmin {EMAIL}
ErrorLog {self.directory}/error.log
StartServers 1
ThreadsPerChild 8
MaxRequestWorkers 8
Listen {self.app.address}:80
Listen {self.app.address}:{self.app.tls_port}
DocumentRoot {self.directory}/htdocs
MDStoreDir {store}
MDCertificateAuthority {self.ca.directory}
MDCACertificateFile {self.ca.api_certificate}
MDCertificateAgreement accepted
# Even while no host on a TLS port has the name.
MDRenewMode always
MDomain {self.app.domain}
<VirtualHost {self.app.address}:80>
  ServerName {self.app.domain}
</VirtualHost>
{self._tls_host() if self.first_certificate else self._managed_host()}
""")

    def _has_staged(self) -> bool:
        return self._staged.exists() and self._staged.stat().st_size > 0

    def _managed_host(self) -> str:
        return f"""
<VirtualHost {self.app.address}:{self.app.tls_port}>
  ServerName {self.app.domain}
  SSLEngine on
</VirtualHost>
"""

    def _tls_host(self) -> str:
        pair = self_signed(self.directory / "tls", f"DNS:{self.app.domain}")
        return f"""
<IfFile "{self._staged}">
  Define have_certificate
</IfFile>
<IfFile "{self.chain}">
  Define have_certificate
</IfFile>
<IfDefine have_certificate>
{self._managed_host()}
</IfDefine>
<IfDefine !have_certificate>
<VirtualHost {self.app.address}:{self.app.tls_port}>
  ServerName first.invalid
  SSLEngine on
  SSLCertificateFile {pair.certificate}
  SSLCertificateKeyFile {pair.key}
</VirtualHost>
</IfDefine>
"""

    def obtain(self) -> None:
        self.start_server(["/usr/sbin/apache2", "-DFOREGROUND", "-d", self.directory, "-f", self._config])
        self.wait_for(self._has_staged)
        # It takes a new certificate into use when it is reloaded, as its manual says.
        self.process.signal(signal.SIGUSR1)
        self.wait_for(self.has_pair)

    def renew(self) -> None:
        old = self.chain.read_text()
        with self._config.open("a") as config:
            config.write("MDRenewWindow 1826d\n")
        self.process.signal(signal.SIGUSR1)
        self.wait_for(self._has_staged)
        self.process.signal(signal.SIGUSR1)
        wait_until(lambda: self.has_pair(old), "the new certificate's file", 60)


class ModMdAlone(ModMd):
    title = "Apache mod_md"
    first_certificate = False


class Caddy(ServerClient):
    """Without any certificate it ends no TLS at all, and the challenge never reaches it. A self-signed one for
    a wildcard will do: it gives way to one for the very name."""

    package = "caddy"
    title = "Caddy, a self-signed certificate at first"
    renews = True
    refusals = ("challenge failed",)
    first_certificate = True

    def prepare(self) -> None:
        self._config = self.directory / "Caddyfile"
        self._config.write_text(f"""
{{
  admin off
  default_bind {self.app.address}
  storage file_system {self.directory}/caddy
  email {EMAIL}
  acme_ca {self.ca.directory}
  acme_ca_root {self.ca.api_certificate}
  auto_https ignore_loaded_certs
}}
{self.app.domain} {{
  tls {{
    # No change; but with a setting of its own this site is not bound to the other one's certificate.
    protocols tls1.2 tls1.3
    issuer acme {{
      disable_tlsalpn_challenge
    }}
  }}
  respond "the app"
}}
{self._first_certificate() if self.first_certificate else ""}
""")
        certificates = self.directory / "caddy" / "certificates" / f"127.0.0.1-{self.ca.port}-dir" / self.app.domain
        self.chain = certificates / f"{self.app.domain}.crt"
        self.key = certificates / f"{self.app.domain}.key"

    def _first_certificate(self) -> str:
        wildcard = f"DNS:*.{self.app.domain.split('.', 1)[1]}"
        pair = self_signed(self.directory / "tls", wildcard)
        return f":{self.app.tls_port} {{\n  tls {pair.certificate} {pair.key}\n}}"

    def obtain(self) -> None:
        self.start_server(["/usr/bin/caddy", "run", "--config", self._config, "--adapter", "caddyfile"])
        self.wait_for(self.has_pair)

    def renew(self) -> None:
        old = self.chain.read_text()
        self.process.stop()
        output = self.run("/usr/bin/caddy", "adapt", "--config", self._config)
        adapted = json.loads(next(line for line in output.splitlines() if line.startswith('{"admin"')))
        for policy in adapted["apps"]["tls"]["automation"]["policies"]:
            policy["renewal_window_ratio"] = 1.0
        config = self.directory / "renew.json"
        config.write_text(json.dumps(adapted))
        self.start_server(["/usr/bin/caddy", "run", "--config", config])
        wait_until(lambda: self.has_pair(old), "the new certificate's file", 60)


class CaddyAlone(Caddy):
    title = "Caddy"
    first_certificate = False
