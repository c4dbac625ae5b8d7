"""What makes one frame's joints one feature: the spatial module (paper, Section 3.1, Eqs. 1-3) and the pose branch.

Shapes: N frames (clips x T), V joints of the input, V_i joints after the transform, C = 3 coordinates.

Everything is laid out as rows of channels, ``(N, V_i, channels)``, so each 1x1 convolution is one matrix product over
all joints of all frames and nothing is permuted. Two identities, exact and differentiable, save most of the adjacency:

* softmax rows do not change when a constant is added to a row, so of θ(x_i)·φ(x_j) = (θx_i + b_θ)·(φx_j + b_φ) only
  x_iᵀ(θᵀφ)x_j + b_θᵀφ·x_j matters, and with Q = θᵀφ (128 x 128, made once a step) no 256-wide θ(x), φ(x) is formed;
* x = [d; e] where e, the joint-type embedding, is the same in every frame, so its products are made once, not N times.

The module is tested against a plain transcription into 1x1 ``Conv2d`` layers (``adasgn_edge/bench/conv2d_sgn.py``).
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adasgn_edge.model.config import (
    COORDINATES,
    EMBEDDING,
    FEATURE,
    GRAPH_WIDTHS,
    NODE,
    PAIR,
    POSE_HIDDEN,
    Branch,
    CausalShape,
)  # fmt: skip

__all__ = [
    "PoseBranch", "SpatialBranch", "SpatialModule", "at_least_float32", "build_branch", "causal_motion", "motion",
    "normalised_rows",
]  # fmt: skip


def motion(clip: Tensor) -> Tensor:
    """Position and velocity of each joint: clip (B, T, V, C) → (B, T, V, 2C); the first frame's velocity is zero."""
    velocity = torch.cat([torch.zeros_like(clip[:, :1]), clip[:, 1:] - clip[:, :-1]], dim=1)
    return torch.cat([clip, velocity], dim=-1)


def causal_motion(clip: Tensor, causal: CausalShape) -> Tensor:
    """The same of a causal model: clip (B, lead + N, V_r, C) of recorded joints → (B, N, V, 2C), where V counts the
    trail. Everything is relative to the origin joint of the same frame, the velocity that of the joints as recorded."""
    frames, lead = clip.shape[1] - causal.lead, causal.lead
    origin = clip[:, :, causal.origin : causal.origin + 1]

    def back(joints: Tensor, steps: int) -> Tensor:
        return joints[:, lead - steps : lead - steps + frames]

    here = back(origin, 0)
    now = torch.cat([clip[:, lead:], *(back(origin, steps) for steps in causal.trail)], dim=2) - here
    before = torch.cat([back(clip, 1), *(back(origin, steps + 1) for steps in causal.trail)], dim=2) - here
    return torch.cat([now, now - before], dim=-1)


