"""Hands before a camera, or in a video file: MediaPipe finds them, and they become frames of a stream.

Needs the extra ``camera`` (MediaPipe with its weights, OpenCV). Pictures stay on this machine; nothing is loaded from
anywhere. What is made of what MediaPipe sees (whose hand is whose, which side, where in space) is
:mod:`adasgn_edge.data.seen_hands`.

::

    with HandCamera(0, layout, view=70.0, mirrored=False) as camera:
        for frame in camera:
            recogniser.push(frame.stamp_ns, {int(name): joints for name, joints in frame.tracks.items()})
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.adapter import Adapter
from adasgn_edge.data.axes import NAMED_AXES
from adasgn_edge.data.description import StreamDescription
from adasgn_edge.data.perspective import Intrinsics
from adasgn_edge.data.reading import read_lines
from adasgn_edge.data.seen_hands import HandTracks, SeenHand, TrackedHand
from adasgn_edge.data.stream_frames import StreamFrame
from adasgn_edge.errors import DatasetError, MissingDependencyError, RecognitionError, SourceError
from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["HandCamera", "SeenFrame", "read_calibration"]

SOURCE = "mediapipe-hand-21"
LONGEST_WAIT = 5.0
"""Seconds without a picture after which a camera is taken as gone."""
_WAKE = 0.1


@dataclass(frozen=True)
class SeenFrame:
    """One picture and what was found in it: its stamp, the picture (H, W, 3) RGB as it was not mirrored, its hands."""

    stamp_ns: int
    picture: NDArray[np.uint8]
    hands: tuple[TrackedHand, ...]


class HandCamera:
    """Frames of the hands that a camera sees, in a layout's joints, axes, side and units.

    source: a camera's number, or the path of a video file
    layout: of the model that is to see them, such as ``recogniser.description.layout``
    view: the camera's horizontal field of view in degrees, or its intrinsics; how far hands move rests on it
    mirrored: whether the pictures are mirrored, as programs for video calls and selfies make them
    gravity: which way things fall, in optical axes, where the camera does not stand upright
    most_hands: hands at once
    real_time: pictures that come faster than they can be looked at are skipped, and those of a file are given out at
        the speed of their stamps; a camera is always in real time
    stopped: ends the frames when it is set

    Stamps are when a camera's picture arrived, by this machine's monotonic clock (some tens of milliseconds after the
    light, which the camera alone knows), or the video's own. Iterate once, in one thread. Raises
    MissingDependencyError without the extra, SourceError for a camera that cannot be opened and for intrinsics of
    pictures of another size, DatasetError for a file that is no video; while it is read, RecognitionError when a camera
    goes away.
    """

    def __init__(
        self,
        source: int | Path,
        layout: SkeletonLayout,
        *,
        view: float | Intrinsics,
        mirrored: bool,
        gravity: tuple[float, float, float] | None = None,
        most_hands: int = 2,
        real_time: bool = True,
        stopped: threading.Event | None = None,
    ) -> None:
        cv2, hands = _parts()
        self._description = StreamDescription(SOURCE, NAMED_AXES["optical"], 1.0, False, gravity, "track")
        self._adapter = Adapter(self._description, layout)
        self._mirrored = mirrored
        stopped = stopped or threading.Event()
        self._pictures: _Pictures
        if isinstance(source, int):
            self._pictures = _Live(cv2, source, stopped)
        else:
            self._pictures = _Video(cv2, source, stopped, real_time)
        self.intrinsics = _checked(view, self._pictures.width, self._pictures.height)
        self.tracks = HandTracks(self.intrinsics.mirrored() if mirrored else self.intrinsics)
        self._finder = hands.Hands(max_num_hands=most_hands)
        self._find(np.zeros((48, 64, 3), dtype=np.uint8))  # its start takes a while, and tells of it on standard error

    @property
    def skipped(self) -> int:
        """Pictures that nobody looked at, because newer ones had come."""
        return self._pictures.skipped

    def __iter__(self) -> Iterator[StreamFrame]:
        for seen in self.seen():
            yield self.frame(seen)

    def seen(self) -> Iterator[SeenFrame]:
        """Each picture with its hands, for those who want to show it; :meth:`frame` makes the stream's frame of it."""
        for stamp_ns, picture in self._pictures:
            upright = np.ascontiguousarray(picture[:, ::-1, ::-1] if self._mirrored else picture[:, :, ::-1])
            yield SeenFrame(stamp_ns, upright, tuple(self.tracks.update(stamp_ns, self._find(upright))))

    def frame(self, seen: SeenFrame) -> StreamFrame:
        """The hands of a picture as the model is to get them."""
        tracks = {hand.name: self._adapter.convert(hand.joints, side=hand.side) for hand in seen.hands}
        left = frozenset(hand.name for hand in seen.hands if hand.side == "left")
        return StreamFrame(seen.stamp_ns, tracks, left)

    def close(self) -> None:
        """Give the camera back."""
        self._pictures.close()
        self._finder.close()

    def __enter__(self) -> HandCamera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _find(self, picture: NDArray[np.uint8]) -> list[SeenHand]:
        """The hands in a picture (H, W, 3) RGB that is not mirrored."""
        size = (picture.shape[1], picture.shape[0])
        found = self._finder.process(picture)
        lists = (found.multi_hand_landmarks, found.multi_hand_world_landmarks, found.multi_handedness)
        hands = []
        for image, world, sides in zip(*(entries or () for entries in lists), strict=True):
            (side,) = sides.classification
            # MediaPipe names sides as if the picture were mirrored, which this one is not: "Left" is a right hand.
            right = side.score if side.label == "Left" else 1 - side.score
            hands.append(
                SeenHand(
                    image=np.array([(mark.x, mark.y) for mark in image.landmark]) * size,
                    world=np.array([(mark.x, mark.y, mark.z) for mark in world.landmark]),
                    right=float(right),
                )
            )
        return hands


