"""An effort table from a run on folds: each clip is judged by models that have not seen it or its group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.data.folds import fold_dataset
from adasgn_edge.effort import EffortTable, Levels, calibrate
from adasgn_edge.errors import CheckpointError, ModelConfigError
from adasgn_edge.model.adasgn import EscalatingSGN
from adasgn_edge.model.config import ModelConfig
from adasgn_edge.model.weights import TrainedModel, load_weights, save_weights
from adasgn_edge.progress import Progress
from adasgn_edge.train.evaluate import branch_levels
from adasgn_edge.train.report import find_weights, fold_of
from adasgn_edge.train.sampler import ClipSampler

__all__ = ["HeldOut", "held_out_levels", "held_out_levels_of", "write_effort"]


@dataclass(frozen=True)
class HeldOut:
    """What the models of folds say of the clips held out, all seeds one after another.

    levels: probabilities (A, N, K) and costs; labels (N,); models: how many; config: of each of them.
    """

    levels: Levels
    labels: NDArray[np.int64]
    models: int
    config: ModelConfig

    def table(self, default: float) -> EffortTable:
        """The effort table of these clips."""
        return calibrate(self.levels, self.labels, default)


def held_out_levels(
    run: Path, open_dataset: Callable[[TrainedModel], SkeletonDataset], progress: Progress | None = None
) -> HeldOut:
    """All models that escalate below the folder of a run on folds, each on the clips that it was trained without.

    Raises CheckpointError unless these are models of one configuration, every fold of a division there for each seed,
    and DatasetError where the data set does not give their folds any more.
    """
    paths = find_weights(run)
    on_folds = [path for path in paths if "fold" in load_weights(path).provenance]
    # `train FOLDER` keeps the model of all clips beside those of folds.
    return held_out_levels_of(on_folds or paths, open_dataset, progress, str(run))


def held_out_levels_of(
    paths: Sequence[Path],
    open_dataset: Callable[[TrainedModel], SkeletonDataset],
    progress: Progress | None = None,
    where: str = "folds",
) -> HeldOut:
    """The same of the models among these weights; where: for messages."""
    found = [(path, load_weights(path)) for path in paths]
    found = [(path, trained) for path, trained in found if isinstance(trained.model, EscalatingSGN)]
    if not found:
        raise CheckpointError(f"{where}: expected models that escalate (stage adasgn-shared), found none")
    probabilities, labels = [], []
    costs: NDArray[np.int64] | None = None
    for path, trained in _complete(where, found):
        fold = fold_of(path, trained)
        assert fold is not None  # by _complete
        dataset = fold_dataset(open_dataset(trained), fold)
        sampler = ClipSampler(dataset, "test", trained.model.config.frames, trained.stream, "cpu")
        assert isinstance(trained.model, EscalatingSGN)
        levels = branch_levels(trained.model, sampler, progress=progress)
        probabilities.append(levels.probabilities)
        labels.append(sampler.labels.numpy())
        costs = levels.cost
    assert costs is not None
    merged = Levels(np.concatenate(probabilities, axis=1), costs)
    return HeldOut(merged, np.concatenate(labels), len(found), found[0][1].model.config)


def _complete(where: str, found: Sequence[tuple[Path, TrainedModel]]) -> Sequence[tuple[Path, TrainedModel]]:
    """The models, checked: one configuration, and every fold for each seed."""
    first = found[0][1].model.config
    folds: dict[object, set[int]] = {}
    counts = set()
    for path, trained in found:
        if trained.model.config != first:
            raise CheckpointError(
                f"{path}: expected models of one configuration, found {', '.join(trained.model.config.branch_names)} "
                f"beside {', '.join(first.branch_names)} or another stride"
            )
        fold = fold_of(path, trained)
        if fold is None:
            raise CheckpointError(f"{path}: expected a model of a fold (train --folds K), found one of all clips")
        counts.add((fold.count, fold.over, fold.pool))
        folds.setdefault(trained.provenance.get("seed"), set()).add(fold.number)
    if len(counts) > 1:
        raise CheckpointError(f"{where}: expected folds of one division, found several")
    ((count, _, _),) = counts
    for seed, numbers in folds.items():
        missing = sorted(set(range(1, count + 1)) - numbers)
        if missing:
            raise CheckpointError(f"{where}: expected all {count} folds of seed {seed}, found none for {missing[0]}")
    return found


def write_effort(path: Path, config: ModelConfig, table: EffortTable, default: float | None) -> EffortTable:
    """Store a table of held-out clips in weights of the configuration that made it, atomically; returns it as stored.

    default: its default effort, None for that of the weights' recipe, or where these name none the table's.

    Raises ModelConfigError for weights of another configuration.
    """
    trained = load_weights(path)
    if trained.model.config != config:
        expected, found = (", ".join(one.branch_names) for one in (config, trained.model.config))
        raise ModelConfigError(
            f"{path}: expected a model that escalates, of {expected} with stride {config.stride} as in the "
            f"folds, found {found} with stride {trained.model.config.stride}"
        )
    if default is None:
        recipe = trained.provenance.get("recipe") or {}
        default = float((recipe.get("shared") or {}).get("effort", table.default))
    table = replace(table, default=default)
    save_weights(path, replace(trained, effort=table))
    return table
