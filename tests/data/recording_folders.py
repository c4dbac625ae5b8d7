"""Writes folders of recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from adasgn_edge.skeletons import load_layout

JOINTS = load_layout("kinect20").joint_count


STANDING = np.array(
    [
        [0, 0, 0], [0, 0.2, 0], [0, 0.5, 0], [0, 0.7, 0],
        [-0.2, 0.5, 0], [-0.3, 0.25, 0], [-0.3, 0, 0], [-0.3, -0.1, 0],
        [0.2, 0.5, 0], [0.3, 0.25, 0], [0.3, 0, 0], [0.3, -0.1, 0],
        [-0.1, -0.05, 0], [-0.1, -0.45, 0], [-0.1, -0.85, 0], [-0.1, -0.9, -0.2],
        [0.1, -0.05, 0], [0.1, -0.45, 0], [0.1, -0.85, 0], [0.1, -0.9, -0.2],
    ]
)  # fmt: skip
"""Somebody who stands, (20, 3) metres, joints as in kinect20."""


def track(length: int = 6, seed: int = 0) -> np.ndarray:
    """Somebody who stands and fidgets, (length, 20, 3)."""
    fidgeting = np.random.default_rng(seed).normal(scale=0.1, size=(length, JOINTS, 3))
    return (STANDING + np.array([0.3, 0.4, 2.5]) + fidgeting).astype(np.float32)


def write_folder(
    folder: Path, table: str | bytes, clips: Sequence[str] = (), layout: str = '"kinect20"', classes: str | None = None
) -> Path:
    """A folder with a table and clips, of which no two are alike."""
    folder.mkdir(exist_ok=True)
    (folder / "layout.json").write_text(layout)
    (folder / "labels.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    if classes is not None:
        (folder / "classes.txt").write_text(classes, encoding="utf-8")
    for number, name in enumerate(clips):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        np.savez(folder / name, positions=track(seed=number))
    return folder
