"""Recipes: everything that decides a training run, in one TOML file.

A recipe names its data set and stream and may change any default below; ``adasgn-edge train --list`` prints the
built-in ones. A *variant* is a second TOML file laid over the recipe: ``--variant paper`` is the built-in one that
restores the published settings. The recipe ``own`` names no data set: it is for recordings of one's own and fits itself
to how many there are (``min_steps``).
"""

from __future__ import annotations

import math
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from adasgn_edge.data.recordings import LABEL_TABLE
from adasgn_edge.data.registry import DATASETS
from adasgn_edge.data.walking import is_there
from adasgn_edge.effort import DEFAULT_EFFORT
from adasgn_edge.errors import RecipeError
from adasgn_edge.model.config import MAX_FRAMES
from adasgn_edge.text_file import read_text
from adasgn_edge.wording import nearest, shown, warn

if TYPE_CHECKING:
    from importlib.abc import Traversable

    from typing_extensions import Self

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "AdaptiveSchedule", "AugmentSection", "Count", "Degrees", "Positive", "Precision", "Recipe", "RunName",
    "Schedule", "Section", "SharedSchedule", "builtin_recipes", "builtin_variants", "load_recipe", "problems_of",
    "read_recipe",
]  # fmt: skip


def _is_name(text: str) -> str:
    if not text.isprintable() or text.startswith(".") or {"/", "\\", ":"} & set(text) or text.strip() != text:
        raise ValueError(f"expected a name that a folder can have, without / and dots before it, found {shown(text)}")
    return text


RunName = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_is_name)]
"""A recipe's name: part of the name of the run's folder, which it cannot lead out of."""
Count = Annotated[int, Field(ge=0, le=10**6)]
Positive = Annotated[int, Field(ge=1, le=10**6)]
Degrees = Annotated[float, Field(ge=-360, le=360)]
Precision = Literal["auto", "float32", "bfloat16"]
"""Of matrix products in training; auto: bfloat16 where hardware multiplies it."""


class Section(BaseModel):
    """A table of a recipe: unknown keys, infinity and NaN are errors, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSection(Section):
    """The data set and the input stream.

    dataset: a name that ``adasgn-edge convert --list`` shows, a folder of recordings or a converted file; a path that
    is not absolute starts at the recipe's own folder, and only if nothing is there, with a warning, at the working one.
    """

    dataset: str
    stream: Literal["joint", "bone", "velocity"] = "joint"


class ModelSection(Section):
    """branches: their names in ascending order of cost, such as ["P", "S-11"], where no number stands for all joints;
    or the paper's grid of joint_sets (joint counts, by default all of the layout) in all sizes. frames: T; dropout: in
    the temporal module."""

    branches: tuple[str, ...] | None = None
    joint_sets: tuple[Positive, ...] | None = None
    sizes: tuple[str, ...] = ("small", "big")
    frames: int = Field(20, ge=1, le=MAX_FRAMES)
    dropout: float = Field(0.0, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _one_way(self) -> ModelSection:
        if self.branches is not None and self.model_fields_set & {"joint_sets", "sizes"}:
            raise ValueError("expected branches, or joint_sets and sizes, found both")
        return self


class AugmentSection(Section):
    """rotation: largest angles about x, y, z in degrees; scale: relative; jitter: normalised units; bones: relative
    standard deviation of each bone's length; crop: the smallest part of a recording that is kept; warp: of its time."""

    rotation: tuple[Degrees, Degrees, Degrees] = (0.0, 0.0, 0.0)
    scale: float = Field(0.0, ge=0.0, lt=1.0)
    jitter: float = Field(0.0, ge=0.0, le=100.0)
    bones: float = Field(0.0, ge=0.0, lt=0.5)
    crop: float = Field(1.0, gt=0.0, le=1.0)
    warp: float = Field(0.0, ge=0.0, lt=1.0)


MOST_STRETCH = 10
SMALLEST_BATCH = 16


