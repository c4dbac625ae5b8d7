"""What each branch costs, in multiply-accumulates (MACs) for one clip of one person, in two conventions.

``paper``: convolutions only, as Table 1 counts them (its "GFLOPs" are MACs): every 1x1 convolution of the spatial
module on every joint and frame, and the two temporal convolutions. A pose branch, which the paper does not have, is two
1x1 convolutions on its one node. Counted so, five of the six figures of Table 1
come out to the printed digit and S-9 within 0.0006; the published figures leave no linear count that meets all six.
An adaptive model's cost is the mean over its frames of the chosen branch's figure (Eq. 12).

``full``: every multiplication of the forward that depends on the input: joint transform, embeddings, adjacency and the
products with it, graph layers, temporal module, classifier; constants (joint-type and frame embeddings) are made once
and not counted. An adaptive model also pays for the policy: the cheapest branch and the policy's convolution on every
frame; a frame that stays on the cheapest branch pays nothing more.

A clip of a model that escalates pays, in both, for every branch up to the one it ends at, each time with the temporal
module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.errors import ModelConfigError
from adasgn_edge.model.config import (
    COORDINATES,
    EMBEDDING,
    FEATURE,
    GRAPH_WIDTHS,
    NODE,
    PAIR,
    POSE_HIDDEN,
    TAPS,
    TEMPORAL,
    Branch,
    ModelConfig,
)  # fmt: skip

__all__ = ["CostTable", "pose_macs"]

_COORDINATE_EMBEDDINGS = 2 * (COORDINATES * EMBEDDING + EMBEDDING * EMBEDDING)  # position and velocity, per joint
_PAIRS = 2 * NODE * PAIR  # θ and φ, per joint


def _graph_layers(size: str) -> int:
    """MACs of W and W1 of all layers, per joint."""
    widths = GRAPH_WIDTHS[size]
    return sum(2 * a * b for a, b in pairwise(widths))


def pose_macs(joints: int) -> int:
    """One frame's pose branch: both of its layers, in every convention."""
    return 2 * joints * COORDINATES * POSE_HIDDEN + POSE_HIDDEN * FEATURE


def paper_spatial_macs(branch: Branch) -> int:
    """One frame's branch, convolutions only."""
    if branch.pose:
        return pose_macs(branch.joints)
    joint_embedding = EMBEDDING * EMBEDDING
    per_joint = _COORDINATE_EMBEDDINGS + joint_embedding + _PAIRS + _graph_layers(branch.size)
    return branch.joints * per_joint


def full_spatial_macs(branch: Branch, input_joints: int, transform: bool) -> int:
    """One frame's branch, every multiplication; input_joints: V."""
    if branch.pose:
        return pose_macs(branch.joints)
    joints, widths = branch.joints, GRAPH_WIDTHS[branch.size]
    products_with_adjacency = joints * joints * (PAIR + sum(widths[:-1]))
    moved = joints * input_joints * 2 * COORDINATES if transform else 0
    return joints * (_COORDINATE_EMBEDDINGS + _PAIRS + _graph_layers(branch.size)) + products_with_adjacency + moved


@dataclass(frozen=True)
class CostTable:
    """The costs of a configuration; all figures in MACs per clip of T frames.

    alone: of a model that escalates, what a branch costs by itself, and not what a clip has paid that ends at it.
    """

    config: ModelConfig
    alone: bool = False

    @property
    def temporal_convolutions(self) -> int:
        """The convolutions of the temporal module."""
        causal = self.config.causal
        if causal is None:
            return self.config.temporal_frames * (TAPS * FEATURE * FEATURE + FEATURE * TEMPORAL)
        rows, total = self.config.frames, 0
        for dilation in causal.dilations:  # every row with enough before it; the engine makes those alone that are read
            rows -= (TAPS - 1) * dilation
            total += rows * TAPS * FEATURE * FEATURE
        return total + causal.pool * FEATURE * TEMPORAL

    @property
    def step(self) -> NDArray[np.int64]:
        """(A,) of a causal model, what one more frame of a stream costs on each branch when nothing of earlier frames
        is computed again, the temporal module's row and the classifier included, full count."""
        if self.config.causal is None:
            raise ModelConfigError("cost of a step: expected a causal model, found one for clips")
        row = len(self.config.causal.dilations) * TAPS * FEATURE * FEATURE + FEATURE * TEMPORAL
        return self.full_spatial // self.config.frames + row + TEMPORAL * self.config.classes

    @property
    def paper(self) -> NDArray[np.int64]:
        """(A,) each branch on all frames, with the temporal module, in the paper's convention."""
        return self._cumulative(self.paper_spatial + self.temporal_convolutions)

    @property
    def paper_spatial(self) -> NDArray[np.int64]:
        """(A,) each branch alone on all frames, in the paper's convention."""
        rows = [self.config.frames * paper_spatial_macs(branch) for branch in self.config.branches]
        return np.asarray(rows, dtype=np.int64)

    @property
    def full_spatial(self) -> NDArray[np.int64]:
        """(A,) each branch's spatial module alone on all frames, full count."""
        config = self.config
        rows = [config.frames * full_spatial_macs(b, config.joints, config.transform) for b in config.branches]
        return np.asarray(rows, dtype=np.int64)

    @property
    def full_fixed(self) -> int:
        """What every clip pays besides its branch: temporal module, classifier and, if adaptive, the policy."""
        fixed = self.temporal_convolutions + TEMPORAL * self.config.classes
        if self.config.adaptive:
            fixed += int(self.full_spatial[0]) + self.config.frames * TAPS * FEATURE * len(self.config.branches)
        return fixed

    @property
    def full(self) -> NDArray[np.int64]:
        """(A,) a clip whose frames all take one branch, or that ends at it, everything included, full count."""
        if not self.config.adaptive:
            return self._cumulative(self.full_spatial + self.full_fixed)
        extra = self.full_spatial.copy()
        extra[0] = 0  # the policy's features are reused
        return extra + self.full_fixed

    @property
    def paper_fuse(self) -> int:
        """All branches on all frames, one temporal module, in the paper's convention (Table 3, "fuse")."""
        return int(self.paper_spatial.sum()) + self.temporal_convolutions

    @property
    def full_fuse(self) -> int:
        """All branches on all frames, each with the temporal module and classifier, whose logits are averaged, full
        count."""
        head = self.temporal_convolutions + TEMPORAL * self.config.classes
        return int(self.full_spatial.sum()) + len(self.config.branches) * head

    def _cumulative(self, costs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of each branch, or up to it where clips escalate."""
        return np.cumsum(costs) if self.config.escalates and not self.alone else costs

    def mean(self, shares: Sequence[float] | NDArray[np.floating], convention: str = "paper") -> float:
        """Mean cost of a clip whose frames take the branches in these shares (A,), which sum to 1."""
        table = {"paper": self.paper, "full": self.full}[convention]
        return float(np.asarray(shares, dtype=np.float64) @ table)
