"""The effort dial of a model that escalates: effort to the threshold below which a clip goes on to the next branch.

Effort is a place between the cheapest and the dearest way to run a model, on a scale of expected cost: at effort e a
clip costs on average ``(1 - e) * lowest + e * highest``. Which threshold that takes is measured on held-out clips
(:func:`calibrate`); between two rows everything is interpolated linearly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.errors import EffortError

__all__ = [
    "ALWAYS", "DEFAULT_EFFORT", "EFFORTS", "EffortPoint", "EffortTable", "Levels", "calibrate", "escalate",
    "threshold_of",
]  # fmt: skip

EFFORTS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""The rows of a table."""
DEFAULT_EFFORT = 0.1
"""Of recipes that name none."""
MOST_POINTS = 64
ALWAYS = 2.0
"""A threshold that no probability reaches."""


class EffortPoint(NamedTuple):
    """effort, 0 to 1; threshold of confidence; macs: mean full count of a clip; accuracy on held-out clips, or None."""

    effort: float
    threshold: float
    macs: int
    accuracy: float | None


@dataclass(frozen=True)
class EffortTable:
    """points: from effort 0 (nothing escalates, threshold 0) to 1; default: the effort of a run that names none.

    Raises EffortError for points that are no such table.
    """

    points: tuple[EffortPoint, ...]
    default: float

    def __post_init__(self) -> None:
        def expect(ok: bool, expected: str, found: object) -> None:
            if not ok:
                raise EffortError(f"effort table: expected {expected}, found {found}")

        points = self.points
        expect(2 <= len(points) <= MOST_POINTS, f"2 to {MOST_POINTS} points", len(points))
        efforts, thresholds, macs, accuracies = zip(*points, strict=True)
        rising = all(a < b for a, b in pairwise(efforts))
        expect(efforts[0] == 0 and efforts[-1] == 1 and rising, "efforts that rise from 0 to 1", list(efforts))
        not_falling = all(a <= b for a, b in pairwise(thresholds))
        sound = thresholds[0] == 0 and not_falling and thresholds[-1] <= ALWAYS
        expect(sound, f"thresholds from 0 to {ALWAYS} that do not fall", list(thresholds))
        not_falling = all(a <= b for a, b in pairwise(macs))
        expect(macs[0] >= 0 and not_falling, "MACs of 0 or more that do not fall", list(macs))
        expect(all(a is None or 0 <= a <= 1 for a in accuracies), "accuracies from 0 to 1", list(accuracies))
        expect(0 <= self.default <= 1, "a default effort from 0 to 1", self.default)

    def threshold(self, effort: float) -> float:
        """The threshold of an effort; raises EffortError for one that is not from 0 to 1."""
        if not 0 <= effort <= 1:  # NaN too
            raise EffortError(f"effort: expected a number from 0 to 1, found {effort}")
        # As csrc/adasgn/effort.cpp does it, and in plain Python, which torch.compile can trace.
        low, high = next((a, b) for a, b in pairwise(self.points) if effort <= b.effort)
        part = (effort - low.effort) / (high.effort - low.effort)
        return float(low.threshold + part * (high.threshold - low.threshold))

    def within(self, max_macs: float) -> float:
        """The largest effort whose expected cost is at most `max_macs`; EffortError where even effort 0 costs more."""
        efforts, _, macs, _ = zip(*self.points, strict=True)
        if not max_macs >= macs[0]:
            raise EffortError(f"max_macs: expected at least {macs[0]}, what a clip costs at effort 0, found {max_macs}")
        last = int(np.searchsorted(macs, max_macs, side="right")) - 1
        if last + 1 == len(macs):
            return 1.0
        part = (max_macs - macs[last]) / (macs[last + 1] - macs[last])
        return float(efforts[last] + part * (efforts[last + 1] - efforts[last]))

    def to_json(self) -> dict[str, Any]:
        """Plain values, as weights and model files hold them."""
        return {"default": self.default, "table": [list(point) for point in self.points]}

    @classmethod
    def from_json(cls, data: Any) -> EffortTable:
        """Inverse of :meth:`to_json`; raises EffortError for anything else."""
        if not isinstance(data, dict) or set(data) != {"default", "table"} or not isinstance(data["table"], list):
            raise EffortError(f"effort table: expected the keys default and table, found {str(data)[:120]}")
        kinds: tuple[tuple[type, ...], ...] = ((float,), (float,), (int,), (float, type(None)))
        for row in data["table"]:
            ok = isinstance(row, list) and len(row) == len(kinds)
            if not ok or not all(type(value) in kind for value, kind in zip(row, kinds, strict=True)):
                raise EffortError(
                    "effort table: expected rows of effort, threshold, MACs and accuracy (or null) as numbers, all but "
                    f"MACs with a fraction, found {str(row)[:120]}"
                )
        if type(data["default"]) is not float:
            raise EffortError(f"effort table: expected a default such as 0.1, found {str(data['default'])[:40]}")
        return cls(tuple(EffortPoint(*row) for row in data["table"]), data["default"])


def threshold_of(table: EffortTable | None, effort: float | None) -> float:
    """The threshold of an effort, None for the table's own; without a table 0, and EffortError for any effort."""
    if table is not None:
        return table.threshold(table.default if effort is None else effort)
    if effort is not None:
        raise EffortError(f"effort: expected none, as this model does not escalate, found {effort:g}")
    return 0.0


class Levels(NamedTuple):
    """What every branch says of every sample: probabilities (A, N, K); cost: (A,) MACs of a sample that ends there."""

    probabilities: NDArray[np.floating]
    cost: NDArray[np.int64]


def _means(levels: Levels) -> NDArray[np.floating]:
    """(A, N, K): the mean probabilities of a sample's branches up to each level."""
    count = len(levels.probabilities)
    return np.cumsum(levels.probabilities, axis=0) / np.arange(1, count + 1)[:, None, None]


def escalate(levels: Levels, threshold: float) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """Averaged probabilities (N, K) and the level each sample ends at (N,), as an engine would give at `threshold`."""
    count, samples = levels.probabilities.shape[:2]
    means = _means(levels)
    level = np.zeros(samples, dtype=np.int64)
    unsure = np.ones(samples, dtype=bool)
    for number in range(count - 1):
        unsure &= means[number].max(-1) < threshold
        level[unsure] = number + 1
    return means[level, np.arange(samples)], level


def calibrate(
    levels: Levels, labels: NDArray[np.int64], default: float, efforts: Sequence[float] = EFFORTS
) -> EffortTable:
    """The table of held-out samples: for each effort the largest threshold whose mean cost is not above its own.

    levels: of held-out samples, by models that have not seen them; labels (N,).
    """
    confidences = np.unique(_means(levels)[:-1].max(-1))
    candidates = [0.0, *((confidences[:-1] + confidences[1:]) / 2).tolist(), ALWAYS]
    costs = np.asarray([levels.cost[escalate(levels, t)[1]].mean() for t in candidates])
    points = []
    for effort in efforts:
        allowed = (1 - effort) * levels.cost[0] + effort * levels.cost[-1]
        place = int(np.flatnonzero(costs <= allowed * (1 + 1e-12))[-1])
        probabilities, level = escalate(levels, candidates[place])
        accuracy = float((probabilities.argmax(-1) == labels).mean())
        threshold = 0.0 if effort == 0 else candidates[place]
        macs = levels.cost[0] if effort == 0 else levels.cost[level].mean()
        points.append(EffortPoint(float(effort), round(threshold, 6), round(float(macs)), round(accuracy, 4)))
    return EffortTable(tuple(points), default)
