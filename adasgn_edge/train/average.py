"""The weights that are kept: a moving average that warms up, and batch-norm statistics of those very weights.

Both are right after ten steps as after ten thousand. With a constant decay of 0.995 a run of 200 steps would keep
0.37 of the initial model; and running statistics, a moving average of moving averages, would be further off still:
of what was lost that way nearly all was statistics (docs/training.md).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

__all__ = ["WARM_UP", "WarmAverage", "measure_statistics"]

WARM_UP = 10
"""Until the decay is reached the average reaches back over about a tenth of the steps so far."""

Model = TypeVar("Model", bound=nn.Module)


class WarmAverage(Generic[Model]):
    """Exponential moving average of a model's parameters; its buffers are those of the model at the start.

    Update n, counted from 0, keeps ``min(decay, (1 + n) / (WARM_UP + n))`` of the average. The first keeps a tenth
    of the initial model, ten together 1e-5 of it, whatever the decay.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.module, self.decay, self.updates = copy.deepcopy(model).requires_grad_(False), decay, 0

    def factor(self) -> float:
        """The share of the average that the next update keeps."""
        return min(self.decay, (1 + self.updates) / (WARM_UP + self.updates))

    def update(self, model: Model) -> None:
        """Take in the model's parameters after a step."""
        averaged = [parameter.detach() for parameter in self.module.parameters()]
        current = [parameter.detach() for parameter in model.parameters()]
        get_ema_multi_avg_fn(self.factor())(averaged, current, None)
        self.updates += 1


@torch.no_grad()
def measure_statistics(
    norms: Iterable[nn.BatchNorm1d], run: Callable[[Tensor], object], clips: Iterable[Tensor]
) -> None:
    """Give batch norms the mean statistics of `clips`, in place of whatever they had.

    norms: belong to the model that `run` calls on each batch of `clips`; they are left in evaluation mode. Every batch
    counts alike, and the first weighs no more than the last.
    """
    chosen = list(norms)
    momentum = [norm.momentum for norm in chosen]
    for norm in chosen:
        norm.train()
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
    for clip in clips:
        run(clip)
    for norm, before in zip(chosen, momentum, strict=True):
        norm.momentum = before
        norm.eval()
