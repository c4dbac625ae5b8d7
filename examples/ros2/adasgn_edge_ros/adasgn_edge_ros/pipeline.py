"""What the node does with a message, without rclpy: read it, adapt its joints, push them, tell what came of it."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from adasgn_edge import Recogniser
from adasgn_edge.data.adapter import Adapter
from adasgn_edge.data.axes import NAMED_AXES
from adasgn_edge.data.perspective import Intrinsics, lift
from adasgn_edge.data.sources import JointMap
from adasgn_edge.deploy.model_file import model_called
from adasgn_edge.errors import AdaSGNError, SourceError
from adasgn_edge.recogniser import GestureEvent, Output, Stats
from adasgn_edge.wording import shown
from adasgn_edge_ros.conversions import (
    HRI_JOINTS,
    ZED_KEYPOINTS,
    read_camera_info,
    read_depth,
    read_pose_array,
    read_skeleton_2d,
    read_zed_objects,
    stamp_of,
)
from adasgn_edge_ros.health import Health, Report
from adasgn_edge_ros.parameters import Settings
from adasgn_edge_ros.scene import Body, Gesture, Moment, Picture, Refusal, Scene, SceneEvent

__all__ = ["Pipeline", "RecogniserLike"]

MOST_DEPTH_IMAGES = 30
UPWARDS = {"up": 1, "down": -1}
OPTICAL_SUFFIXES = ("_optical_frame", "_optical")
"""Frames that REP-103 keeps for optical axes."""


class RecogniserLike(Protocol):
    """What is used of :class:`adasgn_edge.Recogniser`."""

    description: Any

    @property
    def labels(self) -> tuple[str, ...]: ...

    def push(self, stamp_ns: int, tracks: dict[int, Any]) -> Output: ...

    def stats(self) -> Stats: ...

    def set_effort(self, effort: float) -> None: ...


def load(settings: Settings) -> Recogniser:
    """The recogniser that the settings ask for; raises what :class:`adasgn_edge.Recogniser` does."""
    model = model_called(settings.model)
    return Recogniser(
        model, device=settings.device, mode=settings.mode, effort=settings.effort, max_tracks=settings.max_tracks,
        gap=settings.gap,
    )  # fmt: skip


class Pipeline:
    """Messages in, scenes out.

    Raises the named errors of adasgn_edge for a model that cannot be used and a source that does not fit it.
    """

    def __init__(self, settings: Settings, recogniser: RecogniserLike | None = None) -> None:
        self.settings = settings
        self.recogniser: RecogniserLike = load(settings) if recogniser is None else recogniser
        layout = self.recogniser.description.layout
        self._adapter = Adapter(settings.description, layout)
        source = self._adapter.source
        self._map = None if source is None else JointMap(source.matrix(layout))
        self.joints = self._adapter.joint_count
        self._expect_joints(settings.input_type)
        self.bones = [(layout.index(child), layout.index(parent)) for child, parent in layout.bones]
        self.up = tuple(float(UPWARDS.get(word, 0)) for word in settings.description.axes)
        self.health = Health(settings.deadline, settings.silence)
        self._frame_id = settings.frame_id
        self._gestures: dict[int, Gesture] = {}  # by track
        self._depth: deque[Any] = deque(maxlen=MOST_DEPTH_IMAGES)
        self._camera: Intrinsics | None = None

    @property
    def threshold(self) -> float:
        """The smoothed probability from which a gesture starts."""
        return float(self.recogniser.description.recognition.decision.start)

    def take(self, message: Any) -> Scene | Refusal:
        """A message of the input's type; what is wrong with one is counted, and told."""
        began = time.perf_counter()
        try:
            moment = self._read(message)
            if isinstance(moment, Refusal):
                self.health.refuse(moment.kind, moment.reason)
                return moment
            tracks = {track: self._adapter.convert(joints) for track, joints in moment.tracks.items()}
            output = self.recogniser.push(moment.stamp_ns, tracks)
        except AdaSGNError as error:
            self.health.refuse("malformed", str(error))
            return Refusal("malformed", str(error))
        self.health.pushed(time.perf_counter() - began)
        events = [self._event(event) for event in output.events]
        shown_joints = {track: self._shown(joints) for track, joints in moment.tracks.items()}
        bodies = [
            Body(track, joints, self._gestures.get(track))
            for track, joints in shown_joints.items()
            if not np.isnan(joints).any(axis=1).all()
        ]
        return Scene(moment.stamp_ns, moment.frame_id, bodies, events)

    def take_depth(self, message: Any) -> None:
        """A depth image, kept until a skeleton asks for it."""
        self._depth.append(message)

    def take_camera_info(self, message: Any) -> Refusal | None:
        """The camera of picture and depth image."""
        try:
            self._camera = read_camera_info(message, self.settings.rectified)
        except AdaSGNError as error:
            self.health.refuse("camera_info", str(error))
            return Refusal("camera_info", str(error))
        return None

    def set_effort(self, effort: float) -> None:
        """From the next message on; EffortError where the model has none."""
        self.recogniser.set_effort(effort)
        self.settings = replace(self.settings, effort=effort)

    def report(self, state: str) -> Report:
        """For a diagnostic."""
        return self.health.report(state, self.recogniser.stats())

    def _expect_joints(self, input_type: str) -> None:
        """Raise SourceError for a source whose joints the messages cannot have."""
        counts = {"zed_objects": tuple(ZED_KEYPOINTS.values()), "hri_skeleton_2d": (HRI_JOINTS,)}.get(input_type)
        if counts is not None and self.joints not in counts:
            known = " or ".join(map(str, counts))
            raise SourceError(
                f"source: expected {known} joints, as {input_type} has, found {self.joints} of "
                f"{self.settings.description.joints!r}"
            )

    def _read(self, message: Any) -> Moment | Refusal:
        stamp, frame_id = stamp_of(message), message.header.frame_id
        if stamp == 0:
            return Refusal("without stamp", "header.stamp: expected the moment of capture, found 0")
        if not self._frame_id:
            self._frame_id = frame_id
        if frame_id != self._frame_id:
            return Refusal("other frame", f"frame_id: expected {shown(self._frame_id)}, found {shown(frame_id)}")
        if frame_id.endswith(OPTICAL_SUFFIXES) and self.settings.description.axes != NAMED_AXES["optical"]:
            self.health.doubt = f"frame {frame_id} has optical axes by its name, parameter axes says otherwise"
        if self.settings.input_type == "pose_array":
            return read_pose_array(message, self.joints)
        if self.settings.input_type == "zed_objects":
            return read_zed_objects(message, self.joints)
        return self._lifted(read_skeleton_2d(message, self.settings.min_confidence))

    def _lifted(self, picture: Picture) -> Moment | Refusal:
        """The picture's body in space, by the depth image of the same moment."""
        if self._camera is None:
            return Refusal("without depth", "depth/camera_info: expected the camera's intrinsics, found none so far")
        near = min(self._depth, key=lambda image: abs(stamp_of(image) - picture.stamp_ns), default=None)
        if near is None or abs(stamp_of(near) - picture.stamp_ns) > 1e9 * self.settings.depth_tolerance:
            apart = "none" if near is None else f"one {1e-9 * abs(stamp_of(near) - picture.stamp_ns):.3f} s apart"
            return Refusal(
                "without depth",
                f"depth/image: expected one within {self.settings.depth_tolerance:g} s of the skeleton, found {apart}",
            )
        size = np.array([self._camera.width, self._camera.height], dtype=np.float32)
        joints = lift(picture.points * size, read_depth(near), self._camera).astype(np.float32)
        tracks = {} if np.isnan(joints).any(axis=1).all() else {0: joints}
        return Moment(picture.stamp_ns, picture.frame_id, tracks)

    def _shown(self, joints: NDArray[np.float32]) -> NDArray[np.float32]:
        """The layout's joints (V, 3) in the message's own axes, metres."""
        if self._map is not None:
            unseen: NDArray[np.bool_] = np.asarray(np.isnan(joints).any(axis=1))
            joints = self._map(joints, unseen)
        return joints * np.float32(self.settings.description.units)

    def _event(self, event: GestureEvent) -> SceneEvent:
        """Keeps in mind which gestures go on."""
        label = self.recogniser.labels[event.label]
        if event.kind == "ended":
            self._gestures.pop(event.track, None)
        else:
            self._gestures[event.track] = Gesture(event.id, label, event.confidence)
        return SceneEvent(
            event.kind, event.id, event.track, label, event.confidence, event.start_ns, event.end_ns,
            event.decided_ns, event.lost,
        )  # fmt: skip
