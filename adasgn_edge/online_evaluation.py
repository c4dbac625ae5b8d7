"""A recogniser played over continuous recordings, and what comes out of it scored."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.degrade import Degradation, degrade
from adasgn_edge.data.online import OnlineDataset
from adasgn_edge.errors import DatasetError
from adasgn_edge.progress import Progress
from adasgn_edge.recogniser import GestureEvent
from adasgn_edge.scoring import Detection, Gesture, Score, score
from adasgn_edge.wording import listed

__all__ = [
    "NANOSECONDS", "Cost", "OnlineEvaluation", "Playback", "PlayedRecogniser", "detections_of", "evaluate",
    "gestures_of", "play",
]  # fmt: skip

NANOSECONDS = 1e9


class PlayedRecogniser(Protocol):
    """What of :class:`adasgn_edge.Recogniser` an evaluation needs."""

    @property
    def labels(self) -> Sequence[str]:
        """Names of all classes, none among them."""

    def push(self, stamp_ns: int, tracks: Mapping[int, Any]) -> Any:
        """Results and events of one frame."""


@dataclass(frozen=True)
class Cost:
    """What steps cost; `+` joins the costs of two recordings.

    steps: on the grid; ready: of them, with a window that was full; macs: multiply-adds of the ready ones; nanoseconds:
    processor time of the calling thread in all pushes, which other load on the machine does not lengthen much (all of
    it, for a recogniser with one thread); actions: how many ready steps took each branch
    """

    steps: int = 0
    ready: int = 0
    macs: int = 0
    nanoseconds: int = 0
    actions: tuple[int, ...] = ()

    def __add__(self, other: Cost) -> Cost:
        branches = max(len(self.actions), len(other.actions))
        own, its = (actions + (0,) * (branches - len(actions)) for actions in (self.actions, other.actions))
        return Cost(
            self.steps + other.steps,
            self.ready + other.ready,
            self.macs + other.macs,
            self.nanoseconds + other.nanoseconds,
            tuple(one + another for one, another in zip(own, its, strict=True)),
        )

    @property
    def macs_a_step(self) -> float:
        """Mean over ready steps; NaN without any."""
        return self.macs / self.ready if self.ready else math.nan

    @property
    def seconds_a_step(self) -> float:
        """Processor time of all pushes by steps, ready or not; NaN without any."""
        return self.nanoseconds / NANOSECONDS / self.steps if self.steps else math.nan

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of ready steps that took each branch."""
        return tuple(count / self.ready for count in self.actions) if self.ready else ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes None."""
        return {
            "steps": self.steps,
            "ready": self.ready,
            "macs_a_step": self.macs_a_step if self.ready else None,
            "seconds_a_step": self.seconds_a_step if self.steps else None,
            "shares": self.shares,
        }


class Playback(NamedTuple):
    """The gestures found in a recording, labels as the recogniser numbers them, times in seconds of its stamps."""

    detections: list[Detection]
    cost: Cost


@dataclass(frozen=True)
class OnlineEvaluation:
    """Over some sequences: the score of all together, and of each by its name, and the cost."""

    score: Score
    sequences: dict[str, Score]
    cost: Cost

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        each = {name: own.total for name, own in self.sequences.items()}
        return {
            "score": self.score.to_dict(),
            "cost": self.cost.to_dict(),
            "sequences": {
                name: {"gestures": own.gestures, "hits": own.hits, "false": own.false} for name, own in each.items()
            },
        }


def play(
    recogniser: PlayedRecogniser, stamps: NDArray[np.int64], frames: NDArray[np.float32], track: int = 0
) -> Playback:
    """Push a recording's frames (N, V, 3) with their stamps (N,) in nanoseconds, as one track of a fresh recogniser.

    A frame of which nothing was seen is pushed as an empty one.
    """
    events: list[GestureEvent] = []
    cost = Cost()
    seen = [not bool(np.isnan(joints).all()) for joints in frames]
    for stamp, joints, there in zip(stamps.tolist(), frames, seen, strict=True):
        before = time.thread_time_ns()
        output = recogniser.push(stamp, {track: joints} if there else {})
        passed = time.thread_time_ns() - before
        ready = [result for result in output.results if result.ready]
        actions = np.bincount([result.action for result in ready]).tolist() if ready else []
        cost += Cost(len(output.results), len(ready), sum(one.macs for one in ready), passed, tuple(actions))
        events += output.events
    return Playback(detections_of(events, int(stamps[-1])), cost)


def detections_of(events: Iterable[GestureEvent], last_ns: int) -> list[Detection]:
    """The gestures that a track's events tell, in the order of their ends.

    A detection is a gesture from its event "started", which says label, start and when it was decided, to its event
    "ended"; one that goes on at last_ns, the recording's last stamp, ends there.
    """
    begun: dict[int, GestureEvent] = {}
    found: list[tuple[GestureEvent, int]] = []
    for event in events:
        if event.kind == "started":
            begun[event.id] = event
        elif event.kind == "ended":
            found.append((begun.pop(event.id), event.end_ns))
    found += [(event, last_ns) for event in begun.values()]
    return [
        Detection(
            event.label,
            event.start_ns / NANOSECONDS,
            max(event.start_ns, end_ns) / NANOSECONDS,
            event.decided_ns / NANOSECONDS,
        )
        for event, end_ns in found
    ]


def gestures_of(dataset: OnlineDataset, sequence: int) -> list[Gesture]:
    """A sequence's annotations in seconds, from the stamp of the first frame of each to that of its last."""
    return [
        Gesture(gesture.label, gesture.first / dataset.rate, gesture.last / dataset.rate)
        for gesture in dataset.annotations[sequence]
    ]


