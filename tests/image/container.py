"""The image's tree, run as an engine would run it: with the configuration of the image and nothing else, as
process 1 of its own, the root read-only, no capabilities, no new privileges."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import http_client
from http_client import Response
from processes import Process, Workspace

TREE = Path(os.environ.get("IMAGE_TREE", "/nonexistent"))
CONFIG_IN_IMAGE = "/etc/http01-relay/http01-relay.toml"

# tests/test-image gives this address to the loopback interface, so that a client can come from elsewhere.
OUTSIDE = "192.0.2.80"

_DEVICES = ("null", "zero", "full", "random", "urandom")


def image_config() -> dict[str, Any]:
    document = json.loads(Path(os.environ["IMAGE_CONFIG"]).read_text())
    config: dict[str, Any] = document["Docker"]["config"]
    return config


@dataclass
class Options:
    """What stands on the command line of `docker run`."""

    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    user: str = ""  # "" is the image's
    tmpfs: Sequence[str] = ("/tmp",)
    volumes: Mapping[str, Path] = field(default_factory=dict)  # a path in the container → a file here
    descriptors: int = 0  # 0: as many as there are
    proc: bool = True
    shm: bool = True  # Docker always has it


def _script(config: Mapping[str, Any], options: Options) -> str:
    tree = str(TREE)
    user, _, group = (options.user or config["User"]).partition(":")
    lines = ["set -eu", f"mount --bind {tree} {tree}", f"mount -t tmpfs tmpfs {tree}/dev"]
    if options.proc:
        lines.append(f"mount -t proc proc {tree}/proc")
    for device in _DEVICES:
        lines += [f": >{tree}/dev/{device}", f"mount --bind /dev/{device} {tree}/dev/{device}"]
    if options.shm:
        lines.append(f"mkdir -m 1777 {tree}/dev/shm")
    lines += [f"mount -t tmpfs -o mode=1777 tmpfs {tree}{path}" for path in options.tmpfs]
    for inside, outside in options.volumes.items():
        if any(inside.startswith(path + "/") for path in options.tmpfs):
            lines.append(f": >{tree}{inside}")
        lines.append(f"mount --bind {outside} {tree}{inside}")
    lines.append(f"mount -o remount,bind,ro {tree}")
    if options.descriptors:
        lines.append(f"ulimit -n {options.descriptors}")
    variables = [*(config["Env"] or []), *(f"{name}={value}" for name, value in options.environment.items())]
    command = ["chroot", tree, "setpriv", f"--reuid={user}", f"--regid={group or user}", "--clear-groups"]
    command += ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    command += ["env", "-i", *variables, *config["Entrypoint"], *options.arguments]
    lines.append(f"exec {shlex.join(command)}")
    return "\n".join(lines)


class Container:
    def __init__(self, workspace: Workspace, options: Options | None = None) -> None:
        self.options = options or Options()
        port = self.options.environment.get("PORT", "")
        self.port = int(port) if port.isdigit() else 8081
        self.process: Process = workspace.start(
            "container",
            [*"unshare --mount --pid --fork --kill-child sh -c".split(), _script(image_config(), self.options)],
        )

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        # unshare itself does not heed SIGTERM.
        if self.process.running() and (first := _children(self.process.pid)):
            os.kill(first[0], signal.SIGKILL)
            self.process.wait()
        self.process.stop()

    def ready(self) -> Container:
        self.process.wait_until_ready(lambda: self._status("/health") == 200)
        return self

    def _status(self, path: str) -> int:
        try:
            return self.get(path, "localhost").status
        except (OSError, AssertionError):
            return 0

    def get(self, path: str, host: str, **options: Any) -> Response:
        return http_client.request(self.port, path, host=host, **options)

    @property
    def first(self) -> int:
        """The process that is number 1 in there: lighttpd."""
        return _children(self.process.pid)[0]

    @property
    def relay(self) -> int:
        return _children(self.first)[0]

    def signal(self, name: str) -> None:
        os.kill(self.first, signal.Signals[name])

    def execute(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[int, str]:
        """As `docker exec`."""
        variables = [*image_config()["Env"], *(f"{name}={value}" for name, value in (environment or {}).items())]
        enter = ["nsenter", f"--target={self.first}", "--mount", "--pid", "--root", "--wd"]
        result = subprocess.run(
            [*enter, "setpriv", "--reuid=10001", "--regid=10001", "--clear-groups", "env", "-i", *variables, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        return result.returncode, result.stdout + result.stderr


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def status_field(pid: int, name: str) -> list[str]:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value.split()
    raise KeyError(name)


def variables_of(pid: int) -> dict[str, str]:
    text = Path(f"/proc/{pid}/environ").read_bytes().decode()
    return dict(line.split("=", 1) for line in text.split("\0") if line)
