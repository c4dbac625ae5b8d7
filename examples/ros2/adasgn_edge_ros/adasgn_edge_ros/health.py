"""How the node fares, as a diagnostic tells it: rates, times, misses, what was lost and refused. Needs no ROS."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from adasgn_edge.recogniser import Stats

__all__ = ["ERROR", "OK", "WARN", "Health", "Report"]

OK, WARN, ERROR = 0, 1, 2
"""Levels of diagnostic_msgs/DiagnosticStatus."""
MOST_TIMES = 10_000
"""Times that are kept between two reports."""
WORRIES = ("late", "duplicate", "clock_jumps", "overflow", "unusable_frames", "gaps")
"""Counts of the recogniser that a report warns of when they grew."""


@dataclass(frozen=True)
class Report:
    """One diagnostic status; level: OK, WARN or ERROR."""

    level: int
    message: str
    values: list[tuple[str, str]]


@dataclass
class Health:
    """Counts since the node was configured; times and the rate since the last report.

    deadline, silence: seconds; received: messages; refused: by kind, reason: of the newest; dropped: messages that were
    sent and did not come, None where the middleware does not tell; publishers: of the topic that is read; doubt: what
    contradicts the parameters. clock: seconds that only go on.
    """

    deadline: float
    silence: float
    clock: Callable[[], float] = time.monotonic
    received: int = 0
    misses: int = 0
    dropped: int | None = None
    publishers: int = 1
    refused: Counter[str] = field(default_factory=Counter)
    doubt: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        self._pushes: list[float] = []
        self._handled: list[float] = []
        self._reported = self._heard = self.clock()
        self._known: Counter[str] = Counter()
        self._sequence: int | None = None

    def awake(self) -> None:
        """Messages are awaited from now on."""
        self._heard = self._reported = self.clock()
        self._sequence = None

    def sequence(self, number: int) -> None:
        """The number that the newest message has among those of its publisher; a gap is messages that did not come."""
        if self._sequence is None or number <= self._sequence or self.publishers > 1:
            missed = 0
        else:
            missed = number - self._sequence - 1
        self.dropped = (self.dropped or 0) + missed
        self._sequence = number

    def lost(self, count: int) -> None:
        """The middleware lost messages; for where messages have no numbers."""
        if self._sequence is None:
            self.dropped = (self.dropped or 0) + count

    def pushed(self, seconds: float) -> None:
        """A message was converted and pushed in so long."""
        if len(self._pushes) < MOST_TIMES:
            self._pushes.append(seconds)

    def handled(self, seconds: float) -> None:
        """A message was handled, publishing included, in so long."""
        self.received += 1
        self.misses += seconds > self.deadline
        self._heard = self.clock()
        if len(self._handled) < MOST_TIMES:
            self._handled.append(seconds)

    def refuse(self, kind: str, reason: str) -> None:
        """A message was not used."""
        self.refused[kind] += 1
        self.reason = reason

    def report(self, state: str, stats: Stats) -> Report:
        """What to tell now; state: of the node."""
        now = self.clock()
        span = now - self._reported
        counts = Counter({name: getattr(stats, name) for name in WORRIES})
        counts += Counter({"deadline misses": self.misses, "messages dropped": self.dropped or 0})
        counts += self.refused
        grown = {name: count - self._known[name] for name, count in counts.items() if count > self._known[name]}
        received = self.received - self._known["received"]
        worries = [f"{name.replace('_', ' ')} {more}" for name, more in grown.items()]
        level, message = OK, state
        refused = [name for name in self.refused if name in grown]
        if refused and sum(grown[name] for name in refused) >= received:
            level, message = ERROR, f"nothing usable comes in: {self.reason}"
        elif state == "active" and now - self._heard > self.silence:
            level, message = WARN, f"no message for {now - self._heard:.1f} s"
        elif self.publishers > 1:
            level, message = WARN, f"expected one publisher of skeletons, found {self.publishers}"
        elif worries or self.doubt:
            level, message = WARN, ", ".join(worries) or self.doubt
        values = [
            ("state", state),
            ("messages", str(self.received)),
            ("rate (Hz)", f"{received / span:.1f}" if span > 0 else "0.0"),
            *_times("push time", self._pushes),
            *_times("message time", self._handled),
            ("deadline (ms)", f"{1e3 * self.deadline:g}"),
            ("deadline misses", str(self.misses)),
            ("messages dropped", "unknown" if self.dropped is None else str(self.dropped)),
            ("publishers", str(self.publishers)),
            ("late", str(stats.late)),
            ("duplicate", str(stats.duplicate)),
            ("time jumps", str(stats.clock_jumps)),
            ("tracks lost", str(stats.gaps)),
            ("bodies without a place", str(stats.overflow)),
            ("unusable frames", str(stats.unusable_frames)),
            ("steps", str(stats.steps)),
            *((f"refused: {name}", str(count)) for name, count in sorted(self.refused.items())),
        ]
        if self.reason:
            values.append(("last refusal", self.reason))
        if self.doubt:
            values.append(("doubt", self.doubt))
        self._known = Counter(counts)
        self._known["received"] = self.received
        self._reported = now
        self._pushes.clear()
        self._handled.clear()
        return Report(level, message, values)


def _times(name: str, seconds: list[float]) -> list[tuple[str, str]]:
    """Percentiles in milliseconds."""
    if not seconds:
        return [(f"{name} p50 (ms)", "none"), (f"{name} p99 (ms)", "none")]
    middle, high = np.percentile(1e3 * np.asarray(seconds), [50, 99]).tolist()
    return [(f"{name} p50 (ms)", f"{middle:.3f}"), (f"{name} p99 (ms)", f"{high:.3f}")]
