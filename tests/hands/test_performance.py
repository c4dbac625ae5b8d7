"""Several gestures in one stream: one hand, no jumps, every gesture where it is said to be."""

from __future__ import annotations

import numpy as np
import pytest

from adasgn_edge.errors import ClipError
from adasgn_edge.hands import GESTURES, perform
from adasgn_edge.skeletons import load_layout

LAYOUT = load_layout("shrec22")
ALL = [(gesture, one_finger) for gesture in GESTURES for one_finger in (False, True)]


@pytest.mark.parametrize("rate", [20.0, 30.0, 50.0])
def test_one_hand_moves_without_jumps_through_all_gestures(rate: float) -> None:
    stream = perform(ALL, seed=3, rate=rate)
    speed = np.linalg.norm(np.diff(stream.positions, axis=0), axis=-1).max(axis=-1) * rate
    assert speed.max() < 5.0, "metres a second"
    bones = np.linalg.norm(stream.positions - stream.positions[:, LAYOUT.parents], axis=-1)
    assert (bones.std(axis=0) < 0.002).all(), "one subject, whose bones do not change"
    assert [(done.gesture, done.one_finger) for done in stream.performed] == ALL


def test_gestures_move_and_pauses_are_as_long_as_asked() -> None:
    stream = perform(ALL, seed=1, rate=30.0, pause=(1.0, 1.5))
    ends = [0, *(done.last for done in stream.performed)]
    begins = [*(done.first for done in stream.performed), len(stream.positions)]
    between = (np.array(begins) - np.array(ends)) / 30
    assert between.min() >= 1.0
    assert between.max() <= 1.5 + 2 * 0.25 + 0.1  # a performance has a little rest of its own before and after
    for done in stream.performed:
        part = stream.positions[done.first : done.last + 1]
        assert 0.3 < len(part) / 30 < 5
        moved = np.linalg.norm(part - part[0], axis=-1).max()
        assert moved > 0.02, done


def test_the_seed_decides() -> None:
    one, same, other = (perform(ALL[:3], seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.positions, same.positions)
    assert one.performed == same.performed
    assert one.positions.shape != other.positions.shape or not np.array_equal(one.positions, other.positions)


def test_what_cannot_be_performed_is_named() -> None:
    for gestures, options, said in (
        ([], {}, "at least one gesture"),
        ([("Wave", False)], {}, "expected a gesture among .* found 'Wave'"),
        ([("Tap", False)], {"rate": 0.0}, "positive number of frames"),
        ([("Tap", False)], {"pause": (0.1, 1.0)}, "expected pauses of 0.55 s or more"),
        ([("Tap", False)], {"pause": (2.0, 1.0)}, "the shortest first"),
    ):
        with pytest.raises(ClipError, match=said):
            perform(gestures, **options)
