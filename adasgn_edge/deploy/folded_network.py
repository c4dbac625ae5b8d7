"""The folded model: what a model file holds, and its forward pass in plain NumPy (docs/model_file.md).

The tree of dataclasses below mirrors the tensors' names: ``model.branches[2].position.hidden.weight`` is the tensor
``branches.2.position.hidden.weight``. Matrices are (inputs, outputs): ``y = x @ W + b``. :meth:`FoldedModel.build` is
the one list of names and shapes; reading, writing and folding go through it.

The forward pass is the reference that the engines' kernels follow step by step; it is written to be read, and runs in
the dtype of its arrays (float64 to prove the folding, float32 to compare with an engine).

Symbols: B clips, T frames, N = B·T, V joints, V_i joints of a branch, C = 3 coordinates, A branches, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.model.config import (
    COORDINATES,
    EMBEDDING,
    FEATURE,
    GRAPH_WIDTHS,
    POSE_HIDDEN,
    TAPS,
    TEMPORAL,
    Branch,
    CausalShape,
    ModelConfig,
)  # fmt: skip
from adasgn_edge.model.cost import CostTable, pose_macs

__all__ = [
    "Adjacency", "Affine", "Array", "CausalTemporal", "CoordinateEmbedding", "FoldedBranch", "FoldedModel",
    "FoldedPose", "FoldedPrediction", "GraphLayer", "Temporal", "causal_motion", "folded_cost", "motion", "softmax",
]  # fmt: skip

Array = NDArray[np.floating]
Leaf = Callable[[str, tuple[int, ...]], Array]


@dataclass(frozen=True)
class Affine:
    """weight (inputs, outputs), over time (taps, inputs, outputs); bias (outputs), per frame (T, outputs)."""

    weight: Array
    bias: Array


@dataclass(frozen=True)
class CoordinateEmbedding:
    """Coordinates to 64 channels; transform (C, V_i, V) and shift (V_i, C) hold M_i and the input batch norm."""

    transform: Array
    shift: Array
    hidden: Affine  # (3, 64), (64)
    output: Affine  # (64, 64), (64)

    def __call__(self, coordinates: Array) -> Array:  # (N, V, C) → (N, V_i, 64)
        moved = np.stack([coordinates[..., c] @ self.transform[c].T for c in range(COORDINATES)], axis=-1) + self.shift
        return _relu(_relu(moved @ self.hidden.weight + self.hidden.bias) @ self.output.weight + self.output.bias)


@dataclass(frozen=True)
class Adjacency:
    """q (64, 64), r (V_i, 64), u (V_i, 64), c (V_i, V_i): θ, φ and the joint-type embedding, multiplied out."""

    q: Array
    r: Array
    u: Array
    c: Array

    def __call__(self, d: Array) -> Array:  # (N, V_i, 64) → (N, V_i, V_i), rows sum to 1
        logits = (d @ self.q + self.r) @ d.swapaxes(1, 2) + d @ self.u.T + self.c
        return softmax(logits)


@dataclass(frozen=True)
class GraphLayer:
    """relu(G·(x·neighbours + neighbours_constant) + x·itself + bias).

    The first layer takes the 64 channels of d; what the joint-type embedding adds is in neighbours_constant and bias,
    both (V_i, outputs). Later layers have bias (outputs) and no neighbours_constant. With one joint G = 1, so that
    everything is in `itself` and `bias`.
    """

    neighbours: Array | None
    neighbours_constant: Array | None
    itself: Array
    bias: Array

    def __call__(self, x: Array, adjacency: Array | None) -> Array:  # (N, V_i, inputs) → (N, V_i, outputs)
        y = x @ self.itself + self.bias
        if self.neighbours is not None and adjacency is not None:
            message = x @ self.neighbours
            if self.neighbours_constant is not None:
                message = message + self.neighbours_constant
            y = y + adjacency @ message
        return _relu(y)


@dataclass(frozen=True)
class FoldedBranch:
    """Joints of a frame to its feature."""

    position: CoordinateEmbedding
    velocity: CoordinateEmbedding
    adjacency: Adjacency | None  # None for one joint
    layers: tuple[GraphLayer, ...]

    def __call__(self, moving: Array) -> Array:  # (N, V, 2C) from `motion` → (N, 256)
        x: Array = self.position(moving[..., :COORDINATES]) + self.velocity(moving[..., COORDINATES:])
        adjacency = None if self.adjacency is None else self.adjacency(x)
        for layer in self.layers:
            x = layer(x, adjacency)
        return x.max(axis=1)


@dataclass(frozen=True)
class FoldedPose:
    """A pose branch: joints of a frame to its feature. All positions, then all velocities, joint by joint, are the
    inputs of `hidden`, which holds the input batch norm too."""

    hidden: Affine  # (6·V, 256), (256)
    output: Affine  # (256, 256), (256)

    def __call__(self, moving: Array) -> Array:  # (N, V, 2C) from `motion` → (N, 256)
        parts = (moving[..., :COORDINATES], moving[..., COORDINATES:])
        x = np.concatenate([part.reshape(len(moving), -1) for part in parts], axis=1)
        return _relu(_relu(x @ self.hidden.weight + self.hidden.bias) @ self.output.weight + self.output.bias)


@dataclass(frozen=True)
class Temporal:
    """Features of a clip's frames to class logits; the frame-index embedding is in across.bias, a row for each of the
    T / stride (rounded up) frames that the first convolution makes."""

    across: Affine  # (3, 256, 256), (T / stride, 256)
    widen: Affine  # (256, 512), (512)
    classify: Affine  # (512, K), (K)
    stride: int = 1

    def __call__(self, features: Array) -> Array:  # (B, T, 256) → (B, K)
        x = _relu(_over_time(features, self.across, self.stride))
        x = _relu(x @ self.widen.weight + self.widen.bias)
        return x.max(axis=1) @ self.classify.weight + self.classify.bias


@dataclass(frozen=True)
class CausalTemporal:
    """The same of a causal model: logits of the newest of T frames. Layer i adds to x, row by row, what its dilated
    convolution makes of rows t - 2d, t - d, t; then the maximum over the last `pool` rows is classified."""

    layers: tuple[Affine, ...]  # (3, 256, 256), (256)
    widen: Affine  # (256, 512), (512)
    classify: Affine  # (512, K), (K)
    dilations: tuple[int, ...]
    pool: int

    def __call__(self, features: Array) -> Array:  # (B, T, 256) → (B, K)
        x = features
        for layer, dilation in zip(self.layers, self.dilations, strict=True):
            frames = x.shape[1] - (TAPS - 1) * dilation
            taps = [x[:, tap * dilation : tap * dilation + frames] for tap in range(TAPS)]
            y = sum(rows @ layer.weight[tap] for tap, rows in enumerate(taps)) + layer.bias
            x = taps[-1] + _relu(y)
        x = _relu(x[:, -self.pool :] @ self.widen.weight + self.widen.bias)
        return x.max(axis=1) @ self.classify.weight + self.classify.bias


@dataclass(frozen=True)
class FoldedPrediction:
    """logits (B, K); actions (B, T) int64, the branch of each frame, or None where all branches ran."""

    logits: Array
    actions: NDArray[np.int64] | None


@dataclass(frozen=True)
class FoldedModel:
    """A whole model; policy is None where the configuration is not adaptive."""

    config: ModelConfig
    branches: tuple[FoldedBranch | FoldedPose, ...]
    policy: Affine | None  # (3, 256, A), (A)
    temporal: Temporal | CausalTemporal

    @classmethod
    def build(cls, config: ModelConfig, leaf: Leaf) -> FoldedModel:
        """The model whose arrays are what ``leaf(name, shape)`` returns, called once for every tensor."""

        def affine(name: str, weight: tuple[int, ...], bias: tuple[int, ...]) -> Affine:
            return Affine(leaf(f"{name}.weight", weight), leaf(f"{name}.bias", bias))

        taps = (TAPS, FEATURE)
        branches = tuple(
            (_build_pose if branch.pose else _build_branch)(f"branches.{i}", branch, config.joints, leaf)
            for i, branch in enumerate(config.branches)
        )
        actions = len(branches)
        policy = affine("policy", (*taps, actions), (actions,)) if config.adaptive else None
        if config.causal is None:
            across = affine("temporal.across", (*taps, FEATURE), (config.temporal_frames, FEATURE))
        else:
            layers = tuple(
                affine(f"temporal.layers.{i}", (*taps, FEATURE), (FEATURE,))
                for i in range(len(config.causal.dilations))
            )
        widen = affine("temporal.widen", (FEATURE, TEMPORAL), (TEMPORAL,))
        classify = affine("temporal.classify", (TEMPORAL, config.classes), (config.classes,))
        temporal: Temporal | CausalTemporal
        if config.causal is None:
            temporal = Temporal(across, widen, classify, config.stride)
        else:
            temporal = CausalTemporal(layers, widen, classify, config.causal.dilations, config.causal.pool)
        return cls(config, branches, policy, temporal)

    @staticmethod
    def shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor, in the order of a model file."""
        shapes: dict[str, tuple[int, ...]] = {}

        def note(name: str, shape: tuple[int, ...]) -> Array:
            shapes[name] = shape
            return np.empty(0)

        FoldedModel.build(config, note)
        return shapes

    def tensors(self) -> dict[str, Array]:
        """Every tensor by its name, in the order of a model file."""
        arrays = dict(_walk(self, ""))
        return {name: arrays[name] for name in self.shapes(self.config)}

    def astype(self, dtype: type[np.floating]) -> FoldedModel:
        """The same model with arrays of another precision."""
        arrays = self.tensors()
        return self.build(self.config, lambda name, _: arrays[name].astype(dtype))

    # -- stages; moving: (N, V, 2C) from `motion` -----------------------------------------------------------------

    def policy_features(self, moving: Array) -> Array:
        """Features of the cheapest branch, (N, 256)."""
        return self.branches[0](moving)

    def action_logits(self, policy_features: Array, clips: int) -> Array:
        """(B, T, A); raises ValueError for a model without policy."""
        if self.policy is None:
            raise ValueError("action_logits: expected an adaptive model, found one without policy")
        return _over_time(policy_features.reshape(clips, -1, FEATURE), self.policy)

    def routed_features(self, moving: Array, actions: NDArray[np.int64], policy_features: Array) -> Array:
        """Features (N, 256) where each frame goes through its own branch; frames of action 0 reuse the policy's."""
        features = policy_features.copy()
        for action, branch in enumerate(self.branches):
            frames = np.flatnonzero(actions == action)
            if action > 0 and len(frames) > 0:
                features[frames] = branch(moving[frames])
        return features

    # -- whole forwards; clip: (B, T, V, C) -----------------------------------------------------------------------

    def forward(
        self, clip: Array, actions: NDArray[np.int64] | None = None, threshold: float = 0.0, persons: int = 1
    ) -> FoldedPrediction:
        """Logits and the branch each frame took: the policy's argmax (lowest index on a tie), or `actions` (B, T).

        A model that escalates (and is given no actions) goes on with samples less confident than `threshold`; B clips
        are then B / persons samples of so many persons each, and so are the logits.
        """
        if self.config.escalates and actions is None:
            return self._escalate(clip, threshold, persons)
        clips, frames = len(clip), self.config.frames
        moving = self._frames(clip)
        policy_features = self.policy_features(moving)
        if actions is None and self.policy is not None:
            actions = self.action_logits(policy_features, clips).argmax(-1)
        elif actions is None:
            actions = np.zeros((clips, frames), dtype=np.int64)
        features = self.routed_features(moving, actions.ravel(), policy_features)
        return FoldedPrediction(self.temporal(features.reshape(clips, frames, FEATURE)), actions)

    def _escalate(self, clip: Array, threshold: float, persons: int) -> FoldedPrediction:
        samples, frames = len(clip) // persons, self.config.frames
        moving = self._frames(clip).reshape(samples, persons * frames, self.config.joints, 2 * COORDINATES)
        probabilities: Array = np.zeros((samples, self.config.classes), dtype=clip.dtype)
        level = np.zeros(samples, dtype=np.int64)
        unsure = np.arange(samples)
        for number, branch in enumerate(self.branches):
            if len(unsure) == 0:
                break
            rows = moving[unsure].reshape(-1, *moving.shape[2:])
            logits = self.temporal(branch(rows).reshape(-1, frames, FEATURE))
            now = softmax(logits.reshape(len(unsure), persons, -1).mean(1))
            probabilities[unsure] = (probabilities[unsure] * number + now) / (number + 1)
            level[unsure] = number
            unsure = unsure[probabilities[unsure].max(1) < threshold]
        smallest = np.finfo(probabilities.dtype).tiny
        actions = np.repeat(level, persons)[:, None].repeat(frames, axis=1)
        return FoldedPrediction(np.log(np.maximum(probabilities, smallest)), actions)

    def forward_fuse(self, clip: Array) -> FoldedPrediction:
        """Every branch on every frame; the class logits of the branches averaged."""
        moving, shape = self._frames(clip), (len(clip), self.config.frames, FEATURE)
        logits = [self.temporal(branch(moving).reshape(shape)) for branch in self.branches]
        return FoldedPrediction(np.mean(logits, axis=0), None)

    def _frames(self, clip: Array) -> Array:
        """(B, T, V, C), of a causal model (B, lead + T, V_r, C) → moving (B·T, V, 2C)."""
        causal = self.config.causal
        moving = motion(clip) if causal is None else causal_motion(clip, causal)
        return moving.reshape(-1, *moving.shape[2:])


