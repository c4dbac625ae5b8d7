"""The clips that are measured: recorded test clips where their data set is at hand, clips made by code otherwise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.preprocess import make_clip
from adasgn_edge.data.registry import open_dataset
from adasgn_edge.errors import DatasetError
from adasgn_edge.hands import GESTURES, animate
from adasgn_edge.skeletons import SkeletonLayout, load_layout

__all__ = ["Clips", "animated_hands", "default_clips", "made_bodies", "recorded"]

FRAMES = 20
MADE_BODIES = 256


@dataclass(frozen=True)
class Clips:
    """Clips as a model sees them.

    arrays: (N·persons, T, V, C) float32; labels: (N,), None where they mean nothing; source: what they are, for people.
    """

    arrays: NDArray[np.float32]
    labels: NDArray[np.int64] | None
    persons: int
    source: str

    def __len__(self) -> int:
        return len(self.arrays)


def recorded(name_or_path: str, frames: int = FRAMES, stream: str = "joint") -> Clips:
    """All test clips of a data set (as ``open_dataset`` finds it); raises DatasetError where it is not at hand, and
    needs torch."""
    import torch

    from adasgn_edge.train.sampler import ClipSampler

    dataset = open_dataset(name_or_path)
    sampler = ClipSampler(dataset, "test", frames, stream, "cpu")
    arrays = sampler.clips(torch.arange(len(sampler)), generator=None).numpy()
    source = f"all {len(sampler)} recorded test clips of {dataset.name}"
    return Clips(np.ascontiguousarray(arrays), sampler.labels.numpy(), sampler.persons, source)


def animated_hands(count: int = 280, frames: int = FRAMES, stream: str = "joint") -> Clips:
    """Performances of the package's kinematic hand, each of the 14 gestures equally often."""
    layout = load_layout("shrec22")
    labels = np.arange(count) % len(GESTURES)
    clips = [
        make_clip(animate(GESTURES[label], one_finger=bool(i // len(GESTURES) % 2), seed=i), layout, frames, stream)
        for i, label in enumerate(labels)
    ]
    return Clips(np.stack(clips), labels, 1, f"{count} clips of the package's animated hand (no recorded data here)")


def made_bodies(layout: SkeletonLayout, count: int = MADE_BODIES, frames: int = FRAMES) -> Clips:
    """Joints that sway smoothly about random places: no data set of this layout can be shipped."""
    random = np.random.default_rng(0)
    joints = (count, 1, layout.joint_count, 3)
    time = np.arange(frames).reshape(1, -1, 1, 1) / frames
    sway = np.sin(2 * np.pi * (random.uniform(0.2, 2, joints) * time + random.uniform(0, 1, joints)))
    arrays = random.normal(0, 0.5, joints) + random.uniform(0, 0.2, joints) * sway
    return Clips(arrays.astype(np.float32), None, 1, f"{count} clips of joints that sway about random places")


def default_clips(layout: SkeletonLayout, classes: int, frames: int = FRAMES, stream: str = "joint") -> Clips:
    """For hands SHREC'17's test clips, animated hands where it is not at hand; for others made bodies.

    `source` says which. Labels of animated hands are those of the 14 gestures.
    """
    if layout.name != "shrec22":
        return made_bodies(layout, frames=frames)
    try:
        return recorded("shrec28" if classes == 28 else "shrec14", frames, stream)
    except DatasetError:
        clips = animated_hands(frames=frames, stream=stream)
        return clips if classes == len(GESTURES) else replace(clips, labels=None)
