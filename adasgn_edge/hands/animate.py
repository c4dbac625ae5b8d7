"""A gesture performed by an imaginary subject: choreography, the subject's ways, and what a sensor adds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.errors import ClipError
from adasgn_edge.hands.choreography import CHANNELS, CHOREOGRAPHY, GESTURES, minimum_jerk
from adasgn_edge.hands.kinematics import FINGERS, HandShape, Posture, forward_kinematics

__all__ = ["animate"]

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
    choreography = CHOREOGRAPHY[gesture]
    shape = HandShape(rng.normal(1.0, 0.07), rng.normal(1.0, 0.04, (len(FINGERS), 3)))

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
    held = {name: angle + rng.normal(0.0, 5.0) for name, angle in _REST.items()}
    place = rng.normal(_PLACE, 0.05)
    posture = Posture(
        wrist=place + np.stack([move[axis] for axis in "xyz"], axis=1) + _tremor(rng, len(time), rate),
        lean=held["lean"] + move["lean"],
        pitch=held["pitch"] + move["pitch"],
        roll=held["roll"] + move["roll"],
        closing=np.stack(
            [_closing(finger, one_finger, rng, channels(rng.uniform(0.0, 0.04))["fist"]) for finger in FINGERS], axis=1
        ),
        spread=np.clip(rng.normal(0.45, 0.15) + 0.5 * move["spread"], 0.0, 1.2),
    )
    joints = forward_kinematics(posture, shape)
    return (joints + rng.normal(0.0, _SENSOR_NOISE, joints.shape)).astype(np.float32)


def _closing(finger: str, one_finger: bool, rng: np.random.Generator, fist: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far a finger closes at each moment (L,): fingers that take part follow the gesture, others stay curled."""
    if one_finger and finger in ("middle", "ring", "little"):
        return np.full(len(fist), np.clip(rng.normal(_CURLED_AWAY, 0.08), 0.0, 1.0))
    rest = (0.25 if finger == "thumb" else 0.0) + rng.uniform(0.0, 0.06)
    return rest + (1 - rest) * fist


def _tremor(rng: np.random.Generator, moments: int, rate: float) -> NDArray[np.float64]:
    """Physiological tremor of a raised hand, (L, 3) metres: about 9 Hz."""
    time = np.arange(moments)[:, None] / rate
    frequency, phase = rng.normal(9.0, 1.0, 3), rng.uniform(0.0, 2 * np.pi, 3)
    return _TREMOR * np.sqrt(2) * np.sin(2 * np.pi * frequency * time + phase)
