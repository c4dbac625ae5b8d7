"""Evaluations of whole runs: weights found below a folder, several seeds aggregated, several streams fused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.errors import CheckpointError, ModelConfigError
from adasgn_edge.model.config import Branch
from adasgn_edge.model.weights import TrainedModel, load_weights
from adasgn_edge.progress import Progress
from adasgn_edge.train.evaluate import Evaluation, evaluate
from adasgn_edge.train.log import LOG, read_log
from adasgn_edge.train.recipe import Recipe
from adasgn_edge.train.sampler import ClipSampler
from adasgn_edge.train.stages import settings_of

__all__ = ["Measurement", "Summary", "find_weights", "measure", "plain", "summarise"]


@dataclass(frozen=True)
class Measurement:
    """One weights file measured.

    data: digest of the data set measured on; best_epoch: the best test accuracy that its log holds, None where there
    is none or where the log's figures are of other clips or another routing.
    """

    path: Path
    trained: TrainedModel
    evaluation: Evaluation
    best_epoch: float | None
    data: str = ""

    @property
    def stage(self) -> str:
        """What was trained, e.g. "sgn", "B-22", "adasgn-a4"."""
        return str(self.trained.provenance.get("stage", self.path.stem))

    @property
    def seed(self) -> object:
        """The seed of the run, None when the weights do not say."""
        return self.trained.provenance.get("seed")

    @property
    def run(self) -> Path:
        """The folder of the run: above ``seed-S/stage/model.safetensors``, else the one that holds the file."""
        folders = self.path.parents
        return folders[2] if len(folders) > 2 and folders[1].name.startswith("seed-") else folders[0]

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
            kind = recipe.single if provenance.get("alpha") is None else recipe.adaptive
            settings = settings_of(recipe, kind, provenance.get("alpha"))
        noted = [provenance.get(name) for name in ("dataset_digest", "epochs", "batch")]
        about = [settings, self.trained.model.config.to_dict(), noted]
        return json.dumps(about, sort_keys=True, default=str)


@dataclass(frozen=True)
class Summary:
    """One model over its seeds: means and, from two seeds on, sample standard deviations (else NaN).

    name: the stage, and where several models are of this stage also what tells them apart; best_epoch: NaN unless
    every seed has one.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes None."""
        return {name: plain(value) for name, value in self.__dict__.items()}


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
    if path.is_file():
        return [path]
    found = sorted(path.glob("**/model.safetensors"))
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
) -> Measurement:
    """Evaluate one weights file in float32; raises ModelConfigError when it does not fit the data set."""
    trained = load_weights(path)
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
        evaluation = evaluate(trained.model.to(device), sampler, policy, progress=progress)
    except ModelConfigError as error:
        raise ModelConfigError(f"{path}: {error}") from None
    best = None
    if policy == "argmax" and split == "test" and _trained_on(trained, dataset):
        rows = read_log(path.with_name(LOG))
        best = max((row["test_accuracy"] for row in rows if "test_accuracy" in row), default=None)
    return Measurement(path, trained, evaluation, best, dataset.digest)


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


def group_seeds(measurements: Sequence[Measurement]) -> list[list[Measurement]]:
    """Models that differ in nothing but their seed, together; where one seed comes twice, each run by itself."""
    unique = {m.path.resolve(): m for m in measurements}  # the same file given twice is measured once
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for m in unique.values():
        groups.setdefault((m.stage, m.settings), []).append(m)
    result = []
    for group in groups.values():
        seeds = [m.seed for m in group]
        if len(set(seeds)) == len(seeds) and (None not in seeds or len(seeds) == 1):
            result.append(group)
            continue
        runs: dict[Path, list[Measurement]] = {}
        for m in group:
            runs.setdefault(m.run, []).append(m)
        for run in runs.values():
            own = [m.seed for m in run]
            result += [run] if len(set(own)) == len(own) and None not in own else [[m] for m in run]
    return result


def summarise(measurements: Sequence[Measurement]) -> list[Summary]:
    """One row per model, its seeds taken together, in order of cost; each row has a name of its own."""
    groups = group_seeds(measurements)
    rows = [_summary(name, group) for name, group in zip(_names(groups), groups, strict=True)]
    return sorted(rows, key=lambda row: (row.paper_gflops, row.name))


def _names(groups: Sequence[Sequence[Measurement]]) -> list[str]:
    """The stage; where that is not enough also the run's folder, then the seeds, then the file."""
    names = [group[0].stage for group in groups]
    for more in (_runs, _seeds, _files):
        detail = [more(group) for group in groups]
        names = [
            f"{name}, {extra}" if names.count(name) > 1 and _differs(name, extra, names, detail) else name
            for name, extra in zip(names, detail, strict=True)
        ]
    return names


def _differs(name: str, extra: str, names: Sequence[str], details: Sequence[str]) -> bool:
    return any(other == name and detail != extra for other, detail in zip(names, details, strict=True))


def _runs(group: Sequence[Measurement]) -> str:
    return " + ".join(dict.fromkeys(str(m.run) for m in group))


def _seeds(group: Sequence[Measurement]) -> str:
    return "seed " + "+".join(str(m.seed) for m in group)


def _files(group: Sequence[Measurement]) -> str:
    return " + ".join(str(m.path) for m in group)


def _summary(name: str, group: Sequence[Measurement]) -> Summary:
    best = [m.best_epoch for m in group if m.best_epoch is not None]
    return Summary(
        name=name,
        stage=group[0].stage,
        seeds=len(group),
        **spread([m.evaluation.accuracy for m in group]),
        best_epoch=float(np.mean(best)) if len(best) == len(group) else float("nan"),
        paper_gflops=float(np.mean([m.evaluation.paper_gflops for m in group])),
        full_gflops=float(np.mean([m.evaluation.full_gflops for m in group])),
        shares=tuple(np.mean([m.evaluation.shares for m in group], axis=0).tolist()),
    )


def spread(accuracy: Sequence[float]) -> dict[str, float]:
    """Mean and sample standard deviation of accuracies, as the fields of a row."""
    deviation = float(np.std(accuracy, ddof=1)) if len(accuracy) > 1 else float("nan")
    return {"accuracy": float(np.mean(accuracy)), "accuracy_deviation": deviation}
