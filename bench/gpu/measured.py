"""The models that are measured on a GPU: their files, the clips they run on, and what the right logits are."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adasgn_edge.bench.clips import Clips
from adasgn_edge.bench.half import half_margin, half_tolerance
from adasgn_edge.bench.parity import MARGIN, TOLERANCE, Expected, expect
from adasgn_edge.bench.reference import Reference
from adasgn_edge.bench.torch_reference import TorchReference, load_reference
from adasgn_edge.deploy.model_file import read_model_file

__all__ = ["HALF_TOLERANCE", "Batches", "Measured", "ValidationError", "load_measured"]

HALF_TOLERANCE = 0.02
"""Of logits in binary16 where the trained weights are not at hand, and of other runtimes in binary16."""


class ValidationError(AssertionError):
    """A side does not compute what it should, so its times mean nothing."""


@dataclass(frozen=True)
class Batches:
    """All clips in a fixed random order, in batches of equal size; the last is filled up with the first clips.

    arrays: (batches, B, T, V, 3); rows: (batches, B), which clip each is.
    """

    arrays: NDArray[np.float32]
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """One model. name: "adasgn" (with a policy), "escalating" or "dense"; half_tolerance: of binary16; half_margin:
    by how much a decision must be clear to be the same in binary16."""

    name: str
    path: Path
    expected: Expected
    half_tolerance: float
    half_margin: float
    source: str

    def shares(self) -> dict[str, float]:
        """Of frames, by the name of the branch that they take; of a model that escalates, that their clip ends at."""
        names = read_model_file(self.path).folded.config.branch_names
        counts = np.bincount(self.expected.actions.ravel(), minlength=len(names))
        return dict(zip(names, (counts / counts.sum()).tolist(), strict=True))

    def batches(self, size: int) -> Batches:
        """Batches of `size` clips; the same for every model on the same clips."""
        count = len(self.expected.clips)
        order = np.random.default_rng(0).permutation(count)
        rows = np.resize(order, (math.ceil(count / size), size))
        return Batches(np.ascontiguousarray(self.expected.clips.arrays[rows]), rows)

    def tolerance(self, precision: str) -> float:
        """Most that logits may be off, as a share of their norm."""
        return TOLERANCE if precision == "f32" else self.half_tolerance

    def validate(self, side: str, logits: NDArray[np.floating], rows: NDArray[np.int64], tolerance: float) -> float:
        """The largest error of logits (B, K) of the clips in `rows` (B,); raises ValidationError above `tolerance`.

        Clips with a frame whose two best actions are closer than MARGIN are left out: either action is right; and where
        the tolerance is of binary16, clips that it may take for surer or less sure than they are.
        """
        margin = MARGIN if tolerance <= TOLERANCE else self.half_margin
        decided = (self.expected.margin[rows] > margin).all(axis=1)
        truth = self.expected.logits[rows][decided]
        errors = np.linalg.norm(logits[decided].astype(np.float64) - truth, axis=-1) / np.linalg.norm(truth, axis=-1)
        worst = float(errors.max(initial=0.0))
        if not worst <= tolerance:  # not-a-number too
            raise ValidationError(f"{side}: expected logits within {tolerance:.1e} of the reference, found {worst:.1e}")
        return worst

    def work(self, rows: NDArray[np.int64], precision: str) -> tuple[float, float]:
        """What batches (batches, B) cannot do without, the mean of a batch: bytes, each moved once (weights of the
        branches taken, clips, logits), and multiply-accumulates."""
        file = read_model_file(self.path)
        model, element = file.folded, 4 if precision == "f32" else 2
        always = _floats(model.temporal) * element + _floats(model.policy) * 4
        branches = [_floats(branch) * element for branch in model.branches]
        moved, macs = [], []
        per_clip = np.asarray(file.costs["folded"])
        for batch in rows:
            taken = self.expected.actions[batch]
            used = set(np.unique(taken).tolist()) | {0}  # the policy looks at branch 0 of every frame
            inputs = self.expected.clips.arrays[batch].nbytes + self.expected.logits[batch].size * 4
            moved.append(always + sum(branches[branch] for branch in used) + inputs)
            macs.append(per_clip[taken].mean(axis=1).sum())
        return float(np.mean(moved)), float(np.mean(macs))


def load_measured(name: str, given: Path | None, clips: Clips, folder: Path) -> Measured:
    """A model file, or weights, which are exported into `folder`; None: the shipped model."""
    own = folder / name
    own.mkdir()
    path, reference = load_reference(given, None, own)
    return _measured(name, path, reference, clips)


def _measured(name: str, path: Path, reference: Reference, clips: Clips) -> Measured:
    quick = reference
    if isinstance(reference, TorchReference) and torch.cuda.is_available():
        quick = reference.other(torch.float64, "cuda")
    expected = expect(quick, clips)
    margin = (half_margin(expected) or HALF_TOLERANCE) if reference.config.escalates else MARGIN
    return Measured(name, path, expected, half_tolerance(expected) or HALF_TOLERANCE, margin, reference.source)


def _floats(part: Any) -> int:
    """How many numbers a part of a folded model has."""
    if part is None or isinstance(part, int):  # a stride is none
        return 0
    if isinstance(part, np.ndarray):
        return part.size
    if isinstance(part, Sequence):
        return sum(map(_floats, part))
    return sum(_floats(getattr(part, field.name)) for field in dataclasses.fields(part))
