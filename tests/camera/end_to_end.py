"""The kinematic hand before a camera: drawn as a video, found by MediaPipe, placed in space, recognised.

``python -m tests.camera.end_to_end --seeds 0`` prints what became of every gesture; ``--sheet FILE`` also writes
pictures of what MediaPipe saw. Seeds decide the subject, the performance, the room and the distance from the camera.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import adasgn_edge
from adasgn_edge.camera import HandCamera, SeenFrame
from adasgn_edge.data.perspective import Intrinsics
from adasgn_edge.data.preprocess import make_clip
from adasgn_edge.hands import GESTURES, animate
from adasgn_edge.skeletons import load_layout
from tests.camera.drawn_hand import before_camera, draw, room

__all__ = ["CAMERA", "VIEW", "Recognised", "every_gesture", "recognise", "write_video"]

LAYOUT = load_layout("shrec22")
VIEW = 60.0
CAMERA = Intrinsics.from_fov(640, 480, VIEW)
RATE = 30.0
THUMBNAIL = 106
SHOWN = ("Grab", "Expand", "Rotation Clockwise", "Rotation Counter-Clockwise", "Swipe Left", "Shake")
BONES = ((0, 1), (1, 2), (2, 3), (3, 4), (0, 5), (5, 6), (6, 7), (7, 8), (5, 9), (9, 10), (10, 11), (11, 12), (9, 13),
         (13, 14), (14, 15), (15, 16), (13, 17), (17, 18), (18, 19), (19, 20), (0, 17))  # fmt: skip


@dataclass(frozen=True)
class Recognised:
    """What became of a drawn gesture: frames drawn, frames placed, the label; pictures of what was seen."""

    gesture: str
    one_finger: bool
    seed: int
    drawn: int
    placed: int
    label: str
    confidence: float
    depth_error: float  # standard deviation, metres, after the mean is taken away
    pictures: tuple[NDArray[np.uint8], ...] = ()

    @property
    def right(self) -> bool:
        return self.label == self.gesture


def write_video(path: Path, pictures: Iterable[NDArray[np.uint8]], rate: float = RATE) -> None:
    """Pictures (H, W, 3) RGB as Motion JPEG."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate, (CAMERA.width, CAMERA.height))
    assert writer.isOpened()
    for picture in pictures:
        writer.write(picture[:, :, ::-1])
    writer.release()


def every_gesture(seed: int) -> list[tuple[str, bool, int]]:
    """The 14 gestures, each with the whole hand and with one finger."""
    return [(gesture, one_finger, seed) for gesture in GESTURES for one_finger in (False, True)]


def recognise(asked: tuple[str, bool, int], pictures: int = 0) -> Recognised:
    """Draw a gesture, look at it with the camera's code, recognise it with the shipped model for clips."""
    gesture, one_finger, seed = asked
    distance = np.random.default_rng(seed).uniform(0.6, 0.9)
    truth = before_camera(animate(gesture, one_finger=one_finger, seed=seed, rate=RATE), distance)
    background = room(CAMERA, seed)
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "hand.avi"
        write_video(video, (draw(joints, CAMERA, background) for joints in truth))
        with HandCamera(video, LAYOUT, view=VIEW, mirrored=False, real_time=False) as camera:
            seen = list(camera.seen())
            frames = [camera.frame(each) for each in seen]
    tracks: dict[str, list[NDArray[np.float32]]] = {}
    errors: dict[str, list[float]] = {}
    for number, (frame, each) in enumerate(zip(frames, seen, strict=True)):
        for hand in each.hands:
            tracks.setdefault(hand.name, []).append(frame.tracks[hand.name])
            errors.setdefault(hand.name, []).append(float(hand.joints[9, 2] - truth[number, 10, 2]))
    label, confidence, name = "none", 0.0, max(tracks, key=lambda name: len(tracks[name]), default="")
    if name:
        engine = adasgn_edge.load(adasgn_edge.shipped_model())
        clip = make_clip(np.stack(tracks[name]), LAYOUT, engine.description.frames)
        logits = engine.run(clip[None]).logits[0].astype(np.float64)
        shares = np.exp(logits - logits.max())
        best = int(logits.argmax())
        label, confidence = engine.description.class_names[best], float(shares[best] / shares.sum())
    chosen = np.linspace(2, len(seen) - 1, pictures).astype(int)
    return Recognised(
        gesture, one_finger, seed, len(truth), len(tracks.get(name, ())), label, confidence,
        float(np.std(errors.get(name, [0.0]))), tuple(thumbnail(seen[number]) for number in chosen),
    )  # fmt: skip


def thumbnail(seen: SeenFrame) -> NDArray[np.uint8]:
    """The part of a picture around the hand, with what was found in it."""
    picture = cv2.resize(seen.picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    middle = np.array([CAMERA.width, CAMERA.height])
    for hand in seen.hands:
        places = np.round(2 * hand.seen.image).astype(int)
        middle = np.round(places.mean(axis=0)).astype(int)
        for start, end in BONES:
            cv2.line(
                picture, tuple(map(int, places[start])), tuple(map(int, places[end])), (60, 200, 90), 2, cv2.LINE_AA
            )
        for place in places:
            cv2.circle(picture, tuple(map(int, place)), 4, (250, 220, 40), -1, cv2.LINE_AA)
    reach = 200
    left, top = np.clip(middle - reach, 0, (2 * CAMERA.width - 2 * reach, 2 * CAMERA.height - 2 * reach))
    part = picture[top : top + 2 * reach, left : left + 2 * reach]
    return cv2.resize(part, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)


def recognise_all(asked: Sequence[tuple[str, bool, int]], processes: int = 2, pictures: int = 0) -> list[Recognised]:
    """All of them, in several processes."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return list(pool.map(recognise, asked, [pictures] * len(asked)))


def table(found: Sequence[Recognised]) -> str:
    """One line a gesture, then the sums."""
    lines = []
    for each in found:
        name = f"{each.gesture}{', one finger' if each.one_finger else ''}"
        mark = "" if each.right else f"  <- {each.label} ({each.confidence:.0%})"
        lines.append(f"{each.seed:5d}  {name:40s} {each.placed:3d} of {each.drawn:3d} frames placed{mark}")
    drawn, placed = sum(each.drawn for each in found), sum(each.placed for each in found)
    depth = 1e3 * float(np.mean([each.depth_error for each in found]))
    lines.append(
        f"{sum(each.right for each in found)} of {len(found)} right; {placed} of {drawn} frames placed; depth is off "
        f"by {depth:.0f} mm (standard deviation in a clip, mean of clips)"
    )
    return "\n".join(lines)


def write_sheet(path: Path, found: Sequence[Recognised]) -> None:
    """Pictures of what was seen, a row for each of SHOWN: with the whole hand, with one finger."""
    gap = np.full((THUMBNAIL, 6, 3), 255, np.uint8)
    strips = {(each.gesture, each.one_finger): np.hstack(each.pictures) for each in found}
    rows = [np.hstack([strips[gesture, False], gap, strips[gesture, True]]) for gesture in SHOWN]
    Image.fromarray(np.vstack(rows)).quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    for seed in options.seeds:
        found = recognise_all(every_gesture(seed), options.processes, 4 if options.sheet else 0)
        print(table(found), flush=True)
        if options.sheet:
            write_sheet(options.sheet, found)


if __name__ == "__main__":
    main()
