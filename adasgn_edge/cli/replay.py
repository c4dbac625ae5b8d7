"""``adasgn-edge replay``: a clip of any layout through a model, frame by frame, in the terminal."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adasgn_edge.cli.conventions import (
    AxesOption,
    FlipOption,
    GravityOption,
    MirroredOption,
    MirrorOption,
    ScaleOption,
    SideOption,
    SourceOption,
    UnitsOption,
    check_rate,
    description_of,
)
from adasgn_edge.cli.device import DeviceOption, EffortOption, PrecisionOption

if TYPE_CHECKING:
    from adasgn_edge.replay import Replay, Update

__all__ = ["command"]


def command(
    clip: Annotated[
        Path,
        typer.Argument(
            metavar="CLIP", help="A recording that `classify` reads, or that `record` wrote.", show_default=False
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option(help="Model file (.adasgn) or weights.  [default: the shipped model file]", show_default=False),
    ] = None,
    speed: Annotated[float, typer.Option(help="1 is real time; 0.25 plays four times slower.")] = 1.0,
    fps: Annotated[float, typer.Option(help="Frames a second of a recording without stamps of its own.")] = 30.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object a line for each frame, then for the clip.")
    ] = False,
    live: Annotated[
        bool, typer.Option("--live/--no-live", help="Without, or without a terminal: a line for each frame.")
    ] = True,
    device: DeviceOption = "cpu",
    precision: PrecisionOption = None,
    effort: EffortOption = None,
    source: SourceOption = None,
    axes: AxesOption = None,
    units: UnitsOption = None,
    mirrored: MirroredOption = None,
    gravity: GravityOption = None,
    side: SideOption = None,
    flip: FlipOption = "",
    mirror: MirrorOption = False,
    scale: ScaleOption = 1.0,
) -> None:
    """Play a clip through a model as it would arrive: the skeleton, the probability of every label after each frame,
    and which branch the frames took.

    The skeleton is drawn by its layout's bones, whatever the layout, from the side on which it spreads most. Ctrl-C
    ends it.

    Examples: `adasgn-edge replay my-gestures/wave/anna_001.npz --model my-gestures.adasgn` ·
    `adasgn-edge replay wave.csv --json | tail -1`
    """
    from adasgn_edge.cli.terminal import complain
    from adasgn_edge.data.clips import read_recording
    from adasgn_edge.data.plausibility import doubts
    from adasgn_edge.data.playing import recorded_rate
    from adasgn_edge.data.sources import Orientation
    from adasgn_edge.deploy.model_file import model_called
    from adasgn_edge.replay import Replay

    check_rate(speed, "--speed")
    check_rate(fps, "--fps")
    path = model_called(model)
    replay = Replay.load(path, threads=1, device=device, precision=precision, effort=effort)
    description = description_of(replay.layout, source, axes, units, mirrored, gravity, side)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tracks, _ = read_recording(
            clip, replay.layout, description=description, orientation=Orientation(flip, mirror, scale)
        )
    rate = recorded_rate(clip) or fps
    odd = [str(warning.message).removeprefix(f"{clip}: ") for warning in caught] + doubts(tracks, replay.layout)
    for text in dict.fromkeys(odd):
        complain(f"{clip}: warning: {text}")
    if live and not as_json and sys.stdout.isatty():
        from adasgn_edge.cli.console import SafeConsole
        from adasgn_edge.cli.playback import PlayedClip, Tally, play_live

        tally = Tally()
        play_live(SafeConsole(), replay, [PlayedClip(clip.name, None, tracks, rate)], tally, speed)
        _print_result(clip, replay, tally.results[-1][1], as_json=False)
        return
    for update in replay.play(tracks):
        _print_frame(replay, update, rate, as_json)
    _print_result(clip, replay, update, as_json)


def _print_frame(replay: Replay, update: Update, rate: float, as_json: bool) -> None:
    """A line for what is known after a frame."""
    from adasgn_edge.cli.terminal import json_line, printable

    seconds = (update.frames - 1) / rate
    branch = replay.branch_names[int(update.actions[0, -1])]
    if as_json:
        row = {"type": "frame", "frame": update.frames, "seconds": round(seconds, 4), **_result(replay, update)}
        print(json_line(row), flush=True)
        return
    top = "  ".join(f"{replay.class_names[label]} {share:.1%}" for label, share in update.top(3))
    print(printable(f"{update.frames:5d}  {seconds:7.3f} s  {branch:5s}  {top}"), flush=True)


def _result(replay: Replay, update: Update) -> dict[str, Any]:
    shares = zip(replay.branch_names, replay.shares(update.actions).tolist(), strict=True)
    return {
        "label": replay.class_names[update.label],
        "confidence": round(update.confidence, 6),
        "probabilities": {
            name: round(share, 6) for name, share in zip(replay.class_names, update.probabilities.tolist(), strict=True)
        },
        "branch": replay.branch_names[int(update.actions[0, -1])],
        "action_shares": {name: round(share, 4) for name, share in shares},
        "macs": round(update.cost.full),
    }


def _print_result(clip: Path, replay: Replay, update: Update, as_json: bool) -> None:
    """What the whole clip came to."""
    from adasgn_edge.cli.terminal import json_line, printable

    if as_json:
        row = {"type": "clip", "file": str(clip), "frames": update.frames, **_result(replay, update)}
        print(json_line(row), flush=True)
        return
    shares = zip(replay.branch_names, replay.shares(update.actions), strict=True)
    branches = ", ".join(f"{name} {share:.0%}" for name, share in shares if share)
    print(
        printable(
            f"{clip}: {replay.class_names[update.label]} {update.confidence:.1%} after {update.frames} frames; "
            f"frames by branch: {branches}; {update.cost.full / 1e6:.2f} million multiply-adds, "
            f"{update.cost.full_ratio:.0%} of dense SGN's"
        )
    )
