"""From messages to scenes, without ROS: messages are plain objects with the attributes of theirs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from adasgn_edge_ros.conversions import event_text
from adasgn_edge_ros.pipeline import Pipeline
from adasgn_edge_ros.scene import Refusal, Scene

import adasgn_edge
from adasgn_edge.data.sources import load_source
from adasgn_edge.errors import EffortError, EngineError, LayoutError, ModelFileError, SourceError
from adasgn_edge.skeletons import load_layout
from tests.ros.support import (
    FPS,
    HAND_FRAME,
    PERFORMED_LABELS,
    SECOND,
    START_NS,
    Script,
    camera_info,
    depth_image,
    gesture_event,
    hand,
    played,
    pose_array,
    settings,
    skeleton_2d,
    stamp_at,
    started,
    zed_object,
    zed_objects,
)

TO_ROS = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]], dtype=np.float64)
"""Rows in the model's axes (right, up, back) times this are in ROS's (x back, y right, z up)."""


def direct_events(joints: np.ndarray) -> list:
    """What the recogniser itself tells."""
    recogniser = adasgn_edge.Recogniser(adasgn_edge.shipped_model("stream"))
    outputs = [recogniser.push(stamp_at(number), {0: frame}) for number, frame in enumerate(joints)]
    return [event for output in outputs for event in output.events]


def test_a_hand_as_it_is_tells_the_very_events_of_the_recogniser():
    joints = hand()
    scenes = played(Pipeline(settings()), [pose_array(stamp_at(n), frame) for n, frame in enumerate(joints)])
    told = [event for scene in scenes for event in scene.events]
    expected = direct_events(joints)
    assert [event.label for event in told if event.kind == "started"] == PERFORMED_LABELS
    assert [(e.kind, e.id, e.track, e.start_ns, e.end_ns, e.confidence) for e in told] == [
        (e.kind, e.id, e.track, e.start_ns, e.end_ns, e.confidence) for e in expected
    ]
    assert [scene.stamp_ns for scene in scenes] == [stamp_at(number) for number in range(len(joints))]
    assert {scene.frame_id for scene in scenes} == {HAND_FRAME}


def test_gestures_stand_at_their_bodies_from_beginning_to_end():
    scenes = played(Pipeline(settings()), [pose_array(stamp_at(n), frame) for n, frame in enumerate(hand())])
    going = None
    for scene in scenes:
        for event in scene.events:
            going = None if event.kind == "ended" else event
        (body,) = scene.bodies
        if going is None:
            assert body.gesture is None
        else:
            assert (body.gesture.id, body.gesture.label) == (going.id, going.label)
            assert body.gesture.score == going.confidence


@pytest.mark.parametrize("side", ["right", "left"])
def test_axes_units_and_side_are_set_right(side):
    joints = hand()
    as_sent = (joints * ((-1 if side == "left" else 1), 1, 1)) @ TO_ROS * 1000
    pipeline = Pipeline(settings(axes="ros", units="mm", side=side))
    scenes = played(pipeline, [pose_array(stamp_at(n), frame) for n, frame in enumerate(as_sent)])
    assert [event.label for event in started(scenes)] == PERFORMED_LABELS
    # What is shown is in the message's own axes, in metres.
    np.testing.assert_allclose(scenes[7].bodies[0].joints, as_sent[7] / 1000, atol=1e-6)


def test_another_joint_order_is_mapped_and_shown_in_the_layouts():
    layout, source = load_layout("shrec22"), load_source("mediapipe-hand-21")
    of_layout = {next(iter(rule)): joint for joint, rule in source.mappings["shrec22"].items() if len(rule) == 1}
    order = [layout.index(of_layout[joint]) for joint in source.joints]
    joints = hand()[:, order] * (-1, -1, 1)
    pipeline = Pipeline(settings(source="mediapipe-hand-21", axes="optical"))
    scenes = played(pipeline, [pose_array(stamp_at(n), frame) for n, frame in enumerate(joints)])
    assert [event.label for event in started(scenes)] == PERFORMED_LABELS
    assert scenes[0].bodies[0].joints.shape == (22, 3)
    np.testing.assert_allclose(scenes[0].bodies[0].joints[layout.index("wrist")], joints[0, 0], atol=1e-6)


def test_a_bag_that_loops_begins_anew():
    messages = [pose_array(stamp_at(n), frame) for n, frame in enumerate(hand())]
    pipeline = Pipeline(settings())
    scenes = played(pipeline, messages + messages)
    assert [event.label for event in started(scenes)] == 2 * PERFORMED_LABELS
    values = dict(pipeline.report("active").values)
    assert values["time jumps"] == "1"
    assert values["late"] == "0"


def test_nobody_in_sight_is_told_to_the_recogniser():
    joints = hand()
    first = next(n for n, scene in enumerate(
        played(Pipeline(settings()), [pose_array(stamp_at(n), frame) for n, frame in enumerate(joints)])
    ) if scene.events)  # fmt: skip
    frames = [pose_array(stamp_at(n), joints[n] if n <= first else []) for n in range(first + FPS)]
    scenes = played(Pipeline(settings()), frames)
    assert not scenes[-1].bodies
    (ended,) = [event for scene in scenes for event in scene.events if event.kind == "ended"]
    assert ended.lost


def test_unseen_joints_stay_unseen():
    joints = hand()[0].copy()
    joints[5] = np.nan
    (scene,) = played(Pipeline(settings()), [pose_array(START_NS, joints)])
    assert np.isnan(scene.bodies[0].joints[5]).all()
    joints[5] = np.inf
    (scene,) = played(Pipeline(settings()), [pose_array(START_NS, joints)])
    assert np.isnan(scene.bodies[0].joints[5]).all()
    joints[:] = np.nan
    (scene,) = played(Pipeline(settings()), [pose_array(START_NS, joints)])
    assert not scene.bodies


def refusal(pipeline: Pipeline, message) -> Refusal:
    found = pipeline.take(message)
    assert isinstance(found, Refusal)
    return found


def test_what_cannot_be_used_is_refused_and_counted():
    pipeline, joints = Pipeline(settings()), hand()[0]
    assert isinstance(pipeline.take(pose_array(START_NS, joints)), Scene)
    flat = joints * (1, 1, 0)
    assert "expected x, y and z" in refusal(pipeline, pose_array(START_NS + 1, flat)).reason
    assert "expected 22" in refusal(pipeline, pose_array(START_NS + 2, joints[:21])).reason
    assert refusal(pipeline, pose_array(0, joints)).kind == "without stamp"
    assert "'hand_sensor', found 'map'" in refusal(pipeline, pose_array(START_NS + 3, joints, "map")).reason
    report = pipeline.report("active")
    counts = dict(report.values)
    assert (counts["refused: malformed"], counts["refused: other frame"], counts["refused: without stamp"]) == (
        "2", "1", "1",
    )  # fmt: skip
    assert "found 'map'" in counts["last refusal"]


def test_the_device_is_the_recognisers():
    with pytest.raises(EngineError, match='device: expected "cpu", "cuda" or "cuda:<index>", found \'tpu\''):
        Pipeline(settings(device="tpu"))


def test_the_frame_may_be_stated():
    pipeline, joints = Pipeline(settings(frame_id="wrist_camera")), hand()[0]
    assert refusal(pipeline, pose_array(START_NS, joints)).kind == "other frame"
    assert isinstance(pipeline.take(pose_array(START_NS, joints, "wrist_camera")), Scene)


def test_a_frame_whose_name_contradicts_the_axes_is_doubted():
    pipeline, joints = Pipeline(settings(axes="ros")), hand()[0] @ TO_ROS
    pipeline.take(pose_array(START_NS, joints, "camera_color_optical_frame"))
    report = pipeline.report("active")
    assert report.level == 1
    assert "optical axes by its name" in report.message


# -- ZED ------------------------------------------------------------------------------------------------------------


def zed_pipeline(events=None, source: str = "zed-38") -> tuple[Pipeline, Script]:
    script = Script("ntu25", events)
    told = settings(input_type="zed_objects", source=source, axes="ros", side="body")
    return Pipeline(told, script), script


def body(count: int = 38, seed: int = 0) -> np.ndarray:
    """(count, 3) somewhere before the camera, ROS axes."""
    return (np.random.default_rng(seed).normal(0, 0.4, (count, 3)) + np.array([2.5, 0, 0])).astype(np.float32)


@pytest.mark.parametrize(("source", "body_format", "count"), [("zed-18", 0, 18), ("zed-34", 1, 34), ("zed-38", 2, 38)])
def test_zed_bodies_come_by_their_label_id_with_the_valid_keypoints_alone(source, body_format, count):
    pipeline, script = zed_pipeline(source=source)
    bodies = {7: body(count), 12: body(count, 1)}
    objects = [zed_object(track, keypoints, body_format) for track, keypoints in bodies.items()]
    (scene,) = played(pipeline, [zed_objects(START_NS, objects)])
    ((stamp, tracks),) = script.pushed
    assert stamp == START_NS
    assert set(tracks) == {7, 12}
    index = load_source(source).joints.index("left_elbow")
    elbow = load_layout("ntu25").index("left_elbow")
    x, y, z = bodies[12][index]
    np.testing.assert_allclose(tracks[12][elbow], (y, z, x), atol=1e-6)  # ROS's axes to right, up, back
    np.testing.assert_allclose(scene.bodies[1].joints[elbow], (x, y, z), atol=1e-6)
    assert max(np.nanmax(joints) for joints in tracks.values()) < 100  # nothing of the places beyond


@pytest.mark.parametrize("state", [0, 2, 3])
def test_zed_bodies_that_are_searched_for_were_not_seen(state):
    pipeline, script = zed_pipeline()
    played(pipeline, [zed_objects(START_NS, [zed_object(7, body()), zed_object(8, body(), tracking_state=state)])])
    assert set(script.pushed[0][1]) == {7}


def test_zed_objects_without_skeleton_and_bodies_of_nan_are_left_out():
    pipeline, script = zed_pipeline()
    unseen = np.full((38, 3), np.nan, dtype=np.float32)
    objects = [zed_object(1, body(), skeleton_available=False), zed_object(2, unseen), zed_object(3, body())]
    played(pipeline, [zed_objects(START_NS, objects)])
    assert set(script.pushed[0][1]) == {3}


def test_zed_keypoints_of_nan_are_unseen_joints():
    pipeline, script = zed_pipeline()
    keypoints = body()
    keypoints[load_source("zed-38").joints.index("left_knee")] = np.nan
    played(pipeline, [zed_objects(START_NS, [zed_object(7, keypoints)])])
    layout = load_layout("ntu25")
    joints = script.pushed[0][1][7]
    assert np.isnan(joints[layout.index("left_knee")]).all()
    assert np.isfinite(joints[layout.index("right_knee")]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"body_format": 1}, r"expected 2 \(BODY_38\), as the source has 38 joints; found 1"),
        ({"body_format": 3}, "found 3"),
        ({"tracking_available": False}, "found body tracking without tracks"),
    ],
)
def test_zed_messages_that_do_not_fit_are_refused(change, message):
    pipeline, script = zed_pipeline()
    with pytest.raises(AssertionError, match=message):
        played(pipeline, [zed_objects(START_NS, [zed_object(7, body(), **change)])])
    assert not script.pushed


def test_a_zed_track_that_comes_twice_is_refused():
    pipeline, _ = zed_pipeline()
    found = refusal(pipeline, zed_objects(START_NS, [zed_object(7, body()), zed_object(7, body())]))
    assert "found 7 twice" in found.reason


def test_only_bodies_in_sight_have_their_gestures():
    pipeline, _ = zed_pipeline({0: [gesture_event("started", 7)], 2: [gesture_event("held", 7, 0.6)]})
    there, gone = zed_object(7, body()), zed_object(7, body(), tracking_state=2)
    scenes = played(pipeline, [zed_objects(stamp_at(n), [found]) for n, found in enumerate([there, gone, there])])
    assert scenes[0].bodies[0].gesture.score == 0.9
    assert not scenes[1].bodies
    assert scenes[2].bodies[0].gesture.score == 0.6


# -- hri ------------------------------------------------------------------------------------------------------------

FOCAL, WIDTH, HEIGHT = 300.0, 320, 240


def pictured() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints (18, 3) in optical axes, points (18, 3) of a Skeleton2D, and the depth image (H, W) they lie in."""
    rng = np.random.default_rng(5)
    cells = [(60 + 40 * column, 40 + 40 * row) for row in range(4) for column in range(5)][:18]  # apart: no overlap
    depth, joints, points = np.zeros((HEIGHT, WIDTH)), [], []
    for u, v in cells:
        z = float(np.round(rng.uniform(1.5, 2.5), 3))
        depth[v - 4 : v + 5, u - 4 : u + 5] = z
        joints.append(((u - WIDTH / 2) * z / FOCAL, (v - HEIGHT / 2) * z / FOCAL, z))
        points.append((u / WIDTH, v / HEIGHT, 0.9))
    return np.array(joints), np.array(points), depth


