"""Timing several sides turn by turn, so that whatever the machine does meanwhile hits all of them alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["REST", "Pace", "Side", "interleave"]

REST = 0.005
"""Seconds between turns where several threads are used: time for the threads of the side before to stop spinning."""


@dataclass(frozen=True)
class Side:
    """One thing that is timed: `call(i)` runs it on input number i, the same input for every side.

    macs: multiply-accumulates of a call, the mean over the inputs; None where they are not counted. model: whose
    logits the call returns (what bench/models.py calls it); empty for calls that return something else.
    """

    name: str
    call: Callable[[int], Any]
    macs: float | None = None
    model: str = ""


@dataclass(frozen=True)
class Pace:
    """How long is measured.

    calls: timed calls of a side's turn; untimed: calls before them, which bring the side's weights back to the caches;
    seconds: no new round (a turn of every side) begins after these, unless there were fewer than least rounds;
    most: rounds after which it ends; rest: pause before a turn, seconds.
    """

    calls: int = 1
    untimed: int = 1
    seconds: float = 10.0
    least: int = 3
    most: int = 10_000
    rest: float = 0.0


def interleave(
    sides: Sequence[Side], pace: Pace, go_on: Callable[[float], bool] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Seconds of every timed call by side: A A A B B B C C C A A A …; call number n of each side is on input n.

    go_on: asked before each round but the first, with the share of the time that has passed; False ends it.
    """
    for side in sides:  # first calls plan, allocate, compile
        side.call(0)
    seconds: dict[str, list[float]] = {side.name: [] for side in sides}
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        started, rounds = time.perf_counter(), 0
        while rounds < pace.most and (rounds < pace.least or time.perf_counter() - started < pace.seconds):
            if go_on is not None and rounds and not go_on(_share(rounds, time.perf_counter() - started, pace)):
                break
            for side in sides:
                _turn(side, rounds * pace.calls, pace, seconds[side.name])
            rounds += 1
    finally:
        if collecting:
            gc.enable()
    return {name: np.asarray(values) for name, values in seconds.items()}


def _share(rounds: int, seconds: float, pace: Pace) -> float:
    """How much is done: all of the most rounds, or all of the time and the least rounds."""
    timed = min(seconds / pace.seconds if pace.seconds else 1.0, rounds / pace.least if pace.least else 1.0)
    return min(1.0, max(rounds / pace.most, timed))


def _turn(side: Side, first: int, pace: Pace, seconds: list[float]) -> None:
    if pace.rest:
        time.sleep(pace.rest)
    for number in range(pace.untimed):
        side.call(first + number)
    for number in range(first, first + pace.calls):
        started = time.perf_counter()
        side.call(number)
        seconds.append(time.perf_counter() - started)
