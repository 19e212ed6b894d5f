"""When each alert comes and goes in its story (tests/data/prometheus/alerts*.yml), by `promtool test rules`.

As a program it prints a table of that."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from processes import REPOSITORY

STORIES = REPOSITORY / "tests" / "data" / "prometheus"
RULES = REPOSITORY / "deploy" / "prometheus" / "http01-relay.rules.yml"

# Who has the fault in each story; all others are near misses. An alert that says that nobody is there has no instance.
FAULTY = ("bad:80", "")

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(duration: str) -> float:
    """Of "1h30m", as Prometheus writes it."""
    parts = re.findall(r"(\d+)(ms|s|m|h|d)", duration)
    assert "".join(number + unit for number, unit in parts) == duration, duration
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


@dataclass(frozen=True)
class Story:
    name: str
    alert: str
    begin: float
    end: float
    step: float
    test: dict[str, Any]

    @property
    def last(self) -> float:
        """As long after the fault as there was before it, or ten minutes."""
        return self.end + min(self.begin, 240.0 if self.step < 60 else 600.0)


def stories() -> Iterator[Story]:
    for path in sorted(STORIES.glob("alerts*.yml")):
        file = yaml.safe_load(path.read_text())
        for test in file["tests"]:
            found = re.fullmatch(r"(Http01Relay\w+) from (\w+) to (\w+): .+", test["name"])
            assert found, f"{path}: {test['name']}"
            begin, end = seconds(found[2]), seconds(found[3])
            yield Story(test["name"], found[1], begin, end, seconds(file["evaluation_interval"]), test)


def promtool(*arguments: str | Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/usr/bin/promtool", *map(str, arguments)], input=text, capture_output=True, text=True, check=False
    )


def _alone(alert: str, rules: Path) -> dict[str, Any]:
    """The rule of an alert, after those that record what it needs: days of all of them would take long."""
    file: dict[str, Any] = yaml.safe_load(rules.read_text())
    for group in file["groups"]:
        records = [rule for rule in group["rules"] if "record" in rule]
        alerts = [rule for rule in group["rules"] if rule.get("alert") == alert]
        needed = any(rule["record"] in one["expr"] for rule in records for one in alerts)
        group["rules"] = records * needed + alerts
    return file


def firing(story: Story, rules: Path = RULES) -> dict[str, list[float]]:
    """Instance → the times of all evaluations at which the story's alert fired. promtool tells them as errors of tests
    that expect silence."""
    first = max(0, int((story.begin - 4 * 3600) / story.step))
    times = [story.step * number for number in range(first, int(story.last / story.step) + 1)]
    expression = f'ALERTS{{alertname="{story.alert}", alertstate="firing"}}'
    silence = [{"expr": expression, "eval_time": f"{time:.0f}s", "exp_samples": []} for time in times]
    test = {key: story.test[key] for key in ("interval", "input_series")} | {"promql_expr_test": silence}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        (path / "rules.yml").write_text(yaml.safe_dump(_alone(story.alert, rules)))
        file = {"rule_files": ["rules.yml"], "evaluation_interval": f"{story.step:.0f}s", "tests": [test]}
        (path / "test.yml").write_text(yaml.safe_dump(file))
        told = promtool("test", "rules", path / "test.yml")
    output = told.stdout + told.stderr
    result: dict[str, list[float]] = {}
    found = re.findall(r'expr: "[^\n]*", time: (\w+),\s*exp: ?(\S*)\s*got: ?([^\n]*)\n', output)
    for time, expected, got in found:
        assert expected in ("nil", "{}"), output
        for labels in re.findall(r"\{([^}]*)\}", got):
            instance = re.search(r'instance="([^"]*)"', labels)
            result.setdefault(instance[1] if instance else "", []).append(seconds(time))
    assert bool(result) == (told.returncode != 0), output
    return result


@dataclass(frozen=True)
class Seen:
    """What an alert did: how long after the fault's begin it came, and after its end it went, both in seconds."""

    came: float
    went: float


def seen(story: Story, rules: Path = RULES) -> Seen:
    """Of an alert that fires for the fault, all the time, and for nothing else."""
    fired = firing(story, rules)
    assert set(fired) <= set(FAULTY), f"{story.name}: it fired for {sorted(set(fired) - set(FAULTY))}"
    times = sorted({time for instance in fired for time in fired[instance]})
    assert times, f"{story.name}: it never fired"
    steps = [later - earlier for earlier, later in zip(times, times[1:])]
    assert all(step <= story.step for step in steps), f"{story.name}: it went and came again: {times}"
    return Seen(times[0] - story.begin, times[-1] + story.step - story.end)


def main() -> None:
    print("| alert | came after | went after | story |\n|---|---|---|---|")
    for story in stories():
        it = seen(story)
        print(f"| {story.alert} | {it.came:.0f} s | {it.went:.0f} s | {story.name.partition(': ')[2]} |")


if __name__ == "__main__":
    main()
