"""The zones of the tests: one name for each way in which a domain owner can get it right or wrong."""

from __future__ import annotations

APP_ID = "5b912f5cec6c02d851db76bc20f410700f01fc65"
OTHER_APP_ID = "0123456789abcdef0123456789abcdef01234567"
GATEWAY = "dstack-prod5.phala.network"


def app_address(name: str, *values: str) -> str:
    return "".join(f'_dstack-app-address.{name} TXT "{value}"\n' for value in values)


def domain(name: str, *values: str, gateway: str = GATEWAY) -> str:
    """A domain with these app addresses behind a gateway."""
    return f"{name} CNAME _.{gateway}.\n" + app_address(name, *values)


# What stands in a record that no app address is, by a name for it.
MALFORMED = {
    "no-port": APP_ID,
    "empty-port": f"{APP_ID}:",
    "no-id": ":80",
    "two-ports": f"{APP_ID}:80:90",
    "port-zero": f"{APP_ID}:0",
    "port-65536": f"{APP_ID}:65536",
    "port-name": f"{APP_ID}:http",
    "port-negative": f"{APP_ID}:-1",
    "port-plus-alone": f"{APP_ID}:+",
    "port-two-pluses": f"{APP_ID}:++443",
    "port-zeros": f"{APP_ID}:+000",
    "port-space": f"{APP_ID}: 443",
    "leading-space": f" {APP_ID}:443",
    "trailing-space": f"{APP_ID}:443 ",
    "quoted": f'\\"{APP_ID}:443\\"',
    "newline": f"{APP_ID}:443\\010",
    "nul": f"{APP_ID}:443\\000",
    "not-utf8": f"{APP_ID[:-1]}\\255:443",
    "header-injection": f"{APP_ID}\\013\\010Set-Cookie\\058 x:80",
    "slash": "evil.example/:80",
    "query": "evil.example/?:80",
    "fragment": "evil.example#:80",
    "userinfo": "user@evil.example:80",
    "backslash": "evil.example\\\\:80",
    "port-in-label": f"{APP_ID}-8080:80",
    "passthrough-in-label": f"{APP_ID}-443s:443",
    "gateway": "gateway:80",
    "health": "health:80",
    "localhost": "localhost:80",
    "short-id": f"{APP_ID[:-1]}:443",
    "long-id": f"{APP_ID}0:443",
    "empty": "",
}

