"""How sure an accuracy is, and whether two models differ: intervals and exact tests, in NumPy alone.

Clips of one person are alike, and people differ more than clips do: an interval that takes clips as independent is too
narrow for "how well does this do on people it has not seen". So groups (subjects) are resampled where they are known,
and seeds with them where there are several.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CONFIDENCE",
    "FEWEST_GROUPS",
    "Interval",
    "accuracy_interval",
    "mean_interval",
    "seed_interval",
    "sign_flip_test",
    "student_quantile",
    "student_test",
    "wilson_interval",
]

CONFIDENCE = 0.95
FEWEST_GROUPS = 5
"""Of fewer groups there are too few resamples to tell anything from."""
RESAMPLES = 10_000
SEED = 0


@dataclass(frozen=True)
class Interval:
    """A 95 % interval. method: how it was found; covers: what else could have been drawn, e.g. "other subjects"."""

    low: float
    high: float
    method: str
    covers: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dict(self.__dict__)


def accuracy_interval(correct: NDArray[np.bool_], groups: Sequence[str]) -> Interval:
    """The interval to print beside a mean accuracy.

    correct: (S, N) whether S seeds got N clips right; groups: (N,) or empty. By groups where there are at least
    FEWEST_GROUPS of them; else by clips, which is Wilson's interval for one seed. That is also what is left when
    resamples cannot differ, since all is right or all wrong.
    """
    if correct.all() or not correct.any() or (len(correct) == 1 and len(set(groups)) < FEWEST_GROUPS):
        return wilson_interval(int(correct[0].sum()), correct.shape[1])
    return mean_interval(correct.astype(np.float64), groups)


def mean_interval(values: NDArray[np.float64], groups: Sequence[str]) -> Interval:
    """Bootstrap of the mean of `values` (S, N): what S seeds got on N clips, or by how much they differed.

    Groups are drawn with replacement with all their clips, or clips where there are fewer than FEWEST_GROUPS; seeds,
    where there are several, independently of them. The percentiles are those expanded for few groups (Hesterberg, What
    teachers should know about the bootstrap, 2015): of G groups Φ(∓ t √(G / (G - 1))), t of G - 1 degrees of freedom.
    """
    seeds, clips = values.shape
    if len(set(groups)) >= FEWEST_GROUPS:
        unit = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
        sizes = np.bincount(unit)
        sums = np.stack([np.bincount(unit, weights=row) for row in values])  # (S, G)
        draws, chances, what = len(sizes), np.full(len(sizes), 1 / len(sizes)), "groups"
    else:  # clips on which all seeds got the same are one kind, and how many of a kind are drawn is multinomial
        sums, counts = np.unique(values, axis=1, return_counts=True)
        draws, chances, what = clips, counts / clips, "clips"
        sizes = np.ones(len(counts), dtype=np.int64)
    random = np.random.default_rng(SEED)
    times = random.multinomial(draws, chances, size=RESAMPLES)  # (R, G)
    weights = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES) / seeds  # (R, S)
    means = np.einsum("rg,rg->r", weights @ sums, times) / (times @ sizes)
    tail = (1 - CONFIDENCE) / 2
    if draws > 1:
        tail = NormalDist().cdf(student_quantile(tail, draws - 1) * math.sqrt(draws / (draws - 1)))
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high), f"bootstrap by {what}", f"other {what}{' and seeds' if seeds > 1 else ''}")


def wilson_interval(correct: int, count: int) -> Interval:
    """Wilson's score interval of a proportion, clips taken as independent."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, spread = correct / count, z * z / count
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return Interval(max(0.0, centre - half), min(1.0, centre + half), "Wilson", "other clips")


def seed_interval(accuracies: Sequence[float]) -> Interval | None:
    """Student's interval of the mean over seeds, on these very clips; None for a single seed."""
    if len(accuracies) < 2:
        return None
    mean, deviation = float(np.mean(accuracies)), float(np.std(accuracies, ddof=1))
    half = student_quantile((1 + CONFIDENCE) / 2, len(accuracies) - 1) * deviation / math.sqrt(len(accuracies))
    return Interval(mean - half, mean + half, "Student", "other seeds")


def student_test(differences: Sequence[float]) -> float | None:
    """Two-sided p of Student's paired test that the mean difference is zero.

    None for fewer than two, and for differences that are all alike: they have no spread to compare the mean with.
    """
    if len(differences) < 2 or np.ptp(differences) == 0:
        return None
    mean, deviation = float(np.mean(differences)), float(np.std(differences, ddof=1))
    return 2 * max(0.0, student_cdf(-abs(mean) * math.sqrt(len(differences)) / deviation, len(differences) - 1))


def sign_flip_test(differences: Sequence[int] | NDArray[np.int64]) -> float:
    """Exact two-sided p of the sum of whole numbers when each might as well have had the other sign.

    Of -1, 0 and 1, one a clip, this is McNemar's exact test. The distribution of the sum is built up number by number.
    """
    sizes = np.abs(np.asarray(differences, dtype=np.int64))
    total, observed = int(sizes.sum()), abs(int(np.sum(differences)))
    chance = np.zeros(total + 1)  # of the sum of the numbers that keep the plus sign
    chance[0], reached = 1.0, 0
    for size in sizes[sizes > 0].tolist():
        before = chance[: reached + 1].copy()
        chance[: reached + 1] = before / 2
        chance[size : size + reached + 1] += before / 2
        reached += size
    sums = np.abs(2 * np.arange(total + 1) - total)
    return min(1.0, float(chance[sums >= observed].sum()))


def student_cdf(t: float, freedom: int) -> float:
    """Student's distribution function for whole degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for n in range(freedom // 2):
        total += term
        term *= cosine * cosine * (2 * n + 1 + odd) / (2 * n + 2 + odd)
    central = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return 0.5 + central / 2


def student_quantile(probability: float, freedom: int) -> float:
    """Inverse of :func:`student_cdf`."""
    if probability < 0.5:
        return -student_quantile(1 - probability, freedom)
    high = 1.0
    while student_cdf(high, freedom) < probability:
        high *= 2
    return _bisect(lambda t: student_cdf(t, freedom) - probability, 0.0, high)


def _bisect(rises: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (low, middle) if rises(middle) >= 0 else (middle, high)
    return (low + high) / 2
