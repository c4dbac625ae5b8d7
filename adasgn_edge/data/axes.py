"""Words for where axes point and how long a unit is.

Directions are those of somebody who faces the sensor, or who wears it: ``right`` is the performer's right, which is the
left of a picture that was not mirrored; ``back`` leads from the camera to the performer and away.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.errors import SourceError
from adasgn_edge.wording import listed, shown

__all__ = [
    "AXES_MAY_BE", "DIRECTIONS", "NAMED_AXES", "UNITS", "UNITS_MAY_BE", "Axes", "axes_text", "handedness",
    "parse_axes", "parse_direction", "parse_units", "to_model", "units_text",
]  # fmt: skip

Axes = tuple[str, str, str]
"""Where x, y and z point."""

DIRECTIONS = {
    "right": (1, 0, 0), "left": (-1, 0, 0),
    "up": (0, 1, 0), "down": (0, -1, 0),
    "back": (0, 0, 1), "forward": (0, 0, -1),
}  # fmt: skip
"""In the axes of the layouts, which are right, up, back."""
NAMED_AXES: dict[str, Axes] = {
    "model": ("right", "up", "back"),
    "optical": ("left", "down", "back"),
    "ros": ("back", "right", "up"),
}
"""As the layouts have them (OpenXR too); x right in the picture, y down, z away (OpenCV); REP-103's x ahead of the
camera, y to its left, z up."""
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254, "ft": 0.3048}
"""Metres of one unit."""
LARGEST_UNIT = 1e6
AXES_MAY_BE = "optical, ros, model, or where x, y and z point, such as 'left down back'"
UNITS_MAY_BE = "m, cm, mm, in, ft, or the metres of one unit as a number"


def parse_axes(value: Any, what: str = "axes") -> Axes:
    """Three words, from a name of axes, a text of three words or a list of them; raises SourceError for others."""
    if isinstance(value, str) and value.strip().lower() in NAMED_AXES:
        return NAMED_AXES[value.strip().lower()]
    words = value.lower().replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or len(words) != 3 or not all(isinstance(word, str) for word in words):
        raise SourceError(f"{what}: expected {AXES_MAY_BE}; found {shown(value)}")
    for word in words:
        if word not in DIRECTIONS:
            raise SourceError(f"{what}: expected {listed(list(DIRECTIONS))}; found {shown(word)}")
    axes: Axes = (words[0], words[1], words[2])
    if abs(np.linalg.det(to_model(axes))) < 0.5:
        raise SourceError(f"{what}: expected one of right and left, one of up and down, one of back and forward; "
                          f"found {' '.join(axes)}")  # fmt: skip
    return axes


def axes_text(axes: Axes) -> str:
    """The axes' name, or their words."""
    return next((name for name, words in NAMED_AXES.items() if words == axes), " ".join(axes))


def to_model(axes: Axes) -> NDArray[np.float64]:
    """(3, 3) that positions in these axes, as rows, are multiplied by to have the layouts' axes."""
    return np.array([DIRECTIONS[word] for word in axes], dtype=np.float64)


def handedness(axes: Axes) -> str:
    """Of the coordinates: "right" or "left"."""
    return "right" if np.linalg.det(to_model(axes)) > 0 else "left"


def parse_units(value: Any, what: str = "units") -> float:
    """Metres of one unit. Raises SourceError for anything else."""
    if isinstance(value, str):
        text = value.strip().lower()
        if text in UNITS:
            return UNITS[text]
        if text in ("px", "pixel", "pixels"):
            raise SourceError(f"{what}: expected {UNITS_MAY_BE}; found {shown(value)}: a model of 3-D recordings does "
                              "not know a picture's pixels")  # fmt: skip
        try:
            value = float(text)
        except ValueError:
            raise SourceError(f"{what}: expected {UNITS_MAY_BE}; found {shown(value)}") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < LARGEST_UNIT:
        raise SourceError(f"{what}: expected {UNITS_MAY_BE}; found {shown(value)}")
    return float(value)


def units_text(metres: float) -> str:
    """The units' name, or their metres as a number."""
    return next((name for name, factor in UNITS.items() if factor == metres), f"{metres:g}")


def parse_direction(value: Any, what: str) -> tuple[float, float, float]:
    """Three finite numbers, not all zero, of a text or a list. Raises SourceError for anything else."""
    found = value.replace(",", " ").split() if isinstance(value, str) else value
    try:
        x, y, z = (float(entry) for entry in found if not isinstance(entry, bool))
    except (TypeError, ValueError, OverflowError):
        x = y = z = math.nan
    if not math.isfinite(length := math.hypot(x, y, z)) or length == 0:
        raise SourceError(f"{what}: expected three numbers that point somewhere; found {shown(value)}")
    return x, y, z
