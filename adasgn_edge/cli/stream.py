"""``adasgn-edge stream``: gestures in a live stream, or in a recording as if it were one."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from adasgn_edge.cli.camera_input import (
    CalibrationOption,
    CameraOption,
    FovOption,
    camera_name,
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
from adasgn_edge.cli.device import EffortOption, PrecisionOption, StreamDeviceOption
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
    from adasgn_edge.cli.feed import Feed, Malformed
    from adasgn_edge.cli.session import Session, Troubles
    from adasgn_edge.cli.stopping import Stopping
    from adasgn_edge.data.stream_frames import StreamFrame
    from adasgn_edge.foxglove_view import FoxgloveView
    from adasgn_edge.recogniser import Output, Recogniser
    from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["command", "play"]

_TICK = 0.05
"""Seconds that the loop waits for a frame before it looks at everything else."""


def _budget(whose: str) -> Any:
    return typer.Option(
        metavar="SECONDS",
        min=0.0,
        help=f"Of a frame, for {whose}, after which none takes a dearer branch of a model that escalates; misses are "
        "told.  [default: none]",
        show_default=False,
    )


def command(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="[FILE|-]",
            help="Frames as JSON lines (.jsonl, a named pipe, - for standard input), or a recording that `classify` "
            "reads.  [default: -]",
            show_default=False,
        ),
    ] = Path(STANDARD_INPUT),
    model: Annotated[
        Path | None,
        typer.Option(
            help="Model file (.adasgn) of a causal model, or a shipped one: stream (17 gestures, hands over a Leap) or "
            "hands (23, also of hands held up).  [default: stream, with --camera hands]",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line for every event.")] = False,
    steps: Annotated[
        bool, typer.Option("--steps", help="A line for every grid step of every body too, not only for events.")
    ] = False,
    live: Annotated[
        bool, typer.Option("--live/--no-live", help="Without, or without a terminal: a line for each event.")
    ] = True,
    real_time: Annotated[
        bool | None,
        typer.Option(
            "--real-time/--fast",
            help="At the speed of the stamps, where too many frames come the newest win; or every frame, as fast as "
            "possible.  [default: real time, but for files without a live view fast]",
            show_default=False,
        ),
    ] = None,
    fps: FpsOption = 30.0,
    device: StreamDeviceOption = "cpu",
    precision: PrecisionOption = None,
    effort: EffortOption = None,
    mode: Annotated[
        str,
        typer.Option(metavar="continual|exact", help="Reuse what earlier steps left, or compute every window anew."),
    ] = "continual",
    weights: Annotated[
        str,
        typer.Option(metavar="f32|bf16", help="What the continual mode's are kept in; bf16 is faster for few bodies."),
    ] = "f32",
    max_tracks: Annotated[int, typer.Option(min=1, max=4096, help="Bodies at once.")] = 8,
    overflow: Annotated[
        str,
        typer.Option(
            metavar="refuse|replace",
            help="Of more bodies: new ones are not received, or take the place of who was unseen longest.",
        ),
    ] = "refuse",
    max_speed: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Of the origin joint, in scale bones a second, beyond which a tracker has given a body another's "
            "number, and it begins anew.  [default: any]",
            show_default=False,
        ),
    ] = None,
    track_budget: Annotated[float | None, _budget("one body")] = None,
    total_budget: Annotated[float | None, _budget("all bodies")] = None,
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
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the frames that come in, set right, as JSON lines; `stream FILE` plays them again.",
            show_default=False,
        ),
    ] = None,
    foxglove: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            help="Show the stream to Foxglove, which connects to ws://localhost:PORT (8765 is usual, 0: any).",
            show_default=False,
        ),
    ] = None,
    mcap: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write what Foxglove would show as a new MCAP file.", show_default=False),
    ] = None,
) -> None:
    """Recognise gestures in a live stream of skeletons: JSON lines on standard input, or a recording.

    The first line says what the positions are, or --source and --axes do:

    `{"source": {"joints": "mediapipe-hand-21", "axes": "optical", "units": "m", "mirrored": false, "gravity": "level",
    "side": "track"}}`

    Every other line is one moment: its stamp and the joints of everybody in sight, null for one that was not seen:

    `{"stamp_ns": 1712000000020000000, "tracks": {"7": {"joints": [[0.1, 0.2, 0.5], null, ...], "side": "left"}}}`

    `{"t": 12.34, "joints": [[0.1, 0.2, 0.5], ...]}`  (seconds; one body)

    Stamps are when a frame was captured, by any clock. Frames may come at any rate, late or not at all; what is done
    about it is in docs/streaming.md. On a terminal the stream is shown live; else, or with `--json`, a line an event:

    `{"type": "started", "id": 1, "track": "7", "label": "TAP", "confidence": 0.93, "start_ns": ..., ...}`

    Ctrl-C, SIGTERM, the end of the input and a closed output end it, with a summary on standard error. The exit status
    is 0 at the end of the input, 130 after Ctrl-C, 143 after SIGTERM, 1 when nobody reads the output any more, 2 when
    the input cannot be used or a file not be written.

    Examples:

    `my-tracker | adasgn-edge stream`: watch it live

    `my-tracker | adasgn-edge stream --source model --json | my-robot`: events for a program; joints are the model's

    `adasgn-edge stream --camera 0 --fov 70 --not-mirrored`: hands before a camera, found by MediaPipe

    `adasgn-edge stream hand.csv --fps 60`: a recording, in real time

    `adasgn-edge stream hand.jsonl --source leap-20 --axes source --side right --fast --json --steps`: every step of it
    """
    from adasgn_edge.cli.session import Session, Troubles
    from adasgn_edge.cli.stopping import Stopping
    from adasgn_edge.cli.terminal import complain
    from adasgn_edge.data.sources import Orientation
    from adasgn_edge.data.stream_frames import FrameParser
    from adasgn_edge.errors import LayoutError, OutputError, RecognitionError, SourceError
    from adasgn_edge.files import lines_to

    check_input(
        file, fps, camera, fov, calibration, source=source, axes=axes, units=units, mirrored=mirrored,
        gravity=gravity, side=side, flip=flip, mirror=mirror, scale=scale,
    )  # fmt: skip
    from_standard_input = camera is None and str(file) == STANDARD_INPUT
    default = "stream" if camera is None else "hands"
    recogniser = _make(
        model, default, device=device, precision=precision, mode=mode, weights=weights, effort=effort,
        max_tracks=max_tracks, overflow=overflow, max_speed=max_speed, track_budget=track_budget,
        total_budget=total_budget,
    )  # fmt: skip
    layout = recogniser.description.layout
    description = None if camera else description_of(layout, source, axes, units, mirrored, gravity, side)
    parser = FrameParser(layout, description, Orientation(flip, mirror, scale))
    with_view = live and not as_json and sys.stdout.isatty()
    session, stopped = Session(recogniser, model=str(model or default)), threading.Event()
    problems: deque[str] = deque(maxlen=1)
    name = camera_name(camera) if camera else "standard input" if from_standard_input else file.name
    sink = _sink(session, with_view, as_json, steps, name)
    ended, status = "end of the input", 0
    with ExitStack() as stack:
        stopping = stack.enter_context(Stopping())
        malformed = malformed_lines(strict, max_malformed, problems.append if with_view else complain)
        is_file = Path(camera).is_file() if camera else not from_standard_input and file.is_file()
        in_real_time = real_time if real_time is not None else with_view or not is_file
        hands = None
        if camera is None:
            frames = frames_of(file, parser, malformed, stopped, fps)
        else:
            hands = stack.enter_context(
                open_camera(
                    camera, layout, fov=fov, calibration=calibration, mirrored=mirrored, gravity=gravity,
                    real_time=in_real_time, stopped=stopped,
                )
            )  # fmt: skip
            frames = iter(hands)
        if record is not None:
            frames = _recorded(frames, stack.enter_context(lines_to(record)), layout)
        paces = in_real_time and is_file and hands is None
        skipped_before = (lambda: 0) if hands is None else (lambda: hands.skipped)
        feed = feed_of(stack, frames, stopped, skipped_before, paces=paces, newest_wins=in_real_time)
        try:
            troubles = Troubles(session, lambda: feed.skipped, (lambda _: None) if with_view else complain)
            with sink(feed, problems) as shown:
                shown = _also_to_foxglove(stack, shown, session, foxglove, mcap)
                play(session, feed, shown, stopping, troubles)
        except BrokenPipeError:
            ended, status = "nobody reads the output any more", 1
        except KeyboardInterrupt:
            ended, status = "interrupted", 130
        except (LayoutError, OutputError, RecognitionError, SourceError) as error:
            ended, status = str(error), 2
        else:
            if stopping.signal is not None:
                ended, status = "interrupted" if stopping.status == 130 else "terminated", stopping.status
    _summarise(session, feed, malformed, ended)
    if status:
        raise typer.Exit(status)


class Sink(Protocol):
    """What becomes of a frame's output."""

    def take(self, frame: StreamFrame, output: Output) -> None:
        """A frame and what came of it."""

    def tick(self) -> None:
        """Some time has passed."""