def motion(clip: Array) -> Array:
    """Position and velocity of each joint: clip (B, T, V, C) → (B, T, V, 2C); the first frame's velocity is zero."""
    velocity = np.zeros_like(clip)
    velocity[:, 1:] = clip[:, 1:] - clip[:, :-1]
    return np.concatenate([clip, velocity], axis=-1)


def causal_motion(clip: Array, causal: CausalShape) -> Array:
    """The same of a causal model: clip (B, lead + N, V_r, C) of recorded joints → (B, N, V, 2C), where V counts the
    trail. Everything is relative to the origin joint of the same frame, the velocity that of the joints as recorded."""
    frames, lead = clip.shape[1] - causal.lead, causal.lead
    origin = clip[:, :, causal.origin : causal.origin + 1]

    def back(joints: Array, steps: int) -> Array:
        return joints[:, lead - steps : lead - steps + frames]

    here = back(origin, 0)
    now = np.concatenate([clip[:, lead:], *(back(origin, steps) for steps in causal.trail)], axis=2) - here
    before = np.concatenate([back(clip, 1), *(back(origin, steps + 1) for steps in causal.trail)], axis=2) - here
    return np.concatenate([now, now - before], axis=-1)


def folded_cost(config: ModelConfig) -> NDArray[np.int64]:
    """(A,) MACs of a clip whose frames all take one branch, counting every product of the folded forward pass.

    The counterpart of ``CostTable.full``: an adaptive model pays for the policy too, and a frame on the cheapest
    branch pays nothing more.
    """
    spatial = np.asarray([config.frames * _spatial_macs(b, config.joints) for b in config.branches], dtype=np.int64)
    table = CostTable(config)
    if not config.adaptive:
        costs = spatial + table.full_fixed
        return np.cumsum(costs) if config.escalates else costs
    fixed = table.full_fixed - table.full_spatial[0] + spatial[0]
    spatial[0] = 0  # the policy's features are reused
    return spatial + fixed


