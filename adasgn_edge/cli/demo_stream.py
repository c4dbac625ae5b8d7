"""The demo with a causal model: a hand that performs gestures in one continuous stream, through the recogniser."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from adasgn_edge.cli.session import Session
from adasgn_edge.cli.terminal import printable
from adasgn_edge.data.description import StreamDescription
from adasgn_edge.data.hand_streams import STREAM_NAMES
from adasgn_edge.data.stream_frames import StreamFrame, frame_line, header_line
from adasgn_edge.errors import ModelConfigError
from adasgn_edge.hands import Performance, Performed, perform, shuffled
from adasgn_edge.recogniser import GestureEvent, Output, Recogniser
from adasgn_edge.skeletons import load_layout

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["Score", "emit_stream", "expect_gestures", "note_of", "play_stream", "the_performance"]

RATE = 30.0
"""Frames a second of the hand."""
SLACK = 0.5
"""Seconds after a gesture's end in which an event may still begin and be of it."""
FIRST_EMITTED = 3.2
"""Seconds: the pause of `record`, and how long people take to react to its "go"."""
_BODY = "hand"


def labels_of(performed: Performed, labels: Sequence[str]) -> set[int]:
    """The model's classes that a performed gesture may be called; none for one that the model does not know."""
    finger = "one finger" if performed.one_finger else "whole hand"
    known = {name.casefold(): label for label, name in enumerate(labels)}
    names = (f"{performed.gesture} ({finger})", performed.gesture, STREAM_NAMES.get(performed.gesture, ""))
    return {known[name.casefold()] for name in names if name.casefold() in known}


def expect_gestures(recogniser: Recogniser, gestures: Sequence[str]) -> None:
    """Raise ModelConfigError unless the model is for the demo's hand and knows a gesture that it is to perform."""
    layout = recogniser.description.layout.name
    if layout != "shrec22":
        raise ModelConfigError(f"demo: expected a model for layout shrec22, found one for {layout!r}")
    if not any(labels_of(Performed(gesture, False, 0, 0), recogniser.labels) for gesture in gestures):
        known = ", ".join(recogniser.labels)
        raise ModelConfigError(f"demo: expected a model that knows {', '.join(gestures)}, found the labels {known}")


def the_performance(
    gestures: Sequence[str], count: int, seed: int, every: float | None = None, first: float = 0.0
) -> Performance:
    """`count` gestures in random order; every, first: see :func:`adasgn_edge.hands.perform`."""
    return perform(shuffled(gestures, count, seed), seed=seed, rate=RATE, every=every, first=first)


def emit_stream(gestures: Sequence[str], count: int, seed: int, *, every: float, speed: float) -> None:
    """Write a performance as a sensor would give it: JSON lines on standard output, each when it is due.

    The first gesture begins after FIRST_EMITTED seconds, further ones `every` so many. Raises BrokenPipeError when
    nobody reads them any more.
    """
    performance = the_performance(gestures, count, seed, every, FIRST_EMITTED)
    print(header_line(StreamDescription.as_model(load_layout("shrec22"))))
    began = time.perf_counter()
    for number in range(len(performance.positions)):
        time.sleep(max(0.0, began + number / (RATE * speed) - time.perf_counter()))
        print(frame_line(_frame(performance, number)), flush=True)


@dataclass
class Score:
    """Which gestures were recognised so far: those of which an event with their label began while they went on.

    delays: seconds from the beginning of those that were to the decision; false: gestures that were told and are none
    that was performed; known: whether the model has a class for each of the performed ones.
    """

    performance: Performance
    labels: Sequence[str]
    recognised: set[int] = field(default_factory=set)
    delays: list[float] = field(default_factory=list)
    false: int = 0

    def __post_init__(self) -> None:
        self._expected = [labels_of(performed, self.labels) for performed in self.performance.performed]

    def take(self, event: GestureEvent) -> str:
        """Count an event that started; what it is of, in words."""
        at = 1e-9 * event.start_ns, 1e-9 * event.decided_ns
        for number, performed in enumerate(self.performance.performed):
            first, last = performed.first / RATE, performed.last / RATE
            fits = at[0] <= last and first <= at[1] <= last + SLACK
            if fits and event.label in self._expected[number] and number not in self.recognised:
                self.recognised.add(number)
                self.delays.append(at[1] - first)
                return "right"
        self.false += 1
        return "WRONG"

    def hear(self, output: Output) -> None:
        """Count what has started."""
        for event in output.events:
            if event.kind == "started":
                self.take(event)

    def over(self, seconds: float) -> tuple[int, int]:
        """How many gestures that the model knows are over by then, and how many of them were recognised."""
        numbers = [
            number
            for number, performed in enumerate(self.performance.performed)
            if self._expected[number] and performed.last / RATE + SLACK <= seconds
        ]
        return len(numbers), sum(number in self.recognised for number in numbers)

    @property
    def unknown(self) -> list[str]:
        """Performed gestures that the model has no class for."""
        pairs = zip(self.performance.performed, self._expected, strict=True)
        return list(dict.fromkeys(performed.gesture for performed, expected in pairs if not expected))

    def now(self, frame: int) -> str:
        """What is performed in a frame, in words."""
        for performed in self.performance.performed:
            if performed.first <= frame <= performed.last:
                return f"{performed.gesture} ({'one finger' if performed.one_finger else 'whole hand'})"
        return "–"


