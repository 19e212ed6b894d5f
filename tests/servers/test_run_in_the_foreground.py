"""`make run`: the relay behind lighttpd, whatever its standard error is."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import http_client
import pytest
from processes import REPOSITORY, SLOWNESS, Workspace, free_port, take_signals, wait_until
from relay import config_text

SERVE = REPOSITORY / "tests" / "foreground"


def serve(workspace: Workspace, error: int) -> None:
    """Runs it until it has answered once."""
    port = free_port()
    # The resolver is not asked.
    config = workspace.write("relay.toml", config_text("127.0.0.1:1"))
    process = subprocess.Popen(
        [sys.executable, "-B", SERVE, str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=error,
        env=os.environ | {"HTTP01_RELAY_CONFIG": str(config)},
        start_new_session=True,
        preexec_fn=take_signals,
    )

    def answered() -> bool:
        assert process.poll() is None, f"it has ended with status {process.returncode}"
        try:
            return http_client.request(port, "/health", host="localhost").status == 200
        except (OSError, AssertionError):
            return False

    try:
        wait_until(answered, "an answer")
        process.send_signal(signal.SIGINT)
        assert process.wait(15 * SLOWNESS) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_it_runs_where_standard_error_is_a_socket(workspace: Workspace) -> None:
    ours, its = socket.socketpair()
    with ours, its:
        serve(workspace, its.fileno())
        its.close()
        said = b""
        while chunk := ours.recv(65536):
            said += chunk
    assert b"path=/health" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every file")
def test_it_runs_where_standard_error_may_not_be_opened(workspace: Workspace) -> None:
    log: Path = workspace.fresh("stderr")
    with log.open("wb") as file:
        log.chmod(0)
        serve(workspace, file.fileno())
    log.chmod(0o600)
    assert "path=/health" in log.read_text()
