"""A stand-in for :class:`adasgn_edge.Recogniser` that finds what it is told to, whatever it sees."""

from __future__ import annotations

from typing import Any

import numpy as np

from adasgn_edge.recogniser import GestureEvent, Output, StepResult

SECOND = 1_000_000_000


class ScriptedRecogniser:
    """A step every `step` frames, the first `warm` of them not ready; events as soon as a frame reaches their moment.

    script: of each gesture label, start, end and decision in seconds; an end of None never comes.
    """

    def __init__(self, labels: tuple[str, ...], script: list[tuple[int, float, float | None, float]], step: int = 2):
        self.labels, self._step = labels, step
        self.pushed: list[tuple[int, dict[int, Any]]] = []
        self._waiting = []
        for number, (label, start, end, decided) in enumerate(script, 1):
            self._waiting.append((decided, self._event("started", number, label, start, decided, decided)))
            if end is not None:
                self._waiting.append((decided, self._event("held", number, label, start, decided, decided)))
                self._waiting.append((max(end, decided), self._event("ended", number, label, start, end, end + 0.05)))

    @staticmethod
    def _event(kind: str, number: int, label: int, start: float, end: float, decided: float) -> GestureEvent:
        moments = (round(moment * SECOND) for moment in (start, end, decided))
        return GestureEvent(kind, number, 0, label, 0.9, *moments, False)

    def push(self, stamp_ns: int, tracks: dict[int, Any], update_state: bool = True) -> Output:
        self.pushed.append((stamp_ns, tracks))
        results = []
        if tracks and len(self.pushed) % self._step == 0:
            ready = len(self.pushed) > 4 * self._step
            probabilities = np.full(len(self.labels), 1 / len(self.labels), np.float32) if ready else None
            action = len(self.pushed) // self._step % 2
            results.append(
                StepResult(
                    0, "tracked" if ready else "new", ready, stamp_ns, stamp_ns, 0.0, -1, 0.5, probabilities,
                    action if ready else -1, 1000 * (1 + action), 0.0, 0, 0, 0.0, 0.0,
                )
            )  # fmt: skip
        due = [event for moment, event in self._waiting if moment * SECOND <= stamp_ns]
        self._waiting = [(moment, event) for moment, event in self._waiting if moment * SECOND > stamp_ns]
        return Output(results, due)
