"""The one path from recorded joints to what a model sees: training, evaluation and streaming all call this.

Recorded joints ``(L, V, 3)`` → :func:`normalise` (once per recording) → frames picked by :func:`segment_frames`
→ :func:`to_stream`. The last two use only indexing and arithmetic, so they take NumPy arrays and torch tensors on
any device alike, and give the same numbers on both.

Symbols: V joints, T frames of a clip, L frames of a recording, C = 3 coordinates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.errors import ClipError
from adasgn_edge.skeletons import SkeletonLayout

__all__ = [
    "CENTRE",
    "OFFSET_RANGE",
    "STREAMS",
    "check_recording",
    "make_clip",
    "normalise",
    "segment_frames",
    "to_stream",
]

STREAMS = ("joint", "bone", "velocity")

OFFSET_RANGE = 1 << 16
"""Offsets inside a segment are integers in [0, OFFSET_RANGE): exact, and equal on every backend."""
CENTRE = OFFSET_RANGE // 2
"""The fixed offset of testing: the middle frame of each segment."""


def check_recording(positions: Any, layout: SkeletonLayout, what: str = "recording") -> NDArray[np.float32]:
    """The recording as float32 ``(L, V, 3)``; raises ClipError that names `what`, the expectation and the finding.

    Refused: a wrong number of dimensions, joints or coordinates, no frames, NaN or infinity.
    """
    try:
        array = np.asarray(positions, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ClipError(f"{what}: expected numbers of shape (frames, {layout.joint_count}, 3), found {error}") from None
    expected = f"expected shape (frames, {layout.joint_count}, 3) for layout {layout.name!r}"
    if array.ndim != 3 or array.shape[1:] != (layout.joint_count, 3):
        raise ClipError(f"{what}: {expected}, found {array.shape}")
    if array.shape[0] == 0:
        raise ClipError(f"{what}: {expected} with at least one frame, found none")
    bad = ~np.isfinite(array).all(axis=(1, 2))
    if bad.any():
        frame = int(np.argmax(bad))
        joint = layout.joints[int(np.argmax(~np.isfinite(array[frame]).all(axis=1)))]
        raise ClipError(
            f"{what}: expected finite coordinates, found NaN or infinity in {int(bad.sum())} of {len(array)} frames, "
            f"first in frame {frame}, joint {joint!r}"
        )
    return np.ascontiguousarray(array)


def normalise(
    positions: NDArray[np.float32], layout: SkeletonLayout, reference: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Move the reference frame's origin joint to zero and, where the layout says so, scale its bone to length 1.

    positions: (L, V, 3) of one person; reference: (V, 3), by default the first frame (for several persons the
    first person's first frame, so that their relative position stays). Returns float32 (L, V, 3).
    """
    if reference is None:
        reference = positions[0]
    moved = positions - reference[layout.index(layout.origin)]
    if layout.scale_bone is not None:
        first, second = (layout.index(joint) for joint in layout.scale_bone)
        length = float(np.linalg.norm(reference[second].astype(np.float64) - reference[first]))
        if length < 1e-6:
            bone = " to ".join(layout.scale_bone)
            raise ClipError(f"expected the first frame's bone from {bone} to be longer than 1e-6, found {length:g}")
        moved = moved / np.float32(length)
    return moved


def segment_frames(length: Any, frames: int, offset: Any, segment: Any) -> Any:
    """Index of the frame taken from each of `frames` equal segments of a recording.

    length: number of recorded frames L, an integer or integer array; offset: integers in [0, OFFSET_RANGE), random in
    training, CENTRE in testing; segment: 0 … frames-1. All broadcast; returns int64 indices in [0, L).
    A recording shorter than `frames` has its frames repeated.
    """
    return (segment * OFFSET_RANGE + offset) * length // (frames * OFFSET_RANGE)


def to_stream(clip: Any, stream: str, parents: Any) -> Any:
    """Turn joint positions ``(..., T, V, 3)`` into the input of a stream; same shape.

    joint: as they are. bone: joint minus its parent (`parents`: (V,) indices, the root its own parent).
    velocity: frame minus the frame before, zero for the first.
    """
    if stream == "joint":
        return clip
    if stream == "bone":
        return clip - clip[..., parents, :]
    if stream == "velocity":
        previous = [0, *range(clip.shape[-3] - 1)]
        return clip - clip[..., previous, :, :]
    raise ClipError(f"expected a stream among {', '.join(STREAMS)}, found {stream!r}")


def make_clip(
    positions: NDArray[np.float32],
    layout: SkeletonLayout,
    frames: int,
    stream: str = "joint",
    reference: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """A recording (L, V, 3) as the clip (T, V, 3) that testing uses; raises ClipError for unusable input.

    reference: as in :func:`normalise`; of several persons, the first one's first frame.
    """
    checked = normalise(check_recording(positions, layout), layout, reference)
    picked = segment_frames(len(checked), frames, CENTRE, np.arange(frames))
    return np.ascontiguousarray(to_stream(checked[picked], stream, layout.parents))
