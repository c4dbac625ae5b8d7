"""Recordings played as if they came live: one stamped frame after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.arrays import read_arrays
from adasgn_edge.data.cleaning import seen_bodies
from adasgn_edge.data.clips import holds_lines, read_bodies
from adasgn_edge.data.description import StreamDescription
from adasgn_edge.data.reading import read_lines
from adasgn_edge.data.sources import Orientation
from adasgn_edge.data.stream_frames import StreamFrame, frame_of, is_frame_line, is_header, line_facts
from adasgn_edge.errors import ClipError
from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["file_stamps", "recorded_frames", "recorded_rate"]

STAMPS = "stamps_ns"
"""The array of an .npz file that holds its frames' stamps."""


def recorded_frames(
    path: Path,
    layout: SkeletonLayout,
    description: StreamDescription | None,
    rate: float,
    orientation: Orientation = Orientation(),
) -> Iterator[StreamFrame]:
    """The frames of a recording that `classify` reads, as they would have come: nothing filled in, nobody joined.

    Bodies are called by their numbers in the file. Stamps are those of the file's array ``stamps_ns``, (L,) of an
    .npz, else `rate` frames a second from zero. The file is read at once. Raises as reading a clip does.
    """
    found = [orientation.apply(layout, body) for body in read_bodies(path, layout, description)]
    left = description is not None and description.side == "left"
    stamps = file_stamps(path, max(int(body.frames[-1]) + 1 for body in found)) if found else None
    bodies, _ = seen_bodies(found, layout, str(path))
    numbers = np.unique(np.concatenate([body.frames for body in bodies]))
    places = [dict(zip(body.frames.tolist(), body.positions, strict=True)) for body in bodies]

    def frames() -> Iterator[StreamFrame]:
        for number in numbers.tolist():
            stamp = round(number * 1e9 / rate) if stamps is None else int(stamps[number])
            there = {str(name): place[number] for name, place in enumerate(places) if number in place}
            yield StreamFrame(stamp, there, frozenset(there) if left else frozenset())

    return frames()


def recorded_rate(path: Path) -> float | None:
    """Frames a second of a file that has stamps (an .npz with ``stamps_ns``, lines of a stream); None of others.

    That of the usual time between two frames, so that a gap does not count. Raises what reading the file raises.
    """
    stamps = _line_stamps(path) if holds_lines(path) else _array_stamps(path)
    if stamps is None or stamps.ndim != 1 or len(stamps) < 2:
        return None
    usual = float(np.median(np.diff(stamps.astype(np.int64))))
    return 1e9 / usual if usual > 0 else None


def _line_stamps(path: Path) -> NDArray[np.int64] | None:
    if not is_frame_line(next((line for line in read_lines(path) if line.strip()), "")):
        return None
    facts = [line_facts(line) for line in read_lines(path) if line.strip()]
    return np.array([frame_of(frame)[0] for frame in facts if not is_header(frame)], dtype=np.int64)


def file_stamps(path: Path, frames: int) -> NDArray[np.int64] | None:
    """The stamps (L,), nanoseconds, that an .npz file has of its `frames` frames; None for a file without.

    Raises DatasetError and ClipError for an array that is none of stamps, and what reading the file raises.
    """
    stamps = _array_stamps(path)
    if stamps is None:
        return None
    if stamps.dtype.kind not in "iu" or stamps.shape != (frames,):
        raise ClipError(
            f"{path}: {STAMPS}: expected whole nanoseconds, one for each of {frames} frames, found {stamps.dtype} of "
            f"shape {stamps.shape}"
        )
    return stamps.astype(np.int64)


def _array_stamps(path: Path) -> NDArray[Any] | None:
    """The array of stamps in an .npz file as it is there."""
    if path.suffix.lower() != ".npz":
        return None
    return read_arrays(path, STAMPS).get(STAMPS)
