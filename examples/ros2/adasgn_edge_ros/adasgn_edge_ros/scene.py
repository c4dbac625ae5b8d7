"""What passes between messages and the recogniser: a moment of the stream, and what came of it. NumPy alone.

Symbols: S joints of the source, V joints of the model's layout. A joint that was not seen is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Body", "Gesture", "Moment", "Picture", "Refusal", "Scene", "SceneEvent"]


@dataclass(frozen=True)
class Moment:
    """Everybody in sight at a stamp: joints (S, 3) by track, in the axes and units of the source."""

    stamp_ns: int
    frame_id: str
    tracks: dict[int, NDArray[np.float32]]


@dataclass(frozen=True)
class Picture:
    """One body in a picture: points (S, 2), shares of its width and height from the upper left corner."""

    stamp_ns: int
    frame_id: str
    points: NDArray[np.float32]


@dataclass(frozen=True)
class Gesture:
    """One that goes on. score: the newest smoothed probability of its label that was told."""

    id: int
    label: str
    score: float


@dataclass(frozen=True)
class Body:
    """joints: (V, 3) of the layout, metres, in the axes of the message it came in."""

    track: int
    joints: NDArray[np.float32]
    gesture: Gesture | None


@dataclass(frozen=True)
class SceneEvent:
    """What happened to a gesture; as of :class:`adasgn_edge.recogniser.GestureEvent`, its label by name."""

    kind: str
    id: int
    track: int
    label: str
    confidence: float
    start_ns: int
    end_ns: int
    decided_ns: int
    lost: bool


@dataclass(frozen=True)
class Scene:
    """What came of a message; stamp and frame are its own."""

    stamp_ns: int
    frame_id: str
    bodies: list[Body]
    events: list[SceneEvent] = field(default_factory=list)


@dataclass(frozen=True)
class Refusal:
    """A message that was not used, and why. kind: the count that it belongs to."""

    kind: str
    reason: str
