"""Messages to arrays, arrays to messages. Needs no ROS.

What is read may be of any class that has a message's attributes, rclpy's or rosbags'. What is written is made by a
function of the caller's, which gives an empty message of a type: ``make("geometry_msgs/msg/Point")``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.perspective import Intrinsics
from adasgn_edge.errors import ClipError
from adasgn_edge.wording import shown
from adasgn_edge_ros.scene import Body, Moment, Picture, Scene, SceneEvent

__all__ = [
    "HRI_JOINTS",
    "ZED_KEYPOINTS",
    "Make",
    "event_text",
    "read_camera_info",
    "read_depth",
    "read_pose_array",
    "read_skeleton_2d",
    "read_zed_objects",
    "stamp_of",
    "write_detections",
    "write_diagnostics",
    "write_labels",
    "write_markers",
]

Make = Callable[[str], Any]
SECOND = 1_000_000_000
SINGLE = 0
"""The track of a body whose messages tell no identity."""

ZED_KEYPOINTS = {0: 18, 1: 34, 2: 38}
"""Keypoints that are valid, by an object's body_format; the array always has 70 places."""
ZED_OK = 1
"""The tracking_state of a body that was seen; 2, searching, and 3, its last moment, are the tracker's guesses."""
HRI_JOINTS = 18
"""Of hri_msgs/Skeleton2D."""

SPHERES, LINES, TEXT = 7, 5, 9
"""visualization_msgs/Marker: SPHERE_LIST, LINE_LIST, TEXT_VIEW_FACING."""
ADD, DELETE = 0, 2
COLOURS = ((0.12, 0.47, 0.71), (1.0, 0.5, 0.05), (0.17, 0.63, 0.17), (0.84, 0.15, 0.16), (0.58, 0.4, 0.74))


def stamp_of(message: Any) -> int:
    """Nanoseconds of a message's header: when it was captured."""
    return int(message.header.stamp.sec) * SECOND + int(message.header.stamp.nanosec)


def read_pose_array(message: Any, joints: int) -> Moment:
    """geometry_msgs/PoseArray: the positions of one body's joints in the source's order; none: nobody is in sight.

    Orientations are passed over. Raises ClipError for another number of poses.
    """
    poses = message.poses
    if len(poses) not in (0, joints):
        raise ClipError(f"poses: expected {joints}, one for each joint of the source, or none; found {len(poses)}")
    tracks = {}
    if poses:
        positions = [(pose.position.x, pose.position.y, pose.position.z) for pose in poses]
        with np.errstate(over="ignore"):  # becomes infinity
            tracks[SINGLE] = np.array(positions, dtype=np.float32)
    return Moment(stamp_of(message), message.header.frame_id, _seen(tracks))


def read_zed_objects(message: Any, joints: int) -> Moment:
    """zed_msgs/ObjectsStamped: the bodies that the camera sees now, by their tracks.

    The track of a body is in the field label_id. Objects without a skeleton are left out, and so are bodies that the
    tracker searches for: their joints are no observations. Raises ClipError for another body format, for bodies that
    are not tracked and for a track that comes twice.
    """
    tracks: dict[int, NDArray[np.float32]] = {}
    for found in message.objects:
        if not found.skeleton_available:
            continue
        body_format = int(found.body_format)
        if ZED_KEYPOINTS.get(body_format) != joints:
            names = ", ".join(f"{number} (BODY_{count})" for number, count in ZED_KEYPOINTS.items() if count == joints)
            raise ClipError(
                f"body_format: expected {names or 'none'}, as the source has {joints} joints; found {body_format}"
            )
        if not found.tracking_available:
            raise ClipError("tracking_available: expected tracked bodies, found body tracking without tracks")
        if int(found.tracking_state) != ZED_OK:
            continue
        track = int(found.label_id)
        if track in tracks:
            raise ClipError(f"label_id: expected every track once, found {track} twice")
        tracks[track] = np.array([keypoint.kp for keypoint in found.skeleton_3d.keypoints[:joints]], dtype=np.float32)
    return Moment(stamp_of(message), message.header.frame_id, _seen(tracks))


def _seen(tracks: dict[int, NDArray[np.float32]]) -> dict[int, NDArray[np.float32]]:
    """Joints that are not finite were not seen; without the bodies of whom none was."""
    for joints in tracks.values():
        joints[~np.isfinite(joints).all(axis=1)] = np.nan
    return {track: joints for track, joints in tracks.items() if not np.isnan(joints).all()}


