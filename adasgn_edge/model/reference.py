"""The PyTorch reference behind the interface that a replay uses: NumPy in, NumPy out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from adasgn_edge.errors import ClipError
from adasgn_edge.model.adasgn import AnyModel, EscalatingSGN
from adasgn_edge.model.config import MAX_COORDINATE

__all__ = ["ReferenceClassifier"]


class ReferenceClassifier:
    """Calls a model in evaluation mode, on the device it lies on: clip (M, T, V, C) float32, the M persons of one
    sample, → logits (M, classes), or (1, classes) of a model that escalates, and actions (M, T).

    threshold: of a model that escalates.
    """

    def __init__(self, model: AnyModel, threshold: float = 0.0) -> None:
        self.model, self._threshold = model.eval(), threshold
        self._device = next(model.parameters()).device

    @torch.inference_mode()
    def __call__(self, clip: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Class logits and the branch that each frame took.

        Raises ClipError for coordinates that are NaN or beyond MAX_COORDINATE, as engines do.
        """
        if not (np.abs(clip) <= MAX_COORDINATE).all():
            where = tuple(int(i) for i in np.argwhere(~(np.abs(clip) <= MAX_COORDINATE))[0])
            raise ClipError(
                f"clip {where[0]}: expected finite coordinates of at most {MAX_COORDINATE:g}, found {clip[where]:g} at "
                f"frame {where[1]}, joint {where[2]}, coordinate {where[3]}"
            )
        there = torch.from_numpy(clip).to(self._device)
        if isinstance(self.model, EscalatingSGN):
            prediction = self.model(there, self._threshold, len(clip))
        else:
            prediction = self.model(there)
        assert prediction.actions is not None  # only `forward_fuse` has none
        return prediction.logits.cpu().numpy(), prediction.actions.cpu().numpy()
