"""Recipes of causal models, which learn from continuous recordings: everything that decides a run, in one TOML file.

Such a recipe says ``kind = "online"``; those of clips are :mod:`adasgn_edge.train.recipe`'s.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from adasgn_edge.data.registry import ONLINE_DATASETS
from adasgn_edge.errors import LayoutError, RecipeError
from adasgn_edge.model.config import Branch, CausalShape, ModelConfig
from adasgn_edge.skeletons import SkeletonLayout
from adasgn_edge.train.recipe import Count, Degrees, Positive, Precision, RunName, Section, problems_of, read_recipe
from adasgn_edge.wording import shown

__all__ = [
    "KIND", "NONE", "LabelSection", "OnlineAugmentSection", "OnlineRecipe", "OnlineStage", "is_online",
    "load_online_recipe", "plan_online_stages",
]  # fmt: skip

KIND = "online"
NONE = "none"
"""Name of the class that is no gesture, the last one."""


class GridSection(Section):
    """step: seconds between two frames of the grid."""

    step: float = Field(0.05, ge=1e-3, le=1)


class CausalSection(Section):
    """branches: their names in ascending order of cost, where no number stands for all joints, the trail's among them;
    trail, dilations, pool: as of :class:`CausalShape`; origin: name of a joint, by default the layout's own origin, and
    to be named where that is the mean of several; dropout: in the temporal module; frozen_epochs: transforms stay as
    they are that long."""

    branches: tuple[str, ...] = ("P",)
    trail: tuple[Positive, ...] = (2, 4, 8)
    dilations: tuple[Positive, ...] = (1, 2, 4)
    pool: Positive = 1
    origin: str | None = None
    dropout: float = Field(0.0, ge=0.0, lt=1.0)


class LabelSection(Section):
    """What the lessons are, in seconds. delay: how far the answer lags behind the newest frame, in whole steps of the
    grid: so much of what follows is known. Of a recording no lesson are: late: the beginning of a gesture, of which
    half at most, when it cannot be known yet; after: what follows its end."""

    delay: float = Field(0.0, ge=0, le=3600)
    late: float = Field(0.15, ge=0, le=3600)
    after: float = Field(0.15, ge=0, le=3600)


class OnlineAugmentSection(Section):
    """rotation: largest angles about x, y, z in degrees; scale, speed: largest relative changes of size and of time, as
    exponents of e; bones: relative standard deviation of each joint's distance from the origin joint; noise: largest
    standard deviation of a frame's joints, in units of the scale bone; thin: a crop may be interpolated between every
    second, third … frame of the recording alone, up to this one, as if its source were as much slower."""

    rotation: tuple[Degrees, Degrees, Degrees] = (0.0, 0.0, 0.0)
    scale: float = Field(0.0, ge=0, lt=1)
    speed: float = Field(0.0, ge=0, lt=1)
    bones: float = Field(0.0, ge=0, lt=0.5)
    noise: float = Field(0.0, ge=0, le=100)
    thin: int = Field(1, ge=1, le=16)


class OnlineSchedule(Section):
    """The optimiser (AdamW, cosine decay) and its course.

    steps: of an epoch; batch: crops in each; rows: frames of a crop that are judged; gestures: share of the crops that
    lie about a gesture, others lie anywhere; distillation: weight of the dearest branch's probabilities for the others.
    """

    epochs: Positive = 40
    steps: Positive = 60
    batch: int = Field(16, ge=2, le=10**6)
    rows: Positive = 128
    gestures: float = Field(0.5, ge=0, le=1)
    learning_rate: float = Field(1e-3, gt=0, le=1e3)
    weight_decay: float = Field(1e-2, ge=0, le=1e3)
    warmup_steps: Count = 100
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    ema: float = Field(0.998, ge=0, lt=1)
    distillation: float = Field(0.25, ge=0, le=1)

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0 over all epochs."""
        course = 0.5 * (1 + math.cos(math.pi * step / (self.epochs * self.steps)))
        return self.learning_rate * min(1.0, (step + 1) / (self.warmup_steps + 1)) * max(course, 1e-3)


