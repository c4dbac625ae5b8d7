"""Two models on the same clips: how often only one of them is right, and whether that could be chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.errors import ModelConfigError
from adasgn_edge.train.report import Model, plain
from adasgn_edge.train.statistics import FEWEST_GROUPS, Interval, mean_interval, sign_flip_test, student_test

__all__ = ["Comparison", "SeedPair", "compare"]


@dataclass(frozen=True)
class SeedPair:
    """One seed of each model: how many clips only the first and only the second got right, and McNemar's exact
    two-sided p that these are alike."""

    first_seed: object
    second_seed: object
    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True)
class Comparison:
    """The first model less the second, seed by seed on the same clips.

    difference: of the accuracies, mean over the pairs; interval: of that, by groups and seeds drawn anew where these
    are known. The p are two-sided, each for another "could as well have been the other way round":

    p_clips: each clip, exact, of the clip's difference summed over the pairs; for one pair McNemar's test. For these
    trained models on other clips of the same people.
    p_groups: each group (subject) as a whole, exact, of its clips' differences; None for fewer than FEWEST_GROUPS.
    p_seeds: Student's paired test of the pairs' differences, for other seeds on these clips; None for a single pair.
    """

    first: str
    second: str
    clips: int
    groups: int
    pairs: tuple[SeedPair, ...]
    difference: float
    interval: Interval
    p_clips: float
    p_groups: float | None
    p_seeds: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        pairs = [dict(pair.__dict__) for pair in self.pairs]
        values = self.__dict__ | {"pairs": pairs, "interval": self.interval.to_dict()}
        return {name: plain(value) for name, value in values.items()}


def compare(first: Model, second: Model) -> Comparison:
    """Compare two models on the seeds that both have, or on the one seed that each has.

    Raises ModelConfigError where they were not measured on the same clips, or have several seeds and none in common.
    """
    where = f"comparison of {first.name} with {second.name}"
    order, other = (np.argsort(np.asarray(model.names), kind="stable") for model in (first, second))
    names = np.asarray(first.names)[order]
    if not np.array_equal(names, np.asarray(second.names)[other]):
        raise ModelConfigError(
            f"{where}: expected the same clips, found {len(first.names)} and {len(second.names)}, "
            f"{len(set(first.names) & set(second.names))} of them in both"
        )
    rows = _pairs(first, second, where)
    one = np.stack([first.correct[row] for row, _ in rows])[:, order]
    two = np.stack([second.correct[row] for _, row in rows])[:, other]
    differences = one.astype(np.int64) - two  # (S, N)
    groups = tuple(np.asarray(first.groups)[order].tolist()) if first.groups else ()
    return Comparison(
        first=first.name,
        second=second.name,
        clips=len(names),
        groups=len(set(groups)),
        pairs=tuple(
            SeedPair(
                first.seeds[row],
                second.seeds[column],
                int((difference > 0).sum()),
                int((difference < 0).sum()),
                sign_flip_test(difference),
            )
            for (row, column), difference in zip(rows, differences, strict=True)
        ),
        difference=float(differences.mean()),
        interval=mean_interval(differences.astype(np.float64), groups),
        p_clips=sign_flip_test(differences.sum(0)),
        p_groups=_by_groups(differences.sum(0), groups),
        p_seeds=student_test(differences.mean(1).tolist()),
    )


def _pairs(first: Model, second: Model, where: str) -> list[tuple[int, int]]:
    """Which run of the first goes with which of the second."""
    if len(first.seeds) == len(second.seeds) == 1:
        return [(0, 0)]
    common = [seed for seed in first.seeds if seed in second.seeds]
    if not common:
        raise ModelConfigError(
            f"{where}: expected a seed that both have, found {', '.join(map(str, first.seeds))} and "
            f"{', '.join(map(str, second.seeds))}"
        )
    return [(first.seeds.index(seed), second.seeds.index(seed)) for seed in common]


def _by_groups(differences: NDArray[np.int64], groups: tuple[str, ...]) -> float | None:
    if len(set(groups)) < FEWEST_GROUPS:
        return None
    number = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    sums = np.zeros(int(number.max()) + 1, dtype=np.int64)
    np.add.at(sums, number, differences)
    return sign_flip_test(sums)
