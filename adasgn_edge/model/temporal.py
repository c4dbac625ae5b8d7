"""The temporal module and the policy: features of a clip's frames to class logits and to action logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adasgn_edge.model.config import EMBEDDING, FEATURE, TAPS, TEMPORAL, CausalShape
from adasgn_edge.model.spatial import at_least_float32, normalised_rows

__all__ = ["CausalTemporalModule", "TemporalConvolution", "TemporalModule"]


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
        x = _without_some_channels(x, self.dropout if self.training else 0.0)
        x = F.relu(normalised_rows(self.widen(x), self.widen_norm))
        return at_least_float32(self.classify(x.amax(dim=1)))


class CausalLayer(nn.Module):
    """x + ReLU(BN(conv(x))), the convolution with kernel 3, dilated, at the frame and before it; no padding.

    weight: (outputs, 3·inputs), the taps of frames t - 2d, t - d, t one after another.
    """

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.across = nn.Linear(TAPS * FEATURE, FEATURE)
        self.norm = nn.BatchNorm1d(FEATURE)

    def forward(self, x: Tensor, dropout: float = 0.0) -> Tensor:  # (B, N, 256) → (B, N - 2d, 256)
        frames = x.shape[1] - (TAPS - 1) * self.dilation
        taps = [x[:, tap * self.dilation : tap * self.dilation + frames] for tap in range(TAPS)]
        y = F.relu(normalised_rows(self.across(torch.cat(taps, dim=-1)), self.norm))
        return taps[-1] + _without_some_channels(y, dropout)


class CausalTemporalModule(nn.Module):
    """TM and head of a causal model: dilated causal convolutions with residuals, conv(k=1), max over the last rows,
    linear classifier. No frame index and no padding: what a row holds does not depend on where a window begins."""

    def __init__(self, causal: CausalShape, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(CausalLayer(dilation) for dilation in causal.dilations)
        self.widen = nn.Linear(FEATURE, TEMPORAL)
        self.widen_norm = nn.BatchNorm1d(TEMPORAL)
        self.classify = nn.Linear(TEMPORAL, classes)
        self.pool, self.dropout = causal.pool, dropout

    def rows(self, features: Tensor) -> Tensor:
        """Logits of every frame that has T - 1 before it: (B, N, 256) → (B, N - T + 1, classes)."""
        dropout = self.dropout if self.training else 0.0
        x = features
        for layer in self.layers:
            x = layer(x, dropout)
        x = F.relu(normalised_rows(self.widen(x), self.widen_norm))
        x = _without_some_channels(x, dropout)
        if x.shape[1] == self.pool:  # one window; without unfold, of which onnxscript 0.6.0 makes no sound graph
            x = x.amax(dim=1, keepdim=True)
        elif self.pool > 1:
            x = x.unfold(1, self.pool, 1).amax(dim=-1)
        return at_least_float32(self.classify(x))

    def forward(self, features: Tensor) -> Tensor:  # (B, T, 256) → logits (B, classes), of the newest frame
        return self.rows(features)[:, -1]


def _without_some_channels(x: Tensor, dropout: float) -> Tensor:
    """(B, N, channels) with whole channels of a clip set to zero, as SGN does."""
    if dropout == 0:
        return x
    kept = torch.full((x.shape[0], 1, x.shape[2]), 1 - dropout, device=x.device).bernoulli()
    return x * (kept / (1 - dropout)).to(x.dtype)
