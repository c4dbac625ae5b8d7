"""The training loop: one function trains one stage, from scratch or from where a kill left it.

Every epoch draws from a generator seeded by (seed, stage, epoch), so a resumed run equals an uninterrupted one bit for
bit on the same machine and thread count, and no generator state needs saving.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.errors import CheckpointError, RecipeError
from adasgn_edge.files import write_text
from adasgn_edge.model.adasgn import SGN, AdaSGN, build_model
from adasgn_edge.model.cost import CostTable
from adasgn_edge.model.weights import TrainedModel, load_weights, save_weights
from adasgn_edge.train.checkpoint import load_state, save_state
from adasgn_edge.train.evaluate import evaluate
from adasgn_edge.train.recipe import AdaptiveSchedule, Recipe
from adasgn_edge.train.sampler import Augmentation, ClipSampler
from adasgn_edge.train.stages import Stage, fingerprint, stage_folder

__all__ = ["Reporter", "Trainer", "autocast_dtype", "choose_device", "read_log"]


class Reporter(Protocol):
    """Hears how training goes; every method may do nothing."""

    def start(self, stage: str, epochs: int, done: int) -> None:
        """A stage begins, `done` of `epochs` epochs already trained."""

    def step(self, fraction: float) -> None:
        """A batch is done; fraction of the epoch so far."""

    def epoch(self, row: dict[str, Any]) -> None:
        """An epoch is done; the row that goes to the log."""


class Silent:
    """A Reporter that shows nothing."""

    def start(self, stage: str, epochs: int, done: int) -> None: ...
    def step(self, fraction: float) -> None: ...
    def epoch(self, row: dict[str, Any]) -> None: ...


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The dtype of products in training, None for float32; "auto" takes bfloat16 where hardware multiplies it."""
    if precision == "float32":
        return None
    if precision == "bfloat16":
        return torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else None
    capabilities = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return torch.bfloat16 if capabilities is not None and capabilities() else None


def choose_device(name: str = "auto", threads: int | None = None) -> torch.device:
    """The device of a name: "auto" is the first GPU where there is one; `threads` bounds the CPU's."""
    if threads is not None:
        torch.set_num_threads(threads)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise RecipeError(f"expected a device auto, cpu, cuda or cuda:N, found {name!r}") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise RecipeError(f"device {name!r} was asked for, but this torch ({torch.__version__}) finds no GPU")
    return device


