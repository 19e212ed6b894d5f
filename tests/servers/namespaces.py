"""A network namespace of the tests' own, which this thread is in, and all that it starts."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator

import pytest

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


@contextlib.contextmanager
def without_ipv4() -> Iterator[None]:
    """Only loopback, and only its IPv6 addresses: ::1, and the link-local fe80::53."""
    before = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            _check(_libc.unshare(_CLONE_NEWNET), "unshare")
        except OSError as error:
            pytest.skip(f"no network namespace can be made here: {error}")
        try:
            for command in (
                "ip link set lo up",
                "ip -4 address flush dev lo",
                "ip -6 address add fe80::53/64 dev lo nodad",
            ):
                done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    pytest.skip(f"{command}: {done.stderr.strip()}")
            yield
        finally:
            _check(_libc.setns(before, _CLONE_NEWNET), "setns")
    finally:
        os.close(before)
