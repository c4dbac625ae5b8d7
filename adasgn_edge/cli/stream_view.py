"""What `stream` and the demo show of a live stream: bodies, labels, gestures, times; made for the terminal's size."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from adasgn_edge.cli.canvas import SkeletonPicture, View
from adasgn_edge.cli.screen import LabelBars, bar, branch_style
from adasgn_edge.cli.session import Session
from adasgn_edge.cli.terminal import printable
from adasgn_edge.data.stream_frames import StreamFrame
from adasgn_edge.recogniser import NO_LABEL, GestureEvent, Output, StepResult

__all__ = ["StreamScreen", "StreamView"]

PICTURES = 15.0
"""A second, at most."""
SEEN_FRAMES = 90
"""Frames of a body that decide how large it is drawn."""
SETTLED = 30
"""Frames of a body that decide from which side it is drawn."""
MOST_BODIES = 6
LONGEST_NAME = 20
FORGOTTEN_AFTER = 5.0
"""Seconds of the source's clock after which a body that is not seen leaves the screen."""
_QUIET = "bright_black"
_STATE_STYLES = {"new": "yellow", "tracked": "green", "predicted": "magenta", "lost": "red"}


@dataclass
class _Body:
    """What is known of one body: its newest joints (those not seen where they were last), frames and result."""

    name: str
    joints: NDArray[np.float32]  # (V, 3), NaN until seen
    seen_ns: int = 0
    left: bool = False  # a left hand, which was mirrored
    frames: deque[NDArray[np.float32]] = field(default_factory=lambda: deque(maxlen=SEEN_FRAMES))
    result: StepResult | None = None
    gesture: GestureEvent | None = None
    plane: NDArray[np.float64] | None = None  # that it is drawn on, once there are SETTLED frames


