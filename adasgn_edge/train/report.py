"""Evaluations of whole runs: weights found below a folder, measured, and taken together over folds and seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.data.folds import Fold, fold_dataset
from adasgn_edge.data.walking import is_folder, is_there
from adasgn_edge.errors import CheckpointError, DatasetError, EffortError, ModelConfigError
from adasgn_edge.lazy import cached_property
from adasgn_edge.model.config import Branch
from adasgn_edge.model.weights import WEIGHTS, TrainedModel, load_weights
from adasgn_edge.progress import Progress
from adasgn_edge.train.evaluate import Evaluation, evaluate
from adasgn_edge.train.log import LOG, read_log
from adasgn_edge.train.recipe import Recipe
from adasgn_edge.train.sampler import ClipSampler
from adasgn_edge.train.stages import settings_of
from adasgn_edge.train.statistics import Interval, accuracy_interval, seed_interval

__all__ = [
    "Measurement", "Model", "Summary", "find_weights", "fold_of", "measure", "models_of", "plain", "spread",
    "summarise",
]  # fmt: skip


@dataclass(frozen=True)
class Measurement:
    """One weights file measured.

    data: digest of the data set measured on; best_epoch: the best test accuracy that its log holds, None where there
    is none or where the log's figures are of other clips or another routing; names and groups: of the clips, the latter
    empty where they are not known; fold: that it was trained without and measured on, None for a whole data set;
    effort: of a model that escalates, None of others and where a policy was named.
    """

    path: Path
    trained: TrainedModel
    evaluation: Evaluation
    best_epoch: float | None
    data: str = ""
    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    fold: Fold | None = None
    effort: float | None = None

    @property
    def stage(self) -> str:
        """What was trained, e.g. "sgn", "B-22", "adasgn-a4"."""
        return str(self.trained.provenance.get("stage", self.path.stem))

    @property
    def title(self) -> str:
        """The stage, of a model that escalates with its effort."""
        return self.stage if self.effort is None else f"{self.stage} at {self.effort:g}"

    @property
    def seed(self) -> object:
        """The seed of the run, None when the weights do not say."""
        return self.trained.provenance.get("seed")

    @property
    def run(self) -> Path:
        """The folder of the run: above ``seed-S/stage/model.safetensors``, and above the fold's folder where there is
        one; else the folder that holds the file."""
        folders = self.path.parents
        if len(folders) < 3 or not folders[1].name.startswith("seed-"):
            return folders[0]
        return folders[3] if self.fold and folders[2].name == self.fold.folder and len(folders) > 3 else folders[2]

    @property
    def settings(self) -> str:
        """Everything that decided the training but the seed, as text to compare."""
        provenance = self.trained.provenance
        found = provenance.get("recipe")
        if not isinstance(found, dict):
            return str(self.run)  # nothing is known: only files of one folder are taken as seeds of one run
        try:
            recipe = Recipe.model_validate(found)
        except ValidationError:  # of an earlier version: compared word by word, α apart, which is the stage's
            adaptive = {k: v for k, v in dict(found.get("adaptive") or {}).items() if k != "alpha"}
            settings: object = {**found, "adaptive": adaptive}
        else:
            adaptive_kind = recipe.single if provenance.get("alpha") is None else recipe.adaptive
            kind = recipe.shared if self.trained.model.config.escalates and recipe.shared else adaptive_kind
            settings = settings_of(recipe, kind, provenance.get("alpha")) | {"precision": recipe.precision}
            if self.fold is not None:
                settings["min_steps"] = kind.min_steps
            if self.trained.model.config.adaptive:  # whose branches are those of the single models
                single = settings_of(recipe, recipe.single, None)
                settings["single"] = [single, recipe.single.min_steps]
        if self.fold is None:
            noted = [*(provenance.get(name) for name in ("dataset_digest", "epochs", "batch")), self.data]
        else:  # what differs from fold to fold, epochs of a fitted schedule too, follows from these
            noted = [self.fold.pool, self.fold.count, self.fold.over]
        about = [settings, self.trained.model.config.to_dict(), noted, self.effort]
        return json.dumps(about, sort_keys=True, default=str)


@dataclass(frozen=True)
class Model:
    """One model over its seeds; on folds each seed has a measurement a fold, of the same folds in the same order.

    name: the stage, and where several models are of this stage also what tells them apart.
    """

    name: str
    runs: tuple[tuple[Measurement, ...], ...]

    @property
    def stage(self) -> str:
        return self.runs[0][0].stage

    @property
    def seeds(self) -> tuple[object, ...]:
        """The seed of each run."""
        return tuple(run[0].seed for run in self.runs)

    @property
    def folds(self) -> tuple[Fold, ...]:
        """The folds that every seed was measured on; empty for models of a whole data set."""
        return tuple(m.fold for m in self.runs[0] if m.fold is not None)

    @property
    def names(self) -> tuple[str, ...]:
        """(N,) names of the clips measured, of all folds one after another."""
        return tuple(name for m in self.runs[0] for name in m.names)

    @property
    def groups(self) -> tuple[str, ...]:
        """(N,) their groups, empty where these are not known."""
        return tuple(group for m in self.runs[0] for group in m.groups)

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """(S, N) whether each seed got each clip right; on folds a clip is judged by the model that was trained without
        it."""
        return np.stack([np.concatenate([m.evaluation.correct for m in run]) for run in self.runs])

    @property
    def accuracies(self) -> list[float]:
        """(S,) accuracy of each seed over all its clips."""
        return [float(row.mean()) for row in self.correct]

    @property
    def fold_accuracies(self) -> list[float]:
        """(K,) accuracy on each fold, the mean over seeds."""
        return [float(np.mean([m.evaluation.accuracy for m in of_fold])) for of_fold in zip(*self.runs, strict=True)]

    def mean(self, figure: str) -> NDArray[np.float64]:
        """Mean of a figure of :class:`Evaluation` over clips and seeds."""
        flat = [m for run in self.runs for m in run]
        values = np.asarray([getattr(m.evaluation, figure) for m in flat], dtype=np.float64)
        return np.average(values, axis=0, weights=[len(m.evaluation.labels) for m in flat])

    @property
    def best_epoch(self) -> float:
        """Mean of the best epochs; NaN unless there is one for every measurement."""
        flat = [m for run in self.runs for m in run]
        best = [m.best_epoch for m in flat if m.best_epoch is not None]
        if len(best) < len(flat):
            return float("nan")
        return float(np.average(best, weights=[len(m.evaluation.labels) for m in flat]))


@dataclass(frozen=True)
class Summary:
    """One model over its seeds: means and, from two seeds on, sample standard deviations (else NaN).

    name: the stage, and where several models are of this stage also what tells them apart; accuracy: of a model on
    folds that over all clips held out, each once; best_epoch: NaN unless every seed has one; interval: of the accuracy,
    see :func:`adasgn_edge.train.statistics.accuracy_interval`; seed_interval: of the mean over seeds on these very
    clips, None for one seed; clips, groups: how many of them, groups 0 where not known; folds: None, or the numbers of
    those found, how many there are, over what, the accuracy on each (mean over seeds), and mean and deviation of these.
    """

    name: str
    stage: str
    seeds: int
    accuracy: float
    accuracy_deviation: float
    best_epoch: float
    paper_gflops: float
    full_gflops: float
    shares: tuple[float, ...]
    interval: Interval
    seed_interval: Interval | None
    clips: int
    groups: int
    folds: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes None."""
        return {
            name: plain(value.to_dict() if isinstance(value, Interval) else value)
            for name, value in self.__dict__.items()
        }


