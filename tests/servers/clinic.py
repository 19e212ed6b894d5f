"""Domains for the doctor: a zone with one name for each thing that can be wrong with it, resolved by an unbound
that validates. Its addresses are the world's, since none is ever connected to: they stand in records only."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dns_servers import Nsd, Unbound
from processes import Workspace
from relay import run
from zones import APP_ID, GATEWAY, OTHER_APP_ID

RELAY_ADDRESS = "45.10.20.30"
ELSEWHERE = "45.99.99.99"
ELSEWHERE6 = "2a00:1::99"

PHALA = f"""
$TTL 300
dstack-prod5 A {RELAY_ADDRESS}
*.dstack-prod5 A {RELAY_ADDRESS}
*.dstack-v6 A {RELAY_ADDRESS}
*.dstack-v6 AAAA {ELSEWHERE6}
_.dstack-empty A {RELAY_ADDRESS}
*.dstack-private A 10.1.2.3
_.dstack-private A {RELAY_ADDRESS}
"""


def record(name: str, *values: str) -> str:
    return "".join(f"_dstack-app-address.{name} TXT {value}\n" for value in values)


def alias(name: str, gateway: str = GATEWAY) -> str:
    return f"{name} CNAME _.{gateway}.\n"


def good(name: str, gateway: str = GATEWAY) -> str:
    return alias(name, gateway) + record(name, f'"{APP_ID}:443"')


# Name below clinic.test → its records, and what is found wrong with it, in order.
CASES: dict[str, tuple[str, list[str]]] = {
    "good": (good("good"), []),
    "no-txt": (alias("no-txt"), ["txt-missing"]),
    "blank": (alias("blank") + record("blank", f'"{APP_ID}:443 "'), ["txt-malformed"]),
    "quotes": (alias("quotes") + record("quotes", f'"\\"{APP_ID}:443\\""'), ["txt-malformed"]),
    "no-port": (alias("no-port") + record("no-port", f'"{APP_ID}"'), ["txt-malformed"]),
    "short-id": (alias("short-id") + record("short-id", f'"{APP_ID[1:]}:443"'), ["txt-malformed"]),
    "upper": (alias("upper") + record("upper", f'"{APP_ID.upper()}:443"'), ["txt-upper-case"]),
    "strings": (alias("strings") + record("strings", f'"{APP_ID}:" "443"'), ["txt-two-strings"]),
    "two": (alias("two") + record("two", f'"{APP_ID}:443"', f'"{OTHER_APP_ID}:443"'), ["txt-ambiguous"]),
    "junk": (good("junk") + record("junk", '"junk"'), ["txt-junk"]),
    "legacy": (alias("legacy") + f'_tapp-address.legacy TXT "{APP_ID}:80"\n', ["txt-legacy"]),
    "a.wild": (alias("a.wild") + f'_dstack-app-address-wildcard.wild TXT "{APP_ID}:443"\n', ["txt-wildcard"]),
    "a.stars": (alias("*.stars"), ["txt-missing", "txt-alias"]),
    "a.spf": (alias("a.spf") + '*.a.spf TXT "v=spf1 -all"\n', ["txt-missing", "txt-foreign"]),
    "no-cname": (f"no-cname A {RELAY_ADDRESS}\n" + record("no-cname", f'"{APP_ID}:443"'), ["cname-missing"]),
    "cdn": (f"cdn CNAME cdn-host\ncdn-host A {RELAY_ADDRESS}\n" + record("cdn", f'"{APP_ID}:443"'),
            ["cname-elsewhere"]),
    "loop": ("loop CNAME loop2\nloop2 CNAME loop\n" + record("loop", f'"{APP_ID}:443"'),
             ["cname-loop", "caa-failure", "dns-failure"]),
    "chain": (f"chain CNAME hop\nhop CNAME _.{GATEWAY}.\n" + record("chain", f'"{APP_ID}:443"'), ["cname-chain"]),
    "old": (f"old A {ELSEWHERE}\n" + record("old", f'"{APP_ID}:443"'), ["cname-missing", "address-elsewhere"]),
    "six": (f"six A {RELAY_ADDRESS}\nsix AAAA {ELSEWHERE6}\n" + record("six", f'"{APP_ID}:443"'),
            ["cname-missing", "address6-elsewhere"]),
    "private": ("private A 192.168.1.5\n" + record("private", f'"{APP_ID}:443"'),
                ["cname-missing", "address-elsewhere", "reserved-address"]),
    "nowhere": (record("nowhere", f'"{APP_ID}:443"'), ["no-address", "cname-missing"]),
    "gateway6": (good("gateway6", "dstack-v6.phala.network"), ["address6-elsewhere", "gateway-address6"]),
    "gateway-empty": (good("gateway-empty", "dstack-empty.phala.network"), ["gateway-unresolved"]),
    "gateway-private": (good("gateway-private", "dstack-private.phala.network"), ["reserved-address"]),
    "gateway-internal": (good("gateway-internal", "gateway.internal"), ["gateway-suffix"]),
    "a.caa": (good("a.caa") + 'caa CAA 0 issue "pki.goog"\n', ["caa-forbids"]),
    "a.caa-none": (good("a.caa-none") + 'caa-none CAA 0 issue ";"\n', ["caa-forbids"]),
    "a.caa-wild": (good("a.caa-wild") + 'caa-wild CAA 0 issue ";"\ncaa-wild CAA 0 issuewild "letsencrypt.org"\n',
                   ["caa-forbids"]),
    "a.caa-dns": (good("a.caa-dns") + 'caa-dns CAA 0 issue "letsencrypt.org;validationmethods=dns-01"\n',
                  ["caa-method"]),
    "a.caa-http": (good("a.caa-http") + 'caa-http CAA 0 issue "letsencrypt.org;validationmethods=http-01"\n', []),
    "a.caa-account": (good("a.caa-account")
                      + 'caa-account CAA 0 issue "letsencrypt.org;accounturi=https://ca.example/acct/1"\n',
                      ["caa-account"]),
    # The alias's record, not that of the name above.
    "a.caa-alias": (f"a.caa-alias CNAME caa-target\ncaa-target CNAME _.dstack-caa.phala.network.\n"
                    + record("a.caa-alias", f'"{APP_ID}:443"') + 'caa-alias CAA 0 issue "letsencrypt.org"\n',
                    ["caa-forbids", "cname-chain"]),
    "lame": ("lame CNAME x.servfail.faults.test.\n" + record("lame", f'"{APP_ID}:443"'),
             ["caa-failure", "dns-failure"]),
}  # fmt: skip

PHALA += f'_.dstack-caa A {RELAY_ADDRESS}\n_.dstack-caa CAA 0 issue "pki.goog"\n*.dstack-caa A {RELAY_ADDRESS}\n'

# The domains of README.md.
README_ZONE = "".join(
    [
        "$TTL 300\n",
        good("app"),
        alias("no-txt"),
        alias("blank") + record("blank", f'"{APP_ID}:443 "'),
        f"old A {ELSEWHERE}\n" + record("old", f'"{APP_ID}:443"'),
        f"six CNAME _.dstack-v6.phala.network.\n" + record("six", f'"{APP_ID}:443"'),
        good("a.shop") + 'shop CAA 0 issue "pki.goog"\n',
    ]
)

ZONES = {
    "example.com": README_ZONE,
    "clinic.test": "".join(records for records, _ in CASES.values()),
    "bogus.test": good("app"),
    "phala.network": PHALA,
    "gateway.internal": f"@ A {RELAY_ADDRESS}\n* A {RELAY_ADDRESS}\n",
    "apex.test": f'@ A {RELAY_ADDRESS}\n_dstack-app-address TXT "{APP_ID}:443"\n',
}


def validating_unbound(workspace: Workspace, nsd: Nsd, forward: Mapping[str, int]) -> Unbound:
    """Takes bogus.test, which has no signatures, for a signed zone."""
    return Unbound(workspace, nsd, forward, [f'trust-anchor: "bogus.test. DS 12345 8 2 {"ab" * 32}"'])


def check(config: Path, *arguments: str, seconds: float = 20.0) -> subprocess.CompletedProcess[str]:
    return run("check", "-c", config, *arguments, seconds=seconds)


def examine(config: Path, *arguments: str) -> dict[str, Any]:
    """The JSON of one domain."""
    ended = check(config, "--json", *arguments)
    assert ended.stderr == "", ended.stderr
    report: dict[str, Any] = json.loads(ended.stdout)
    return report


def found(report: Mapping[str, Any]) -> list[str]:
    return [finding["id"] for finding in report["findings"]]
