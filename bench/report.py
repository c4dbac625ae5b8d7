"""From times to a report: one JSON file and one Markdown page, which ``python -m bench`` writes."""

from __future__ import annotations

import datetime
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.bench import machine
from adasgn_edge.bench.interleave import Side
from adasgn_edge.bench.timing import statistics
from adasgn_edge.files import write_text
from bench.aims import find_aims
from bench.groups import Group
from bench.markdown import to_markdown
from bench.models import Subject
from bench.workplace import TOLERANCE

__all__ = ["group_report", "make_report", "write_report"]

FORMAT = "adasgn_edge.speed.2"
FLAGS = ("sse2", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "amx_tile", "asimd", "sve")
"""Instruction sets worth a word; all of the processor's flags are in the JSON."""


def group_report(
    group: Group, sides: Sequence[Side], errors: Mapping[str, float], times: Mapping[str, NDArray[np.float64]]
) -> dict[str, Any]:
    """One group, as plain values; errors: of the sides that return logits."""
    facts = {key: getattr(group, key) for key in ("kind", "subject", "batch", "threads")}
    rows = {
        side.name: {**statistics(times[side.name]), "macs": side.macs, "logit_error": errors.get(side.name)}
        for side in sides
    }
    return {**facts, "sides": rows}


def make_report(
    groups: dict[str, dict[str, Any]], subjects: Mapping[str, Subject], command: str, load: list[float], quick: bool
) -> dict[str, Any]:
    """The report, as plain values; load: load average when it began."""
    commit, dirty = _commit()
    flags = machine.flags()
    return {
        "format": FORMAT,
        "command": command,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        "commit": commit,
        "uncommitted_changes": dirty,
        "cpu": machine.processor(),
        "cpu_count": machine.cores(),
        "instruction_sets": [flag for flag in FLAGS if flag in flags],
        "cpu_flags": flags,
        "frequency": machine.frequency(),
        "load_average": {"start": load, "end": machine.load_average()},
        "versions": machine.versions(),
        "not_installed": machine.missing_peers(),
        "quick": quick,
        "tolerance": TOLERANCE,
        "subjects": {name: subject.facts() for name, subject in subjects.items()},
        "aims": find_aims(groups),
        "groups": groups,
    }


def write_report(report: dict[str, Any], folder: Path) -> list[Path]:
    """Write ``speed.json`` and ``speed.md``, each atomically; returns their paths."""
    paths = [folder / "speed.json", folder / "speed.md"]
    write_text(paths[0], json.dumps(report, indent=1) + "\n")
    write_text(paths[1], to_markdown(report))
    return paths


def _commit() -> tuple[str, bool]:
    """The checkout's commit, and whether something has changed since; "none" without git."""
    root = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError):
        return "none", False
