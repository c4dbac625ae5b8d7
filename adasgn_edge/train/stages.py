"""The stages of a recipe in the order they run: dense SGN, the single models, then AdaSGN once per α."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adasgn_edge.data.folds import Fold
from adasgn_edge.data.registry import DATASETS
from adasgn_edge.errors import RecipeError
from adasgn_edge.model.config import Branch, ModelConfig
from adasgn_edge.skeletons import SkeletonLayout
from adasgn_edge.train.recipe import Recipe, Schedule

__all__ = ["Stage", "fingerprint", "plan_stages", "settings_of"]


@dataclass(frozen=True)
class Stage:
    """One model to train. name: its folder, e.g. "sgn", "B-22", "adasgn-a1"; alpha: only for AdaSGN."""

    name: str
    config: ModelConfig
    schedule: Schedule
    alpha: float | None = None

    @property
    def branch(self) -> Branch | None:
        """The branch of a single model, None for dense SGN and AdaSGN."""
        return self.config.branches[0] if self.config.transform and not self.config.adaptive else None


def plan_stages(
    recipe: Recipe, layout: SkeletonLayout, classes: int, clips: int, only: tuple[str, ...] = ()
) -> list[Stage]:
    """All stages of a recipe for a training set of so many clips, or those named in `only`.

    Raises RecipeError for a name that is none of them.
    """
    single, fused = recipe.single.fitted(clips), recipe.adaptive.fitted(clips)
    frames = recipe.model.frames
    joint_sets = recipe.model.joint_sets or layout.joint_counts
    for count in joint_sets:
        layout.group_averages(count)  # a LayoutError now, not after hours of training
    adaptive = ModelConfig(layout.joint_count, classes, tuple(joint_sets), recipe.model.sizes, frames)
    dense = ModelConfig.dense(layout.joint_count, classes, frames)
    stages = [Stage("sgn", dense, single)]
    stages += [Stage(str(branch), adaptive.single(branch), single) for branch in adaptive.branches]
    stages += [Stage(f"adasgn-a{alpha:g}", adaptive, fused, alpha) for alpha in recipe.adaptive.alpha]
    known = [stage.name for stage in stages]
    for name in only:
        if name not in known:
            raise RecipeError(f"expected stages among {', '.join(known)}, found {name!r}")
    return [stage for stage in stages if not only or stage.name in only]


def fingerprint(recipe: Recipe, stage: Stage, seed: int, fold: Fold | None = None) -> str:
    """Short digest of all settings that decide a stage's result.

    Where recordings of one's own lie is none of them: that they are the same is for the data set's digest to say.
    """
    settings = settings_of(recipe, stage.schedule, stage.alpha) | {"config": stage.config.to_dict(), "seed": seed}
    if fold is not None:
        settings["fold"] = [fold.number, fold.count, fold.over]
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def settings_of(recipe: Recipe, schedule: Schedule, alpha: float | None) -> dict[str, Any]:
    """What decides a stage's result besides its model and the seed, as plain values."""
    public = recipe.data.dataset in DATASETS
    return {
        "data": {"dataset": recipe.data.dataset if public else "recordings", "stream": recipe.data.stream},
        "dropout": recipe.model.dropout,
        "augment": recipe.augment.model_dump(),
        # min_steps has done its work in `fitted`; an unused one must not change the fingerprints of finished runs.
        "schedule": schedule.model_dump(exclude={"alpha", "min_steps"} | (set() if schedule.augment else {"augment"})),
        "alpha": alpha,
    }


def stage_folder(out: Path, seed: int, stage: str, fold: Fold | None = None) -> Path:
    """Where a stage keeps its files: ``out/seed-S/stage``, on folds ``out/fold-k-of-K/seed-S/stage``."""
    return (out if fold is None else out / fold.folder) / f"seed-{seed}" / stage
