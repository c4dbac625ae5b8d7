"""The temporal module and the policy: features of a clip's frames to class logits and to action logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adasgn_edge.model.config import EMBEDDING, FEATURE, TAPS, TEMPORAL
from adasgn_edge.model.spatial import at_least_float32, normalised_rows

__all__ = ["TemporalConvolution", "TemporalModule"]


class TemporalConvolution(nn.Linear):
    """Convolution over time with kernel 3 and zero padding, as one matrix product.

    weight: (outputs, 3·inputs), the taps of frame t-1, t, t+1 one after another. With a stride only its multiples are
    such t.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(TAPS * inputs, outputs)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:  # (B, T, inputs) → (B, T / stride rounded up, outputs)
        padded = F.pad(x, (0, 0, 1, 1))
        frames = x.shape[1]
        taps = [padded[:, tap : tap + frames : self.stride] for tap in range(TAPS)]
        return super().forward(torch.cat(taps, dim=-1))


class FrameEmbedding(nn.Module):
    """Frame index (one-hot T) to 256 channels; constant at inference."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(frames, EMBEDDING)
        self.output = nn.Linear(EMBEDDING, FEATURE)

    def forward(self) -> Tensor:  # → (T, 256)
        one_hot_through_hidden = self.hidden.weight.t() + self.hidden.bias
        return F.relu(self.output(F.relu(one_hot_through_hidden)))


class TemporalModule(nn.Module):
    """TM and head: frame embedding, conv(k=3, stride), conv(k=1), max over the frames, linear classifier."""

    def __init__(self, frames: int, classes: int, dropout: float = 0.0, stride: int = 1) -> None:
        super().__init__()
        self.frame = FrameEmbedding(frames)
        self.across = TemporalConvolution(FEATURE, FEATURE, stride)
        self.across_norm = nn.BatchNorm1d(FEATURE)
        self.widen = nn.Linear(FEATURE, TEMPORAL)
        self.widen_norm = nn.BatchNorm1d(TEMPORAL)
        self.classify = nn.Linear(TEMPORAL, classes)
        self.dropout = dropout

    def forward(self, features: Tensor) -> Tensor:  # (B, T, 256) → logits (B, classes)
        x = F.relu(normalised_rows(self.across(features + self.frame()), self.across_norm))
        if self.training and self.dropout > 0:  # whole channels of a clip, as SGN does
            kept = torch.full((x.shape[0], 1, x.shape[2]), 1 - self.dropout, device=x.device).bernoulli()
            x = x * (kept / (1 - self.dropout)).to(x.dtype)
        x = F.relu(normalised_rows(self.widen(x), self.widen_norm))
        return at_least_float32(self.classify(x.amax(dim=1)))