EXAMPLE = "\n".join(
    [
        domain("app", f"{APP_ID}:443"),
        domain("port80", f"{APP_ID}:80"),
        domain("upper", f"{APP_ID.upper()}:443"),
        domain("spf-too", "v=spf1 -all", f"{APP_ID}:443"),
        domain("junk-too", "junk", f"{APP_ID}:443"),
        domain("ambiguous", f"{APP_ID}:443", f"{OTHER_APP_ID}:443"),
        domain("two-ports", f"{APP_ID}:443", f"{APP_ID}:80"),
        # The gateway's parser takes these.
        domain("port-signed", f"{APP_ID}:+443"),
        domain("port-leading-zeros", f"{APP_ID}:000000443"),
        # Two strings of one record are one text; where that is no app address, the first string is the record.
        f'strings CNAME _.{GATEWAY}.\n_dstack-app-address.strings TXT "{APP_ID}:" "443"',
        f'first-string CNAME _.{GATEWAY}.\n_dstack-app-address.first-string TXT "{APP_ID}:+0443" "junk"',
        # The older name of the record.
        f'legacy CNAME _.{GATEWAY}.\n_tapp-address.legacy TXT "{APP_ID}:80"',
        f'both CNAME _.{GATEWAY}.\n_tapp-address.both TXT "{OTHER_APP_ID}:80"',
        app_address("both", f"{APP_ID}:443"),
        # The record itself is an alias.
        'delegated CNAME delegated.owner.test.\n_dstack-app-address.delegated CNAME txt.owner.test.',
        # One record for all names below.
        f'*.wild CNAME _.{GATEWAY}.\n_dstack-app-address-wildcard.wild TXT "{APP_ID}:443"',
        # No exact name: the DNS wildcard answers for the record's name with an alias and no text.
        "\n".join(f"{name}.mixed CNAME _.{GATEWAY}." for name in ("malformed", "failing")),
        app_address("malformed.mixed", "junk"),
        f'_dstack-app-address-wildcard.mixed TXT "{APP_ID}:443"',
        # An SPF record that shines through a DNS wildcard.
        '*.spf TXT "v=spf1 ip4:192.0.2.1 -all"',
        '*.spf-upper TXT "V=SPF1 ip4:192.0.2.1 -all"',
        # Nothing, or half of it.
        "a-only A 192.0.2.80",
        f"no-txt CNAME _.{GATEWAY}.",
        "no-cname A 192.0.2.80\n" + app_address("no-cname", f"{APP_ID}:443"),
        "same-address A 192.0.2.5\n" + app_address("same-address", f"{APP_ID}:443"),
        # Where the alias leads.
        f"base CNAME {GATEWAY}.",
        app_address("base", f"{APP_ID}:443"),
        f"label CNAME {APP_ID}.{GATEWAY}.",
        app_address("label", f"{APP_ID}:443"),
        "mixed-case CNAME _.DSTACK-PROD5.Phala.Network.",
        app_address("mixed-case", f"{APP_ID}:443"),
        f"two-labels CNAME _.a.b.{GATEWAY}.",
        app_address("two-labels", f"{APP_ID}:443"),
        domain("elsewhere", f"{APP_ID}:443", gateway="cdn.owner.test"),
        "aliased CNAME relay.owner.test.\n" + app_address("aliased", f"{APP_ID}:443"),
        # An octet in a label that is no host name's.
        r"slash CNAME _.evil\.test\/x.phala.network." + "\n" + app_address("slash", f"{APP_ID}:443"),
        # Chains.
        "chain CNAME one.owner.test.\n" + app_address("chain", f"{APP_ID}:443"),
        "hops8 CNAME hop2.owner.test.\n" + app_address("hops8", f"{APP_ID}:443"),
        "hops9 CNAME hop1.owner.test.\n" + app_address("hops9", f"{APP_ID}:443"),
        "loop CNAME loop1.owner.test.\n" + app_address("loop", f"{APP_ID}:443"),
        # The exact record is in a zone that fails.
        "_dstack-app-address.failing.mixed CNAME x.servfail.faults.test.",
        "cname-fails CNAME x.servfail.faults.test.\n" + app_address("cname-fails", f"{APP_ID}:443"),
        *(domain(f"bad-{name}", value) for name, value in MALFORMED.items()),
    ]
)

OWNER = "\n".join(
    [
        f"delegated CNAME _.{GATEWAY}.",
        f'txt TXT "{APP_ID}:443"',
        "relay A 192.0.2.81",
        "*.cdn A 192.0.2.82",
        "one CNAME two.owner.test.",
        f"two CNAME _.{GATEWAY}.",
        *(f"hop{number} CNAME hop{number + 1}.owner.test." for number in range(1, 8)),
        f"hop8 CNAME _.{GATEWAY}.",
        "loop1 CNAME loop2.owner.test.",
        "loop2 CNAME loop1.owner.test.",
    ]
)

PHALA = "\n".join(
    [
        "dstack-prod5 A 192.0.2.5",
        "*.dstack-prod5 A 192.0.2.5",
        "dstack-prod7 A 192.0.2.7",
        "*.dstack-prod7 A 192.0.2.7",
    ]
)

APEX = f'@ A 192.0.2.5\n_dstack-app-address TXT "{APP_ID}:443"'

ZONES = {
    "example.test": EXAMPLE,
    # The same under a public suffix: /check shows nothing of other names.
    "example.org": EXAMPLE,
    "owner.test": OWNER,
    "phala.network": PHALA,
    "apex.test": APEX,
}
