"""A control loop with absolute deadlines: a frame of a stream in each cycle, through the recogniser.

As examples/robot_loop.py runs it: what a cycle takes, or sleeps too long, is not added to the next one. Everything is
kept in arrays that are there before it begins.
"""

from __future__ import annotations

import gc
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.bench.settings import LoopSettings
from adasgn_edge.bench.streams import frames_at
from adasgn_edge.bench.timing import histogram, summary
from adasgn_edge.recogniser import Recogniser

__all__ = ["run_loop"]

SECOND = 1_000_000_000
WARM_UP = 1.0
"""Seconds of cycles before those that count: the window fills, memory is touched."""
SCHEDULERS = {os.SCHED_OTHER: "other", os.SCHED_FIFO: "fifo", os.SCHED_RR: "round robin"}


def run_loop(
    model: Path, settings: LoopSettings, threads: int = 1, go_on: Callable[[float], bool] | None = None
) -> dict[str, Any]:
    """Cycles at a rate for some seconds; plain values, as of report.py.

    Woken late: from the deadline on; compute: from then; end to end: from the deadline to the results. A cycle that is
    not done by the next deadline is a miss, and those whose time has passed are skipped. go_on: asked in each cycle,
    after its work, with the share that is done; False ends it.
    """
    period = round(SECOND / settings.rate)
    recogniser = Recogniser(model, threads=threads)
    frames = frames_at(settings.rate, recogniser.description.layout)
    cycles = max(1, round(settings.rate * settings.seconds))
    warm_up = max(1, round(settings.rate * WARM_UP))
    times = np.zeros((cycles, 3), np.int64)  # deadline, woken, done
    missed = skipped = counted = 0
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        faults = _page_faults()
        deadline = time.monotonic_ns() + period
        number = -warm_up
        while number < cycles:
            while (rest := deadline - time.monotonic_ns()) > 0:
                time.sleep(1e-9 * rest)
            woken = time.monotonic_ns()
            recogniser.push(deadline, {0: frames[number % len(frames)]})
            done = time.monotonic_ns()
            following = deadline + period
            behind = 0 if done <= following else (done - following) // period + 1
            if number >= 0:
                times[counted] = deadline, woken, done
                counted += 1
                missed += behind > 0
                skipped += behind
            elif number == -1:
                faults = _page_faults()
            deadline = following + behind * period
            number += 1 + behind if number >= 0 else 1
            if go_on is not None and number >= 0 and not go_on(min(1.0, number / cycles)):
                break
        minor, major = (now - then for now, then in zip(_page_faults(), faults, strict=True))
    finally:
        if collecting:
            gc.enable()
    return {
        "rate": settings.rate,
        "period": 1e-9 * period,
        "cycles": counted,
        "missed": missed,
        "skipped": skipped,
        "page_faults": {"minor": minor, "major": major},
        "scheduler": SCHEDULERS.get(os.sched_getscheduler(0), "unknown"),
        **_spans(times[:counted]),
    }


def _spans(times: NDArray[np.int64]) -> dict[str, Any]:
    """Percentiles and histograms in seconds; none of a loop that was interrupted at once."""
    if len(times) == 0:
        return {"wake_up": None, "compute": None, "end_to_end": None}
    deadline, woken, done = 1e-9 * (times - times[:, :1]).T
    spans = {"wake_up": woken - deadline, "compute": done - woken, "end_to_end": done - deadline}
    return {name: {**summary(span), "histogram": histogram(span)} for name, span in spans.items()}


def _page_faults() -> tuple[int, int]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_minflt, used.ru_majflt
