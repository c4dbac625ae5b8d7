"""Hands followed from picture to picture: names that stay, sides that do not flip, places that keep a hand's motion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from adasgn_edge.data.perspective import Intrinsics
from adasgn_edge.data.seen_hands import DEPTH_TIME, FORGET, PALM, SETTLING, HandTracks, SeenHand, TrackedHand
from adasgn_edge.hands import animate

CAMERA = Intrinsics.from_fov(640, 480, 60)
FROM_SHREC = [0, *range(2, 22)]  # MediaPipe's 21 joints are the layout's without the palm, in its order
RATE = 30.0
PICTURE = round(1e9 / RATE)


def moving_hand(gesture: str = "Swipe Left", seed: int = 1, metres: float = 0.8) -> np.ndarray:
    """(L, 21, 3) in optical axes: a right hand whose middle is before the camera."""
    joints = animate(gesture, seed=seed, rate=RATE).astype(np.float64)[:, FROM_SHREC] * (-1, -1, 1)
    return joints - joints.mean(axis=(0, 1)) + np.array([0, 0, metres])


def still_hand(x: float = 0.0, y: float = 0.0, metres: float = 0.8, left: bool = False) -> np.ndarray:
    """(21, 3): one moment of a hand, its palm's middle there; of a left hand the mirror image."""
    joints = moving_hand()[0] * ((-1, 1, 1) if left else (1, 1, 1))
    return joints - joints[PALM].mean(axis=0) + np.array([x, y, metres])


def seen(joints: np.ndarray, right: float = 0.95, size: float = 1.0) -> SeenHand:
    """What a perfect estimator, which takes the hand for `size` times as large as it is, says of it."""
    return SeenHand(CAMERA.project(joints), size * (joints - joints.mean(axis=0)), right)


def followed(pictures: Sequence[Sequence[SeenHand]], tracks: HandTracks | None = None) -> Iterator[list[TrackedHand]]:
    tracks = tracks or HandTracks(CAMERA)
    for number, hands in enumerate(pictures):
        yield tracks.update(number * PICTURE, hands)


def test_a_hand_is_where_it_is_and_keeps_its_motion() -> None:
    truth = moving_hand()
    found = list(followed([[seen(joints)] for joints in truth]))
    assert [len(hands) for hands in found] == [0] * SETTLING + [1] * (len(truth) - SETTLING)
    placed = np.array([hands[0].joints for hands in found[SETTLING:]])
    # Across the picture at once, away from the camera after DEPTH_TIME.
    errors = np.abs(placed - truth[SETTLING:]).max(axis=(0, 1))
    assert errors[:2].max() < 0.02
    assert errors[2] < 0.05
    still = [hands[-1].joints for hands in followed([[seen(truth[0])]] * 20) if hands]
    np.testing.assert_allclose(still[-1], truth[0], atol=0.008)  # a palm is not quite flat, nor far away


def test_a_hand_that_moves_away_is_followed_after_the_stated_time() -> None:
    pictures = [[seen(still_hand(metres=0.6))]] * 10 + [[seen(still_hand(metres=0.9))]] * 40
    depths = [hands[0].joints[PALM, 2].mean() for hands in followed(pictures) if hands]
    after = np.log(depths[10 - SETTLING :])
    share = (after - np.log(0.6)) / (np.log(0.9) - np.log(0.6))
    reached = 1 - np.exp(-np.arange(1, len(after) + 1) / RATE / DEPTH_TIME)
    np.testing.assert_allclose(share, reached, atol=0.01)


def test_noise_of_the_size_is_averaged_away() -> None:
    """The estimator takes the hand for 6 % larger or smaller from picture to picture, as MediaPipe does."""
    rng = np.random.default_rng(0)
    pictures = [[seen(still_hand(), size=float(np.exp(rng.normal(0, 0.06))))] for _ in range(150)]
    depths = np.array([hands[0].joints[PALM, 2].mean() for hands in followed(pictures) if hands])[20:]
    assert depths.std() < 0.25 * 0.06 * 0.8
    assert abs(depths.mean() - 0.8) < 0.03


