"""Measuring a model on a split: accuracy, confusion, cost and which branch the frames took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adasgn_edge.effort import Levels
from adasgn_edge.errors import ModelConfigError
from adasgn_edge.model.adasgn import SGN, AdaSGN, AnyModel, EscalatingSGN, Prediction
from adasgn_edge.model.config import Branch
from adasgn_edge.model.cost import CostTable
from adasgn_edge.model.spatial import motion
from adasgn_edge.train.devices import products_in
from adasgn_edge.train.sampler import ClipSampler

__all__ = ["POLICIES", "Evaluation", "branch_levels", "evaluate", "policy_shares"]

POLICIES = ("argmax", "random", "fuse")


@dataclass(frozen=True)
class Evaluation:
    """What a model did on N samples.

    scores: (N, classes) softmax probabilities; labels: (N,); actions: (N, M, T) the branch of each frame, None for
    fuse; cost: the model's CostTable.
    """

    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    actions: NDArray[np.int64] | None
    cost: CostTable

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(N,) whether a sample's highest score is its label."""
        return self.scores.argmax(1) == self.labels

    @property
    def accuracy(self) -> float:
        """Share of samples whose highest score is their label."""
        return float(self.correct.mean())

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(classes, classes) counts, rows the true label."""
        classes = self.scores.shape[1]
        flat = self.labels * classes + self.scores.argmax(1)
        return np.bincount(flat, minlength=classes * classes).reshape(classes, classes)

    @property
    def shares(self) -> NDArray[np.float64]:
        """(A,) share of frames that took each branch; all ones for fuse."""
        return self._shares(np.ones(len(self.labels), dtype=bool))

    @property
    def class_shares(self) -> NDArray[np.float64]:
        """(classes, A) the same for the samples of each class; NaN for a class without samples."""
        return np.stack([self._shares(self.labels == label) for label in range(self.scores.shape[1])])

    def _shares(self, samples: NDArray[np.bool_]) -> NDArray[np.float64]:
        count = len(self.cost.config.branches)
        if self.actions is None:
            return np.ones(count)
        chosen = self.actions[samples]
        if chosen.size == 0:
            return np.full(count, np.nan)
        return np.bincount(chosen.ravel(), minlength=count) / chosen.size

    @property
    def paper_gflops(self) -> float:
        """Mean cost of a clip in the paper's convention, 1e9 MACs."""
        if self.actions is None:
            return self.cost.paper_fuse / 1e9
        return self.cost.mean(self.shares, "paper") / 1e9

    @property
    def full_gflops(self) -> float:
        """Mean cost of a clip in the full count, 1e9 MACs."""
        if self.actions is None:
            return self.cost.full_fuse / 1e9
        return self.cost.mean(self.shares, "full") / 1e9


@torch.no_grad()
def evaluate(
    model: AnyModel,
    sampler: ClipSampler,
    policy: str | Branch = "argmax",
    batch: int = 128,
    dtype: torch.dtype | None = None,
    seed: int = 0,
    progress: Any = None,
    threshold: float = 0.0,
) -> Evaluation:
    """Run a model over all samples of `sampler`, each segment's middle frame.

    policy: "argmax" (the model's own), "random" (uniform over the branches), "fuse" (all branches, scores averaged) or
    a Branch that every frame takes. dtype: autocast of matrix products, None for float32. threshold: of a model that
    escalates, whose own way "argmax" is.
    """
    was_training = model.training
    model.eval()
    device = sampler.device
    generator = torch.Generator(device).manual_seed(seed)
    scores, actions = [], []
    batches = torch.arange(len(sampler), device=device).split(batch)
    for samples in progress.track(batches, "evaluating") if progress else batches:
        clip = sampler.clips(samples, generator=None)
        with products_in(dtype, device):
            if isinstance(model, EscalatingSGN) and policy == "argmax":
                prediction = model(clip, threshold, sampler.persons)
                logits = prediction.logits
            else:
                prediction = _predict(model, clip, policy, generator)
                logits = sampler.average_persons(prediction.logits)
        scores.append(logits.softmax(-1).cpu())
        if prediction.actions is not None:
            actions.append(prediction.actions.view(len(samples), sampler.persons, -1).cpu())
    model.train(was_training)
    return Evaluation(
        scores=torch.cat(scores).numpy(),
        labels=sampler.labels.cpu().numpy(),
        actions=torch.cat(actions).numpy() if actions else None,
        cost=CostTable(model.config, alone=policy != "argmax"),
    )


@torch.no_grad()
def branch_levels(model: EscalatingSGN, sampler: ClipSampler, batch: int = 128, progress: Any = None) -> Levels:
    """What every branch says of every sample, each segment's middle frame, in float32: for any threshold at once."""
    was_training = model.training
    model.eval()
    found = []
    batches = torch.arange(len(sampler), device=sampler.device).split(batch)
    for samples in progress.track(batches, "evaluating") if progress else batches:
        logits = model.branch_logits(sampler.clips(samples, generator=None))  # (A, B·M, classes)
        found.append(torch.stack([sampler.average_persons(rows).softmax(-1) for rows in logits]).cpu())
    model.train(was_training)
    return Levels(torch.cat(found, dim=1).numpy(), sampler.persons * CostTable(model.config).full)


@torch.no_grad()
def policy_shares(model: AdaSGN, sampler: ClipSampler, batch: int = 128, progress: Any = None) -> tuple[float, ...]:
    """Share of frames that the policy gives to each branch, (A,), to six digits: over all samples of `sampler`, each
    segment's middle frame, in float32. They are :attr:`Evaluation.shares` for the cheapest branch's cost alone."""
    was_training = model.training
    model.eval()
    counts = torch.zeros(len(model.branches), dtype=torch.int64, device=sampler.device)
    batches = torch.arange(len(sampler), device=sampler.device).split(batch)
    for samples in progress.track(batches, "measuring the policy") if progress else batches:
        clip = sampler.clips(samples, generator=None)
        features = model.policy_features(motion(clip).flatten(0, 1))
        actions = model.action_logits(features, len(clip)).argmax(-1)
        counts += torch.bincount(actions.flatten(), minlength=len(counts))
    model.train(was_training)
    total = int(counts.sum())
    return tuple(round(count / total, 6) for count in counts.tolist())


def _predict(model: AnyModel, clip: torch.Tensor, policy: str | Branch, generator: torch.Generator) -> Prediction:
    if policy == "argmax":
        return model(clip)
    if isinstance(model, SGN):
        raise ModelConfigError(f"policy {policy}: expected a model of several branches, found one of a single branch")
    if policy == "fuse":
        return model.forward_fuse(clip)
    if policy == "random":
        count = len(model.branches)
        actions = torch.randint(count, clip.shape[:2], generator=generator, device=clip.device)
    elif isinstance(policy, Branch):
        if policy not in model.config.branches:
            names = ", ".join(model.config.branch_names)
            raise ModelConfigError(f"expected one of the branches {names}, found {policy}")
        actions = torch.full(clip.shape[:2], model.config.branches.index(policy), device=clip.device)
    else:
        raise ModelConfigError(f"expected a policy among {', '.join(POLICIES)} or a branch, found {policy!r}")
    return model.forward_forced(clip, actions)
