"""The Debian package with the program that was built and the maintainer scripts that debhelper writes, and a machine on
which it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from machine import Machine
from processes import BUILD, REPOSITORY, Workspace, wait_until
from quick_dns import QuickDns
from relay import config_text

SOCKET, SERVICE, PROCESSES = "http01-relay.socket", "http01-relay.service", "http01-relay-spawn-fcgi.service"
CONFIG = "/etc/http01-relay/http01-relay.toml"

# Installs what is built, and compiles nothing.
_MAKEFILE = """\
all:
install: ; $(MAKE) -f Makefile.shipped --old-file=all install
"""


def build(workspace: Workspace) -> Path:
    """As `make deb` does it, but nothing is compiled again."""
    tree = workspace.fresh("package") / "http01-relay"
    for name in ("etc", "deploy"):
        shutil.copytree(REPOSITORY / name, tree / name)
    (tree / "deploy" / "debian").rename(tree / "debian")
    shutil.copy(REPOSITORY / "Makefile", tree / "Makefile.shipped")
    (tree / "Makefile").write_text(_MAKEFILE)
    theirs = ("MAKE", "MFLAGS", "DESTDIR", "PREFIX", "SYSCONFDIR", "UNITDIR", "DEB_", "DH_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    environment |= {"BUILD": str(BUILD), "DEB_BUILD_OPTIONS": "nocheck nostrip", "DPKG_DEB_COMPRESSOR_TYPE": "none"}
    ended = subprocess.run(
        ["debian/rules", "binary"], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (package,) = tree.parent.glob("http01-relay_*.deb")
    return package


class Installed:
    """The package on a machine, with a configuration that asks the tests' name server."""

    def __init__(self, machine: Machine, package: Path, dns: QuickDns) -> None:
        self.machine = machine
        machine.path("/root/http01-relay.deb").write_bytes(package.read_bytes())
        self.install()
        self.dns = dns
        self.good = config_text(dns.server)
        self.configure(self.good)

    @property
    def address(self) -> str:
        return str(self.machine.path("/run/http01-relay/relay.sock"))

    def install(self) -> None:
        """Where it is installed already, this is an upgrade to dpkg and to the scripts."""
        self.machine.run("dpkg", "--no-triggers", "--install", "/root/http01-relay.deb")

    def configure(self, text: str) -> None:
        self.machine.path(CONFIG).write_text(text)

    def enable(self, *units: str) -> None:
        self.machine.systemctl("enable", "--now", *units)

    def states(self) -> list[str]:
        return [self.machine.show(unit, "ActiveState") for unit in (SOCKET, SERVICE, PROCESSES)]

    def main_pid(self, unit: str = SERVICE) -> int:
        return int(self.machine.show(unit, "MainPID"))

    def override(self, unit: str, text: str) -> None:
        """As `systemctl edit` does it; `systemctl revert` takes it back."""
        path = self.machine.path(f"/etc/systemd/system/{unit}.d/override.conf")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.machine.systemctl("daemon-reload")

    def kill(self, unit: str = SERVICE) -> None:
        """As an out-of-memory killer would. It returns when another main process runs."""
        pid = self.main_pid(unit)
        self.machine.systemctl("kill", "--kill-whom=main", "--signal=KILL", unit)
        wait_until(lambda: self.main_pid(unit) not in (0, pid), "the next start")
