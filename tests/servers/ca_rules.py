"""What certificate authorities demand of the answers to a challenge: Let's Encrypt's rules (Boulder, va/http.go),
which are the strictest that are published, and the CA/Browser Forum's (Baseline Requirements 3.2.2.4.19)."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from http_client import Response

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")

# Of the ICANN section of the Public Suffix List, what the names in these tests end in. A host that ends in none
# of all is not followed.
_SUFFIXES = {"com", "net", "network", "org", "uk"}

_MAX_PATH = 2000
# It reads this much of a redirect's body before it goes on.
_MAX_REDIRECT_BODY = 2048


def faults(response: Response, host: str, path: str) -> list[str]:
    """What an authority that has asked http://{host}{path} would not like about this answer. An error page is
    an answer too: it must not be followed."""
    locations = response.all("Location")
    found = []
    if response.header("Content-Length") != str(len(response.body)):
        found.append("the body's end is not announced")
    if not 300 <= response.status < 400:
        return found + (["a Location without a redirect"] if locations else [])
    if response.status not in (301, 302, 307, 308):
        found.append(f"status {response.status}")
    if len(response.body) > _MAX_REDIRECT_BODY:
        found.append("a long body")
    if len(locations) != 1:
        return [*found, f"{len(locations)} Locations"]
    return found + location_faults(locations[0], f"http://{host}{path}")


def location_faults(location: str, asked: str = "") -> list[str]:
    if not all("!" <= character <= "~" for character in location):
        return ["other than visible ASCII"]
    found = []
    url = urlsplit(location)
    if url.scheme not in ("http", "https"):
        found.append("scheme")
    if not url.netloc:
        return [*found, "no host"]
    if "@" in url.netloc:
        found.append("userinfo")
    name, _, port = url.netloc.rpartition("@")[2].partition(":")
    # Boulder takes these two with either scheme; a port that is there and empty, Go takes for none.
    if port not in ("", "80", "443"):
        found.append("port")
    if name != name.lower():
        found.append("upper case")
    if name.endswith(".well-known"):
        found.append("no slash before the path")
    labels = name.split(".")
    if len(name) > 253 or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        found.append("host")
    elif labels[-1] not in _SUFFIXES:
        found.append("top-level domain")
    if len(url.path) > _MAX_PATH:
        found.append("long path")
    if url.fragment or "#" in location:
        found.append("fragment")
    if location == asked:
        found.append("loop")
    return found
