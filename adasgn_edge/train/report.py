"""Evaluations of whole runs: weights found below a folder, several seeds aggregated, several streams fused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.errors import CheckpointError, ModelConfigError
from adasgn_edge.model.config import Branch
from adasgn_edge.model.weights import TrainedModel, load_weights
from adasgn_edge.progress import Progress
from adasgn_edge.train.evaluate import Evaluation, evaluate
from adasgn_edge.train.log import read_log
from adasgn_edge.train.sampler import ClipSampler

__all__ = ["Measurement", "Summary", "find_weights", "fuse_streams", "measure", "summarise"]


@dataclass(frozen=True)
class Measurement:
    """One weights file measured. best_epoch: the best test accuracy that its log holds, None without a log."""

    path: Path
    trained: TrainedModel
    evaluation: Evaluation
    best_epoch: float | None

    @property
    def stage(self) -> str:
        """What was trained, e.g. "sgn", "B-22", "adasgn-a4"."""
        return str(self.trained.provenance.get("stage", self.path.stem))


@dataclass(frozen=True)
class Summary:
    """One model over its seeds: means and, from two seeds on, sample standard deviations (else NaN)."""

    name: str
    seeds: int
    accuracy: float
    accuracy_deviation: float
    best_epoch: float
    paper_gflops: float
    full_gflops: float
    shares: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes None."""
        values = dict(self.__dict__, shares=list(self.shares))
        return {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in values.items()}


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
            f"{len(dataset.class_names)} of data set {dataset.name!r}"
        )
    sampler = ClipSampler(dataset, split, trained.model.config.frames, trained.stream, device)
    evaluation = evaluate(trained.model.to(device), sampler, policy, progress=progress)
    rows = [row["test_accuracy"] for row in read_log(path.with_name("log.jsonl")) if "test_accuracy" in row]
    return Measurement(path, trained, evaluation, max(rows, default=None))


def summarise(measurements: Sequence[Measurement]) -> list[Summary]:
    """One row per stage, its seeds taken together, in order of cost."""
    by_stage: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        by_stage.setdefault(measurement.stage, []).append(measurement)
    rows = [_summary(name, group) for name, group in by_stage.items()]
    return sorted(rows, key=lambda row: (row.paper_gflops, row.name))


def _summary(name: str, group: Sequence[Measurement]) -> Summary:
    accuracy = np.array([m.evaluation.accuracy for m in group])
    best = [m.best_epoch for m in group]
    return Summary(
        name=name,
        seeds=len(group),
        accuracy=float(accuracy.mean()),
        accuracy_deviation=float(accuracy.std(ddof=1)) if len(group) > 1 else float("nan"),
        best_epoch=float(np.mean([b for b in best if b is not None]))
        if any(b is not None for b in best)
        else float("nan"),
        paper_gflops=float(np.mean([m.evaluation.paper_gflops for m in group])),
        full_gflops=float(np.mean([m.evaluation.full_gflops for m in group])),
        shares=tuple(np.mean([m.evaluation.shares for m in group], axis=0).tolist()),
    )


@dataclass(frozen=True)
class Fusion:
    """Several streams' softmax scores averaged; their costs add up."""

    accuracy: float
    paper_gflops: float
    full_gflops: float


def fuse_streams(evaluations: Sequence[Evaluation]) -> Fusion:
    """Average the scores of models of different streams on the same samples (the paper's "3s")."""
    labels = evaluations[0].labels
    if any(not np.array_equal(labels, other.labels) for other in evaluations):
        raise ModelConfigError("fusion: expected evaluations of the same samples, found different labels")
    scores = np.mean([evaluation.scores for evaluation in evaluations], axis=0)
    return Fusion(
        accuracy=float((scores.argmax(1) == labels).mean()),
        paper_gflops=sum(e.paper_gflops for e in evaluations),
        full_gflops=sum(e.full_gflops for e in evaluations),
    )
