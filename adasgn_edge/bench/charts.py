"""Charts of a report as SVG text; colours are variables of the page that holds them, to fit light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

__all__ = ["Bar", "Point", "Row", "distributions", "frontier", "stacked_bars"]

WIDTH = 960
LABELS, VALUES = 316, 124
"""Widths of what stands left and right of the drawing."""


@dataclass(frozen=True)
class Row:
    """A distribution. kind: whose colour it has; times: as of report.py, with their histogram."""

    label: str
    kind: str
    times: dict[str, Any]


@dataclass(frozen=True)
class Point:
    """x: seconds, y: share that is right; line: which points are joined; label: shown beside it, if any; hollow: drawn
    as a ring, its line dashed."""

    x: float
    y: float
    line: str
    kind: str
    label: str
    hint: str
    hollow: bool


@dataclass(frozen=True)
class Bar:
    """Parts that add up, each with its name."""

    label: str
    kind: str
    parts: tuple[tuple[str, float], ...]


def distributions(rows: Sequence[Row], title: str) -> str:
    """A row each: the histogram on a logarithmic axis of milliseconds, a stroke at the median and one at p99."""
    edges = [edge for row in rows for edge in (row.times["min"], row.times["max"])]
    low, high = _decades(min(edges), max(edges))
    height, pitch = 34, 34
    bottom = pitch * len(rows) + 10
    parts = [_time_axis(low, high, bottom)]
    for number, row in enumerate(rows):
        base = pitch * (number + 1)
        parts.append(_distribution(row, low, high, base, height - 8))
    return _svg(parts, bottom + 30, title)


def _distribution(row: Row, low: float, high: float, base: float, height: float) -> str:
    edges, counts = _merged(row.times)
    tallest = max(counts)
    left, right = _place(edges[0], low, high), _place(edges[-1], low, high)
    path = [f"M{left:.1f} {base:.1f}"]
    for i, count in enumerate(counts):
        a, b = _place(edges[i], low, high), _place(edges[i + 1], low, high)
        y = base - height * count / tallest
        path.append(f"L{a:.1f} {y:.1f}L{b:.1f} {y:.1f}")
    path.append(f"L{right:.1f} {base:.1f}Z")
    p50, p99 = row.times["p50"], row.times["p99"]
    x = _place(p50, low, high)
    marks = _line("p50", x, base - height, x, base)
    if p99 is not None:
        x = _place(p99, low, high)
        marks += _line("p99", x, base - 0.6 * height, x, base)
    said = _milliseconds(p50) + (f" · {_milliseconds(p99)}" if p99 is not None else "")
    hint = f"{row.label}: median {_milliseconds(p50)} ms, mean {_milliseconds(row.times['mean'])} ms, " + (
        f"p99 {_milliseconds(p99)} ms, " if p99 is not None else ""
    )
    hint += f"at most {_milliseconds(row.times['max'])} ms, {row.times['runs']} runs"
    return (
        f'<g class="{row.kind}"><title>{escape(hint)}</title>'
        f"{_line('rule', LABELS, base, WIDTH - VALUES, base)}{_text('label', LABELS - 12, base - 6, row.label)}"
        f'<path class="shape" d="{"".join(path)}"/>{marks}'
        f"{_text('value', WIDTH, base - 6, said)}</g>"
    )


def _merged(times: dict[str, Any]) -> tuple[list[float], list[int]]:
    """The histogram in wider bins where there are few runs, which would leave gaps."""
    edges, counts = times["histogram"]["edges"], times["histogram"]["counts"]
    width = 1 if times["runs"] >= 400 else 2 if times["runs"] >= 100 else 4
    starts = range(0, len(counts), width)
    return [edges[i] for i in starts] + [edges[-1]], [sum(counts[i : i + width]) for i in starts]


def frontier(points: Sequence[Point], title: str) -> str:
    """Accuracy above the time of a clip, on a logarithmic axis."""
    xs, ys = [point.x for point in points], [point.y for point in points]
    low, high = _decades(min(xs), max(xs))
    floor, ceiling = _around(min(ys), max(ys))
    left, right, top, bottom = 70, WIDTH - 40, 20, 340

    def place(point: Point) -> tuple[float, float]:
        x = left + (right - left) * (math.log10(point.x) - low) / (high - low)
        return x, bottom - (bottom - top) * (point.y - floor) / (ceiling - floor)

    parts = []
    for seconds in _ticks(low, high):
        x = left + (right - left) * (math.log10(seconds) - low) / (high - low)
        parts += [_line("grid", x, top, x, bottom), _text("tick", x, bottom + 18, _tick(seconds), "middle")]
    step = _step(ceiling - floor)
    for number in range(math.ceil(floor / step - 1e-9), math.floor(ceiling / step + 1e-9) + 1):
        y = bottom - (bottom - top) * (number * step - floor) / (ceiling - floor)
        said = f"{100 * number * step:.{1 if step < 0.01 else 0}f} %"
        parts += [_line("grid", left, y, right, y), _text("tick", left - 8, y + 4, said)]
    parts.append(_text("tick", (left + right) / 2, bottom + 38, "milliseconds a clip", "middle"))
    for line in dict.fromkeys(point.line for point in points):
        joined = [place(point) for point in points if point.line == line]
        example = next(point for point in points if point.line == line)
        if len(joined) > 1:
            path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in joined)
            parts.append(f'<path class="line {example.kind} {"dashed" if example.hollow else "whole"}" d="{path}"/>')
    taken: list[tuple[float, float, float]] = []
    for point in points:
        x, y = place(point)
        parts.append(f'<g class="{point.kind}"><title>{escape(point.hint)}</title>')
        parts.append(f'<circle class="{"ring" if point.hollow else "dot"}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>')
        wide = 6.5 * len(point.label)
        first = x - wide if x + wide > right else x - 4
        free = all(first > end + 8 or first + wide < start - 8 or abs(y + 17 - at) > 15 for start, end, at in taken)
        if point.label and free:
            parts.append(_text("note", first, y + 17, point.label, "start"))
            taken.append((first, first + wide, y + 17))
        parts.append("</g>")
    return _svg(parts, bottom + 48, title)


def stacked_bars(bars: Sequence[Bar], title: str, unit: str, scale: float) -> str:
    """Bars of parts; values are shown times `scale`."""
    most = max(sum(value for _, value in bar.parts) for bar in bars)
    pitch, parts = 30, []
    span = WIDTH - LABELS - VALUES
    for number, bar in enumerate(bars):
        y = pitch * number + 6
        x = float(LABELS)
        parts.append(f'<g class="{bar.kind}">{_text("label", LABELS - 12, y + 14, bar.label)}')
        for place, (name, value) in enumerate(bar.parts, 4 - len(bar.parts)):
            width = span * value / most
            parts.append(
                f'<rect class="part part-{place}" x="{x:.1f}" y="{y}" width="{max(width, 0.5):.1f}" height="18">'
                f"<title>{escape(f'{bar.label}: {name} {value * scale:.0f} {unit}')}</title></rect>"
            )
            x += width
        total = sum(value for _, value in bar.parts)
        parts.append(_text("value", WIDTH, y + 14, f"{total * scale:.0f} {unit}") + "</g>")
    return _svg(parts, pitch * len(bars) + 8, title)


# -- elements ----------------------------------------------------------------------------------------------------------


def _text(kind: str, x: float, y: float, said: str, anchor: str = "end") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(said)}</text>'


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


# -- axes -------------------------------------------------------------------------------------------------------------


def _svg(parts: Sequence[str], height: float, title: str) -> str:
    box = f'viewBox="0 0 {WIDTH} {height:.0f}"'
    return f'<div class="scroll"><svg {box} role="img" aria-label="{escape(title)}">{"".join(parts)}</svg></div>'


def _decades(low: float, high: float) -> tuple[float, float]:
    """Logarithms of where an axis begins and ends: a little beside what it holds."""
    a, b = math.log10(low), math.log10(high)
    margin = max(0.04 * (b - a), 0.05)
    return a - margin, b + margin


def _place(seconds: float, low: float, high: float) -> float:
    share = (math.log10(max(seconds, 1e-12)) - low) / (high - low)
    return LABELS + (WIDTH - LABELS - VALUES) * min(max(share, 0.0), 1.0)


def _ticks(low: float, high: float) -> list[float]:
    """Seconds at 1, 2 and 5 of every decade, or its ones alone where they are many."""
    steps = (1, 2, 5) if high - low < 2.6 else (1,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    found = [step * 10.0**power for power in powers for step in steps]
    return [seconds for seconds in found if low <= math.log10(seconds) <= high]


def _tick(seconds: float) -> str:
    return f"{1e3 * seconds:g}"


def _time_axis(low: float, high: float, bottom: float) -> str:
    parts = []
    for seconds in _ticks(low, high):
        x = _place(seconds, low, high)
        parts += [_line("grid", x, 0, x, bottom - 4), _text("tick", x, bottom + 12, _tick(seconds), "middle")]
    parts += [
        _text("tick", LABELS - 12, bottom + 12, "milliseconds"),
        _text("tick", WIDTH, bottom + 12, "median · p99"),
    ]
    return "".join(parts)


def _around(low: float, high: float) -> tuple[float, float]:
    margin = max(0.12 * (high - low), 0.002)
    return max(0.0, low - margin), min(1.0, high + margin)


def _step(span: float) -> float:
    """Of an axis with about five lines."""
    raw = span / 5
    power = 10.0 ** math.floor(math.log10(raw))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= raw)


def _milliseconds(seconds: float) -> str:
    value = 1e3 * seconds
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"
