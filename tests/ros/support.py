"""What the tests share: settings, messages as plain objects, and a recogniser that finds what it is told to."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace as Message
from typing import Any

import numpy as np
from adasgn_edge_ros.parameters import PARAMETERS, Settings
from adasgn_edge_ros.pipeline import Pipeline
from adasgn_edge_ros.scene import Scene, SceneEvent

from adasgn_edge.hands import perform
from adasgn_edge.recogniser import GestureEvent, Output, Stats
from adasgn_edge.skeletons import load_layout

FPS = 30
SECOND = 1_000_000_000
START_NS = 1_577_836_800 * SECOND
HAND_FRAME, BODY_FRAME = "hand_sensor", "camera_link"
STATED = {
    "model": "stream", "input_type": "pose_array", "source": "model", "axes": "model", "units": "m",
    "mirrored": False, "gravity": "level", "side": "right",
}  # fmt: skip
"""The parameters of the package's hand as it is made."""
PERFORMED = ("Grab", "Swipe Right")
"""Gestures of the package's hand that the shipped model knows, under the names of PERFORMED_LABELS."""
PERFORMED_LABELS = ["Grab", "Right"]
SEED = 4


def values(**changes: Any) -> dict[str, Any]:
    """All parameters by name: defaults, STATED, `changes`."""
    return {known.name: known.default for known in PARAMETERS} | STATED | changes


def settings(**changes: Any) -> Settings:
    return Settings.of(values(**changes))


@cache
def hand() -> np.ndarray:
    """(L, 22, 3) metres, the model's axes, 30 frames a second."""
    joints = perform([(gesture, False) for gesture in PERFORMED], seed=SEED, rate=FPS).positions
    joints.flags.writeable = False
    return joints


def stamp_at(frame: int) -> int:
    return START_NS + frame * SECOND // FPS


def header(stamp_ns: int, frame_id: str) -> Message:
    return Message(stamp=Message(sec=stamp_ns // SECOND, nanosec=stamp_ns % SECOND), frame_id=frame_id)


def pose_array(stamp_ns: int, joints: Any, frame_id: str = HAND_FRAME) -> Message:
    """geometry_msgs/PoseArray of joints (S, 3)."""
    poses = [Message(position=Message(x=x, y=y, z=z)) for x, y, z in np.asarray(joints, dtype=float).tolist()]
    return Message(header=header(stamp_ns, frame_id), poses=poses)


def zed_object(track: int, keypoints: np.ndarray, body_format: int = 2, **changes: Any) -> Message:
    """zed_msgs/Object of keypoints (N, 3); the places beyond them are filled with what must never be read."""
    places = np.full((70, 3), 1e6, dtype=np.float32)
    places[: len(keypoints)] = keypoints
    facts = {
        "label": "Person", "label_id": track, "tracking_available": True, "tracking_state": 1,
        "skeleton_available": True, "body_format": body_format,
        "skeleton_3d": Message(keypoints=[Message(kp=place) for place in places]),
    }  # fmt: skip
    return Message(**(facts | changes))


def zed_objects(stamp_ns: int, objects: list[Message], frame_id: str = BODY_FRAME) -> Message:
    return Message(header=header(stamp_ns, frame_id), objects=objects)


def skeleton_2d(stamp_ns: int, points: np.ndarray, frame_id: str = "camera_optical_frame") -> Message:
    """hri_msgs/Skeleton2D of points (18, 3): x, y, confidence."""
    return Message(header=header(stamp_ns, frame_id), skeleton=[Message(x=x, y=y, c=c) for x, y, c in points.tolist()])


def depth_image(stamp_ns: int, metres: np.ndarray) -> Message:
    """sensor_msgs/Image, 16UC1: millimetres, 0 where there is none; rows padded by 6 bytes, as they may be."""
    height, width = metres.shape
    data = np.zeros((height, 2 * width + 6), dtype=np.uint8)
    data[:, : 2 * width] = np.round(1000 * metres).astype("<u2").view(np.uint8)
    return Message(
        header=header(stamp_ns, "camera_optical_frame"), height=height, width=width, encoding="16UC1",
        is_bigendian=0, step=2 * width + 6, data=data.reshape(-1),
    )  # fmt: skip


def camera_info(focal: float, width: int, height: int) -> Message:
    """sensor_msgs/CameraInfo of a camera without distortion whose K is not that of its rectified pictures."""
    p = [focal, 0, width / 2, 0, 0, focal, height / 2, 0, 0, 0, 1, 0]
    k = [2 * focal, 0, width / 2, 0, 2 * focal, height / 2, 0, 0, 1]
    return Message(p=p, k=k, d=[], distortion_model="plumb_bob", width=width, height=height)


class Script:
    """In place of a recogniser: events at given pushes, whatever comes; `pushed` is what came."""

    def __init__(self, layout: str, events: dict[int, list[GestureEvent]] | None = None) -> None:
        self.labels = ("wave", "none")
        self.description = Message(layout=load_layout(layout), recognition=Message(decision=Message(start=0.75)))
        self.pushed: list[tuple[int, dict[int, np.ndarray]]] = []
        self.efforts: list[float] = []
        self._events = events or {}

    def push(self, stamp_ns: int, tracks: dict[int, np.ndarray]) -> Output:
        self.pushed.append((stamp_ns, tracks))
        return Output([], self._events.get(len(self.pushed) - 1, []))

    def stats(self) -> Stats:
        return Stats(*([0] * len(Stats.__dataclass_fields__)))

    def set_effort(self, effort: float) -> None:
        self.efforts.append(effort)


def gesture_event(kind: str, track: int, confidence: float = 0.9) -> GestureEvent:
    return GestureEvent(kind, 1, track, 0, confidence, START_NS, START_NS + SECOND, START_NS + SECOND, False)


def played(pipeline: Pipeline, messages: list[Any]) -> list[Scene]:
    """The scenes of messages of which none is refused."""
    scenes = [pipeline.take(message) for message in messages]
    refused = [scene for scene in scenes if not isinstance(scene, Scene)]
    assert not refused, refused[0]
    return scenes  # type: ignore[return-value]


def started(scenes: list[Scene]) -> list[SceneEvent]:
    return [event for scene in scenes for event in scene.events if event.kind == "started"]
