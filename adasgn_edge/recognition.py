"""What a causal model file says of recognition in a stream: the grid's step, the class that is no gesture, and the
decision rule with its thresholds. The rule itself is in the native core (``csrc/adasgn/online/decisions.h``)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from adasgn_edge.errors import RecognitionError

__all__ = ["Decision", "Recognition"]

MIN_STEP, MAX_STEP = 1_000_000, 10_000_000_000
"""Nanoseconds."""
MAX_TIME = 3_600_000_000_000
"""Nanoseconds: of the times of a decision."""
_SHARES = ("smoothing", "start", "end", "low")
_SHIFTS = ("start_shift", "end_shift")


@dataclass(frozen=True)
class Decision:
    """When a gesture starts and ends; q is the smoothed probability, times are in nanoseconds.

    smoothing: weight of the newest step in q, 1 for none; start: q of a class from which a gesture starts; end: below
    which it ends, dated back to where q was last as high as start; low: its beginning is dated back to where the
    probability of any gesture rose above this; minimum: a gesture is not announced before it has lasted so long;
    maximum: nor does it last longer; cool_down: after one ends none starts for so long; start_shift, end_shift: added
    to beginning and end, for the model's own delay. The defaults are for a model whose thresholds have not been chosen.

    Raises RecognitionError for values out of range.
    """

    smoothing: float = 1.0
    start: float = 0.8
    end: float = 0.4
    low: float = 0.5
    minimum: int = 150_000_000
    maximum: int = 10_000_000_000
    cool_down: int = 0
    start_shift: int = -100_000_000
    end_shift: int = -100_000_000

    def __post_init__(self) -> None:
        for part in fields(self):
            value = getattr(self, part.name)
            if part.name in _SHARES:
                ok = type(value) in (int, float) and math.isfinite(value) and 0 <= value <= 1
                expected = "a number from 0 to 1"
            else:
                low = -MAX_TIME if part.name in _SHIFTS else 0
                ok = type(value) is int and low <= value <= MAX_TIME
                expected = f"whole nanoseconds from {low} to {MAX_TIME}"
            _expect(ok, f"decision {part.name}: {expected}", value)
        _expect(self.smoothing > 0, "decision smoothing: a number above 0", self.smoothing)
        _expect(self.end <= self.start, f"decision end: at most start, {self.start}", self.end)
        _expect(self.minimum <= self.maximum, f"decision minimum: at most maximum, {self.maximum}", self.minimum)


@dataclass(frozen=True)
class Recognition:
    """step: of the grid, nanoseconds; none: number of the class that is no gesture; decision: the rule's thresholds;
    delay: nanoseconds, whole steps: what a window's newest frame lets the model say is about the one so long before it.

    Raises RecognitionError for values out of range.
    """

    step: int
    none: int
    decision: Decision = field(default_factory=Decision)
    delay: int = 0

    def __post_init__(self) -> None:
        sound = type(self.step) is int and MIN_STEP <= self.step <= MAX_STEP
        _expect(sound, f"step: nanoseconds, {MIN_STEP} to {MAX_STEP}", self.step)
        _expect(type(self.none) is int and self.none >= 0, "none: a class number", self.none)
        whole = type(self.delay) is int and 0 <= self.delay <= MAX_TIME and self.delay % self.step == 0
        _expect(whole, f"delay: nanoseconds, whole steps of {self.step}", self.delay)

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Recognition:
        """Inverse of :meth:`to_json`, which may lack a delay; raises RecognitionError for anything else."""
        data = {"delay": 0, **data} if isinstance(data, dict) else data
        _expect_keys("recognition", data, cls)
        _expect_keys("decision", data["decision"], Decision)
        return cls(data["step"], data["none"], Decision(**data["decision"]), data["delay"])


def _expect(ok: bool, expected: str, found: object) -> None:
    if not ok:
        raise RecognitionError(f"recognition: expected {expected}, found {found!r}"[:300])


def _expect_keys(what: str, data: Any, kind: type) -> None:
    known = [field.name for field in fields(kind)]
    ok = isinstance(data, dict) and set(data) == set(known)
    _expect(ok, f"{what} with the keys {', '.join(known)}", data)
