"""The node itself, on rclpy: its states, parameters and topics, and what is wrong with messages.

Runs where rclpy is: in a sourced ROS 2, or by `make test-ros` on the wheels of ROS 2 Kilted.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from adasgn_edge_ros.pipeline import Pipeline

import adasgn_edge
from adasgn_edge.skeletons import load_layout
from tests.ros.conftest import PACKAGE
from tests.ros.listening import Listener, needs_hri, needs_vision, needs_zed, rclpy, spin_until
from tests.ros.support import HAND_FRAME, SECOND, STATED, Script, gesture_event

pytestmark = pytest.mark.usefixtures("domain")

ROOT = Path(__file__).parents[2]
ESCALATING = os.environ.get("ADASGN_ESCALATING_MODEL", "")
"""A causal model of layout shrec22 that escalates; `make test-ros` writes one."""


def parameters(told: dict[str, Any]) -> list[Any]:
    return [rclpy.parameter.Parameter(name, value=value) for name, value in told.items()]


@pytest.fixture
def make_node() -> Iterator[Callable[..., Any]]:
    """Nodes with STATED and further parameters; None leaves one out."""
    from adasgn_edge_ros.recogniser_node import RecogniserNode

    made = []

    def make(**changes: Any) -> Any:
        told = {"detections": False} | STATED | changes
        found = {name: value for name, value in told.items() if value is not None}
        made.append(RecogniserNode(parameter_overrides=parameters(found)))
        return made[-1]

    yield make
    for node in made:
        node.destroy_node()


def state_of(node: Any) -> str:
    return str(node._state_machine.current_state[1])


def success() -> Any:
    return rclpy.lifecycle.TransitionCallbackReturn.SUCCESS


def failure() -> Any:
    return rclpy.lifecycle.TransitionCallbackReturn.FAILURE


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.node.destroy_node()


@pytest.fixture
def source() -> Iterator[Any]:
    """A node that publishes."""
    found = rclpy.create_node("source")
    yield found
    found.destroy_node()


# -- states -----------------------------------------------------------------------------------------------------------


def test_the_states_and_what_is_there_in_each(make_node):
    node = make_node()
    assert state_of(node) == "unconfigured"
    assert node.trigger_configure() == success()
    assert (state_of(node), node.count_subscribers("skeletons"), node.count_publishers("~/events")) == (
        "inactive", 0, 1,
    )  # fmt: skip
    assert node.trigger_activate() == success()
    assert (state_of(node), node.count_subscribers("skeletons")) == ("active", 1)
    assert node.trigger_deactivate() == success()
    assert (state_of(node), node.count_subscribers("skeletons"), node.count_publishers("~/events")) == (
        "inactive", 0, 1,
    )  # fmt: skip
    assert node.trigger_activate() == success()  # again
    assert node.count_subscribers("skeletons") == 1
    assert node.trigger_deactivate() == success()
    assert node.trigger_cleanup() == success()
    assert (state_of(node), node.count_publishers("~/events")) == ("unconfigured", 0)
    assert node.trigger_configure() == success()
    assert node.trigger_activate() == success()
    assert node.trigger_shutdown() == success()
    assert (state_of(node), node.count_subscribers("skeletons")) == ("finalized", 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"axes": None, "side": None}, "SourceError: parameters: expected also axes: .*; side: "),
        ({"model": "/nowhere/a.adasgn"}, r"ModelFileError: .*/nowhere/a\.adasgn"),
        ({"source": "kinect"}, "LayoutError: source: expected one of"),
        ({"input_type": "hri_skeleton_2d"}, "SourceError: input_type: hri_skeleton_2d has no depth"),
        ({"effort": 0.5}, "EffortError: effort: expected none, as this model does not escalate"),
        (
            {"detections": True},
            "MissingDependencyError: vision_msgs/msg/Detection3DArray: expected ROS package vision_msgs.* or set "
            "parameter detections to false",
        ),
        (
            {"input_type": "zed_objects", "source": "zed-38", "side": "body"},
            "MissingDependencyError: zed_msgs/msg/ObjectsStamped: expected ROS package zed_msgs",
        ),
    ],
)
def test_configuring_fails_with_the_reason_and_may_be_tried_again(make_node, listener, monkeypatch, changes, message):
    for package in ("vision_msgs", "zed_msgs"):  # as if they were not installed
        monkeypatch.setitem(sys.modules, f"{package}.msg", None)
    node = make_node(**changes)
    assert node.trigger_configure() == failure()
    assert state_of(node) == "unconfigured"
    assert node.count_publishers("~/events") == 0
    spin_until(lambda: any(re.search(message, status.message) for status in listener.statuses()), node, listener.node)
    (status,) = [status for status in listener.statuses() if re.search(message, status.message)][:1]
    assert status.level == b"\x02"
    told = {"detections": False, "effort": 1.0} | STATED  # put right, but for the effort, which cannot be unset
    results = node.set_parameters(parameters({name: told[name] for name in changes if name != "effort"}))
    assert all(result.successful for result in results)
    if "effort" not in changes:
        assert node.trigger_configure() == success()


def test_an_error_while_it_is_activated_leads_to_unconfigured(make_node, listener, monkeypatch):
    node = make_node()
    node.trigger_configure()

    def broken() -> None:
        raise RuntimeError("no such camera")

    monkeypatch.setattr(node, "_listen", broken)
    assert node.trigger_activate() != success()
    assert state_of(node) == "unconfigured"
    message = "cannot activate: RuntimeError: no such camera"
    spin_until(lambda: any(status.message == message for status in listener.statuses()), node, listener.node)
    monkeypatch.undo()
    assert node.trigger_configure() == success()
    assert node.trigger_activate() == success()


# -- parameters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_tracks", 0), ("max_tracks", 5000), ("effort", 1.5), ("gap", -1.0), ("deadline", 0.0),
     ("min_confidence", 2.0), ("gap", "long"), ("mirrored", "no"), ("max_tracks", 2.5)],
)  # fmt: skip
def test_values_out_of_range_or_of_another_type_are_refused(make_node, name, value):
    node = make_node()
    before = node.get_parameter_or(name).value
    try:
        (result,) = node.set_parameters(parameters({name: value}))
        assert not result.successful
        assert result.reason
    except rclpy.exceptions.InvalidParameterTypeException:  # how Humble refuses types
        pass
    assert node.get_parameter_or(name).value == before


@pytest.mark.parametrize(("told", "name"), [("max_tracks:=0", "max_tracks"), ("units:=0.001", "units")])
def test_a_value_that_cannot_be_ends_the_start_with_one_line(told, name):
    result = subprocess.run(
        [sys.executable, "-m", "adasgn_edge_ros.recogniser_node", "--ros-args", "--param", told],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(PACKAGE)])}, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("recogniser_node: ")
    assert name in line


def test_the_ranges_are_told():
    from adasgn_edge_ros.parameters import PARAMETERS
    from adasgn_edge_ros.recogniser_node import RecogniserNode

    node = RecogniserNode()
    try:
        for known in PARAMETERS:
            told = node.describe_parameter(known.name)
            assert told.description == known.description
            ranges = [*told.integer_range, *told.floating_point_range]
            assert [(limits.from_value, limits.to_value) for limits in ranges] == (
                [] if known.low is None else [(known.low, known.high)]
            )
            assert not told.dynamic_typing
    finally:
        node.destroy_node()


def test_what_would_not_be_heeded_is_refused_once_it_is_configured(make_node):
    node = make_node()
    assert node.set_parameters(parameters({"gap": 0.5}))[0].successful
    node.trigger_configure()
    for step in (lambda: None, node.trigger_activate):
        step()
        (result,) = node.set_parameters(parameters({"gap": 0.2}))
        assert not result.successful
        assert "gap: expected to be set while the node is unconfigured" in result.reason
        assert node.get_parameter("gap").value == 0.5
    node.trigger_deactivate()
    node.trigger_cleanup()
    assert node.set_parameters(parameters({"gap": 0.2}))[0].successful


def test_the_effort_of_a_model_without_one_is_refused_while_it_runs(make_node):
    node = make_node()
    node.trigger_configure()
    node.trigger_activate()
    (result,) = node.set_parameters(parameters({"effort": 0.5}))
    assert not result.successful
    assert "does not escalate" in result.reason


@pytest.mark.skipif(not ESCALATING, reason="ADASGN_ESCALATING_MODEL names no model; `make test-ros` writes one")
def test_the_effort_is_changed_while_it_runs(make_node):
    node = make_node(model=ESCALATING, effort=0.0)
    assert node.trigger_configure() == success()
    assert node.trigger_activate() == success()
    assert node.set_parameters(parameters({"effort": 1.0}))[0].successful
    assert node._pipeline.settings.effort == 1.0
    (result,) = node.set_parameters(parameters({"effort": 1.5}))
    assert not result.successful
    assert node._pipeline.settings.effort == 1.0


# -- topics -----------------------------------------------------------------------------------------------------------


def test_quality_of_service(make_node):
    from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

    node = make_node()
    node.trigger_configure()
    node.trigger_activate()
    (skeletons,) = node.get_subscriptions_info_by_topic("/skeletons")
    assert skeletons.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    for topic in ("/recogniser/events", "/recogniser/markers", "/diagnostics"):
        (publisher,) = node.get_publishers_info_by_topic(topic)
        assert publisher.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        assert publisher.qos_profile.durability == DurabilityPolicy.VOLATILE


@needs_vision
def test_who_comes_late_gets_the_labels(make_node):
    from adasgn_edge_ros.recogniser_node import LATCHED
    from vision_msgs.msg import LabelInfo

    node = make_node(detections=True)
    node.trigger_configure()
    node.trigger_activate()
    heard: list[Any] = []
    late = rclpy.create_node("late")
    late.create_subscription(LabelInfo, "/recogniser/labels", heard.append, LATCHED)
    spin_until(lambda: heard, node, late)
    late.destroy_node()
    assert "Grab" in [entry.class_name for entry in heard[0].class_map]
    assert [entry.class_id for entry in heard[0].class_map] == list(range(18))
    recognition = adasgn_edge.Recogniser(adasgn_edge.shipped_model("stream")).description.recognition
    assert recognition is not None
    assert heard[0].threshold == pytest.approx(recognition.decision.start)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """In place of the recogniser of a body: no trained model of bodies in streams is there."""
    from adasgn_edge_ros import recogniser_node

    found = Script("ntu25", {0: [gesture_event("started", 7)]})
    monkeypatch.setattr(recogniser_node, "Pipeline", lambda settings: Pipeline(settings, found))
    return found


@needs_zed
@needs_vision
def test_zed_objects_come_in_and_detections_go_out(make_node, listener, source, script):
    from rclpy.qos import qos_profile_sensor_data
    from zed_msgs.msg import Object, ObjectsStamped

    node = make_node(input_type="zed_objects", source="zed-38", axes="ros", side="body", detections=True)
    assert node.trigger_configure() == success()
    assert node.trigger_activate() == success()
    publisher = source.create_publisher(ObjectsStamped, "/skeletons", qos_profile_sensor_data)
    keypoints = np.random.default_rng(0).normal(0, 0.4, (38, 3)).astype(np.float32) + np.float32(2)

    def send() -> None:
        objects = []
        for track, state in ((7, 1), (8, 2)):
            found = Object(label_id=track, tracking_available=True, tracking_state=state)
            found.skeleton_available, found.body_format = True, 2
            for place, position in zip(found.skeleton_3d.keypoints, keypoints, strict=False):
                place.kp = position
            objects.append(found)
        message = ObjectsStamped(objects=objects)
        message.header.frame_id, message.header.stamp.sec = "zed_left_camera_frame", 5 + len(script.pushed)
        publisher.publish(message)

    spin_until(lambda: node.count_publishers("/skeletons") and publisher.get_subscription_count(), node, source)
    source.create_timer(0.05, send)
    spin_until(lambda: listener.heard["detections"], node, source, listener.node)
    assert all(set(tracks) == {7} for _, tracks in script.pushed)
    (detection,) = listener.heard["detections"][-1].detections
    assert (detection.id, detection.results[0].hypothesis.class_id) == ("7", "wave")
    assert detection.header.frame_id == "zed_left_camera_frame"
    assert detection.header.stamp.sec in [stamp // SECOND for stamp, _ in script.pushed]
    assert detection.bbox.size.x == pytest.approx(np.ptp(keypoints[:, 0]), rel=0.5)


@needs_hri
def test_hri_skeletons_are_placed_by_depth_images(make_node, source, script):
    from hri_msgs.msg import Skeleton2D
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import CameraInfo, Image

    node = make_node(
        input_type="hri_skeleton_2d", source="hri-18", axes="optical", side="body", depth=True, rectified=True
    )
    assert node.trigger_configure() == success()
    assert node.trigger_activate() == success()
    kinds = {"/skeletons": Skeleton2D, "/depth/image": Image, "/depth/camera_info": CameraInfo}
    publishers = {topic: source.create_publisher(kind, topic, qos_profile_sensor_data) for topic, kind in kinds.items()}
    sent = 0

    def send() -> None:
        nonlocal sent
        sent += 1
        image = Image(height=48, width=64, encoding="16UC1", step=128, data=np.full(48 * 64, 2000, "<u2").tobytes())
        camera = CameraInfo(height=48, width=64, p=[50.0, 0.0, 32.0, 0.0, 0.0, 50.0, 24.0, *[0.0] * 3, 1.0, 0.0])
        skeleton = Skeleton2D()
        for number, joint in enumerate(skeleton.skeleton):
            joint.x, joint.y, joint.c = 0.2 + number / 40, 0.5, 0.9
        for topic, message in (("/depth/image", image), ("/depth/camera_info", camera), ("/skeletons", skeleton)):
            late = 1 if topic == "/skeletons" else 0  # finding a skeleton takes time
            message.header.stamp.sec, message.header.frame_id = sent - late, "camera_optical_frame"
            publishers[topic].publish(message)

    source.create_timer(0.05, send)
    spin_until(lambda: script.pushed, node, source)
    left_wrist = script.pushed[0][1][0][load_layout("ntu25").index("left_wrist")]
    x = ((0.2 + 7 / 40) * 64 - 32) / 50 * 2
    np.testing.assert_allclose(left_wrist, (-x, 0, 2), atol=1e-5)


def test_what_is_wrong_with_messages_is_told(make_node, listener, source):
    from geometry_msgs.msg import Pose, PoseArray
    from rclpy.qos import qos_profile_sensor_data

    node = make_node()
    node.trigger_configure()
    node.trigger_activate()
    publisher = source.create_publisher(PoseArray, "/skeletons", qos_profile_sensor_data)
    number = 0

    def send() -> None:
        nonlocal number
        number += 1
        message = PoseArray(poses=[Pose()] * 5)
        message.header.frame_id = HAND_FRAME
        message.header.stamp.sec = number
        publisher.publish(message)

    source.create_timer(0.05, send)
    wrong = "nothing usable comes in: poses: expected 22, one for each joint of the source, or none; found 5"
    spin_until(lambda: any(status.message == wrong for status in listener.statuses()), node, source, listener.node)
