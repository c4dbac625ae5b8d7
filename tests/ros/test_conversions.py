"""Pictures with depth and cameras, from messages."""

from __future__ import annotations

import numpy as np
import pytest
from adasgn_edge_ros.conversions import read_camera_info, read_depth, read_skeleton_2d

from adasgn_edge.errors import ClipError, SourceError
from tests.ros.support import START_NS, camera_info, depth_image, skeleton_2d

DEPTH = np.array([[1.234, 0.0], [2.5, 65.535]])


def test_depth_in_millimetres():
    depth = read_depth(depth_image(START_NS, DEPTH))
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, [[1.234, np.nan], [2.5, 65.535]], atol=1e-6)


@pytest.mark.parametrize("big", [0, 1])
def test_depth_in_metres_of_either_byte_order(big):
    message = depth_image(START_NS, DEPTH)
    values = np.array([[1.5, np.inf], [np.nan, -1.0]], dtype=">f4" if big else "<f4")
    message.encoding, message.is_bigendian, message.step = "32FC1", big, 8
    message.data = values.tobytes()
    np.testing.assert_array_equal(read_depth(message), [[1.5, np.nan], [np.nan, np.nan]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoding": "rgb8"}, "expected one of 32FC1, 16UC1, mono16, found 'rgb8'"),
        ({"step": 3}, "expected 2 rows of 3 bytes"),
        ({"height": 3}, "expected 3 rows"),
        ({"height": 0}, "expected 0 rows"),
    ],
)
def test_other_depth_images_are_refused(change, message):
    image = depth_image(START_NS, DEPTH)
    image.__dict__.update(change)
    with pytest.raises(ClipError, match=message):
        read_depth(image)


def test_a_camera_has_other_intrinsics_once_its_pictures_are_rectified():
    message = camera_info(300.0, 320, 240)
    assert read_camera_info(message, True).fx == 300
    message.d = [0.1, -0.05, 0.0, 0.0, 0.0]
    found = read_camera_info(message, False)
    assert (found.fx, found.distortion) == (600, (0.1, -0.05, 0.0, 0.0, 0.0))
    assert read_camera_info(message, True).distortion == ()


def test_a_camera_that_is_not_calibrated_is_refused():
    message = camera_info(0.0, 320, 240)
    for rectified in (True, False):
        with pytest.raises(SourceError, match="fx: expected a positive number"):
            read_camera_info(message, rectified)


def test_joints_outside_the_picture_or_of_no_confidence_were_not_seen():
    points = np.full((18, 3), 0.5)
    points[0] = (0.0, 1.0, 0.3)  # at its edge, just sure enough
    points[1] = (1.2, 0.5, 0.9)
    points[2] = (np.nan, np.nan, 0.0)
    points[3, 2] = 0.29
    picture = read_skeleton_2d(skeleton_2d(START_NS, points), 0.3)
    assert np.flatnonzero(np.isnan(picture.points).any(axis=1)).tolist() == [1, 2, 3]
    assert picture.stamp_ns == START_NS
    points[4, 2] = 0.0
    assert np.isnan(read_skeleton_2d(skeleton_2d(START_NS, points), 0.0).points[4]).all()


def test_another_number_of_joints_is_refused():
    with pytest.raises(ClipError, match="expected 18 joints, found 17"):
        read_skeleton_2d(skeleton_2d(START_NS, np.full((17, 3), 0.5)), 0.3)
