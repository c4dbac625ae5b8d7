"""The stages of a recipe in order: dense SGN, single models, AdaSGN once per α, the model that escalates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adasgn_edge.data.folds import Fold
from adasgn_edge.data.registry import DATASETS
from adasgn_edge.errors import RecipeError
from adasgn_edge.model.config import POSE, SIZES, Branch, ModelConfig, branch_grid
from adasgn_edge.skeletons import SkeletonLayout
from adasgn_edge.train.recipe import AugmentSection, Recipe, Schedule, SharedSchedule

__all__ = ["Stage", "fingerprint", "plan_stages", "settings_of", "stage_folder"]


@dataclass(frozen=True)
class Stage:
    """One model to train. name: its folder, e.g. "sgn", "B-22", "adasgn-a1", "adasgn-shared"; alpha: of a policy."""

    name: str
    config: ModelConfig
    schedule: Schedule
    alpha: float | None = None

    @property
    def branch(self) -> Branch | None:
        """The branch of a single model, None for dense SGN and models of several branches."""
        return self.config.branches[0] if self.config.transform and not self.config.routes else None


def plan_stages(
    recipe: Recipe, layout: SkeletonLayout, classes: int, clips: int, only: tuple[str, ...] = ()
) -> list[Stage]:
    """Those stages of a recipe, for a training set of so many clips, that `only` names; without names those that the
    recipe itself names, or all; "all" stands for all of them.

    Raises RecipeError for a name that is none of them.
    """
    single, fused = recipe.single.fitted(clips), recipe.adaptive.fitted(clips)
    joints, frames = layout.joint_count, recipe.model.frames
    adaptive = ModelConfig(joints, classes, _policy_branches(recipe, layout), frames)
    configs, last = [adaptive], []
    if recipe.shared is not None:
        branches, stride = _shared_branches(recipe.shared, layout), recipe.shared.stride
        shared = ModelConfig(joints, classes, branches, frames, adaptive=False, escalates=True, stride=stride)
        configs.append(shared)
        last.append(Stage("adasgn-shared", shared, recipe.shared.fitted(clips)))
    for count in {count for config in configs for count in config.joint_sets}:
        layout.group_averages(count)  # a LayoutError now, not after hours of training
    singles = {branch: replace(config, stride=1).single(branch) for config in configs for branch in config.branches}
    stages = [Stage("sgn", ModelConfig.dense(joints, classes, frames), single)]
    stages += [Stage(str(branch), singles[branch], single) for branch in sorted(singles, key=lambda b: b.order)]
    stages += [Stage(f"adasgn-a{alpha:g}", adaptive, fused, alpha) for alpha in recipe.adaptive.alpha]
    stages += last
    known = [stage.name for stage in stages]
    chosen = tuple(known) if only == ("all",) else only or recipe.stages or tuple(known)
    for name in chosen:
        if name not in known:
            raise RecipeError(f"expected stages among {', '.join(known)}, found {name!r}")
    return [stage for stage in stages if stage.name in chosen]


def _policy_branches(recipe: Recipe, layout: SkeletonLayout) -> tuple[Branch, ...]:
    """The branches of AdaSGN, by default all of the layout's joint sets in all sizes."""
    model = recipe.model
    if model.branches is None:
        return branch_grid(model.joint_sets or layout.joint_counts, model.sizes)
    return _named(model.branches, layout)


def _shared_branches(shared: SharedSchedule, layout: SkeletonLayout) -> tuple[Branch, ...]:
    """The branches of the model that escalates."""
    if shared.branches is not None:
        return _named(shared.branches, layout)
    below = [count for count in layout.joint_counts if count < layout.joint_count]
    return (Branch(layout.joint_count, POSE), Branch(max(below, default=layout.joint_count), "small"))


def _named(names: Sequence[str], layout: SkeletonLayout) -> tuple[Branch, ...]:
    return tuple(Branch.parse(f"{name}-{layout.joint_count}" if len(name) == 1 else name) for name in names)


def fingerprint(recipe: Recipe, stage: Stage, seed: int, fold: Fold | None = None) -> str:
    """Short digest of all settings that decide a stage's result.

    Where recordings of one's own lie is none of them: that they are the same is for the data set's digest to say.
    """
    settings = settings_of(recipe, stage.schedule, stage.alpha) | {"config": _plain(stage.config), "seed": seed}
    if fold is not None:
        settings["fold"] = [fold.number, fold.count, fold.over]
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def _plain(config: ModelConfig) -> dict[str, Any]:
    """A configuration as plain values: of the paper's branches in the words of before there were others, so that the
    fingerprints of finished runs stay."""
    values = config.to_dict()
    sizes = [size for size in SIZES if any(branch.size == size for branch in config.branches)]
    if config.branches == branch_grid(config.joint_sets, sizes) and not config.escalates and config.stride == 1:
        del values["branches"], values["escalates"], values["stride"]
        values |= {"joint_sets": config.joint_sets, "sizes": sizes}
    return values


def settings_of(recipe: Recipe, schedule: Schedule, alpha: float | None) -> dict[str, Any]:
    """What decides a stage's result besides its model and the seed, as plain values."""
    public = recipe.data.dataset in DATASETS
    return {
        "data": {"dataset": recipe.data.dataset if public else "recordings", "stream": recipe.data.stream},
        "dropout": recipe.model.dropout,
        "augment": _augment(recipe.augment),
        "schedule": {
            # min_steps has done its work in `fitted`; branches and stride are the model's; effort is for later.
            **schedule.model_dump(exclude={"alpha", "min_steps", "augment", "effort", "branches", "stride"}),
            **({"augment": _augment(schedule.augment)} if schedule.augment else {}),
        },
        "alpha": alpha,
        **({"balance": recipe.balance} if recipe.balance else {}),
    }


def _augment(section: AugmentSection) -> dict[str, Any]:
    """As plain values; what is off and once was not there is left out, so that fingerprints of finished runs stay."""
    absent = AugmentSection()
    return section.model_dump(
        exclude={name for name in ("bones", "crop", "warp") if getattr(section, name) == getattr(absent, name)}
    )


def stage_folder(out: Path, seed: int, stage: str, fold: Fold | None = None) -> Path:
    """Where a stage keeps its files: ``out/seed-S/stage``, on folds ``out/fold-k-of-K/seed-S/stage``."""
    return (out if fold is None else out / fold.folder) / f"seed-{seed}" / stage
