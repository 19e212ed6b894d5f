"""Fixtures of the tests of images."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from processes import Workspace


@pytest.fixture(name="workspace")
def workspace_fixture() -> Iterator[Workspace]:
    workspace = Workspace()
    try:
        yield workspace
    finally:
        workspace.stop()