def plain(value: Any) -> Any:
    """Numbers, arrays and what holds them as JSON knows them; NaN and infinity, which it does not, become None."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def find_weights(path: Path) -> list[Path]:
    """The weights file itself, or all ``model.safetensors`` below a run folder in a stable order."""
    if is_there(path) and not is_folder(path):
        return [path]
    found = sorted(path.glob(f"**/{WEIGHTS}"))
    if not found:
        raise CheckpointError(f"{path}: expected a weights file or a folder with finished stages, found neither")
    return found


def measure(
    path: Path,
    dataset: SkeletonDataset,
    policy: str | Branch = "argmax",
    split: str = "test",
    device: str = "cpu",
    progress: Progress | None = None,
    effort: float | None = None,
) -> Measurement:
    """Evaluate one weights file in float32; raises ModelConfigError when it does not fit the data set.

    effort: of a model that escalates, by default its own; EffortError where it has no effort table. Others take none.

    A model of a fold is measured on that fold of the data set, whose "test" split are the clips held out. Raises
    DatasetError when the data set does not give this fold any more: it would be asked what it was taught.
    """
    trained = load_weights(path)
    fold = fold_of(path, trained)
    if fold is not None:
        try:
            dataset = fold_dataset(dataset, fold)
        except DatasetError as error:
            raise DatasetError(f"{path}: {error}") from None
    if trained.layout != dataset.layout:
        raise ModelConfigError(
            f"{path}: the model expects layout {trained.layout.name!r}, "
            f"data set {dataset.name!r} has {dataset.layout.name!r}"
        )
    if trained.class_names != dataset.class_names:
        raise ModelConfigError(
            f"{path}: the model knows {len(trained.class_names)} classes, which are not the "
            f"{len(dataset.class_names)} of data set {dataset.name!r}{_first_difference(trained, dataset)}"
        )
    sampler = ClipSampler(dataset, split, trained.model.config.frames, trained.stream, device)
    try:
        effort, threshold = _effort(trained, policy, effort)
        model = trained.model.to(device)
        evaluation = evaluate(model, sampler, policy, progress=progress, threshold=threshold)
    except (EffortError, ModelConfigError) as error:
        raise type(error)(f"{path}: {error}") from None
    best = None
    if policy == "argmax" and split == "test" and effort is None and _trained_on(trained, dataset):
        rows = read_log(path.with_name(LOG))
        best = max((row["test_accuracy"] for row in rows if "test_accuracy" in row), default=None)
    groups = dataset.groups and tuple(dataset.groups[sample] for sample in dataset.indices(split))
    return Measurement(path, trained, evaluation, best, dataset.digest, tuple(sampler.names), groups, fold, effort)


def _effort(trained: TrainedModel, policy: str | Branch, effort: float | None) -> tuple[float | None, float]:
    """The effort that a model is measured at, if it has one, and the threshold of it."""
    if not trained.model.config.escalates:
        if effort is not None:
            raise EffortError(f"effort: expected none of a model that does not escalate, found {effort:g}")
        return None, 0.0
    if policy != "argmax":
        return None, 0.0
    if trained.effort is None:
        if effort is None or effort == 0:  # at which nothing escalates, whatever is known
            return 0.0, 0.0
        raise EffortError(f"effort {effort:g}: expected weights with an effort table, found none; "
                          "`adasgn-edge calibrate` makes one of a run on folds")  # fmt: skip
    effort = trained.effort.default if effort is None else effort
    return effort, trained.effort.threshold(effort)


def fold_of(path: Path, trained: TrainedModel) -> Fold | None:
    """The fold that weights were trained without, None for those of a whole data set; raises CheckpointError."""
    noted = trained.provenance.get("fold")
    try:
        return None if noted is None else Fold.from_dict(noted)
    except DatasetError as error:
        raise CheckpointError(f"{path}: the weights do not fit their description ({error})") from None


def _trained_on(trained: TrainedModel, dataset: SkeletonDataset) -> bool:
    """Whether a model's log speaks of this data set; by name for weights from before the digest was noted."""
    provenance = trained.provenance
    noted = provenance.get("dataset_digest")
    return provenance.get("dataset", dataset.name) == dataset.name if noted is None else noted == dataset.digest


