"""Where `stream` and `record` take frames from: standard input, a pipe, a file, a recording or a camera; the options
that say so."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adasgn_edge.cli.camera_input import check_camera_options
from adasgn_edge.cli.conventions import check_rate

if TYPE_CHECKING:
    from adasgn_edge.cli.feed import Feed, Malformed
    from adasgn_edge.data.stream_frames import FrameParser, StreamFrame

__all__ = [
    "STANDARD_INPUT", "FpsOption", "MaxMalformedOption", "StrictOption", "check_input", "feed_of", "frames_of",
    "malformed_lines",
]  # fmt: skip

STANDARD_INPUT = "-"

FpsOption = Annotated[
    float, typer.Option(help="Frames a second of a recording without stamps of its own (stamps_ns in .npz).")
]
StrictOption = Annotated[bool, typer.Option("--strict", help="End at the first malformed line.")]
MaxMalformedOption = Annotated[
    int, typer.Option(min=0, help="Malformed lines in a row that are skipped; one more ends the stream.")
]


def check_input(
    file: Path,
    fps: float,
    camera: str | None,
    fov: float | None,
    calibration: Path | None,
    *,
    source: str | None,
    axes: str | None,
    units: str | None,
    mirrored: bool | None,
    gravity: str | None,
    side: str | None,
    flip: str,
    mirror: bool,
    scale: float,
) -> None:
    """Raise BadParameter for options of the input that do not go together, or for standard input that is a terminal;
    SourceError for what says how a source's positions are where no source is named."""
    from adasgn_edge.errors import SourceError

    check_rate(fps, "--fps")
    from_standard_input = str(file) == STANDARD_INPUT
    others = {
        "FILE": not from_standard_input, "--source": source, "--axes": axes, "--units": units, "--side": side,
        "--flip": flip, "--mirror": mirror, "--scale": scale != 1,
    }  # fmt: skip
    check_camera_options(camera, fov, calibration, others)
    if camera is not None:
        return
    if from_standard_input and sys.stdin is not None and sys.stdin.isatty():
        raise typer.BadParameter(
            "expected frames on standard input, found a terminal: pipe them in, or name a file", param_hint="FILE"
        )
    if source is None and any(value is not None for value in (axes, units, mirrored, gravity, side)):
        raise SourceError("expected --source NAME (or --source model) with --axes, --units, --gravity and --side")


def malformed_lines(strict: bool, most: int, say: Callable[[str], None]) -> Malformed:
    """What counts lines that are no frames."""
    from adasgn_edge.cli.feed import Malformed

    return Malformed(strict, most, say)


def frames_of(
    file: Path, parser: FrameParser, malformed: Malformed, stopped: threading.Event, fps: float
) -> Iterator[StreamFrame]:
    """Frames of standard input, of a pipe, of a file of lines or of a recording."""
    from adasgn_edge.cli.feed import holds_lines, lines_of_file, lines_of_pipe, open_pipe, parsed
    from adasgn_edge.data.playing import recorded_frames

    if str(file) == STANDARD_INPUT:
        return parsed(lines_of_pipe(sys.stdin.fileno(), stopped), parser, malformed)
    if not holds_lines(file):
        return recorded_frames(file, parser.layout, parser.description, fps, parser.orientation)
    lines = lines_of_file(file) if file.is_file() else lines_of_pipe(open_pipe(file), stopped)
    return parsed(lines, parser, malformed)


def feed_of(
    stack: ExitStack,
    frames: Iterator[StreamFrame],
    stopped: threading.Event,
    skipped_before: Callable[[], int],
    *,
    paces: bool,
    newest_wins: bool,
) -> Feed:
    """A feed of frames, entered; paces: at the speed of their stamps."""
    from adasgn_edge.cli.feed import Feed, paced

    if paces:
        frames = paced(frames, stopped)
    return stack.enter_context(Feed(frames, newest_wins=newest_wins, stopped=stopped, skipped_before=skipped_before))
