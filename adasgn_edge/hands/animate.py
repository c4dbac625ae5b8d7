"""A gesture performed by an imaginary subject: choreography, the subject's ways, and what a sensor adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.errors import ClipError
from adasgn_edge.hands.choreography import CHANNELS, CHOREOGRAPHY, GESTURES, Choreography, minimum_jerk
from adasgn_edge.hands.kinematics import FINGERS, HandShape, Posture, forward_kinematics

__all__ = ["Hold", "animate", "drawn_hand", "movement", "sensed", "tremor"]

_PLACE = (0.44, -0.34, 0.52)  # of the resting wrist before the camera, metres
_REST = {"lean": 4.0, "pitch": 8.0, "roll": 4.0}  # how a hand is held up, degrees
_CURLED_AWAY = 0.78  # closing of the fingers that stay out of a one-finger gesture
_SENSOR_NOISE = 0.0008  # standard deviation of a joint's coordinate, metres
_TREMOR = 0.0005  # the same of the whole hand, slower


def animate(gesture: str, *, one_finger: bool = False, seed: int = 0, rate: float = 30.0) -> NDArray[np.float32]:
    """One recording (L, 22, 3), metres, of a gesture of GESTURES, layout shrec22, `rate` frames a second.

    one_finger: with the index finger extended instead of the whole hand. The seed decides the subject (size of the
    hand, how it is held) and the performance (pace, reach, variant, rest before and after, tremor, sensor noise).
    Raises ClipError for an unknown gesture or a rate that is not positive.
    """
    if gesture not in CHOREOGRAPHY:
        raise ClipError(f"expected a gesture among {', '.join(GESTURES)}, found {gesture!r}")
    if not (np.isfinite(rate) and rate > 0):
        raise ClipError(f"expected a positive number of frames a second, found {rate}")
    rng = np.random.default_rng([seed, GESTURES.index(gesture), int(one_finger)])
    shape = drawn_hand(rng)
    posture, _ = movement(CHOREOGRAPHY[gesture], one_finger, rng, rate)
    return sensed(forward_kinematics(posture, shape), rng)


def drawn_hand(rng: np.random.Generator) -> HandShape:
    """Somebody's hand."""
    return HandShape(rng.normal(1.0, 0.07), rng.normal(1.0, 0.04, (len(FINGERS), 3)))


@dataclass(frozen=True)
class Hold:
    """How somebody holds a hand up: lean, pitch and roll in degrees, and where the wrist rests, metres."""

    turns: dict[str, float]
    place: NDArray[np.float64]

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Hold:
        """Somebody's way."""
        turns = {name: angle + rng.normal(0.0, 5.0) for name, angle in _REST.items()}
        return cls(turns, rng.normal(_PLACE, 0.05))


def movement(
    choreography: Choreography, one_finger: bool, rng: np.random.Generator, rate: float, hold: Hold | None = None
) -> tuple[Posture, tuple[int, int]]:
    """One performance, a little rest before and after it, and its first and last moment that move.

    hold: the subject's; drawn without.
    """
    seconds = choreography.seconds * np.exp(rng.normal(0.0, 0.18))
    before, after = rng.uniform(0.05, 0.25, 2)
    time = (np.arange(max(2, round((before + seconds + after) * rate))) / rate - before) / seconds  # 0 to 1: moving
    keys = choreography.variants[rng.integers(len(choreography.variants))]
    reach = dict(zip(CHANNELS, np.exp(rng.normal(0.0, 0.12, len(CHANNELS))), strict=True))
    reach["fist"] = reach["spread"] = 1.0

    def channels(lag: float = 0.0) -> dict[str, NDArray[np.float64]]:
        values = minimum_jerk(keys, choreography.start, time - lag)
        return {name: values[:, i] * reach[name] for i, name in enumerate(CHANNELS)}

    move = channels()
    hold = hold or Hold.drawn(rng)
    posture = Posture(
        wrist=hold.place + np.stack([move[axis] for axis in "xyz"], axis=1) + tremor(rng, len(time), rate),
        lean=hold.turns["lean"] + move["lean"],
        pitch=hold.turns["pitch"] + move["pitch"],
        roll=hold.turns["roll"] + move["roll"],
        closing=np.stack(
            [_closing(finger, one_finger, rng, channels(rng.uniform(0.0, 0.04))["fist"]) for finger in FINGERS], axis=1
        ),
        spread=np.clip(rng.normal(0.45, 0.15) + 0.5 * move["spread"], 0.0, 1.2),
    )
    moving = np.flatnonzero((time >= 0) & (time <= 1))
    return posture, (int(moving[0]), int(moving[-1]))


def sensed(joints: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """Joints (L, 22, 3) with a sensor's noise."""
    return (joints + rng.normal(0.0, _SENSOR_NOISE, joints.shape)).astype(np.float32)


def _closing(finger: str, one_finger: bool, rng: np.random.Generator, fist: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far a finger closes at each moment (L,): fingers that take part follow the gesture, others stay curled."""
    if one_finger and finger in ("middle", "ring", "little"):
        return np.full(len(fist), np.clip(rng.normal(_CURLED_AWAY, 0.08), 0.0, 1.0))
    rest = (0.25 if finger == "thumb" else 0.0) + rng.uniform(0.0, 0.06)
    return rest + (1 - rest) * fist


def tremor(rng: np.random.Generator, moments: int, rate: float) -> NDArray[np.float64]:
    """Physiological tremor of a raised hand, (L, 3) metres: about 9 Hz."""
    time = np.arange(moments)[:, None] / rate
    frequency, phase = rng.normal(9.0, 1.0, 3), rng.uniform(0.0, 2 * np.pi, 3)
    return _TREMOR * np.sqrt(2) * np.sin(2 * np.pi * frequency * time + phase)
