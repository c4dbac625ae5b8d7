"""What looks odd: size, up, flat recordings; and that real recordings look right."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from adasgn_edge.data.dataset import DatasetBuilder
from adasgn_edge.data.plausibility import body_centred, body_centring, doubts, doubts_of_dataset
from adasgn_edge.hands import GESTURES, animate
from adasgn_edge.skeletons import load_layout

HAND, BODY = load_layout("shrec22"), load_layout("ntu25")


def body(height: float = 1.7) -> np.ndarray:
    """Somebody who stands and sways, (30, 25, 3)."""
    rng = np.random.default_rng(0)
    pose = rng.uniform(-0.2, 0.2, (25, 3)).astype(np.float32)
    pose[:, 1] = np.linspace(0, height, 25)[rng.permutation(25)]
    pose[BODY.index("spine_base"), 1], pose[BODY.index("spine_shoulder"), 1] = 0.5 * height, 0.8 * height
    return pose + height * np.sin(np.arange(30) / 5).astype(np.float32)[:, None, None] * np.float32([0.2, 0, 0.1])


@pytest.mark.parametrize("gesture", GESTURES)
def test_hands_as_they_are_recorded_look_right(gesture):
    assert doubts([animate(gesture, one_finger=False, seed=1)], HAND) == []


def test_bodies_as_they_are_recorded_look_right():
    assert doubts([body()], BODY) == []
    assert doubts([body(0.8)], BODY) == []  # a child, or half a body


def test_y_down():
    for track, layout in ((animate("Grab", one_finger=False, seed=1), HAND), (body(), BODY)):
        (text,) = doubts([track * np.float32([1, -1, 1])], layout)
        assert text.startswith("upside down: ")
        assert text.endswith(("--flip y", "--flip y or --flip xy"))
    (text,) = doubts([animate("Grab", one_finger=False, seed=1) * np.float32([-1, -1, 1])], HAND)  # a camera's axes
    assert text.startswith("upside down: ")
    assert text.endswith("--flip xy")
    (text,) = doubts([animate("Grab", one_finger=False, seed=1) * np.float32([1, -1, 1])], HAND)
    assert text.endswith("--flip y")


def test_mirrored():
    mirrored = np.float32([-1, 1, 1])
    hands = [animate(gesture, one_finger=False, seed=1) for gesture in GESTURES]
    told = [text for hand in hands for text in doubts([hand * mirrored], HAND)]
    assert len(told) > len(GESTURES) / 2
    assert set(told) == {"mirrored: expected right hand, this looks like its mirror image; if it is, --mirror"}


@pytest.mark.parametrize(("factor", "unit", "scale"), [(1000, "millimetres", "0.001"), (100, "centimetres", "0.01")])
def test_bodies_in_other_units(factor, unit, scale):
    (text,) = doubts([body() * np.float32(factor)], BODY)
    assert text.startswith("size: expected a body of 0.3 to 3 m, found ")
    assert text.endswith(f"if these are {unit}, --scale {scale}")
    assert doubts([animate("Grab", one_finger=False, seed=1) * np.float32(factor)], HAND) == []  # it is scaled anyway


def test_bodies_of_no_size_that_any_unit_explains():
    (text,) = doubts([body() * np.float32(0.01)], BODY)
    assert "--scale" not in text


def test_z_up():
    (text,) = doubts([body()[..., [0, 2, 1]]], BODY)
    assert text.startswith("lying: ")
    assert "z may be up" in text


def test_two_coordinates():
    flat = animate("Grab", one_finger=False, seed=1)
    flat[..., 2] = 0.5
    (text,) = doubts([flat], HAND)
    assert text.startswith("flat: z never changes")


def test_a_layout_that_states_nothing_is_not_judged():
    silent = dataclasses.replace(BODY, name="mine", conventions=None)
    assert doubts([body(1700) * np.float32([1, -1, 1])], silent) == []


def test_a_layout_of_an_older_file_is_judged_as_the_built_in_one_that_it_is():
    assert doubts([body(1700)], dataclasses.replace(BODY, conventions=None))


def test_nobody_moves():
    resting = np.repeat(animate("Grab", one_finger=False, seed=1)[:1], 60, axis=0)
    noise = np.random.default_rng(0).normal(0, 0.001, resting.shape).astype(np.float32)  # a millimetre
    for track in (resting, resting + noise):
        (text,) = doubts([track], HAND)
        assert text.startswith("still: ")


def test_two_gestures_with_a_rest_between():
    first, second = (animate(name, one_finger=False, seed=3) for name in ("Swipe Up", "Swipe Right"))
    second = second + (first[-1, 0] - second[0, 0])
    (text,) = doubts([np.concatenate([first, np.repeat(first[-1:], 30, axis=0), second])], HAND)
    assert text.startswith("pause: nobody moves in frames ")


def test_a_data_set_is_judged_by_what_many_recordings_have():
    builder = DatasetBuilder("bodies", BODY, ("stand",))
    for number in range(20):
        builder.add(str(number), 0, "train", [body() * np.float32(1000 if number % 2 else 1)])
    (text,) = doubts_of_dataset(builder.build())
    assert text.startswith("data set 'bodies': size: expected a body of 0.3 to 3 m, found ")
    assert text.endswith(" (so or alike in 50% of the recordings looked at)")
    builder = DatasetBuilder("bodies", BODY, ("stand",))
    for number in range(20):
        builder.add(str(number), 0, "train", [body() * np.float32(1000 if number == 3 else 1)])
    assert doubts_of_dataset(builder.build()) == []


def test_real_data_sets_look_right(data_root):
    from adasgn_edge.data.registry import open_dataset

    for name in ("shrec14", "nw-ucla"):
        assert doubts_of_dataset(open_dataset(name, data_root)) == []


# -- coordinates that go with the body ------------------------------------------------------------------------------


@pytest.mark.parametrize("gesture", GESTURES)
def test_coordinates_that_go_with_the_hand(gesture):
    hand = animate(gesture, seed=1)
    moving = hand - hand[:, :1]
    ring, index = HAND.index("ring_base"), HAND.index("index_base")
    drifting = 0.003 * np.sin(np.arange(len(hand)))[:, None, None]  # as MediaPipe's do
    for track in (moving, hand - hand.mean(axis=1, keepdims=True), hand - hand[:, [ring, index]].mean(1)[:, None]):
        assert body_centred(track)
        assert body_centred((1000 * (track + drifting)).astype(np.float32))
    assert not body_centred(hand)
    assert not body_centred(hand - hand[:, :1] + np.float32([0.1, 0, 0.4]))


def test_joints_that_were_not_seen_say_nothing_of_the_origin():
    hand = animate("Swipe Left", seed=1)
    holes = np.random.default_rng(0).random(hand.shape[:2]) < 0.3
    there, centred = hand.copy(), hand - hand.mean(axis=1, keepdims=True)
    there[holes], centred[holes] = np.nan, np.nan
    assert body_centring(there) > 3
    centred[2:5] = np.nan  # nobody
    assert body_centring(centred) < 0.3 < body_centring(there)
    unknown = np.full_like(hand, np.nan)
    assert body_centring(unknown) == np.inf
    assert body_centring(np.zeros_like(hand)) == np.inf  # a point, not a body


def test_a_swipe_from_a_first_frame_at_zero_keeps_its_way():
    hand = animate("Swipe Left", seed=1)
    assert not body_centred(hand - hand[:1, :1])
