"""Gestures of the hands before a webcam, with a live window, or in a video file.

    pip install 'adasgn-edge[camera]'
    python examples/webcam_hands.py 0 --fov 70 --not-mirrored
    python examples/webcam_hands.py hand.mp4 --fov 60 --not-mirrored --no-window

MediaPipe finds the hands, adasgn_edge says what they do. The field of view (of the data sheet, from left to right) and
whether pictures are mirrored are not guessed. Escape or Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import adasgn_edge
from adasgn_edge.camera import HandCamera, SeenFrame
from adasgn_edge.errors import AdaSGNError

ESCAPE = 27
GREEN, YELLOW, WHITE = (90, 200, 60), (40, 220, 250), (255, 255, 255)


def main() -> int:
    """Run it; the exit status."""
    options = read_options()
    recogniser = adasgn_edge.Recogniser(options.model or adasgn_edge.shipped_model("hands"))
    captions: dict[int, str] = {}  # of each hand: the gesture it is making
    try:
        with HandCamera(
            options.source,
            recogniser.description.layout,
            view=options.fov,
            mirrored=options.mirrored,
            real_time=options.window or isinstance(options.source, int),
        ) as camera:
            for seen in camera.seen():
                frame = camera.frame(seen)
                output = recogniser.push(frame.stamp_ns, {int(name): joints for name, joints in frame.tracks.items()})
                for event in output.events:
                    label = recogniser.labels[event.label]
                    if event.kind == "started":
                        captions[event.track] = label
                    elif event.kind == "ended":
                        captions.pop(event.track, None)
                    if event.kind != "held":
                        seconds = 1e-9 * event.decided_ns
                        print(f"{seconds:9.2f} s  hand {event.track}  {event.kind:7s}  {label}  {event.confidence:.0%}")
                if options.window and not show(seen, captions):
                    break
            print(f"{recogniser.stats().pushes} pictures, {camera.skipped} more were skipped", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    except AdaSGNError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def read_options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=lambda text: int(text) if text.isdecimal() else Path(text))
    parser.add_argument("--fov", type=float, required=True, help="horizontal field of view, degrees")
    pictures = parser.add_mutually_exclusive_group(required=True)
    pictures.add_argument("--mirrored", action="store_true", help="as video calls and selfies make them")
    pictures.add_argument("--not-mirrored", action="store_false", dest="mirrored")
    parser.add_argument("--window", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--model", type=Path, help="a causal model of your own")
    return parser.parse_args()


def show(seen: SeenFrame, captions: dict[int, str]) -> bool:
    """Show a picture, mirrored as people expect to see themselves; False when somebody pressed Escape."""
    picture = np.ascontiguousarray(seen.picture[:, ::-1, ::-1])  # BGR
    for hand in seen.hands:
        places = (hand.seen.image * (-1, 1) + (picture.shape[1], 0)).round().astype(int)
        draw_hand(picture, places)
        caption = f"{hand.side} {captions.get(int(hand.name), '')}"
        cv2.putText(picture, caption, tuple(map(int, places[0])), cv2.FONT_HERSHEY_SIMPLEX, 0.7, WHITE, 2, cv2.LINE_AA)
    cv2.imshow("adasgn_edge", picture)
    return cv2.waitKey(1) != ESCAPE


def draw_hand(picture: NDArray[np.uint8], places: NDArray[np.int_]) -> None:
    """Landmarks (21, 2) and the fingers between them, into the picture."""
    for base in range(1, 21, 4):
        cv2.polylines(picture, [places[[0, *range(base, base + 4)]].astype(np.int32)], False, GREEN, 2, cv2.LINE_AA)
    for place in places:
        cv2.circle(picture, tuple(map(int, place)), 3, YELLOW, -1, cv2.LINE_AA)


if __name__ == "__main__":
    sys.exit(main())
