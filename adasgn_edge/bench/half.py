"""PyTorch in binary16 beside an engine in binary16, which may err at most twice as much (docs/benchmarks.md)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike

from adasgn_edge.bench.parity import Expected, compare
from adasgn_edge.bench.torch_reference import TorchReference
from adasgn_edge.engine import Result
from adasgn_edge.model.cost import CostTable

__all__ = ["TorchHalf", "half_margin", "half_tolerance"]


class TorchHalf:
    """A trained model in PyTorch, binary16, on the actions of `expected`; on a GPU where torch has one."""

    def __init__(self, reference: TorchReference, expected: Expected) -> None:
        self._model, self._expected, self._at = _half(reference), expected, 0

    def run(self, clips: ArrayLike, actions: ArrayLike | None = None, *, features: bool = False) -> Result:
        """As of an engine, for clips in the order of `expected`."""
        array = np.asarray(clips, np.float32)
        chosen = self._expected.actions[self._at : self._at + len(array)]
        self._at += len(array)
        pooled = self._model.features(array, chosen)
        logits = self._model.scores(array, chosen, pooled).astype(np.float32)
        macs = CostTable(self._model.config).full[chosen].sum(-1) // chosen.shape[-1]
        return Result(logits, chosen.astype(np.int32), pooled.astype(np.float32), macs)


def half_tolerance(expected: Expected) -> float | None:
    """Most that binary16 may err on these clips, as a share of the norm; None where the weights are not at hand."""
    if not isinstance(expected.reference, TorchReference):
        return None
    found = compare("PyTorch, float16", TorchHalf(expected.reference, expected), expected)
    return 2 * max(found.feature_error, found.logit_error)


def half_margin(expected: Expected) -> float | None:
    """Most that binary16 may be off in the confidence by which clips go on, of a model that escalates; None where the
    weights are not at hand."""
    if not isinstance(expected.reference, TorchReference):
        return None
    level, distance = _half(expected.reference).decide(expected.clips.arrays)
    same = level == expected.actions  # on the same side of the threshold
    return 2 * float(np.where(same, np.abs(distance - expected.margin), distance + expected.margin).max())


def _half(reference: TorchReference) -> TorchReference:
    return reference.other(torch.float16, "cuda" if torch.cuda.is_available() else "cpu")
