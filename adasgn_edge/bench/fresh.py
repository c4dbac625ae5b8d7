"""Cold start and memory: every contender in processes of its own, from the start of Python to the first result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import adasgn_edge
from adasgn_edge.errors import BenchError

__all__ = ["CHILD", "GROWTH_SECONDS", "STARTS", "Fresh", "measure_fresh"]

CHILD = Path(__file__).with_name("fresh_child.py")
STARTS = 5
GROWTH_SECONDS = 2.0
LIMIT = 300.0
"""Seconds after which a process is given up."""


@dataclass(frozen=True)
class Fresh:
    """What came of it, plain values. cold_start: seconds of the start that took the median time, in all (from before
    Python was started to the first result) and of its parts; memory: bytes,
    growth None where the last start was not come to."""

    cold_start: dict[str, float]
    memory: dict[str, int | None]


def measure_fresh(
    spec: dict[str, Any],
    *,
    starts: int = STARTS,
    seconds: float = GROWTH_SECONDS,
    go_on: Callable[[], bool] = lambda: True,
) -> Fresh:
    """Start it so often, the last time for some seconds of calls; BenchError for a process that fails.

    spec: as of the contenders' `fresh`, with files of inputs. The files are in the system's cache from the second start
    on, so that a start is that of a program that is started again.
    """
    rows, last = [], {}
    for number in range(starts):
        if not go_on():
            break
        final = number == starts - 1
        began = time.monotonic()
        last = _run({**spec, "seconds": seconds if final else 0.0})
        moments = last["moments"]
        rows.append(
            [
                moments["began"] - began,
                moments["imported"] - moments["began"],
                moments["loaded"] - moments["imported"],
                moments["first"] - moments["loaded"],
                moments["first"] - began,
            ]
        )
    if not rows:
        raise BenchError("interrupted before it was started")
    names = ("python", "import", "load", "first", "total")
    middle = sorted(rows, key=lambda row: row[-1])[(len(rows) - 1) // 2]
    cold = {**dict(zip(names, middle, strict=True)), "runs": len(rows)}
    return Fresh(cold, {"growth": None, **last["memory"], "calls": last["calls"]})


def _run(spec: dict[str, Any]) -> dict[str, Any]:
    package = str(Path(adasgn_edge.__file__).parents[1])
    paths = [package, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, str(CHILD), json.dumps(spec)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        raise BenchError(f"a process of its own: expected it to end within {LIMIT:g} s, found it running") from None
    if done.returncode != 0:
        words = (done.stderr.strip().splitlines() or ["nothing"])[-1][:300]
        raise BenchError(f"a process of its own: expected it to work, found exit status {done.returncode}: {words}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
