"""Two line charts side by side, as SVG by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 460, 300, 70, 40, 70
COLOURS = ("#1b6ca8", "#d1495b", "#3a7d44", "#8d5a97")


@dataclass(frozen=True)
class Chart:
    title: str
    across: str
    marks: Sequence[int]  # of the axis across, evenly spaced
    lines: Mapping[str, Sequence[float]]  # requests a second


def svg(charts: Sequence[Chart]) -> str:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * len(charts)} {HEIGHT}" '
        'font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, chart in enumerate(charts):
        parts += [f'<g transform="translate({WIDTH * number} 0)">', *_chart(chart), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _chart(chart: Chart) -> list[str]:
    most = _rounded(max(max(line) for line in chart.lines.values()))
    width, height = WIDTH - LEFT - 20, HEIGHT - TOP - BOTTOM

    def x(number: int) -> float:
        return LEFT + width * number / (len(chart.marks) - 1)

    def y(value: float) -> float:
        return TOP + height * (1 - value / most)

    parts = [f'<text x="{LEFT}" y="20" font-weight="bold">{chart.title}</text>']
    for step in range(5):
        value = most * step / 4
        parts.append(f'<path d="M{LEFT} {y(value):.1f}H{LEFT + width}" stroke="#dddddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:,.0f}</text>')
    for number, mark in enumerate(chart.marks):
        parts.append(f'<text x="{x(number):.1f}" y="{TOP + height + 16}" text-anchor="middle">{mark}</text>')
    parts.append(f'<text x="{LEFT + width / 2}" y="{TOP + height + 34}" text-anchor="middle">{chart.across}</text>')
    for number, (name, line) in enumerate(chart.lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(f"{x(i):.1f},{y(value):.1f}" for i, value in enumerate(line))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for at, value in enumerate(line):
            parts.append(f'<circle cx="{x(at):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + 150 * number}" y="{HEIGHT - 10}" fill="{colour}">{name}</text>')
    return parts


def _rounded(value: float) -> float:
    """Up to 1, 2, 4 or 8 times a power of ten."""
    size = 1.0
    while True:
        for factor in (1, 2, 4, 8):
            if value <= size * factor:
                return size * factor
        size *= 10
