"""The kinematic hand: anatomy that holds at every moment, gestures that are what their names say, seeds that decide."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from adasgn_edge.data.preprocess import as_recording
from adasgn_edge.errors import ClipError
from adasgn_edge.hands import GESTURES, animate
from adasgn_edge.hands.choreography import CHANNELS, CHOREOGRAPHY, minimum_jerk
from adasgn_edge.hands.kinematics import HandShape, Posture, forward_kinematics
from adasgn_edge.skeletons import load_layout

LAYOUT = load_layout("shrec22")
WRIST, INDEX_TIP, THUMB_TIP = (LAYOUT.index(name) for name in ("wrist", "index_tip", "thumb_tip"))
MIDDLE_BASE, INDEX_BASE, LITTLE_BASE = (LAYOUT.index(f"{finger}_base") for finger in ("middle", "index", "little"))


def posture(moments: int = 1, **changes: object) -> Posture:
    zeros = np.zeros(moments)
    values = {"wrist": np.zeros((moments, 3)), "lean": zeros, "pitch": zeros, "roll": zeros,
              "closing": np.zeros((moments, 5)), "spread": zeros}  # fmt: skip
    return Posture(**{**values, **changes})  # type: ignore[arg-type]


def bone_lengths(joints: np.ndarray) -> np.ndarray:
    return np.linalg.norm(joints - joints[:, LAYOUT.parents], axis=-1)


def test_neutral_hand_points_up_with_the_thumb_to_the_left_and_its_palm_to_the_camera() -> None:
    hand = forward_kinematics(posture())[0]
    tips = hand[[LAYOUT.index(f"{finger}_tip") for finger in ("index", "middle", "ring", "little")]]
    assert (tips[:, 1] > 0.1).all()
    assert (np.diff(tips[:, 0]) > 0).all()  # index to little, left to right
    assert hand[THUMB_TIP, 0] < hand[INDEX_BASE, 0] < 0
    fist = forward_kinematics(posture(closing=np.ones((1, 5))))[0]
    assert (fist[[INDEX_TIP, THUMB_TIP], 2] < -0.02).all()  # fingers close to the palm's side, negative z


def test_every_joint_is_where_its_name_is_in_the_layout() -> None:
    lengths = bone_lengths(forward_kinematics(posture()))[0]
    assert lengths[WRIST] == 0
    np.testing.assert_allclose(lengths[LAYOUT.index("index_joint_1")], 0.045)
    np.testing.assert_allclose(lengths[LAYOUT.index("little_tip")], 0.017)


@pytest.mark.parametrize(
    ("turn", "axis", "expected"), [("lean", 1, (-1, 0, 0)), ("pitch", 1, (0, 0, -1)), ("roll", 2, (1, 0, 0))]
)
def test_turns_go_the_way_their_names_say(turn: str, axis: int, expected: tuple[int, int, int]) -> None:
    """Lean and pitch carry the upward hand to the left and forward; roll carries the back of the hand to the right."""
    straight = forward_kinematics(posture())[0]
    turned = forward_kinematics(posture(**{turn: np.asarray([90.0])}))[0]
    if axis == 1:
        np.testing.assert_allclose(turned[MIDDLE_BASE], 0.1 * np.asarray(expected), atol=1e-12)
    else:
        across = turned[LITTLE_BASE] - turned[INDEX_BASE]
        np.testing.assert_allclose(np.cross(across, turned[MIDDLE_BASE])[0], np.linalg.norm(across[[0, 2]]) * 0.1)
    np.testing.assert_allclose(bone_lengths(turned[None]), bone_lengths(straight[None]))


def test_bones_keep_their_length_while_the_hand_moves() -> None:
    rng = np.random.default_rng(0)
    moments = 50
    moving = Posture(
        rng.normal(size=(moments, 3)), *rng.uniform(-90, 90, (3, moments)), rng.uniform(size=(moments, 5)),
        rng.uniform(size=moments),
    )  # fmt: skip
    lengths = bone_lengths(forward_kinematics(moving, HandShape(1.1, rng.normal(1, 0.05, (5, 3)))))
    np.testing.assert_allclose(lengths, np.repeat(lengths[:1], moments, axis=0), atol=1e-12)


def test_minimum_jerk_reaches_the_keys_at_rest() -> None:
    keys = ((0.4, {"x": 2.0}), (0.8, {"y": 1.0}), (1.0, {"x": -1.0}))
    step = 1e-4
    values = minimum_jerk(keys, {"y": 0.5}, np.asarray([-1.0, 0.0, 0.4, 1.0, 3.0, 0.4 - step, 0.4 + step, 0.2]))
    x, y = values[:, CHANNELS.index("x")], values[:, CHANNELS.index("y")]
    np.testing.assert_allclose(x[:5], [0, 0, 2, -1, -1])
    np.testing.assert_allclose(y[:5], [0.5, 0.5, 0.75, 1, 1])  # on its way while x turns
    np.testing.assert_allclose(x[5:7], 2.0, atol=1e-6)  # no speed at a key
    np.testing.assert_allclose(x[7], 1.0)  # halfway in time, halfway in space


def test_choreography_covers_every_gesture_in_order() -> None:
    assert tuple(CHOREOGRAPHY) == GESTURES
    for choreography in CHOREOGRAPHY.values():
        for keys in choreography.variants:
            times = [time for time, _ in keys]
            assert times == sorted(set(times))
            assert times[0] > 0
            assert times[-1] == 1
            assert all(set(pose) <= set(CHANNELS) for _, pose in keys)


@pytest.mark.parametrize("one_finger", [False, True])
@pytest.mark.parametrize("gesture", GESTURES)
def test_a_clip_is_a_usable_recording_and_its_seed_decides_it(gesture: str, one_finger: bool) -> None:
    clip = animate(gesture, one_finger=one_finger, seed=5)
    assert clip.dtype == np.float32
    assert 15 <= len(clip) <= 171  # as long as people take
    as_recording(clip, LAYOUT)
    np.testing.assert_array_equal(clip, animate(gesture, one_finger=one_finger, seed=5))
    other = animate(gesture, one_finger=one_finger, seed=6)
    assert clip.shape != other.shape or not np.allclose(clip, other)
    assert np.abs(np.diff(clip, axis=0)).max() < 0.12  # metres between frames: no jumps


@pytest.mark.parametrize("seed", range(4))
def test_swipes_move_the_wrist_where_they_say(seed: int) -> None:
    for gesture, axis, sign in (("Right", 0, 1), ("Left", 0, -1), ("Up", 1, 1), ("Down", 1, -1)):
        wrist = animate(f"Swipe {gesture}", seed=seed)[:, WRIST]
        moved = wrist[np.argmax(np.linalg.norm(wrist - wrist[0], axis=1))] - wrist[0]
        assert np.argmax(np.abs(moved)) == axis
        assert 0.08 < sign * moved[axis] < 0.5


def reach_of_index(clip: np.ndarray) -> np.ndarray:
    """Index base to tip over the finger's length: 1 when straight."""
    first = INDEX_BASE
    length = sum(np.linalg.norm(clip[:, first + i + 1] - clip[:, first + i], axis=-1) for i in range(3))
    return np.linalg.norm(clip[:, first + 3] - clip[:, first], axis=-1) / length


