"""The systemd units as they are shipped: what stands in them, and what systemd-analyze says of them."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from processes import RELAY, REPOSITORY

SHIPPED = REPOSITORY / "deploy" / "systemd"
ANALYZE = "/usr/bin/systemd-analyze"


class Unit:
    """A unit file. What a test must have otherwise is replaced in the text; what is not found there is a mistake."""

    def __init__(self, name: str, changes: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.text = (SHIPPED / name).read_text()
        for old, new in (changes or {}).items():
            assert old in self.text, f"{name} no longer has {old!r}"
            self.text = self.text.replace(old, new)
        self._settings = []
        for line in re.sub(r"\\\n\s*", " ", self.text).splitlines():
            key, equals, value = line.partition("=")
            if equals and not line.startswith(("#", ";")):
                self._settings.append((key, value))

    def all(self, key: str) -> list[str]:
        return [value for name, value in self._settings if name == key]

    @property
    def environment(self) -> dict[str, str]:
        return dict(value.split("=", 1) for value in self.all("Environment"))

    def commands(self, key: str) -> list[list[str]]:
        """ExecStart= and its like, as words, without "+", ${NAME} of the environment filled in (systemd.service(5))."""

        def fill(word: str) -> str:
            return re.sub(r"\$\{(\w+)\}", lambda name: self.environment[name[1]], word)

        return [[fill(word) for word in shlex.split(value.lstrip("+"))] for value in self.all(key)]

    def system_calls(self) -> set[str]:
        """What SystemCallFilter= leaves."""
        allowed: set[str] = set()
        for value in self.all("SystemCallFilter"):
            refused = value.startswith("~")
            for word in value.removeprefix("~").split():
                calls = _members(word) if word.startswith("@") else {word}
                allowed = allowed - calls if refused else allowed | calls
        return allowed


def _members(group: str) -> set[str]:
    """The system calls of a group, and of those within it."""
    calls: set[str] = set()
    for line in _analyze("syscall-filter", group).stdout.splitlines():
        word = line.strip()
        if line.startswith(" ") and not word.startswith("#"):
            calls |= _members(word) if word.startswith("@") else {word}
    assert calls, group
    return calls


def write(units: list[Unit], directory: Path) -> list[Path]:
    """The units, with the relay that was built, where systemd-analyze can read them."""
    directory.mkdir()
    paths = []
    for unit in units:
        path = directory / unit.name
        path.write_text(unit.text.replace("/usr/bin/http01-relay", str(RELAY)))
        paths.append(path)
    return paths


def verify(paths: list[Path]) -> subprocess.CompletedProcess[str]:
    # The manual pages are there once the relay is installed.
    return _analyze("verify", "--man=no", *map(str, paths))


def exposure(path: Path) -> float:
    """0 is no risk, 10 the greatest."""
    said = _analyze("security", "--offline=true", "--no-pager", str(path)).stdout
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+) ", said)
    assert level, said
    return float(level[1])


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    return subprocess.run([ANALYZE, *arguments], capture_output=True, text=True, check=False, env=environment)