def _first_difference(trained: TrainedModel, dataset: SkeletonDataset) -> str:
    for mine, other in zip(trained.class_names, dataset.class_names, strict=False):
        if mine != other:
            return f" (first different: {mine[:40]!r}, {other[:40]!r})"
    return ""


def models_of(measurements: Sequence[Measurement]) -> list[Model]:
    """Models that differ in nothing but seed and fold, together, each with a name of its own; in order of cost."""
    unique = {(m.path.resolve(), m.effort): m for m in measurements}  # the same file given twice is measured once
    alike: dict[tuple[str, str], list[Measurement]] = {}
    for m in unique.values():
        alike.setdefault((m.stage, m.settings), []).append(m)
    groups = [rows for group in alike.values() for part in _distinct_seeds(group) for rows in _same_folds(part)]
    models = [Model(name, rows) for name, rows in zip(_names(groups), groups, strict=True)]
    return sorted(models, key=lambda model: (float(model.mean("paper_gflops")), model.name))


def summarise(models: Sequence[Model]) -> list[Summary]:
    """A row for each model."""
    return [_summary(model) for model in models]


def _distinct_seeds(group: Sequence[Measurement]) -> list[list[Measurement]]:
    """The group as it is; where one seed comes twice, each run by itself."""

    def distinct(part: Sequence[Measurement]) -> bool:
        places = {(m.seed, _fold_number(m)) for m in part}
        return len(places) == len(part) and all(m.seed is not None for m in part)

    if len(group) == 1 or distinct(group):
        return [list(group)]
    runs: dict[Path, list[Measurement]] = {}
    for m in group:
        runs.setdefault(m.run, []).append(m)
    result = []
    for run in runs.values():
        result += [run] if distinct(run) else [[m] for m in run]
    return result