def at_least_float32(x: Tensor) -> Tensor:
    """Autocast's half-precision results as float32; float32 and float64 as they are."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def normalised_rows(rows: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """Batch norm over the channels of (N, V, channels)."""
    return norm(rows.flatten(0, 1)).view_as(rows)


class CoordinateEmbedding(nn.Module):
    """Coordinates to 64 channels: BN over (joint, coordinate), then two 1x1 convolutions with ReLU."""

    def __init__(self, joints: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(joints * COORDINATES)
        self.hidden = nn.Linear(COORDINATES, EMBEDDING)
        self.output = nn.Linear(EMBEDDING, EMBEDDING)

    def forward(self, coordinates: Tensor) -> Tensor:  # (N, V_i, C) → (N, V_i, 64)
        rows = self.norm(coordinates.flatten(1)).view_as(coordinates)
        return F.relu(self.output(F.relu(self.hidden(rows))))


class JointEmbedding(nn.Module):
    """Joint type (one-hot V_i) to 64 channels; the same for every frame, so constant at inference."""

    def __init__(self, joints: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(joints, EMBEDDING)
        self.output = nn.Linear(EMBEDDING, EMBEDDING)

    def forward(self) -> Tensor:  # → (V_i, 64)
        one_hot_through_hidden = self.hidden.weight.t() + self.hidden.bias
        return F.relu(self.output(F.relu(one_hot_through_hidden)))


class AdaptiveAdjacency(nn.Module):
    """A = softmax_j(θ(x_i)·φ(x_j)) per frame (Eq. 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Linear(NODE, PAIR)
        self.phi = nn.Linear(NODE, PAIR)

    def forward(self, d: Tensor, e: Tensor) -> Tensor:  # (N, V_i, 64), (V_i, 64) → (N, V_i, V_i), rows sum to 1
        product = self.theta.weight.t() @ self.phi.weight  # Q = θᵀφ, (128, 128)
        (q_dd, q_de), (q_ed, q_ee) = (rows.split(EMBEDDING, 1) for rows in product.split(EMBEDDING, 0))
        column_d, column_e = (self.theta.bias @ self.phi.weight).split(EMBEDDING)
        row_terms = e @ q_ed + column_d  # (V_i, 64): meets d_j
        constant = e @ q_ee @ e.t() + e @ column_e  # (V_i, V_i)
        logits = torch.matmul(torch.matmul(d, q_dd) + row_terms.to(d.dtype), d.transpose(1, 2))
        logits = logits + torch.matmul(d, (q_de @ e.t()).to(d.dtype)) + constant
        return at_least_float32(logits).softmax(dim=-1)


class GraphLayer(nn.Module):
    """ReLU(BN(A·x·W + x·W1 + b)) (Eq. 1 with the residual term of SGN)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.neighbours = nn.Linear(inputs, outputs, bias=False)  # W
        self.itself = nn.Linear(inputs, outputs)  # W1, b
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:  # (N, V_i, inputs) → (N, V_i, outputs)
        both = torch.cat([torch.matmul(adjacency.to(x.dtype), x), x], dim=-1)
        weight = torch.cat([self.neighbours.weight, self.itself.weight], dim=1)
        return F.relu(normalised_rows(F.linear(both, weight, self.itself.bias), self.norm))

    def forward_split(self, d: Tensor, e: Tensor, adjacency: Tensor) -> Tensor:
        """The same for x = [d; e], the parts of e made once: d (N, V_i, 64), e (V_i, 64)."""
        adjacency = adjacency.to(d.dtype)
        both = torch.cat([torch.matmul(adjacency, d), d], dim=-1)
        w_d, w_e = self.neighbours.weight.split(EMBEDDING, 1)
        w1_d, w1_e = self.itself.weight.split(EMBEDDING, 1)
        from_e = torch.matmul(adjacency, F.linear(e, w_e).to(d.dtype)) + F.linear(e, w1_e, self.itself.bias)
        y = F.linear(both, torch.cat([w_d, w1_d], dim=1)) + from_e
        return F.relu(normalised_rows(y, self.norm))


class SpatialModule(nn.Module):
    """SM: transformed joints of each frame to its 256-channel feature. `size` is "small" or "big"."""

    def __init__(self, joints: int, size: str) -> None:
        super().__init__()
        self.position = CoordinateEmbedding(joints)
        self.velocity = CoordinateEmbedding(joints)
        self.joint = JointEmbedding(joints)
        self.adjacency = AdaptiveAdjacency()
        widths = GRAPH_WIDTHS[size]
        self.layers = nn.ModuleList(GraphLayer(a, b) for a, b in pairwise(widths))

    def forward(self, position: Tensor, velocity: Tensor) -> Tensor:  # both (N, V_i, C) → (N, 256)
        d = self.position(position) + self.velocity(velocity)
        e = self.joint()
        adjacency = self.adjacency(d, e)
        first, *rest = cast("list[GraphLayer]", list(self.layers))
        x = first.forward_split(d, e, adjacency)
        for layer in rest:
            x = layer(x, adjacency)
        return x.amax(dim=1)


class SpatialBranch(nn.Module):
    """A branch: the learned joint transform M_i (Eq. 3), then the spatial module of its size.

    joints: V of the input; transform: initial M_i (V_i, V), or None to take the joints as they are.
    """

    def __init__(self, joints: int, size: str, transform: Tensor | None) -> None:
        super().__init__()
        self.transform = None if transform is None else nn.Parameter(transform.clone())
        self.module = SpatialModule(joints if transform is None else transform.shape[0], size)

    def forward(self, moving: Tensor) -> Tensor:  # (N, V, 2C) from `motion` → (N, 256)
        if self.transform is not None:
            with torch.autocast(moving.device.type, enabled=False):
                moving = torch.matmul(self.transform, moving)
        position, velocity = moving.split(COORDINATES, dim=-1)
        return at_least_float32(self.module(position, velocity))


class PoseBranch(nn.Module):
    """All joints of a frame as one node: BN over (motion, joint, coordinate), then two layers of Linear, BN and ReLU.

    The paper's cheapest branch averages the joints to one and cannot see a hand's shape; this one sees all of it and
    costs less, since no product is made per joint.
    """

    transform = None  # of branches with a graph

    def __init__(self, joints: int) -> None:
        super().__init__()
        inputs = 2 * joints * COORDINATES
        self.norm = nn.BatchNorm1d(inputs)
        self.hidden = nn.Linear(inputs, POSE_HIDDEN)
        self.hidden_norm = nn.BatchNorm1d(POSE_HIDDEN)
        self.output = nn.Linear(POSE_HIDDEN, FEATURE)
        self.output_norm = nn.BatchNorm1d(FEATURE)

    def forward(self, moving: Tensor) -> Tensor:  # (N, V, 2C) from `motion` → (N, 256)
        position, velocity = moving.split(COORDINATES, dim=-1)
        x = self.norm(torch.cat([position.flatten(1), velocity.flatten(1)], dim=1))
        x = F.relu(self.hidden_norm(self.hidden(x)))
        return at_least_float32(F.relu(self.output_norm(self.output(x))))


def build_branch(joints: int, branch: Branch, transform: Tensor | None) -> SpatialBranch | PoseBranch:
    """The module of a branch; joints: V of the input, transform: initial M_i, of which a pose branch has none."""
    return PoseBranch(joints) if branch.pose else SpatialBranch(joints, branch.size, transform)