def _spatial_macs(branch: Branch, input_joints: int) -> int:
    if branch.pose:
        return pose_macs(branch.joints)
    joints, widths = branch.joints, (EMBEDDING, *GRAPH_WIDTHS[branch.size][1:])
    embeddings = 2 * joints * (COORDINATES * input_joints + COORDINATES * EMBEDDING + EMBEDDING * EMBEDDING)
    layers = joints * sum(a * b for a, b in pairwise(widths))
    if joints == 1:
        return embeddings + layers
    adjacency = joints * EMBEDDING * EMBEDDING + 2 * joints * joints * EMBEDDING
    return embeddings + adjacency + 2 * layers + joints * joints * sum(widths[1:])


def _build_pose(name: str, branch: Branch, input_joints: int, leaf: Leaf) -> FoldedPose:
    def affine(part: str, inputs: int, outputs: int) -> Affine:
        return Affine(leaf(f"{name}.{part}.weight", (inputs, outputs)), leaf(f"{name}.{part}.bias", (outputs,)))

    inputs = 2 * input_joints * COORDINATES
    return FoldedPose(affine("hidden", inputs, POSE_HIDDEN), affine("output", POSE_HIDDEN, FEATURE))


def _build_branch(name: str, branch: Branch, input_joints: int, leaf: Leaf) -> FoldedBranch:
    joints, several = branch.joints, branch.joints > 1

    def embedding(part: str) -> CoordinateEmbedding:
        return CoordinateEmbedding(
            transform=leaf(f"{name}.{part}.transform", (COORDINATES, joints, input_joints)),
            shift=leaf(f"{name}.{part}.shift", (joints, COORDINATES)),
            hidden=Affine(
                leaf(f"{name}.{part}.hidden.weight", (COORDINATES, EMBEDDING)),
                leaf(f"{name}.{part}.hidden.bias", (EMBEDDING,)),
            ),
            output=Affine(
                leaf(f"{name}.{part}.output.weight", (EMBEDDING, EMBEDDING)),
                leaf(f"{name}.{part}.output.bias", (EMBEDDING,)),
            ),
        )

    def adjacency() -> Adjacency:
        return Adjacency(
            q=leaf(f"{name}.adjacency.q", (EMBEDDING, EMBEDDING)),
            r=leaf(f"{name}.adjacency.r", (joints, EMBEDDING)),
            u=leaf(f"{name}.adjacency.u", (joints, EMBEDDING)),
            c=leaf(f"{name}.adjacency.c", (joints, joints)),
        )

    def layer(k: int, inputs: int, outputs: int) -> GraphLayer:
        def part(what: str, *shape: int) -> Array:
            return leaf(f"{name}.layers.{k}.{what}", shape)

        return GraphLayer(
            neighbours=part("neighbours", inputs, outputs) if several else None,
            neighbours_constant=part("neighbours_constant", joints, outputs) if several and k == 0 else None,
            itself=part("itself", inputs, outputs),
            bias=part("bias", joints, outputs) if k == 0 else part("bias", outputs),
        )

    widths = (EMBEDDING, *GRAPH_WIDTHS[branch.size][1:])
    return FoldedBranch(
        position=embedding("position"),
        velocity=embedding("velocity"),
        adjacency=adjacency() if several else None,
        layers=tuple(layer(k, a, b) for k, (a, b) in enumerate(pairwise(widths))),
    )


def _walk(node: Any, name: str) -> Iterator[tuple[str, Array]]:
    """Every array below a node of the tree, with its name."""
    if isinstance(node, np.ndarray):
        yield name, node
        return
    children: list[tuple[str, Any]] = []
    if isinstance(node, tuple):
        children = [(str(i), child) for i, child in enumerate(node)]
    elif is_dataclass(node) and not isinstance(node, ModelConfig):
        children = [(field.name, getattr(node, field.name)) for field in fields(node)]
    for part, child in children:
        yield from _walk(child, f"{name}.{part}" if name else part)


def _over_time(x: Array, convolution: Affine, stride: int = 1) -> Array:
    """Kernel 3 with zero padding: (B, T, inputs) → (B, T / stride rounded up, outputs)."""
    frames = x.shape[1]
    padded = np.pad(x, ((0, 0), (1, 1), (0, 0)))
    y = sum(padded[:, tap : tap + frames : stride] @ convolution.weight[tap] for tap in range(TAPS))
    return y + convolution.bias


def softmax(logits: Array) -> Array:
    """Over the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def _relu(x: Array) -> Array:
    return np.maximum(x, 0)
