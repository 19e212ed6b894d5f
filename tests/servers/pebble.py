"""Pebble, Let's Encrypt's small ACME server for tests: the certificate authority of these tests."""

from __future__ import annotations

import json
import os
import ssl
import urllib.request

from certificates import self_signed
from dns_servers import start_on_free_port
from processes import Process, Workspace, free_port

# Debian's; or a newer one, which knows more of what authorities offer.
PEBBLE = os.environ.get("PEBBLE", "/usr/bin/pebble")

# No waiting before it validates, no nonce refused at random, and (but for one order in a hundred) every
# order validated anew.
_ENVIRONMENT = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}


# For a Pebble that has profiles; the others do not look at them.
_PROFILES = {
    "default": {"description": "90 days", "validityPeriod": 90 * 86400},
    "shortlived": {"description": "six days", "validityPeriod": 6 * 86400},
}


class Pebble:
    """Resolves names at `dns_server` and asks for challenges at `http_port` of whatever address it finds.
    It follows a redirect to https to port 443."""

    def __init__(self, workspace: Workspace, dns_server: str, http_port: int = 80) -> None:
        self._pair = self_signed(workspace.fresh("pebble"), "DNS:localhost", "IP:127.0.0.1")
        # What a client must trust to speak with it; nothing to do with the certificates it issues.
        self.api_certificate = self._pair.certificate
        self._trust = ssl.create_default_context(cafile=str(self.api_certificate))

        def start(port: int) -> Process:
            self.port, self._management_port = port, free_port()
            config = {
                "listenAddress": f"127.0.0.1:{port}",
                "managementListenAddress": f"127.0.0.1:{self._management_port}",
                "certificate": str(self._pair.certificate),
                "privateKey": str(self._pair.key),
                "httpPort": http_port,
                "tlsPort": 443,
                "ocspResponderURL": "",
                "externalAccountBindingRequired": False,
                "profiles": _PROFILES,
            }
            path = workspace.write("pebble.json", json.dumps({"pebble": config}))
            return workspace.start(
                "pebble",
                [PEBBLE, "-config", path, "-dnsserver", dns_server],
                environment=os.environ | {"LC_ALL": "C"} | _ENVIRONMENT,
            )

        self.process, self.port = start_on_free_port(start, lambda port: self._answers())

    @property
    def directory(self) -> str:
        """The URL an ACME client is given."""
        return f"https://127.0.0.1:{self.port}/dir"

    @property
    def root(self) -> str:
        """The root certificate all it issues leads to. It is made anew at each start."""
        return self._get(f"https://127.0.0.1:{self._management_port}/roots/0")

    @property
    def intermediate(self) -> str:
        return self._get(f"https://127.0.0.1:{self._management_port}/intermediates/0")

    def _get(self, url: str) -> str:
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._trust)
        )
        with opener.open(url, timeout=5) as response:
            text: str = response.read().decode()
            return text

    def _answers(self) -> bool:
        try:
            return "newOrder" in self._get(self.directory) and bool(self.root)
        except OSError:
            return False