def hri_pipeline(**changes) -> tuple[Pipeline, Script]:
    script = Script("ntu25")
    stated = {"input_type": "hri_skeleton_2d", "source": "hri-18", "axes": "optical", "side": "body"}
    return Pipeline(settings(**(stated | {"depth": True, "rectified": True} | changes)), script), script


def test_a_skeleton_of_a_picture_is_placed_by_its_depth_image():
    pipeline, script = hri_pipeline()
    joints, points, depth = pictured()
    points[4, 2] = 0.1  # unsure of the right wrist
    assert pipeline.take_camera_info(camera_info(FOCAL, WIDTH, HEIGHT)) is None
    for number in range(3):
        pipeline.take_depth(depth_image(stamp_at(number), depth if number == 1 else np.zeros_like(depth)))
    (scene,) = played(pipeline, [skeleton_2d(stamp_at(1) + 1_000_000, points)])
    ((_, tracks),) = script.pushed
    layout = load_layout("ntu25")
    x, y, z = joints[6]  # left elbow
    np.testing.assert_allclose(tracks[0][layout.index("left_elbow")], (-x, -y, z), atol=2e-3)
    np.testing.assert_allclose(scene.bodies[0].joints[layout.index("left_elbow")], (x, y, z), atol=2e-3)
    assert np.isnan(tracks[0][layout.index("right_wrist")]).all()


