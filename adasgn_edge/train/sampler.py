"""The data set on the device: clips are cut, turned into a stream and augmented there, a whole batch at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.data.preprocess import CENTRE, OFFSET_RANGE, segment_frames, to_stream

__all__ = ["Augmentation", "ClipSampler"]


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a training clip; every zero switches one off.

    rotation: (x, y, z) largest angle about each axis, degrees; scale: largest relative change of size;
    jitter: standard deviation of a constant offset per joint, in units of the normalised coordinates; bones: of the
    relative change of each bone's length; crop: the smallest part of a recording that a clip spans, 1 for all of it;
    warp: how unevenly time may run, 0 to below 1.
    """

    rotation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 0.0
    jitter: float = 0.0
    bones: float = 0.0
    crop: float = 1.0
    warp: float = 0.0

    @property
    def moves_time(self) -> bool:
        """Whether :meth:`times` changes anything."""
        return self.crop < 1 or self.warp > 0

    def times(self, shape: tuple[int, int, int], generator: torch.Generator, device: torch.device) -> Tensor:
        """Where in a recording, 0 to 1, the frames of clips lie: one in each of T equal segments, (B, M, T), then
        warped and cropped. Warping runs time u as ``u + w·u·(1 - u)``, which stays monotone."""
        batch, persons, frames = shape

        def uniform(*shape: int) -> Tensor:  # in (0, 1)
            return torch.rand(shape, generator=generator, device=device)

        u = (torch.arange(frames, device=device) + uniform(*shape)) / frames
        if self.warp:
            u = u + self.warp * (2 * uniform(batch, persons, 1) - 1) * u * (1 - u)
        if self.crop < 1:
            part = self.crop + (1 - self.crop) * uniform(batch, persons, 1)
            u = (1 - part) * uniform(batch, persons, 1) + part * u
        return u

    def __call__(self, clip: Tensor, generator: torch.Generator, parents: Tensor | None = None) -> Tensor:
        """Augment clips (B, M, T, V, C); all persons and frames of a sample alike. parents (V,): of `bones`."""
        batch, persons, _, joints, _ = clip.shape

        def uniform(*shape: int) -> Tensor:  # in (-1, 1)
            return torch.rand(shape, generator=generator, device=clip.device) * 2 - 1

        if any(self.rotation):
            angles = uniform(batch, 3) * torch.deg2rad(torch.tensor(self.rotation, device=clip.device))
            clip = clip @ _rotations(angles).transpose(1, 2).view(batch, 1, 1, 3, 3)
        if self.scale:
            clip = clip * (1 + self.scale * uniform(batch, 1, 1, 1, 1))
        if self.bones:
            if parents is None:
                raise ValueError("a change of bone lengths needs the parent of each joint")
            factor = 1 + self.bones * torch.randn((batch, 1, 1, joints, 1), generator=generator, device=clip.device)
            clip = _stretched(clip, factor, parents.tolist())
        if self.jitter:
            noise = torch.randn((batch, persons, 1, joints, 3), generator=generator, device=clip.device)
            clip = clip + self.jitter * noise
        return clip


def _stretched(clip: Tensor, factor: Tensor, parents: list[int]) -> Tensor:
    """Each bone's length times its factor, the root where it was."""
    placed: dict[int, Tensor] = {}

    def place(joint: int) -> Tensor:
        if joint not in placed:
            parent, here = parents[joint], clip[..., joint, :]
            if parent == joint:
                placed[joint] = here
            else:
                placed[joint] = place(parent) + factor[..., joint, :] * (here - clip[..., parent, :])
        return placed[joint]

    return torch.stack([place(joint) for joint in range(len(parents))], dim=-2)


def _rotations(angles: Tensor) -> Tensor:
    """Rotation matrices (B, 3, 3) about x, then y, then z; angles (B, 3) in radians."""
    matrix = torch.eye(3, device=angles.device).expand(len(angles), 3, 3)
    for axis in range(3):
        cos, sin = angles[:, axis].cos(), angles[:, axis].sin()
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn = torch.zeros_like(matrix)
        turn[:, axis, axis] = 1
        turn[:, first, first] = turn[:, second, second] = cos
        turn[:, first, second], turn[:, second, first] = -sin, sin
        matrix = turn @ matrix
    return matrix


class ClipSampler:
    """One split of a data set, resident on a device.

    An absent person stands for a second look at the first one: averaging class scores over M tracks is then right for
    samples of any number of persons, and shapes stay fixed.
    """

    def __init__(
        self, dataset: SkeletonDataset, split: str, frames: int, stream: str, device: torch.device | str
    ) -> None:
        chosen = dataset.indices(split)
        present = dataset.length[chosen] > 0
        start = np.where(present, dataset.start[chosen], dataset.start[chosen][:, :1])
        length = np.where(present, dataset.length[chosen], dataset.length[chosen][:, :1])
        self.positions = torch.as_tensor(dataset.normalised_positions(), device=device)  # (F, V, 3)
        self.start = torch.as_tensor(start, device=device)  # (N, M)
        self.length = torch.as_tensor(length, device=device)  # (N, M)
        self.labels = torch.as_tensor(dataset.labels[chosen], device=device)  # (N,)
        self.names = [dataset.names[i] for i in chosen]
        self.persons = dataset.person_count
        self.frames, self.stream = frames, stream
        self.device = torch.device(device)
        self._parents = torch.as_tensor(dataset.layout.parents, device=device)
        self._segments = torch.arange(frames, device=device)

    def __len__(self) -> int:
        return len(self.labels)

    def clips(self, samples: Tensor, generator: torch.Generator | None, augment: Augmentation | None = None) -> Tensor:
        """Clips (B·M, T, V, C) of samples (B,): a random frame of each segment, or the middle one without generator."""
        start, length = self.start[samples].unsqueeze(-1), self.length[samples].unsqueeze(-1)  # (B, M, 1)
        shape = (*self.start[samples].shape, self.frames)
        if augment is not None and generator is None:
            raise ValueError("augmentation needs a random generator")
        if augment is not None and generator is not None and augment.moves_time:
            places = augment.times(shape, generator, self.device)
            rows = start + (places * length).long().clamp(max=length - 1)  # (B, M, T)
        else:
            offset: Tensor | int = CENTRE
            if generator is not None:
                offset = torch.randint(OFFSET_RANGE, shape, generator=generator, device=self.device)
            rows = start + segment_frames(length, self.frames, offset, self._segments)
        clip = self.positions[rows]  # (B, M, T, V, C)
        if augment is not None and generator is not None:
            clip = augment(clip, generator, self._parents)
        return to_stream(clip, self.stream, self._parents).flatten(0, 1)

    def class_weights(self, classes: int, balance: float) -> Tensor:
        """(classes,) weight of a sample's loss by its class: count to the power -balance, so scaled that the mean over
        all samples is 1; 0 for a class without samples."""
        count = torch.bincount(self.labels, minlength=classes).float()
        weights = torch.where(count > 0, count.clamp(min=1) ** -balance, torch.zeros_like(count))
        return weights * (len(self) / (weights * count).sum())

    def average_persons(self, logits: Tensor) -> Tensor:
        """Class scores of the persons averaged: (B·M, classes) → (B, classes)."""
        return logits.view(-1, self.persons, logits.shape[-1]).mean(1)
