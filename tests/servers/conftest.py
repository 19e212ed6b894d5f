"""Fixtures: servers that live as long as a test module, relays that live as long as a test."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import static_program
from acme_authority import Authority, ClientFactory, Place, make_acme_client
from dns_servers import Nsd, Unbound
from injector import Injector
from processes import RELAY, Workspace
from relay import Relay, config_text
from web_servers import Lighttpd
from zones import ZONES


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "serial: measures times or fills the machine, so it runs with nothing beside it")
    config.addinivalue_line("markers", "static: is about the program that make static builds, and runs in make test-static")
    if not RELAY.exists():
        raise pytest.UsageError(f"{RELAY} is not there: run make first")
    # Web servers read the tests' files as users of their own, whoever runs the tests.
    os.umask(0o022)
    # Whoever ends the tests, the servers end too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if reason := static_program.why_not():
        for item in items:
            if item.get_closest_marker("static"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(hookwrapper=True)  # type: ignore[misc]
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A failed test shows what its servers wrote."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Workspace) and (logs := value.logs()):
                report.sections.append((f"logs in {value.path.name}", logs))


def _workspace() -> Iterator[Workspace]:
    workspace = Workspace()
    try:
        yield workspace
        for process in reversed(workspace.processes):
            process.stop()
        reports = workspace.sanitizer_reports()
        assert not reports, f"a sanitizer has found something:\n{reports}"
    finally:
        workspace.stop()


@pytest.fixture(name="workspace")
def workspace_fixture() -> Iterator[Workspace]:
    """A directory and processes of one test."""
    yield from _workspace()


@pytest.fixture(scope="module")
def module_workspace() -> Iterator[Workspace]:
    yield from _workspace()


class World:
    """Zones with every kind of domain, served by nsd, resolved by unbound."""

    def __init__(self, workspace: Workspace, injector: Injector) -> None:
        self.workspace = workspace
        self.injector = injector
        self.nsd = Nsd(workspace, ZONES)
        self.unbound = Unbound(workspace, self.nsd, {"faults.test": injector.port})

    def config(self, sections: dict[str, dict[str, Any]] | None = None) -> str:
        return config_text(self.unbound.server, sections)


@pytest.fixture(name="injector", scope="module")
def injector_fixture() -> Iterator[Injector]:
    with Injector() as injector:
        yield injector


@pytest.fixture(scope="module")
def world(module_workspace: Workspace, injector: Injector) -> World:
    return World(module_workspace, injector)


@pytest.fixture(scope="module")
def web(world: World) -> Lighttpd:
    """lighttpd with the shipped configuration, and a relay with the default one."""
    config = world.workspace.write("relay.toml", world.config())
    return Lighttpd(world.workspace, config)


@pytest.fixture(scope="module")
def relay(world: World) -> Relay:
    """A relay with the default configuration, asked by FastCGI."""
    return Relay(world.workspace, world.config())


RelayFactory = Callable[..., Relay]


@pytest.fixture
def start_relay(workspace: Workspace, world: World) -> RelayFactory:
    """Starts a relay with sections of the test's own: start_relay({"redirect": {"status": 302}})."""

    def start(sections: dict[str, dict[str, Any]] | None = None, **options: Any) -> Relay:
        return Relay(workspace, world.config(sections), **options)

    return start


@pytest.fixture
def start_injected(workspace: Workspace, injector: Injector) -> RelayFactory:
    """The same, but it asks the injector directly."""

    def start(sections: dict[str, dict[str, Any]] | None = None, **options: Any) -> Relay:
        return Relay(workspace, config_text(injector.server, sections), **options)

    return start


# ---- the ACME client for apps


@pytest.fixture(scope="module")
def authority(module_workspace: Workspace) -> Authority:
    return Authority(module_workspace)


@pytest.fixture
def place(authority: Authority) -> Place:
    return authority.place()


@pytest.fixture
def make_client(workspace: Workspace, authority: Authority, place: Place) -> ClientFactory:
    return functools.partial(make_acme_client, workspace, authority, place)
