"""What is shipped for Prometheus and Grafana, with the real Prometheus and its promtool."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from alert_stories import STORIES, Story, firing, promtool, seconds, seen, stories
from conftest import World
from dns_message import probe
from dns_servers import Nsd
from held import PATIENT, SilentInjector, hold, locations
from processes import REPOSITORY, SLOWNESS, Workspace, wait_until
from prometheus_server import DASHBOARD, FASTER, RULES, SHIPPED, Prometheus, as_grafana_would, dashboard_expressions
from relay import CHALLENGE, Relay, config_text
from web_servers import Lighttpd
from zones import ZONES

TOLD = list(stories())


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


def test_a_page_that_no_prometheus_reads_does_not_grow(relay: Relay) -> None:
    def ask(names: str) -> None:
        for number in range(100):
            relay.challenge(f"{names}{number}.example.test")

    ask("never-a")
    relay.metrics()  # is counted too
    before = set(relay.metrics())
    ask("never-b")
    assert set(relay.metrics()) == before


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"] if "alert" in rule]


def test_promtool_finds_the_alert_rules_in_order() -> None:
    for path in sorted(STORIES.glob("alerts*.yml")):
        tested = promtool("test", "rules", path)
        assert tested.returncode == 0, tested.stdout + tested.stderr
    assert {story.alert for story in TOLD} == {rule["alert"] for rule in alerts()}


@pytest.mark.parametrize("story", TOLD, ids=lambda story: story.name.partition(" from ")[0])
def test_an_alert_comes_within_a_minute_and_goes_within_two(story: Story) -> None:
    it = seen(story)
    if story.step > 60:
        assert (it.came, it.went) == (story.step, story.step), "at the next evaluation"
        return
    # An evaluation may be just before the scrape, and promtool's is at the same moment.
    assert 0 < it.came <= 60 - story.step
    assert 0 <= it.went <= 120 - story.step


# Without this part of a rule the alert would fire for this near miss.
@pytest.mark.parametrize(
    ("alert", "without", "instead", "near_miss"),
    [
        ("Http01RelayDnsFails", "names:least1m > 1.3", "names:least1m > 0.9", "one-name:80"),
        ("Http01RelayDnsFails", '{status="failure"} / 120', '{status="failure"} / 48', "one-servfail:80"),
        ("Http01RelayDnsFails", "increase40s / 40 <=", "increase40s * 0 <=", "one-zone:80"),
        ("Http01RelayDnsFails", "> 0.5 * instance:", ">= 0 * instance:", "usual:80"),
        ("Http01RelayDnsFails", "offset 1m == 1", "offset 1m >= 0", "back:80"),
        ("Http01RelayOverloaded", "[1m])) >= 2", "[1m])) >= 0", "burst:80"),
        ("Http01RelayResolverDead", "5 * instance:", "0 * instance:", "one-name:80"),
        ("Http01RelayDescriptors", "> 0.8", "> 0.6", "most:80"),
    ],
)
def test_a_near_miss_is_near(tmp_path: Path, alert: str, without: str, instead: str, near_miss: str) -> None:
    text = RULES.read_text()
    assert without in text
    (tmp_path / "rules.yml").write_text(text.replace(without, instead))
    (story,) = (story for story in TOLD if story.alert == alert and near_miss in str(story.test))
    assert near_miss in firing(story, tmp_path / "rules.yml")


def test_every_rule_has_its_reason() -> None:
    for rule in alerts():
        assert rule["labels"]["severity"] in ("page", "ticket"), rule
        assert len(rule["annotations"]["description"]) > 40, rule


def test_every_alert_leads_to_what_to_do_about_it() -> None:
    installed = "file:///usr/share/doc/http01-relay/examples/"
    for rule in alerts():
        page, _, heading = rule["annotations"]["runbook_url"].partition("#")
        assert page.startswith(installed), page
        text = (SHIPPED.parent / page.removeprefix(installed)).read_text(encoding="utf-8")
        sections = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n)+)", text, re.MULTILINE))
        assert heading == rule["alert"].lower() and rule["alert"] in sections, heading
        for part in ("\n*Means:* ", "\n*Lost meanwhile:* ", "\n*Look at:*\n\n```\n", "\n*Ends:* "):
            assert part in sections[rule["alert"]], (rule["alert"], part)
    assert set(sections) == {rule["alert"] for rule in alerts()}


def test_windows_are_made_for_the_interval_that_is_set() -> None:
    """Whatever is global where the job and the rules are put."""
    (job,) = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())["scrape_configs"]
    groups = yaml.safe_load(RULES.read_text())["groups"]
    assert [job["scrape_interval"], *(group["interval"] for group in groups)] == ["15s", "15s"]
    windows = {seconds(window) for window in re.findall(r"\[(\d\w*)[]:]", RULES.read_text())}
    assert min(windows) >= 30, "two samples at least"


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    shipped = (SHIPPED / "prometheus.yml").read_text()
    with_all = re.sub(r"^  #(- job_name: |  )", r"  \1", shipped, flags=re.MULTILINE)
    assert len(yaml.safe_load(with_all)["scrape_configs"]) == 2
    (tmp_path / RULES.name).write_text(RULES.read_text())
    for text in (shipped, with_all):
        (tmp_path / "prometheus.yml").write_text(text)
        checked = promtool("check", "config", tmp_path / "prometheus.yml")
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


# What a selector looks for, such as name{label=~"one|two"}.
SELECTOR = re.compile(r"(?<![\w:])((?:http|dns|relay|process|redirects)_[a-z_]+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')


def test_all_rules_can_be_evaluated_and_none_fires_where_all_is_well(prometheus: Prometheus) -> None:
    def rules() -> list[dict[str, Any]]:
        return [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]

    wait_until(lambda: all(rule["health"] != "unknown" for rule in rules()), "an evaluation", 30)
    # As text: a word of a label is one in the code where nothing has been counted for it.
    words = (REPOSITORY / "src" / "protocol" / "answer.cpp").read_text()
    for rule in rules():
        assert rule["health"] == "ok" and rule.get("state", "inactive") == "inactive", rule
        # A name that is misspelt makes a rule that never fires.
        for name, matchers in SELECTOR.findall(rule["query"]):
            wait_until(lambda: bool(prometheus.query(name)), f"{name}, which {rule['name']} looks at", 30)
            series = [sample["metric"] for sample in prometheus.query(name)]
            for label, _, values in MATCHER.findall(matchers):
                shown = {one[label] for one in series}
                for value in values.split("|"):
                    known = value in shown or any(re.fullmatch(value, one) for one in shown)
                    assert known or f'"{value}"' in words, f"{name}: {label}: {value}: not among {shown}"


class Asked:
    """A relay that is asked for some domains all the time, until the test ends."""

    def __init__(self, relay: Callable[[str], object], hosts: list[str]) -> None:
        self._relay = relay
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(host,)) for host in hosts]

    def _ask(self, host: str) -> None:
        while not self._ended.wait(0.5):
            self._relay(host)

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


def test_a_dead_resolver_pages_in_time_and_no_longer_than_it_is_dead(world: World, workspace: Workspace) -> None:
    """With all times of the rules and the configuration, and the relay's own, fifteen times as short."""
    dns = Nsd(workspace, ZONES)
    tries = {"dns": {"timeout_ms": 100, "deadline_ms": 270}}
    web = Lighttpd(workspace, workspace.write("relay.toml", config_text(f"127.0.0.1:{dns.port}", tries)))
    prometheus = Prometheus(workspace, web.port)
    page = 'ALERTS{alertname="Http01RelayDnsFails", alertstate="firing"}'

    def fires() -> bool:
        return bool(prometheus.query(page))

    # A failure is kept for a second here too, so it takes more names than it would at the usual speed.
    names = ["app.example.test", *(f"n{number}.example.test" for number in range(47))]
    with Asked(lambda host: web.get(CHALLENGE, host), names):
        answered = 'dns_lookups_total{status="nxdomain",type="TXT"}'
        wait_until(lambda: (prometheus.value(f"count_over_time({answered}[8s])") or 0) >= 4, "scrapes", 30)
        assert not fires()
        dns.process.stop()
        died = time.time()
        wait_until(fires, "the page", 30)
        # The evaluation that found it, not the moment at which this has asked.
        (alert,) = prometheus.api("query", query=f"{page}[20s]")["result"]
        began = float(alert["values"][0][0])
        command = dns.process.popen.args
        assert isinstance(command, list)
        again = workspace.start("nsd", command)
        again.wait_until_ready(lambda: probe(dns.port, "example.test", "SOA"))
        back = time.time()
        wait_until(lambda: not fires(), "the end of it", 30)
        ended = time.time()
    print(f"came after {began - died:.1f} s, went after {ended - back:.1f} s")
    assert began - died <= 60 / FASTER * SLOWNESS
    assert ended - back <= 120 / FASTER * SLOWNESS


def test_an_alert_fires_at_the_real_relay(world: World, workspace: Workspace) -> None:
    """From the relay's own counters: somebody asks for a gateway's names again and again."""
    web = Lighttpd(workspace, workspace.write("relay.toml", world.config()))
    prometheus = Prometheus(workspace, web.port)
    wait_until(lambda: prometheus.value('relay_decisions_total{reason="gateway-name"}') == 0, "a scrape", 30)
    for _ in range(60):
        assert web.get(CHALLENGE, "x.dstack-prod5.phala.network").status == 421
    page = 'ALERTS{alertname="Http01RelayGatewayNameAsked", alertstate="firing"}'
    wait_until(lambda: bool(prometheus.query(page)), "the alert", 30)


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