class StreamScreen:
    """Keeps what is to be seen and draws it.

    title: of the stream; skipped: how many frames were passed over; problems: what is wrong with the input, the newest
    last. note: a line of the caller's own below the title, None for none.
    """

    def __init__(
        self, session: Session, title: str, skipped: Callable[[], int] = lambda: 0, problems: Sequence[str] = ()
    ) -> None:
        self._session, self._recogniser, self._title = session, session.recogniser, printable(title)
        self._labels = tuple(map(printable, self._recogniser.labels))
        self._skipped, self._problems = skipped, problems
        self._bodies: OrderedDict[int, _Body] = OrderedDict()
        self._events: deque[Text] = deque(maxlen=32)
        self._arrived: deque[float] = deque(maxlen=60)
        self._focus: int | None = None
        self.note: Text | None = None

    def take(self, frame: StreamFrame, output: Output) -> None:
        """A frame and what came of it."""
        self._arrived.append(time.perf_counter())
        for name, joints in frame.tracks.items():
            number = self._session.identities.number(name)
            body = self._bodies.get(number)
            if body is None:
                body = self._bodies[number] = _Body(printable(name, LONGEST_NAME), np.full_like(joints, np.nan))
            body.joints = np.where(np.isnan(joints), body.joints, joints)
            body.seen_ns, body.left = frame.stamp_ns, name in frame.left
            if np.isfinite(body.joints).all():
                body.frames.append(body.joints)
        for result in output.results:
            if result.track in self._bodies:
                self._bodies[result.track].result = result
        for event in output.events:
            self._note_event(event)
        gone = [
            number
            for number, body in self._bodies.items()
            if abs(frame.stamp_ns - body.seen_ns) > 1e9 * FORGOTTEN_AFTER
        ]
        for number in gone:
            del self._bodies[number]
        self._choose_focus()

    def _note_event(self, event: GestureEvent) -> None:
        label = self._labels[event.label]
        body = self._bodies.get(event.track)
        if body is not None:
            body.gesture = None if event.kind == "ended" else event
        if event.kind == "held":
            return
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"{1e-9 * (event.decided_ns - self._session.first_ns):8.2f} s  ", _QUIET)
        name = printable(self._session.identities.name(event.track), LONGEST_NAME)
        line.append(f"{name:>4}  ")
        if event.kind == "started":
            late = 1e-9 * (event.decided_ns - event.start_ns)
            line.append(f"▸ {label}", "bold green")
            line.append(f"  {event.confidence:.0%}, {late:.2f} s after it began", _QUIET)
        else:
            long = 1e-9 * (event.end_ns - event.start_ns)
            line.append(f"  {label}", "none")
            line.append(f"  ended after {long:.2f} s{', its body was lost' if event.lost else ''}", _QUIET)
        self._events.appendleft(line)

    def _choose_focus(self) -> None:
        """The body whose skeleton and labels are drawn: one that makes a gesture, else the one so far, else any."""
        gesturing = [number for number, body in self._bodies.items() if body.gesture is not None]
        if gesturing and self._focus not in gesturing:
            self._focus = gesturing[0]
        elif self._focus not in self._bodies:
            self._focus = next(iter(self._bodies), None)

    def draw(self) -> RenderableType:
        """The whole screen."""
        bodies = max(1, min(len(self._bodies), MOST_BODIES))
        layout, middle = Layout(), Layout(name="middle", minimum_size=5)
        body = self._bodies.get(self._focus) if self._focus is not None else None
        middle.split_row(Layout(self._picture(body), ratio=5), Layout(self._bars(body), ratio=6, minimum_size=34))
        head = [Layout(Text(f" {self._title}", "bold", no_wrap=True, overflow="ellipsis"), size=1)]
        if self.note is not None:
            head.append(Layout(self.note, size=1))
        layout.split_column(
            *head,
            middle,
            Layout(Panel(self._table(), title="bodies", border_style=_QUIET), size=bodies + 2),
            Layout(Panel(Group(*self._events), title="gestures", border_style=_QUIET), size=7),
            Layout(Panel(self._figures(), title="recogniser", border_style=_QUIET), size=4),
        )
        return layout

    def _picture(self, body: _Body | None) -> RenderableType:
        layout = self._recogniser.description.layout
        if body is None or not body.frames:
            return Panel(Text("nobody in sight", _QUIET), title=Text(layout.name), border_style=_QUIET)
        frames = np.stack(body.frames)
        farthest = int(np.argmax(np.ptp(frames, axis=0).max(axis=-1)))
        action = -1 if body.result is None else body.result.action
        origin = self._recogniser.description.config.causal
        marks = body.joints[[origin.origin]] if origin is not None else body.joints[:0]
        view = View(frames, layout, body.plane)
        if len(frames) >= SETTLED:
            body.plane = view.plane
        picture = SkeletonPicture(
            view, layout, body.joints, marks, frames[-45:, farthest], branch_style(max(action, 0))
        )
        mirrored = ", a left hand, mirrored" if body.left else ""
        return Panel(picture, title=Text(f"body {body.name}{mirrored}"), border_style=_QUIET)

    def _bars(self, body: _Body | None) -> RenderableType:
        result = None if body is None else body.result
        if body is None or result is None or result.probabilities is None:
            field_of_view = self._recogniser.receptive_field
            wait = f"ready after {field_of_view} steps, {field_of_view * self._recogniser.step:.1f} s"
            return Panel(Text(wait, _QUIET), title="probabilities", border_style=_QUIET)
        marked = None if body.gesture is None else body.gesture.label
        return Panel(
            LabelBars(self._labels, result.probabilities, marked),
            title=f"probabilities, body {body.name}",
            border_style=_QUIET,
        )

    def _table(self) -> RenderableType:
        table = Table.grid(padding=(0, 1), expand=True)
        for justify in ("right", "left", "left"):
            table.add_column(no_wrap=True, justify=justify)
        table.add_column(ratio=1, no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        recent = sorted(self._bodies.items(), key=lambda entry: -entry[1].seen_ns)[:MOST_BODIES]
        for number, body in sorted(recent):
            state, result = self._recogniser.state(number), body.result
            label, confidence, more = "", 0.0, ""
            if result is not None and result.ready:
                label = "no gesture" if result.label == NO_LABEL else self._labels[result.label]
                confidence = result.confidence
                branch = self._recogniser.description.branches[result.action]
                more = f"{branch}  {1e3 * result.age:3.0f} ms old"
                more += f"  {result.interpolated:.0%} between frames" if result.interpolated > 0.05 else ""
                more += f"  {result.missing_joints} joints missing" if result.missing_joints else ""
            more += "  left hand, mirrored" if body.left else ""
            strong = body.gesture is not None
            table.add_row(
                Text(body.name, "bold"),
                Text(state, _STATE_STYLES[state]),
                Text(f"{'▸' if strong else ' '} {label}", "bold green" if strong else "none"),
                Text(f"{bar(confidence, 12)} {confidence:4.0%}" if label else "", "green" if strong else _QUIET),
                Text(more, _QUIET),
            )
        if not recent:
            table.add_row("", Text("nobody in sight", _QUIET), "", "", "")
        return table

    def _figures(self) -> RenderableType:
        session, stats = self._session, self._recogniser.stats()
        rate = (len(self._arrived) - 1) / max(self._arrived[-1] - self._arrived[0], 1e-6) if self._arrived else 0.0
        median, high = session.milliseconds(50, 95)
        first = Text(no_wrap=True, overflow="ellipsis")
        first.append(f"{rate:.0f} frames a second  ·  {median:.2f} ms a push, 95 % within {high:.2f}")
        first.append(f"  ·  {session.branches()}", _QUIET)
        counts = {
            "skipped": self._skipped(), "late": stats.late + stats.duplicate, "clock jumps": stats.clock_jumps,
            "gaps": stats.gaps, "unusable": stats.unusable_frames, "joints filled": stats.missing_joints,
            "no place": stats.overflow, "budget misses": stats.budget_misses,
        }  # fmt: skip
        second = Text(no_wrap=True, overflow="ellipsis")
        if self._problems:
            second.append(printable(self._problems[-1]), "red")
        else:
            said = "  ".join(f"{what} {count}" for what, count in counts.items() if count)
            second.append(said or "nothing late, lost or missing", _QUIET)
            second.append("  ·  Ctrl-C ends", _QUIET)
        return Group(first, second)


class StreamView:
    """The screen on a whole terminal, drawn anew so often that eyes are content and the stream does not wait."""

    def __init__(self, console: Console, screen: StreamScreen) -> None:
        self.screen = screen
        self._live = Live(console=console, screen=True, auto_refresh=False)
        self._drawn = 0.0

    def __enter__(self) -> StreamView:
        self._live.__enter__()
        self.tick()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(None, None, None)

    def take(self, frame: StreamFrame, output: Output) -> None:
        """A frame and what came of it."""
        self.screen.take(frame, output)
        self.tick()

    def tick(self) -> None:
        """Draw, if it is time."""
        now = time.monotonic()
        if now - self._drawn >= 1 / PICTURES:
            self._drawn = now
            self._live.update(self.screen.draw(), refresh=True)
