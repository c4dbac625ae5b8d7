"""The report of a run as one JSON file.

::

    {"format": "adasgn_edge.bench.1", "command", "date", "complete": false where it was interrupted,
     "settings": as of settings.py, and "clips": what the inputs are,
     "machine": {"processor", "architecture", "cores", "instruction_sets", "clocks", "versions",
                 "load_average": {"start", "end"}, "board": as of board.py},
     "limit": {"gmacs": 10⁹ multiply-adds a second of one core, "instruction_set", "what"}, gmacs null with a "reason",
     "contenders": [{"name", "title", "kind", "weights", "status": "right" | "wrong" | "absent",
                     "error": of logits, as a share of their norm, "reason", "remedy",
                     "accuracy": {"value", "source", "measured": in this run} or null}],
     "groups": {NAME: {"unit": "clip" | "step", "batch", "threads", "calls": a turn, "rounds",
                       "throttled": what slowed the processor down, "idle_watts", "rails": on boards that measure power,
                       "sides": {CONTENDER: {"runs", "mean", "min", "p50", "p90", "p99", "max",
                                             "histogram": {"edges", "counts"},
                                             "rounds": {"medians", "means"}, "macs", "gmacs": 10⁹ a second, "of_limit",
                                             "millijoules": of a unit; "millijoules_above_idle", "watts" of rails;
                                             of streams "bodies", "period"}},
                       "ratios": [{"of", "to", "statistic": "mean" | "median", "ratio", "low", "high"}]}},
     "frontier": [{"model", "series", "seconds", "accuracy", "label", "source"}],
     "cold_start": {CONTENDER: {"python", "import", "load", "first", "total", "runs"}},
     "memory": {CONTENDER: {"imported", "loaded", "peak", "growth", "calls"}},
     "loop": null or {"model", "rate", "period", "cycles", "missed", "skipped", "page_faults": {"minor", "major"},
                      "scheduler", "wake_up", "compute", "end_to_end": as a side's times}}

Times are seconds, memory bytes, MACs those of one call (folded count). Percentiles are null of too few runs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adasgn_edge.errors import BenchError
from adasgn_edge.files import write_text
from adasgn_edge.text_file import read_json
from adasgn_edge.wording import shown

__all__ = ["FORMAT", "KEYS", "read_report", "write_report"]

FORMAT = "adasgn_edge.bench.1"
KEYS = (
    "format", "command", "date", "complete", "settings", "machine", "limit", "contenders", "groups", "frontier",
    "cold_start", "memory", "loop",
)  # fmt: skip


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write it, or a comparison of two (comparison.py), atomically."""
    write_text(path, json.dumps(report, indent=1, allow_nan=False) + "\n")


def read_report(path: Path) -> dict[str, Any]:
    """A report that :func:`write_report` wrote; BenchError for anything else."""
    report = read_json(path, "a file of `adasgn-edge bench --json`", BenchError)
    found = report.get("format") if isinstance(report, dict) else None
    if found != FORMAT:
        raise BenchError(f"{path}: expected the format {FORMAT!r}, found {shown(found)}")
    missing = [key for key in KEYS if key not in report]
    if missing:
        raise BenchError(f"{path}: expected the keys {', '.join(KEYS)}; found {', '.join(missing)} missing")
    return report