def play(session: Session, feed: Feed, shown: Sink, stopping: Stopping, troubles: Troubles) -> None:
    """Push frames until there are no more or a signal asks for the end; gestures that go on then have ended.

    Raises what the feed and the sink raise; BrokenPipeError also when nobody reads standard output any more.
    """
    from adasgn_edge.errors import AdaSGNError

    try:
        while stopping.signal is None:
            frame = feed.take(_TICK)
            if frame is not None:
                shown.take(frame, session.push(frame))
            elif feed.ended:
                break
            shown.tick()
            troubles.look()
            stopping.expect_reader()
    except AdaSGNError:
        _finish(session, shown)
        raise
    _finish(session, shown)


def _finish(session: Session, shown: Sink) -> None:
    """Whoever acts on a gesture must learn that nothing confirms it any more."""
    from adasgn_edge.data.stream_frames import StreamFrame

    output = session.finish()
    if output.events:
        shown.take(StreamFrame(session.newest_ns, {}), output)


# -- input ----------------------------------------------------------------------------------------------------------


def _make(model: Path | None, default: str, **options: Any) -> Recogniser:
    from adasgn_edge.deploy.model_file import model_called
    from adasgn_edge.recogniser import Recogniser

    return Recogniser(model_called(model, default), **options)


def _recorded(
    frames: Iterator[StreamFrame], add: Callable[[str], None], layout: SkeletonLayout
) -> Iterator[StreamFrame]:
    """The same frames, each written down when it comes, after a header."""
    from adasgn_edge.data.description import StreamDescription
    from adasgn_edge.data.stream_frames import frame_line, header_line

    add(header_line(StreamDescription.as_model(layout)))
    for frame in frames:
        add(frame_line(frame))
        yield frame


