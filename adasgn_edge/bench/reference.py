"""The reference in float64, NumPy in and out, in the stages that a comparison needs; NumPy alone."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.deploy.folded_network import FoldedModel, softmax
from adasgn_edge.deploy.folded_network import motion as folded_motion
from adasgn_edge.effort import Levels, escalate
from adasgn_edge.model.config import FEATURE, ModelConfig

__all__ = ["MARGIN", "Doubles", "FoldedReference", "Reference"]

Doubles = NDArray[np.floating]  # float64

MARGIN = 1e-4
"""Actions must agree where the reference's two highest action logits are further apart than this, or the confidence and
the threshold of a model that escalates."""


class Reference(ABC):
    """A model in float64; clips (B, T, V, C), each a sample of its own.

    source: what it is, for people; config: of the model; threshold: of a model that escalates.
    """

    source: str
    config: ModelConfig
    threshold: float

    @abstractmethod
    def action_logits(self, clips: NDArray[np.float32]) -> Doubles | None:
        """(B, T, A); None of a model without policy."""

    @abstractmethod
    def features(self, clips: NDArray[np.float32], actions: NDArray[np.integer]) -> Doubles:
        """Features (B, T, 256) of frames that take the branches in actions (B, T)."""

    @abstractmethod
    def classify(self, features: Doubles) -> Doubles:
        """What the temporal module makes of features (B, T, 256): logits (B, K)."""

    def decide(self, clips: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The branches that frames take, (B, T), and by how much the decision was clear, (B, T): between the two
        highest action logits, or between confidence and threshold; infinite where nothing is decided."""
        shape = clips.shape[:2]
        if self.config.escalates:
            probabilities = self._probabilities(clips, len(self.config.branches))
            _, level = escalate(Levels(probabilities, np.zeros(len(probabilities), np.int64)), self.threshold)
            counts = np.arange(1, len(probabilities) + 1)[:, None]
            distance = np.abs(np.cumsum(probabilities, axis=0).max(-1) / counts - self.threshold)
            asked = np.arange(len(probabilities) - 1)[:, None] <= level
            margin = np.where(asked, distance[:-1], np.inf).min(0)
            return np.broadcast_to(level[:, None], shape), np.broadcast_to(margin[:, None], shape)
        action_logits = self.action_logits(clips)
        if action_logits is None:
            return np.zeros(shape, np.int64), np.full(shape, np.inf)
        top = np.sort(action_logits, axis=-1)
        return action_logits.argmax(-1), top[..., -1] - top[..., -2]

    def scores(self, clips: NDArray[np.float32], actions: NDArray[np.integer], features: Doubles) -> Doubles:
        """Logits (B, K) of a run on clips whose frames took these branches (B, T), with these features (B, T, 256)."""
        if not self.config.escalates:
            return self.classify(features)
        probabilities = self._probabilities(clips, int(actions.max(initial=0)) + 1)
        level = actions[:, 0]
        mean = np.cumsum(probabilities, axis=0)[level, np.arange(len(clips))] / (level + 1)[:, None]
        return np.log(np.maximum(mean, np.finfo(np.float64).tiny))

    def _probabilities(self, clips: NDArray[np.float32], levels: int) -> Doubles:
        """What each of the first branches says, (A, B, K)."""
        found = []
        for level in range(levels):
            found.append(softmax(self.classify(self.features(clips, np.full(clips.shape[:2], level)))))
        return np.stack(found)


class FoldedReference(Reference):
    """A model file's own tensors, its forward pass in NumPy: for files whose weights are not at hand."""

    def __init__(self, folded: FoldedModel, threshold: float = 0.0) -> None:
        self._model = folded.astype(np.float64)
        self.config, self.threshold = folded.config, threshold
        self.source = "the file's own tensors in NumPy, float64"

    def action_logits(self, clips: NDArray[np.float32]) -> Doubles | None:
        if self._model.policy is None:
            return None
        return self._model.action_logits(self._model.policy_features(_folded_moving(clips)), len(clips))

    def features(self, clips: NDArray[np.float32], actions: NDArray[np.integer]) -> Doubles:
        moving, taken = _folded_moving(clips), actions.astype(np.int64).ravel()
        features = self._model.routed_features(moving, taken, self._model.policy_features(moving))
        return features.reshape(*actions.shape, FEATURE)

    def classify(self, features: Doubles) -> Doubles:
        return self._model.temporal(features)

    def whole(self, windows: NDArray[np.float32], actions: NDArray[np.int64]) -> Doubles:
        """Logits (B, K) of a causal model's windows (B, lead + T, V_r, C), frames through the branches in (B, T)."""
        return self._model.forward(windows.astype(np.float64), actions).logits


def _folded_moving(clips: NDArray[np.float32]) -> Doubles:
    moving = folded_motion(clips.astype(np.float64))
    return moving.reshape(-1, *moving.shape[2:])
