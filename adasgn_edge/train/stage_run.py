"""One stage in memory: its model and optimiser, an epoch of training, and the model that would be kept after it."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adasgn_edge.errors import RecipeError
from adasgn_edge.model.adasgn import AdaSGN, AnyModel, EscalatingSGN
from adasgn_edge.model.cost import CostTable
from adasgn_edge.train.average import measure_statistics
from adasgn_edge.train.course import Course
from adasgn_edge.train.devices import products_in, seeded_generator
from adasgn_edge.train.evaluate import Evaluation, evaluate
from adasgn_edge.train.recipe import AdaptiveSchedule, SharedSchedule
from adasgn_edge.train.sampler import Augmentation
from adasgn_edge.train.stages import Stage

if TYPE_CHECKING:
    from adasgn_edge.train.loop import Trainer

__all__ = ["StageRun"]

STATISTICS_CLIPS = 1024
"""At most so many training clips, each of T frames, give the batch-norm statistics of the model that is kept."""

WIDE = 0.05
"""A difference of accuracy between the averaged and the raw model that is worth a warning; and at least 3 clips."""


class StageRun(Course):
    """Model, optimiser and course of one stage in memory."""

    def __init__(self, trainer: Trainer, stage: Stage, model: AnyModel) -> None:
        schedule = stage.schedule
        optimiser = torch.optim.Adam(
            model.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True
        )
        super().__init__(model, optimiser, schedule.ema)
        self.trainer, self.stage = trainer, stage
        augment = schedule.augment or trainer.recipe.augment
        self.augment = Augmentation(**augment.model_dump())
        self.cost = torch.as_tensor(CostTable(stage.config).paper / 1e9, dtype=torch.float32, device=trainer.device)
        self.loss: Callable[..., tuple[Tensor, Tensor, Tensor]] = self._loss
        if trainer.compile_step:
            self.loss = torch.compile(
                self._loss, mode="reduce-overhead" if trainer.device.type == "cuda" else "default"
            )

    # -- the model that is kept ---------------------------------------------------------------------------------

    def kept(self, epoch: int) -> AnyModel:
        """The model to evaluate and keep after `epoch`, counted from 0: the moving average of the weights where the
        schedule has one, with batch-norm statistics of its own."""
        return self._with_own_statistics(self.model if self.average is None else self.average.module, epoch)

    def raw(self, epoch: int) -> AnyModel:
        """The model as the last step left it, with batch-norm statistics of its own."""
        return self._with_own_statistics(self.model, epoch)

    def _with_own_statistics(self, weights: AnyModel, epoch: int) -> AnyModel:
        """A copy of `weights` whose batch norms, those that train in this epoch, have measured training clips."""
        trainer, stage = self.trainer, self.stage
        model = copy.deepcopy(weights).eval()
        last = epoch + 1 == stage.schedule.epochs
        dtype = None if last else trainer.dtype
        generator = seeded_generator(trainer.device, trainer.seed, stage.name, epoch, "statistics")
        count = len(trainer.train_clips)
        samples = torch.randperm(count, generator=generator, device=trainer.device)[:STATISTICS_CLIPS]

        def run(clip: Tensor) -> object:
            with products_in(dtype, trainer.device):
                if isinstance(model, AdaSGN):
                    # Actions are sampled as in training, and every branch sees every frame, whether it is taken or not.
                    shape = (*clip.shape[:2], len(stage.config.branches))
                    return model.forward_training(clip, 1.0, _uniform(shape, generator, trainer.device), True)
                if isinstance(model, EscalatingSGN):
                    shape = (*clip.shape[:2], len(stage.config.branches))
                    return model.forward_training(clip, _uniform(shape, generator, trainer.device))
                return model(clip)

        trained = {name for name, module in self.model.named_modules() if module.training}
        norms = [
            module for name, module in model.named_modules() if isinstance(module, nn.BatchNorm1d) and name in trained
        ]
        clips = (
            trainer.train_clips.clips(batch, generator, self.augment)
            for batch in _batches(samples, stage.schedule.batch)
        )
        measure_statistics(norms, run, clips)
        return model

    # -- training -----------------------------------------------------------------------------------------------

    def prepare(self, epoch: int) -> None:
        """Set what is trained in this epoch."""
        schedule, model = self.stage.schedule, self.model
        free = epoch >= schedule.frozen_epochs
        model.train()
        if isinstance(model, AdaSGN):
            assert isinstance(schedule, AdaptiveSchedule)
            model.branches.requires_grad_(free)
            model.branches.train(free and schedule.batch_norm == "batch")
        elif isinstance(model, EscalatingSGN):
            for branch in model.branches:
                if branch.transform is not None:
                    branch.transform.requires_grad_(free)
        elif model.spatial.transform is not None:
            model.spatial.transform.requires_grad_(free)
        for group in self.optimiser.param_groups:
            group["lr"] = schedule.rate(epoch)

    def _loss(self, clip: Tensor, labels: Tensor, uniform: Tensor, temperature: Tensor, alpha: Tensor) -> Any:
        """Loss, class logits (B, classes) and action counts (A,) of a batch."""
        sampler = self.trainer.train_clips
        if isinstance(self.model, EscalatingSGN):
            return self._shared_loss(self.model, clip, labels, uniform)
        if isinstance(self.model, AdaSGN):
            track_logits, actions = self.model.forward_training(clip, temperature, uniform, self.trainer.compile_step)
            cost = (actions.flatten(0, 1) @ self.cost).mean()
            counts = actions.detach().flatten(0, 1).sum(0)
        else:
            track_logits, cost = self.model(clip).logits, torch.zeros((), device=clip.device)
            counts = torch.ones(1, device=clip.device)
        logits = sampler.average_persons(track_logits)
        loss = self._entropy(logits, labels) + alpha * cost
        return loss, logits.detach(), counts

    def _entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy, classes weighted as the recipe says."""
        smoothing = self.stage.schedule.label_smoothing
        return F.cross_entropy(logits, labels, weight=self.trainer.class_weights, label_smoothing=smoothing)

    def _shared_loss(self, model: EscalatingSGN, clip: Tensor, labels: Tensor, uniform: Tensor) -> Any:
        """The same of branches trained together: labels for all, and the dearest branch's word for the others."""
        schedule = self.stage.schedule
        assert isinstance(schedule, SharedSchedule)
        average = self.trainer.train_clips.average_persons
        every = torch.stack([average(logits) for logits in model.forward_training(clip, uniform)])  # (A + 1, B, K)
        dearest = len(model.branches) - 1
        teacher = every[dearest].detach().softmax(-1)
        total = torch.zeros((), device=clip.device)
        for place, logits in enumerate(every):
            loss = self._entropy(logits, labels)
            if place != dearest and schedule.distillation:
                taught = F.kl_div(logits.log_softmax(-1), teacher, reduction="batchmean")
                loss = (1 - schedule.distillation) * loss + schedule.distillation * taught
            total = total + loss / len(every)
        counts = torch.ones(len(model.branches), device=clip.device)
        return total, every[0].detach(), counts

    def epoch(self, epoch: int) -> dict[str, Any]:
        """Train one epoch, counted from 0, and return its row for the log."""
        trainer, stage, schedule = self.trainer, self.stage, self.stage.schedule
        sampler, device = trainer.train_clips, trainer.device
        started = time.perf_counter()
        self.prepare(epoch)
        generator = seeded_generator(device, trainer.seed, stage.name, epoch)
        if trainer.recipe.model.dropout:
            torch.manual_seed(generator.initial_seed())
        temperature = alpha = 0.0
        if isinstance(schedule, AdaptiveSchedule) and stage.alpha is not None:
            temperature, alpha = schedule.temperature_at(epoch), schedule.alpha_at(epoch, stage.alpha)
        branches = len(stage.config.branches)
        course = torch.tensor([temperature, alpha], device=device)  # tensors, so that a compiled step stays valid
        totals = torch.zeros(3, device=device)
        counts = torch.zeros(branches, device=device)
        order = torch.randperm(len(sampler), generator=generator, device=device)
        batches = list(_batches(order, schedule.batch))
        for number, samples in enumerate(batches):
            clip = sampler.clips(samples, generator, self.augment)
            labels = sampler.labels[samples]
            uniform = _uniform((*clip.shape[:2], branches), generator, device)
            with products_in(trainer.dtype, device):
                loss, logits, chosen = self.loss(clip, labels, uniform, *course)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
            if self.average is not None:
                self.average.update(self.model)
            correct = (logits.argmax(-1) == labels).sum()
            totals += torch.stack([loss.detach() * len(samples), correct, torch.full_like(correct, len(samples))])
            counts += chosen
            trainer.reporter.step((number + 1) / len(batches))
        loss_sum, correct, seen = totals.tolist()
        if not loss_sum < float("inf"):
            raise RecipeError(f"stage {stage.name}, epoch {epoch + 1}: the loss became {loss_sum}; lower learning_rate")
        row: dict[str, Any] = {
            "epoch": epoch + 1,
            "learning_rate": schedule.rate(epoch),
            "loss": loss_sum / seen,
            "train_accuracy": correct / seen,
        }
        if stage.config.adaptive:
            row |= {"temperature": temperature, "alpha": alpha, "train_shares": (counts / counts.sum()).tolist()}
        row["seconds"] = time.perf_counter() - started
        last = epoch + 1 == schedule.epochs
        if last or (epoch + 1) % trainer.recipe.evaluate_every == 0 or epoch + 1 >= schedule.epochs * 0.75:
            row |= self._measure(epoch, last)
        return row

    def _measure(self, epoch: int, last: bool) -> dict[str, Any]:
        """What the log says of the model that would be kept now; after the last epoch also of the raw one."""
        trainer = self.trainer
        if trainer.test_clips is None and not last:
            return {}
        clips, split, kept = trainer.test_clips, "test", "test"
        if clips is None:  # then the two are compared on training clips, as they are: train_accuracy is of changed ones
            clips, split, kept = trainer.train_clips, "train", "kept_train"
        dtype = None if last else trainer.dtype
        model = self.kept(epoch)
        measured = evaluate(model, clips, dtype=dtype)
        row: dict[str, Any] = {f"{kept}_accuracy": measured.accuracy}
        if self.stage.config.adaptive:
            row |= {f"{kept}_shares": measured.shares.tolist(), f"{kept}_gflops": measured.paper_gflops}
        if isinstance(model, EscalatingSGN):  # its own accuracy is that of the first branch, as nothing escalates
            forced = [evaluate(model, clips, branch, dtype=dtype).accuracy for branch in model.config.branches[1:]]
            row[f"{kept}_branch_accuracies"] = [measured.accuracy, *forced]
        if last and self.average is not None:
            raw = evaluate(self.raw(epoch), clips, dtype=dtype)
            row[f"raw_{split}_accuracy"] = raw.accuracy
            if (text := _difference(measured, raw, split)) is not None:
                row["warning"] = text
        return row


def _difference(kept: Evaluation, raw: Evaluation, split: str) -> str | None:
    """A warning when the averaged and the raw model differ widely."""
    count = len(kept.labels)
    if abs(kept.accuracy - raw.accuracy) <= max(WIDE, 3 / count):
        return None
    return (
        f"the averaged weights, which are kept, are right on {kept.accuracy:.1%} of the {count} {split} clips, the "
        f"weights of the last step on {raw.accuracy:.1%}; "
        + ("`ema` is too near 1, or training too short" if kept.accuracy < raw.accuracy else "training has not settled")
    )


def _batches(samples: Tensor, batch: int) -> Iterator[Tensor]:
    """Samples (N,) in batches; a last one that would be alone joins its neighbours, since batch norm needs two."""
    parts = list(samples.split(batch))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    yield from parts


def _uniform(shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    """Random numbers in (0, 1), the U of Eq. 6."""
    return torch.rand(shape, generator=generator, device=device).clamp(1e-6, 1 - 1e-6)