# -- output ---------------------------------------------------------------------------------------------------------


def _sink(
    session: Session, with_view: bool, as_json: bool, steps: bool, name: str
) -> Callable[[Feed, Sequence[str]], AbstractContextManager[Sink]]:
    """Makes the sink of a feed, to be entered; it is given what is wrong with the input, the newest last."""

    @contextmanager
    def entered(feed: Feed, problems: Sequence[str]) -> Iterator[Sink]:
        if not with_view:
            yield _Lines(session, as_json, steps)
            return
        from adasgn_edge.cli.console import SafeConsole
        from adasgn_edge.cli.stream_view import StreamScreen, StreamView

        screen = StreamScreen(session, f"{name}  ·  {_describe(session.recogniser)}", lambda: feed.skipped, problems)
        with StreamView(SafeConsole(), screen) as view:
            yield view

    return entered


def _also_to_foxglove(stack: ExitStack, shown: Sink, session: Session, port: int | None, mcap: Path | None) -> Sink:
    """The sink, and beside it a view of Foxglove where one is asked for."""
    if port is None and mcap is None:
        return shown
    from adasgn_edge.cli.terminal import complain
    from adasgn_edge.foxglove_view import FoxgloveView

    view = stack.enter_context(FoxgloveView(session.recogniser.description.layout, port=port, mcap=mcap))
    if view.port is not None:
        complain(f"Foxglove connects to ws://localhost:{view.port}")
    return _WithFoxglove(shown, view, session)


