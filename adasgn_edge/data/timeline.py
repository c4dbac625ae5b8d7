"""When rows are, where neither a frame's number nor a time says so: by who is in them and where they are.

A new frame begins where a person comes again, or where a row is on the way of another one of this frame: that is the
same person under a new name, as when a tracker takes a left hand for a right one. When each person's rows are one
block, the blocks may lie one after another in time, as when the tracker gave somebody a new number, or side by side, as
in a table sorted by person: a block follows the one whose last pose its first pose is near (:func:`follows`), else it
begins in the first frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.persons import Body

__all__ = ["are_blocks", "bodies_by_order", "follows", "frames_by_turn", "rows_of"]

NEAR_STEPS = 3.0
NEAR_EXTENT = 0.5
DETOUR = 3.0


def rows_of(persons: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], list[int]]:
    """The rows of each person, persons in the order in which they appear."""
    rows: dict[tuple[str, ...], list[int]] = {}
    for row, person in enumerate(persons):
        rows.setdefault(person, []).append(row)
    return rows


def bodies_by_order(persons: Sequence[tuple[str, ...]], positions: NDArray[np.float32]) -> list[Body]:
    """The bodies of rows without frames; persons: who is in each row; positions: (rows, V, 3)."""
    blocks = rows_of(persons)
    if are_blocks(persons):
        return _blocks([positions[rows] for rows in blocks.values()])
    frames = np.array(frames_by_turn(persons, positions), dtype=np.int64)
    return [Body(frames[rows], positions[rows]) for rows in blocks.values()]


def are_blocks(persons: Sequence[tuple[str, ...]]) -> bool:
    """Whether each person's rows follow one another."""
    return all(rows[-1] - rows[0] + 1 == len(rows) for rows in rows_of(persons).values())


def frames_by_turn(persons: Sequence[tuple[str, ...]], positions: NDArray[np.float32]) -> list[int]:
    """The frame of each row, rows in the order of time."""
    before, after = _neighbours(persons)
    steps = [_step(positions[rows]) for rows in rows_of(persons).values()]
    step = float(np.median([step for step in steps if np.isfinite(step)] or [0.0]))
    frames: list[int] = []
    present: dict[tuple[str, ...], int] = {}
    for row, person in enumerate(persons):
        again = person in present
        for other in present.values():
            ways = [(other, row, after.get(other)), (before.get(row), other, row)]
            between = [
                _is_between(*(positions[place] for place in way if place is not None))
                for way in ways
                if None not in way
            ]
            again |= _near(positions[other], positions[row], step) and (any(between) or not between)
        if again:
            present = {}
        frames.append(frames[-1] + again if frames else 0)
        present[person] = row
    return frames


def _neighbours(persons: Sequence[tuple[str, ...]]) -> tuple[dict[int, int], dict[int, int]]:
    """For each row the row before and the row after it of the same person, where there is one."""
    pairs = [pair for rows in rows_of(persons).values() for pair in pairwise(rows)]
    return {later: earlier for earlier, later in pairs}, dict(pairs)


def _is_between(one: NDArray[np.float32], middle: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether a pose is on the way from one to the other, no further round than trembling makes it.

    A second detection of a body, beside where it is, is not on its way.
    """
    return _distance(one, middle) + _distance(middle, other) <= DETOUR * _distance(one, other)


def _blocks(blocks: Sequence[NDArray[np.float32]]) -> list[Body]:
    """Each block a body; one that follows another in time begins where that one ends, else in frame 0."""
    bodies: list[Body] = []
    ended: set[int] = set()
    for block in blocks:
        start = 0
        for index, body in enumerate(bodies):
            if index not in ended and follows(body.positions, block):
                ended.add(index)
                start = int(body.frames[-1]) + 1
                break
        bodies.append(Body(np.arange(start, start + len(block), dtype=np.int64), block))
    return bodies


def follows(before: NDArray[np.float32], after: NDArray[np.float32]) -> bool:
    """Whether `after` (L, V, 3) goes on where `before` ends: one person under a new number.

    Their joints are apart no more than NEAR_STEPS times their usual step from frame to frame, the larger one's, and no
    more than NEAR_EXTENT of the body's size; and they are not as near when they are laid side by side, as two persons
    with about the same place would be.
    """
    seen = [clip[~np.isnan(clip).all(axis=(1, 2))] for clip in (before, after)]
    if min(map(len, seen)) < 2:
        return False
    near = _near(seen[0][-1], seen[1][0], max(_step(clip) for clip in seen))
    return near and _distance(seen[0][-1], seen[1][0]) < _distance(seen[0][0], seen[1][0])


def _near(one: NDArray[np.float32], other: NDArray[np.float32], step: float) -> bool:
    known = one[~np.isnan(one).any(axis=1)]
    extent = float(np.ptp(known, axis=0).max()) if len(known) else 0.0
    return _distance(one, other) <= min(NEAR_STEPS * step, NEAR_EXTENT * extent)


def _step(clip: NDArray[np.float32]) -> float:
    """The usual distance from one frame to the next, infinite for a single frame."""
    distances = [distance for one, two in pairwise(clip) if np.isfinite(distance := _distance(one, two))]
    return float(np.median(distances)) if distances else np.inf


def _distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Mean distance of the joints (V, 3) that both have; infinite without any."""
    distances = np.linalg.norm(one.astype(np.float64) - other, axis=1)
    known = distances[~np.isnan(distances)]
    return float(known.mean()) if len(known) else np.inf