def play_stream(
    console: Console, model: Path, performance: Performance, *, live: bool, speed: float, gestures: Sequence[str],
    **options: Any,
) -> None:  # fmt: skip
    """Play a performance through a causal model and sum it up; Ctrl-C ends with the summary so far.

    options: of its Recogniser.
    """
    recogniser = Recogniser(model, **options)
    expect_gestures(recogniser, gestures)
    session, score = Session(recogniser), Score(performance, recogniser.labels)
    interrupted = False
    try:
        if live:
            _play_live(console, session, score, speed)
        else:
            _play_lines(session, score)
    except KeyboardInterrupt:
        interrupted = True
        console.print(f"ended after {session.frames} of {len(performance.positions)} frames")
    _print_summary(console, session, score)
    if interrupted:
        raise typer.Exit(130)


def _frame(performance: Performance, number: int) -> StreamFrame:
    return StreamFrame(round(1e9 * number / RATE), {_BODY: performance.positions[number]})


def _play_lines(session: Session, score: Score) -> None:
    """Push every frame at once and print a line for each gesture that is told."""
    for number in range(len(score.performance.positions)):
        for event in session.push(_frame(score.performance, number)).events:
            if event.kind == "started":
                performed, verdict = score.now(round(1e-9 * event.decided_ns * RATE)), score.take(event)
                label = printable(session.recogniser.labels[event.label])
                seconds = 1e-9 * event.decided_ns
                print(
                    f"{seconds:7.2f} s  {verdict}  {label} {event.confidence:.1%}  performed: {performed}", flush=True
                )


def _play_live(console: Console, session: Session, score: Score, speed: float) -> None:
    """Push frames as they would arrive, on the whole terminal."""
    from adasgn_edge.cli.stream_view import StreamScreen, StreamView

    screen = StreamScreen(session, f"a kinematic hand at {RATE:.0f} frames a second")
    with StreamView(console, screen) as view:
        began = time.perf_counter()
        for number in range(len(score.performance.positions)):
            time.sleep(max(0.0, began + number / (RATE * speed) - time.perf_counter()))
            frame = _frame(score.performance, number)
            output = session.push(frame)
            score.hear(output)
            screen.note = note_of(score, number)
            view.take(frame, output)


def note_of(score: Score, number: int) -> Text:
    """What the live view says of a frame."""
    from rich.text import Text

    over, recognised = score.over(number / RATE)
    note = Text(" performed: ", no_wrap=True, overflow="ellipsis")
    note.append(score.now(number), "bold")
    note.append(f"  ·  {recognised} of {over} recognised, {score.false} false", "bright_black")
    return note


def _print_summary(console: Console, session: Session, score: Score) -> None:
    from rich.table import Table
    from rich.text import Text

    if not session.frames:
        console.print("no frame was played")
        return
    seconds = session.frames / RATE
    over, recognised = score.over(seconds)
    table = Table(title="summary", show_header=False, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_row("recognised", f"{recognised} of {over} gestures" + (f", {recognised / over:.0%}" if over else ""))
    table.add_row("false labels", f"{score.false} in {seconds:.0f} s, {60 * score.false / seconds:.1f} a minute")
    if score.delays:
        table.add_row("decided", f"{np.median(score.delays):.2f} s after a gesture's beginning, median")
    if score.unknown:
        table.add_row("not known", Text(f"{', '.join(score.unknown)}: performed, and no class of the model"))
    for subject, said in session.summary():
        if subject in ("steps", "time", "cost"):
            table.add_row(subject, Text(printable(said)))
    console.print(table)
