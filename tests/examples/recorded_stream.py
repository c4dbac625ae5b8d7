"""A recorded stream for the control loops: a hand made by code, by whose gestures the shipped model is driven."""

from __future__ import annotations

from pathlib import Path

from adasgn_edge.data.description import StreamDescription
from adasgn_edge.data.stream_frames import StreamFrame, frame_line, header_line
from adasgn_edge.hands import perform
from adasgn_edge.skeletons import load_layout

COMMANDS = ("--command", "Grab=0.3,0", "--command", "Knob=0,-0.4", "--command", "Right=-0.2,0.5")


def write_recording(path: Path) -> Path:
    """JSON lines of 50 frames a second with a header; the hand is away for a while in the middle of a gesture."""
    gestures = [("Grab", False), ("Swipe Right", False), ("Rotation Clockwise", False), ("Grab", False)]
    hand = perform(gestures, seed=3, rate=50.0)
    away = range(hand.performed[-1].first + 15, hand.performed[-1].first + 45)
    lines = [header_line(StreamDescription.as_model(load_layout("shrec22")))]
    for number, joints in enumerate(hand.positions):
        tracks = {} if number in away else {"hand": joints}
        lines.append(frame_line(StreamFrame(5_000_000_000 + 20_000_000 * number, tracks)))
    path.write_text("\n".join(lines) + "\n")
    return path
