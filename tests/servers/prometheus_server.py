"""A real Prometheus with the configuration that is shipped, changed only where a test on loopback must."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from dns_servers import start_on_free_port
from processes import REPOSITORY, Process, Workspace

SHIPPED = REPOSITORY / "deploy" / "prometheus"
RULES = SHIPPED / "http01-relay.rules.yml"
DASHBOARD = SHIPPED / "grafana-dashboard.json"


# How much shorter than in the shipped files all times are: a scrape every second, and a minute's window is 4 s.
FASTER = 15

_UNITS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def faster(text: str) -> str:
    """Rules or a configuration with all intervals, windows and offsets shorter."""

    def shorter(match: re.Match[str]) -> str:
        return f"{int(match[1]) * _UNITS[match[2]] // FASTER}ms"

    return re.sub(r"(?<![\w.])(\d+)([smhd])(?!\w)", shorter, text)


class Prometheus:
    """Scrapes the web server on loopback every second, which is also how long a scrape may take. Rules see time pass
    fifteen times as fast."""

    def __init__(self, workspace: Workspace, web_port: int) -> None:
        text = (SHIPPED / "prometheus.yml").read_text()
        rules = workspace.write("rules.yml", faster(RULES.read_text()))
        for old, new in {
            # Not every machine that runs tests can look up "localhost".
            '"localhost:80"': f'"127.0.0.1:{web_port}"',
            "scrape_interval: 15s": faster("scrape_interval: 15s"),
            "evaluation_interval: 15s": faster("evaluation_interval: 15s"),
            "- http01-relay.rules.yml": f"- {rules}",
        }.items():
            assert old in text, f"the shipped configuration no longer has {old!r}"
            text = text.replace(old, new)
        config = workspace.write("prometheus.yml", text)

        def start(port: int) -> Process:
            return workspace.start(
                "prometheus",
                [
                    "/usr/bin/prometheus",
                    f"--config.file={config}",
                    f"--storage.tsdb.path={workspace.fresh('prometheus-data')}",
                    f"--web.listen-address=127.0.0.1:{port}",
                    "--log.level=warn",
                ],
            )

        self.process, self.port = start_on_free_port(start, self._ready)

    @staticmethod
    def _ready(port: int) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def api(self, path: str, **parameters: str) -> Any:
        """The answer's data; what it refuses is a failed assertion."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            answer = json.load(error)
        assert answer["status"] == "success", f"{parameters}: {answer}"
        assert not answer.get("warnings"), answer
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        found = self.api("query", query=expression)
        assert found["resultType"] == "vector", expression
        result: list[dict[str, Any]] = found["result"]
        return result

    def value(self, expression: str) -> float | None:
        """Of an expression with one sample; None without one."""
        result = self.query(expression)
        assert len(result) <= 1, result
        return float(result[0]["value"][1]) if result else None


def dashboard_expressions(path: Path = DASHBOARD) -> list[tuple[str, str]]:
    """Every query of the dashboard, with the title of what shows it."""
    dashboard = json.loads(path.read_text())
    found = [(note["name"], note["expr"]) for note in dashboard["annotations"]["list"]]
    for panel in dashboard["panels"]:
        found += [(panel["title"], target["expr"]) for target in panel.get("targets", [])]
    return found


def as_grafana_would(expression: str, job: str, instance: str) -> str:
    """With its variables filled in; one that is not known stays and is no PromQL."""
    values = {"$__rate_interval": "5m", "$job": job, "$instance": instance}
    return re.sub(r"\$\w+", lambda match: values.get(match[0], match[0]), expression)
