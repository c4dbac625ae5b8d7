"""Several gestures by one imaginary subject in one stream, with pauses between them, as in front of a sensor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.errors import ClipError
from adasgn_edge.hands.animate import Hold, drawn_hand, movement, sensed, tremor
from adasgn_edge.hands.choreography import CHOREOGRAPHY, GESTURES
from adasgn_edge.hands.kinematics import Posture, forward_kinematics

__all__ = ["Performance", "Performed", "perform", "shuffled"]

_RETURN = 0.55
"""Seconds in which a hand goes from the end of a gesture to where the next one begins; pauses are at least so long."""
_FINGERS = slice(6, 11)


@dataclass(frozen=True)
class Performed:
    """A gesture in a stream: its name, how, and its first and last frame that move."""

    gesture: str
    one_finger: bool
    first: int
    last: int


@dataclass(frozen=True)
class Performance:
    """A stream: positions (F, 22, 3), metres, and what is performed in it, in order of time."""

    positions: NDArray[np.float32]
    performed: tuple[Performed, ...]


def shuffled(gestures: Sequence[str], count: int, seed: int) -> list[tuple[str, bool]]:
    """`count` gestures in random order for :func:`perform`, every one in both versions before any comes again."""
    rng = np.random.default_rng(seed)
    versions = [(gesture, one_finger) for gesture in gestures for one_finger in (False, True)]
    picked: list[tuple[str, bool]] = []
    while len(picked) < count:
        picked += [versions[place] for place in rng.permutation(len(versions))[: count - len(picked)]]
    return picked


def perform(
    gestures: Iterable[tuple[str, bool]],
    *,
    seed: int = 0,
    rate: float = 30.0,
    pause: tuple[float, float] = (0.8, 2.0),
    every: float | None = None,
    first: float = 0.0,
) -> Performance:
    """A stream of gestures of GESTURES, each with whether it is performed with one finger; `rate` frames a second.

    pause: the shortest and the longest pause before, between and after them, seconds. every: in place of pauses between
    them, a gesture begins to move every so many seconds, from `first` on. Raises ClipError for an unknown gesture, for
    none at all, a rate that is not positive, or pauses shorter than a hand takes to come back.
    """
    asked = list(gestures)
    for gesture, _ in asked:
        if gesture not in CHOREOGRAPHY:
            raise ClipError(f"expected a gesture among {', '.join(GESTURES)}, found {gesture!r}")
    if not asked:
        raise ClipError("expected at least one gesture, found none")
    if not (np.isfinite(rate) and rate > 0):
        raise ClipError(f"expected a positive number of frames a second, found {rate}")
    if not _RETURN <= pause[0] <= pause[1] < float("inf"):
        raise ClipError(f"expected pauses of {_RETURN} s or more, the shortest first, found {pause}")
    rng = np.random.default_rng([seed, len(asked)])
    shape, hold = drawn_hand(rng), Hold.drawn(rng)
    pieces: list[NDArray[np.float64]] = []
    performed: list[Performed] = []
    frames = 0
    for number, (gesture, one_finger) in enumerate(asked):
        posture, (begin, last) = movement(CHOREOGRAPHY[gesture], one_finger, rng, rate, hold)
        rows = _rows(posture)
        seconds = rng.uniform(*pause)
        if every is not None:
            seconds = first + number * every - (frames + begin) / rate
            if seconds < (_RETURN if number else 0.0):
                raise ClipError(
                    f"expected a gesture every {every:g} s, found one that lasts longer: {asked[number - 1][0]}"
                )
        rest = _pause(pieces[-1][-1] if pieces else rows[0], rows[0], seconds, rng, rate)
        pieces += [rest, rows]
        frames += len(rest)
        performed.append(Performed(gesture, one_finger, frames + begin, frames + last))
        frames += len(rows)
    end = pieces[-1][-1]
    pieces.append(_pause(end, end, rng.uniform(*pause), rng, rate))
    joints = forward_kinematics(_posture(np.concatenate(pieces)), shape)
    return Performance(sensed(joints, rng), tuple(performed))


def _pause(
    start: NDArray[np.float64], end: NDArray[np.float64], seconds: float, rng: np.random.Generator, rate: float
) -> NDArray[np.float64]:
    """Rows (L, 12) from one moment to another: the hand moves for _RETURN seconds, some time within the pause."""
    length = max(2, round(seconds * rate))
    begin = rng.uniform(0.0, max(0.0, seconds - _RETURN))
    tau = np.clip((np.arange(1, length + 1) / rate - begin) / _RETURN, 0.0, 1.0)
    tau[-1] = 1.0
    way = tau**3 * (10 + tau * (6 * tau - 15))  # least jerk, as in choreography.minimum_jerk
    rows = start + way[:, None] * (end - start)
    rows[:, :3] += tremor(rng, length, rate)
    return rows


def _rows(posture: Posture) -> NDArray[np.float64]:
    """(L, 12): wrist, turns, closing, spread."""
    turns = np.stack([posture.lean, posture.pitch, posture.roll], axis=1)
    return np.concatenate([posture.wrist, turns, posture.closing, posture.spread[:, None]], axis=1)


def _posture(rows: NDArray[np.float64]) -> Posture:
    """Inverse of :func:`_rows`."""
    return Posture(rows[:, :3], rows[:, 3], rows[:, 4], rows[:, 5], rows[:, _FINGERS], rows[:, 11])
