"""Crops of continuous recordings on a model's grid: at random places, speeds and sizes, each frame with its label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adasgn_edge.data.online import OnlineDataset
from adasgn_edge.errors import DatasetError
from adasgn_edge.train.online.recipe import LabelSection, OnlineAugmentSection

__all__ = ["CropSampler", "Crops", "bone_lengths"]


@dataclass(frozen=True)
class Crops:
    """B crops. frames: (B, N, V, C), in units of the scale bone; labels: (B, N) int64; weights: (B, N), 0 where a frame
    is no lesson."""

    frames: Tensor
    labels: Tensor
    weights: Tensor


class CropSampler:
    """Draws crops of some sequences of a data set.

    step: of the grid, seconds; none: the label of frames without gesture; delay: steps of the grid by which the frame
    that a label is about lies before it. Raises DatasetError for sequences in which there is no gesture.
    """

    def __init__(
        self,
        dataset: OnlineDataset,
        sequences: tuple[int, ...],
        step: float,
        labels: LabelSection,
        none: int,
        delay: int = 0,
    ) -> None:
        self._delay = delay
        self._positions = np.concatenate([dataset.frames(sequence) for sequence in sequences])
        if not np.isfinite(self._positions).all():
            raise DatasetError(f"data set {dataset.name!r}: expected every joint seen in training, found some missing")
        self._lengths = dataset.length[list(sequences)]
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._bones = bone_lengths(self._positions, dataset)
        self._frames_a_step = step * dataset.rate
        self._labels = np.full(len(self._positions), none, dtype=np.int64)
        self._weights = np.ones(len(self._positions), dtype=np.float32)
        gestures = []
        for place, sequence in enumerate(sequences):
            start, length = int(self._starts[place]), int(self._lengths[place])
            for gesture in dataset.annotations[sequence]:
                first, end = start + gesture.first, start + gesture.last + 1
                self._labels[first:end] = gesture.label
                late = min(round(labels.late * dataset.rate), (end - first) // 2)
                self._weights[first : first + late] = 0
                self._weights[end : min(end + round(labels.after * dataset.rate), start + length)] = 0
                gestures.append((place, gesture.first, gesture.last))
        if not gestures:
            raise DatasetError(f"data set {dataset.name!r}: expected gestures in the training sequences, found none")
        self._gestures = np.asarray(gestures)
        sources = np.asarray(
            [dataset.sources[sequence] for sequence in sequences] if dataset.sources else [""] * len(sequences)
        )
        self._chances = _shares(self._lengths.astype(float), sources)
        of_gestures = sources[self._gestures[:, 0]]
        alike = len(set(of_gestures.tolist())) == 1
        self._gesture_chances = None if alike else _shares(np.ones(len(of_gestures)), of_gestures)

    def draw(
        self,
        count: int,
        lead: int,
        rows: int,
        share: float,
        augment: OnlineAugmentSection | None,
        origin: int,
        random: np.random.Generator,
    ) -> Crops:
        """`count` crops of lead + rows frames, of which the first `lead` are no lesson; of this share each lies about a
        gesture, the others anywhere. origin: the joint that `bones` of the augmentation leaves where it is."""
        change = augment or OnlineAugmentSection()
        frames = lead + rows
        pace = self._frames_a_step * np.exp(change.speed * random.uniform(-1, 1, count))  # source frames a step
        span = pace * (frames - 1)
        place = random.choice(len(self._lengths), count, p=self._chances)
        first = random.uniform(-lead * pace, np.maximum(self._lengths[place] - span, 1))
        about = random.random(count) < share
        if self._gesture_chances is None:
            picked = random.integers(len(self._gestures), size=count)
        else:
            picked = random.choice(len(self._gestures), count, p=self._gesture_chances)
        chosen = self._gestures[picked]
        end = random.uniform(chosen[:, 1], chosen[:, 2] + 0.6 * rows * pace)
        place = np.where(about, chosen[:, 0], place)
        first = np.where(about, end - span, first)
        times = first[:, None] + pace[:, None] * np.arange(frames)  # (B, N), in frames of the sequence
        clip, inside = self._interpolated(place, times, random.integers(1, change.thin + 1, count))
        labels, weights = self._judged(place, times - self._delay * pace[:, None], inside)
        weights[:, :lead] = 0
        clip /= self._scale(place, times)[:, None, None, None]
        return Crops(_augmented(clip, change, origin, random), torch.from_numpy(labels), torch.from_numpy(weights))

    def _interpolated(
        self, place: NDArray[np.int64], times: NDArray[np.float64], every: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Frames at these times between those of which only one in `every` (B,) came, outside of a recording its first
        or last; and whether they are inside."""
        start, last = self._starts[place][:, None], (self._lengths[place] - 1)[:, None]
        clipped, pace = np.clip(times, 0, last), every[:, None]
        before = clipped.astype(np.int64) // pace * pace
        after = np.minimum(before + pace, last)
        part = ((clipped - before) / np.maximum(after - before, 1)).astype(np.float32)[..., None, None]
        clip = self._positions[start + before] * (1 - part) + self._positions[start + after] * part
        return clip, (times >= 0) & (times <= last)

    def _judged(
        self, place: NDArray[np.int64], times: NDArray[np.float64], inside: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Labels and weights of the frames at these times; inside: whether the frames that tell of them are."""
        row = self._starts[place][:, None] + np.clip(times.astype(np.int64), 0, (self._lengths[place] - 1)[:, None])
        return self._labels[row], np.where(inside, self._weights[row], np.float32(0))

    def _scale(self, place: NDArray[np.int64], times: NDArray[np.float64]) -> NDArray[np.float32]:
        """(B,) the median length of the scale bone in each crop."""
        row = self._starts[place][:, None] + np.clip(times.astype(np.int64), 0, (self._lengths[place] - 1)[:, None])
        scale = np.median(self._bones[row], axis=1).astype(np.float32)
        return np.where(scale > 0, scale, np.float32(1))


def _shares(weights: NDArray[np.float64], sources: NDArray[np.str_]) -> NDArray[np.float64]:
    """Probabilities in proportion to the weights within each source, all sources being equally likely."""
    chances = np.zeros(len(weights))
    names = sorted(set(sources.tolist()))
    for name in names:
        own = sources == name
        chances[own] = weights[own] / weights[own].sum() / len(names)
    return chances


def bone_lengths(positions: NDArray[np.float32], dataset: OnlineDataset) -> NDArray[np.float32]:
    """(F,) length of the layout's scale bone in each frame (F, V, 3); 1 for a layout without."""
    bone = dataset.layout.scale_bone
    if bone is None:
        return np.ones(len(positions), dtype=np.float32)
    a, b = (dataset.layout.index(joint) for joint in bone)
    return np.linalg.norm(positions[:, a] - positions[:, b], axis=-1).astype(np.float32)


def _augmented(
    clip: NDArray[np.float32], change: OnlineAugmentSection, origin: int, random: np.random.Generator
) -> Tensor:
    count, frames, joints, _ = clip.shape
    if change.bones:
        factor = 1 + change.bones * random.standard_normal((count, 1, joints, 1))
        centre = clip[:, :, origin : origin + 1]
        clip = centre + (clip - centre) * factor.astype(np.float32)
    if any(change.rotation):
        clip = np.einsum("btvc,bdc->btvd", clip, _rotations(change.rotation, count, random))
    if change.scale:
        clip = clip * np.exp(change.scale * random.uniform(-1, 1, (count, 1, 1, 1))).astype(np.float32)
    if change.noise:
        amount = change.noise * random.random((count, 1, 1, 1))
        clip = clip + (amount * random.standard_normal((count, frames, joints, 3))).astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(clip, dtype=np.float32))


def _rotations(degrees: tuple[float, ...], count: int, random: np.random.Generator) -> NDArray[np.float32]:
    """(B, 3, 3) about x, then y, then z, by at most these angles."""
    angles = np.deg2rad(degrees) * random.uniform(-1, 1, (count, 3))
    matrix = np.tile(np.eye(3), (count, 1, 1))
    for axis in range(3):
        cos, sin = np.cos(angles[:, axis]), np.sin(angles[:, axis])
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn = np.zeros((count, 3, 3))
        turn[:, axis, axis] = 1
        turn[:, first, first] = turn[:, second, second] = cos
        turn[:, first, second], turn[:, second, first] = -sin, sin
        matrix = turn @ matrix
    return matrix.astype(np.float32)
