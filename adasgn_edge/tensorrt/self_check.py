"""A TensorRT engine beside the engine of the CPU, on clips made by code: what every build ends with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.engine import Engine, Result
from adasgn_edge.errors import TensorRTError
from adasgn_edge.model.config import FEATURE

__all__ = ["BOUNDS", "Outcome", "check_against", "made_clips"]

BOUNDS = {"f32": 2e-5, "f16": 0.02}
"""Most that logits may be off, as a share of their norm; in f32 both may err 1e-5 (docs/benchmarks.md)."""
MARGIN = 1e-4
"""Of the policy's two best logits: closer ones are undecided, and either branch is right."""
SLACK = {"f32": 1e-4, "f16": 0.01}
"""Between a confidence and the threshold: a sample that is closer may stop at either branch."""
CLIPS = 16


class Runs(Protocol):
    """What is checked."""

    def run(self, clips: NDArray[np.float32]) -> Result:
        """As of :class:`adasgn_edge.engine.Engine`."""


@dataclass(frozen=True)
class Outcome:
    """clips: how many were compared; logit_error: the largest, as a share of the norm; frames; undecided: of the
    frames; differing: undecided ones that took another branch."""

    clips: int
    logit_error: float
    frames: int
    undecided: int
    differing: int

    def __str__(self) -> str:
        return (
            f"{self.clips} clips, logits within {self.logit_error:.1e} of the CPU's; {self.frames} frames, "
            f"{self.undecided} of them undecided, {self.differing} took another branch"
        )


def made_clips(shape: tuple[int, int, int], count: int = CLIPS, persons: int = 1) -> NDArray[np.float32]:
    """Clips (count, persons, T, V, 3), always the same: bodies that wander, some slowly and some wildly."""
    random = np.random.default_rng(20260)
    frames, joints, _ = shape
    rest = random.normal(0.0, 0.6, (count, persons, 1, joints, 3))
    steps = random.normal(0.0, 1.0, (count, persons, frames, joints, 3)).cumsum(axis=2)
    speeds = np.geomspace(0.005, 0.3, count).reshape(-1, 1, 1, 1, 1)
    return (rest + speeds * steps).astype(np.float32)


def check_against(cpu: Engine, engine: Runs, precision: str, batch: int, persons: int, effort: float | None) -> Outcome:
    """Run both on the same clips, `batch` at a time; TensorRTError, with what is off, where they do not agree."""
    clips = made_clips(cpu.description.clip_shape, max(CLIPS, batch), persons)
    parts = [clips[first : first + batch] for first in range(0, len(clips), batch)]
    found = [engine.run(part) for part in parts]
    actions = np.concatenate([_present(result.actions) for result in found])
    logits = np.concatenate([result.logits for result in found]).astype(np.float64)
    if not np.isfinite(logits).all():
        raise TensorRTError("self-check: expected finite logits, found infinite ones or none")
    judge = _escalating if cpu.description.config.escalates else _routed
    expected, undecided, differing = judge(cpu, clips, actions, precision, effort)
    errors = np.linalg.norm(logits - expected, axis=-1) / np.linalg.norm(expected, axis=-1)
    worst = float(errors.max())
    if worst > BOUNDS[precision]:
        raise TensorRTError(
            f"self-check: expected logits within {BOUNDS[precision]:g} of the CPU engine's, found {worst:.2g}"
        )
    return Outcome(len(clips), worst, actions.size, undecided, differing)


def _routed(
    cpu: Engine, clips: NDArray[np.float32], actions: NDArray[np.int32], precision: str, effort: float | None
) -> tuple[NDArray[np.float64], int, int]:
    """Of a policy's model and of dense ones: logits for the branches that were taken, undecided frames, those that
    took another branch."""
    frames = clips.shape[2]
    previous = np.concatenate([clips[:, :, :1], clips[:, :, :-1]], axis=2)
    count = clips.shape[0] * clips.shape[1]
    undecided = np.zeros((count, frames), bool)
    wanted = np.zeros((count, frames), np.int32)
    if cpu.description.config.adaptive:
        rows = [array.reshape(count, frames, *clips.shape[3:]) for array in (clips, previous)]
        for first in range(0, count, cpu.max_batch):
            some = slice(first, first + cpu.max_batch)
            now, before = (array[some].reshape(-1, *clips.shape[3:]) for array in rows)
            features = cpu.policy_features(now, before).reshape(-1, frames, FEATURE)
            wanted[some], scores = cpu.actions(features)
            assert scores is not None
            best = np.sort(scores, axis=-1)
            undecided[some] = best[..., -1] - best[..., -2] <= MARGIN
    other = actions.reshape(count, frames) != wanted
    if wrong := int((other & ~undecided).sum()):
        raise TensorRTError(
            f"self-check: expected every decided frame on the CPU engine's branch, found {wrong} of {other.size} on "
            "another"
        )
    return _logits(cpu, clips, actions), int(undecided.sum()), int(other.sum())


def _escalating(
    cpu: Engine, clips: NDArray[np.float32], actions: NDArray[np.int32], precision: str, effort: float | None
) -> tuple[NDArray[np.float64], int, int]:
    """Of a model that escalates: logits at the levels that samples ended at; undecided are those whose confidence was
    close to the threshold."""
    threshold = cpu.description.threshold(effort, None)
    assert threshold is not None
    levels = actions.reshape(len(clips), -1)
    frames = levels.shape[1]
    if (levels != levels[:, :1]).any():
        raise TensorRTError("self-check: expected a sample to end at one branch, found frames of several")
    sums, means = 0.0, []
    for level in range(len(cpu.description.branches)):
        raw = _logits(cpu, clips, np.full_like(actions, level))
        powers = np.exp(raw - raw.max(-1, keepdims=True))
        sums = sums + powers / powers.sum(-1, keepdims=True)
        means.append(np.asarray(sums) / (level + 1))
    confidence = np.stack([mean.max(-1) for mean in means[:-1]], axis=1)  # (B, A - 1), of what may still go on
    close = np.abs(confidence - threshold) <= SLACK[precision]
    goes_on = confidence < threshold
    wanted = np.where(goes_on.all(1), confidence.shape[1], goes_on.argmin(1))
    ended = levels[:, 0]
    # Only at a close call may a sample leave the CPU's path.
    parted = np.minimum(ended, wanted)
    allowed = close[np.arange(len(clips)), np.minimum(parted, confidence.shape[1] - 1)]
    other = ended != wanted
    if wrong := int((other & ~allowed).sum()):
        raise TensorRTError(
            f"self-check: expected samples to end at the CPU engine's branch, found {wrong} of {len(clips)} at another"
        )
    logits = np.log(np.maximum(np.stack(means)[ended, np.arange(len(clips))], np.finfo(np.float32).tiny))
    return logits, frames * int(close.any(1).sum()), frames * int(other.sum())


def _logits(cpu: Engine, clips: NDArray[np.float32], actions: NDArray[np.int32]) -> NDArray[np.float64]:
    """The CPU engine's logits with these branches."""
    forced = actions.reshape(*clips.shape[:3])
    most = max(1, cpu.max_batch // clips.shape[1])
    parts = [slice(first, first + most) for first in range(0, len(clips), most)]
    return np.concatenate([cpu.run(clips[part], forced[part]).logits for part in parts]).astype(np.float64)


def _present(actions: NDArray[np.int32] | None) -> NDArray[np.int32]:
    assert actions is not None
    return actions
