"""Intrinsics, and joints of a picture put into space: exact without noise, with a stated error, or refused."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from adasgn_edge.data.perspective import Intrinsics, lift, place
from adasgn_edge.errors import SourceError
from adasgn_edge.hands import animate

CAMERA = Intrinsics.from_fov(640, 480, 60)
BENT = Intrinsics(520.0, 515.0, 322.0, 236.0, 640, 480, (-0.28, 0.09, 0.0008, -0.0012, -0.01))
TO_OPTICAL = (-1.0, -1.0, 1.0)  # from the layout's axes (right, up, back): x to the performer's left, y down


def hand(metres: float = 0.6) -> np.ndarray:
    """A clip (L, 22, 3) in optical axes whose first wrist is `metres` before the camera."""
    joints = animate("Swipe Left", seed=3).astype(np.float64) * TO_OPTICAL
    return joints - joints[0, 0] + (0.0, 0.0, metres)


def body_centred(joints: np.ndarray) -> np.ndarray:
    return joints - joints.mean(axis=-2, keepdims=True)


# -- intrinsics


def test_a_field_of_view_reaches_from_one_side_of_the_picture_to_the_other() -> None:
    half = math.tan(math.radians(30))
    np.testing.assert_allclose(CAMERA.project([[-half, 0, 1], [half, 0, 1], [0, 0, 2]])[:, 0], [0, 640, 320])
    np.testing.assert_allclose(CAMERA.project([[0, half * 480 / 640, 1]])[:, 1], 480)
    assert np.isnan(CAMERA.project([[0, 0, -1.0], [0, 0, 0]])).all()


@pytest.mark.parametrize("camera", [CAMERA, BENT])
def test_intrinsics_survive_a_dictionary(camera: Intrinsics) -> None:
    assert Intrinsics.from_dict(camera.to_dict()) == camera


def test_intrinsics_as_ros_writes_them() -> None:
    matrix = [520.0, 0.0, 322.0, 0.0, 515.0, 236.0, 0.0, 0.0, 1.0]
    message = {
        "width": 640, "height": 480, "k": matrix, "d": list(BENT.distortion), "distortion_model": "plumb_bob",
        "r": [1.0, 0, 0, 0, 1, 0, 0, 0, 1], "p": [0.0] * 12, "binning_x": 0,
    }  # fmt: skip
    file = {
        "image_width": 640, "image_height": 480, "camera_name": "webcam", "distortion_model": "plumb_bob",
        "camera_matrix": {"rows": 3, "cols": 3, "data": matrix},
        "distortion_coefficients": {"rows": 1, "cols": 5, "data": list(BENT.distortion)},
    }  # fmt: skip
    assert Intrinsics.from_dict(message) == BENT
    assert Intrinsics.from_dict(file) == BENT
    assert Intrinsics.from_dict({"width": 640, "height": 480, "horizontal_fov": 60}) == CAMERA
    with pytest.raises(SourceError, match="expected plumb_bob or rational_polynomial, found 'equidistant'"):
        Intrinsics.from_dict(message | {"distortion_model": "equidistant"})
    with pytest.raises(SourceError, match="expected 3 x 3 numbers"):
        Intrinsics.from_dict(message | {"k": [1.0] * 8})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"fx": 0.0}, "fx: expected a positive number, at least 0.01, of pixels, found 0.0"),
        ({"fx": 5e-324}, "fx: expected a positive number, at least 0.01, of pixels, found 5e-324"),
        ({"fy": 1e300}, "fy: expected a positive number, at least 0.01, of pixels"),
        ({"cx": -1e300}, "cx: expected a number of pixels, found -1e"),
        ({"fy": float("nan")}, "fy: expected a positive number"),
        ({"cx": None}, "cx: expected a number"),
        ({"width": 640.5}, "width: expected a whole number of pixels, found 640.5"),
        ({"height": True}, "height: expected a whole number"),
        ({"height": -1}, "height: expected a whole number"),
        ({"distortion": [0.1] * 3}, "distortion: expected 0, 4, 5, 8 numbers"),
        ({"distortion": 0.1}, "distortion: expected a list"),
        ({"focal": 3}, "found also 'focal'"),
    ],
)
def test_what_no_camera_has_is_refused(change: dict[str, object], expected: str) -> None:
    with pytest.raises(SourceError, match=expected):
        Intrinsics.from_dict({**CAMERA.to_dict(), **change})


def test_intrinsics_that_lack_something_are_refused_by_its_name() -> None:
    with pytest.raises(SourceError, match="found no cx, cy, height, width"):
        Intrinsics.from_dict({"fx": 500.0, "fy": 500.0})
    with pytest.raises(SourceError, match="found no height"):
        Intrinsics.from_dict({"width": 640, "horizontal_fov": 60})
    with pytest.raises(SourceError, match="expected an object"):
        Intrinsics.from_dict([1, 2])
    for degrees in (0, 180, float("nan"), "60"):
        with pytest.raises(SourceError, match="expected 1 to 170 degrees"):
            Intrinsics.from_fov(640, 480, degrees)  # type: ignore[arg-type]


def test_distortion_is_taken_away_again() -> None:
    rng = np.random.default_rng(0)
    image = rng.uniform((0, 0), (640, 480), (200, 2))
    flat = BENT.directions(image)
    np.testing.assert_allclose(BENT.project(np.concatenate([flat, np.ones((200, 1))], axis=1)), image, atol=1e-4)
    straight = Intrinsics(BENT.fx, BENT.fy, BENT.cx, BENT.cy, 640, 480)
    assert np.abs(straight.project(np.concatenate([flat, np.ones((200, 1))], axis=1)) - image).max() > 10
    assert np.isnan(BENT.directions([[4000.0, 240.0]])).all()  # no ray ends there
    with pytest.raises(SourceError, match="expected one that can be undone"):
        Intrinsics(500.0, 500.0, 320.0, 240.0, 640, 480, (-6.0, 0.0, 0.0, 0.0))


@pytest.mark.parametrize("camera", [CAMERA, BENT])
def test_a_mirrored_picture_has_mirrored_intrinsics(camera: Intrinsics) -> None:
    points = np.random.default_rng(3).uniform((-0.4, -0.3, 1.0), (0.4, 0.3, 2.0), (50, 3))
    u, v = camera.project(points).T
    np.testing.assert_allclose(camera.mirrored().project(points * (-1, 1, 1)), np.stack([640 - u, v], axis=1))
    assert camera.mirrored().mirrored() == camera


# -- place


@pytest.mark.parametrize(("camera", "metres"), [(CAMERA, 0.25), (CAMERA, 0.6), (CAMERA, 3.0), (BENT, 0.9), (BENT, 3.0)])
def test_without_noise_the_place_is_exact(camera: Intrinsics, metres: float) -> None:
    for joints in hand(metres)[::5]:
        shifted = body_centred(joints) + np.array([0.01, -0.02, 0.03])  # any origin will do
        np.testing.assert_allclose(place(shifted, camera.project(joints), camera), joints, atol=1e-5 * metres)


def test_joints_that_were_not_seen_are_left_out() -> None:
    joints = hand()[0]
    world, image = body_centred(joints), CAMERA.project(joints)
    world[3], image[5] = np.nan, (np.nan, 100.0)
    placed = place(world, image, CAMERA)
    assert np.isnan(placed[3]).all()
    there = np.arange(22) != 3
    np.testing.assert_allclose(placed[there], joints[there], atol=1e-9)  # the other one by its shape


def test_weights_say_which_joints_count() -> None:
    joints = hand()[0]
    world, image = body_centred(joints), CAMERA.project(joints)
    image[8] += (40.0, -25.0)
    weights = np.ones(22)
    weights[8] = 0
    np.testing.assert_allclose(place(world, image, CAMERA, weights), joints, atol=1e-9)
    errors = []
    for weight in (0.01, 0.1, 1.0, 10.0):
        weights[8] = weight
        errors.append(np.linalg.norm(place(world, image, CAMERA, weights) - joints, axis=1).max())
    assert 0 < errors[0] < errors[1] < errors[2] < errors[3]


def test_it_is_least_squares_in_pixels() -> None:
    """No translation nearby explains the picture better, though the joints are at very different depths."""
    rng = np.random.default_rng(2)
    joints = rng.uniform((-0.3, -0.3, 0.4), (0.3, 0.3, 2.0), (21, 3))
    world, image = body_centred(joints), CAMERA.project(joints) + rng.normal(0, 2, (21, 2))
    placed = place(world, image, CAMERA)

    def error(shift: tuple[float, float, float] = (0, 0, 0)) -> float:
        return float(((CAMERA.project(placed + shift) - image) ** 2).sum())

    for axis in range(3):
        for step in (-1e-4, 1e-4):
            shift = [0.0, 0.0, 0.0]
            shift[axis] = step
            assert error(tuple(shift)) > error()  # type: ignore[arg-type]


def test_with_two_pixels_of_noise_the_error_is_as_stated() -> None:
    """At 0.6 m, 640 x 480, 60°: 4.1 mm along the axis, 1.4 mm across it (standard deviations; docs/streaming.md)."""
    rng = np.random.default_rng(1)
    errors = []
    for joints in np.concatenate([hand()] * 8):
        image = CAMERA.project(joints) + rng.normal(0, 2, (22, 2))
        errors.append((place(body_centred(joints), image, CAMERA) - joints).mean(axis=0))
    deviation, mean = np.std(errors, axis=0), np.mean(errors, axis=0)
    print(f"{len(errors)} frames: mean {1e3 * mean} mm, standard deviation {1e3 * deviation} mm")
    assert 0.003 < deviation[2] < 0.005
    assert deviation[:2].max() < 0.0018
    assert np.abs(mean).max() < 0.001  # and hardly a bias


def test_a_shape_too_large_is_placed_too_far_away() -> None:
    joints = hand()[0]
    placed = place(1.1 * body_centred(joints), CAMERA.project(joints), CAMERA)
    np.testing.assert_allclose(placed, 1.1 * joints, atol=1e-6)


def test_what_cannot_be_placed_is_refused() -> None:
    joints = hand()[0]
    world, image = body_centred(joints), CAMERA.project(joints)

    def refused(match: str, world: np.ndarray = world, image: np.ndarray = image, **options: object) -> None:
        with pytest.raises(SourceError, match=match):
            place(world, image, CAMERA, **options)  # type: ignore[arg-type]

    refused("expected shape \\(S, 3\\), found \\(22, 2\\)", world=world[:, :2])
    refused("expected shape \\(22, 2\\)", image=image[:21])
    refused("at least 3 that were seen, found 0", image=np.full((22, 2), np.nan))
    unseen = world.copy()
    unseen[2:] = np.nan
    refused("at least 3 that were seen, found 2", world=unseen)
    refused("all in one place", image=np.full((22, 2), 100.0))
    refused("found infinity", image=np.where(np.arange(44).reshape(22, 2) == 7, np.inf, image))
    refused("behind the camera", world=world * (-1, -1, 1))  # of a mirrored, upside-down shape
    refused("behind the camera", world=np.zeros((22, 3)))
    refused("weights: expected 22 numbers of 0 or more", weights=-np.ones(22))
    refused("weights: expected 22 numbers of 0 or more", weights=np.ones(21))
    refused("at least 3 that were seen, found 0", weights=np.zeros(22))


def test_placing_is_quick_enough_for_every_frame() -> None:
    joints = hand()[0]
    world, image = body_centred(joints), CAMERA.project(joints)
    began = time.process_time()
    for _ in range(200):
        place(world, image, CAMERA)
    assert (time.process_time() - began) / 200 < 0.005  # about 0.2 ms on one core


# -- lift


def flat_depth(metres: float) -> np.ndarray:
    return np.full((480, 640), metres, dtype=np.float32)


def test_joints_are_lifted_to_the_depth_of_the_image() -> None:
    joints = hand()[0]
    depth = flat_depth(2.0)
    image = CAMERA.project(joints)
    for (u, v), (_, _, z) in zip(image, joints, strict=True):
        depth[int(v) - 3 : int(v) + 4, int(u) - 3 : int(u) + 4] = z
    lifted = lift(image, depth, CAMERA, window=1)
    near = np.abs(lifted[:, 2] - joints[:, 2]) < 0.02  # a few joints hide behind others
    assert near.sum() >= 18
    np.testing.assert_allclose(lifted[near], joints[near], atol=0.02)
    far = lift(image, flat_depth(2.0), CAMERA)
    np.testing.assert_allclose(far[:, 2], 2.0)
    np.testing.assert_allclose(CAMERA.project(far), image)


def test_where_depth_is_missing_or_jumps_nothing_is_made_up() -> None:
    depth = flat_depth(0.5)
    depth[100:110, 100:110] = 0
    depth[200:210, 200:210] = np.nan
    depth[300:, 300:] = 1.5  # an edge
    image = [[105, 105], [205, 205], [300, 350], [400, 400], [103, 99], [-1, 5], [640, 5], [np.nan, 5]]
    lifted = lift(image, depth, CAMERA)
    there = ~np.isnan(lifted).any(axis=1)
    assert there.tolist() == [False, False, False, True, True, False, False, False]
    np.testing.assert_allclose(lifted[[3, 4], 2], [1.5, 0.5])
    assert not np.isnan(lift([[300, 350]], depth, CAMERA, jump=2.0)).any()


def test_depth_that_is_no_depth_is_refused() -> None:
    with pytest.raises(SourceError, match=r"found uint16; .*millimetres"):
        lift([[1, 1]], np.zeros((480, 640), dtype=np.uint16), CAMERA)
    with pytest.raises(SourceError, match="480 rows and 640 columns as the picture has, found \\(640, 480\\)"):
        lift([[1, 1]], flat_depth(1).T, CAMERA)
    with pytest.raises(SourceError, match="odd number of pixels"):
        lift([[1, 1]], flat_depth(1), CAMERA, window=4)
    with pytest.raises(SourceError, match="expected shape"):
        lift([[1, 1, 1]], flat_depth(1), CAMERA)
