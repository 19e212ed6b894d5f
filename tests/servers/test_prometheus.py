"""What is shipped for Prometheus and Grafana, with the real Prometheus and its promtool."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import World
from held import PATIENT, SilentInjector, hold, locations
from processes import REPOSITORY, Workspace, wait_until
from prometheus_server import DASHBOARD, RULES, SHIPPED, Prometheus, as_grafana_would, dashboard_expressions
from relay import CHALLENGE, Relay, config_text
from web_servers import Lighttpd

STORIES = REPOSITORY / "tests" / "data" / "prometheus" / "alerts.yml"


def promtool(*arguments: str | Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/usr/bin/promtool", *map(str, arguments)], input=text, capture_output=True, text=True, check=False
    )


def ask_for_everything(relay: Callable[[str, str, str], Any]) -> None:
    """A request for most things that are counted."""
    for host in ("app.example.test", "no-txt.example.test", "ambiguous.example.test", "a_b", "x.faults.test"):
        for method in ("GET", "HEAD", "POST", "BREW"):
            relay(CHALLENGE, host, method)
    for path in ("/", "/health", "/ready", "/metrics", "/nothing"):
        relay(path, "localhost", "GET")
        relay(path, "app.example.test", "GET")


def test_promtool_finds_nothing_in_the_page(relay: Relay) -> None:
    ask_for_everything(lambda path, host, method: relay.request(path, host, method=method))
    page = relay.request("/metrics", "localhost").text
    checked = promtool("check", "metrics", text=page)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    # It does look.
    checked = promtool("check", "metrics", text=page.replace("# HELP dns_in_flight", "# HELP something_else"))
    assert checked.returncode != 0


def test_every_label_value_is_from_a_fixed_set(relay: Relay) -> None:
    ask_for_everything(lambda path, host, method: relay.request(path, host, method=method))
    page = relay.request("/metrics", "localhost").text
    values: dict[str, set[str]] = {}
    for name, value in re.findall(r'([a-z]+)="([^"]*)"', page):
        values.setdefault(name, set()).add(value)
    assert values.keys() == {"method", "path", "status", "reason", "type", "le", "version", "outcome", "limit", "server"}
    assert values["method"] <= {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "other"}
    assert "other" in values["method"]
    assert values["path"] == {"/.well-known/acme-challenge/*", "/health", "/ready", "/metrics", "/", "/*"}


def test_the_alert_rules_fire_when_they_should(tmp_path: Path) -> None:
    tested = promtool("test", "rules", STORIES)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    names = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
    stories = STORIES.read_text()
    assert all(name in stories for name in names), names

    # Another limit is another story.
    (tmp_path / "rules.yml").write_text(RULES.read_text().replace("> 0.8", "> 0.6"))
    (tmp_path / "alerts.yml").write_text(stories.replace("../../../deploy/prometheus/http01-relay.rules.yml", "rules.yml"))
    assert promtool("test", "rules", tmp_path / "alerts.yml").returncode != 0


def test_every_rule_has_its_reason() -> None:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("page", "ticket"), rule
            assert len(rule["annotations"]["description"]) > 40, rule


def test_the_configuration_is_valid() -> None:
    checked = promtool("check", "config", SHIPPED / "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.fixture(name="prometheus", scope="module")
def prometheus_fixture(world: World, web: Lighttpd) -> Iterator[Prometheus]:
    """After some scrapes with requests between them."""
    prometheus = Prometheus(world.workspace, web.port)
    wait_until(lambda: bool(prometheus.query("relay_build_info")), "the first scrape", 30)
    for round_ in range(1, 4):
        ask_for_everything(lambda path, host, method: web.get(path, host))

        def scraped() -> bool:
            return (prometheus.value('relay_decisions_total{reason="ok"}') or 0) >= 4 * round_

        wait_until(scraped, "a scrape", 30)
    yield prometheus


def test_prometheus_scrapes_what_the_relay_counts(prometheus: Prometheus, web: Lighttpd) -> None:
    wait_until(lambda: prometheus.value('up{job="http01-relay"}') == 1, "a scrape", 30)
    (target,) = prometheus.api("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    for sample in ('relay_decisions_total{reason="txt-missing"}', 'redirects_total{status="307"}'):
        page = web.get("/metrics", "localhost").text
        (now,) = (float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(sample))
        wait_until(lambda: prometheus.value(sample) == now, "the same count", 30)
    # What kind each is and what it says of itself.
    kinds = {name: entries[0]["type"] for name, entries in prometheus.api("metadata").items()}
    assert kinds["http_requests_total"] == "counter"
    assert kinds["http_request_duration_seconds"] == "histogram"
    assert kinds["dns_in_flight"] == "gauge"


@pytest.mark.parametrize(("title", "expression"), dashboard_expressions())
def test_every_query_of_the_dashboard_finds_something(prometheus: Prometheus, title: str, expression: str) -> None:
    filled = as_grafana_would(expression, "http01-relay", "127.0.0.1:.*")
    if title == "Starts":
        assert prometheus.query(filled) == [], "something has crashed"
        return
    wait_until(lambda: bool(prometheus.query(filled)), f"{filled} to find something", 30)
    result = prometheus.query(filled)
    assert all(sample["value"][1] != "NaN" for sample in result), result


def test_the_dashboard_has_all_that_the_page_has_and_nothing_else(relay: Relay) -> None:
    relay.request("/ready", "localhost")
    page = relay.request("/metrics", "localhost").text
    families = set(re.findall(r"^# TYPE (\S+)", page, re.M))
    shown = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for _, expression in dashboard_expressions()
        for name in re.findall(r"\b(?:http|dns|relay|process|redirects)_[a-z_]+\b", expression)
    }
    assert shown <= families
    # What any process has is not all of interest.
    assert {name for name in families - shown if not name.startswith("process_")} == set()


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert dashboard["uid"] and dashboard["title"] and dashboard["schemaVersion"] >= 36
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert variables == {"datasource", "job", "instance"}
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        places = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not places & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= places


def test_all_rules_can_be_evaluated_and_none_fires_where_all_is_well(prometheus: Prometheus) -> None:
    def rules() -> list[dict[str, Any]]:
        return [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]

    wait_until(lambda: all(rule["health"] != "unknown" for rule in rules()), "an evaluation", 30)
    for rule in rules():
        assert (rule["health"], rule["state"]) == ("ok", "inactive"), rule
        # A name that is misspelt makes a rule that never fires.
        for name in re.findall(r"\b(?:http|dns|relay|process|redirects)_[a-z_]+\b", rule["query"]):
            wait_until(lambda: bool(prometheus.query(name)), f"{name}, which {rule['name']} looks at", 30)


def test_an_alert_fires_at_the_real_relay(world: World, workspace: Workspace) -> None:
    """From the relay's own counters: somebody asks for a gateway's names again and again."""
    web = Lighttpd(workspace, workspace.write("relay.toml", world.config()))
    prometheus = Prometheus(workspace, web.port)
    wait_until(lambda: prometheus.value('relay_decisions_total{reason="gateway-name"}') == 0, "a scrape", 30)
    for _ in range(60):
        assert web.get(CHALLENGE, "x.dstack-prod5.phala.network").status == 421
    firing = 'ALERTS{alertname="Http01RelayGatewayNameAsked", alertstate="firing"}'
    wait_until(lambda: bool(prometheus.query(firing)), "the alert", 30)


def test_what_waits_is_seen_while_it_waits(workspace: Workspace) -> None:
    with SilentInjector() as dns:
        web = Lighttpd(workspace, workspace.write("relay.toml", config_text(dns.server, PATIENT)))
        prometheus = Prometheus(workspace, web.port)
        (socket,) = workspace.path.glob("relay-*.sock*")
        held = hold(str(socket), 20, dns)
        wait_until(lambda: prometheus.value("http_requests_in_flight") == 20, "a scrape", 30)
        assert prometheus.value("dns_in_flight") == 40
        dns.released.set()
        locations(held)
        wait_until(lambda: prometheus.value("http_requests_in_flight") == 0, "a scrape", 30)
