"""Instructions and allocations of one request from the cache, counted by valgrind: what a run of many requests
has more than a run of few, divided. The same on every machine, however busy."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import measure
from processes import RELAY, Workspace, answers_at
from relay import clean_environment

FEW, MANY = 200, 1200

# Whose instructions are not the relay's.
LIBC = re.compile(r"/(libc|libm|libpthread|ld-linux[^/]*|libgcc_s)(\.so|-)")
LIBFCGI = re.compile(r"/libfcgi\b")
ALLOCATIONS = re.compile(r"^(malloc|calloc|realloc|aligned_alloc|posix_memalign)$")


@dataclass(frozen=True)
class Profile:
    by_object: Counter[str]  # file of the program or library → instructions
    by_function: Counter[tuple[str, str]]
    allocations: int

    def __sub__(self, other: "Profile") -> "Profile":
        return Profile(
            self.by_object - other.by_object,
            self.by_function - other.by_function,
            self.allocations - other.allocations,
        )


def read(path: Path) -> Profile:
    """A file in callgrind's format, written without compressed names."""
    by_object: Counter[str] = Counter()
    by_function: Counter[tuple[str, str]] = Counter()
    allocations = 0
    here = function = called = ""
    is_call = False
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("ob="):
            here = line[3:]
        elif line.startswith("fn="):
            function = line[3:]
        elif line.startswith("cfn="):
            called = line[4:]
        elif line.startswith("calls="):
            if ALLOCATIONS.match(called):
                allocations += int(line[6:].split()[0])
            # The next line has what the call cost in the function called.
            is_call = True
        elif line[:1].isdigit() or line[:1] in "+-*":
            if is_call:
                is_call = False
                continue
            fields = line.split()
            if len(fields) > 1:
                by_object[here] += int(fields[1])
                by_function[here, function] += int(fields[1])
    return Profile(by_object, by_function, allocations)


def _run(workspace: Workspace, config: Path, requests: int, keep: bool) -> Profile:
    socket = workspace.fresh("callgrind.sock")
    out = workspace.fresh("callgrind.out")
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--compress-strings=no"]
    process = workspace.start(
        "callgrind",
        [*command, "--compress-pos=no", RELAY, "-c", config, "--listen", f"unix:{socket}"],
        environment=clean_environment(),
    )
    process.wait_until_ready(lambda: answers_at(str(socket)))
    measure.fastcgi(socket, connections=1, requests=requests, seconds=60, keep=int(keep))
    process.stop()
    return read(out)


def of_one_request(workspace: Workspace, config: Path, *, keep: bool = False) -> Profile:
    """Counts of MANY - FEW requests; divide by that."""
    return _run(workspace, config, MANY, keep) - _run(workspace, config, FEW, keep)


def own(profile: Profile) -> int:
    """Instructions outside libc and libfcgi: the program and the C++ libraries that it uses."""
    return sum(
        count for name, count in profile.by_object.items() if not LIBC.search(name) and not LIBFCGI.search(name)
    )
