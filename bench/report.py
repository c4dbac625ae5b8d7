"""From pytest-benchmark's record to a report: one JSON file and one Markdown page.

Run: ``python -m bench`` does it after measuring; ``python -m bench.report RAW.json --out FOLDER`` does it alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from adasgn_edge.files import write_text
from bench.aims import find_aims
from bench.markdown import to_markdown

__all__ = ["make_report", "statistics", "write_report"]

FORMAT = "adasgn_edge.speed.2"
FLAGS = ("sse2", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "amx_tile", "asimd", "sve")
"""Instruction sets worth a word; all of the processor's flags are in the JSON."""


def make_report(raw: dict[str, Any], command: str) -> dict[str, Any]:
    """The report, as plain values, of what pytest-benchmark wrote."""
    noted, cpu = raw["adasgn_edge"], raw["machine_info"].get("cpu", {})
    groups: dict[str, dict[str, Any]] = {}
    for benchmark in raw["benchmarks"]:
        info = benchmark["extra_info"]
        facts = {key: info[key] for key in ("kind", "subject", "batch", "threads")}
        group = groups.setdefault(benchmark["group"], {**facts, "sides": {}})
        times = statistics(benchmark["stats"]["data"])
        group["sides"][info["side"]] = {**times, "macs": info["macs"], "logit_error": info["logit_error"]}
    flags = cpu.get("flags", [])
    return {
        "format": FORMAT,
        "command": command,
        "date": raw["datetime"],
        "commit": raw["commit_info"].get("id") or "none",
        "uncommitted_changes": bool(raw["commit_info"].get("dirty")),
        "cpu": cpu.get("brand_raw") or raw["machine_info"].get("processor") or "unknown",
        "cpu_count": cpu.get("count"),
        "instruction_sets": [flag for flag in FLAGS if flag in flags],
        "cpu_flags": flags,
        **{key: noted[key] for key in ("frequency", "load_average", "versions", "not_installed", "quick", "tolerance")},
        "subjects": noted["subjects"],
        "aims": find_aims(groups),
        "groups": groups,
    }


def write_report(report: dict[str, Any], folder: Path) -> list[Path]:
    """Write ``speed.json`` and ``speed.md``, each atomically; returns their paths."""
    paths = [folder / "speed.json", folder / "speed.md"]
    write_text(paths[0], json.dumps(report, indent=1) + "\n")
    write_text(paths[1], to_markdown(report))
    return paths


def statistics(seconds: list[float]) -> dict[str, Any]:
    """Seconds. Percentiles only of enough runs to have them: p5 and p95 of 20, p99 of 100."""
    times, runs = np.asarray(seconds), len(seconds)
    low, median, high, highest = np.percentile(times, [5, 50, 95, 99]).tolist()
    return {
        "median": median,
        "p5": low if runs >= 20 else None,
        "p95": high if runs >= 20 else None,
        "p99": highest if runs >= 100 else None,
        "mean": float(times.mean()),
        "least": float(times.min()),
        "most": float(times.max()),
        "runs": runs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("raw", type=Path, help="what --benchmark-json wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for speed.json and speed.md")
    options = parser.parse_args()
    report = make_report(json.loads(options.raw.read_text()), f"python -m bench.report {options.raw.name}")
    for path in write_report(report, options.out):
        print(path)


if __name__ == "__main__":
    main()