@pytest.mark.parametrize("one_finger", [False, True])
def test_pinch_closes_and_expand_opens(one_finger: bool) -> None:
    pinch = reach_of_index(animate("Pinch", one_finger=one_finger))
    expand = reach_of_index(animate("Expand", one_finger=one_finger))
    assert pinch[0] > 0.95 > 0.75 > pinch[-1]
    assert expand[0] < 0.75 < 0.95 < expand[-1]


def test_one_finger_keeps_the_other_fingers_curled() -> None:
    ring = LAYOUT.index("ring_base")

    def tip_to_base(clip: np.ndarray) -> float:
        return float(np.linalg.norm(clip[:, ring + 3] - clip[:, ring], axis=-1).mean())

    assert tip_to_base(animate("Swipe Up", one_finger=True)) < 0.8 * tip_to_base(animate("Swipe Up"))


def test_rate_changes_the_number_of_frames_and_not_the_movement() -> None:
    slow, fast = animate("Swipe +", rate=30), animate("Swipe +", rate=60)
    assert abs(len(fast) - 2 * len(slow)) <= 1
    np.testing.assert_allclose(fast[::2][:50, WRIST], slow[:50, WRIST], atol=0.01)


def test_bad_requests_are_named() -> None:
    with pytest.raises(ClipError, match=r"expected a gesture among Grab, .* found 'Wave'"):
        animate("Wave")
    for rate in (0.0, -1.0, float("nan")):
        with pytest.raises(ClipError, match="positive number of frames"):
            animate("Grab", rate=rate)


def test_resting_hands_have_the_size_and_place_of_recorded_ones() -> None:
    """Hand size, direction and distance from the camera agree with the real recordings' averages."""
    root = Path(os.environ.get("ADASGN_DATA", "../shared/data")) / "SHREC17"
    if not root.is_dir():
        pytest.skip(f"SHREC'17 is not at {root} (set ADASGN_DATA)")
    open_handed = ("Swipe Up", "Swipe Down", "Swipe +", "Tap")  # at their beginning
    files = [
        file
        for gesture in open_handed
        for file in root.glob(f"gesture_{GESTURES.index(gesture) + 1}/finger_2/subject_*/essai_1/skeletons_world.txt")
    ]
    assert len(files) > 80
    real = np.stack([np.loadtxt(file, max_rows=1).reshape(22, 3) for file in files])
    made = np.stack([animate(gesture, seed=seed)[0] for gesture in open_handed for seed in range(20)])
    real_mean, made_mean = ((first - first[:, :1]).mean(0) for first in (real, made))
    np.testing.assert_allclose(made_mean, real_mean, atol=0.035)
    np.testing.assert_allclose(made[:, WRIST].mean(0), real[:, WRIST].mean(0), atol=0.1)
    sizes = [np.linalg.norm(first[:, MIDDLE_BASE] - first[:, WRIST], axis=-1).mean() for first in (real, made)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1)
