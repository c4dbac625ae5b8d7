"""The one path from recorded joints to what a model sees: training, evaluation and streaming all call this.

Recorded joints ``(L, V, 3)`` → :func:`complete_recording` → :func:`normalise` (once per recording) → frames picked by
:func:`segment_frames` → :func:`to_stream`. The last two use only indexing and arithmetic, so they take NumPy arrays and
torch tensors on any device alike, and give the same numbers on both.

Symbols: V joints, T frames of a clip, L frames of a recording, C = 3 coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.cleaning import fill_track, seen_bodies
from adasgn_edge.data.persons import whole_body
from adasgn_edge.data.streams import STREAMS, to_stream
from adasgn_edge.errors import ClipError
from adasgn_edge.skeletons import SkeletonLayout

__all__ = [
    "CENTRE",
    "OFFSET_RANGE",
    "STREAMS",
    "as_recording",
    "complete_recording",
    "make_clip",
    "make_clips",
    "normalise",
    "segment_frames",
    "to_stream",
]


OFFSET_RANGE = 1 << 16
"""Offsets inside a segment are integers in [0, OFFSET_RANGE): exact, and equal on every backend."""
CENTRE = OFFSET_RANGE // 2
"""The fixed offset of testing: the middle frame of each segment."""


def as_recording(positions: Any, layout: SkeletonLayout, what: str = "recording") -> NDArray[np.float32]:
    """The recording as float32 ``(L, V, 3)``, what is masked as NaN; its values may be anything.

    Raises ClipError that names `what`: no numbers, a wrong number of dimensions, joints or coordinates, no frames.
    """
    expected = f"expected shape (frames, {layout.joint_count}, 3) for layout {layout.name!r}"
    try:
        if np.ma.isMaskedArray(positions):
            positions = np.ma.filled(positions.astype(np.float32), np.nan)
        with np.errstate(over="ignore"):  # becomes infinite, and is refused as that
            array = np.asarray(positions, dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise ClipError(f"{what}: {expected} of numbers, found {error}") from None
    if array.ndim != 3 or array.shape[1:] != (layout.joint_count, 3):
        raise ClipError(f"{what}: {expected}, found {array.shape}")
    if array.shape[0] == 0:
        raise ClipError(f"{what}: {expected} with at least one frame, found none")
    return np.ascontiguousarray(array)


def complete_recording(positions: Any, layout: SkeletonLayout, what: str = "recording") -> NDArray[np.float32]:
    """One person's recording without absent frames and with missing joints filled (:mod:`adasgn_edge.data.cleaning`).

    What the readers return is complete already and stays as it is. Raises ClipError as they do.
    """
    (body,), _ = seen_bodies([whole_body(as_recording(positions, layout, what))], layout, what)
    return fill_track(body.positions, layout, what)[0]


def normalise(
    positions: NDArray[np.float32], layout: SkeletonLayout, reference: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Move the reference frame's origin to zero and, where the layout says so, scale its bone to length 1.

    positions: (L, V, 3) of one person; reference: (V, 3), by default the first frame (for several persons the
    first person's first frame, so that their relative position stays). Returns float32 (L, V, 3).
    """
    if reference is None:
        reference = positions[0]
    moved = positions - layout.origin_of(reference)
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


def make_clip(
    positions: Any,
    layout: SkeletonLayout,
    frames: int,
    stream: str = "joint",
    reference: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """A recording (L, V, 3) as the clip (T, V, 3) that testing uses; raises ClipError for unusable input.

    reference: as in :func:`normalise`; of several persons, the first one's first frame.
    """
    return _clip_of(complete_recording(positions, layout), layout, frames, stream, reference)


def make_clips(
    tracks: Sequence[Any], layout: SkeletonLayout, frames: int, stream: str = "joint"
) -> NDArray[np.float32]:
    """The persons (L, V, 3) of one recording as clips (M, T, V, 3), normalised by the first one's first frame."""
    complete = [complete_recording(track, layout) for track in tracks]
    return np.stack([_clip_of(track, layout, frames, stream, complete[0][0]) for track in complete])


def _clip_of(
    complete: NDArray[np.float32],
    layout: SkeletonLayout,
    frames: int,
    stream: str,
    reference: NDArray[np.float32] | None,
) -> NDArray[np.float32]:
    """The clip (T, V, 3) of a complete recording (L, V, 3)."""
    moved = normalise(complete, layout, reference)
    picked = segment_frames(len(moved), frames, CENTRE, np.arange(frames))
    return np.ascontiguousarray(to_stream(moved[picked], stream, layout.parents))
