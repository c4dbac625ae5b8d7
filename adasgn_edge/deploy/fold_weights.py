"""Exact folding of a trained model: everything constant at inference is computed once, in float64 (docs/model_file.md).

1. The input batch norms go into the joint transform: one scaled M_i per coordinate, and a shift.
2. Of the adjacency's logits θ(x_i)·φ(x_j) only what depends on the column j matters to a softmax over j. With
   x = [d; e] and Q = θᵀφ in 64-blocks: (D·Q_dd + R)·Dᵀ + D·Uᵀ + C, where R, U, C hold the joint-type embedding E.
3. The first graph layer's products with E become constants of each joint.
4. With one joint the adjacency is 1, and the two weights of a graph layer add up to one.
5. The frame-index embedding becomes a bias of the first temporal convolution that differs by frame.
Every layer's batch norm goes into its weights; that of a pose branch's input into its first layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.deploy.folded_network import Array, FoldedModel
from adasgn_edge.errors import CheckpointError
from adasgn_edge.model.config import (
    COORDINATES,
    EMBEDDING,
    FEATURE,
    GRAPH_WIDTHS,
    TAPS,
    Branch,
    CausalShape,
    ModelConfig,
)  # fmt: skip

__all__ = ["fold"]

BATCH_NORM_EPSILON = 1e-5
"""Added to the variance by every batch norm of the model (torch's default, which the model keeps)."""


def fold(state: Mapping[str, Any], config: ModelConfig) -> FoldedModel:
    """The folded model in float64 of a model's state dict, as NumPy arrays or torch tensors on the CPU.

    Raises CheckpointError when a weight is missing.
    """
    weights = _Weights(state, "")
    arrays: dict[str, Array] = {}
    for index, branch in enumerate(config.branches):
        part = weights / (f"branches.{index}" if config.routes else "spatial")
        arrays.update(_prefixed(f"branches.{index}", _fold_branch(part, branch, config)))
    if config.adaptive:
        policy = weights / "policy"
        arrays.update({"policy.weight": _taps(policy["weight"]), "policy.bias": policy["bias"]})
    temporal = weights / "temporal"
    folded = _fold_temporal(temporal, config.stride) if config.causal is None else _fold_causal(temporal, config.causal)
    arrays.update(_prefixed("temporal", folded))
    return FoldedModel.build(config, lambda name, _: arrays[name])


class _Weights:
    """The weights below a prefix of the state dict, in float64."""

    def __init__(self, state: Mapping[str, Any], prefix: str) -> None:
        self._state, self._prefix = state, prefix

    def __truediv__(self, name: str) -> _Weights:
        return _Weights(self._state, f"{self._prefix}{name}.")

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        key = self._prefix + name
        if key not in self._state:
            raise CheckpointError(f"state dict: expected a weight {key!r}, found none")
        return np.asarray(self._state[key], dtype=np.float64)


def _prefixed(prefix: str, arrays: dict[str, Array]) -> dict[str, Array]:
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def _relu(x: Array) -> Array:
    return np.maximum(x, 0)


def _norm(weights: _Weights) -> tuple[Array, Array]:
    """A batch norm with its running statistics as (scale, shift)."""
    scale = weights["weight"] / np.sqrt(weights["running_var"] + BATCH_NORM_EPSILON)
    return scale, weights["bias"] - weights["running_mean"] * scale


def _one_hot_embedding(weights: _Weights) -> Array:
    """The embedding of every index: one-hot → hidden → relu → output → relu, (indices, outputs)."""
    hidden, output = weights / "hidden", weights / "output"
    return _relu(_relu(hidden["weight"].T + hidden["bias"]) @ output["weight"].T + output["bias"])


def _taps(weight: Array) -> Array:
    """A temporal convolution's (outputs, 3·inputs) as (3, inputs, outputs)."""
    return weight.reshape(len(weight), TAPS, FEATURE).transpose(1, 2, 0)


def _affine_norm(affine: _Weights, norm: _Weights) -> tuple[Array, Array]:
    """A linear layer and the batch norm after it as weight (inputs, outputs) and bias."""
    scale, shift = _norm(norm)
    return affine["weight"].T * scale, affine["bias"] * scale + shift


def _fold_pose(weights: _Weights) -> dict[str, Array]:
    scale, shift = _norm(weights / "norm")
    matrix, bias = _affine_norm(weights / "hidden", weights / "hidden_norm")
    hidden = {"hidden.weight": scale[:, None] * matrix, "hidden.bias": bias + shift @ matrix}
    matrix, bias = _affine_norm(weights / "output", weights / "output_norm")
    return {**hidden, "output.weight": matrix, "output.bias": bias}


def _fold_branch(weights: _Weights, branch: Branch, config: ModelConfig) -> dict[str, Array]:
    if branch.pose:
        return _fold_pose(weights)
    module = weights / "module"
    transform = weights["transform"] if config.transform else np.eye(config.joints)
    embedding = _one_hot_embedding(module / "joint")  # E, (V_i, 64)
    arrays: dict[str, Array] = {}
    for part in ("position", "velocity"):
        arrays.update(_prefixed(part, _fold_coordinates(module / part, transform)))
    if branch.joints > 1:
        arrays.update(_prefixed("adjacency", _fold_adjacency(module / "adjacency", embedding)))
    for k in range(len(GRAPH_WIDTHS[branch.size]) - 1):
        layer = _fold_layer(module / f"layers.{k}", embedding if k == 0 else None, branch.joints)
        arrays.update(_prefixed(f"layers.{k}", layer))
    return arrays


def _fold_coordinates(weights: _Weights, transform: Array) -> dict[str, Array]:
    scale, shift = (part.reshape(-1, COORDINATES) for part in _norm(weights / "norm"))  # (V_i, C)
    hidden, output = weights / "hidden", weights / "output"
    return {
        "transform": scale.T[:, :, None] * transform,  # (C, V_i, V)
        "shift": shift,
        "hidden.weight": hidden["weight"].T,
        "hidden.bias": hidden["bias"],
        "output.weight": output["weight"].T,
        "output.bias": output["bias"],
    }


def _fold_adjacency(weights: _Weights, e: Array) -> dict[str, Array]:
    theta, phi = weights / "theta", weights / "phi"
    q = theta["weight"].T @ phi["weight"]  # (128, 128)
    (q_dd, q_de), (q_ed, q_ee) = (np.split(rows, 2, axis=1) for rows in np.split(q, 2, axis=0))
    column_d, column_e = np.split(theta["bias"] @ phi["weight"], 2)
    return {"q": q_dd, "r": e @ q_ed + column_d, "u": e @ q_de.T, "c": e @ q_ee @ e.T + e @ column_e}


def _fold_layer(weights: _Weights, e: Array | None, joints: int) -> dict[str, Array]:
    """One graph layer; `e` (V_i, 64) for the first, whose input is [d; e]."""
    scale, shift = _norm(weights / "norm")
    neighbours = (weights / "neighbours")["weight"].T * scale  # (inputs, outputs)
    itself = (weights / "itself")["weight"].T * scale
    bias = (weights / "itself")["bias"] * scale + shift
    constant = None
    if e is not None:
        constant, bias = e @ neighbours[EMBEDDING:], e @ itself[EMBEDDING:] + bias  # (V_i, outputs)
        neighbours, itself = neighbours[:EMBEDDING], itself[:EMBEDDING]
    if joints == 1:
        return {"itself": itself + neighbours, "bias": bias if constant is None else bias + constant}
    folded = {"neighbours": neighbours, "itself": itself, "bias": bias}
    return folded if constant is None else {**folded, "neighbours_constant": constant}


def _fold_temporal(weights: _Weights, stride: int) -> dict[str, Array]:
    frame = _one_hot_embedding(weights / "frame")  # (T, 256)
    scale, shift = _norm(weights / "across_norm")
    across = _taps((weights / "across")["weight"]) * scale
    bias = np.tile((weights / "across")["bias"] * scale + shift, (len(frame), 1))  # (T, 256)
    bias[1:] += frame[:-1] @ across[0]  # the first frame has no neighbour before it,
    bias += frame @ across[1]
    bias[:-1] += frame[1:] @ across[2]  # the last none after it
    return {"across.weight": across, "across.bias": bias[::stride], **_fold_head(weights)}


def _fold_causal(weights: _Weights, causal: CausalShape) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    for i in range(len(causal.dilations)):
        layer = weights / f"layers.{i}"
        scale, shift = _norm(layer / "norm")
        across = layer / "across"
        arrays[f"layers.{i}.weight"] = _taps(across["weight"]) * scale
        arrays[f"layers.{i}.bias"] = across["bias"] * scale + shift
    return {**arrays, **_fold_head(weights)}


def _fold_head(weights: _Weights) -> dict[str, Array]:
    widen, widen_bias = _affine_norm(weights / "widen", weights / "widen_norm")
    classify = weights / "classify"
    return {
        "widen.weight": widen,
        "widen.bias": widen_bias,
        "classify.weight": classify["weight"].T,
        "classify.bias": classify["bias"],
    }
