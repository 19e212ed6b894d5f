"""The ACME client for apps (deploy/acme-client), run as it is shipped but for its paths and ports, and an app
for it to stand before."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import certificates
import http_client
from http_client import Response
from processes import REPOSITORY, SLOWNESS, Process, Workspace, wait_until

SHIPPED = REPOSITORY / "deploy" / "acme-client"
ENTRYPOINT = SHIPPED / "entrypoint.sh"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def run_to_end(variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ENTRYPOINT],
        env={"PATH": PATH} | dict(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=20 * SLOWNESS,
    )


def processes_of(process: Process) -> list[str]:
    """What is left of it and of all it has started, but for what only waits to be reaped."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # "pid (name) state parent group session ..."; a name may hold anything.
            name, _, fields = path.read_text().rpartition(")")
        except OSError:
            continue
        state, _, _, session = fields.split()[:4]
        if int(session) == process.pid and state != "Z":
            found.append(name)
    return found


class AcmeClient:
    """Listens at an address of its own; keeps its state when it is started again."""

    def __init__(
        self,
        workspace: Workspace,
        address: str,
        variables: Mapping[str, str],
        *,
        ports: tuple[int, int],
        command: Sequence[str | Path] = (ENTRYPOINT,),
    ) -> None:
        self._workspace = workspace
        self.command = command
        self.directory = workspace.fresh("acme-client")
        self.directory.mkdir()
        self.state = self.directory / "state"
        self.webroot = self.directory / "www"
        self.run = self.directory / "run"
        self.access_log = workspace.fresh("acme-client-access.log")
        # The account that it finds at its first start.
        self.account: Path | None = None
        self.address = address
        self.http_port, self.https_port = ports
        self.variables = {
            "STATE_DIR": str(self.state),
            "WEBROOT": str(self.webroot),
            "RUN_DIR": str(self.run),
            "ACCESS_LOG": str(self.access_log),
            "LISTEN": address,
            "HTTP_PORT": str(self.http_port),
            "HTTPS_PORT": str(self.https_port),
        } | dict(variables)

    def environment(self) -> dict[str, str]:
        return {"PATH": PATH} | {name: value for name, value in self.variables.items() if value}

    @property
    def ca_directory(self) -> Path:
        """Where it keeps what belongs to its CA."""
        name = self.variables["ACME_SERVER"].removeprefix("https://")
        return self.state / re.sub(r"[^A-Za-z0-9.-]", "_", name)

    def find_account(self) -> None:
        if self.account:
            shutil.copytree(self.account, self.ca_directory / "accounts")
            self.account = None

    def start(self, **changes: str) -> AcmeClient:
        self.variables |= changes
        self.find_account()
        # LISTEN is a list, and has IPv6 addresses in brackets.
        self.address = self.variables["LISTEN"].split()[0].strip("[]")
        self.process: Process = self._workspace.start(
            "acme-client", self.command, environment=self.environment()
        )
        self.process.wait_until_ready(self._healthy)
        return self

    def _healthy(self) -> bool:
        try:
            return self.get("/health").status == 200
        except (OSError, AssertionError):
            return False

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.signal(number)
        return self.process.wait(15)

    def restart(self, **changes: str) -> AcmeClient:
        assert self.stop() == 0
        return self.start(**changes)

    def get(self, path: str, host: str = "localhost") -> Response:
        return http_client.request(self.http_port, path, host=host, connect=self.address)

    def wait_for_log(self, text: str, times: int = 1, seconds: float = 60) -> None:
        def logged() -> bool:
            assert self.process.running(), f"it has ended:\n{self.process.output()}"
            return self.process.output().count(text) >= times

        wait_until(logged, f"the {times}. {text!r} in the log", seconds)

    def wait_for_certificate(self, name: str) -> None:
        self.wait_for_log(f" {name} has a certificate")

    def wait_until_served(self, name: str) -> None:
        """nginx takes a moment to reload."""
        wait_until(lambda: certificates.read(self.certificate(name)).names == {name}, f"HTTPS for {name}")

    def trusted(self, name: str, root: str, path: str = "/") -> Response:
        """The first verified answer. While nginx reloads, its old workers accept connections too."""
        answers: list[Response] = []

        def verified() -> bool:
            try:
                answers.append(self.https(name, path, root=root))
            except ssl.SSLCertVerificationError:
                return False
            return True

        wait_until(verified, f"a certificate of the authority for {name}", 60)
        return answers[0]

    def certificate(self, name: str) -> str:
        """What is served for that name, PEM."""
        return ssl.DER_cert_to_PEM_cert(self._connect(name, None).cert)

    def https(self, name: str, path: str = "/", root: str | None = None, headers: Sequence[str] = ()) -> Response:
        """Verified, if there is a root certificate to do it with."""
        return self._connect(name, root, "\r\n".join([f"GET {path} HTTP/1.1", *headers])).response

    def _connect(self, name: str, root: str | None, request: str = "GET / HTTP/1.1") -> _Answer:
        context = ssl.create_default_context(cadata=root)
        if root is None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        with socket.create_connection((self.address, self.https_port), 10) as plain:
            with context.wrap_socket(plain, server_hostname=name) as tls:
                certificate = tls.getpeercert(binary_form=True)
                tls.sendall(f"{request}\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
                received = b""
                while chunk := tls.recv(65536):
                    received += chunk
        return _Answer(certificate or b"", http_client.parse_response(received))

    def nginx_pid(self) -> int:
        return int((self.run / "nginx.pid").read_text())

    def worker_users(self) -> set[int]:
        """The user ids of nginx's workers."""
        children = Path(f"/proc/{self.nginx_pid()}/task/{self.nginx_pid()}/children").read_text().split()
        users = set()
        for child in children:
            with suppress(FileNotFoundError):  # one from before a reload ends when it has nothing more to do
                users.add(os.stat(f"/proc/{child}").st_uid)
        return users

    def find(self, pattern: str) -> list[Path]:
        """Files of the state."""
        return sorted(self.state.glob(f"*/{pattern}"))

    def give_certificate(self, name: str, begin: float, end: float, extensions: str = "") -> str:
        """Puts one with these dates where dehydrated would, with its key, or in place of one that was issued, for the
        same key; PEM."""
        directory, stamp = self.ca_directory / "certs" / name, "0000000001"
        if not (directory / "fullchain.pem").exists():
            directory.mkdir(parents=True)
            certificates.new_key(directory / f"privkey-{stamp}.pem")
            for kind in ("privkey", "fullchain"):
                (directory / f"{kind}.pem").symlink_to(f"{kind}-{stamp}.pem")
        chain = directory / "fullchain.pem"
        file = directory / chain.readlink()
        certificates.dated(file, directory / "privkey.pem", name, begin, end, extensions=extensions)
        return ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(chain.read_text()))


class _Answer:
    """What came back over TLS, and the certificate it came with."""

    def __init__(self, cert: bytes, response: Response) -> None:
        self.cert, self.response = cert, response


class App:
    """An HTTP server that remembers what it was asked."""

    def __init__(self) -> None:
        requests = self.requests = []  # type: list[tuple[str, dict[str, str]]]

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                self.send_response(200)
                self.send_header("Content-Length", "8")
                self.end_headers()
                self.wfile.write(b"the app\n")

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> App:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
