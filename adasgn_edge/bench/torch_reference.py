"""Trained weights in PyTorch as the reference, nothing folded; and which reference a model has."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from adasgn_edge.bench.reference import Doubles, FoldedReference, Reference
from adasgn_edge.deploy.export import to_model_file
from adasgn_edge.deploy.model_file import read_model_file, write_model_file
from adasgn_edge.effort import threshold_of
from adasgn_edge.model.adasgn import SGN, AdaSGN, AnyModel
from adasgn_edge.model.config import FEATURE
from adasgn_edge.model.spatial import motion
from adasgn_edge.model.weights import load_weights, shipped_weights

__all__ = ["TorchReference", "load_reference"]


class TorchReference(Reference):
    """Trained weights in PyTorch, nothing folded. Computes in `dtype`; what it gives is float64 all the same."""

    def __init__(
        self, model: AnyModel, dtype: torch.dtype = torch.float64, device: str = "cpu", threshold: float = 0.0
    ) -> None:
        self._model = copy.deepcopy(model).to(device, dtype).eval()
        self._dtype, self._device = dtype, device
        self.config, self.threshold = model.config, threshold
        self.source = f"the weights in PyTorch, {str(dtype).removeprefix('torch.')}"

    def other(self, dtype: torch.dtype, device: str = "cpu") -> TorchReference:
        """The same weights in another precision, or on another device."""
        return TorchReference(self._model, dtype, device, self.threshold)

    @torch.inference_mode()
    def action_logits(self, clips: NDArray[np.float32]) -> Doubles | None:
        if not isinstance(self._model, AdaSGN):
            return None
        features = self._model.policy_features(self._moving(clips))
        return _doubles(self._model.policy(features.view(len(clips), -1, FEATURE)))

    @torch.inference_mode()
    def features(self, clips: NDArray[np.float32], actions: NDArray[np.integer]) -> Doubles:
        if isinstance(self._model, SGN):
            return _doubles(self._model.features(self._tensor(clips)))
        moving, taken = self._moving(clips), torch.from_numpy(actions.astype(np.int64)).flatten().to(self._device)
        features = self._model.routed_features(moving, taken, self._model.branches[0](moving))
        return _doubles(features.view(*actions.shape, FEATURE))

    @torch.inference_mode()
    def classify(self, features: Doubles) -> Doubles:
        return _doubles(self._model.temporal(self._tensor(features)))

    def _tensor(self, array: NDArray[np.floating]) -> torch.Tensor:
        return torch.from_numpy(array).to(self._device, self._dtype)

    def _moving(self, clips: NDArray[np.float32]) -> torch.Tensor:
        return motion(self._tensor(clips)).flatten(0, 1)


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
        file = read_model_file(truth)
        return path, FoldedReference(file.folded, threshold_of(file.effort, None))
    trained = load_weights(truth)
    return path, TorchReference(trained.model, threshold=threshold_of(trained.effort, None))


def _doubles(tensor: torch.Tensor) -> Doubles:
    return tensor.double().cpu().numpy()
