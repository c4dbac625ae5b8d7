"""The camera's own logic, without OpenCV and MediaPipe: stand-ins of both are given pictures and hands by the tests."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace as Namespace
from typing import Any

import numpy as np
import pytest

from adasgn_edge import camera as module
from adasgn_edge.camera import HandCamera
from adasgn_edge.data.perspective import Intrinsics
from adasgn_edge.data.seen_hands import SETTLING
from adasgn_edge.errors import DatasetError, MissingDependencyError, RecognitionError, SourceError
from adasgn_edge.skeletons import load_layout
from tests.data.test_seen_hands import still_hand

LAYOUT = load_layout("shrec22")
WIDTH, HEIGHT = 64, 48
VIEW = Intrinsics.from_fov(WIDTH, HEIGHT, 60)
RIGHT_HAND, LEFT_HAND = still_hand(-0.1), still_hand(0.15, left=True)


class Capture:
    """OpenCV's VideoCapture: pictures numbered in their first pixel, the last of them followed by nothing."""

    def __init__(self, count: int, stamps_ms: Sequence[float] | None = None, seconds: float = 0.0) -> None:
        self.count, self.stamps, self.seconds = count, stamps_ms, seconds
        self.number, self.released = -1, False

    def isOpened(self) -> bool:  # noqa: N802
        return self.count > 0

    def get(self, what: str) -> float:
        if what == "position":
            return self.stamps[self.number] if self.stamps else self.number * 40.0
        return {"width": WIDTH, "height": HEIGHT, "rate": 25.0}[what]

    def grab(self) -> bool:
        time.sleep(self.seconds)
        self.number += 1
        return self.number < self.count

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        picture[0, 0], picture[0, -1, 2] = self.number, 200  # red at the upper right
        return True, picture

    def read(self) -> tuple[bool, np.ndarray | None]:
        return self.retrieve() if self.grab() else (False, None)

    def release(self) -> None:
        self.released = True


def landmarks(joints: np.ndarray, view: Intrinsics) -> tuple[Any, Any]:
    image = view.project(joints) / (view.width, view.height)
    world = joints - joints.mean(axis=0)
    return (
        Namespace(landmark=[Namespace(x=u, y=v, z=0.0) for u, v in image]),
        Namespace(landmark=[Namespace(x=x, y=y, z=z) for x, y, z in world]),
    )


class Finder:
    """MediaPipe's Hands: sees the same hands in every picture; calls them as if the picture were mirrored."""

    def __init__(self, hands: Sequence[tuple[np.ndarray, str]], view: Intrinsics, seconds: float) -> None:
        self.hands, self.view, self.seconds = hands, view, seconds
        self.pictures: list[np.ndarray] = []

    def process(self, picture: np.ndarray) -> Any:
        time.sleep(self.seconds)
        self.pictures.append(picture)
        found = [landmarks(joints, self.view) for joints, _ in self.hands]
        return Namespace(
            multi_hand_landmarks=[image for image, _ in found] or None,
            multi_hand_world_landmarks=[world for _, world in found] or None,
            multi_handedness=[
                Namespace(classification=[Namespace(label=label, score=0.97)]) for _, label in self.hands
            ] or None,
        )  # fmt: skip

    def close(self) -> None:
        self.pictures.append(np.zeros(0))


Open = Callable[..., HandCamera]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Open:
    """Opens a camera on stand-ins: capture, hands = what is seen, seconds = how long it takes to find them."""

    def make(
        capture: Capture, *, source: Any = None, hands: Any = (), finding: float = 0.0, seen_by: Any = VIEW, **said: Any
    ) -> HandCamera:
        finder = Finder(hands, seen_by, finding)
        cv2 = Namespace(
            VideoCapture=lambda _: capture,
            CAP_PROP_FRAME_WIDTH="width",
            CAP_PROP_FRAME_HEIGHT="height",
            CAP_PROP_FPS="rate",
            CAP_PROP_POS_MSEC="position",
        )
        monkeypatch.setattr(module, "_parts", lambda: (cv2, Namespace(Hands=lambda max_num_hands: finder)))
        if source is None:
            source = tmp_path / "video.avi"
            source.write_bytes(b"")
        said = {"view": 60.0, "mirrored": False, "real_time": False} | said
        made = HandCamera(source, LAYOUT, **said)
        finder.pictures.clear()
        made.finder = finder  # type: ignore[attr-defined]
        return made

    return make


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'adasgn-edge\[camera\]'"):
        HandCamera(0, LAYOUT, view=60.0, mirrored=False)


def test_hands_come_in_the_layouts_joints_axes_and_side(opened: Open) -> None:
    """A right and a left hand: MediaPipe, which thinks that pictures are mirrored, calls them Left and Right."""
    hands = [(RIGHT_HAND, "Left"), (LEFT_HAND, "Right")]
    *_, frame = opened(Capture(20), hands=hands)
    right, left = frame.tracks["0"], frame.tracks["1"]
    assert right.shape == left.shape == (22, 3)
    expected = RIGHT_HAND * (-1, -1, 1)  # x to the performer's right, y up
    np.testing.assert_allclose(right[2:], expected[1:], atol=0.01)
    expected = LEFT_HAND * (1, -1, 1)  # mirrored to a right one
    np.testing.assert_allclose(left[2:], expected[1:], atol=0.01)
    assert frame.left == {"1"}, "or nobody is told that it was mirrored"