def read_skeleton_2d(message: Any, least_confidence: float) -> Picture:
    """hri_msgs/Skeleton2D: a joint is seen where its confidence suffices and it lies in the picture.

    Raises ClipError for another number of joints.
    """
    if len(message.skeleton) != HRI_JOINTS:
        raise ClipError(f"skeleton: expected {HRI_JOINTS} joints, found {len(message.skeleton)}")
    rows = np.array([(point.x, point.y, point.c) for point in message.skeleton], dtype=np.float32)
    points, confidence = rows[:, :2], rows[:, 2]
    inside = ((points >= 0) & (points <= 1)).all(axis=1)  # not where they are NaN
    seen = inside & (confidence > 0) & (confidence >= least_confidence)
    points = np.where(seen[:, None], points, np.float32(np.nan))
    return Picture(stamp_of(message), message.header.frame_id, points)


def read_depth(message: Any) -> NDArray[np.float32]:
    """sensor_msgs/Image, 32FC1 in metres or 16UC1 in millimetres: (H, W) metres, NaN where there is no depth.

    Raises ClipError for another encoding or size.
    """
    kinds = {"32FC1": "f4", "16UC1": "u2", "mono16": "u2"}
    if message.encoding not in kinds:
        raise ClipError(f"depth image: expected one of {', '.join(kinds)}, found {shown(message.encoding)}")
    kind = np.dtype((">" if message.is_bigendian else "<") + kinds[message.encoding])
    height, width, step = int(message.height), int(message.width), int(message.step)
    data = np.frombuffer(message.data, dtype=np.uint8)
    if min(height, width) < 1 or step < width * kind.itemsize or len(data) != height * step:
        raise ClipError(f"depth image: expected {height} rows of {step} bytes for {width} pixels, found {len(data)}")
    rows = data.reshape(height, step)[:, : width * kind.itemsize]
    depth = np.ascontiguousarray(rows).view(kind).astype(np.float32)
    if kind.kind == "u":
        depth *= np.float32(0.001)
    depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
    return depth


def read_camera_info(message: Any, rectified: bool) -> Intrinsics:
    """sensor_msgs/CameraInfo: of rectified pictures from P; of others from K and the distortion D.

    Raises SourceError for a camera that is not calibrated.
    """
    if not rectified:
        facts = {"k": list(map(float, message.k)), "d": list(map(float, message.d))}
        facts |= {name: getattr(message, name) for name in ("width", "height", "distortion_model")}
        return Intrinsics.from_dict(facts)
    p = list(map(float, message.p))
    return Intrinsics(p[0], p[5], p[2], p[6], int(message.width), int(message.height))


def write_detections(make: Make, scene: Scene) -> Any:
    """vision_msgs/Detection3DArray: a detection for every body in sight whose gesture goes on.

    id: the track; the box lies around the joints that were seen, along the axes of the frame.
    """
    array = make("vision_msgs/msg/Detection3DArray")
    _fill_header(array.header, scene.stamp_ns, scene.frame_id)
    detections = []
    for body in scene.bodies:
        if body.gesture is None:
            continue
        low, high = np.nanmin(body.joints, axis=0), np.nanmax(body.joints, axis=0)
        centre, size = ((low + high) / 2).tolist(), (high - low).tolist()
        detection = make("vision_msgs/msg/Detection3D")
        _fill_header(detection.header, scene.stamp_ns, scene.frame_id)
        detection.id = str(body.track)
        detection.bbox.center.position.x, detection.bbox.center.position.y, detection.bbox.center.position.z = centre
        detection.bbox.center.orientation.w = 1.0
        detection.bbox.size.x, detection.bbox.size.y, detection.bbox.size.z = size
        result = make("vision_msgs/msg/ObjectHypothesisWithPose")
        result.hypothesis.class_id, result.hypothesis.score = body.gesture.label, body.gesture.score
        pose = result.pose.pose
        pose.position.x, pose.position.y, pose.position.z = centre
        pose.orientation.w = 1.0
        detection.results = [result]
        detections.append(detection)
    array.detections = detections
    return array


def write_labels(make: Make, labels: Sequence[str], threshold: float, stamp_ns: int) -> Any:
    """vision_msgs/LabelInfo: the classes' numbers and names, and the probability at which a gesture starts."""
    info = make("vision_msgs/msg/LabelInfo")
    _fill_header(info.header, stamp_ns, "")
    classes = []
    for number, name in enumerate(labels):
        entry = make("vision_msgs/msg/VisionClass")
        entry.class_id, entry.class_name = number, name
        classes.append(entry)
    info.class_map, info.threshold = classes, float(threshold)
    return info


