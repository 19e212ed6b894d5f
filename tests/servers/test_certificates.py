"""Certificates from an authority to an app and back: real ACME clients, each alone in an app of its own behind
the gateway, get one from Pebble through lighttpd and the relay; and what its owner is told if that fails."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import certificates
import pytest
from acme_clients import problem
from gateway import LoopbackBlock
from injector import Injector
from processes import BUILD, Workspace, wait_until
from trials import APP, BREADCRUMB, DOMAIN, FAULTS, PORT, TRIES, Fault, Trials, Try

# Pebble asks from three places at once.
PLACES = 3

WORKING = [case for case in TRIES if not case.refused]
HOPELESS = [case for case in TRIES if case.refused]


def case_name(case: Try | Fault) -> str:
    return case.name


def wanted(session: pytest.Session) -> Iterator[Try | Fault]:
    """What the tests of this run wait for, as far as it can be tried here."""
    for item in session.items:
        callspec = getattr(item, "callspec", None)
        case = callspec.params.get("case") if callspec else None
        if isinstance(case, Fault) or (isinstance(case, Try) and not case.client.why_not()):
            yield case


@pytest.fixture(scope="module")
def trials(module_workspace: Workspace, injector: Injector, request: pytest.FixtureRequest) -> Iterator[Trials]:
    """All that the tests of this run ask for is under way."""
    block = LoopbackBlock()
    if why := block.why_not():
        pytest.skip(why)
    trials = Trials(module_workspace, block, injector.server)
    try:
        trials.start(wanted(request.session))
        yield trials
        if table := trials.table():
            (BUILD / "client-table.md").write_text(table, encoding="utf-8")
    finally:
        trials.stop()


def skip_where_impossible(case: Try) -> None:
    if why := case.client.why_not():
        pytest.skip(f"{case.client.title}: {why}")


@pytest.mark.parametrize("case", WORKING, ids=case_name)
def test_a_client_gets_a_certificate(trials: Trials, case: Try) -> None:
    skip_where_impossible(case)
    outcome = trials.outcome(case)
    app, world = trials.apps[case.name], trials.world
    assert outcome.failure == ""
    assert len(outcome.issued) == (2 if case.renews else 1)

    for issued in outcome.issued:
        certificate = certificates.read(issued.chain[0])
        assert certificate.names == {app.domain}
        assert certificate.issuer == certificates.read(world.ca.intermediate).subject
        assert certificate.public_key == issued.public_key
        certificates.verify(trials.workspace.path / case.name, issued.chain, world.ca.root, app.domain)
    assert len({certificates.read(issued.chain[0]).serial for issued in outcome.issued}) == len(outcome.issued)

    # The authority has asked the relay and followed it to where it said, each time from all its places.
    reached = {APP: app.gateway_name, PORT: app.passthrough_name, DOMAIN: app.domain}[case.target]
    wait_until(lambda: trials.validations(app) >= PLACES * len(outcome.issued), "the relay's log")
    wait_until(lambda: world.gateway.sessions(reached) >= PLACES * len(outcome.issued), "the gateway's log")

    # A server shows its visitors what it has got.
    if outcome.served:
        assert ssl.DER_cert_to_PEM_cert(outcome.served) == outcome.issued[-1].chain[0]


@pytest.mark.parametrize("case", HOPELESS, ids=case_name)
def test_a_client_that_does_not_answer_for_the_target_gets_none(trials: Trials, case: Try) -> None:
    skip_where_impossible(case)
    outcome = trials.outcome(case)
    assert outcome.issued == []
    assert problem(outcome.failure) == case.refused, outcome.failure
    # It is not for want of the relay.
    wait_until(lambda: trials.validations(trials.apps[case.name]) >= PLACES, "the relay's log")


@pytest.mark.parametrize("case", FAULTS, ids=case_name)
def test_the_authority_tells_what_is_wrong(trials: Trials, case: Fault) -> None:
    outcome = trials.outcome(case)
    app = trials.apps[case.name]
    assert outcome.issued == []
    assert problem(outcome.failure) == case.refused, outcome.failure
    site = trials.world.sites[app.gateway]
    wait_until(lambda: len(site.decisions(app.domain)) >= PLACES, "the relay's log")
    decisions = site.decisions(app.domain)
    assert all(f" reason={case.reason} " in line for line in decisions), decisions


@pytest.mark.parametrize("case", [fault for fault in FAULTS if fault.gateway == BREADCRUMB], ids=case_name)
def test_a_breadcrumb_leads_the_authority_to_an_address_that_says_why(trials: Trials, case: Fault) -> None:
    trials.outcome(case)
    site, domain = trials.world.sites[BREADCRUMB], trials.apps[case.name].domain
    wait_until(lambda: len(site.accesses(domain)) >= 2 * PLACES, "lighttpd to write its log")
    first = [line for line in site.accesses(domain) if "?relay=" not in line]
    second = [line for line in site.accesses(domain) if "?relay=txt-missing HTTP/1.1" in line]
    assert len(first) == len(second) == PLACES
    assert all('" 302 ' in line for line in first), first
    assert all('" 404 ' in line for line in second), second
