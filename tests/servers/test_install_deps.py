"""`tests/install-deps`: what it brings does not run, now or at the next boot, and it says what comes and what stays."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from acme_clients import private_mounts
from processes import REPOSITORY, Workspace

SCRIPT = REPOSITORY / "tests" / "install-deps"

# A machine on which nginx was installed, and enabled, by somebody else.
DPKG_QUERY = """#!/bin/sh
case $* in
"-L lighttpd") printf '%s\\n' /usr/sbin/lighttpd /etc/init.d/lighttpd /lib/systemd/system/lighttpd.service ;;
"-L lighttpd-data") printf '%s\\n' /usr/share/data /usr/lib/systemd/system/lighttpd-maint.timer ;;
"-L "*) echo /usr/share/doc/this ;;
-W*)
  for name in curl dehydrated iproute2 libnginx-mod-stream nginx openssl pebble python3 unbound; do
    echo "installed $name 100"
  done
  echo "config-files caddy 100"
  [ ! -e "$STATE/installed" ] || printf '%s\\n' "installed lighttpd 2048" "installed lighttpd-data 3072" "installed nsd 1024" ;;
*) echo "unexpected: dpkg-query $*" >&2; exit 1 ;;
esac
"""
APT_GET = """#!/bin/sh
case $* in
"update -q") ;;
"install -q -y --no-install-recommends -o "*" --print-uris lighttpd nsd")
  printf "'http://mirror/%s' %s.deb %s SHA256:0\\n" lighttpd lighttpd 2000000 data data 3000000 nsd nsd 1000000 ;;
"install -q -y --no-install-recommends -o "*" lighttpd nsd")
  # As invoke-rc.d(8) would ask, and as a package's scripts do then.
  /usr/sbin/policy-rc.d lighttpd start
  echo "policy $?" >>"$STATE/said"
  touch "$STATE/installed"
  cd /etc/systemd/system
  mkdir -p multi-user.target.wants timers.target.wants
  ln -s /lib/systemd/system/lighttpd.service multi-user.target.wants/
  ln -s /usr/lib/systemd/system/lighttpd-maint.timer timers.target.wants/
  exit "${APT_STATUS:-0}" ;;
*) echo "unexpected: apt-get $*" >&2; exit 1 ;;
esac
"""


# The real one disables the unit of that name too.
UPDATE_RC_D = """#!/bin/sh
echo "update-rc.d $*" >>"$STATE/said"
rm -f "/etc/systemd/system/multi-user.target.wants/$1.service"
"""


class Machine:
    """Its /etc/systemd/system and /usr/sbin are directories of this test, its package manager is a script."""

    def __init__(self, workspace: Workspace, unshare: list[str]) -> None:
        self.said = workspace.path / "said"
        self.units, self.sbin = workspace.fresh("units"), workspace.fresh("sbin")
        fakes = workspace.fresh("fakes")
        for directory in (fakes, self.units, self.sbin):
            directory.mkdir()
        for name, text in {"dpkg-query": DPKG_QUERY, "apt-get": APT_GET, "update-rc.d": UPDATE_RC_D}.items():
            (fakes / name).write_text(text)
            (fakes / name).chmod(0o755)
        others = self.units / "multi-user.target.wants" / "nginx.service"
        others.parent.mkdir()
        others.symlink_to("/lib/systemd/system/nginx.service")
        Path("/etc/systemd/system").mkdir(parents=True, exist_ok=True)
        mounts = f"mount --bind {self.units} /etc/systemd/system && mount --bind {self.sbin} /usr/sbin"
        self._command: list[str | Path] = [*unshare, "sh", "-c", f'{mounts} && exec "$@"', "sh", SCRIPT, "demo"]
        self._environment = {"PATH": f"{fakes}:/usr/bin:/bin", "STATE": str(workspace.path)}

    def run(self, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = self._environment | variables
        return subprocess.run(self._command, env=environment, capture_output=True, text=True, check=False)

    def links(self) -> set[str]:
        return {str(path.relative_to(self.units)) for path in self.units.rglob("*") if path.is_symlink()}


@pytest.fixture(name="machine")
def machine_fixture(workspace: Workspace) -> Machine:
    if os.geteuid() != 0:
        pytest.skip("only root can give the script another /etc/systemd/system")
    unshare = private_mounts()
    if unshare is None:
        pytest.skip("mounts cannot be made private here")
    return Machine(workspace, unshare)


def test_what_it_brings_starts_nothing(machine: Machine) -> None:
    ended = machine.run()
    assert (ended.returncode, ended.stderr) == (0, "")
    said = ended.stdout.splitlines()
    assert said[0] == "install-deps: 3 packages, 6 MB to fetch, for: lighttpd nsd"
    assert said[-2].startswith("install-deps: 3 packages, 6 MB, were installed and stay.")
    assert said[-2].endswith("apt-get purge --autoremove lighttpd nsd")
    assert said[-1].endswith(": lighttpd.service lighttpd-maint.timer")
    assert machine.said.read_text() == "policy 101\nupdate-rc.d lighttpd disable\n"
    assert machine.links() == {"multi-user.target.wants/nginx.service"}
    assert list(machine.sbin.iterdir()) == []  # the policy has gone again
    # Nothing is missing now, so nothing is done or said.
    ended = machine.run()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_daemon_of_an_installation_that_failed_half_way_does_not_start_either(machine: Machine) -> None:
    ended = machine.run(APT_STATUS="100")
    assert ended.returncode == 100
    assert "were installed" not in ended.stdout
    assert machine.links() == {"multi-user.target.wants/nginx.service"}
    assert list(machine.sbin.iterdir()) == []