def test_a_mirrored_picture_is_turned_round_before_anything_looks_at_it(opened: Open) -> None:
    skewed = Intrinsics(VIEW.fx, VIEW.fy, 25.0, VIEW.cy, WIDTH, HEIGHT)  # of the mirrored pictures
    hands = [(RIGHT_HAND, "Left")]
    camera = opened(Capture(8), hands=hands, seen_by=skewed.mirrored(), mirrored=True, view=skewed)
    *_, frame = camera
    assert camera.finder.pictures[0][0, 0, 0] == 200  # type: ignore[attr-defined]
    np.testing.assert_allclose(frame.tracks["0"][2:], (RIGHT_HAND * (-1, -1, 1))[1:], atol=0.01)
    camera = opened(Capture(8), hands=hands)
    list(camera)
    assert camera.finder.pictures[0][0, -1, 0] == 200  # type: ignore[attr-defined]  # red first: RGB


def test_a_tilted_camera_is_set_upright(opened: Open) -> None:
    tilt = np.deg2rad(20)  # looks down by that
    *_, frame = opened(Capture(8), hands=[(RIGHT_HAND, "Left")], gravity=(0.0, np.cos(tilt), np.sin(tilt)))
    *_, level = opened(Capture(8), hands=[(RIGHT_HAND, "Left")])
    one, other = frame.tracks["0"], level.tracks["0"]
    turn = np.linalg.lstsq(other, one, rcond=None)[0]
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-4)
    assert np.rad2deg(np.arccos((np.trace(turn) - 1) / 2)) == pytest.approx(20, abs=0.1)


def test_stamps_of_a_video_are_its_own_and_rise(opened: Open) -> None:
    assert [frame.stamp_ns for frame in opened(Capture(3))] == [0, 40_000_000, 80_000_000]
    uneven = [0.0, 33.0, 100.0, 100.0, 0.0, 170.0]  # the fourth and fifth are no stamps
    stamps = [frame.stamp_ns for frame in opened(Capture(6, uneven))]
    assert stamps == [0, 33_000_000, 100_000_000, 120_000_000, 160_000_000, 170_000_000]
    assert [frame.stamp_ns for frame in opened(Capture(3, [0.0, 0.0, 0.0]))] == [0, 40_000_000, 80_000_000]


def test_a_video_in_real_time_takes_its_time_and_skips_what_is_late(opened: Open) -> None:
    began = time.monotonic()
    camera = opened(Capture(10), real_time=True)
    assert len(list(camera)) + camera.skipped == 10
    assert time.monotonic() - began > 0.35
    slow = opened(Capture(12), real_time=True, finding=0.15)
    stamps = [frame.stamp_ns for frame in slow]
    assert slow.skipped >= 4
    assert len(stamps) + slow.skipped == 12
    fast = opened(Capture(12), finding=0.05)
    assert len(list(fast)) == 12
    assert fast.skipped == 0


def test_a_camera_gives_its_newest_picture(opened: Open) -> None:
    capture = Capture(60, seconds=0.01)
    camera = opened(capture, source=0, finding=0.05)
    seen: list[tuple[int, int]] = []
    with pytest.raises(RecognitionError, match=r"camera 0: .* unplugged"):
        seen.extend((each.stamp_ns, int(each.picture[0, 0, 1])) for each in camera.seen())
    numbers = [number for _, number in seen]
    assert numbers == sorted(set(numbers))
    assert len(seen) < 40
    assert len(seen) + camera.skipped >= 58
    stamps = [stamp for stamp, _ in seen]
    assert stamps == sorted(stamps)
    assert time.monotonic_ns() - stamps[-1] < 5e9
    camera.close()
    assert capture.released


def test_a_camera_that_hangs_is_gone(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_WAIT", 0.3)
    capture = Capture(3, seconds=0.0)
    camera = opened(capture, source=0)
    capture.seconds = 1.0
    with pytest.raises(RecognitionError, match="found none any more"):
        list(camera)
    camera.close()


@pytest.mark.parametrize("source", [None, 0])
def test_it_ends_when_it_is_asked_to(opened: Open, source: Any) -> None:
    stopped = threading.Event()
    camera = opened(Capture(10_000, seconds=0.001), source=source, stopped=stopped)
    for number, _ in enumerate(camera):
        if number == 5:
            stopped.set()
    assert number < 10
    with camera:
        pass


def test_what_cannot_be_opened_is_named(opened: Open, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="camera 3: expected a camera that gives pictures"):
        opened(Capture(0), source=3)
    with pytest.raises(DatasetError, match="found no file"):
        opened(Capture(3), source=tmp_path / "none.mp4")
    with pytest.raises(DatasetError, match="expected a video that OpenCV can read"):
        opened(Capture(0))
    with pytest.raises(SourceError, match="pictures of 64 x 48, as they come; found 640 x 480"):
        opened(Capture(3), view=Intrinsics.from_fov(640, 480, 60))
    with pytest.raises(SourceError, match="expected 1 to 170 degrees"):
        opened(Capture(3), view=0.0)


def test_a_video_without_hands_gives_frames_without_tracks(opened: Open) -> None:
    frames = list(opened(Capture(4)))
    assert [frame.tracks for frame in frames] == [{}] * 4
    frames = list(opened(Capture(4), hands=[(RIGHT_HAND, "Left")]))
    assert [len(frame.tracks) for frame in frames] == [0] * SETTLING + [1] * (4 - SETTLING)
