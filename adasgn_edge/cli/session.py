"""A stream through a recogniser: names of bodies, what each push took, and what came of it all."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from adasgn_edge.data.stream_frames import StreamFrame
from adasgn_edge.recogniser import NO_LABEL, GestureEvent, Output, Recogniser, StepResult
from adasgn_edge.wording import listed

__all__ = ["Identities", "Session", "Troubles", "event_row", "step_row"]

MOST_TIMES = 10_000
"""Pushes whose times are kept."""
MOST_IDENTITIES = 8192
"""Names of bodies that are kept; a tracker that gives everybody a new one would fill the memory otherwise."""

TROUBLES = ("duplicate", "late", "clock_jumps", "overflow", "unusable_frames", "jumps", "budget_misses",
             "budget_overruns")  # fmt: skip
"""Counts that somebody should know of while they grow."""


class Identities:
    """The source's names of bodies and the recogniser's numbers of them; a number is never given to another name."""

    def __init__(self) -> None:
        self._numbers: OrderedDict[str, int] = OrderedDict()
        self._names: dict[int, str] = {}
        self._next = 0

    def number(self, name: str) -> int:
        """The number of a body; the names longest unseen are forgotten."""
        found = self._numbers.get(name)
        if found is not None:
            self._numbers.move_to_end(name)
            return found
        if len(self._numbers) >= MOST_IDENTITIES:
            _, oldest = self._numbers.popitem(last=False)
            del self._names[oldest]
        number, self._next = self._next, self._next + 1
        self._numbers[name], self._names[number] = number, name
        return number

    def name(self, number: int) -> str:
        """The name that a number was given to."""
        return self._names.get(number, f"#{number}")


@dataclass
class Session:
    """Pushes frames and keeps count.

    seconds: of the newest pushes; ended, started: gestures by label; steps: results by branch, of those that took one;
    macs: of all steps; left: names of left hands, which were mirrored; frames: pushed; first_ns,
    newest_ns: the first and the newest stamp. model: what it is called, for people.
    """

    recogniser: Recogniser
    identities: Identities = field(default_factory=Identities)
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_TIMES))
    started: Counter[int] = field(default_factory=Counter)
    ended: Counter[int] = field(default_factory=Counter)
    steps: Counter[int] = field(default_factory=Counter)
    macs: int = 0
    left: set[str] = field(default_factory=set)
    frames: int = 0
    first_ns: int = 0
    newest_ns: int = 0
    model: str = ""

    def push(self, frame: StreamFrame) -> Output:
        """A frame through the recogniser."""
        tracks = {self.identities.number(name): joints for name, joints in frame.tracks.items()}
        began = time.perf_counter()
        output = self.recogniser.push(frame.stamp_ns, tracks)
        self.seconds.append(time.perf_counter() - began)
        if not self.frames:
            self.first_ns = frame.stamp_ns
        self.frames += 1
        if not frame.left <= self.left and len(self.left) < MOST_IDENTITIES:
            self.left |= frame.left
        self.newest_ns = frame.stamp_ns
        self._count(output)
        for result in output.results:
            if result.action >= 0:
                self.steps[result.action] += 1
                self.macs += result.macs
        return output

    def finish(self) -> Output:
        """No frame comes any more: the gestures that went on have ended, as lost."""
        self.recogniser.reset()
        output = self.recogniser.push(self.newest_ns, {})
        self._count(output)
        return output

    def _count(self, output: Output) -> None:
        for event in output.events:
            if event.kind != "held":
                (self.started if event.kind == "started" else self.ended)[event.label] += 1

    def milliseconds(self, *percentiles: float) -> list[float]:
        """Of a push; percentiles of the newest MOST_TIMES."""
        times = np.asarray(self.seconds or [0.0])
        return [1e3 * float(value) for value in np.percentile(times, percentiles)]

    def branches(self) -> str:
        """Which branches frames took, in words."""
        total = sum(self.steps.values())
        names = self.recogniser.description.branches
        return "  ".join(f"{names[action]} {count / total:.0%}" for action, count in sorted(self.steps.items()))

    def summary(self) -> Iterator[tuple[str, str]]:
        """What came of it, for people: a subject and what is to be said of it."""
        stats = self.recogniser.stats()
        span = 1e-9 * (self.newest_ns - self.first_ns)
        if self.model:
            yield "model", f"{self.model}: {len(self.recogniser.labels)} labels"
        yield "frames", f"{self.frames} in {span:.1f} s by the source's clock"
        yield (
            "steps",
            f"{stats.steps} on the grid of {1e3 * self.recogniser.step:.0f} ms, {stats.results} of them ready",
        )
        if self.frames:
            median, high, most = self.milliseconds(50, 95, 100)
            yield "time", f"{median:.2f} ms a push, median; 95 % within {high:.2f}, all within {most:.2f} ms"
        total = sum(self.steps.values())
        if total:
            yield "cost", f"{self.macs / total / 1e6:.3f} million multiply-adds a step; branches: {self.branches()}"
        labels = self.recogniser.labels
        found = ", ".join(f"{labels[label]} {count}" for label, count in self.started.most_common())
        yield "gestures", f"{sum(self.started.values())} started" + (f": {found}" if found else "")
        usual = ("pushes", "frames", "steps", "results", "tracks_started", "tracks_forgotten", "escalated")
        others = [(name, getattr(stats, name)) for name in asdict(stats) if name not in usual]
        counted = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in others if count)
        yield "tracks", f"{stats.tracks_started} started"
        if self.left:
            yield "hands", f"left ones, mirrored to right ones: {listed(sorted(self.left))}"
        if counted:
            yield "counted", counted


class Troubles:
    """Tells of counts that grow, at most once a second.

    skipped: how many frames never reached the recogniser; say: is told.
    """

    def __init__(self, session: Session, skipped: Callable[[], int], say: Callable[[str], None]) -> None:
        self._session, self._skipped, self._say = session, skipped, say
        self._known: dict[str, int] = {}
        self._left: set[str] = set()
        self._looked = time.monotonic()

    def look(self) -> None:
        """Tell what has grown since the last time, if a second has passed."""
        now = time.monotonic()
        if now - self._looked < 1:
            return
        self._looked = now
        stats = self._session.recogniser.stats()
        counts = {name: getattr(stats, name) for name in TROUBLES} | {"skipped": self._skipped()}
        grown = {name: count - self._known.get(name, 0) for name, count in counts.items()}
        self._known = counts
        said = ", ".join(f"{name.replace('_', ' ')} {more}" for name, more in grown.items() if more)
        if left := self._session.left - self._left:
            self._left |= left
            self._say(f"left hands, mirrored to right ones: {listed(sorted(left))}")
        if said:
            seconds = 1e-9 * (self._session.newest_ns - self._session.first_ns)
            self._say(f"at {seconds:.1f} s of the stream: {said}")


def event_row(event: GestureEvent, session: Session) -> dict[str, Any]:
    """An event as plain values for JSON; a gesture that goes on has no end."""
    return {
        "type": event.kind,
        "id": event.id,
        "track": session.identities.name(event.track),
        "label": session.recogniser.labels[event.label],
        "confidence": round(event.confidence, 6),
        "start_ns": event.start_ns,
        "end_ns": event.end_ns if event.kind == "ended" else None,
        "decided_ns": event.decided_ns,
        "lost": event.lost,
    }


def step_row(result: StepResult, session: Session, top: int = 3) -> dict[str, Any]:
    """A step's result as plain values for JSON."""
    labels, branches = session.recogniser.labels, session.recogniser.description.branches
    return {
        "type": "step",
        "track": session.identities.name(result.track),
        "state": result.state,
        "ready": result.ready,
        "stamp_ns": result.stamp_ns,
        "newest_ns": result.newest_ns,
        "age_ms": round(1e3 * result.age, 3),
        "label": None if result.label == NO_LABEL else labels[result.label],
        "confidence": round(result.confidence, 6),
        "top": [{"label": labels[label], "confidence": round(value, 6)} for label, value in result.top(top)],
        "gesture": result.gesture or None,
        "branch": branches[result.action] if result.action >= 0 else None,
        "macs": result.macs,
        "interpolated": round(result.interpolated, 4),
        "missing_joints": result.missing_joints,
        "spatial_us": round(1e6 * result.spatial_seconds, 1),
        "temporal_us": round(1e6 * result.temporal_seconds, 1),
    }