class Schedule(Section):
    """The optimiser (Adam) and its course, for one kind of stage.

    augment: in place of the recipe's, false for the recipe's; frozen_epochs: transforms (single models) or whole
    spatial modules (AdaSGN) stay as they are that long; ema: decay, a step, of the moving average of the weights that
    is kept (it warms up, see :mod:`adasgn_edge.train.average`), 0 for none; min_steps: see :meth:`fitted`.
    """

    epochs: Positive = 120
    batch: int = Field(64, ge=2, le=10**6)
    learning_rate: float = Field(1e-3, gt=0, le=1e3)
    weight_decay: float = Field(1e-4, ge=0, le=1e3)
    course: Literal["steps", "cosine"] = "steps"
    milestones: tuple[Count, ...] = (60, 90, 110)
    decay: float = Field(0.1, gt=0, le=1)
    warmup_epochs: Count = 0
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    frozen_epochs: Count = 30
    ema: float = Field(0.0, ge=0.0, lt=1.0)
    augment: AugmentSection | Literal[False] = False
    min_steps: int = Field(0, ge=0, le=10**9)

    def fitted(self, clips: int) -> Self:
        """This schedule for a training set of so many clips.

        With min_steps a small set is gone through more often: the whole course is stretched, up to MOST_STRETCH times,
        until it has that many steps of the optimiser; and the batch shrinks to an eighth of the set, but not below
        SMALLEST_BATCH. Without it nothing changes.
        """
        if not self.min_steps:
            return self
        eighth = 2 ** int(math.log2(max(1, clips / 8)))
        batch = min(self.batch, max(SMALLEST_BATCH, eighth))
        steps_an_epoch = math.ceil(max(1, clips) / batch)
        epochs = max(self.epochs, math.ceil(self.min_steps / steps_an_epoch))
        epochs = min(epochs, MOST_STRETCH * self.epochs)
        return self.model_copy(update=self._stretched(epochs / self.epochs) | {"batch": batch, "min_steps": 0})

    def _stretched(self, by: float) -> dict[str, Any]:
        """What is counted in epochs, times `by`."""
        return {
            "epochs": round(self.epochs * by),
            "milestones": tuple(round(epoch * by) for epoch in self.milestones),
            "warmup_epochs": round(self.warmup_epochs * by),
            "frozen_epochs": round(self.frozen_epochs * by),
        }

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

    alpha: tuple[Annotated[float, Field(ge=0, le=1e6)], ...] = (1.0, 4.0)
    alpha_epochs: Count = 5
    temperature: float = Field(5.0, gt=0, le=1e6)
    temperature_decay: float = Field(-0.045, ge=-10, le=0)
    batch_norm: Literal["frozen", "batch"] = "frozen"

    def _stretched(self, by: float) -> dict[str, Any]:
        more = {"alpha_epochs": round(self.alpha_epochs * by), "temperature_decay": self.temperature_decay / by}
        return super()._stretched(by) | more

    def temperature_at(self, epoch: int) -> float:
        """τ of an epoch, counted from 0."""
        return self.temperature * math.exp(self.temperature_decay * epoch)

    def alpha_at(self, epoch: int, alpha: float) -> float:
        """The cost's weight in an epoch, counted from 0, on its way to `alpha`."""
        return alpha * min(1.0, (epoch + 1) / (self.alpha_epochs + 1))


class SharedSchedule(Schedule):
    """A model that escalates: its branches are trained together, with one temporal module.

    branches: their names in ascending order of cost, where no number stands for all joints; None: the pose branch and
    the small branch of the largest joint set below that. distillation: weight, beside the labels', of the dearest
    branch's probabilities for all others. stride: of the temporal module, 1 or 2. effort: the default of the model.
    """

    branches: tuple[str, ...] | None = None
    distillation: float = Field(0.25, ge=0.0, le=1.0)
    stride: Literal[1, 2] = 1
    effort: float = Field(DEFAULT_EFFORT, ge=0.0, le=1.0)


class Recipe(Section):
    """A whole training run. See the sections for their fields.

    shared: without this section there is no such stage. stages: those that are trained where none are named (all when
    empty). balance: how far the loss makes up for classes with few clips: a class weighs as its number of training
    clips to the power -balance, from 0 (every clip weighs the same) to 1 (every class does).
    """

    name: RunName
    data: DataSection
    model: ModelSection = ModelSection()
    augment: AugmentSection = AugmentSection()
    single: Schedule = Schedule()
    adaptive: AdaptiveSchedule = AdaptiveSchedule()
    shared: SharedSchedule | None = None
    stages: tuple[str, ...] = ()
    balance: float = Field(0.0, ge=0.0, le=1.0)
    precision: Precision = "auto"
    evaluate_every: Positive = 5

    @model_validator(mode="before")
    @classmethod
    def _needs_name(cls, data: Any) -> Any:
        if isinstance(data, dict) and (not isinstance(data.get("data"), dict) or "dataset" not in data["data"]):
            raise ValueError("section [data] with a dataset is missing; give a folder of recordings with --data")
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