def _parts() -> tuple[Any, Any]:
    """OpenCV, and MediaPipe's module of hands."""
    try:
        import cv2
        from mediapipe.python.solutions import hands
    except ImportError as error:
        raise MissingDependencyError(
            "a camera needs MediaPipe, with its weights in the wheel, and OpenCV: pip install 'adasgn-edge[camera]' "
            f"({error})"
        ) from None
    return cv2, hands


def _checked(view: float | Intrinsics, width: int, height: int) -> Intrinsics:
    if not isinstance(view, Intrinsics):
        return Intrinsics.from_fov(width, height, view)
    if (view.width, view.height) != (width, height):
        raise SourceError(
            f"intrinsics: expected those of pictures of {width} x {height}, as they come; found {view.width} x "
            f"{view.height}"
        )
    return view


def read_calibration(path: Path) -> Intrinsics:
    """The intrinsics of a calibration file: JSON, or YAML as ROS's camera_calibration and OpenCV write it.

    Keys as :meth:`Intrinsics.from_dict` knows them. Raises SourceError, DatasetError for a file that cannot be read.
    """
    text = "\n".join(read_lines(path))
    try:
        return Intrinsics.from_dict(json.loads(text) if path.suffix.lower() == ".json" else _yaml(text))
    except SourceError as error:
        raise SourceError(f"{path}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: expected JSON ({error})") from None


def _yaml(text: str) -> dict[str, Any]:
    """The keys of a calibration; OpenCV reads what begins as its own files do."""
    cv2, _ = _parts()
    if not text.startswith("%YAML"):
        text = "%YAML:1.0\n---\n" + text
    try:
        storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        root = storage.root()  # which lives as long as the storage
        found: dict[str, Any] = {}
        for key in root.keys():  # noqa: SIM118 (no mapping)
            node = root.getNode(key)
            if node.isMap():
                numbers = node.getNode("data")
                found[key] = [numbers.at(i).real() for i in range(numbers.size())]
            elif node.isString():
                found[key] = node.string()
            elif node.isInt() or node.isReal():
                found[key] = int(node.real()) if node.isInt() else node.real()
    except (cv2.error, SystemError) as error:
        raise SourceError(f"expected a calibration in YAML, found other text ({str(error).strip()[-80:]})") from None
    return found


