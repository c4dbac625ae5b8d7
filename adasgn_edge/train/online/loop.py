"""Training a causal model on continuous recordings: every frame of a crop is judged, from those before it alone.

As in :mod:`adasgn_edge.train.loop` an epoch draws from a generator seeded by (seed, stage, epoch), and the state is
written after each, so a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adasgn_edge.data.online import OnlineDataset, SequenceFold
from adasgn_edge.errors import RecipeError
from adasgn_edge.model.adasgn import AnyModel, EscalatingSGN, build_model
from adasgn_edge.model.weights import TrainedModel
from adasgn_edge.recognition import Recognition
from adasgn_edge.train.average import measure_statistics
from adasgn_edge.train.checkpoint import Origin
from adasgn_edge.train.course import Course, Reporter, Silent, run_course
from adasgn_edge.train.devices import autocast_dtype, dtype_name, hardware, products_in, seeded_number
from adasgn_edge.train.online.recipe import NONE, OnlineRecipe, OnlineStage
from adasgn_edge.train.online.sampler import Crops, CropSampler

__all__ = ["OnlineTrainer"]

STATISTICS_CROPS = 512
"""So many training crops give the batch-norm statistics of the model that is kept."""


class OnlineTrainer:
    """Trains the stages of one recipe for one seed below `out`.

    fold: train on all sequences but those that it holds out; None: on all training sequences. Test sequences are never
    seen.
    """

    def __init__(
        self,
        recipe: OnlineRecipe,
        dataset: OnlineDataset,
        out: Path,
        seed: int = 1,
        device: torch.device | str = "cpu",
        reporter: Reporter | None = None,
        fold: SequenceFold | None = None,
    ) -> None:
        self.recipe, self.dataset, self.out, self.seed, self.fold = recipe, dataset, out, seed, fold
        self.device = torch.device(device)
        self.dtype = autocast_dtype(recipe.precision, self.device)
        self.reporter: Reporter = reporter or Silent()
        sequences = fold.train if fold is not None else tuple(dataset.indices("train").tolist())
        self.none = len(dataset.class_names)
        self.crops = CropSampler(dataset, sequences, recipe.grid.step, recipe.labels, self.none, recipe.delay_steps)

    def folder(self, stage: OnlineStage) -> Path:
        """Where a stage keeps its files, see :mod:`adasgn_edge.train.course`."""
        out = self.out if self.fold is None else self.out / f"fold-{self.fold.number}-of-{self.fold.count}"
        return out / f"seed-{self.seed}" / stage.name

    def train(self, stage: OnlineStage) -> Path:
        """Train a stage to its last epoch and return the path of its weights; a finished one is left alone.

        Raises CheckpointError for files of other settings or data, RecipeError when the loss is no number.
        """
        held = None if self.fold is None else self.fold.held
        origin = Origin(stage.fingerprint(self.recipe, self.seed, held), self.dataset.digest)
        return run_course(
            self.folder(stage),
            origin,
            stage.name,
            self.recipe.schedule.epochs,
            lambda: _Run(self, stage),
            lambda run, rows: self._trained(run.kept(), origin, rows),
            self.reporter,
        )

    def _trained(self, model: AnyModel, origin: Origin, rows: Sequence[dict[str, Any]]) -> TrainedModel:
        data, recipe = self.dataset, self.recipe
        provenance: dict[str, Any] = {
            "recipe": recipe.model_dump(mode="json"),
            "fingerprint": origin.settings,
            "dataset": data.name,
            "dataset_digest": origin.data,
            "seed": self.seed,
            "epochs": recipe.schedule.epochs,
            "torch": torch.__version__,
            "hardware": hardware(self.device),
            "precision": dtype_name(self.dtype),
            "seconds": round(sum(row["seconds"] for row in rows), 1),
        }
        if self.fold is not None:
            names = [data.names[sequence] for sequence in self.fold.held]
            provenance["sequence_fold"] = {"number": self.fold.number, "count": self.fold.count, "held": names}
        recognition = Recognition(recipe.step_ns, self.none, delay=recipe.delay_steps * recipe.step_ns)
        return TrainedModel(model, data.layout, "joint", (*data.class_names, NONE), provenance, recognition=recognition)


class _Run(Course):
    """One stage in memory."""

    def __init__(self, trainer: OnlineTrainer, stage: OnlineStage) -> None:
        schedule = trainer.recipe.schedule
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeded_number(trainer.seed, stage.name, "init"))
            model = build_model(stage.config, trainer.dataset.layout, trainer.recipe.model.dropout).to(trainer.device)
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True
        )
        super().__init__(model, optimiser, schedule.ema)
        self.trainer, self.stage, self.schedule = trainer, stage, schedule

    def epoch(self, epoch: int) -> dict[str, Any]:
        """Train one epoch, counted from 0, and return its row for the log."""
        trainer, schedule = self.trainer, self.schedule
        started = time.perf_counter()
        random = np.random.default_rng(seeded_number(trainer.seed, self.stage.name, epoch))
        torch.manual_seed(seeded_number(trainer.seed, self.stage.name, epoch, "torch"))
        self.model.train()
        totals = torch.zeros(3, dtype=torch.float64)
        for step in range(schedule.steps):
            rate = schedule.rate(epoch * schedule.steps + step)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            crops = self._crops(random)
            with products_in(trainer.dtype, trainer.device):
                loss, logits = self._loss(crops)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
            if self.average is not None:
                self.average.update(self.model)
            right = (logits.argmax(-1) == crops.labels) * crops.weights
            totals += torch.stack([loss.detach().double(), right.sum().double(), crops.weights.sum().double()]).cpu()
            trainer.reporter.step((step + 1) / schedule.steps)
        loss_sum, right_sum, seen = totals.tolist()
        if not loss_sum < float("inf"):
            raise RecipeError(
                f"stage {self.stage.name}, epoch {epoch + 1}: the loss became {loss_sum}; lower learning_rate"
            )
        return {
            "epoch": epoch + 1,
            "learning_rate": rate,
            "loss": loss_sum / schedule.steps,
            "train_accuracy": right_sum / seen,
            "seconds": time.perf_counter() - started,
        }

    def kept(self) -> AnyModel:
        """The moving average of the weights, where there is one, with batch-norm statistics of training crops."""
        model = copy.deepcopy(self.model if self.average is None else self.average.module).eval()
        random = np.random.default_rng(seeded_number(self.trainer.seed, self.stage.name, "statistics"))
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d)]
        count = max(1, STATISTICS_CROPS // self.schedule.batch)
        batches = (self._crops(random).frames for _ in range(count))
        measure_statistics(norms, lambda clip: _rows(model, clip), batches)
        return model.requires_grad_(False)

    def _crops(self, random: np.random.Generator) -> Crops:
        """A batch whose labels and weights are those of the frames that have a row of logits."""
        config, schedule = self.stage.config, self.schedule
        assert config.causal is not None
        lead = config.clip_frames - 1
        augment = self.trainer.recipe.augment
        drawn = self.trainer.crops.draw(
            schedule.batch, lead, schedule.rows, schedule.gestures, augment, config.causal.origin, random
        )
        device = self.trainer.device
        labels, weights = drawn.labels[:, lead:], drawn.weights[:, lead:]
        return Crops(drawn.frames.to(device), labels.to(device), weights.to(device))

    def _loss(self, crops: Crops) -> tuple[Tensor, Tensor]:
        """Loss, and the first branch's logits (B, R, K); of several branches as of clips: labels for all, and the
        dearest branch's word for the others."""
        every = _rows(self.model, crops.frames).float()  # (A, B, R, K), of several branches the mixture last
        dearest = len(self.stage.config.branches) - 1
        teacher = every[dearest].detach().softmax(-1)
        total = torch.zeros((), device=every.device)
        for place, logits in enumerate(every):
            loss = self._cross_entropy(logits, crops)
            if place != dearest and self.schedule.distillation:
                taught = F.kl_div(logits.log_softmax(-1), teacher, reduction="none").sum(-1)
                taught = (taught * crops.weights).sum() / crops.weights.sum()
                loss = (1 - self.schedule.distillation) * loss + self.schedule.distillation * taught
            total = total + loss / len(every)
        return total, every[0].detach()

    def _cross_entropy(self, logits: Tensor, crops: Crops) -> Tensor:
        smoothing = self.schedule.label_smoothing
        loss = F.cross_entropy(
            logits.flatten(0, 1), crops.labels.flatten(), reduction="none", label_smoothing=smoothing
        )
        weights = crops.weights.flatten()
        return (loss * weights).sum() / weights.sum()


def _rows(model: nn.Module, clip: Tensor) -> Tensor:
    """Logits of every frame, of each branch and, of several, of a random mixture: (A or A + 1, B, R, K)."""
    if isinstance(model, EscalatingSGN):
        assert model.config.causal is not None
        frames = clip.shape[1] - model.config.causal.lead
        uniform = torch.rand((len(clip), frames, len(model.branches)), device=clip.device).clamp(1e-6, 1 - 1e-6)
        return model.forward_rows(clip, uniform)
    return model.forward_rows(clip)  # type: ignore[operator]
