"""Recorded bags: messages that no wheel brings, written to MCAP, read back, pushed; what comes of them to another."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from adasgn_edge_ros.conversions import (
    event_text,
    write_detections,
    write_diagnostics,
    write_labels,
    write_markers,
)
from adasgn_edge_ros.pipeline import Pipeline

from adasgn_edge.data.sources import load_source
from adasgn_edge.skeletons import load_layout
from tests.ros.interfaces import empty, store
from tests.ros.support import (
    BODY_FRAME,
    PERFORMED_LABELS,
    SECOND,
    START_NS,
    Script,
    gesture_event,
    hand,
    played,
    settings,
    stamp_at,
    started,
)

pytest.importorskip("rosbags", reason="rosbags is not installed; `make test-ros` installs and runs this")


@pytest.fixture(scope="module")
def types() -> Any:
    return store()


def write_bag(path: Path, types: Any, messages: list[tuple[str, int, Any]]) -> None:
    """(topic, nanoseconds, message) to an MCAP."""
    from rosbags.rosbag2 import StoragePlugin, Writer

    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        connections: dict[str, Any] = {}
        for topic, stamp_ns, message in messages:
            name = message.__msgtype__
            if topic not in connections:
                connections[topic] = bag.add_connection(topic, name, typestore=types)
            bag.write(connections[topic], stamp_ns, types.serialize_cdr(message, name))


def read_bag(path: Path, types: Any) -> dict[str, list[Any]]:
    """Messages by topic; their definitions come from the file itself."""
    from rosbags.highlevel import AnyReader

    found = defaultdict(list)
    assert [file.suffix for file in path.iterdir() if file.suffix != ".yaml"] == [".mcap"]
    with AnyReader([path], default_typestore=types) as bag:
        for connection, _, raw in bag.messages():
            found[connection.topic].append(bag.deserialize(raw, connection.msgtype))
    return found


def fill_header(message: Any, stamp_ns: int, frame_id: str) -> Any:
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, SECOND)
    message.header.frame_id = frame_id
    return message


def zed_message(types: Any, stamp_ns: int, keypoints: np.ndarray, track: int, state: int = 1) -> Any:
    """One tracked BODY_38; the keypoints beyond are what is in a message that nobody filled in."""
    found = empty(types, "zed_msgs/msg/Object")
    found.label_id, found.tracking_available, found.tracking_state = track, True, state
    found.skeleton_available, found.body_format = True, 2
    for place, position in zip(found.skeleton_3d.keypoints, keypoints.astype(np.float32), strict=False):
        place.kp = position
    message = fill_header(empty(types, "zed_msgs/msg/ObjectsStamped"), stamp_ns, BODY_FRAME)
    message.objects = [found]
    return message


@pytest.fixture
def glove(tmp_path: Path) -> str:
    """A source of 38 joints of which the first 22 are those of a hand: what a bag with hands in ObjectsStamped has."""
    facts = json.loads((Path(load_source.__code__.co_filename).parent / "sources" / "openxr-26.json").read_text())
    layout = load_layout("shrec22")
    others = [f"place_{number}" for number in range(22, 38)]
    facts |= {
        "name": "glove-38", "aliases": [], "joints": [*layout.joints, *others],
        "mappings": {"shrec22": {joint: joint for joint in layout.joints}},
    }  # fmt: skip
    path = tmp_path / "glove.json"
    path.write_text(json.dumps(facts))
    return str(path)


def test_hands_in_a_bag_of_zed_messages_become_a_bag_of_detections(tmp_path: Path, types: Any, glove: str):
    joints = hand()
    keypoints = np.full((len(joints), 38, 3), np.nan)
    keypoints[:, :22] = joints[..., [2, 0, 1]]  # ROS's axes: x back, y right, z up
    sent = [
        ("/zed/bodies", stamp_at(n), zed_message(types, stamp_at(n), frame, 31)) for n, frame in enumerate(keypoints)
    ]
    write_bag(tmp_path / "in", types, sent)

    messages = read_bag(tmp_path / "in", types)["/zed/bodies"]
    assert len(messages) == len(joints)
    pipeline = Pipeline(settings(input_type="zed_objects", source=glove, axes="ros"))
    scenes = played(pipeline, messages)
    assert [event.label for event in started(scenes)] == PERFORMED_LABELS
    assert {event.track for event in started(scenes)} == {31}

    def make(name: str) -> Any:
        return empty(types, name)

    out = [("/labels", START_NS, write_labels(make, pipeline.recogniser.labels, pipeline.threshold, START_NS))]
    for scene in scenes:
        out.append(("/detections", scene.stamp_ns, write_detections(make, scene)))
        out.append(("/markers", scene.stamp_ns, write_markers(make, scene, pipeline.bones, pipeline.up, 0.3)))
        for event in scene.events:
            text = make("std_msgs/msg/String")
            text.data = event_text(event)
            out.append(("/events", scene.stamp_ns, text))
    report = pipeline.report("active")
    out.append(
        (
            "/diagnostics",
            scenes[-1].stamp_ns,
            write_diagnostics(make, "recogniser", "none", report.level, report.message, report.values, START_NS),
        )
    )
    write_bag(tmp_path / "out", types, out)

    found = read_bag(tmp_path / "out", types)
    check_detections(found["/detections"], scenes, joints[..., [2, 0, 1]])
    check_markers(found["/markers"], scenes)
    (labels,) = found["/labels"]
    assert [entry.class_name for entry in labels.class_map] == list(pipeline.recogniser.labels)
    assert [entry.class_id for entry in labels.class_map] == list(range(len(pipeline.recogniser.labels)))
    assert labels.threshold == pytest.approx(pipeline.threshold)
    kinds = [json.loads(event.data)["type"] for event in found["/events"]]
    assert kinds.count("started") == kinds.count("ended") == 2
    (diagnostics,) = found["/diagnostics"]
    told = {pair.key: pair.value for pair in diagnostics.status[0].values}
    assert told["unusable frames"] == "0"
    assert diagnostics.status[0].level == report.level


def check_detections(messages: list[Any], scenes: list[Any], joints: np.ndarray) -> None:
    """One for every gesture that goes on, at the input's stamp, its box around the joints."""
    assert len(messages) == len(scenes)
    labels = []
    for message, scene, frame in zip(messages, scenes, joints, strict=True):
        assert message.header.stamp.sec * SECOND + message.header.stamp.nanosec == scene.stamp_ns
        assert message.header.frame_id == BODY_FRAME
        assert len(message.detections) == sum(body.gesture is not None for body in scene.bodies)
        for detection in message.detections:
            assert detection.id == "31"
            assert detection.header.stamp == message.header.stamp
            (result,) = detection.results
            assert 0 < result.hypothesis.score <= 1
            centre, size = detection.bbox.center.position, detection.bbox.size
            low = np.array([centre.x - size.x / 2, centre.y - size.y / 2, centre.z - size.z / 2])
            np.testing.assert_allclose(low, frame.min(axis=0), atol=1e-5)
            np.testing.assert_allclose(low + np.array([size.x, size.y, size.z]), frame.max(axis=0), atol=1e-5)
            assert detection.bbox.center.orientation.w == 1
            if not labels or labels[-1] != result.hypothesis.class_id:
                labels.append(result.hypothesis.class_id)
    assert labels == PERFORMED_LABELS