# -- pictures -------------------------------------------------------------------------------------------------------


class _Pictures:
    """Pictures (H, W, 3) BGR, each with its stamp in nanoseconds."""

    def __init__(self, capture: Any, cv2: Any, stopped: threading.Event) -> None:
        self.width, self.height = (
            int(capture.get(size)) for size in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        self.skipped = 0
        self._capture, self._stopped = capture, stopped

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        raise NotImplementedError

    def close(self) -> None:
        self._stopped.set()
        self._capture.release()


class _Video(_Pictures):
    """Of a file; in real time each when it is due, or not at all where a later one is due already."""

    def __init__(self, cv2: Any, path: Path, stopped: threading.Event, real_time: bool) -> None:
        if not path.is_file():
            raise DatasetError(f"expected a video file, found no file {path}")
        capture = cv2.VideoCapture(str(path))
        if not capture.isOpened() or not capture.grab():
            raise DatasetError(
                f"{path}: expected a video that OpenCV can read, found another file, or one without pictures"
            )
        super().__init__(capture, cv2, stopped)
        self._real_time, self._rate = real_time, capture.get(cv2.CAP_PROP_FPS)
        self._position = cv2.CAP_PROP_POS_MSEC

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        began, first, number, newest = time.monotonic_ns(), None, 0, -1
        grabbed = True  # the first one, when the file was opened
        while grabbed and not self._stopped.is_set():
            stamp = self._stamp(number, newest)
            first, newest, number = stamp if first is None else first, stamp, number + 1
            wait = began + stamp - first - time.monotonic_ns() if self._real_time else 0
            if wait > 0 and self._stopped.wait(1e-9 * wait):
                return
            if -wait > 1e9 / self._rate:  # somebody else is due
                self.skipped += 1
            else:
                read, picture = self._capture.retrieve()
                if not read:
                    raise RecognitionError(f"picture {number} of the video: expected one, found damaged data")
                yield stamp, picture
            grabbed = self._capture.grab()

    def _stamp(self, number: int, newest: int) -> int:
        """Nanoseconds of the picture that was grabbed: the file's own, by its rate where it has none that rises."""
        stamp = round(1e6 * self._capture.get(self._position))
        return stamp if stamp > newest else max(newest + 1, round(number * 1e9 / self._rate))


class _Live(_Pictures):
    """Of a camera. A thread takes them all, so that none waits in the driver; the newest is given out."""

    def __init__(self, cv2: Any, number: int, stopped: threading.Event) -> None:
        capture = cv2.VideoCapture(number)
        if not capture.isOpened() or not capture.read()[0]:
            capture.release()
            raise SourceError(
                f"camera {number}: expected a camera that gives pictures, found none; is it plugged in, does another "
                "program use it, may you read it?"
            )
        super().__init__(capture, cv2, stopped)
        self._number = number
        self._changed = threading.Condition()
        self._newest: tuple[int, NDArray[Any]] | None = None
        self._gone = False
        self._thread = threading.Thread(target=self._take, name="camera", daemon=True)

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        self._thread.start()
        waited = 0.0
        while not self._stopped.is_set():
            with self._changed:
                if self._newest is None and not self._gone:
                    self._changed.wait(_WAKE)
                newest, self._newest = self._newest, None
            if newest is not None:
                waited = 0.0
                yield newest
                continue
            waited += _WAKE
            if self._gone or waited > LONGEST_WAIT:
                raise RecognitionError(
                    f"camera {self._number}: expected pictures, found none any more; was it unplugged?"
                )

    def close(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)
        self._capture.release()

    def _take(self) -> None:
        while not self._stopped.is_set():
            grabbed = self._capture.grab()
            stamp = time.monotonic_ns()
            read, picture = self._capture.retrieve() if grabbed else (False, None)
            with self._changed:
                if read and picture is not None:
                    self.skipped += self._newest is not None
                    self._newest = (stamp, picture)
                else:
                    self._gone = True
                self._changed.notify_all()
            if not read:
                return
