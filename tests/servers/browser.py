"""Headless Chromium: what a page becomes in a browser, what it looks like, and what it fetches."""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from processes import SLOWNESS, Workspace

CHROMIUM = Path("/usr/bin/chromium")

_QUIET = (
    "--headless",
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-component-update",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    # What the browser itself would like to know from elsewhere, it is not to look for.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


class Browser:
    """Each call is a browser of its own, with a profile of its own."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def _run(self, url: str, *options: str, dark: bool = False) -> str:
        command = [
            str(CHROMIUM),
            *_QUIET,
            f"--user-data-dir={self._workspace.fresh('profile')}",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            *options,
            url,
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=60 * SLOWNESS
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def dom(self, url: str, *, dark: bool = False) -> str:
        """The document as the browser has it in the end."""
        return self._run(url, "--dump-dom", dark=dark)

    def screenshot(self, url: str, path: Path, window: tuple[int, int], *, dark: bool = False) -> bytes:
        self._run(url, f"--screenshot={path}", f"--window-size={window[0]},{window[1]}", dark=dark)
        return path.read_bytes()

    def requests(self, url: str) -> list[str]:
        """The URLs that opening this one made the browser ask for, itself first."""
        log = self._workspace.fresh("net-log.json")
        self._run(url, "--dump-dom", f"--log-net-log={log}")
        content = json.loads(log.read_text())
        started = content["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
        jobs = [event.get("params", {}) for event in content["events"] if event["type"] == started]
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        return [job["url"] for job in jobs if job.get("url") == url or job.get("initiator") == origin]

    def in_frames(self, pages: Sequence[str], sizes: Sequence[tuple[int, int]]) -> Path:
        """A file that shows each page as a screen of each size does: no window is as narrow as a phone.
        Each frame's data-* say what the browser has made of it; measured() reads them."""
        frames = "".join(
            f'<iframe width="{width}" height="{height}" srcdoc="{html.escape(page)}"></iframe>'
            for page in pages
            for width, height in sizes
        )
        measure = """
          document.addEventListener("load", ({target: frame}) => {
            const root = frame.contentDocument.documentElement, body = frame.contentDocument.body;
            const right = [...body.querySelectorAll("*")].map(element => element.getBoundingClientRect().right);
            frame.dataset.width = root.clientWidth;
            frame.dataset.needed = Math.ceil(Math.max(root.scrollWidth, ...right));
            frame.dataset.color = getComputedStyle(body).color;
          }, true);"""
        return self._workspace.write(
            "frames.html",
            '<!doctype html><meta charset="utf-8"><style>:root { color-scheme: light dark } body { margin: 0 }'
            f"iframe {{ border: 0 }}</style><body><script>{measure}</script>{frames}</body>",
        )

    def measured(self, frames: Path, *, dark: bool = False) -> list[dict[str, str]]:
        dom = self.dom(frames.as_uri(), dark=dark)
        return [dict(re.findall(r'data-([a-z]+)="([^"]*)"', frame)) for frame in re.findall("<iframe[^>]*>", dom)]
