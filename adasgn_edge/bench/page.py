"""The report as one HTML file: nothing is loaded from anywhere, no script, readable in light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from adasgn_edge.bench.charts import Bar, Point, Row, distributions, frontier, stacked_bars
from adasgn_edge.bench.machine import QUIET
from adasgn_edge.bench.wording import board_lines, group_title, interval, ms, number
from adasgn_edge.files import write_text

__all__ = ["to_html", "write_page"]

STYLE = """
:root { color-scheme: light dark; --paper: #fbfbfa; --card: #ffffff; --ink: #1c2024; --soft: #5d6670; --line: #e3e5e8;
  --framework: #b4632a; --dense: #2f6fb3; --branch: #8a8f98; --policy: #7a52b3; --model: #16805f; --stream: #0f7f95;
  --warn: #8a5a00; --warn-paper: #fff4d6; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --card: #1b1f24; --ink: #e7eaed; --soft: #9aa4ae;
  --line: #2d333a; --framework: #e49a5f; --dense: #6fb0f0; --branch: #8d95a0; --policy: #b796f0; --model: #4fc79c;
  --stream: #4cc3d9; --warn: #f0cd7a; --warn-paper: #3a3016; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 0 0 4px; }
p { margin: 4px 0; } .soft { color: var(--soft); } code { font: 13px ui-monospace, monospace; overflow-wrap: anywhere; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px;
  margin: 18px 0; }
.warn { background: var(--warn-paper); color: var(--warn); border-radius: 8px; padding: 8px 14px; margin: 12px 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 12px; margin: 18px 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; }
.tile b { display: block; font-size: 24px; font-weight: 600; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; margin-top: 10px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 4px 10px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 500; } th:first-child, td:first-child { text-align: left; }
th.words, td.words { text-align: left; white-space: normal; min-width: 260px; }
details { margin-top: 10px; } summary { cursor: pointer; color: var(--soft); }
svg { width: 100%; min-width: 700px; height: auto; display: block; margin-top: 10px; font: 13px system-ui, sans-serif; }
svg .label { fill: var(--ink); } svg .value { fill: var(--ink); font-variant-numeric: tabular-nums; }
svg .tick { fill: var(--soft); font-size: 12px; } svg .note { fill: var(--soft); font-size: 12px; }
svg .grid { stroke: var(--line); } svg .rule { stroke: var(--line); }
svg .shape { fill: var(--own); fill-opacity: .45; stroke: var(--own); stroke-width: 1; }
svg .p50 { stroke: var(--ink); stroke-width: 2; } svg .p99 { stroke: var(--own); stroke-width: 2; }
svg .dot { fill: var(--own); } svg .ring { fill: var(--card); stroke: var(--own); stroke-width: 2; }
svg .dashed { stroke-dasharray: 5 4; }
svg .line { fill: none; stroke: var(--own); stroke-width: 1.5; stroke-opacity: .6; }
svg .part { fill: var(--own); } svg .part-0 { fill-opacity: .25; } svg .part-1 { fill-opacity: .5; }
svg .part-2 { fill-opacity: .75; } svg .part-3 { fill-opacity: 1; }
.framework { --own: var(--framework); } .dense { --own: var(--dense); } .branch { --own: var(--branch); }
.policy { --own: var(--policy); } .model { --own: var(--model); } .stream { --own: var(--stream); }
.key { display: flex; flex-wrap: wrap; gap: 4px 18px; color: var(--soft); font-size: 13px; }
.key span::before { content: ""; display: inline-block; width: 10px; height: 10px; border-radius: 2px;
  background: var(--own); margin-right: 6px; }
"""
KINDS = {
    "framework": "dense SGN in other runtimes",
    "dense": "dense SGN in our engine",
    "branch": "single branches",
    "policy": "AdaSGN with a policy",
    "model": "trained models",
    "stream": "steps of a stream",
}
STARTING = ("python", "import", "load", "first")


def write_page(report: dict[str, Any], path: Path) -> None:
    """Write it atomically."""
    write_text(path, to_html(report))


def to_html(report: dict[str, Any]) -> str:
    """The page."""
    machine = report["machine"]
    title = f"adasgn-edge bench: {machine['processor']}"
    rows = {row["name"]: row for row in report["contenders"]}
    parts = [_head(report), _tiles(report)]
    parts += [_group(name, group, rows) for name, group in report["groups"].items() if group["sides"]]
    parts.insert(3, _frontier(report, rows))
    parts += [
        _cold_start(report, rows),
        _memory(report, rows),
        _loop(report["loop"]),
        _contenders(report),
        _machine(report),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(filter(None, parts))
        + "\n</main></body></html>\n"
    )


# -- sections ---------------------------------------------------------------------------------------------------------


def _head(report: dict[str, Any]) -> str:
    machine, settings = report["machine"], report["settings"]
    threads = f"{settings['threads']} thread{'s' * (settings['threads'] > 1)}"
    said = [
        f"<h1>{escape(machine['processor'])}</h1>",
        f'<p class="soft">{escape(report["date"])} · on {escape(settings["device"])}, {threads} · '
        f"{escape(settings['clips'])}</p>",
        f"<p><code>{escape(report['command'])}</code></p>",
    ]
    load = machine["load_average"]["start"][0]
    warnings = []
    if load > QUIET:
        warnings.append(
            f"The load average was {load} at the start: times mislead; ratios of sides, which take turns, less."
        )
    if settings["quick"]:
        warnings.append("A quick run: it shows that everything works; percentiles are of few calls.")
    if not report["complete"]:
        warnings.append("It was interrupted: this is what was measured until then.")
    for row in report["contenders"]:
        if row["status"] == "wrong":
            warnings.append(f"Refused and not timed: {row['title']}: {row['reason']}")
    for name, group in report["groups"].items():
        if group["throttled"]:
            warnings.append(f"Throttled during {group_title(name, group)}: {'; '.join(group['throttled'])}")
    return "\n".join([*said, *(f'<p class="warn">{escape(text)}</p>' for text in warnings)])


def _tiles(report: dict[str, Any]) -> str:
    """What most people look for: dense SGN, the trained model, a step, how soon, how much memory."""
    tiles: list[tuple[str, str, str]] = []
    one = report["groups"].get("clips-1", {"sides": {}, "ratios": []})
    rows = {row["name"]: row for row in report["contenders"]}
    if "dense" in one["sides"]:
        tiles.append(("dense SGN, our engine", ms(one["sides"]["dense"]["p50"]) + " ms", "one clip, median"))
    for name, row in rows.items():
        if row["kind"] == "model" and name in one["sides"] and (row["title"].endswith("own") or "@" not in name):
            found = [r for r in one["ratios"] if r["of"] == name]
            best = next((r for r in found if r["to"] == "dense"), None)
            more = "one clip, mean" + (f"; {best['ratio']:.3f} of dense SGN" if best else "")
            tiles.append((row["title"], ms(one["sides"][name]["mean"]) + " ms", more))
    for name, side in report["groups"].get("streams", {"sides": {}})["sides"].items():
        if rows[name]["title"].endswith("continual"):
            tiles.append((rows[name]["title"], ms(side["p50"]) + " ms", f"a step, median; p99 {ms(side['p99'])} ms"))
    for name, row in report["cold_start"].items():
        if rows[name]["kind"] == "model":
            tiles.append(("cold start", f"{1e3 * row['total']:.0f} ms", f"{rows[name]['title']}: to the first result"))
    cells = [
        f'<div class="tile"><span class="soft">{escape(what)}</span><b>{escape(value)}</b>'
        f'<span class="soft">{escape(more)}</span></div>'
        for what, value, more in tiles
    ]
    return f'<div class="tiles">{"".join(cells)}</div>' if cells else ""


def _group(name: str, group: dict[str, Any], rows: dict[str, Any]) -> str:
    title = group_title(name, group)
    drawn = [Row(rows[side]["title"], rows[side]["kind"], times) for side, times in group["sides"].items()]
    energy = any(times["millijoules"] is not None for times in group["sides"].values())
    header = ["", "mean", "p50", "p90", "p99", "max", "runs", "10⁹ MAC/s", "of limit", *(["mJ"] if energy else [])]
    cells = []
    for side, times in group["sides"].items():
        row = [
            rows[side]["title"],
            *(ms(times[key]) for key in ("mean", "p50", "p90", "p99", "max")),
            str(times["runs"]),
        ]
        row += [number(times["gmacs"], ".1f"), number(times["of_limit"], ".0%")]
        cells.append([*row, number(times["millijoules"], ".3f")] if energy else row)
    about = "Milliseconds of a call, array in, result out; shapes are histograms, with strokes at the median and p99."
    if energy:
        about += f" Energy of a call by {group['rails']}; idle {number(group['idle_watts'], '.2f')} W."
    return _section(
        title[0].upper() + title[1:],
        about,
        _key([row.kind for row in drawn]),
        distributions(drawn, f"latency of {title}"),
        _details("all figures", _table(header, cells)),
        _details("ratios of times, with 95 % intervals", _ratios(group)) if group["ratios"] else "",
    )


def _ratios(group: dict[str, Any]) -> str:
    to = list(dict.fromkeys(row["to"] for row in group["ratios"]))
    found = {(row["of"], row["to"]): row for row in group["ratios"]}
    cells = []
    for one in dict.fromkeys(row["of"] for row in group["ratios"]):
        row = [found.get((one, other)) for other in to]
        cells.append([one, *("–" if cell is None else interval(cell) for cell in row)])
    return _table(["", *(f"÷ {other}" for other in to)], cells)


def _frontier(report: dict[str, Any], rows: dict[str, Any]) -> str:
    points = [
        Point(
            x=row["seconds"],
            y=row["accuracy"],
            line=f"{row['model'].partition('@')[0]} {row['series']}",
            kind="model",
            label=row["label"],
            hint=f"{row['model']}, {row['label']}: {row['accuracy']:.1%} at {ms(row['seconds'])} ms ({row['source']})",
            hollow=row["series"] != "effort table",
        )
        for row in sorted(report["frontier"], key=lambda row: row["seconds"])
    ]
    if not points:
        return ""
    said = {"effort table": "Dots: {}.", "in this run": "Rings: {}."}
    sources = {row["series"]: row["source"] for row in report["frontier"]}
    about = " ".join(said[series].format(source) for series, source in sources.items())
    about += " Models whose accuracy is not known are left out."
    return _section("Accuracy beside time", about, frontier(points, "accuracy above the time of a clip"))


def _cold_start(report: dict[str, Any], rows: dict[str, Any]) -> str:
    if not report["cold_start"]:
        return ""
    bars = [
        Bar(rows[name]["title"], rows[name]["kind"], tuple((part, row[part]) for part in STARTING))
        for name, row in report["cold_start"].items()
    ]
    about = (
        "From the start of Python to the first result, in a process of its own: Python, imports, loading, first run."
    )
    return _section("Cold start", about, stacked_bars(bars, "cold start", "ms", 1e3))


def _memory(report: dict[str, Any], rows: dict[str, Any]) -> str:
    if not report["memory"]:
        return ""
    cells = [
        [rows[name]["title"], *(f"{1e-6 * row[part]:.1f}" for part in ("imported", "loaded", "peak")),
         "–" if row["growth"] is None else f"{1e-6 * row['growth']:+.2f}", str(row["calls"])]
        for name, row in report["memory"].items()
    ]  # fmt: skip
    bars = [
        Bar(rows[name]["title"], rows[name]["kind"], (("peak", row["peak"]),)) for name, row in report["memory"].items()
    ]
    about = "Resident memory of that process, Python and its packages included, in MB."
    table = _table(["", "imported", "loaded", "peak", "growth", "calls"], cells)
    return _section("Memory", about, stacked_bars(bars, "memory", "MB", 1e-6), _details("all figures", table))


def _loop(loop: dict[str, Any] | None) -> str:
    if loop is None:
        return ""
    spans = (("wake_up", "woken late"), ("compute", "compute"), ("end_to_end", "end to end"))
    drawn = [Row(title, "stream", loop[key]) for key, title in spans if loop[key] is not None]
    faults = loop["page_faults"]
    about = (
        f"{loop['model']}, {loop['cycles']} cycles of {1e3 * loop['period']:g} ms with absolute deadlines, scheduler "
        f"{loop['scheduler']}: {loop['missed']} deadlines missed, {loop['skipped']} cycles skipped, page faults "
        f"{faults['minor']} minor, {faults['major']} major."
    )
    chart = distributions(drawn, "a control loop") if drawn else ""
    return _section(f"A loop at {loop['rate']:g} Hz", about, chart)


def _contenders(report: dict[str, Any]) -> str:
    cells = []
    for row in report["contenders"]:
        status = {"right": "right", "wrong": "refused", "absent": "absent"}[row["status"]]
        error = "" if row["error"] is None else f"{row['error']:.1e}"
        why = "; ".join(filter(None, (row["weights"], row["reason"], row["remedy"])))
        cells.append([row["title"], status, error, why])
    about = "Each one's logits (of streams, probabilities) beside a reference in float64, before it was timed."
    return _section("Contenders", about, _table(["", "", "error", "weights, or why not"], cells, words=3))


def _machine(report: dict[str, Any]) -> str:
    machine, limit = report["machine"], report["limit"]
    load = machine["load_average"]
    lines = [
        f"{machine['processor']}, {machine['architecture']}, {machine['cores']} cores, "
        f"{', '.join(machine['instruction_sets'])}; clocks {machine['clocks']}",
        ", ".join(f"{name} {version}" for name, version in machine["versions"].items()),
        f"load average {load['start'][0]} at the start, {load['end'][0]} at the end",
        *board_lines(machine["board"]),
    ]
    if limit["gmacs"] is not None:
        lines.append(
            f"limit: {limit['gmacs']:.1f} · 10⁹ multiply-adds a second, {limit['instruction_set']}: {limit['what']}"
        )
    else:
        lines.append(f"limit: {limit['reason']}")
    return _section("Machine", "", "".join(f"<p>{escape(line)}</p>" for line in lines))


# -- elements ---------------------------------------------------------------------------------------------------------


def _section(title: str, about: str, *parts: str) -> str:
    said = f'<p class="soft">{escape(about)}</p>' if about else ""
    return f"<section><h2>{escape(title)}</h2>{said}{''.join(parts)}</section>"


def _details(title: str, content: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def _key(kinds: Sequence[str]) -> str:
    shown = [f'<span class="{kind}">{escape(KINDS[kind])}</span>' for kind in dict.fromkeys(kinds)]
    return f'<p class="key">{"".join(shown)}</p>' if len(shown) > 1 else ""


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int | None = None) -> str:
    """words: the column that holds sentences."""
    head = "".join(f"<th{' class=words' * (place == words)}>{escape(cell)}</th>" for place, cell in enumerate(header))
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="words">{escape(cell)}</td>' if place == words else f"<td>{escape(cell)}</td>"
            for place, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
