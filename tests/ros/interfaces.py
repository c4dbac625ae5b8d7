"""Interfaces that no wheel brings, as text: the fields that vision_msgs, zed_msgs and hri_msgs of ROS 2 define.

Comments and constants are left out; what matters are names, types and order, on which the bytes depend.
"""

from __future__ import annotations

from typing import Any

__all__ = ["empty", "store"]

DEFINITIONS = {
    "vision_msgs/msg/BoundingBox3D": "geometry_msgs/Pose center\ngeometry_msgs/Vector3 size",
    "vision_msgs/msg/ObjectHypothesis": "string class_id\nfloat64 score",
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose"
    ),
    "vision_msgs/msg/Detection3D": (
        "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\nvision_msgs/BoundingBox3D bbox\n"
        "string id"
    ),
    "vision_msgs/msg/Detection3DArray": "std_msgs/Header header\nvision_msgs/Detection3D[] detections",
    "vision_msgs/msg/VisionClass": "uint16 class_id\nstring class_name",
    "vision_msgs/msg/LabelInfo": ("std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold"),
    "hri_msgs/msg/NormalizedPointOfInterest2D": "float32 x\nfloat32 y\nfloat32 c",
    "hri_msgs/msg/Skeleton2D": "std_msgs/Header header\nhri_msgs/NormalizedPointOfInterest2D[18] skeleton",
    "zed_msgs/msg/Keypoint2Df": "float32[2] kp",
    "zed_msgs/msg/Keypoint2Di": "uint32[2] kp",
    "zed_msgs/msg/Keypoint3D": "float32[3] kp",
    "zed_msgs/msg/BoundingBox2Df": "zed_msgs/Keypoint2Df[4] corners",
    "zed_msgs/msg/BoundingBox2Di": "zed_msgs/Keypoint2Di[4] corners",
    "zed_msgs/msg/BoundingBox3D": "zed_msgs/Keypoint3D[8] corners",
    "zed_msgs/msg/Skeleton2D": "zed_msgs/Keypoint2Df[70] keypoints",
    "zed_msgs/msg/Skeleton3D": "zed_msgs/Keypoint3D[70] keypoints",
    "zed_msgs/msg/Object": (
        "string label\nint16 label_id\nstring sublabel\nfloat32 confidence\nfloat32[3] position\n"
        "float32[6] position_covariance\nfloat32[3] velocity\nbool tracking_available\nint8 tracking_state\n"
        "int8 action_state\nzed_msgs/BoundingBox2Di bounding_box_2d\nzed_msgs/BoundingBox3D bounding_box_3d\n"
        "float32[3] dimensions_3d\nbool skeleton_available\nint8 body_format\n"
        "zed_msgs/BoundingBox2Df head_bounding_box_2d\nzed_msgs/BoundingBox3D head_bounding_box_3d\n"
        "float32[3] head_position\nzed_msgs/Skeleton2D skeleton_2d\nzed_msgs/Skeleton3D skeleton_3d\n"
        "float32[70] skeleton_keypoint_confidence"
    ),
    "zed_msgs/msg/ObjectsStamped": "std_msgs/Header header\nzed_msgs/Object[] objects",
}


def store() -> Any:
    """A type store of rosbags with ROS 2 Humble's messages and these."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    found = get_typestore(Stores.ROS2_HUMBLE)
    for name, text in DEFINITIONS.items():
        found.register(get_types_from_msg(text, name))
    return found


def empty(types: Any, name: str) -> Any:
    """A message of a type with every field at its default, as rclpy makes them and rosbags does not."""
    import numpy as np
    from rosbags.interfaces import Nodetype

    def scalar(kind: str) -> Any:
        return {"string": "", "bool": False}.get(kind, 0.0 if kind.startswith("float") else 0)

    def value(node: Any) -> Any:
        kind, what = node
        if kind == Nodetype.BASE:
            return scalar(what[0])
        if kind == Nodetype.NAME:
            return empty(types, what)
        (inner, name), count = what if kind == Nodetype.ARRAY else (what[0], 0)
        if inner == Nodetype.BASE and name[0] != "string":
            return np.zeros(count, dtype=np.bool_ if name[0] == "bool" else name[0])
        return [value((inner, name)) for _ in range(count)]

    _, fields = types.fielddefs[name]
    return types.types[name](**{field: value(node) for field, node in fields})
