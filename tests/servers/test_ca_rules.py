"""Whatever the configuration, whatever the records: an authority can follow what the relay sends, and it is sent
nowhere but to the app's names."""

from __future__ import annotations

import random
from typing import Any

import pytest
from ca_rules import faults, location_faults
from dns_message import Query, Record, cname, txt
from fastcgi_client import request
from injector import PREFIX, Behaviour, Injector
from processes import Workspace
from relay import EXIT_CONFIG, Relay, config_text, run
from zones import APP_ID, GATEWAY, MALFORMED, OTHER_APP_ID

SEEDS = range(12)
REQUESTS = 250

TARGETS = ["https://{app_id}.{gateway}", "https://{app_id}-{port}s.{gateway}", "https://{domain}"]
PARENTS = ["example.com", "example.co.uk", "a.b.c.example.org", f"x.{GATEWAY}"]
ALIASES = [
    f"_.{GATEWAY}", GATEWAY, f"{APP_ID}.{GATEWAY}", f"_.{GATEWAY}".upper(), "_.dstack-prod7.phala.network",
    "_.a.b.phala.network", "cdn.example.net", "phala.network", "_.phala.network", "_.evil.test",
]  # fmt: skip


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://app.example.com/.well-known/acme-challenge/x", []),
        ("http://example.com:80/x", []),
        ("https://example.com:443/x", []),
        ("https://example.com/" + "a" * 1999, []),
        ("https://example.com/" + "a" * 2000, ["long path"]),
        ("gopher://example.com/x", ["scheme"]),
        ("https://example.com:8443/x", ["port"]),
        ("https:///x", ["no host"]),
        ("/x", ["scheme", "no host"]),
        ("https://user@example.com/x", ["userinfo"]),
        ("https://Example.com/x", ["upper case", "host"]),
        ("https://example.com.well-known/acme-challenge/x", ["no slash before the path", "top-level domain"]),
        ("https://example.com./x", ["host"]),
        ("https://example/x", ["host"]),
        ("https://10.10.10.10/x", ["top-level domain"]),
        ("https://gateway.internal/x", ["top-level domain"]),
        ("https://ex ample.com/x", ["other than visible ASCII"]),
        ("https://b\u00fccher.example.com/x", ["other than visible ASCII"]),
        ("https://example.com/x#y", ["fragment"]),
        ("http://example.com/asked", ["loop"]),
    ],
)
def test_the_rules_find_what_boulder_refuses(location: str, expected: list[str]) -> None:
    assert location_faults(location, "http://example.com/asked") == expected


def random_sections(dice: random.Random) -> dict[str, dict[str, Any]]:
    return {
        "redirect": {
            "target": dice.choice(TARGETS),
            "status": dice.choice([301, 302, 307, 308]),
            "other_paths": dice.choice(["https", "app", "none"]),
            "breadcrumb": dice.random() < 0.5,
        },
        "gateways": {
            "allow": dice.choice([["*.phala.network"], [GATEWAY], [GATEWAY, "a.b.phala.network"]]),
            "fallback": dice.choice(["", GATEWAY]),
            "aliases": dice.choice([{}, {"cdn.example.net": GATEWAY}]),
        },
        "app": {"id_pattern": dice.choice(["[0-9a-f]{40}", ".*", "[0-9a-z]+"])},
        "dns": {"wildcard": dice.random() < 0.5},
    }


def random_text(dice: random.Random) -> bytes:
    """An app address, one that somebody got wrong, or anything."""
    kind = dice.random()
    if kind < 0.5:
        return f"{dice.choice([APP_ID, APP_ID.upper(), OTHER_APP_ID])}:{dice.choice([80, 443, 65535])}".encode()
    if kind < 0.8:
        # As in a zone file: backslash and three digits are an octet.
        text = dice.choice(list(MALFORMED.values())).encode("unicode_escape")
        return text[:255]
    return bytes(dice.randrange(256) for _ in range(dice.randrange(80)))


