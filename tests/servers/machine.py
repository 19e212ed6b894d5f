"""A machine for a test alone: systemd is its first process, and its files are a view of this machine's files. Packages
can be installed there and units started. Nothing of that is left when the machine has stopped. The network is the one
of this machine.

It needs root, and a kernel that allows namespaces, an overlay and cgroup2; elsewhere the test is skipped.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from held import children
from processes import Workspace, wait_until

# Runs in a mount namespace of its own. $1: an empty directory, $2: the name of a cgroup.
_MOUNTS = r"""
set -e
mkdir -p "$1"
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/cgroup" "$1/upper" "$1/work" "$1/root"
mount -t cgroup2 none "$1/cgroup"
mkdir "$1/cgroup/$2"
echo $$ >"$1/cgroup/$2/cgroup.procs"
umount "$1/cgroup"
exec unshare --cgroup --pid --ipc --uts --fork --kill-child bash -c "$3" machine "$1"
"""

# Runs as the first process of its own PID namespace. Units of this machine are there, but none is enabled: at boot
# only the journal starts. Kernel settings can be read and not changed.
_BOOT = r"""
set -e
root=$1/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 none "$root/sys/fs/cgroup"
for directory in run tmp dev; do mount -t tmpfs -o mode=755 tmpfs "$root/$directory"; done
chmod 1777 "$root/tmp"
mkdir -m 1777 "$root/dev/shm"
mkdir "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
for name in null zero full random urandom tty; do
  touch "$root/dev/$name"
  mount --bind "/dev/$name" "$root/dev/$name"
done
ln -s /proc/self/fd "$root/dev/fd"
cd "$root"
: >etc/fstab
rm -rf usr/sbin/policy-rc.d etc/systemd/system/* etc/http01-relay usr/lib/systemd/system-generators
rm -rf usr/lib/systemd/system/*.wants lib/systemd/system/*.wants
mkdir etc/systemd/system/sockets.target.wants
for name in systemd-journald.socket systemd-journald-dev-log.socket; do
  ln -s "/lib/systemd/system/$name" etc/systemd/system/sockets.target.wants
done
pivot_root . .
umount -l .
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
  /lib/systemd/systemd --system --log-target=console --unit=basic.target
"""

_REMOVE_CGROUP = r"""
mount -t cgroup2 none "$1" && find "$1/$2" -depth -type d -exec rmdir {} +
"""


class Machine:
    def __init__(self, workspace: Workspace) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root can start a machine with systemd")
        self._directory = workspace.fresh("machine")
        self._cgroup = f"http01-relay-test-{os.getpid()}-{self._directory.parent.name}"
        self._process = workspace.start(
            "machine", ["unshare", "--mount", "bash", "-c", _MOUNTS, "machine", self._directory, self._cgroup, _BOOT]
        )
        wait_until(lambda: not self._process.running() or self._booted(), "systemd")
        if not self._process.running():
            pytest.skip(f"no machine can be started here: {self._process.output().strip()}")
        (self._init,) = children(self._process.pid)
        state = self.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip()
        assert state == "running", f"{state}\n{self._process.output()}"

    def _booted(self) -> bool:
        """Whether systemd has its own root directory and answers there."""
        try:
            return any(
                Path(f"/proc/{pid}/comm").read_text() == "systemd\n"
                and Path(f"/proc/{pid}/root/run/systemd/private").exists()
                for pid in children(self._process.pid)
            )
        except OSError:  # one of them has ended
            return False

    def path(self, inside: str) -> Path:
        """A file of that machine, seen from here. A unix socket can be reached there too."""
        return Path(f"/proc/{self._init}/root{inside}")

    def run(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command on that machine, as root."""
        ended = subprocess.run(
            ["nsenter", "--all", f"--target={self._init}", "--root", "--wd", *map(str, command)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
        )
        assert not check or ended.returncode == 0, f"{command}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
        return ended

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        return self.run("systemctl", *arguments, check=check).stdout.strip()

    def show(self, unit: str, setting: str) -> str:
        """One property of a unit, such as ActiveState, NRestarts or MainPID."""
        return self.systemctl("show", "--value", f"--property={setting}", unit)

    def journal(self, unit: str) -> str:
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}", check=False).stdout

    def stop(self) -> None:
        """All processes of that machine end with its first one."""
        if self._process.running():
            os.kill(self._init, signal.SIGKILL)
            self._process.wait()
        subprocess.run(
            ["unshare", "--mount", "bash", "-c", _REMOVE_CGROUP, "machine", self._directory, self._cgroup], check=False
        )
