"""An engine against the reference in float64, clip by clip: errors of features and logits, actions, accuracy.

Anything with the `run` of adasgn_edge/engine.py can be compared: :func:`compare`.
``python -m bench.parity`` does it for a model on every instruction set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adasgn_edge.bench.clips import Clips
from adasgn_edge.bench.reference import MARGIN, Reference
from adasgn_edge.engine import Result

__all__ = ["CHUNK", "MARGIN", "TOLERANCE", "Expected", "Parity", "Runs", "compare", "expect"]

TOLERANCE = 1e-5
"""Most that a float32 engine's features and logits may differ from the reference, as a share of their norm."""
CHUNK = 60
"""Clips at a time."""


class Runs(Protocol):
    """What is asked of an engine."""

    def run(self, clips: ArrayLike, actions: ArrayLike | None = None, *, features: bool = False) -> Result:
        """As :meth:`adasgn_edge.engine.Engine.run`."""


@dataclass(frozen=True)
class Expected:
    """What the reference makes of clips, the same for every engine.

    actions: (N, T); margin: (N, T) by which each was decided, infinite where there is nothing to decide; features:
    (N, T, 256) and logits: (N, K) with these actions.
    """

    reference: Reference
    clips: Clips
    actions: NDArray[np.int64]
    margin: NDArray[np.float64]
    features: NDArray[np.float64]
    logits: NDArray[np.float64]


@dataclass(frozen=True)
class Parity:
    """How one engine compares.

    Errors are those of a row (a frame's feature, a clip's logits) as a share of its norm, against the reference on the
    actions that the engine chose. undecided: frames whose margin is at most MARGIN; accuracies None without labels.
    """

    engine: str
    clips: int
    frames: int
    undecided: int
    other_actions_decided: int
    other_actions_undecided: int
    feature_error: float
    feature_error_median: float
    logit_error: float
    logit_error_median: float
    other_labels: int
    accuracy: float | None
    reference_accuracy: float | None

    def holds(self, tolerance: float = TOLERANCE) -> bool:
        """Whether errors are within `tolerance` and every decided frame took the reference's branch."""
        return max(self.feature_error, self.logit_error) <= tolerance and self.other_actions_decided == 0


def expect(reference: Reference, clips: Clips) -> Expected:
    """Run the reference on clips."""
    actions, margins, features, logits = [], [], [], []
    for part in _chunks(clips.arrays):
        chosen, margin = reference.decide(part)
        pooled = reference.features(part, chosen)
        actions.append(chosen)
        margins.append(margin)
        features.append(pooled)
        logits.append(reference.scores(part, chosen, pooled))
    return Expected(
        reference,
        clips,
        np.concatenate(actions),
        np.concatenate(margins),
        np.concatenate(features),
        np.concatenate(logits),
    )


def compare(name: str, engine: Runs, expected: Expected) -> Parity:
    """Run an engine on the same clips, CHUNK at a time, and compare."""
    clips = expected.clips
    results = [engine.run(part, features=True) for part in _chunks(clips.arrays)]
    actions = np.concatenate([_present(result.actions) for result in results])
    other = actions != expected.actions
    features, logits = expected.features.copy(), expected.logits.copy()
    for clip in np.flatnonzero(other.any(axis=1)):  # what the reference makes of the branches that the engine chose
        alone, taken = clips.arrays[clip : clip + 1], actions[clip : clip + 1]
        features[clip] = expected.reference.features(alone, taken)[0]
        logits[clip] = expected.reference.scores(alone, taken, features[clip : clip + 1])[0]
    found = np.concatenate([result.logits for result in results])
    feature_errors = _errors(np.concatenate([_present(result.features) for result in results]), features)
    logit_errors = _errors(found, logits)
    decided = expected.margin > MARGIN
    labels, expected_labels = (_labels(scores, clips.persons) for scores in (found, expected.logits))
    return Parity(
        engine=name,
        clips=len(clips),
        frames=actions.size,
        undecided=int((~decided).sum()),
        other_actions_decided=int((other & decided).sum()),
        other_actions_undecided=int((other & ~decided).sum()),
        feature_error=float(feature_errors.max()),
        feature_error_median=float(np.median(feature_errors)),
        logit_error=float(logit_errors.max()),
        logit_error_median=float(np.median(logit_errors)),
        other_labels=int((labels != expected_labels).sum()),
        accuracy=None if clips.labels is None else float((labels == clips.labels).mean()),
        reference_accuracy=None if clips.labels is None else float((expected_labels == clips.labels).mean()),
    )


def _chunks(arrays: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [arrays[first : first + CHUNK] for first in range(0, len(arrays), CHUNK)]


def _present(array: Any) -> NDArray[Any]:
    assert array is not None  # a run that was asked for features gives features and actions
    return np.asarray(array)


def _errors(found: NDArray[np.floating], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Error of each row as a share of its norm; not-a-number, which compares as no error, counts as infinite."""
    errors = np.linalg.norm(found.astype(np.float64) - expected, axis=-1) / np.linalg.norm(expected, axis=-1)
    return np.where(np.isnan(errors), np.inf, errors)


def _labels(logits: NDArray[np.floating], persons: int) -> NDArray[np.int64]:
    """Labels (N,) of logits (N·persons, K), whose persons are averaged."""
    return logits.reshape(-1, persons, logits.shape[-1]).mean(axis=1).argmax(-1)
