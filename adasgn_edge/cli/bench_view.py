"""What ``adasgn-edge bench`` shows: how far it is, then its tables."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from adasgn_edge.bench.machine import QUIET
from adasgn_edge.bench.wording import board_lines, group_title, interval, ms, number
from adasgn_edge.cli.console import SafeConsole, console
from adasgn_edge.cli.stopping import Stopping

__all__ = ["BenchView", "show", "show_comparison"]

PREPARING = ("inputs", "contenders")
"""Stages before anything is measured that Ctrl-C could keep."""


class BenchView:
    """How far a run is: a bar on a terminal, a line a stage elsewhere, both on standard error."""

    def __init__(self, stopping: Stopping) -> None:
        self._stopping = stopping
        output = SafeConsole(stderr=True)
        self._live = output.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn(), console=output,
            transient=True, disable=not self._live,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=1.0)
        self._output = output

    def __enter__(self) -> BenchView:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    @property
    def stopped(self) -> bool:
        """Whether a signal came."""
        return self._stopping.signal is not None

    def stage(self, what: str) -> None:
        """Show what it is at."""
        self._stopping.at_once = what in PREPARING
        self._bar.reset(self._task, total=1.0, description=what)
        if not self._live:
            self._output.print(what, highlight=False)

    def progress(self, share: float) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=share)


def show(report: dict[str, Any]) -> None:
    """All tables of a report."""
    _show_machine(report)
    rows = {row["name"]: row for row in report["contenders"]}
    for name, group in report["groups"].items():
        console.print(_times(name, group, rows))
        if group["throttled"]:
            _say(f"throttled meanwhile: {'; '.join(group['throttled'])}", "yellow")
        if group["ratios"]:
            console.print(_ratios(name, group))
    if report["cold_start"]:
        console.print(_cold_start(report, rows))
    if report["memory"]:
        console.print(_memory(report, rows))
    if report["loop"] is not None:
        _show_loop(report["loop"])
    for row in report["contenders"]:
        if row["status"] == "wrong":
            _say(f"refused, not timed: {row['title']}: {row['reason']}", "red")
        elif row["status"] == "right" and row["reason"]:
            _say(f"{row['title']}: {row['reason']}", "yellow")
    for row in report["contenders"]:
        if row["status"] == "absent":
            _say(f"absent: {row['title']}: {row['reason']}" + (f"; {row['remedy']}" if row["remedy"] else ""))
    if not report["complete"]:
        _say("interrupted: this is what was measured until then", "yellow")


def _say(text: str, style: str = "") -> None:
    console.print(text, style=style or None, highlight=False, soft_wrap=True)


def _show_machine(report: dict[str, Any]) -> None:
    machine, settings, limit = report["machine"], report["settings"], report["limit"]
    load = machine["load_average"]
    _say(f"{machine['processor']}, {machine['cores']} cores ({', '.join(machine['instruction_sets'])}), "
         f"clocks {machine['clocks']}")  # fmt: skip
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    _say(f"{versions}; load average {load['start'][0]} at the start, {load['end'][0]} at the end")
    _say(f"on {settings['device']}, {settings['threads']} thread{'s' * (settings['threads'] > 1)}; {settings['clips']}")
    if load["start"][0] > QUIET:
        _say("the machine was not quiet when this began: times mislead; ratios of sides, which take turns, less so",
             "yellow")  # fmt: skip
    if limit["gmacs"] is not None:
        _say(f"limit: {limit['gmacs']:.1f} · 10⁹ multiply-adds a second ({limit['what']}, {limit['instruction_set']})")
    else:
        _say(f"limit: {limit['reason']}")
    for line in board_lines(machine["board"]):
        _say(line)


def _times(name: str, group: dict[str, Any], rows: dict[str, Any]) -> Table:
    table = Table(title=f"{group_title(name, group)}: milliseconds")
    for column in ("", "mean", "p50", "p90", "p99", "max"):
        table.add_column(column, justify="right" if column else "left")
    energy = any(side["millijoules"] is not None for side in group["sides"].values())
    known = any(rows[name]["accuracy"] is not None for name in group["sides"])
    for column in ("runs", "10⁹ MAC/s", "of limit", *(["accuracy"] if known else []), *(["mJ"] if energy else [])):
        table.add_column(column, justify="right")
    for contender, side in group["sides"].items():
        row = rows[contender]
        cells = [ms(side[key]) for key in ("mean", "p50", "p90", "p99", "max")]
        cells += [str(side["runs"]), number(side["gmacs"], ".1f"), number(side["of_limit"], ".0%")]
        if known:
            cells.append("–" if row["accuracy"] is None else f"{row['accuracy']['value']:.1%}")
        if energy:
            cells.append(number(side["millijoules"], ".3f"))
        table.add_row(row["title"], *cells)
    return table


def _ratios(name: str, group: dict[str, Any]) -> Table:
    """Of our dense SGN and of the trained models; single branches are in the JSON."""
    to = list(dict.fromkeys(row["to"] for row in group["ratios"]))
    table = Table(title=f"{group_title(name, group)}: ratios of times, 95 % intervals")
    table.add_column("")
    for other in to:
        table.add_column(f"÷ {other}", justify="right")
    found = {(row["of"], row["to"]): row for row in group["ratios"]}
    for one in dict.fromkeys(row["of"] for row in group["ratios"]):
        if one.startswith("branch-"):
            continue
        cells = [found.get((one, other)) for other in to]
        table.add_row(one, *("–" if cell is None else interval(cell) for cell in cells))
    return table


def _cold_start(report: dict[str, Any], rows: dict[str, Any]) -> Table:
    table = Table(title="cold start: milliseconds to the first result, in a process of its own")
    for column in ("", "Python", "import", "load", "first result", "in all"):
        table.add_column(column, justify="right" if column else "left")
    for name, row in report["cold_start"].items():
        parts = ("python", "import", "load", "first", "total")
        table.add_row(rows[name]["title"], *(f"{1e3 * row[part]:.0f}" for part in parts))
    return table


def _memory(report: dict[str, Any], rows: dict[str, Any]) -> Table:
    table = Table(title="memory of that process, MB")
    for column in ("", "imported", "loaded", "peak", "growth", "calls"):
        table.add_column(column, justify="right" if column else "left")
    for name, row in report["memory"].items():
        cells = [f"{1e-6 * row[part]:.1f}" for part in ("imported", "loaded", "peak")]
        growth = "–" if row["growth"] is None else f"{1e-6 * row['growth']:+.2f}"
        table.add_row(rows[name]["title"], *cells, growth, str(row["calls"]))
    return table


def _show_loop(loop: dict[str, Any]) -> None:
    faults = loop["page_faults"]
    table = Table(title=f"a loop at {loop['rate']:g} Hz ({loop['model']}, scheduler {loop['scheduler']}): milliseconds")
    for column in ("", "mean", "p50", "p90", "p99", "max"):
        table.add_column(column, justify="right" if column else "left")
    for key, title in (("wake_up", "woken late"), ("compute", "compute"), ("end_to_end", "end to end")):
        if loop[key] is not None:
            table.add_row(title, *(ms(loop[key][part]) for part in ("mean", "p50", "p90", "p99", "max")))
    console.print(table)
    _say(f"{loop['cycles']} cycles, {loop['missed']} deadlines missed, {loop['skipped']} cycles skipped, page faults "
         f"{faults['minor']} minor, {faults['major']} major")  # fmt: skip


def show_comparison(comparison: dict[str, Any], first: str, second: str) -> None:
    """Times of the second report over those of the first."""
    for difference in comparison["differences"]:
        _say(f"differs: {difference['what']}: {difference['first']} | {difference['second']}", "yellow")
    for name, group in comparison["groups"].items():
        table = Table(title=f"{name}: {second} over {first}")
        for column in ("", "first ms", "second ms", "ratio, 95 % interval", ""):
            table.add_column(column, justify="right" if column and column != "" else "left")
        for row in group:
            verdict = {None: "", True: "slower", False: "faster"}[row["slower"]]
            table.add_row(row["name"], ms(row["first"]), ms(row["second"]), interval(row), verdict)
        console.print(table)
    for what in ("cold_start", "memory"):
        if comparison[what]:
            table = Table(title=f"{what.replace('_', ' ')}: ratio")
            for column in ("", *comparison["parts"][what]):
                table.add_column(column, justify="right" if column else "left")
            for name, row in comparison[what].items():
                table.add_row(name, *(number(row.get(part), ".2f") for part in comparison["parts"][what]))
            console.print(table)
    for side, names in comparison["only_in"].items():
        if names:
            _say(f"only in the {side}: {', '.join(names)}")