def _same_folds(group: Sequence[Measurement]) -> list[tuple[tuple[Measurement, ...], ...]]:
    """The measurements by seed and fold; seeds that have been measured on other folds are apart."""
    by_seed: dict[object, list[Measurement]] = {}
    for m in group:
        by_seed.setdefault(m.seed, []).append(m)
    parts: dict[tuple[int, ...], list[tuple[Measurement, ...]]] = {}
    for own in by_seed.values():
        run = sorted(own, key=_fold_number)
        parts.setdefault(tuple(map(_fold_number, run)), []).append(tuple(run))
    return [tuple(part) for part in parts.values()]


def _fold_number(m: Measurement) -> int:
    return 0 if m.fold is None else m.fold.number


Runs = tuple[tuple[Measurement, ...], ...]


def _names(groups: Sequence[Runs]) -> list[str]:
    """The stage, with an effort; where that is not enough also the folds, the run's folder, the seeds, the file."""
    names = [group[0][0].title for group in groups]
    for more in (_folds, _runs, _seeds, _files):
        detail = [more(group) for group in groups]
        names = [
            f"{name}, {extra}" if names.count(name) > 1 and _differs(name, extra, names, detail) else name
            for name, extra in zip(names, detail, strict=True)
        ]
    return names


def _differs(name: str, extra: str, names: Sequence[str], details: Sequence[str]) -> bool:
    return any(other == name and detail != extra for other, detail in zip(names, details, strict=True))


def _folds(group: Runs) -> str:
    folds = [m.fold for m in group[0] if m.fold is not None]
    if not folds:
        return "whole data set"
    numbers = "+".join(str(fold.number) for fold in folds) + " of " if len(folds) < folds[0].count else ""
    return f"{numbers}{folds[0].count} folds{' over all' if folds[0].over == 'all' else ''}"


def _runs(group: Runs) -> str:
    return " + ".join(dict.fromkeys(str(m.run) for run in group for m in run))


def _seeds(group: Runs) -> str:
    return "seed " + "+".join(str(run[0].seed) for run in group)


def _files(group: Runs) -> str:
    return " + ".join(str(m.path) for run in group for m in run)


def _summary(model: Model) -> Summary:
    folds = None
    if model.folds:
        by_fold = spread(model.fold_accuracies)
        folds = {
            "found": [fold.number for fold in model.folds],
            "count": model.folds[0].count,
            "over": model.folds[0].over,
            "accuracies": model.fold_accuracies,
            "accuracy": by_fold["accuracy"],
            "deviation": by_fold["accuracy_deviation"],
        }
    return Summary(
        name=model.name,
        stage=model.stage,
        seeds=len(model.seeds),
        **spread(model.accuracies),
        best_epoch=model.best_epoch,
        paper_gflops=float(model.mean("paper_gflops")),
        full_gflops=float(model.mean("full_gflops")),
        shares=tuple(model.mean("shares").tolist()),
        interval=accuracy_interval(model.correct, model.groups),
        seed_interval=seed_interval(model.accuracies),
        clips=model.correct.shape[1],
        groups=len(set(model.groups)),
        folds=folds,
    )


def spread(accuracy: Sequence[float]) -> dict[str, float]:
    """Mean and sample standard deviation of accuracies, as the fields of a row."""
    deviation = float(np.std(accuracy, ddof=1)) if len(accuracy) > 1 else float("nan")
    return {"accuracy": float(np.mean(accuracy)), "accuracy_deviation": deviation}
