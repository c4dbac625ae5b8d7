"""``adasgn-edge record``: clips of one label out of a live stream, hands free, into a folder that `train` takes."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adasgn_edge.cli.camera_input import (
    CalibrationOption,
    CameraOption,
    FovOption,
    open_camera,
)
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
    description_of,
)
from adasgn_edge.cli.stream_input import (
    STANDARD_INPUT,
    FpsOption,
    MaxMalformedOption,
    StrictOption,
    check_input,
    feed_of,
    frames_of,
    malformed_lines,
)

if TYPE_CHECKING:
    from adasgn_edge.cli.feed import Feed
    from adasgn_edge.cli.stopping import Stopping
    from adasgn_edge.data.clip_folder import ClipFolder
    from adasgn_edge.data.cuts import Cut
    from adasgn_edge.data.recorder import Take, Takes
    from adasgn_edge.data.stream_frames import StreamFrame

__all__ = ["command"]

_TICK = 0.05
"""Seconds that the loop waits for a frame before it looks at everything else."""
_SILENCE = 2.0
"""Seconds without a frame that are worth a word."""


def command(
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="Folder of recordings: a new one, or one to which clips are added. Nothing in it is written over.",
            show_default=False,
        ),
    ],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="[FILE|-]",
            help="Frames as for `stream`: JSON lines (.jsonl, a named pipe, - for standard input), or a recording.  "
            "[default: -]",
            show_default=False,
        ),
    ] = Path(STANDARD_INPUT),
    label: Annotated[
        str | None, typer.Option(metavar="NAME", help="What is performed, in all clips.", show_default=False)
    ] = None,
    subject: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Who performs. Of several people `train` holds out one after the other, to tell how good a model is "
            "on somebody new.",
            show_default=False,
        ),
    ] = "",
    count: Annotated[
        int | None,
        typer.Option(min=1, help="So many clips.  [default: until Ctrl-C or the stream's end]", show_default=False),
    ] = None,
    seconds: Annotated[float, typer.Option(help="How long a clip is.")] = 2.0,
    pause: Annotated[float, typer.Option(help="Seconds before each clip, the countdown among them.")] = 3.0,
    countdown: Annotated[bool, typer.Option("--countdown/--no-countdown", help="Count 3 2 1 before a clip.")] = True,
    cut: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="In place of --label: cut FILE, a long recording, as a table says whose columns are start, end "
            "(seconds from its first frame), label and, for all or none, subject.",
            show_default=False,
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Skeleton layout of a new folder.  [default: the folder's; of a new one shrec22, hands]",
            show_default=False,
        ),
    ] = None,
    fps: FpsOption = 30.0,
    source: SourceOption = None,
    axes: AxesOption = None,
    units: UnitsOption = None,
    mirrored: MirroredOption = None,
    gravity: GravityOption = None,
    side: SideOption = None,
    camera: CameraOption = None,
    fov: FovOption = None,
    calibration: CalibrationOption = None,
    flip: FlipOption = "",
    mirror: MirrorOption = False,
    scale: ScaleOption = 1.0,
    strict: StrictOption = False,
    max_malformed: MaxMalformedOption = 100,
) -> None:
    """Record clips of one label from a live stream of skeletons: a pause, 3 2 1 go, a clip, and again.

    OUT becomes a folder that `adasgn-edge train` takes: clips (.npz, with the stream's stamps), labels.csv and
    layout.json (docs/data.md). Run it once for each label and subject; it adds to what is there. A clip in which hardly
    anybody was seen is not kept and performed again; one that looks odd is kept, and what is odd is said at once. Every
    finished clip is on the disk, whatever ends the program.

    Examples:

    `my-tracker | adasgn-edge record my-gestures --label wave --subject anna --count 10`

    `adasgn-edge record my-gestures --label wave --subject anna --camera 0 --fov 70 --not-mirrored`

    `adasgn-edge record my-gestures long.jsonl --cut cuts.csv`: start,end,label,subject
    """
    from adasgn_edge.cli.stopping import Stopping
    from adasgn_edge.cli.terminal import complain
    from adasgn_edge.data.clip_folder import ClipFolder
    from adasgn_edge.data.cuts import read_cuts
    from adasgn_edge.data.recorder import Pace, Takes
    from adasgn_edge.data.sources import Orientation
    from adasgn_edge.data.stream_frames import FrameParser
    from adasgn_edge.errors import AdaSGNError
    from adasgn_edge.skeletons import load_layout

    if (label is None) == (cut is None):
        raise typer.BadParameter("expected either --label NAME or --cut TABLE", param_hint="--label")
    if cut is not None and (subject or count or str(file) == STANDARD_INPUT or camera):
        raise typer.BadParameter("expected FILE, and no --subject, --count and --camera, beside it", param_hint="--cut")
    check_input(
        file, fps, camera, fov, calibration, source=source, axes=axes, units=units, mirrored=mirrored,
        gravity=gravity, side=side, flip=flip, mirror=mirror, scale=scale,
    )  # fmt: skip
    pace = Pace(seconds, pause, 3 if countdown else 0)
    folder = ClipFolder(out, None if layout is None else load_layout(layout))
    cuts = [] if cut is None else read_cuts(cut)
    for name, who in [(label, subject)] if label is not None else {(one.label, one.subject) for one in cuts}:
        folder.check(name, who)
    description = None if camera else description_of(folder.layout, source, axes, units, mirrored, gravity, side)
    parser = FrameParser(folder.layout, description, Orientation(flip, mirror, scale))
    stopped, ended, status = threading.Event(), "", 0
    with ExitStack() as stack:
        stopping = stack.enter_context(Stopping())
        malformed = malformed_lines(strict, max_malformed, complain)
        if camera is None:
            frames = frames_of(file, parser, malformed, stopped, fps)
        else:
            frames = iter(
                stack.enter_context(
                    open_camera(
                        camera, folder.layout, fov=fov, calibration=calibration, mirrored=mirrored, gravity=gravity,
                        real_time=not Path(camera).is_file(), stopped=stopped,
                    )
                )
            )  # fmt: skip
        stack.enter_context(folder)
        if label is None:
            _cut(frames, cuts, folder)
            return
        feed = feed_of(stack, frames, stopped, lambda: 0, paces=False, newest_wins=False)
        session = _Session(folder, Takes(pace), label, subject, count)
        try:
            session.run(feed, stopping)
        except KeyboardInterrupt:
            ended, status = "interrupted", 130
        except BrokenPipeError:
            ended, status = "nobody reads the output any more", 1
        except AdaSGNError as error:
            ended, status = str(error), 2
        else:
            if stopping.signal is not None:
                ended, status = "interrupted" if stopping.status == 130 else "terminated", stopping.status
            elif session.wanted is None or session.kept < session.wanted:
                ended, status = "end of the input", 0 if session.wanted is None and session.kept else 1
    session.summarise(ended, malformed.count)
    if status:
        raise typer.Exit(status)


class _Session:
    """Prompts, and keeps what is good: clips of one label, `wanted` of them or as many as come."""

    def __init__(self, folder: ClipFolder, takes: Takes, label: str, subject: str, wanted: int | None) -> None:
        self._folder, self._takes, self._label, self._subject = folder, takes, label, subject
        self.wanted, self.kept, self._refused = wanted, 0, 0
        self._left_hands = False
        self._bell = "\a" if sys.stdout.isatty() else ""

    def run(self, feed: Feed, stopping: Stopping) -> None:
        """Take frames until there are enough clips, no more frames, or a signal; raises what the feed does."""
        heard, told = time.monotonic(), False
        while stopping.signal is None and (self.wanted is None or self.kept < self.wanted):
            frame = feed.take(_TICK)
            if frame is not None:
                heard, told = time.monotonic(), False
                self._take(frame)
            elif feed.ended:
                return
            elif not told and time.monotonic() - heard > _SILENCE:
                told = True
                _warn(f"no frame for {_SILENCE:g} s: waiting for the source")
            stopping.expect_reader()

    def _take(self, frame: StreamFrame) -> None:
        from adasgn_edge.data.recorder import Begin, Broken, Count, Rest, Take

        for event in self._takes.push(frame):
            if self.kept == self.wanted:
                return
            if isinstance(event, Rest):
                _say(f"{self._number():>7}  ")
            elif isinstance(event, Count):
                _say(f"{event.left} ")
            elif isinstance(event, Begin):
                _say(f"{self._bell}go … ")
            elif isinstance(event, Take):
                self._end(event)
            elif isinstance(event, Broken):
                self._refused += 1
                _say(f"not kept: {event.why}\n")
        self._tell_left(frame)

    def _number(self) -> str:
        return f"{self.kept + 1}" + (f"/{self.wanted}" if self.wanted else "")

    def _end(self, take: Take) -> None:
        """Keep a clip, unless nothing can be learnt from it."""
        text, kept = _kept(self._folder, take.frames, self._label, self._subject)
        self.kept, self._refused = self.kept + kept, self._refused + (not kept)
        _say(f"{self._bell}{text}\n")

    def _tell_left(self, frame: StreamFrame) -> None:
        if frame.left and not self._left_hands:
            from adasgn_edge.data.stream_frames import LEFT_HAND

            self._left_hands = True
            _warn(LEFT_HAND)

    def summarise(self, ended: str, malformed: int) -> None:
        """What came of it, on standard output, and why it ended before all clips were there, on standard error."""
        if self._takes.recording:
            _say("not kept: ended before the clip did\n")
        elif ended:
            _say("\n")
        if ended:
            expected = f" of {self.wanted}" if self.wanted else ""
            _warn(f"ended after {self.kept}{expected} clips: {ended}")
        if malformed:
            _warn(f"{malformed} malformed lines")
        _print_counts(self._folder, self._refused)


def _kept(folder: ClipFolder, frames: Sequence[StreamFrame], label: str, subject: str) -> tuple[str, bool]:
    """Keep a clip of these frames if something can be learnt from it; what is to be said of it, and whether it was."""
    from adasgn_edge.data.recorder import Clip, look_at
    from adasgn_edge.errors import ClipError

    clip = Clip.of(frames, folder.layout)
    try:
        odd = look_at(clip, folder.layout)
    except ClipError as error:
        return f"not kept: {error}", False
    name = folder.add(clip, label, subject)
    return f"{name}, {len(clip)} frames{''.join(f'; {text}' for text in odd)}", True


def _cut(frames: Iterator[StreamFrame], cuts: Sequence[Cut], folder: ClipFolder) -> None:
    """Cut a recording; raises DatasetError after the last cut if one of them gave no clip."""
    from adasgn_edge.data.cuts import cut_frames
    from adasgn_edge.errors import DatasetError

    refused = 0
    for cut, own in cut_frames(frames, cuts):
        text, kept = _kept(folder, own, cut.label, cut.subject)
        refused += not kept
        _say(f"{cut.start:g} to {cut.end:g} s  {cut.label}: {text}\n")
    _print_counts(folder, refused)
    if refused:
        raise DatasetError(f"--cut: expected clips of {len(cuts)} lines, found nothing to learn from in {refused}")


def _print_counts(folder: ClipFolder, refused: int) -> None:
    """What the folder holds now."""
    from collections import Counter

    counts = folder.counts()
    labels: Counter[str] = Counter()
    for (label, _), count in counts.items():
        labels[label] += count
    subjects = {subject for _, subject in counts} - {""}
    of = f" by {len(subjects)} subject{'s' if len(subjects) > 1 else ''}" if subjects else ""
    held = ", ".join(f"{label} {count}" for label, count in sorted(labels.items()))
    again = f"; {refused} were not kept" if refused else ""
    _say(f"{folder.folder} holds {labels.total()} clips{of}{': ' if held else ''}{held}{again}\n")


def _say(text: str) -> None:
    """Part of a line, at once; control characters of names are seen and not obeyed."""
    from adasgn_edge.cli.terminal import printable

    bell, end = text.startswith("\a"), text.endswith("\n")
    shown = printable(text.removeprefix("\a").removesuffix("\n"))
    print(f"{chr(7) if bell else ''}{shown}", end="\n" if end else "", flush=True)


def _warn(text: str) -> None:
    from adasgn_edge.cli.terminal import complain

    complain(text)
