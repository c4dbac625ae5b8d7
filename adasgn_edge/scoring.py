"""How well gestures are found in continuous recordings: hits, false labels, overlap, delays. NumPy alone.

The rules are those of the SHREC tracks on online gestures, as their evaluation scripts state them: evaluateShrec21.m in
univr-VIPS/Shrec21 (Caputo et al., Computers & Graphics 99, 2021) and evaluation_shrec22fix.m in univr-VIPS/Shrec22
(Emporio et al., Computers & Graphics 107, 2022).

- **Hit.** A detection hits a gesture of the same label when the time that both share is at least half of the gesture's
  length, and the detection is at most twice as long as the gesture. A gesture is hit at most once and a detection hits
  at most one gesture; detections take their turn by when they were decided, and each takes, of the gestures that it may
  hit, the one with which it shares most. Lengths are end less start, between the stamps of the first and last frame.
- **Detection rate**: hits / gestures. **False-positive rate**: detections that hit nothing / gestures.
- **Jaccard index**: of a class, hits / (gestures + detections that hit nothing); of all, the mean over classes. This is
  the index that both scripts print, of gestures found, not of time.
- **Jaccard index of time**: of a class, the time that its gestures and its detections share in all sequences / the time
  that either takes; of all, the mean over classes. It also says how exact starts and ends are.

Where the scripts differ from each other this follows that of 2022: in 2021 a detection may be of any length, an overlap
of exactly half is none, and a second detection of a gesture that was hit already is not counted as false. The scripts
give rates as means over classes, here they are over all gestures; where classes occur equally often this is the same
(SHREC'21's test split has 16 gestures of each class and 14 of TAP, which the script of 2021 divides by 16 too).

Times are seconds from whatever moment, the same in a sequence's detections and gestures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adasgn_edge.errors import ScoreError
from adasgn_edge.wording import shown

__all__ = ["FIGURES", "ClassScore", "Detection", "Gesture", "Percentiles", "Score", "Spread", "over_seeds", "score"]

LEAST_OVERLAP = 0.5
"""Of the gesture's length."""
MOST_LENGTH = 2.0
"""Of the gesture's length."""
_ROUNDING = 1e-9
"""Seconds by which a length may be off: boundaries are multiples of a frame's time, which binary fractions are not."""


FIGURES = (
    "detection_rate", "false_positive_rate", "jaccard", "time_jaccard", "false_per_minute", "delay_start_p50",
    "delay_start_p95", "delay_end_p50", "delay_end_p95",
)  # fmt: skip
"""Names of the figures of a score."""


@dataclass(frozen=True)
class Gesture:
    """A gesture as it was annotated: label from 0; start, end in seconds."""

    label: int
    start: float
    end: float


@dataclass(frozen=True)
class Detection:
    """A gesture as it was found: label from 0; start, end; decided: when it was first said. In seconds."""

    label: int
    start: float
    end: float
    decided: float


@dataclass(frozen=True)
class ClassScore:
    """Of one class, or of all together: counts, and seconds of both (`shared`) and of either (`joined`)."""

    gestures: int = 0
    hits: int = 0
    false: int = 0
    shared: float = 0.0
    joined: float = 0.0

    def __add__(self, other: ClassScore) -> ClassScore:
        return ClassScore(
            self.gestures + other.gestures,
            self.hits + other.hits,
            self.false + other.false,
            self.shared + other.shared,
            self.joined + other.joined,
        )

    @property
    def detection_rate(self) -> float:
        """Hits / gestures; NaN without gestures."""
        return _ratio(self.hits, self.gestures)

    @property
    def false_positive_rate(self) -> float:
        """Detections that hit nothing / gestures; NaN without gestures."""
        return _ratio(self.false, self.gestures)

    @property
    def jaccard(self) -> float:
        """Hits / (gestures + detections that hit nothing); NaN where there is neither."""
        return _ratio(self.hits, self.gestures + self.false)

    @property
    def time_jaccard(self) -> float:
        """Time in both / time in either; NaN where there is neither."""
        return _ratio(self.shared, self.joined)


