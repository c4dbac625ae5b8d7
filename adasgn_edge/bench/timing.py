"""What many times say: percentiles, histograms, and ratios with intervals. Times are in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Interval", "histogram", "ratio", "rounds", "short", "statistics", "summary"]

PERCENTILES = (50, 90, 99)
RESAMPLES = 2000
CONFIDENCE = 95.0
KEPT_ROUNDS = 400
BINS_A_DECADE = 40

Interval = dict[str, float]
"""ratio, low, high: of two sides, and its 95 % interval."""


def statistics(seconds: ArrayLike) -> dict[str, Any]:
    """As the reports below bench/results have them, seconds: p5 and p95 only of 20 runs or more, p99 of 100 or more.
    The command's is :func:`summary`."""
    times = np.asarray(seconds)
    runs = len(times)
    low, median, high, highest = np.percentile(times, [5, 50, 95, 99]).tolist()
    return {
        "median": median,
        "p5": low if runs >= 20 else None,
        "p95": high if runs >= 20 else None,
        "p99": highest if runs >= 100 else None,
        "mean": float(times.mean()),
        "least": float(times.min()),
        "most": float(times.max()),
        "runs": runs,
    }


def summary(seconds: ArrayLike) -> dict[str, Any]:
    """Plain values: runs, mean, p50, p90, p99, max, min. p99 is None of fewer than 100 runs, p90 of fewer than 20."""
    times = np.asarray(seconds, np.float64)
    found = dict(zip(PERCENTILES, np.percentile(times, PERCENTILES).tolist(), strict=True))
    return {
        "runs": len(times),
        "mean": float(times.mean()),
        "min": float(times.min()),
        "p50": found[50],
        "p90": found[90] if len(times) >= 20 else None,
        "p99": found[99] if len(times) >= 100 else None,
        "max": float(times.max()),
    }


def histogram(seconds: ArrayLike) -> dict[str, Any]:
    """edges: of bins that are equally wide on a logarithmic scale, 40 a decade, from one below the smallest time to one
    above the largest; counts: of the bins."""
    times = np.maximum(np.asarray(seconds, np.float64), 1e-9)
    low = int(np.floor(np.log10(times.min()) * BINS_A_DECADE))
    high = int(np.floor(np.log10(times.max()) * BINS_A_DECADE)) + 1
    edges = 10.0 ** (np.arange(low, high + 1) / BINS_A_DECADE)
    edges[0], edges[-1] = min(edges[0], times.min()), max(edges[-1], times.max())  # whatever rounding does
    counts, _ = np.histogram(times, edges)
    return {"edges": short(edges), "counts": counts.tolist()}


def rounds(seconds: ArrayLike, calls: int) -> dict[str, list[float]]:
    """medians and means (R,) of each turn of so many calls, at most KEPT_ROUNDS of them, spread evenly."""
    times = np.asarray(seconds, np.float64)
    turns = times[: len(times) // calls * calls].reshape(-1, calls)
    turns = turns[np.unique(np.linspace(0, len(turns) - 1, min(len(turns), KEPT_ROUNDS)).astype(int))]
    return {"medians": short(np.median(turns, axis=1)), "means": short(turns.mean(axis=1))}


def short(values: ArrayLike) -> list[float]:
    """As plain numbers of six digits."""
    return [float(f"{value:.6g}") for value in np.asarray(values).tolist()]


def ratio(
    first: Mapping[str, Sequence[float]], second: Mapping[str, Sequence[float]], *, of: str, paired: bool
) -> Interval:
    """The ratio of two sides' medians, or means, with a bootstrap interval, from their :func:`rounds`.

    of: "median" or "mean"; paired: round number r of both was measured at the same moment, so that rounds are drawn
    together.
    """
    middle = np.mean if of == "mean" else np.median
    a, b = (np.asarray(side[f"{of}s"], np.float64) for side in (first, second))
    random = np.random.default_rng(0)
    if paired:
        count = min(len(a), len(b))
        a, b = a[:count], b[:count]
        rows = random.integers(0, count, (RESAMPLES, count))
        drawn = middle(a[rows], axis=1) / middle(b[rows], axis=1)
    else:
        drawn = middle(a[random.integers(0, len(a), (RESAMPLES, len(a)))], axis=1)
        drawn = drawn / middle(b[random.integers(0, len(b), (RESAMPLES, len(b)))], axis=1)
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail]).tolist()
    return {"ratio": float(middle(a) / middle(b)), "low": low, "high": high}
