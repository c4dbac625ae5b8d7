"""Who is in a recording: bodies as a tracker saw them, made into the persons that they are.

A tracker gives somebody whom it lost for a moment a new ID, and takes a chair or a reflection for a body. Whatever the
format of a file, the same steps make persons of bodies, without looking at the action:

1. *Lost and found.* Two bodies that are never seen at the same time are one person when the second begins near where
   the first ended: the mean distance of their joints is at most twice the body's radius, and that again for every ten
   frames between them. The nearest two are joined first, again and again. Where a body jumps farther than that it may
   have become somebody else, so it is cut there first; pieces that found nobody nearer are put together again.
2. *Strays.* What is seen in fewer than 12 frames is left out when somebody is seen four times as long.
3. *Order.* Who moves more comes first: the variance over time, summed over joints and coordinates. The order of the
   file has no say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.lazy import cached_property

__all__ = ["FEW_FRAMES", "Body", "by_motion", "join_bodies", "whole_body", "without_strays"]

FEW_FRAMES = 12
STRAY_RATIO = 4
REACH = 2.0
"""How far somebody is looked for where they were lost, in radii of the body."""
REACH_FRAMES = 10
"""Within how many unseen frames the reach grows by itself."""
MOST_BODIES = 64
"""More bodies than a sensor follows: the longest seen are kept."""
MOST_JUMPS = 8
"""What jumps more often in a recording is badly tracked, not somebody else each time."""


@dataclass(frozen=True)
class Body:
    """What the tracker saw under one ID: frames (L,) in which it was seen, ascending; positions (L, V, 3).

    A joint that was not seen in a frame has NaN as coordinates, or the zeros that the tracker wrote.
    """

    frames: NDArray[np.int64]
    positions: NDArray[np.float32]

    @cached_property
    def motion(self) -> float:
        """Variance over time, summed over joints and coordinates, of the joints that were seen."""
        positions = self.positions.astype(np.float64)
        return float(np.nansum(_mean((positions - _mean(positions, axis=0)) ** 2, axis=0)))

    @cached_property
    def radius(self) -> float:
        """Root mean square distance of the joints from their centre, the median over the frames."""
        positions = self.positions.astype(np.float64)
        squares = ((positions - _mean(positions, axis=1, keepdims=True)) ** 2).sum(axis=-1)  # (L, V)
        return float(np.sqrt(np.nanmedian(_mean(squares, axis=1))))

    def joined(self, other: Body) -> Body:
        """Both, in the order of time."""
        frames = np.concatenate([self.frames, other.frames])
        order = np.argsort(frames, kind="stable")
        return Body(frames[order], np.concatenate([self.positions, other.positions])[order])


def whole_body(positions: NDArray[np.float32]) -> Body:
    """The one body of a recording (L, V, 3) that has a row for every frame."""
    return Body(np.arange(len(positions)), positions)


def join_bodies(bodies: Sequence[Body]) -> list[Body]:
    """Bodies lost and found again joined, the nearest first; the same whatever order they come in."""
    longest_first = sorted(bodies, key=lambda body: (-len(body.frames), body.frames[0], body.positions[0].tobytes()))
    kept = longest_first[:MOST_BODIES]
    pieces = [(number, piece) for number, body in enumerate(kept) for piece in _cut(body)] if len(kept) > 1 else []
    if not pieces:
        return kept
    persons = [piece for _, piece in pieces]
    numbers = [{number} for number, _ in pieces]  # of the bodies that a person is made of
    distance = np.full((len(persons), len(persons)), np.inf)
    for second, first in combinations(range(len(persons)), 2):
        distance[first, second] = _distance(persons[first], persons[second])
    alive = set(range(len(persons)))

    def join(first: int, second: int) -> None:
        persons[first] = persons[first].joined(persons[second])
        numbers[first] |= numbers[second]
        alive.remove(second)
        distance[second] = distance[:, second] = np.inf
        for other in alive - {first}:
            distance[max(first, other), min(first, other)] = _distance(persons[first], persons[other])

    while len(alive) > 1:
        first, second = divmod(int(distance.argmin()), len(persons))
        if distance[first, second] > 1:
            break
        join(first, second)
    for first, second in combinations(sorted(alive), 2):
        same_body = {first, second} <= alive and numbers[first] & numbers[second]
        if same_body and not _seen_at_once(persons[first], persons[second]):
            join(first, second)
    return [persons[place] for place in sorted(alive)]


def _cut(body: Body) -> list[Body]:
    """A body in pieces that do not jump; one that jumps all the time stays whole."""
    ratio = _ratio(_moved(body.positions[:-1], body.positions[1:]), _reach(body.radius, np.diff(body.frames)))
    with np.errstate(invalid="ignore"):
        jumps = np.flatnonzero(ratio > 1) + 1
    if not 0 < len(jumps) <= MOST_JUMPS:
        return [body]
    rows = np.split(np.arange(len(body.frames)), jumps)
    return [Body(body.frames[row], body.positions[row]) for row in rows]


def without_strays(persons: Sequence[Body]) -> list[Body]:
    """The persons that are seen long enough to be one."""
    longest = max((len(person.frames) for person in persons), default=0)
    return [p for p in persons if len(p.frames) >= FEW_FRAMES or STRAY_RATIO * len(p.frames) > longest]


def by_motion(persons: Sequence[Body]) -> list[Body]:
    """Who moves more comes first."""
    return sorted(persons, key=lambda person: -person.motion)


def _distance(first: Body, second: Body) -> float:
    """How far apart two bodies are where one follows the other, over how far that may be; infinite if seen at once."""
    if _seen_at_once(first, second):
        return float("inf")
    frames = np.concatenate([first.frames, second.frames])
    order = np.argsort(frames, kind="stable")
    frames = frames[order]
    positions = np.concatenate([first.positions, second.positions])[order]
    is_first = (np.arange(len(order)) < len(first.frames))[order]
    before = np.flatnonzero(is_first[1:] != is_first[:-1])
    apart = _moved(positions[before], positions[before + 1])
    ratio = _ratio(apart, _reach((first.radius + second.radius) / 2, frames[before + 1] - frames[before]))
    return float(ratio.max()) if np.isfinite(ratio).all() else float("inf")


def _seen_at_once(first: Body, second: Body) -> bool:
    return bool(np.isin(first.frames, second.frames).any())


def _moved(before: NDArray[np.floating], after: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N,) mean distance of the joints of N frames (N, V, 3) from where they were; NaN when none was seen twice."""
    return _mean(np.linalg.norm(after.astype(np.float64) - before, axis=-1), axis=1)


def _reach(radius: float, gaps: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N,) how far away somebody is looked for who was lost that many frames ago."""
    return np.maximum(REACH * radius * (1 + gaps / REACH_FRAMES), np.finfo(np.float64).tiny)


def _ratio(apart: NDArray[np.float64], reach: NDArray[np.float64]) -> NDArray[np.float64]:
    """One over the other; infinite of bodies that are points."""
    with np.errstate(over="ignore"):
        return apart / reach


def _mean(values: NDArray[np.float64], axis: int, keepdims: bool = False) -> NDArray[np.float64]:
    """Mean along an axis of what is not NaN; NaN where all is."""
    seen = np.isfinite(values)
    total: NDArray[np.float64] = np.where(seen, values, 0.0).sum(axis=axis, keepdims=keepdims)
    with np.errstate(invalid="ignore"):
        return total / seen.sum(axis=axis, keepdims=keepdims)