def epoch_generator(seed: int, stage: str, epoch: int, device: torch.device) -> torch.Generator:
    """The random numbers of one epoch (−1: initialisation)."""
    digest = hashlib.sha256(f"{seed}/{stage}/{epoch}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:7], "little"))


class Trainer:
    """Trains the stages of one recipe for one seed below `out`."""

    def __init__(
        self,
        recipe: Recipe,
        dataset: SkeletonDataset,
        out: Path,
        seed: int = 1,
        device: torch.device | str = "cpu",
        reporter: Reporter | None = None,
        compile_step: bool | None = None,
    ) -> None:
        self.recipe, self.dataset, self.out, self.seed = recipe, dataset, out, seed
        self.device = torch.device(device)
        self.reporter: Reporter = reporter or Silent()
        self.compile_step = self.device.type == "cuda" if compile_step is None else compile_step
        self.dtype = autocast_dtype(recipe.precision, self.device)
        frames, stream = recipe.model.frames, recipe.data.stream
        self.train_clips = ClipSampler(dataset, "train", frames, stream, self.device)
        self.test_clips = ClipSampler(dataset, "test", frames, stream, self.device)

    def folder(self, stage: str) -> Path:
        """Files of a stage: ``state.pt`` while it runs, ``log.jsonl``, ``model.safetensors`` when done."""
        return stage_folder(self.out, self.seed, stage)

    def finished(self, stage: Stage) -> bool:
        """Whether a stage has its final weights; raises CheckpointError when they come from other settings."""
        path = self.folder(stage.name) / "model.safetensors"
        if not path.exists():
            return False
        found = load_weights(path).provenance.get("fingerprint")
        expected = fingerprint(self.recipe, stage, self.seed)
        if found != expected:
            raise CheckpointError(
                f"{path}: trained with other settings (expected {expected}, found {found}); use another --out folder"
            )
        return True

    def build(self, stage: Stage) -> SGN | AdaSGN:
        """The stage's model before its first epoch: seeded weights, and for AdaSGN the single models' branches."""
        digest = hashlib.sha256(f"{self.seed}/{stage.name}/init".encode()).digest()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int.from_bytes(digest[:7], "little"))
            model = build_model(stage.config, self.dataset.layout, self.recipe.model.dropout)
        if isinstance(model, AdaSGN):
            for branch in model.config.branches:
                path = self.folder(str(branch)) / "model.safetensors"
                if not path.exists():
                    raise RecipeError(
                        f"stage {stage.name} needs the single model {branch} first: expected {path}, found nothing"
                    )
                single = load_weights(path).model
                assert isinstance(single, SGN)
                model.load_branch(branch, single)
        return model.to(self.device)

    def train(self, stage: Stage) -> Path:
        """Train a stage to its last epoch and return the path of its weights; a finished one is left alone."""
        folder = self.folder(stage.name)
        weights = folder / "model.safetensors"
        if self.finished(stage):
            return weights
        digest = fingerprint(self.recipe, stage, self.seed)
        run = StageRun(self, stage, self.build(stage))
        state_path, log_path = folder / "state.pt", folder / "log.jsonl"
        rows: list[dict[str, Any]] = []
        if state_path.exists():
            state = load_state(state_path, digest, self.device)
            run.load(state)
            rows = read_log(log_path)[: state["epoch"]]
        self.reporter.start(stage.name, stage.schedule.epochs, len(rows))
        for epoch in range(len(rows), stage.schedule.epochs):
            rows.append(run.epoch(epoch))
            # The log goes first: a kill between the two leaves a row too many, which the next start drops.
            write_text(log_path, "".join(json.dumps(row) + "\n" for row in rows))
            save_state(state_path, digest, epoch + 1, **run.state())
            self.reporter.epoch(rows[-1])
        save_weights(weights, self._trained(run, stage, digest, rows))
        state_path.unlink()
        return weights

    def _trained(self, run: StageRun, stage: Stage, digest: str, rows: list[dict[str, Any]]) -> TrainedModel:
        provenance = {
            "recipe": self.recipe.model_dump(mode="json"),
            "stage": stage.name,
            "alpha": stage.alpha,
            "seed": self.seed,
            "fingerprint": digest,
            "dataset": self.recipe.data.dataset,
            "precision": str(self.dtype or torch.float32).removeprefix("torch."),
            "torch": torch.__version__,
            "hardware": hardware(self.device),
            "seconds": round(sum(row["seconds"] for row in rows), 1),
        }
        layout, stream = self.dataset.layout, self.recipe.data.stream
        return TrainedModel(run.result(), layout, stream, self.dataset.class_names, provenance)