class _WithFoxglove:
    """A sink, and a view of Foxglove that is shown the same."""

    def __init__(self, shown: Sink, view: FoxgloveView, session: Session) -> None:
        self._shown, self._view, self._session = shown, view, session

    def take(self, frame: StreamFrame, output: Output) -> None:
        """Show what came of a frame."""
        from adasgn_edge.cli.session import event_row, step_row

        self._shown.take(frame, output)
        steps = [step_row(result, self._session) for result in output.results]
        events = [event_row(event, self._session) for event in output.events]
        self._view.show(frame.stamp_ns, frame.tracks, steps, events)

    def tick(self) -> None:
        """Some time has passed."""
        self._shown.tick()


def _describe(recogniser: Recogniser) -> str:
    field_of_view = recogniser.receptive_field
    return (
        f"{len(recogniser.labels) - 1} gestures, a step every {1e3 * recogniser.step:.0f} ms, "
        f"{field_of_view} of them seen ({field_of_view * recogniser.step:.2f} s), {recogniser.mode}"
    )


class _Lines:
    """A line for each event, and for each step if asked for: JSON or for people."""

    def __init__(self, session: Session, as_json: bool, steps: bool) -> None:
        self._session, self._as_json, self._steps = session, as_json, steps

    def take(self, frame: StreamFrame, output: Output) -> None:
        """Print what came of a frame: of each step its result, then the events."""
        from adasgn_edge.cli.session import event_row, step_row
        from adasgn_edge.cli.terminal import json_line, printable

        rows = [step_row(result, self._session) for result in output.results] if self._steps else []
        rows += [event_row(event, self._session) for event in output.events]
        for row in rows:
            if self._as_json:
                print(json_line(row), flush=True)
            elif row["type"] != "held":
                print(printable(self._text(row)), flush=True)

    def _text(self, row: dict[str, object]) -> str:
        stamp = row["stamp_ns"] if row["type"] == "step" else row["decided_ns"]
        assert isinstance(stamp, int)
        seconds = 1e-9 * (stamp - self._session.first_ns)
        begin = f"{seconds:9.3f} s  body {row['track']}  {row['type']}"
        if row["type"] == "step":
            label = (row["label"] or "no gesture") if row["ready"] else "not ready"
            return f"{begin}  {label} {row['confidence']:.1%}"
        lost = "  its body was lost" if row["lost"] else ""
        return f"{begin}  {row['label']} {row['confidence']:.1%}{lost}"

    def tick(self) -> None:
        """Nothing waits to be printed."""


def _summarise(session: Session, feed: Feed, malformed: Malformed, ended: str) -> None:
    """What came of the stream, on standard error."""
    from adasgn_edge.cli.terminal import complain, printable

    complain(f"stream ended: {ended}")
    lines = list(session.summary())
    if feed.skipped:
        lines.insert(1, ("skipped", f"{feed.skipped} frames, which came faster than they were taken; --fast takes all"))
    if malformed.count:
        lines.insert(1, ("malformed", f"{malformed.count} lines"))
    for subject, said in lines:
        print(f"  {subject:<10}{printable(said)}", file=sys.stderr)
