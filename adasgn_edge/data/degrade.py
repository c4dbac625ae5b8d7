"""A recording as a worse source would have given it: another rate, uneven moments of capture, frames that never come.

For tables of robustness: a :class:`Degradation` says what is done, :func:`degrade` does it, the same for the same seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.errors import DatasetError
from adasgn_edge.wording import shown

__all__ = ["Degradation", "degrade"]

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Degradation:
    """What a source does to a recording; by default nothing.

    rate: frames a second, None for the recording's own; jitter: each frame is captured up to this share of a frame's
    time earlier or later than its turn (uniform; its stamp says when, so that a share below 0.5 keeps the order);
    stamp_error: the standard deviation, in seconds, by which a stamp is off the capture (as of a source that stamps at
    arrival; the order of frames stays, the order of stamps need not); drop: the probability of each frame that it never
    comes; noise: standard deviation of each coordinate, in metres; missing: the probability of each joint of each frame
    that it is not seen
    """

    rate: float | None = None
    jitter: float = 0.0
    stamp_error: float = 0.0
    drop: float = 0.0
    noise: float = 0.0
    missing: float = 0.0

    def __post_init__(self) -> None:
        def check(good: bool, name: str, expected: str) -> None:
            if not good:
                raise DatasetError(f"degradation, {name}: expected {expected}, found {getattr(self, name)}")

        check(self.rate is None or 0 < self.rate <= 1e6, "rate", "frames a second")
        check(0 <= self.jitter < 0.5, "jitter", "a share of a frame's time below 0.5")
        check(0 <= self.stamp_error < math.inf, "stamp_error", "seconds")
        check(0 <= self.drop < 1, "drop", "a probability below 1")
        check(0 <= self.noise < math.inf, "noise", "metres")
        check(0 <= self.missing <= 1, "missing", "a probability")

    @classmethod
    def parse(cls, text: str) -> Degradation:
        """What a command is given: ``rate=20,jitter=0.3,drop=0.05``; raises DatasetError for anything else."""
        values: dict[str, Any] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, equals, value = part.partition("=")
            name = name.strip().replace("-", "_")
            if name not in cls.__dataclass_fields__ or not equals or name in values:
                known = ", ".join(cls.__dataclass_fields__)
                raise DatasetError(
                    f"degradation: expected NAME=NUMBER,… with each of {known} once, found {shown(part)}"
                )
            try:
                values[name] = float(value)
            except ValueError:
                raise DatasetError(f"degradation, {name}: expected a number, found {shown(value)}") from None
        return cls(**values)

    def __str__(self) -> str:
        changed = [(name, value) for name, value in asdict(self).items() if value != getattr(Degradation, name)]
        return ",".join(f"{name}={value:g}" for name, value in changed)


def degrade(
    frames: NDArray[np.float32],
    stamps: NDArray[np.int64],
    rate: float,
    degradation: Degradation,
    seed: int | Sequence[int],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The stamps (N,) in nanoseconds and frames (N, V, 3) that come of a recording (L, V, 3) with stamps (L,).

    rate: the recording's frames a second, that of the result when the degradation names none. A frame that is captured
    between two recorded ones lies between them on straight lines; a joint missing in either is missing in it. Nothing
    is captured before the first or after the last recorded frame, and the first is never lost.

    Raises DatasetError for stamps that do not ascend, or that are not as many as there are frames.
    """
    if stamps.shape != frames.shape[:1] or len(frames) == 0:
        raise DatasetError(f"degradation: expected a stamp for each frame, found {stamps.shape} and {frames.shape}")
    if (np.diff(stamps) <= 0).any():
        raise DatasetError("degradation: expected stamps that ascend")
    if degradation == Degradation():
        return stamps.copy(), frames.copy()
    random = np.random.default_rng(seed)
    period = NANOSECONDS / (degradation.rate or rate)
    last = int(stamps[-1] - stamps[0])
    turns = np.arange(int(last / period + 1e-6) + 1) * period
    moved = turns + period * degradation.jitter * random.uniform(-1, 1, size=len(turns))
    captured = np.clip(np.rint(moved).astype(np.int64), 0, last)
    captured = captured[np.concatenate([[True], np.diff(captured) > 0])]  # the ends may be clipped onto each other
    lost = random.uniform(size=len(captured)) < degradation.drop
    captured = captured[~lost | (captured == captured[0])]
    result = _between(frames, stamps - stamps[0], captured)
    if degradation.noise:
        result += random.normal(scale=degradation.noise, size=result.shape).astype(np.float32)
    if degradation.missing:
        result[random.random(result.shape[:2]) < degradation.missing] = np.nan
    error = random.normal(scale=degradation.stamp_error * NANOSECONDS, size=len(captured))
    return stamps[0] + captured + np.rint(error).astype(np.int64), result


def _between(
    frames: NDArray[np.float32], stamps: NDArray[np.int64], captured: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The recording at these moments, which lie within it."""
    if len(stamps) == 1:
        return frames.copy()
    after = np.clip(np.searchsorted(stamps, captured, side="left"), 1, len(stamps) - 1)
    before = after - 1
    share = ((captured - stamps[before]) / (stamps[after] - stamps[before])).astype(np.float32)[:, None, None]
    result = frames[before] + share * (frames[after] - frames[before])
    # A moment that was recorded gives what was recorded, to the bit, whatever is missing beside it.
    for place, exact in ((before, share == 0), (after, share == 1)):
        result = np.where(exact, frames[place], result)
    return result.astype(np.float32, copy=False)
