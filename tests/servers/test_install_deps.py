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
"-L lighttpd") printf '%s\\n' /usr/sbin/lighttpd /lib/systemd/system/lighttpd.service ;;
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
  ln -s /usr/lib/systemd/system/lighttpd-maint.timer timers.target.wants/ ;;
*) echo "unexpected: apt-get $*" >&2; exit 1 ;;
esac
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give the script another /etc/systemd/system")
def test_what_it_brings_starts_nothing(workspace: Workspace) -> None:
    unshare = private_mounts()
    if unshare is None:
        pytest.skip("mounts cannot be made private here")
    fakes, units, sbin = (workspace.fresh(name) for name in ("fakes", "units", "sbin"))
    for directory in (fakes, units, sbin):
        directory.mkdir()
    for name, text in {"dpkg-query": DPKG_QUERY, "apt-get": APT_GET}.items():
        (fakes / name).write_text(text)
        (fakes / name).chmod(0o755)
    others = units / "multi-user.target.wants" / "nginx.service"
    others.parent.mkdir()
    others.symlink_to("/lib/systemd/system/nginx.service")
    mounts = f"mount --bind {units} /etc/systemd/system && mount --bind {sbin} /usr/sbin"

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*unshare, "sh", "-c", f'{mounts} && exec "$@"', "sh", SCRIPT, "demo"],
            env={"PATH": f"{fakes}:/usr/bin:/bin", "STATE": str(workspace.path)},
            capture_output=True,
            text=True,
            check=False,
        )

    Path("/etc/systemd/system").mkdir(parents=True, exist_ok=True)
    ended = run()
    assert (ended.returncode, ended.stderr) == (0, "")
    said = ended.stdout.splitlines()
    assert said[0] == "install-deps: 3 packages, 6 MB to fetch, for: lighttpd nsd"
    assert said[-2].startswith("install-deps: 3 packages, 6 MB, have come and stay.")
    assert said[-2].endswith("apt-get purge --autoremove lighttpd nsd")
    assert said[-1].endswith(": lighttpd.service lighttpd-maint.timer")
    assert (workspace.path / "said").read_text() == "policy 101\n"
    links = {str(path.relative_to(units)) for path in units.rglob("*") if path.is_symlink()}
    assert links == {"multi-user.target.wants/nginx.service"}
    assert list(sbin.iterdir()) == []  # the policy has gone again
    # Nothing is missing now, so nothing is done or said.
    ended = run()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