def random_records(seed: int, query: Query) -> tuple[Record, ...]:
    """The same for the same question, whenever it is asked."""
    dice = random.Random(f"{seed} {query.name} {query.type}")
    if query.type == "TXT" and query.name.startswith((PREFIX, "_tapp-address.", "_dstack-app-address-wildcard.")):
        return tuple(txt(query.name, random_text(dice)) for _ in range(dice.choice([0, 1, 1, 1, 2])))
    if query.type == "CNAME" and dice.random() < 0.9:
        return (cname(query.name, dice.choice(ALIASES[:4] if dice.random() < 0.6 else ALIASES)),)
    return ()


def random_host(dice: random.Random) -> str:
    name = f"n{dice.randrange(10**6)}.{dice.choice(PARENTS)}"
    return dice.choice([name, name.upper(), f"{name}.", f"{name}:80"])


@pytest.mark.parametrize("seed", SEEDS)
def test_an_authority_can_follow_every_redirect(workspace: Workspace, seed: int) -> None:
    dice = random.Random(seed)
    sections = random_sections(dice)
    redirects = 0
    with Injector(lambda query, tcp: Behaviour(answers=random_records(seed, query))) as injector:
        relay = Relay(workspace, config_text(injector.server, sections))
        for _ in range(REQUESTS):
            host = random_host(dice)
            token = "".join(dice.choices("abcXYZ019-_", k=dice.choice([1, 43, 128])))
            challenge = f"/.well-known/acme-challenge/{token}"
            path = dice.choice([challenge] * 4 + ["/", "/a?b=c", f"/{'a' * 1999}"])
            response = request(relay.address, path, host=host)
            domain = host.lower().partition(":")[0].rstrip(".")
            context = (sections, host, path, response)
            assert faults(response, host, path) == [], context
            if response.location is None or response.reason != "ok" or path != challenge:
                continue
            redirects += 1
            # The path as it was asked for, at a name of the app's or at the domain itself.
            app, _, rest = response.location.removeprefix("https://").partition("/")
            assert response.location.startswith("https://"), context
            assert f"/{rest}" == path, context
            assert app == domain or app.endswith(".phala.network"), context
            assert not domain.endswith(f".{GATEWAY}"), context
    assert redirects > 10


def random_template(dice: random.Random) -> str:
    scheme = dice.choice(["https://"] * 6 + ["http://", "ftp://", "//", "HTTPS://", ""])
    host = dice.choice(
        ["{app_id}.{gateway}", "{app_id}-{port}s.{gateway}", "{domain}", "relay.{domain}", "app.example.com", "",
         "{app_id}", "{gateway}.", "localhost", "192.0.2.1", "[2001:db8::1]", "user@{domain}", "{nothing}",
         "{domain", "b\u00fccher.example.com", "a..example.com", "-.example.com", "x" * 64 + ".example.com", "{domain} x"]
    )  # fmt: skip
    end = dice.choice([""] * 6 + ["/", ":443", ":8443", ":{port}", "/path", "?a=b", "#a"])
    return scheme + host + end


def test_no_template_that_an_authority_refuses_is_taken(workspace: Workspace) -> None:
    dice = random.Random(1)
    taken, refused = set(), set()
    for template in sorted({*TARGETS, "http://{domain}", *(random_template(dice) for _ in range(400))}):
        config = workspace.write("template.toml", config_text("127.0.0.1:53", {"redirect": {"target": template}}))
        checked = run("config", "-c", config)
        if checked.returncode == 0:
            taken.add(template)
            values = {"app_id": APP_ID, "port": "443", "gateway": GATEWAY, "domain": "app.example.com"}
            found = location_faults(template.format(**values) + "/asked", "http://app.example.com/asked")
            assert found == [], template
        else:
            refused.add(template)
            assert checked.returncode == EXIT_CONFIG, (template, checked)
    assert set(TARGETS) <= taken
    assert "http://{domain}" in refused
