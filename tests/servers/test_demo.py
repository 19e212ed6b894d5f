"""`make demo`: a certificate on the first try, nothing on the way that looks like a fault, and a busy port named."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from processes import RELAY, REPOSITORY, SLOWNESS, Workspace

DEMO = REPOSITORY / "tests" / "demo"
OWN_NETWORK = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
ANOTHER_USER = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def skip_unless(command: list[str | Path], what: str) -> None:
    probe = subprocess.run(command, capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"{what}: {probe.stderr.strip()}")


@pytest.mark.parametrize("user", [[], ANOTHER_USER], ids=["this user", "another user"])
def test_it_ends_with_a_certificate_and_what_to_do_next(user: list[str | Path]) -> None:
    kind = ["--net"] if os.geteuid() == 0 and not user else ["--user", "--map-current-user", "--keep-caps", "--net"]
    skip_unless([*user, "unshare", *kind, "true"], "no network namespace can be made here")
    skip_unless([*user, RELAY, "--version"], "another user cannot read what is built")
    ended = subprocess.run([*user, DEMO], capture_output=True, text=True, check=False, timeout=120 * SLOWNESS)
    assert (ended.returncode, ended.stderr) == (0, "")
    steps = re.findall(r"^== (\d+)\. (.+)$", ended.stdout, re.MULTILINE)
    assert [int(number) for number, _ in steps] == list(range(1, len(steps) + 1))
    assert re.fullmatch(r"Done: a certificate for app\.example\.com, issued in \d+ s", steps[-1][1])
    assert "app.example.com: redirect (ok, 307), nothing found wrong\n" in ended.stdout
    assert not re.search(r"\b(fault|error|warning|failed)\b", ended.stdout, re.IGNORECASE)


def test_without_a_namespace_a_busy_port_is_named_before_anything_starts(workspace: Workspace) -> None:
    """In one that the test makes, so that the port is nobody else's."""
    skip_unless([*OWN_NETWORK, "true"], "no network namespace can be made here")
    (workspace.path / "unshare").symlink_to("/bin/false")
    script = (
        "import os, socket, subprocess, sys\n"
        "taken = socket.create_server(('0.0.0.0', 80))\n"
        "print(os.getpid(), flush=True)\n"
        "sys.exit(subprocess.run(sys.argv[1:]).returncode)\n"
    )
    ended = subprocess.run(
        [*OWN_NETWORK, "env", f"PATH={workspace.path}:{os.environ['PATH']}", "python3", "-c", script, DEMO],
        capture_output=True,
        text=True,
        check=False,
        timeout=20 * SLOWNESS,
    )
    pid = int(ended.stdout)  # and nothing else
    assert ended.returncode == 1
    assert re.fullmatch(rf"demo: python3\S* \(process {pid}\) has port 80, which a CA must reach; .*\n", ended.stderr)
