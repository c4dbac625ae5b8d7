"""The training loop: one function trains one stage, from scratch or from where a kill left it.

Every epoch draws from a generator seeded by (seed, stage, epoch), so a resumed run equals an uninterrupted one bit for
bit on the same machine and thread count, and no generator state needs saving.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.data.folds import Fold, fold_dataset
from adasgn_edge.errors import DatasetError, RecipeError
from adasgn_edge.model.adasgn import SGN, AdaSGN, AnyModel, build_model
from adasgn_edge.model.config import Branch
from adasgn_edge.model.weights import WEIGHTS, TrainedModel
from adasgn_edge.train.checkpoint import Origin
from adasgn_edge.train.course import Reporter, Silent, finished_weights, run_course
from adasgn_edge.train.devices import autocast_dtype, dtype_name, hardware, seeded_number
from adasgn_edge.train.evaluate import policy_shares
from adasgn_edge.train.recipe import Recipe
from adasgn_edge.train.sampler import ClipSampler
from adasgn_edge.train.stage_run import StageRun
from adasgn_edge.train.stages import Stage, fingerprint, plan_stages, stage_folder
from adasgn_edge.wording import warn

__all__ = ["Trainer", "check_training_set"]


def check_training_set(dataset: SkeletonDataset) -> None:
    """Raise DatasetError for a data set that nothing can be learnt from."""
    train = dataset.labels[dataset.indices("train")]
    if len(train) < 2:
        raise DatasetError(f"data set {dataset.name!r}: expected at least 2 training clips, found {len(train)}")
    count = np.bincount(train, minlength=len(dataset.class_names))
    if (count > 0).sum() < 2:
        only = dataset.class_names[int(count.argmax())]
        raise DatasetError(
            f"data set {dataset.name!r}: expected training clips of at least 2 classes, found only {only[:80]!r}"
        )


def warn_of_gaps(dataset: SkeletonDataset) -> None:
    """Warn of classes that have no training clip, and of a set without test clips."""
    count = np.bincount(dataset.labels[dataset.split == "train"], minlength=len(dataset.class_names))
    if missing := np.flatnonzero(count == 0).tolist():
        names = ", ".join(repr(dataset.class_names[label][:40]) for label in missing[:8])
        more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
        tested = int(np.isin(dataset.labels[dataset.split == "test"], missing).sum())
        warn(
            f"{dataset.name}: no training clip of {names}{more}, so these cannot be learnt ({tested} test clips are "
            "of them)",
            stacklevel=3,
        )
    if not (dataset.split == "test").any():
        warn(f"{dataset.name}: no test clips, so training goes without test figures", stacklevel=3)


class Trainer:
    """Trains the stages of one recipe for one seed below `out`.

    fold: train on this fold of the data set alone: what it holds out is the test split, and clips that are not in its
    pool, such as the official test split's, are never seen.
    Raises DatasetError for a data set that nothing can be learnt from, or that does not give the fold.
    """

    def __init__(
        self,
        recipe: Recipe,
        dataset: SkeletonDataset,
        out: Path,
        seed: int = 1,
        device: torch.device | str = "cpu",
        reporter: Reporter | None = None,
        compile_step: bool | None = None,
        fold: Fold | None = None,
    ) -> None:
        if fold is not None:
            dataset = fold_dataset(dataset, fold)
        check_training_set(dataset)
        warn_of_gaps(dataset)
        self.recipe, self.dataset, self.out, self.seed, self.fold = recipe, dataset, out, seed, fold
        self.device = torch.device(device)
        self.reporter: Reporter = reporter or Silent()
        self.compile_step = self.device.type == "cuda" if compile_step is None else compile_step
        self.dtype = autocast_dtype(recipe.precision, self.device)
        frames, stream = recipe.model.frames, recipe.data.stream
        self.train_clips = ClipSampler(dataset, "train", frames, stream, self.device)
        self.class_weights = (
            self.train_clips.class_weights(len(dataset.class_names), recipe.balance) if recipe.balance else None
        )
        tested = bool((dataset.split == "test").any())
        self.test_clips = ClipSampler(dataset, "test", frames, stream, self.device) if tested else None

    def folder(self, stage: str) -> Path:
        """Where a stage keeps its files, see :mod:`adasgn_edge.train.course`."""
        return stage_folder(self.out, self.seed, stage, self.fold)

    def origin(self, stage: Stage) -> Origin:
        """What a stage's files must come from."""
        return Origin(fingerprint(self.recipe, stage, self.seed, self.fold), self.dataset.digest)

    def finished(self, stage: Stage) -> bool:
        """Whether a stage has its final weights; raises CheckpointError when they come from other settings or data."""
        return finished_weights(self.folder(stage.name) / WEIGHTS, self.origin(stage)) is not None

    def build(self, stage: Stage) -> AnyModel:
        """The stage's model before its first epoch: seeded weights, and for AdaSGN the single models' branches."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeded_number(self.seed, stage.name, "init"))
            model = build_model(stage.config, self.dataset.layout, self.recipe.model.dropout)
        if isinstance(model, AdaSGN):
            for branch in model.config.branches:
                path = self.folder(str(branch)) / WEIGHTS
                single = finished_weights(path, self.origin(self._single(branch)))
                if single is None:
                    raise RecipeError(
                        f"stage {stage.name} needs the single model {branch} first: expected {path}, found nothing"
                    )
                assert isinstance(single.model, SGN)
                model.load_branch(branch, single.model)
        return model.to(self.device)

    def _single(self, branch: Branch) -> Stage:
        """The stage of the single model that AdaSGN's branch starts from."""
        layout, classes = self.dataset.layout, len(self.dataset.class_names)
        (stage,) = plan_stages(self.recipe, layout, classes, len(self.train_clips), (str(branch),))
        return stage

    def train(self, stage: Stage) -> Path:
        """Train a stage to its last epoch and return the path of its weights; a finished one is left alone."""
        origin, epochs = self.origin(stage), stage.schedule.epochs

        def trained(run: StageRun, rows: list[dict[str, Any]]) -> TrainedModel:
            run.prepare(epochs - 1)  # a run that was killed after its last epoch has trained none
            return self._trained(run.kept(epochs - 1), stage, origin, rows)

        return run_course(
            self.folder(stage.name),
            origin,
            stage.name,
            epochs,
            lambda: StageRun(self, stage, self.build(stage)),
            trained,
            self.reporter,
        )

    def _trained(self, model: AnyModel, stage: Stage, origin: Origin, rows: list[dict[str, Any]]) -> TrainedModel:
        layout, stream, data = self.dataset.layout, self.recipe.data.stream, self.dataset
        provenance = {
            "recipe": self.recipe.model_dump(mode="json"),
            "stage": stage.name,
            "alpha": stage.alpha,
            "seed": self.seed,
            "fingerprint": origin.settings,
            "dataset": self.recipe.data.dataset,
            "dataset_digest": origin.data,
            "clips": {split: int((data.split == split).sum()) for split in ("train", "test")},
            "epochs": stage.schedule.epochs,
            "batch": stage.schedule.batch,
            "precision": dtype_name(self.dtype),
            "torch": torch.__version__,
            "hardware": hardware(self.device),
            "seconds": round(sum(row["seconds"] for row in rows), 1),
        }
        if self.fold is not None:
            provenance["fold"] = self.fold.to_dict()
        if (window := median_seconds(data)) is not None:
            provenance["window"] = window
        # Not the log's train_shares: those are of sampled actions on augmented clips, while the weights still moved.
        shares = policy_shares(model, self.train_clips) if isinstance(model, AdaSGN) else None
        return TrainedModel(model, layout, stream, data.class_names, provenance, shares)


def median_seconds(dataset: SkeletonDataset) -> float | None:
    """How long the median training clip lasts, in seconds; None where the frame rate is not known."""
    if dataset.rate is None:
        return None
    return round(float(np.median(dataset.length[dataset.indices("train"), 0])) / dataset.rate, 3)
