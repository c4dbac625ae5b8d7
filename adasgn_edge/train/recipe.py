"""Recipes: everything that decides a training run, in one TOML file.

A recipe names its data set and stream and may change any default below; ``adasgn-edge train --list`` prints the
built-in ones. A *variant* is a second TOML file laid over the recipe: ``--recipe paper`` is the built-in one that
restores the published settings.
"""

from __future__ import annotations

import math
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from adasgn_edge.errors import RecipeError

if TYPE_CHECKING:
    from importlib.abc import Traversable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Recipe", "Schedule", "builtin_recipes", "load_recipe"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSection(_Section):
    """dataset: a name that ``adasgn-edge convert --list`` shows, or a folder of recordings; stream: the input."""

    dataset: str
    stream: Literal["joint", "bone", "velocity"] = "joint"


class ModelSection(_Section):
    """joint_sets: joint counts, by default all of the layout; frames: T; dropout: in the temporal module."""

    joint_sets: tuple[int, ...] | None = None
    sizes: tuple[str, ...] = ("small", "big")
    frames: int = Field(20, ge=1)
    dropout: float = Field(0.0, ge=0.0, lt=1.0)


class AugmentSection(_Section):
    """rotation: largest angles about x, y, z in degrees; scale: relative; jitter: normalised units."""

    rotation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = Field(0.0, ge=0.0, lt=1.0)
    jitter: float = Field(0.0, ge=0.0)


class Schedule(_Section):
    """The optimiser (Adam) and its course, for one kind of stage.

    augment: in place of the recipe's, false for the recipe's; frozen_epochs: transforms (single models) or whole
    spatial modules (AdaSGN) stay as they are that long; ema: decay, a step, of the moving average of the weights that
    is kept, 0 for none.
    """

    epochs: int = Field(120, ge=1)
    batch: int = Field(64, ge=2)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    course: Literal["steps", "cosine"] = "steps"
    milestones: tuple[int, ...] = (60, 90, 110)
    decay: float = Field(0.1, gt=0, le=1)
    warmup_epochs: int = Field(0, ge=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    frozen_epochs: int = Field(30, ge=0)
    ema: float = Field(0.0, ge=0.0, lt=1.0)
    augment: AugmentSection | Literal[False] = False

    def rate(self, epoch: float) -> float:
        """Learning rate of an epoch, counted from 0."""
        if epoch < self.warmup_epochs:
            return self.learning_rate * (epoch + 1) / (self.warmup_epochs + 1)
        if self.course == "cosine":
            done = (epoch - self.warmup_epochs) / max(1, self.epochs - self.warmup_epochs)
            return self.learning_rate * max(0.5 * (1 + math.cos(math.pi * done)), 1e-3)
        return self.learning_rate * self.decay ** sum(epoch >= milestone for milestone in self.milestones)


class AdaptiveSchedule(Schedule):
    """AdaSGN on top of the single models.

    alpha: weight of the mean cost in the loss, one run each; alpha_epochs: it rises over these; temperature, and its
    decay an epoch (exp of it); batch_norm: "frozen" keeps the pretrained statistics of the spatial modules (and makes
    a step cheaper, see AdaSGN.forward_training), "batch" updates them on all frames as the paper does.
    """

    alpha: tuple[float, ...] = (1.0, 4.0)
    alpha_epochs: int = Field(5, ge=0)
    temperature: float = Field(5.0, gt=0)
    temperature_decay: float = -0.045
    batch_norm: Literal["frozen", "batch"] = "frozen"

    def temperature_at(self, epoch: int) -> float:
        """τ of an epoch, counted from 0."""
        return self.temperature * math.exp(self.temperature_decay * epoch)

    def alpha_at(self, epoch: int, alpha: float) -> float:
        """The cost's weight in an epoch, counted from 0, on its way to `alpha`."""
        return alpha * min(1.0, (epoch + 1) / (self.alpha_epochs + 1))


class Recipe(_Section):
    """A whole training run. See the sections for their fields."""

    name: str
    data: DataSection
    model: ModelSection = ModelSection()
    augment: AugmentSection = AugmentSection()
    single: Schedule = Schedule()
    adaptive: AdaptiveSchedule = AdaptiveSchedule()
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    evaluate_every: int = Field(5, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _needs_name(cls, data: Any) -> Any:
        if isinstance(data, dict) and "data" not in data:
            raise ValueError("section [data] with a dataset is missing")
        return data


_RECIPES = ("recipes",)
_VARIANTS = ("recipes", "variants")


def _package_folder(parts: tuple[str, ...]) -> Traversable:
    folder = resources.files("adasgn_edge")
    for part in parts:
        folder = folder / part
    return folder


def _names_in(parts: tuple[str, ...]) -> tuple[str, ...]:
    names = [entry.name for entry in _package_folder(parts).iterdir()]
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def builtin_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with the package."""
    return _names_in(_RECIPES)


def builtin_variants() -> tuple[str, ...]:
    """Names of the variants that come with the package."""
    return _names_in(_VARIANTS)


def _read(name: str, folder: tuple[str, ...]) -> dict[str, Any]:
    builtin = _names_in(folder)
    if name in builtin:
        text = (_package_folder(folder) / f"{name}.toml").read_text(encoding="utf-8")
    elif name.endswith(".toml"):
        try:
            text = Path(name).read_text(encoding="utf-8")
        except OSError as error:
            raise RecipeError(f"recipe {name}: {error.strerror or error}") from None
    else:
        raise RecipeError(f"unknown recipe {name!r}: expected one of {', '.join(builtin)}, or the path of a .toml file")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {name}: not valid TOML ({error})") from None


def _lay_over(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        merged[key] = (
            _lay_over(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        )
    return merged


def load_recipe(name: str, variant: str | None = None, changes: dict[str, Any] | None = None) -> Recipe:
    """A built-in recipe or a ``.toml`` path, a variant laid over it, then `changes` (nested like the file).

    Raises RecipeError that names the key at fault.
    """
    data = _read(name, _RECIPES)
    if variant is not None:
        data = _lay_over(data, _read(variant, _VARIANTS))
    data = _lay_over(data, changes or {})
    data.setdefault("name", Path(name).stem)
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'recipe'}: {e['msg']}" for e in error.errors())
        raise RecipeError(f"recipe {name}: {problems}") from None