def check_markers(messages: list[Any], scenes: list[Any]) -> None:
    for message, scene in zip(messages, scenes, strict=True):
        joints, bones, label = message.markers
        assert (joints.ns, joints.type, len(joints.points)) == ("joints", joints.SPHERE_LIST, 22)
        assert (bones.ns, bones.type, len(bones.points)) == ("bones", bones.LINE_LIST, 42)
        assert (label.ns, label.type) == ("label", label.TEXT_VIEW_FACING)
        gesture = scene.bodies[0].gesture
        assert label.action == (label.DELETE if gesture is None else label.ADD)
        assert label.text == ("" if gesture is None else f"{gesture.label} {gesture.score:.2f}")
        if gesture is not None:  # above everything, in ROS's axes
            assert label.pose.position.z > max(point.z for point in joints.points)
        assert {marker.id for marker in message.markers} == {31}
        assert joints.lifetime.nanosec == 300_000_000


def test_a_body_that_is_searched_for_is_not_in_what_was_read(tmp_path: Path, types: Any):
    keypoints = np.random.default_rng(0).normal(0, 0.4, (38, 3)) + np.array([2.5, 0, 0])
    keypoints[26:28] = np.nan
    sent = [
        ("/zed/bodies", stamp_at(n), zed_message(types, stamp_at(n), keypoints, 7, state))
        for n, state in enumerate((1, 2, 3))
    ]
    write_bag(tmp_path / "in", types, sent)
    script = Script("ntu25", {0: [gesture_event("started", 7)]})
    pipeline = Pipeline(settings(input_type="zed_objects", source="zed-38", axes="ros", side="body"), script)
    scenes = played(pipeline, read_bag(tmp_path / "in", types)["/zed/bodies"])
    assert [set(tracks) for _, tracks in script.pushed] == [{7}, set(), set()]
    seen = write_detections(lambda name: empty(types, name), scenes[0])
    assert [detection.results[0].hypothesis.class_id for detection in seen.detections] == ["wave"]
    assert np.isnan(scenes[0].bodies[0].joints).any()  # the small toes
    assert np.isfinite([seen.detections[0].bbox.size.x, seen.detections[0].bbox.center.position.z]).all()


