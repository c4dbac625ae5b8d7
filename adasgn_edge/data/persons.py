"""Who is in a recording: bodies as a tracker saw them, joined to the persons that they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Body"]


@dataclass(frozen=True)
class Body:
    """What the tracker saw under one ID: frames (L,) in which it was seen, ascending; positions (L, V, 3), metres.

    A joint that was not seen in a frame has NaN as coordinates, or the zeros that the tracker wrote.
    """

    frames: NDArray[np.int64]
    positions: NDArray[np.float32]

    @property
    def motion(self) -> float:
        """Variance over time, summed over joints and coordinates, square metres."""
        return float(self.positions.var(axis=0, dtype=np.float64).sum())

    def joined(self, other: Body) -> Body:
        """Both, in the order of time."""
        frames = np.concatenate([self.frames, other.frames])
        order = np.argsort(frames)
        return Body(frames[order], np.concatenate([self.positions, other.positions])[order])
