"""Writes folders of recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from adasgn_edge.skeletons import load_layout

JOINTS = load_layout("kinect20").joint_count


def track(length: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(length, JOINTS, 3)).astype(np.float32)


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
