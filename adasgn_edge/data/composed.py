"""Continuous recordings made of trimmed clips: a performer's clips one after another, the body on its way between them.

Between two clips the body rests where the first one ended, goes to where the next one begins, with detours by poses of
other clips of the same performer, and rests there. On a way the body turns as a whole about its origin joint while its
pose changes; each way is one of least jerk, and arched. Rests and ways tremble as the performer's clips do, so that
nothing but movement tells them from gestures. Still they are poorer than what people do between gestures: such streams
stand beside recordings that were continuous, not in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.data.folds import natural
from adasgn_edge.data.online import Annotation, OnlineDataset
from adasgn_edge.errors import DatasetError
from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["Between", "compose_streams", "resampled"]

_SMOOTHED = 5
"""Frames of the moving average above which a clip trembles."""


@dataclass(frozen=True)
class Between:
    """What lies between two clips; times in seconds, lengths in the body's radius.

    rest, way: the shortest and the longest rest and way; detours: probability of each of at most two; arch: standard
    deviation of how far a way leaves the straight line
    """

    rest: tuple[float, float] = (0.05, 0.7)
    way: tuple[float, float] = (0.7, 1.6)
    detours: float = 0.2
    arch: float = 0.25


def compose_streams(
    dataset: SkeletonDataset, *, rate: float, clips: int = 10, between: Between | None = None, seed: int = 0
) -> OnlineDataset:
    """Sequences of `clips` clips, at `rate` frames a second, one performer each; every clip occurs in exactly one.

    Performers are the data set's groups; without any, all clips of a split are one performer's. Of each clip the first
    person is taken, all of it as the gesture; splits stay. The same seed gives the same streams. Raises DatasetError
    for a data set whose rate is not known, and for numbers that make no streams.
    """
    if dataset.rate is None:
        raise DatasetError(f"data set {dataset.name!r}: expected recorded frames a second, which it does not state")
    if not 0 < rate < float("inf") or clips < 1:
        raise DatasetError(f"streams: expected a positive rate and number of clips, found {rate} and {clips}")
    between = between or Between()
    recordings: list[NDArray[np.float32]] = []
    annotations: list[tuple[Annotation, ...]] = []
    names: list[str] = []
    splits: list[str] = []
    groups: list[str] = []
    for performer, samples in sorted(_performers(dataset).items(), key=lambda item: natural(" ".join(item[0]))):
        random = np.random.default_rng([seed, len(recordings)])
        tracks = [resampled(dataset.tracks(sample)[0], dataset.rate, rate) for sample in samples]
        strung = _Performer(tracks, dataset.layout, rate, between, random)
        order = random.permutation(len(samples))
        for number, chosen in enumerate(np.array_split(order, max(1, round(len(order) / clips)))):
            frames, places = strung.sequence(chosen.tolist())
            recordings.append(frames)
            labels = [int(dataset.labels[samples[k]]) for k in chosen]
            gestures = zip(labels, places, strict=True)
            annotations.append(tuple(Annotation(label, first, last) for label, (first, last) in gestures))
            split, group = performer
            names.append(f"{dataset.name}, {group or split}, {number + 1}")
            splits.append(split)
            groups.append(group)
    return OnlineDataset.of_recordings(
        recordings,
        name=f"{dataset.name}-streams",
        layout=dataset.layout,
        rate=rate,
        annotations=tuple(annotations),
        names=tuple(names),
        split=np.asarray(splits),
        class_names=dataset.class_names,
        groups=tuple(groups) if any(groups) else (),
    )


def _performers(dataset: SkeletonDataset) -> dict[tuple[str, str], list[int]]:
    """The samples of each split and group."""
    found: dict[tuple[str, str], list[int]] = {}
    for sample in range(len(dataset)):
        group = dataset.groups[sample] if dataset.groups else ""
        found.setdefault((str(dataset.split[sample]), group), []).append(sample)
    return found


def resampled(track: NDArray[np.float32], rate: float, wanted: float) -> NDArray[np.float32]:
    """Frames (L, V, 3) recorded at `rate` at another one, interpolated linearly; the first stays the first."""
    if rate == wanted or len(track) == 1:
        return track
    count = int((len(track) - 1) * wanted / rate + 1e-6) + 1
    times = np.arange(count) * (rate / wanted)
    before = np.minimum(times.astype(np.int64), len(track) - 2)
    part = (times - before).astype(np.float32)[:, None, None]
    return track[before] * (1 - part) + track[before + 1] * part


class _Performer:
    """Strings one performer's clips (L, V, 3) together."""

    def __init__(
        self,
        clips: Sequence[NDArray[np.float32]],
        layout: SkeletonLayout,
        rate: float,
        between: Between,
        random: np.random.Generator,
    ) -> None:
        self._clips, self._trembles = clips, [_tremble(clip) for clip in clips]
        self._origin, self._rate, self._between, self._random = layout.origin_joint, rate, between, random

    def sequence(self, chosen: Sequence[int]) -> tuple[NDArray[np.float32], list[tuple[int, int]]]:
        """The frames of a sequence of these clips, by number, and the first and last frame of each in it."""
        pieces: list[NDArray[np.float32]] = []
        places: list[tuple[int, int]] = []
        count = 0
        pose = self._any_pose(self._clips[chosen[0]][0])
        for number in chosen:
            clip = self._clips[number]
            way = self._to(pose, clip[0])
            first = count + len(way)
            count = first + len(clip)
            places.append((first, count - 1))
            pieces += [way, clip]
            pose = clip[-1]
        pieces.append(self._to(pose, self._any_pose(pose)))
        return np.concatenate(pieces), places

    def _any_pose(self, near: NDArray[np.float32]) -> NDArray[np.float32]:
        """A pose (V, 3) of any of the clips, put between where it was and where the body is."""
        clip, origin = self._clips[int(self._random.integers(len(self._clips)))], self._origin
        pose = clip[self._random.integers(len(clip))]
        return pose + np.float32(self._random.uniform(0, 1)) * (near[origin] - pose[origin])

    def _to(self, start: NDArray[np.float32], end: NDArray[np.float32]) -> NDArray[np.float32]:
        """Frames from one pose to another, both left out: rest, way by way with rests between, rest."""
        between, random, origin = self._between, self._random, self._origin
        poses = [start]
        for _ in range(2):
            if random.random() < between.detours:
                poses.append(self._any_pose(poses[-1]))
        poses.append(end)
        radius = float(np.median(np.linalg.norm(start - start[origin], axis=-1)))
        pieces: list[NDArray[Any]] = [self._rest(start)]
        for one, other in pairwise(poses):
            frames = max(2, round(random.uniform(*between.way) * self._rate))
            pieces.append(_way(one, other, frames, origin, radius * between.arch * random.standard_normal(3)))
            pieces.append(self._rest(other))
        made = np.concatenate(pieces)
        return (made + self._trembling(len(made))).astype(np.float32)

    def _rest(self, pose: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.repeat(pose[None], round(self._random.uniform(*self._between.rest) * self._rate), axis=0)

    def _trembling(self, frames: int) -> NDArray[np.float64]:
        """(frames, V, 3): how the clips tremble, one after another, some turned in time."""
        pieces: list[NDArray[np.float64]] = []
        count = 0
        while count < frames:
            tremble = self._trembles[int(self._random.integers(len(self._trembles)))]
            pieces.append(tremble if self._random.random() < 0.5 else tremble[::-1])
            count += len(tremble)
        return np.concatenate(pieces)[:frames]


def _tremble(clip: NDArray[np.float32]) -> NDArray[np.float64]:
    """What a moving average leaves of a clip (L, V, 3)."""
    frames = clip.astype(np.float64)
    if len(frames) < _SMOOTHED:
        return frames - frames.mean(axis=0)
    sums = np.cumsum(np.pad(frames, ((_SMOOTHED // 2 + 1, _SMOOTHED // 2), (0, 0), (0, 0)), mode="edge"), axis=0)
    return frames - (sums[_SMOOTHED:] - sums[:-_SMOOTHED]) / _SMOOTHED


def _way(
    start: NDArray[np.float32], end: NDArray[np.float32], frames: int, origin: int, arch: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(frames, V, 3) from one pose to another with least jerk, turning about the origin joint on the way."""
    tau = np.arange(1, frames + 1) / (frames + 1)
    part = (tau**3 * (10 + tau * (6 * tau - 15)))[:, None]  # Flash and Hogan, 1985
    one, other = (np.asarray(pose, dtype=np.float64) - pose[origin] for pose in (start, end))
    axis, angle = _turn(one, other)
    back = _rotations(axis, np.array([-angle]))[0]
    pose = one + part[..., None] * (other @ back.T - one)
    turned = np.einsum("tij,tvj->tvi", _rotations(axis, part[:, 0] * angle), pose)
    place = start[origin] + part * (end[origin] - start[origin]) + np.sin(np.pi * part) * arch
    return turned + place[:, None]


def _turn(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Axis and angle of the rotation that brings points (V, 3) nearest to others, both about zero (Kabsch, 1976)."""
    left, _, right = np.linalg.svd(other.T @ one)
    sign = np.sign(np.linalg.det(left @ right)) or 1.0
    matrix = left @ np.diag([1.0, 1.0, sign]) @ right
    angle = float(np.arccos(np.clip((np.trace(matrix) - 1) / 2, -1, 1)))
    values, vectors = np.linalg.eigh(matrix + matrix.T)  # of a rotation's symmetric part the axis is the largest
    axis = vectors[:, int(values.argmax())]
    skew = np.array([matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]])
    return (axis if axis @ skew >= 0 else -axis), angle


def _rotations(axis: NDArray[np.float64], angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """(A, 3, 3) about an axis (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    sin, cos = np.sin(angles)[:, None, None], np.cos(angles)[:, None, None]
    return np.eye(3) + sin * cross + (1 - cos) * (cross @ cross)
