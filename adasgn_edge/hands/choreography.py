"""What each gesture is: key poses of the hand and when they are reached.

The order of strokes, their usual reach and how long a gesture takes follow how people perform the SHREC'17 gestures
in front of a camera; the numbers are round on purpose. A gesture has one or more variants (an X may begin at either
upper corner, a V be drawn from either side).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.shrec import GESTURES

__all__ = ["CHANNELS", "CHOREOGRAPHY", "GESTURES", "Choreography", "minimum_jerk"]

CHANNELS = ("x", "y", "z", "lean", "pitch", "roll", "fist", "spread")
"""What a key pose sets: wrist displacement from the start (metres), turns from the resting hand (degrees, see
kinematics.Posture), how far the gesturing fingers close (0 open, 1 fist) and spread."""

Key = tuple[float, dict[str, float]]
"""When (0 = the movement begins, 1 = it ends) and the channels that are to have a value then; others are on their way
to the next key that names them, or stay."""


@dataclass(frozen=True)
class Choreography:
    """One gesture. seconds: the usual length of its movement; variants: key poses; start: channels at the beginning."""

    seconds: float
    variants: tuple[tuple[Key, ...], ...]
    start: dict[str, float] = field(default_factory=dict)


def _mirrored(keys: tuple[Key, ...]) -> tuple[Key, ...]:
    """The same strokes with left and right exchanged."""
    return tuple((time, {**pose, "x": -pose["x"]} if "x" in pose else pose) for time, pose in keys)


def _shake(swings: int) -> tuple[Key, ...]:
    """A hand waved from side to side about the wrist, `swings` times there and back."""
    keys: list[Key] = []
    for swing in range(2 * swings):
        side = 1 if swing % 2 else -1
        keys.append(((swing + 1) / (2 * swings + 1), {"lean": 25.0 * side, "roll": -10.0 * side, "x": -0.015 * side}))
    return (*keys, (1.0, {"lean": 0.0, "roll": 0.0, "x": 0.0}))


_X: tuple[Key, ...] = (
    (0.32, {"x": 0.18, "y": -0.19, "z": -0.02, "lean": -12.0}),
    (0.62, {"x": -0.06, "y": -0.17, "lean": 10.0}),
    (1.00, {"x": 0.16, "y": 0.02, "z": 0.0, "lean": -12.0}),
)
_X_FROM_RIGHT: tuple[Key, ...] = (
    (0.32, {"x": -0.22, "y": -0.18, "z": -0.03, "lean": 18.0, "pitch": 12.0}),
    (0.60, {"x": -0.24, "y": 0.03, "lean": 20.0, "pitch": 0.0}),
    (1.00, {"x": 0.04, "y": -0.15, "z": 0.0, "lean": -8.0, "pitch": 12.0}),
)
_V: tuple[Key, ...] = (
    (0.50, {"x": 0.12, "y": -0.19, "pitch": 10.0}),
    (1.00, {"x": 0.24, "y": 0.0, "lean": -10.0, "pitch": 0.0}),
)

CHOREOGRAPHY: dict[str, Choreography] = {
    "Grab": Choreography(1.7, ((
        (0.30, {"fist": 0.0, "spread": 0.8}),
        (0.45, {"x": -0.12, "y": 0.11, "z": -0.165, "pitch": 12.0, "lean": 10.0}),
        (0.68, {"fist": 0.75, "spread": 0.0}),
        (1.00, {"x": 0.0, "y": 0.01, "z": 0.0, "pitch": 0.0, "lean": 0.0, "fist": 0.5}),
    ),)),
    "Tap": Choreography(1.0, ((
        (0.50, {"x": -0.05, "z": -0.07, "pitch": 26.0, "lean": 8.0, "fist": 0.1}),
        (0.60, {"y": 0.05}),
        (1.00, {"x": -0.02, "y": 0.025, "z": -0.02, "pitch": 3.0, "lean": 0.0, "fist": 0.0}),
    ),)),
    "Expand": Choreography(0.7, ((
        (1.00, {"fist": 0.0, "spread": 1.0, "y": 0.03, "z": -0.02, "x": -0.015}),
    ),), {"fist": 0.8}),
    "Pinch": Choreography(0.7, ((
        (1.00, {"fist": 0.7, "spread": 0.0, "pitch": 4.0, "lean": 6.0}),
    ),), {"spread": 0.8}),
    "Rotation Clockwise": Choreography(1.8, ((
        (0.35, {"lean": -12.0}),
        (0.65, {"pitch": 50.0, "roll": 105.0, "x": -0.03, "y": 0.035, "z": -0.03}),
        (1.00, {"lean": 4.0, "pitch": 24.0, "roll": 55.0, "x": -0.02, "y": 0.01, "z": -0.02}),
    ),)),
    "Rotation Counter-Clockwise": Choreography(1.8, ((
        (0.70, {"lean": 75.0, "pitch": 12.0, "roll": -15.0, "x": -0.01, "y": 0.10, "z": -0.035}),
        (1.00, {"lean": 40.0, "pitch": 6.0, "roll": -8.0, "y": 0.06, "z": -0.02}),
    ),)),
    "Swipe Right": Choreography(1.5, ((
        (0.20, {"x": -0.02, "roll": 10.0}),
        (0.62, {"x": 0.22, "z": 0.015, "lean": -16.0, "pitch": 14.0, "roll": 25.0}),
        (1.00, {"x": 0.13, "lean": -6.0, "pitch": 6.0, "roll": 10.0}),
    ),)),
    "Swipe Left": Choreography(1.5, ((
        (0.20, {"x": 0.02, "lean": -10.0, "roll": 15.0}),
        (0.60, {"x": -0.25, "y": 0.02, "z": -0.045, "lean": 20.0, "pitch": 14.0, "roll": 50.0}),
        (1.00, {"x": -0.12, "y": 0.005, "z": -0.02, "lean": 6.0, "pitch": 4.0, "roll": 25.0}),
    ),)),
    "Swipe Up": Choreography(1.4, ((
        (0.10, {"y": -0.01}),
        (0.60, {"y": 0.19, "z": -0.02, "pitch": -6.0}),
        (1.00, {"y": 0.12, "pitch": 0.0}),
    ),)),
    "Swipe Down": Choreography(1.4, ((
        (0.15, {"y": 0.02}),
        (0.65, {"x": -0.03, "y": -0.16, "z": -0.05, "pitch": 20.0}),
        (1.00, {"x": -0.02, "y": -0.11, "z": -0.03, "pitch": 8.0}),
    ),)),
    "Swipe X": Choreography(2.6, (_X, _X_FROM_RIGHT)),
    "Swipe +": Choreography(2.7, ((
        (0.32, {"x": 0.0, "y": -0.19, "z": -0.03, "lean": 0.0, "pitch": 8.0}),
        (0.62, {"x": -0.17, "y": -0.07, "lean": 12.0, "pitch": 2.0}),
        (1.00, {"x": 0.14, "y": -0.06, "z": 0.0, "lean": -10.0}),
    ),)),
    "Swipe V": Choreography(2.1, (_V, _mirrored(_V))),
    "Shake": Choreography(1.9, (_shake(3), _shake(4), _shake(5))),
}  # fmt: skip


def minimum_jerk(keys: tuple[Key, ...], start: dict[str, float], time: NDArray[np.float64]) -> NDArray[np.float64]:
    """Channel values (L, channels) at times (L,): each channel goes through the keys that name it with least jerk.

    Between two keys the way is 10τ³ - 15τ⁴ + 6τ⁵ (Flash and Hogan, 1985): it begins and ends at rest, as hands do
    where a stroke ends. Before time 0 a channel has its start value, after its last key that key's value.
    """
    values = np.zeros((len(time), len(CHANNELS)))
    for column, channel in enumerate(CHANNELS):
        way = [(0.0, start.get(channel, 0.0)), *((when, pose[channel]) for when, pose in keys if channel in pose)]
        values[:, column] = way[0][1]
        for (left, before), (reached, after) in pairwise(way):
            tau = np.clip((time - left) / (reached - left), 0.0, 1.0)
            values[:, column] += (after - before) * tau**3 * (10 + tau * (6 * tau - 15))
    return values
