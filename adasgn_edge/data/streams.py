"""The input streams of a model: joint, bone and velocity."""

from __future__ import annotations

from typing import Any

from adasgn_edge.errors import ClipError

__all__ = ["STREAMS", "to_stream"]

STREAMS = ("joint", "bone", "velocity")


def to_stream(clip: Any, stream: str, parents: Any) -> Any:
    """Turn joint positions ``(..., T, V, 3)`` into the input of a stream; same shape.

    joint: as they are. bone: joint minus its parent (`parents`: (V,) indices, the root its own parent), the root as
    it is, since the way through space is in no bone. velocity: frame minus the frame before, zero for the first.
    """
    if stream == "joint":
        return clip
    if stream == "bone":
        roots = [joint for joint, parent in enumerate(parents.tolist()) if parent == joint]
        bones = clip - clip[..., parents, :]
        bones[..., roots, :] = clip[..., roots, :]
        return bones
    if stream == "velocity":
        previous = [0, *range(clip.shape[-3] - 1)]
        return clip - clip[..., previous, :, :]
    raise ClipError(f"expected a stream among {', '.join(STREAMS)}, found {stream!r}")