def test_a_skeleton_without_its_depth_image_is_refused_with_the_reason():
    pipeline, script = hri_pipeline()
    _, points, depth = pictured()
    assert "camera's intrinsics" in refusal(pipeline, skeleton_2d(START_NS, points)).reason
    pipeline.take_camera_info(camera_info(FOCAL, WIDTH, HEIGHT))
    assert "found none" in refusal(pipeline, skeleton_2d(START_NS, points)).reason
    pipeline.take_depth(depth_image(START_NS, depth))
    assert "0.100 s apart" in refusal(pipeline, skeleton_2d(START_NS + SECOND // 10, points)).reason
    assert not script.pushed
    assert dict(pipeline.report("active").values)["refused: without depth"] == "3"


def test_a_picture_that_is_not_rectified_has_the_intrinsics_k():
    pipeline, script = hri_pipeline(rectified=False)
    joints, points, depth = pictured()
    pipeline.take_camera_info(camera_info(FOCAL, WIDTH, HEIGHT))
    pipeline.take_depth(depth_image(START_NS, depth))
    played(pipeline, [skeleton_2d(START_NS, points)])
    x, y, z = joints[6] / (2, 2, 1)
    np.testing.assert_allclose(script.pushed[0][1][0][load_layout("ntu25").index("left_elbow")], (-x, -y, z), atol=2e-3)


# -- what configuring refuses -----------------------------------------------------------------------------------------


def test_a_source_that_does_not_fit_is_refused():
    with pytest.raises(LayoutError, match="expected a mapping onto the model's layout 'shrec22'"):
        Pipeline(settings(source="zed-38", side="body"))
    with pytest.raises(SourceError, match="expected 18 or 34 or 38 joints, as zed_objects has, found 22"):
        Pipeline(settings(input_type="zed_objects"))
    with pytest.raises(SourceError, match="side: expected 'right', 'left' or 'track'"):
        Pipeline(settings(side="body"))
    with pytest.raises(ModelFileError, match=r"nowhere\.adasgn"):
        Pipeline(settings(model="nowhere.adasgn"))


def test_effort():
    script = Script("shrec22")
    pipeline = Pipeline(settings(), script)
    pipeline.set_effort(0.25)
    assert script.efforts == [0.25]
    with pytest.raises(EffortError, match="does not escalate"):
        Pipeline(settings(effort=0.5))
    with pytest.raises(EffortError, match="does not escalate"):
        Pipeline(settings()).set_effort(0.5)


def test_an_event_as_text_is_the_commands():
    scenes = played(Pipeline(settings()), [pose_array(stamp_at(n), frame) for n, frame in enumerate(hand())])
    rows = [json.loads(event_text(event)) for scene in scenes for event in scene.events]
    assert set(rows[0]) == {
        "type", "id", "track", "label", "confidence", "start_ns", "end_ns", "decided_ns", "lost",
    }  # fmt: skip
    assert [row["end_ns"] is None for row in rows] == [row["type"] != "ended" for row in rows]
    assert rows[0]["label"] == "Grab"