class StageRun:
    """Model, optimiser and course of one stage in memory."""

    def __init__(self, trainer: Trainer, stage: Stage, model: SGN | AdaSGN) -> None:
        self.trainer, self.stage, self.model = trainer, stage, model
        schedule = stage.schedule
        augment = schedule.augment or trainer.recipe.augment
        self.augment = Augmentation(augment.rotation, augment.scale, augment.jitter)
        self.optimiser = torch.optim.Adam(
            model.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True
        )
        self.average = (
            torch.optim.swa_utils.AveragedModel(
                model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(schedule.ema), use_buffers=True
            )
            if schedule.ema
            else None
        )
        self.cost = torch.as_tensor(CostTable(stage.config).paper / 1e9, dtype=torch.float32, device=trainer.device)
        self.loss: Callable[..., tuple[Tensor, Tensor, Tensor]] = self._loss
        if trainer.compile_step:
            self.loss = torch.compile(
                self._loss, mode="reduce-overhead" if trainer.device.type == "cuda" else "default"
            )

    def result(self) -> SGN | AdaSGN:
        """The model to evaluate and keep: the moving average of the weights where the schedule has one."""
        return cast("SGN | AdaSGN", self.average.module) if self.average is not None else self.model

    def state(self) -> dict[str, Any]:
        """What :func:`save_state` keeps."""
        state = {"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict()}
        if self.average is not None:
            state["average"] = self.average.state_dict()
        return state

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state`."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])

    def _prepare(self, epoch: int) -> None:
        """Set what is trained in this epoch."""
        schedule, model = self.stage.schedule, self.model
        free = epoch >= schedule.frozen_epochs
        model.train()
        if isinstance(model, AdaSGN):
            assert isinstance(schedule, AdaptiveSchedule)
            model.branches.requires_grad_(free)
            model.branches.train(free and schedule.batch_norm == "batch")
        elif model.spatial.transform is not None:
            model.spatial.transform.requires_grad_(free)
        for group in self.optimiser.param_groups:
            group["lr"] = schedule.rate(epoch)

    def _loss(self, clip: Tensor, labels: Tensor, uniform: Tensor, temperature: Tensor, alpha: Tensor) -> Any:
        """Loss, class logits (B, classes) and action counts (A,) of a batch."""
        sampler = self.trainer.train_clips
        if isinstance(self.model, AdaSGN):
            track_logits, actions = self.model.forward_training(clip, temperature, uniform, self.trainer.compile_step)
            cost = (actions.flatten(0, 1) @ self.cost).mean()
            counts = actions.detach().flatten(0, 1).sum(0)
        else:
            track_logits, cost = self.model(clip).logits, torch.zeros((), device=clip.device)
            counts = torch.ones(1, device=clip.device)
        logits = sampler.average_persons(track_logits)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.stage.schedule.label_smoothing) + alpha * cost
        return loss, logits.detach(), counts

    def epoch(self, epoch: int) -> dict[str, Any]:
        """Train one epoch and return its row for the log."""
        trainer, stage, schedule = self.trainer, self.stage, self.stage.schedule
        sampler, device = trainer.train_clips, trainer.device
        started = time.perf_counter()
        self._prepare(epoch)
        generator = epoch_generator(trainer.seed, stage.name, epoch, device)
        if trainer.recipe.model.dropout:
            torch.manual_seed(generator.initial_seed())
        temperature = alpha = 0.0
        if isinstance(schedule, AdaptiveSchedule) and stage.alpha is not None:
            temperature, alpha = schedule.temperature_at(epoch), schedule.alpha_at(epoch, stage.alpha)
        branches = len(stage.config.branches)
        course = torch.tensor([temperature, alpha], device=device)  # tensors, so that a compiled step stays valid
        totals = torch.zeros(3, device=device)
        counts = torch.zeros(branches, device=device)
        batches = torch.randperm(len(sampler), generator=generator, device=device).split(schedule.batch)
        for number, samples in enumerate(batches):
            if len(samples) < 2:
                continue  # batch norm needs two
            clip = sampler.clips(samples, generator, self.augment)
            labels = sampler.labels[samples]
            shape = (*clip.shape[:2], branches)
            uniform = torch.rand(shape, generator=generator, device=device).clamp(1e-6, 1 - 1e-6)
            with torch.autocast(device.type, trainer.dtype, enabled=trainer.dtype is not None):
                loss, logits, chosen = self.loss(clip, labels, uniform, *course)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
            if self.average is not None:
                self.average.update_parameters(self.model)
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
            measured = evaluate(self.result(), trainer.test_clips, dtype=None if last else trainer.dtype)
            row["test_accuracy"] = measured.accuracy
            if stage.config.adaptive:
                row |= {"test_shares": measured.shares.tolist(), "test_gflops": measured.paper_gflops}
        return row


def read_log(path: Path) -> list[dict[str, Any]]:
    """Rows of a training log, one per finished epoch; an empty list when there is none."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def hardware(device: torch.device) -> str:
    """The processor that trains, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        name = models[0] if models else name
    return f"{name}, {torch.get_num_threads()} threads"
