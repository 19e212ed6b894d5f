"""A server before Pebble that changes what it says to what a newer authority says: renewal information (RFC 9773),
and orders that list dns-persist-01 first. What is signed, is signed by the client, for the address of this one."""

from __future__ import annotations

import base64
import http.client
import http.server
import json
import shutil
import ssl
import threading
from pathlib import Path
from typing import Any

from certificates import self_signed
from pebble import Pebble
from processes import Workspace

RENEWAL_INFO = "/renewal-info"

# Boulder's and Pebble's: the only challenge without a token.
DNS_PERSIST = {
    "type": "dns-persist-01",
    "status": "pending",
    "url": "https://127.0.0.1/none",
    "issuer-domain-names": ["ca.test"],
    "accounturi": "https://127.0.0.1/account",
}


class CaFront:
    """An authority as an ACME client sees it."""

    def __init__(self, workspace: Workspace, pebble: Pebble) -> None:
        pair = self_signed(workspace.fresh("ca-front"), "IP:127.0.0.1")
        self.api_certificate = pair.certificate
        self._workspace, self._pebble = workspace, pebble
        # What the directory has; None: as Pebble's is.
        self.renewal_info: object = None
        # What is answered to questions about certificates: status, headers, text.
        self.answer: tuple[int, dict[str, str], str] = (404, {}, "{}")
        self.dns_persist_first = False
        self.out_of_order = False
        # The certificates that were asked for.
        self.asked: list[str] = []
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if front.out_of_order:
                    self._answer(503, {}, "")
                elif self.path.startswith(f"{RENEWAL_INFO}/"):
                    front.asked.append(self.path.removeprefix(f"{RENEWAL_INFO}/"))
                    self._answer(*front.answer)
                else:
                    self._answer(*front._ask(self))

            do_POST = do_HEAD = do_GET

            def _answer(self, status: int, headers: dict[str, str], text: str) -> None:
                body = text.encode("latin-1")
                self.send_response_only(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> CaFront:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def directory(self) -> str:
        return f"https://127.0.0.1:{self.port}/dir"

    @property
    def renewal_url(self) -> str:
        return f"https://127.0.0.1:{self.port}{RENEWAL_INFO}"

    def variables(self) -> dict[str, str]:
        return {"ACME_SERVER": self.directory, "ACME_CA_BUNDLE": str(self.api_certificate)}

    def account(self, account: Path) -> Path:
        """The same account of dehydrated's, as it is when it was made here."""
        directory = self._workspace.fresh("account")
        (kept,) = account.iterdir()
        # Its name is the directory's URL.
        here = directory / base64.urlsafe_b64encode(f"{self.directory}\n".encode()).decode().rstrip("=")
        shutil.copytree(kept, here)
        for file in here.glob("*.json"):
            file.write_text(file.read_text().replace(f":{self._pebble.port}/", f":{self.port}/"))
        return directory

    def suggest(self, start: str, end: str, *, retry_after: str = "", explanation: str = "") -> None:
        """A window for whatever certificate."""
        text = {"suggestedWindow": {"start": start, "end": end}}
        more = {"explanationURL": explanation} if explanation else {}
        headers = {"Retry-After": retry_after} if retry_after else {}
        self.renewal_info = self.renewal_url
        self.answer = (200, headers, json.dumps(text | more))

    def _ask(self, request: http.server.BaseHTTPRequestHandler) -> tuple[int, dict[str, str], str]:
        trust = ssl.create_default_context(cafile=str(self._pebble.api_certificate))
        connection = http.client.HTTPSConnection("127.0.0.1", self._pebble.port, timeout=20, context=trust)
        try:
            body = request.rfile.read(int(request.headers.get("Content-Length", "0")))
            # With the Host that came, so that Pebble's URLs lead here.
            headers = {name: value for name, value in request.headers.items() if name.lower() != "connection"}
            connection.request(request.command, request.path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode("latin-1")
        finally:
            connection.close()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _OWN_HEADERS}
        return answer.status, kept, self._changed(request.path, text)

    def _changed(self, path: str, text: str) -> str:
        if path == "/dir" and self.renewal_info is not None:
            return json.dumps(json.loads(text) | {"renewalInfo": self.renewal_info})
        if path.startswith("/authZ/") and self.dns_persist_first:
            authorization = json.loads(text)
            authorization["challenges"].sort(key=lambda challenge: challenge["type"] != "http-01")
            authorization["challenges"].insert(0, DNS_PERSIST)
            return json.dumps(authorization)
        return text


_OWN_HEADERS = {"content-length", "connection", "date", "transfer-encoding"}