@dataclass(frozen=True)
class Percentiles:
    """The median and the 95th percentile in seconds, interpolated linearly; NaN of nothing."""

    p50: float
    p95: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Percentiles:
        if not values:
            return cls(math.nan, math.nan)
        return cls(*(float(value) for value in np.percentile(np.asarray(values, dtype=np.float64), [50, 95])))


@dataclass(frozen=True)
class Score:
    """The score of one sequence, or of several: `+` joins scores over the same classes.

    class_names: of the gestures; classes: a score for each; seconds: how long the sequences last; delays_start,
    delays_end: of every hit, from the gesture's annotated start, and end, to the decision (negative: before it)
    """

    class_names: tuple[str, ...]
    classes: tuple[ClassScore, ...]
    seconds: float
    delays_start: tuple[float, ...] = ()
    delays_end: tuple[float, ...] = ()

    @classmethod
    def combine(cls, scores: Iterable[Score]) -> Score:
        """Of all these sequences together; raises ScoreError without any."""
        joined: Score | None = None
        for one in scores:
            joined = one if joined is None else joined + one
        if joined is None:
            raise ScoreError("expected at least one score, found none")
        return joined

    def __add__(self, other: Score) -> Score:
        if self.class_names != other.class_names:
            raise ScoreError(
                f"expected a score over {shown(self.class_names)}, found one over {shown(other.class_names)}"
            )
        return Score(
            self.class_names,
            tuple(own + its for own, its in zip(self.classes, other.classes, strict=True)),
            self.seconds + other.seconds,
            self.delays_start + other.delays_start,
            self.delays_end + other.delays_end,
        )

    @property
    def total(self) -> ClassScore:
        """All classes together."""
        return sum(self.classes, ClassScore())

    @property
    def detection_rate(self) -> float:
        return self.total.detection_rate

    @property
    def false_positive_rate(self) -> float:
        return self.total.false_positive_rate

    @property
    def jaccard(self) -> float:
        """Mean over the classes that were annotated or detected."""
        return _mean([own.jaccard for own in self.classes])

    @property
    def time_jaccard(self) -> float:
        """Mean over the classes that were annotated or detected."""
        return _mean([own.time_jaccard for own in self.classes])

    @property
    def false_per_minute(self) -> float:
        """Detections that hit nothing, a minute."""
        return _ratio(60 * self.total.false, self.seconds)

    @property
    def delay_start(self) -> Percentiles:
        """From a hit gesture's annotated start to the decision."""
        return Percentiles.of(self.delays_start)

    @property
    def delay_end(self) -> Percentiles:
        """From a hit gesture's annotated end to the decision."""
        return Percentiles.of(self.delays_end)

    def figures(self) -> dict[str, float]:
        """Each of :data:`FIGURES` by its name."""
        start, end = self.delay_start, self.delay_end
        rates = (self.detection_rate, self.false_positive_rate, self.jaccard, self.time_jaccard, self.false_per_minute)
        return dict(zip(FIGURES, (*rates, start.p50, start.p95, end.p50, end.p95), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes None."""
        total = self.total
        return {
            **{name: _plain(value) for name, value in self.figures().items()},
            "gestures": total.gestures,
            "hits": total.hits,
            "false": total.false,
            "seconds": self.seconds,
            "classes": {
                name: {
                    "gestures": own.gestures,
                    "hits": own.hits,
                    "false": own.false,
                    "detection_rate": _plain(own.detection_rate),
                    "false_positive_rate": _plain(own.false_positive_rate),
                    "jaccard": _plain(own.jaccard),
                    "time_jaccard": _plain(own.time_jaccard),
                }
                for name, own in zip(self.class_names, self.classes, strict=True)
            },
        }


def score(
    detections: Sequence[Detection], gestures: Sequence[Gesture], seconds: float, class_names: Sequence[str]
) -> Score:
    """Score one sequence that lasts so many seconds, by the rules of this module.

    Raises ScoreError for a label that is no class, an end before its start, or times that are not finite.
    """
    for kind, times in (("detection", detections), ("gesture", gestures)):
        for one in times:
            if not 0 <= one.label < len(class_names):
                raise ScoreError(f"{kind}: expected a label from 0 to {len(class_names) - 1}, found {one.label}")
            if not (math.isfinite(one.start) and math.isfinite(one.end) and one.start <= one.end):
                raise ScoreError(f"{kind}: expected an end after its start, found {one.start:g} to {one.end:g} s")
    if not all(math.isfinite(detection.decided) for detection in detections):
        raise ScoreError("detection: expected a finite time of its decision")
    if not 0 < seconds < math.inf:
        raise ScoreError(f"seconds: expected how long the sequence lasts, found {seconds}")
    hits = _match(detections, gestures)
    pairs = [(detections[detection], gestures[gesture]) for detection, gesture in hits.items()]
    classes = []
    for label in range(len(class_names)):
        found = [detection for detection in detections if detection.label == label]
        there = [gesture for gesture in gestures if gesture.label == label]
        count = sum(gesture.label == label for _, gesture in pairs)
        time_found = _union([(detection.start, detection.end) for detection in found])
        time_there = _union([(gesture.start, gesture.end) for gesture in there])
        joined = _measure(_union(time_found + time_there))
        shared = max(0.0, _measure(time_found) + _measure(time_there) - joined)
        classes.append(ClassScore(len(there), count, len(found) - count, shared, joined))
    return Score(
        tuple(class_names),
        tuple(classes),
        seconds,
        tuple(detection.decided - gesture.start for detection, gesture in pairs),
        tuple(detection.decided - gesture.end for detection, gesture in pairs),
    )


def _match(detections: Sequence[Detection], gestures: Sequence[Gesture]) -> dict[int, int]:
    """Which gesture each detection hits, of those that hit one, in the order of their decisions."""
    hits: dict[int, int] = {}
    order = sorted(range(len(detections)), key=lambda d: (detections[d].decided, detections[d].start, d))
    for detection in order:
        free = [
            g for g in range(len(gestures)) if g not in hits.values() and _may_hit(detections[detection], gestures[g])
        ]
        if free:
            hits[detection] = max(free, key=lambda g: (_shared(detections[detection], gestures[g]), -g))
    return hits


def _may_hit(detection: Detection, gesture: Gesture) -> bool:
    length = gesture.end - gesture.start
    shared = _shared(detection, gesture)
    return (
        detection.label == gesture.label
        and shared >= 0
        and shared >= LEAST_OVERLAP * length - _ROUNDING
        and detection.end - detection.start <= MOST_LENGTH * length + _ROUNDING
    )


def _shared(detection: Detection, gesture: Gesture) -> float:
    """Seconds that both share; negative where they lie apart."""
    return min(detection.end, gesture.end) - max(detection.start, gesture.start)


def _union(intervals: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same times as intervals that do not overlap, in order."""
    united: list[tuple[float, float]] = []
    for start, end in sorted(intervals):
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], end))
        else:
            united.append((start, end))
    return united


def _measure(intervals: Sequence[tuple[float, float]]) -> float:
    return sum(end - start for start, end in intervals)


@dataclass(frozen=True)
class Spread:
    """Mean and, from two values on, sample standard deviation (else NaN) of `count` values."""

    mean: float
    deviation: float
    count: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes None."""
        return {"mean": _plain(self.mean), "deviation": _plain(self.deviation), "count": self.count}


def over_seeds(scores: Sequence[Score]) -> dict[str, Spread]:
    """Each figure's mean and deviation over the scores of models that differ in their seed alone."""
    rows = [one.figures() for one in scores]
    spreads = {}
    for name in FIGURES:
        values = np.asarray([row[name] for row in rows], dtype=np.float64)
        deviation = float(values.std(ddof=1)) if len(values) > 1 else math.nan
        spreads[name] = Spread(float(values.mean()) if len(values) else math.nan, deviation, len(values))
    return spreads


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.nan


def _mean(values: Sequence[float]) -> float:
    """Mean of those that are not NaN; NaN when none is."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value
