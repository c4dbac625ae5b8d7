"""Writes text tables of a clip, and what reading them must give."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from adasgn_edge.data.clips import read_bodies
from adasgn_edge.data.persons import Body
from adasgn_edge.errors import AdaSGNError, ClipError
from adasgn_edge.hands import animate
from adasgn_edge.skeletons import load_layout

LAYOUT = load_layout("shrec22")
V = LAYOUT.joint_count
CLIP = np.round(animate("Swipe Up", seed=3), 5)[:24]  # (L, V, 3), as many digits as are written
NAMES = [f"{joint}_{axis}" for joint in LAYOUT.joints for axis in "xyz"]
ROWS = [[f"{number:.5f}" for number in frame.ravel()] for frame in CLIP]
OTHER = np.round(CLIP + np.float32([1, 0, 0.5]), 5)


def write(path: Path, rows: Sequence[Sequence[object]], header: Sequence[str] | None = None, sep: str = ",") -> Path:
    lines = [sep.join(map(str, row)) for row in ([header] if header else []) + list(rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def bodies(path: Path, **options: str) -> list[Body]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_bodies(path, LAYOUT, **options)


def check(path: Path, expected: np.ndarray = CLIP) -> Body:
    (body,) = bodies(path)
    np.testing.assert_allclose(body.positions, expected, atol=1e-6)
    return body


def refuse(path: Path, message: str, error: type[AdaSGNError] = ClipError) -> str:
    with pytest.raises(error, match=message) as caught:
        read_bodies(path, LAYOUT)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).replace(str(path), "")) < 500
    return str(caught.value)
