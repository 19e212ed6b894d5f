"""The Debian package with the program that was built, and with the maintainer scripts that debhelper writes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from processes import BUILD, REPOSITORY, Workspace

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
