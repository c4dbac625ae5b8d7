"""What `adasgn-edge train FOLDER` does with recordings of one's own: folds to know how good, then a model of all clips.

Models of folds, each trained without some of the people, tell how good such a model is on people that it has not seen,
and give a model that escalates its effort table. The model that is kept for use learns from every clip: nobody's are
too many to spare. Where the table itself says which clips test, these are left out of it and measured at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.data.folds import Fold, plan_folds
from adasgn_edge.data.label_table import LABEL_TABLE, read_label_table
from adasgn_edge.effort import DEFAULT_EFFORT
from adasgn_edge.model.weights import WEIGHTS, load_weights, save_weights
from adasgn_edge.progress import Progress
from adasgn_edge.train.calibration import held_out_levels_of, write_effort
from adasgn_edge.train.card import Card, card_of
from adasgn_edge.train.report import measure, models_of
from adasgn_edge.train.stages import Stage, stage_folder

__all__ = ["OwnPlan", "all_training", "finish", "plan_own", "trained_on_all", "whole_of"]

FOLDS = 4
"""At most: each is a training of its own."""


@dataclass(frozen=True)
class OwnPlan:
    """whole: what the model that is kept is trained on, and the clips that test it, if there are some; folds: those to
    train before; dataset: what they are folds of."""

    dataset: SkeletonDataset
    whole: SkeletonDataset
    folds: tuple[Fold, ...]

    @property
    def tested(self) -> bool:
        """Whether clips are left that the kept model does not learn from."""
        return bool((self.whole.split == "test").any())

    @property
    def parts(self) -> tuple[Fold | None, ...]:
        """What is trained in which order: the folds, then (None) the whole."""
        return (*self.folds, None)


def whole_of(dataset: SkeletonDataset, data: Path) -> SkeletonDataset:
    """What the model that is kept is trained on: the data set as it is where the recordings say which clips test (a
    table with a column split, or a converted file), else with every clip in the training split."""
    if not (data / LABEL_TABLE).is_file() or read_label_table(data / LABEL_TABLE).says_split:
        return dataset
    return all_training(dataset)


def all_training(dataset: SkeletonDataset) -> SkeletonDataset:
    """The data set with every clip in the training split."""
    return replace(dataset, split=np.full(len(dataset), "train"))


def trained_on_all(provenance: Mapping[str, Any], dataset: SkeletonDataset) -> bool:
    """Whether a model of no fold, of this provenance, learnt from every clip of a data set whose clips partly test."""
    clips = provenance.get("clips") or {}
    if "fold" in provenance or clips.get("test") != 0 or not (dataset.split == "test").any():
        return False
    return provenance.get("dataset_digest") == all_training(dataset).digest


def plan_own(dataset: SkeletonDataset, whole: SkeletonDataset, stages: Sequence[Stage]) -> OwnPlan:
    """The folds of a data set; whole: see :func:`whole_of`.

    Folds are of subjects where there are two or more, else of clips; none where clips test and no stage needs an effort
    table. Raises DatasetError for a set that cannot be divided.
    """
    tested = bool((whole.split == "test").any())
    if tested and not any(stage.config.escalates for stage in stages):
        return OwnPlan(dataset, whole, ())
    over = "all" if (whole.split == "train").all() else "train"
    chosen = whole.indices("train")
    subjects = {dataset.groups[sample] for sample in chosen} if dataset.groups else set()
    if len(subjects) > 1 and "" not in subjects:
        return OwnPlan(dataset, whole, tuple(plan_folds(dataset, min(FOLDS, len(subjects)), over)))
    fewest = min(Counter(dataset.labels[chosen].tolist()).values())
    return OwnPlan(dataset, whole, tuple(plan_folds(dataset, max(2, min(FOLDS, fewest)), over, by="clip")))


def finish(
    out: Path,
    plan: OwnPlan,
    stages: Sequence[Stage],
    seeds: Sequence[int],
    commands: Sequence[str],
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[Card]:
    """Measure the models of a finished run, give those that escalate their effort table, and all that are kept a card:
    in their provenance and, of all stages, as ``card.md`` in the run's folder. Returns a card for each stage.

    commands: how to do it again, and what to do next.
    """
    cards = []
    for stage in stages:
        kept = [stage_folder(out, seed, stage.name) / WEIGHTS for seed in seeds]
        folds = [stage_folder(out, seed, stage.name, fold) / WEIGHTS for fold in plan.folds for seed in seeds]
        if stage.config.escalates:
            held_out = held_out_levels_of(folds, lambda _: plan.dataset, progress)
            for path in (*kept, *folds):
                write_effort(path, held_out.config, held_out.table(DEFAULT_EFFORT), None)
        chosen, data = (kept, plan.whole) if plan.tested else (folds, plan.dataset)
        (measured,) = models_of([measure(path, data, device=device, progress=progress) for path in chosen])
        card = card_of(stage, plan.whole, plan.folds, measured, plan.tested, load_weights(kept[0]), commands)
        for path in kept:
            trained = load_weights(path)
            save_weights(path, replace(trained, provenance={**trained.provenance, "card": card}))
        cards.append(card)
    return cards