def evaluate(
    make: Callable[[], PlayedRecogniser],
    dataset: OnlineDataset,
    sequences: Sequence[int],
    *,
    degradation: Degradation | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> OnlineEvaluation:
    """Play these sequences of a data set, each through a recogniser of its own, and score what is found.

    make: gives a fresh recogniser, such as ``lambda: Recogniser(path, mode="exact", effort=0.3)``; its classes must be
    the data set's, in any order, and one more for none. degradation: what is done to every recording first, drawn anew
    for each from `seed`; annotations stay where they are in time.

    Raises DatasetError for a recogniser of other classes, or without sequences.
    """
    if len(sequences) == 0:
        raise DatasetError(f"data set {dataset.name!r}: expected sequences to evaluate, found none")
    scores: dict[str, Score] = {}
    cost = Cost()
    what = "playing" if degradation is None else f"playing, {degradation}"
    for sequence in (progress or Progress()).track(list(sequences), what):
        recogniser = make()
        labels = _labels(recogniser, dataset)
        stamps, frames = dataset.stamps(sequence), dataset.frames(sequence)
        if degradation is not None:
            stamps, frames = degrade(frames, stamps, dataset.rate, degradation, [seed, int(sequence)])
        played = play(recogniser, stamps, frames)
        detections = [
            Detection(labels[found.label], found.start, found.end, found.decided) for found in played.detections
        ]
        scores[dataset.names[sequence]] = score(
            detections, gestures_of(dataset, sequence), dataset.seconds([sequence]), dataset.class_names
        )
        cost += played.cost
    return OnlineEvaluation(Score.combine(scores.values()), scores, cost)


def _labels(recogniser: PlayedRecogniser, dataset: OnlineDataset) -> dict[int, int]:
    """The data set's label for each of the recogniser's, none left out."""
    theirs = set(recogniser.labels) - set(dataset.class_names)
    lacking = [name for name in dataset.class_names if name not in recogniser.labels]
    if lacking or len(theirs) != 1:
        raise DatasetError(
            f"data set {dataset.name!r}: expected a model of its classes and one for none; found one that lacks "
            f"{listed(lacking) or 'none of them'} and has {listed(sorted(theirs)) or 'no other'}"
        )
    places = {name: label for label, name in enumerate(dataset.class_names)}
    return {number: places[name] for number, name in enumerate(recogniser.labels) if name in places}