def test_a_bag_of_hri_skeletons_with_depth(tmp_path: Path, types: Any):
    """A body that walks away from a camera before a wall: what is read is where it is."""
    width, height, focal = 320, 240, 250.0
    places = np.array([(60 + 40 * column, 40 + 40 * row) for row in range(4) for column in range(5)][:18], dtype=float)
    depths = [1.5, 1.6, 1.7]
    sent = []
    for number, metres in enumerate(depths):
        image = fill_header(empty(types, "sensor_msgs/msg/Image"), stamp_at(number), "camera_optical_frame")
        image.encoding, image.width, image.height, image.step = "32FC1", width, height, 4 * width
        image.data = np.full((height, width), metres, dtype="<f4").view(np.uint8).reshape(-1)
        sent.append(("/depth/image", stamp_at(number), image))
        info = fill_header(empty(types, "sensor_msgs/msg/CameraInfo"), stamp_at(number), "camera_optical_frame")
        info.width, info.height = width, height
        info.p = np.array([focal, 0, width / 2, 0, 0, focal, height / 2, 0, 0, 0, 1, 0])
        sent.append(("/depth/camera_info", stamp_at(number), info))
        skeleton = fill_header(empty(types, "hri_msgs/msg/Skeleton2D"), stamp_at(number), "camera_optical_frame")
        for joint, (u, v) in zip(skeleton.skeleton, places, strict=True):
            joint.x, joint.y, joint.c = u / width, v / height, 0.9
        sent.append(("/humans/bodies/a1b2c/skeleton2d", stamp_at(number), skeleton))
    write_bag(tmp_path / "in", types, sent)

    found = read_bag(tmp_path / "in", types)
    script = Script("kinect20")
    told = settings(
        input_type="hri_skeleton_2d", source="hri-18", axes="optical", side="body", depth=True, rectified=True
    )
    pipeline = Pipeline(told, script)
    for image, info in zip(found["/depth/image"], found["/depth/camera_info"], strict=True):
        pipeline.take_depth(image)
        assert pipeline.take_camera_info(info) is None
    played(pipeline, found["/humans/bodies/a1b2c/skeleton2d"])
    knee = load_layout("kinect20").index("right_knee")
    u, v = places[9]
    for metres, (_, tracks) in zip(depths, script.pushed, strict=True):
        expected = (-(u - width / 2) * metres / focal, -(v - height / 2) * metres / focal, metres)
        np.testing.assert_allclose(tracks[0][knee], expected, atol=1e-5)
