"""Writes ``.skeleton`` files in the text format of NTU RGB+D."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Frame = Sequence[tuple[str, NDArray[np.float64]]]
"""The bodies of a frame: ID and (25, 3) positions."""

FIRST, SECOND, THIRD = "72057594037931101", "72057594037931102", "72057594037931103"
"""IDs as the sensor gives them: above 2^53, so not distinct as floats."""


def skeleton_text(frames: Sequence[Frame]) -> str:
    """The text of a file."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for body, positions in bodies:
            lines += [f"{body} 0 1 1 1 1 0 0.02764709 0.05745083 2", str(len(positions))]
            for x, y, z in positions:
                lines.append(f"{x:.7g} {y:.7g} {z:.7g} 277.419 191.8202 1036.233 519.1677 -0.1 0.03 0.99 -0.03 2")
    return "\n".join(lines) + "\n"


def write_skeleton(path: Path, frames: Sequence[Frame]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(skeleton_text(frames), encoding="ascii")
    return path


def body_track(length: int, seed: int = 0, width: float = 0.5, height: float = 1.7, motion: float = 0.05):
    """Positions (length, 25, 3) of something of that width and height that moves about."""
    random = np.random.default_rng(seed)
    pose = random.uniform(-0.5, 0.5, (25, 3)) * [width, height, 0.3] + [0, 0, 3]
    pose[0, :2], pose[1, :2] = [-width / 2, -height / 2], [width / 2, height / 2]
    return pose + motion * random.standard_normal((length, 1, 3))


def frames_of(length: int, **tracks: tuple[str, int, NDArray[np.float64]]) -> list[Frame]:
    """`length` frames; each track is (ID, first frame, positions)."""
    frames: list[list[tuple[str, NDArray[np.float64]]]] = [[] for _ in range(length)]
    for body, first, positions in tracks.values():
        for frame, joints in enumerate(positions, first):
            frames[frame].append((body, joints))
    return frames