def _find_dataset(dataset: str, recipe: Path) -> str:
    """A data set's path in a recipe file as an absolute one; a public name, or what is found nowhere, as it is."""
    if dataset in DATASETS:
        return dataset
    beside, here = recipe.resolve().parent / dataset, Path.cwd() / dataset
    if is_there(beside):
        if is_there(here) and not here.samefile(beside):
            warn(f"recipe {recipe}: dataset {dataset!r} is that beside the recipe, not {here}", stacklevel=4)
        return str(beside.resolve())
    if is_there(here):
        warn(
            f"recipe {recipe}: dataset {dataset!r} is not beside the recipe, so that of the working folder is taken: "
            f"{here}",
            stacklevel=4,
        )
        return str(here.resolve())
    return dataset


def _read(name: str, folder: tuple[str, ...]) -> dict[str, Any]:
    builtin = _names_in(folder)
    if name in builtin:
        text = (_package_folder(folder) / f"{name}.toml").read_text(encoding="utf-8")
    elif name.endswith(".toml"):
        text = read_text(name, "a recipe", RecipeError)
    else:
        raise RecipeError(
            f"unknown {'recipe' if folder == _RECIPES else 'variant'} {shown(name, 80)}: expected one of "
            f"{', '.join(builtin)}, or the path of a .toml file"
            + (f", or a folder of recordings with {LABEL_TABLE}" if folder == _RECIPES else "")
        )
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise RecipeError(f"recipe {name}: not valid TOML (nested too deeply)") from None
    except ValueError as error:  # TOMLDecodeError is one, of numbers of thousands of digits it is a plain one
        raise RecipeError(f"recipe {name}: not valid TOML ({shown(str(error), 120)})") from None
    section = data.get("data")
    if name not in builtin and isinstance(section, dict) and isinstance(section.get("dataset"), str):
        section["dataset"] = _find_dataset(section["dataset"], Path(name))
    return data


def _lay_over(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        merged[key] = (
            _lay_over(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        )
    return merged


def read_recipe(name: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """The tables of a built-in recipe or a ``.toml`` path, with `changes` (nested alike) laid over them, unchecked.

    Raises RecipeError for a name that is no recipe's and a file that is not TOML.
    """
    return _lay_over(_read(name, _RECIPES), changes or {})


def problems_of(error: ValidationError, recipe: type[Section]) -> str:
    """What is wrong with a recipe's tables, in words: keys by their place, with those that a table has."""
    found: dict[str, str] = {}
    for problem in error.errors():
        section, place = recipe, []
        for part in problem["loc"]:
            if part in (section.__name__, "literal[False]"):
                continue  # which of several kinds of value was tried
            place.append(str(part))
            field = section.model_fields.get(str(part))
            section = next(iter(_sections_in(field.annotation)), section) if field is not None else section
        where = ".".join(place)
        if problem["type"] == "extra_forbidden":
            known = tuple(section.model_fields)
            near = nearest(place[-1], known)
            hint = f"; did you mean {near!r}?" if near else ""
            table = f"table [{'.'.join(place[:-1])}]" if place[1:] else "recipe"
            found[where] = f"{where}: expected the keys {', '.join(known)} in a {table}, found {shown(place[-1])}{hint}"
        else:
            found.setdefault(where, f"{where or 'recipe'}: {problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(found.values())[:800]


def _sections_in(annotation: Any) -> list[type[Section]]:
    """The tables among the types of a key's value."""
    kinds = (annotation, *get_args(annotation))
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)]


def load_recipe(name: str, variant: str | None = None, changes: dict[str, Any] | None = None) -> Recipe:
    """A built-in recipe or a ``.toml`` path, a variant laid over it, then `changes` (nested like the file).

    Raises RecipeError that names the key at fault.
    """
    data = _read(name, _RECIPES)
    if variant is not None:
        data = _lay_over(data, _read(variant, _VARIANTS))
    data = _lay_over(data, changes or {})
    if data.get("kind") is not None:
        raise RecipeError(f"recipe {name}: expected a recipe of clips, found one of continuous recordings")
    data.setdefault("name", Path(name).stem)
    try:
        recipe = Recipe.model_validate(data)
    except ValidationError as error:
        raise RecipeError(f"recipe {name}: {problems_of(error, Recipe)}") from None
    dataset = recipe.data.dataset
    if dataset not in DATASETS and not is_there(Path(dataset)):
        raise RecipeError(
            f"recipe {name}: data.dataset {dataset[:120]!r}: expected one of {', '.join(DATASETS)}, or a folder of "
            "recordings or converted file beside the recipe, found none"
        )
    return recipe
