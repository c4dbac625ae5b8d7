"""SGN written plainly: 1x1 ``Conv2d`` layers on (B, channels, V, T), permutes, one-hot inputs of full size, Eq. 2 as it
stands. It is the oracle that ``adasgn_edge.model`` is tested against and the baseline of ``bench/training_speed.py``.

Symbols as everywhere: B clips, T frames, V joints, C = 3.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from adasgn_edge.model.adasgn import SGN


def embedding(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, outputs, 1), nn.ReLU())


class NormedInput(nn.Module):
    """Batch norm over (coordinate, joint) of (B, C, V, T)."""

    def __init__(self, joints: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(joints * 3)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, joints, frames = x.shape
        flat = x.permute(0, 2, 1, 3).reshape(batch, joints * channels, frames)
        return self.norm(flat).view(batch, joints, channels, frames).permute(0, 2, 1, 3).contiguous()


class GraphLayer(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.w = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.w1 = nn.Conv2d(inputs, outputs, 1)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:  # (B, c, V, T), (B, T, V, V)
        spread = (adjacency @ x.permute(0, 3, 2, 1)).permute(0, 3, 2, 1).contiguous()
        return torch.relu(self.norm(self.w(spread) + self.w1(x)))


class Conv2dSGN(nn.Module):
    """Dense SGN with the parameters of `model` (a dense :class:`adasgn_edge.model.adasgn.SGN`), copied."""

    def __init__(self, model: SGN) -> None:
        super().__init__()
        config = model.config
        joints, frames = config.joints, config.frames
        self.joint_one_hot: Tensor
        self.frame_one_hot: Tensor
        self.register_buffer("joint_one_hot", torch.eye(joints)[None, :, :, None])  # (1, V, V, 1)
        self.register_buffer("frame_one_hot", torch.eye(frames)[None, :, None, :])  # (1, T, 1, T)
        self.position_norm, self.velocity_norm = NormedInput(joints), NormedInput(joints)
        self.position, self.velocity = embedding(3, 64, 64), embedding(3, 64, 64)
        self.joint, self.frame = embedding(joints, 64, 64), embedding(frames, 64, 256)
        self.theta, self.phi = nn.Conv2d(128, 256, 1), nn.Conv2d(128, 256, 1)
        spatial: Any = model.spatial.module
        widths = [layer.neighbours.in_features for layer in spatial.layers] + [256]
        self.layers = nn.ModuleList(GraphLayer(a, b) for a, b in pairwise(widths))
        self.across, self.across_norm = nn.Conv2d(256, 256, (1, 3), padding=(0, 1)), nn.BatchNorm2d(256)
        self.widen, self.widen_norm = nn.Conv2d(256, 512, 1), nn.BatchNorm2d(512)
        self.classify = nn.Linear(512, config.classes)
        self._copy(model)

    def forward(self, clip: Tensor) -> Tensor:  # (B, T, V, C) → (B, classes)
        x = clip.permute(0, 3, 2, 1).contiguous()  # (B, C, V, T)
        batch, _, joints, frames = x.shape
        velocity = torch.cat([torch.zeros_like(x[..., :1]), x[..., 1:] - x[..., :-1]], dim=-1)
        d = self.position(self.position_norm(x)) + self.velocity(self.velocity_norm(velocity))
        e = self.joint(self.joint_one_hot.expand(batch, joints, joints, frames))
        x = torch.cat([d, e], dim=1)
        theta = self.theta(x).permute(0, 3, 2, 1)  # (B, T, V, 256)
        phi = self.phi(x).permute(0, 3, 1, 2)  # (B, T, 256, V)
        adjacency = (theta @ phi).softmax(-1)
        for layer in self.layers:
            x = layer(x, adjacency)
        x = x + self.frame(self.frame_one_hot.expand(batch, frames, joints, frames))
        x = x.amax(2, keepdim=True)  # over the joints
        x = torch.relu(self.across_norm(self.across(x)))
        x = torch.relu(self.widen_norm(self.widen(x)))
        return self.classify(x.amax((2, 3)))

    @torch.no_grad()
    def _copy(self, model: SGN) -> None:
        def take(target: Any, source: Any) -> None:
            for name, tensor in source.state_dict().items():
                dict(target.state_dict())[name].copy_(tensor.view_as(target.state_dict()[name]))

        def take_embedding(target: nn.Sequential, source: Any) -> None:
            take(target[0], source.hidden)
            take(target[2], source.output)

        spatial: Any = model.spatial.module
        temporal: Any = model.temporal
        layers: Any = self.layers
        across: Any = self.across
        for norm, pair, source in (
            (self.position_norm, self.position, spatial.position),
            (self.velocity_norm, self.velocity, spatial.velocity),
        ):
            take(norm.norm, source.norm)
            take_embedding(pair, source)
        take_embedding(self.joint, spatial.joint)
        take_embedding(self.frame, temporal.frame)
        take(self.theta, spatial.adjacency.theta)
        take(self.phi, spatial.adjacency.phi)
        for layer, source in zip(layers, spatial.layers, strict=True):
            take(layer.w, source.neighbours)
            take(layer.w1, source.itself)
            take(layer.norm, source.norm)
        taps = temporal.across.weight.view(256, 3, 256).permute(0, 2, 1)  # (out, in, tap)
        across.weight.copy_(taps[:, :, None, :])
        across.bias.copy_(temporal.across.bias)
        take(self.widen, temporal.widen)
        take(self.across_norm, temporal.across_norm)
        take(self.widen_norm, temporal.widen_norm)
        take(self.classify, temporal.classify)
