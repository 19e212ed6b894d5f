"""make floors: what a file may include. Each rule is broken once."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from processes import REPOSITORY


def floors(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [REPOSITORY / "tests" / "floors", directory], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "file, line, fault",
    [
        ("log/settings.h", '#include "config/config.h"', "config is not below log"),
        ("transport/cgi.h", '#include "dns/cache.h"', "dns is not below transport"),
        ("base/fd.h", '#include "version.h"', ". is not below base"),
        ("protocol/name.h", '#include "protocol/decide.h"', "headers that include each other"),
        ("protocol/name.cpp", '#include "name.h"', "which is not a path from src/"),
        ("relay/relay.cpp", "#include <ldns/ldns.h>", "its door is"),
        ("log/log.h", "#include <spdlog/logger.h>", "its door is"),
        ("misc/new.h", "#pragma once", "misc/new.h is in no room"),
        ("base/deep/new.h", "#pragma once", "base/deep/new.h is in no room"),
        ("pages/pages.cpp", "\n" * 400, "more than 400"),
        ("relay/relay.cpp", "std::unordered_map<std::string, int> per_name;", "needs base/keyed_hash.h"),
    ],
)
def test_a_rule_that_is_broken_is_named(tmp_path: Path, file: str, line: str, fault: str) -> None:
    copy = tmp_path / "src"
    shutil.copytree(REPOSITORY / "src", copy)
    broken = copy / file
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_text(f"{line}\n" + (broken.read_text() if broken.exists() else ""))
    ended = floors(copy)
    assert ended.returncode == 1
    assert fault in ended.stderr
    assert file in ended.stderr


def test_the_source_is_in_order() -> None:
    ended = floors(REPOSITORY / "src")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "files in order" in ended.stdout
