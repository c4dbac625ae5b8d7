"""The reference in float64, NumPy in and out, in the stages that a comparison needs."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from adasgn_edge.export import to_model_file
from adasgn_edge.folded import FoldedModel
from adasgn_edge.folded import motion as folded_motion
from adasgn_edge.model.adasgn import SGN, AdaSGN
from adasgn_edge.model.config import FEATURE
from adasgn_edge.model.spatial import motion
from adasgn_edge.model.weights import load_weights, shipped_weights
from adasgn_edge.model_file import read_model_file, write_model_file

__all__ = ["FoldedReference", "Reference", "TorchReference", "load_reference"]

Doubles = NDArray[np.floating]  # float64


class Reference(Protocol):
    """A model in float64; clips (B, T, V, C). source: what it is, for people."""

    source: str

    def action_logits(self, clips: NDArray[np.float32]) -> Doubles | None:
        """(B, T, A); None of a model without policy."""

    def features(self, clips: NDArray[np.float32], actions: NDArray[np.integer]) -> Doubles:
        """Features (B, T, 256) of frames that take the branches in actions (B, T)."""

    def classify(self, features: Doubles) -> Doubles:
        """Logits (B, K)."""


class TorchReference:
    """Trained weights in PyTorch, nothing folded. Computes in `dtype`; what it gives is float64 all the same."""

    def __init__(self, model: SGN | AdaSGN, dtype: torch.dtype = torch.float64, device: str = "cpu") -> None:
        self._model = copy.deepcopy(model).to(device, dtype).eval()
        self._dtype, self._device = dtype, device
        self.source = f"the weights in PyTorch, {str(dtype).removeprefix('torch.')}"

    def other(self, dtype: torch.dtype, device: str = "cpu") -> TorchReference:
        """The same weights in another precision, or on another device."""
        return TorchReference(self._model, dtype, device)

    @torch.inference_mode()
    def action_logits(self, clips: NDArray[np.float32]) -> Doubles | None:
        if not isinstance(self._model, AdaSGN):
            return None
        features = self._model.policy_features(self._moving(clips))
        return _doubles(self._model.policy(features.view(len(clips), -1, FEATURE)))

    @torch.inference_mode()
    def features(self, clips: NDArray[np.float32], actions: NDArray[np.integer]) -> Doubles:
        if not isinstance(self._model, AdaSGN):
            return _doubles(self._model.features(self._tensor(clips)))
        moving, taken = self._moving(clips), torch.from_numpy(actions.astype(np.int64)).flatten().to(self._device)
        features = self._model.routed_features(moving, taken, self._model.policy_features(moving))
        return _doubles(features.view(*actions.shape, FEATURE))

    @torch.inference_mode()
    def classify(self, features: Doubles) -> Doubles:
        return _doubles(self._model.temporal(self._tensor(features)))

    def _tensor(self, array: NDArray[np.floating]) -> torch.Tensor:
        return torch.from_numpy(array).to(self._device, self._dtype)

    def _moving(self, clips: NDArray[np.float32]) -> torch.Tensor:
        return motion(self._tensor(clips)).flatten(0, 1)


class FoldedReference:
    """A model file's own tensors, its forward pass in NumPy: for files whose weights are not at hand."""

    def __init__(self, folded: FoldedModel) -> None:
        self._model = folded.astype(np.float64)
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


def load_reference(model: Path | None, reference: Path | None, folder: Path) -> tuple[Path, Reference]:
    """The model file to run, and what to compare it with.

    model: ``.adasgn``, or weights, which are exported into `folder`; by default the shipped model. reference: the same
    kinds; by default `model`. Raises ModelFileError or CheckpointError.
    """
    model = model or shipped_weights()
    path = model
    if model.suffix != ".adasgn":
        path = folder / "model.adasgn"
        write_model_file(path, to_model_file(load_weights(model)))
    truth = reference or model
    if truth.suffix == ".adasgn":
        return path, FoldedReference(read_model_file(truth).folded)
    return path, TorchReference(load_weights(truth).model)


def _doubles(tensor: torch.Tensor) -> Doubles:
    return tensor.double().cpu().numpy()


def _folded_moving(clips: NDArray[np.float32]) -> Doubles:
    moving = folded_motion(clips.astype(np.float64))
    return moving.reshape(-1, *moving.shape[2:])
