"""Forward kinematics of a right hand: joint angles and wrist pose to the 22 joints of layout shrec22.

Coordinates, in metres, are those of a depth camera facing the performer, seen with the performer's eyes: x to the
performer's right, y up, z from the camera towards the performer. The neutral hand points up with its palm to the
camera, the thumb at negative x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FINGERS", "HandShape", "Posture", "forward_kinematics"]

FINGERS = ("thumb", "index", "middle", "ring", "little")

# An adult hand; wrist to middle knuckle is 10 cm. Rows: the finger's base joint (x, y, z) in the hand's own frame,
# then the lengths of its three bones, metres.
_PALM = (0.0, 0.050, 0.0)
_BASE = ((-0.018, 0.016, -0.002), (-0.023, 0.095, 0.0), (0.0, 0.100, 0.0), (0.019, 0.092, 0.0), (0.036, 0.080, 0.0))
_BONES = (
    (0.042, 0.036, 0.025),
    (0.045, 0.025, 0.020),
    (0.049, 0.029, 0.021),
    (0.046, 0.026, 0.021),
    (0.037, 0.020, 0.017),
)

# Angles in degrees of an open hand and of a fist, for each of a finger's three joints.
_FINGER_OPEN, _FINGER_FIST = (0.0, 3.0, 2.0), (62.0, 88.0, 55.0)
_THUMB_ABDUCTION_OPEN, _THUMB_ABDUCTION_FIST = (52.0, 44.0, 34.0), (34.0, 8.0, -14.0)  # from the hand's axis, outwards
_THUMB_OPPOSITION_OPEN, _THUMB_OPPOSITION_FIST = (8.0, 12.0, 14.0), (30.0, 36.0, 38.0)  # out of the palm's plane
_SPREAD = (0.0, 9.0, 1.0, -6.0, -14.0)  # of fully spread fingers, from the hand's axis towards the thumb


@dataclass(frozen=True)
class HandShape:
    """One subject's hand. size: 1 = wrist to middle knuckle 10 cm; bones: (5, 3) each bone relative to that size."""

    size: float
    bones: NDArray[np.float64]

    @classmethod
    def average(cls) -> HandShape:
        """The adult hand of this module's table."""
        return cls(1.0, np.ones((len(FINGERS), 3)))


@dataclass(frozen=True)
class Posture:
    """L moments of a hand.

    wrist: (L, 3) position, metres; lean, pitch, roll: (L,) degrees, the hand tilts to the performer's left, tips
    forward (to the camera), and turns its palm to the performer's left; closing: (L, 5) each finger from open (0) to
    fist (1); spread: (L,) from fingers side by side (0) to spread (1).
    """

    wrist: NDArray[np.float64]
    lean: NDArray[np.float64]
    pitch: NDArray[np.float64]
    roll: NDArray[np.float64]
    closing: NDArray[np.float64]
    spread: NDArray[np.float64]


def forward_kinematics(posture: Posture, shape: HandShape | None = None) -> NDArray[np.float64]:
    """Joint positions (L, 22, 3) of a posture: wrist, palm, then four joints from base to tip of each finger."""
    shape = shape or HandShape.average()
    moments = len(posture.wrist)
    joints = np.zeros((moments, 2 + 4 * len(FINGERS), 3))
    joints[:, 1] = _PALM
    for finger, base in enumerate(_BASE):
        outwards, bent = _bone_angles(finger, posture.closing[:, finger], posture.spread)  # (L, 3) both, radians
        direction = np.stack(
            [-np.sin(outwards) * np.cos(bent), np.cos(outwards) * np.cos(bent), -np.sin(bent)], axis=-1
        )
        bones = direction * (np.asarray(_BONES[finger]) * shape.bones[finger])[:, None]  # (L, 3 bones, 3)
        first = 2 + 4 * finger
        joints[:, first] = base
        joints[:, first + 1 : first + 4] = np.asarray(base) + np.cumsum(bones, axis=1)
    rotation = _rotation(posture.lean, "z") @ _rotation(-posture.pitch, "x") @ _rotation(posture.roll, "y")
    return shape.size * joints @ rotation.transpose(0, 2, 1) + posture.wrist[:, None]


def _bone_angles(
    finger: int, closing: NDArray[np.float64], spread: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each bone's angle from the hand's axis towards the thumb, and out of the palm's plane, (L, 3) radians."""

    def between(open_angles: tuple[float, ...], fist_angles: tuple[float, ...]) -> NDArray[np.float64]:
        return np.asarray(open_angles) + closing[:, None] * (np.asarray(fist_angles) - np.asarray(open_angles))

    if FINGERS[finger] == "thumb":
        outwards = between(_THUMB_ABDUCTION_OPEN, _THUMB_ABDUCTION_FIST)
        bent = between(_THUMB_OPPOSITION_OPEN, _THUMB_OPPOSITION_FIST)
    else:
        bent = np.cumsum(between(_FINGER_OPEN, _FINGER_FIST), axis=1)
        outwards = np.repeat((spread * (1 - closing) * _SPREAD[finger])[:, None], 3, axis=1)
    return np.deg2rad(outwards), np.deg2rad(bent)


def _rotation(degrees: NDArray[np.float64], axis: str) -> NDArray[np.float64]:
    """Right-handed rotations (L, 3, 3) about one axis."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.tile(np.eye(3), (len(degrees), 1, 1))
    matrix[:, first, first] = matrix[:, second, second] = cos
    matrix[:, first, second], matrix[:, second, first] = -sin, sin
    return matrix
