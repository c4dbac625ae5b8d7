"""Folds: a data set's clips held out in turn, whole groups at a time, so that choices are made without the test split.

A fold is a data set of its own: its test split are the clips of the groups held out, its training split those of all
other groups. Clips of the official test split are in no fold, unless folds are made over all clips.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.errors import DatasetError
from adasgn_edge.wording import listed, shown

__all__ = ["OVER", "Fold", "fold_dataset", "natural", "plan_folds"]

OVER = {"train": "training clips", "all": "clips of both splits"}
"""What folds can be made over, and how that is said."""


@dataclass(frozen=True)
class Fold:
    """Fold `number`, from 1, of `count` over the training clips ("train") or all clips ("all").

    groups: those held out, in natural order; held: how many clips these have, of `clips` that the folds divide, the
    pool; pool: digest of these, without their splits. by: "group", or "clip" where nobody knows the groups and each
    fold holds out a run of every class's clips.
    """

    number: int
    count: int
    over: str
    groups: tuple[str, ...]
    held: int
    clips: int
    pool: str
    by: str = "group"

    def __str__(self) -> str:
        return f"fold {self.number} of {self.count}{'' if self.over == 'train' else f' over {self.over}'}"

    @property
    def folder(self) -> str:
        """Name of the folder that a run keeps this fold in."""
        return f"fold-{self.number}-of-{self.count}{'' if self.over == 'train' else f'-over-{self.over}'}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**self.__dict__, "groups": list(self.groups)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Fold:
        """Inverse of :meth:`to_dict`; raises DatasetError for what is no fold."""
        kinds = {"number": int, "count": int, "over": str, "groups": list, "held": int, "clips": int, "pool": str}
        right = isinstance(values, dict) and all(isinstance(values.get(name), kinds[name]) for name in kinds)
        if not right or not 1 <= values["number"] <= values["count"]:
            raise DatasetError(f"expected a fold with {', '.join(kinds)}, found {shown(values)}")
        by = "clip" if values.get("by") == "clip" else "group"  # before there were others, it was not noted
        return cls(**{name: values[name] for name in kinds} | {"groups": tuple(map(str, values["groups"])), "by": by})


def plan_folds(dataset: SkeletonDataset, count: int, over: str = "train", by: str = "group") -> list[Fold]:
    """Divide the groups of a data set into `count` folds; every clip of the pool is held out in exactly one.

    by: "clip" where there are no groups: the clips of each class, in the data set's order, are cut into as many runs as
    folds, since clips recorded one after another are alike; a fold holds out one run of each class.

    From the group with the most clips to that with the fewest, each joins the fold that has the fewest clips so far;
    of equal ones the first, groups being in natural order. Nothing is drawn at random.

    Raises DatasetError for a data set without groups, or with fewer groups than folds.
    """
    return _divide(dataset.name, _pool(dataset, over, count if by == "clip" else 0), count, over, by)


def fold_dataset(dataset: SkeletonDataset, fold: Fold) -> SkeletonDataset:
    """The clips of a fold's pool, those of its groups as the test split and all others as the training split.

    Raises DatasetError unless the data set gives this very fold: same clips, same groups held out.
    """
    pool = _pool(dataset, fold.over, fold.count if fold.by == "clip" else 0)
    found = _divide(dataset.name, pool, fold.count, fold.over, fold.by)[fold.number - 1]
    if found.groups != fold.groups:
        raise DatasetError(
            f"data set {dataset.name!r}, {fold}: expected {listed(fold.groups)} to be held out, found "
            f"{listed(found.groups)}: the groups of the data set have changed"
        )
    if found.pool != fold.pool:
        raise DatasetError(
            f"data set {dataset.name!r}, {fold}: expected the clips that it was made of ({fold.pool[:12]}), found "
            f"others ({found.pool[:12]}): clips, labels, class names or groups have changed"
        )
    held = np.isin(np.asarray(pool.groups), fold.groups)
    return replace(pool, name=f"{dataset.name}, {fold}", split=np.where(held, "test", "train"))


def _divide(name: str, pool: SkeletonDataset, count: int, over: str, by: str) -> list[Fold]:
    where = f"data set {name!r}, folds over {OVER[over]}"
    if not pool.groups:
        raise DatasetError(
            f"{where}: expected a group for every clip (recordings of one's own: a column subject in labels.csv), "
            "found a data set without groups"
        )
    if lacking := [clip for clip, group in zip(pool.names, pool.groups, strict=True) if not group]:
        raise DatasetError(f"{where}: expected a group (subject) for every clip, found none for {listed(lacking, 3)}")
    clips = Counter(pool.groups)
    groups = sorted(clips, key=natural)
    if len(groups) < 2:
        raise DatasetError(f"{where}: expected at least 2 groups, found only {listed(groups)}")
    if not 2 <= count <= len(groups):
        most = "2" if len(groups) == 2 else f"2 to {len(groups)}"
        raise DatasetError(
            f"{where}: expected {most} folds, since groups are held out whole and there are {len(groups)} "
            f"({listed(groups)}); found {count}"
        )
    held: list[list[str]] = [[] for _ in range(count)]
    sizes = [0] * count
    for group in sorted(groups, key=lambda group: -clips[group]):
        fold = sizes.index(min(sizes))
        held[fold].append(group)
        sizes[fold] += clips[group]
    return [
        Fold(number, count, over, tuple(sorted(own, key=natural)), size, len(pool), pool.digest, by)
        for number, (own, size) in enumerate(zip(held, sizes, strict=True), 1)
    ]


def _pool(dataset: SkeletonDataset, over: str, runs: int = 0) -> SkeletonDataset:
    """The clips that folds divide and nothing else, as one training split; runs: of each class, as their groups.

    Clips that are not among them are left out of every array, so that a fold cannot see them.
    """
    if over not in OVER:
        raise DatasetError(f"folds: expected them over one of {', '.join(OVER)}, found {shown(over)}")
    chosen = np.arange(len(dataset)) if over == "all" else dataset.indices("train")
    start, length = dataset.start[chosen], dataset.length[chosen]
    frames = _frames(start, length)
    ends = np.cumsum(length.ravel()).reshape(length.shape)
    groups = tuple(dataset.groups[sample] for sample in chosen) if dataset.groups else ()
    if runs:
        groups = _runs(dataset.labels[chosen], runs)
    return replace(
        dataset,
        positions=dataset.positions[frames],
        start=np.where(length > 0, ends - length, 0),
        length=length,
        labels=dataset.labels[chosen],
        names=tuple(dataset.names[sample] for sample in chosen),
        split=np.full(len(chosen), "train"),
        groups=groups,
    )


def _runs(labels: NDArray[np.int64], count: int) -> tuple[str, ...]:
    """A group for every clip: the number of its run among the clips of its class."""
    runs = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        runs[own] = np.arange(len(own)) * count // len(own)
    return tuple(f"part {run + 1}" for run in runs.tolist())


def _frames(start: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of `positions` that tracks (N, M) take, one track after another."""
    begin, count = start.ravel(), length.ravel()
    before = np.cumsum(count) - count
    return np.arange(count.sum()) + np.repeat(begin - before, count)


def natural(group: str) -> tuple[list[tuple[int, str]], str]:
    """A key by which "subject 9" comes before "subject 10"."""
    parts = [part for part in re.split(r"([0-9]+)", group) if part]
    return [(len(part.lstrip("0")) if part[0] in "0123456789" else 0, part) for part in parts], group
