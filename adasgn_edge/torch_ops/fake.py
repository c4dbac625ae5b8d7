"""Fake kernels: what the ops return, as shapes and types, without running them; torch.compile traces with them.

They check what the compiled ops check of shapes, types and devices, in the same words; what depends on values
(finite coordinates, branch numbers, the engine's largest batch) shows when the op runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from adasgn_edge.model.config import COORDINATES, FEATURE

__all__ = ["LOADED", "Facts"]


@dataclass(frozen=True, eq=False)
class Facts:
    """What the results' shapes depend on: T frames, V joints, K classes, A branches."""

    device: torch.device
    frames: int
    joints: int
    classes: int
    branches: int


LOADED: WeakValueDictionary[int, Facts] = WeakValueDictionary()
"""By the engine's name; an entry lasts as long as the engine's owner keeps it."""


@torch.library.register_fake("adasgn_edge::temporal_head")
def _temporal_head(features: Tensor, engine: int) -> Tensor:
    facts = _facts(engine)
    _expect("features", features, facts.device, torch.float32, "B", facts.frames, FEATURE)
    return features.new_empty((features.shape[0], facts.classes))


@torch.library.register_fake("adasgn_edge::policy_features")
def _policy_features(frames: Tensor, previous: Tensor | None, engine: int) -> Tensor:
    _expect_frames(_facts(engine), frames, previous)
    return frames.new_empty((frames.shape[0], FEATURE))


@torch.library.register_fake("adasgn_edge::policy_actions")
def _policy_actions(features: Tensor, engine: int) -> tuple[Tensor, Tensor]:
    facts = _facts(engine)
    _expect("features", features, facts.device, torch.float32, "B", facts.frames, FEATURE)
    shape = features.shape[:2]
    return features.new_empty(shape, dtype=torch.int32), features.new_empty((*shape, facts.branches))


@torch.library.register_fake("adasgn_edge::branch_forward")
def _branch_forward(frames: Tensor, previous: Tensor | None, branch: int, engine: int) -> Tensor:
    facts = _facts(engine)
    if not 0 <= branch < facts.branches:
        raise ValueError(f"branch: expected 0 to {facts.branches - 1}, found {branch}")
    _expect_frames(facts, frames, previous)
    return frames.new_empty((frames.shape[0], FEATURE))


@torch.library.register_fake("adasgn_edge::branch_features")
def _branch_features(
    frames: Tensor, previous: Tensor | None, actions: Tensor, policy_features: Tensor | None, engine: int
) -> Tensor:
    facts = _facts(engine)
    _expect_frames(facts, frames, previous)
    count = frames.shape[0]
    _expect("actions", actions, facts.device, torch.int32, count)
    if policy_features is not None:
        _expect("policy_features", policy_features, facts.device, torch.float32, count, FEATURE)
    return frames.new_empty((count, FEATURE))


@torch.library.register_fake("adasgn_edge::route")
def _route(actions: Tensor, branches: int) -> tuple[Tensor, Tensor]:
    _expect("actions", actions, actions.device, torch.int32, "N")
    return actions.new_empty(actions.shape), actions.new_empty((branches + 1,))


@torch.library.register_fake("adasgn_edge::gather")
def _gather(values: Tensor, order: Tensor) -> Tensor:
    if values.ndim == 0:
        raise ValueError("values: expected shape (N, …), found a scalar")
    _expect("order", order, values.device, torch.int32, "n")
    return values.new_empty((order.shape[0], *values.shape[1:]))


@torch.library.register_fake("adasgn_edge::scatter")
def _scatter(values: Tensor, order: Tensor, count: int) -> Tensor:
    _expect("order", order, values.device, torch.int32, "n")
    if values.ndim == 0 or values.shape[0] != order.shape[0]:
        found = f"{tuple(values.shape)} and {tuple(order.shape)}"
        raise ValueError(f"values: expected shape (n, …) with a row for each of order (n,), found {found}")
    return values.new_empty((count, *values.shape[1:]))


@torch.library.register_fake("adasgn_edge::run")
def _run(clips: Tensor, engine: int, features: bool = False, threshold: float = -1.0) -> tuple[Tensor, Tensor, Tensor]:
    facts = _facts(engine)
    _expect_clips(facts, clips)
    frames = clips.shape[:-2]
    return (
        clips.new_empty((clips.shape[0], facts.classes)),
        clips.new_empty(frames, dtype=torch.int32),
        clips.new_empty((*frames, FEATURE if features else 0)),
    )


@torch.library.register_fake("adasgn_edge::run_forced")
def _run_forced(clips: Tensor, actions: Tensor, engine: int, features: bool = False) -> tuple[Tensor, Tensor]:
    facts = _facts(engine)
    _expect_clips(facts, clips)
    frames = clips.shape[:-2]
    _expect("actions", actions, facts.device, torch.int32, *frames)
    logits = clips.new_empty((clips.shape[0], facts.classes))
    return logits, clips.new_empty((*frames, FEATURE if features else 0))


@torch.library.register_fake("adasgn_edge::run_fuse")
def _run_fuse(clips: Tensor, engine: int) -> Tensor:
    facts = _facts(engine)
    _expect_clips(facts, clips)
    return clips.new_empty((clips.shape[0], facts.classes))


def _facts(engine: int) -> Facts:
    facts = LOADED.get(engine)
    if facts is None:
        raise ValueError(
            f"engine: expected the name of an engine that this process has loaded and not yet released, found {engine}"
        )
    return facts


def _expect(
    name: str, tensor: Tensor, device: torch.device, dtype: torch.dtype, *shape: str | int | torch.SymInt
) -> None:
    """Refuse a tensor of another device, type or shape; a symbol in the shape stands for any extent."""
    if tensor.device != device:
        raise ValueError(f"{name}: expected a tensor on {device}, found {tensor.device}")
    if tensor.dtype != dtype:
        expected, found_type = (str(one).removeprefix("torch.") for one in (dtype, tensor.dtype))
        raise ValueError(f"{name}: expected {expected}, found {found_type}")
    found: Sequence[int | torch.SymInt] = tensor.shape
    if len(found) != len(shape) or any(not isinstance(a, str) and a != b for a, b in zip(shape, found, strict=True)):
        raise ValueError(f"{name}: expected shape ({', '.join(map(str, shape))}), found {tuple(found)}")


def _expect_frames(facts: Facts, frames: Tensor, previous: Tensor | None) -> None:
    _expect("frames", frames, facts.device, torch.float32, "N", facts.joints, COORDINATES)
    if previous is not None:
        _expect("previous", previous, facts.device, torch.float32, frames.shape[0], facts.joints, COORDINATES)


def _expect_clips(facts: Facts, clips: Tensor) -> None:
    leading = ("B", "P") if clips.ndim == 5 else ("B",)
    _expect("clips", clips, facts.device, torch.float32, *leading, facts.frames, facts.joints, COORDINATES)
