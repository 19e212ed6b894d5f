"""The system calls of a program, as strace tells them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from processes import Workspace


def command(
    workspace: Workspace, program: list[str | Path], *rules: str, with_children: bool = True
) -> tuple[list[str | Path], Path]:
    """What starts `program` under strace, threads and all, and the file that is written. The rules are those of its
    option -e. Skips the test where nothing can be traced."""
    trace = workspace.fresh("trace")
    probe = subprocess.run(["/usr/bin/strace", "-o", trace, "/bin/true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"strace cannot trace here: {probe.stderr.strip()}")
    options = ["-f"] * with_children + [word for rule in rules for word in ("-e", rule)]
    return ["/usr/bin/strace", "-qq", "-o", trace, *options, *program], trace


def calls(trace: Path) -> list[str]:
    """One line a call, in the order of their ends. strace writes in two parts what another thread comes between."""
    whole = []
    begun: dict[str, str] = {}
    for line in trace.read_text().splitlines():
        thread = line.split()[0]
        if line.endswith(" <unfinished ...>"):
            begun[thread] = line.removesuffix(" <unfinished ...>")
        elif resumed := re.match(r"\d+ +<\.\.\. \w+ resumed>", line):
            whole.append(begun.pop(thread) + line[resumed.end() :])
        else:
            whole.append(line)
    return whole + list(begun.values())