def test_a_hand_taken_for_larger_than_it_is_is_farther_away() -> None:
    *_, (hand,) = followed([[seen(still_hand(), size=1.1)]] * 30)
    assert hand.joints[PALM, 2].mean() == pytest.approx(0.88, rel=0.01)


def test_names_stay_though_the_order_of_hands_changes_and_they_cross() -> None:
    pictures, where = [], []
    for number in range(60):
        x = 0.2 - 0.4 * number / 59
        hands = [seen(still_hand(x, -0.05), 0.95), seen(still_hand(-x, 0.05, left=True), 0.05)]
        pictures.append(hands[:: -1 if number % 3 == 0 else 1])
        where.append(x)
    paths: dict[str, list[float]] = {}
    sides: dict[str, set[str]] = {}
    for hands in followed(pictures):
        for hand in hands:
            paths.setdefault(hand.name, []).append(float(hand.joints[PALM, 0].mean()))
            sides.setdefault(hand.name, set()).add(hand.side)
    assert sorted(map(len, paths.values())) == [60 - SETTLING] * 2
    assert sorted(map(sorted, sides.values())) == [["left"], ["right"]]
    for name, path in paths.items():
        expected = np.array(where[SETTLING:]) * (1 if sides[name] == {"right"} else -1)
        np.testing.assert_allclose(path, expected, atol=0.02)


def test_a_side_that_is_called_wrong_for_a_while_stays() -> None:
    hand = still_hand()
    calls = [0.9] * 40 + [0.1] * 25 + [0.9] * 5
    found = [each for hands in followed([[seen(hand, right)] for right in calls]) for each in hands]
    assert {(each.name, each.side) for each in found} == {("0", "right")}


def test_a_side_that_was_wrong_from_the_start_gets_a_new_name() -> None:
    hand = still_hand(left=True)
    calls = [0.8] * 4 + [0.02] * 30
    found = [each for hands in followed([[seen(hand, right)] for right in calls]) for each in hands]
    assert [(each.name, each.side) for each in found[:2]] == [("0", "right")] * 2
    assert (found[-1].name, found[-1].side) == ("1", "left")
    assert {each.name for each in found if each.side == "left"} == {"1"}


def test_a_hand_found_twice_is_one() -> None:
    hand = still_hand()
    twice = [seen(hand), seen(hand + np.array([0.004, 0.002, 0.0]), 0.3)]
    assert {len(hands) for hands in followed([twice] * 10)} == {0, 1}
    apart = [seen(hand), seen(still_hand(0.12))]
    assert [len(hands) for hands in followed([apart] * 10)][-1] == 2


def test_a_hand_that_was_away_for_long_is_a_new_one_and_settles_again() -> None:
    hand = [seen(still_hand())]
    short, long = round(0.5 * FORGET * RATE), round(1.5 * FORGET * RATE)
    names = [hands[0].name if hands else "" for hands in followed([hand] * 5 + [[]] * short + [hand] * 5)]
    assert set(names) - {""} == {"0"}
    assert names[5 + short : 5 + short + SETTLING] == [""] * SETTLING
    names = [hands[0].name if hands else "" for hands in followed([hand] * 5 + [[]] * long + [hand] * 5)]
    assert set(names[:5]) == {"", "0"}
    assert set(names[5 + long :]) == {"", "1"}


def test_a_hand_somewhere_else_is_another_one() -> None:
    pictures = [[seen(still_hand(-0.25))]] * 6 + [[seen(still_hand(0.25))]] * 6
    names = [hands[0].name for hands in followed(pictures) if hands]
    assert names == ["0"] * (6 - SETTLING) + ["1"] * (6 - SETTLING)


def test_landmarks_in_one_point_are_not_placed() -> None:
    nowhere = SeenHand(np.full((21, 2), 100.0), seen(still_hand()).world, 0.9)
    assert not any(followed([[nowhere]] * 6))
