"""The page for people, in a browser: what stands in it, how wide it is, and that it needs nothing else."""

from __future__ import annotations

import html
import os
import re
from pathlib import Path

import pytest
from browser import Browser
from processes import Workspace
from web_servers import Lighttpd
from zones import APP_ID, GATEWAY

QUERY = f"/?domain=app.example.com&app={APP_ID}%3A8443&gateway={GATEWAY}"
ZONE_LINES = [
    f"app.example.com. 300 IN CNAME _.{GATEWAY}.",
    f'_dstack-app-address.app.example.com. 300 IN TXT "{APP_ID}:8443"',
]
PHONE, DESKTOP = (360, 2200), (1280, 2200)


@pytest.fixture(name="browser")
def browser_fixture(workspace: Workspace) -> Browser:
    return Browser(workspace)


def text_of(element: str, dom: str) -> str:
    found = re.search(rf'<{element} [^>]*>(.*?)</{element.partition(" ")[0]}>', dom, re.DOTALL)
    assert found, f"no {element} in the page"
    return found[1]


def test_the_form_fills_the_zone_lines(web: Lighttpd, browser: Browser) -> None:
    dom = browser.dom(f"http://127.0.0.1:{web.port}{QUERY}")
    lines = re.findall("<span>(.*?)</span>", text_of("pre", dom), re.DOTALL)
    assert [html.unescape(line) for line in lines] == [f"{line}\n" for line in ZONE_LINES]
    assert 'value="app.example.com"' in dom
    assert f'value="{APP_ID}:8443"' in dom
    cells = [html.unescape(cell) for cell in re.findall(r"<td data-is=[^>]*>(?:<code>)?(.*?)(?:</code>)?</td>", dom)]
    assert cells == [
        "CNAME", "app", f"_.{GATEWAY}", "300",
        "TXT", "_dstack-app-address.app", f"{APP_ID}:8443", "300",
    ]  # fmt: skip


def test_the_form_needs_no_script_and_asks_this_host(web: Lighttpd, browser: Browser) -> None:
    dom = browser.dom(f"http://127.0.0.1:{web.port}/")
    assert '<form method="get" action="/">' in dom
    assert re.findall(r'<(?:input|select) name="([a-z]+)"', dom) == ["domain", "app", "gateway"]
    assert "<script" not in dom


def test_nothing_is_fetched_but_the_page(web: Lighttpd, browser: Browser) -> None:
    url = f"http://127.0.0.1:{web.port}{QUERY}"
    assert browser.requests(url) == [url]


def test_what_is_wrong_is_one_sentence_without_what_was_sent(web: Lighttpd, browser: Browser) -> None:
    dom = browser.dom(f"http://127.0.0.1:{web.port}/?domain=%3Cscript%3Ealert(1)%3C/script%3E&app=%22onfocus=alert(1)")
    assert "alert" not in dom.replace('role="alert"', "")
    assert dom.count('class="fault"') == 2


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_the_screen(web: Lighttpd, browser: Browser, dark: bool) -> None:
    """With names of the greatest length, too: what does not fit is wrapped."""
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "example.com"])
    queries = (QUERY, f"/?domain={longest}&app={APP_ID}&gateway={GATEWAY}", "/?domain=x&app=x&gateway=x", "/")
    pages = [web.get(query, "localhost").text for query in queries]
    widths = [320, 360, 600, 1280]
    frames = browser.measured(browser.in_frames(pages, [(width, 1000) for width in widths]), dark=dark)
    assert [int(frame["width"]) for frame in frames] == widths * len(pages)
    for frame in frames:
        assert int(frame["needed"]) <= int(frame["width"]), "too wide for the screen"
        assert frame["color"] == ("rgb(255, 255, 255)" if dark else "rgb(0, 0, 0)")


def png_size(octets: bytes) -> tuple[int, int]:
    assert octets.startswith(b"\x89PNG\r\n\x1a\n")
    return int.from_bytes(octets[16:20], "big"), int.from_bytes(octets[20:24], "big")


def test_it_can_be_looked_at(web: Lighttpd, browser: Browser, workspace: Workspace) -> None:
    """Pictures of it, phone beside desktop, light and dark; kept where SCREENSHOTS says."""
    page = web.get(QUERY, "localhost").text
    directory = Path(os.environ.get("SCREENSHOTS", workspace.path))
    frames = browser.in_frames([page], [PHONE, DESKTOP])
    window = (PHONE[0] + DESKTOP[0], PHONE[1])
    pictures = []
    for scheme in ("light", "dark"):
        path = directory / f"{scheme}.png"
        octets = browser.screenshot(frames.as_uri(), path, window, dark=scheme == "dark")
        assert png_size(octets) == window
        assert len(octets) > 50_000, "an empty page"
        pictures.append(octets)
    assert pictures[0] != pictures[1], "dark and light look the same"
