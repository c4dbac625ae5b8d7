"""What a recording lacks and how that is made good: absent persons, absent frames, missing joints.

One rule for every reader, for `classify`, `convert`, `train` and streaming.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.persons import Body
from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["MISSING_CHOICES", "Cleaning", "clean_recording"]

MISSING_CHOICES = ("fill", "error")


@dataclass(frozen=True)
class Cleaning:
    """What was made good in one recording or in many; adding two adds their counts.

    filled_joints: joints of single frames that were not seen and filled; absent_frames: frames of a person without any
    joint, left out; absent_persons: persons without any joint in any frame; strays: bodies too short to be a person.
    """

    filled_joints: int = 0
    absent_frames: int = 0
    absent_persons: int = 0
    strays: int = 0

    def __add__(self, other: Cleaning) -> Cleaning:
        return Cleaning(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


def clean_recording(
    bodies: Sequence[Body], layout: SkeletonLayout, missing: str = "fill", what: str = "recording"
) -> tuple[list[NDArray[np.float32]], Cleaning]:
    """The persons of a recording as tracks (L, V, 3), the most mobile first, and what was made good.

    missing: "fill" or "error". Raises ClipError that names `what`.
    """
    raise NotImplementedError