def write_markers(
    make: Make, scene: Scene, bones: Sequence[tuple[int, int]], up: Sequence[float], lifetime: float
) -> Any:
    """visualization_msgs/MarkerArray: joints and bones of every body, and above it (`up`) the label of its gesture.

    Nothing outlives `lifetime` seconds.
    """
    array = make("visualization_msgs/msg/MarkerArray")
    array.markers = [
        marker for body in scene.bodies for marker in _body_markers(make, scene, body, bones, up, lifetime)
    ]
    return array


def _body_markers(
    make: Make, scene: Scene, body: Body, bones: Sequence[tuple[int, int]], up: Sequence[float], lifetime: float
) -> tuple[Any, Any, Any]:
    seen: NDArray[np.bool_] = np.asarray(~np.isnan(body.joints).any(axis=1))
    places = [_point(make, place) for place in body.joints.tolist()]
    extent = float(np.linalg.norm(np.nanmax(body.joints, axis=0) - np.nanmin(body.joints, axis=0))) or 0.1
    thick = max(0.02 * extent, 0.002)

    def marker(name: str, kind: int, size: float) -> Any:
        made = make("visualization_msgs/msg/Marker")
        _fill_header(made.header, scene.stamp_ns, scene.frame_id)
        made.ns, made.id, made.type, made.action = name, body.track & 0x7FFFFFFF, kind, ADD
        made.pose.orientation.w = 1.0
        made.scale.x = made.scale.y = made.scale.z = size
        made.color.r, made.color.g, made.color.b = COLOURS[body.track % len(COLOURS)]
        made.color.a = 1.0
        whole = math.floor(lifetime)
        made.lifetime.sec, made.lifetime.nanosec = whole, int((lifetime - whole) * SECOND)
        return made

    joints = marker("joints", SPHERES, 2 * thick)
    joints.points = [place for place, there in zip(places, seen, strict=True) if there]
    lines = marker("bones", LINES, thick)
    lines.points = [places[end] for bone in bones if seen[list(bone)].all() for end in bone]
    text = marker("label", TEXT, max(0.2 * extent, 0.03))
    if body.gesture is None:
        text.action = DELETE
    else:
        text.text = f"{body.gesture.label} {body.gesture.score:.2f}"
        middle, direction = np.nanmean(body.joints, axis=0), np.asarray(up)
        above = float(np.nanmax((body.joints - middle) @ direction)) + 0.2 * extent
        text.pose.position.x, text.pose.position.y, text.pose.position.z = (middle + above * direction).tolist()
    return joints, lines, text


def event_text(event: SceneEvent) -> str:
    """An event as a line of JSON, as `adasgn-edge stream --json` writes it; a gesture that goes on has no end."""
    return json.dumps(
        {
            "type": event.kind,
            "id": event.id,
            "track": str(event.track),
            "label": event.label,
            "confidence": round(event.confidence, 6),
            "start_ns": event.start_ns,
            "end_ns": event.end_ns if event.kind == "ended" else None,
            "decided_ns": event.decided_ns,
            "lost": event.lost,
        }
    )


def write_diagnostics(
    make: Make, name: str, hardware_id: str, level: int, message: str, values: Sequence[tuple[str, str]], stamp_ns: int
) -> Any:
    """diagnostic_msgs/DiagnosticArray of one status."""
    array, status = make("diagnostic_msgs/msg/DiagnosticArray"), make("diagnostic_msgs/msg/DiagnosticStatus")
    _fill_header(array.header, stamp_ns, "")
    status.level = bytes([level]) if isinstance(status.level, bytes) else level  # rclpy has bytes, rosbags numbers
    status.name, status.hardware_id, status.message = name, hardware_id, message
    pairs = []
    for key, value in values:
        pair = make("diagnostic_msgs/msg/KeyValue")
        pair.key, pair.value = key, value
        pairs.append(pair)
    status.values = pairs
    array.status = [status]
    return array


def _point(make: Make, place: Sequence[float]) -> Any:
    point = make("geometry_msgs/msg/Point")
    point.x, point.y, point.z = place
    return point


def _fill_header(header: Any, stamp_ns: int, frame_id: str) -> None:
    header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, SECOND)
    header.frame_id = frame_id
