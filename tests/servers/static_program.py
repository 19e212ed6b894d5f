"""The statically linked program of `make static`, where there is one of the present source."""

from __future__ import annotations

from processes import RELAY, REPOSITORY

STATIC = REPOSITORY / "build-static" / "http01-relay"


def why_not() -> str:
    """Why it cannot be tested; empty if it can."""
    if not STATIC.exists():
        return "there is no build-static/http01-relay: make static builds it, make test-static tests it"
    newest = max(path.stat().st_mtime for path in (REPOSITORY / "src").rglob("*") if path.suffix in (".cpp", ".h"))
    if STATIC.stat().st_mtime < newest:
        return "build-static/http01-relay is older than the source: make static builds it again"
    return ""


# What a shared host gets: the static program, else what there is.
PORTABLE = RELAY if why_not() else STATIC