class OnlineRecipe(Section):
    """A whole run; see the sections for their fields. stages: those that are trained where none are named."""

    name: RunName
    kind: Literal["online"]
    dataset: str
    grid: GridSection = GridSection()
    model: CausalSection = CausalSection()
    labels: LabelSection = LabelSection()
    augment: OnlineAugmentSection = OnlineAugmentSection()
    schedule: OnlineSchedule = OnlineSchedule()
    precision: Precision = "auto"
    stages: tuple[str, ...] = ("stream",)

    @property
    def step_ns(self) -> int:
        """The grid's step in nanoseconds."""
        return round(1e9 * self.grid.step)

    @property
    def delay_steps(self) -> int:
        """Grid steps that an answer lags behind the newest frame."""
        return round(self.labels.delay / self.grid.step)


@dataclass(frozen=True)
class OnlineStage:
    """One model to train. name: its folder, "stream" for the recipe's branches, "stream-sgn" for dense SGN."""

    name: str
    config: ModelConfig

    def fingerprint(self, recipe: OnlineRecipe, seed: int, held: tuple[int, ...] | None) -> str:
        """Short digest of all settings that decide the stage's result; held: sequences left out, if any."""
        settings = recipe.model_dump(exclude={"name", "stages", "model"})
        about = [settings, self.config.to_dict(), recipe.model.dropout, seed, held]
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]


def is_online(name: str) -> bool:
    """Whether a built-in recipe, or a ``.toml`` path, is one of a causal model; raises RecipeError for what is none."""
    return read_recipe(name).get("kind") == KIND


def load_online_recipe(name: str, changes: dict[str, Any] | None = None) -> OnlineRecipe:
    """A built-in recipe or a ``.toml`` path, with `changes` (nested like the file) laid over it.

    Raises RecipeError that names the key at fault.
    """
    data = read_recipe(name, changes)
    data.setdefault("name", Path(name).stem)
    try:
        recipe = OnlineRecipe.model_validate(data)
    except ValidationError as error:
        raise RecipeError(f"recipe {name}: {problems_of(error, OnlineRecipe)}") from None
    if recipe.dataset not in ONLINE_DATASETS:
        known = ", ".join(ONLINE_DATASETS)
        raise RecipeError(f"recipe {name}: dataset {shown(recipe.dataset, 80)}: expected one of {known}")
    return recipe


def plan_online_stages(
    recipe: OnlineRecipe, layout: SkeletonLayout, gestures: int, only: tuple[str, ...] = ()
) -> list[OnlineStage]:
    """The stages that `only` names, without names the recipe's own; raises RecipeError for names that are none."""
    model = recipe.model
    try:
        origin = layout.origin_joint if model.origin is None else layout.index(model.origin)
    except LayoutError as error:
        raise RecipeError(f"recipe {recipe.name}: model.origin: {error}") from None
    shape = CausalShape(model.trail, model.dilations, model.pool, origin)
    joints, classes = layout.joint_count + len(model.trail), gestures + 1
    branches = tuple(Branch.parse(f"{name}-{joints}" if len(name) == 1 else name) for name in model.branches)
    several = len(branches) > 1
    own = ModelConfig(joints, classes, branches, shape.frames, adaptive=False, escalates=several, causal=shape)
    dense = ModelConfig.dense(joints, classes, shape.frames, shape)
    _check_delay(recipe, own.clip_frames)
    stages = {"stream": own, "stream-sgn": dense}
    for name in only or recipe.stages:
        if name not in stages:
            raise RecipeError(f"expected stages among {', '.join(stages)}, found {shown(name, 80)}")
    return [OnlineStage(name, config) for name, config in stages.items() if name in (only or recipe.stages)]


def _check_delay(recipe: OnlineRecipe, window: int) -> None:
    delay, step = recipe.labels.delay, recipe.grid.step
    if not math.isclose(delay, recipe.delay_steps * step, abs_tol=1e-6) or recipe.delay_steps >= window:
        raise RecipeError(
            f"recipe {recipe.name}: labels.delay: expected whole steps of {step:g} s, at most {window - 1} of them, "
            f"found {delay:g} s"
        )
