"""The in-memory form of every data set: one array of recorded frames and a table of who is where in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.cleaning import Cleaning
from adasgn_edge.data.preprocess import normalise
from adasgn_edge.errors import ClipError, DatasetError
from adasgn_edge.lazy import cached_property
from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["DatasetBuilder", "SkeletonDataset"]


@dataclass(frozen=True)
class SkeletonDataset:
    """N samples, each of 1 to M person tracks; a track is a run of recorded frames.

    positions: (F, V, 3) float32, as recorded, metres; the frames of all tracks one after another
    start, length: (N, M) int64, the tracks' place in `positions`; length 0 = this person is absent
    labels: (N,) int64; class_names: one name a label
    names: N sample names, unique
    split: (N,) of "train" or "test"
    name: what the set is called, e.g. "shrec14"
    left_out: for each sample that was broken and skipped, its name and why
    groups: (N,) whom or what a sample belongs to that must not be in two folds (subject, view), empty when not known
    rate: recorded frames a second, None when not known
    cleaning: what was made good in all samples together
    """

    name: str
    layout: SkeletonLayout
    positions: NDArray[np.float32]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    split: NDArray[np.str_]
    class_names: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    rate: float | None = None
    cleaning: Cleaning = field(default_factory=Cleaning)

    def __post_init__(self) -> None:
        def fail(message: str) -> None:
            raise DatasetError(f"data set {self.name!r}: {message}")

        count, joints = len(self.labels), self.layout.joint_count
        if count == 0:
            fail("expected at least one sample, found none")
        if self.positions.ndim != 3 or self.positions.shape[1:] != (joints, 3):
            fail(f"positions: expected (frames, {joints}, 3), found {self.positions.shape}")
        if self.start.ndim != 2 or self.start.shape != self.length.shape or len(self.start) != count:
            fail(f"start and length: expected ({count}, persons), found {self.start.shape} and {self.length.shape}")
        if len(self.names) != count or len(self.split) != count:
            fail(f"expected {count} names and splits, found {len(self.names)} and {len(self.split)}")
        if self.groups and len(self.groups) != count:
            fail(f"groups: expected {count} or none, found {len(self.groups)}")
        if self.rate is not None and not 0 < self.rate < float("inf"):
            fail(f"rate: expected frames a second, found {self.rate}")
        if self.labels.min() < 0 or self.labels.max() >= len(self.class_names):
            fail(f"labels: expected 0 to {len(self.class_names) - 1}, found {self.labels.min()} to {self.labels.max()}")
        if (self.length[:, 0] < 1).any() or (self.length < 0).any() or (self.start < 0).any():
            fail("every sample needs a first person with at least one frame")
        if (self.start + self.length).max() > len(self.positions):
            fail(f"a track ends after the last of {len(self.positions)} frames")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def person_count(self) -> int:
        """M, the largest number of persons in a sample."""
        return self.start.shape[1]

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of all that training and evaluation see: equal for equal data, wherever it lies."""
        about = [self.layout.to_dict(), self.names, self.split.tolist(), self.class_names, self.groups, self.rate]
        digest = hashlib.sha256(json.dumps(about).encode())
        for array in (self.positions, self.start, self.length, self.labels):
            digest.update(np.ascontiguousarray(array).data.cast("B"))
        return digest.hexdigest()

    def indices(self, split: str) -> NDArray[np.int64]:
        """Sample indices of "train" or "test"; raises DatasetError when that split is empty."""
        chosen = np.flatnonzero(self.split == split)
        if len(chosen) == 0:
            found = ", ".join(sorted(set(self.split.tolist())))
            raise DatasetError(f"data set {self.name!r}: expected samples in split {split!r}, found only {found}")
        return chosen

    def tracks(self, sample: int) -> list[NDArray[np.float32]]:
        """The recorded frames (L, V, 3) of each person present in a sample."""
        rows = zip(self.start[sample], self.length[sample], strict=True)
        return [self.positions[start : start + length] for start, length in rows if length > 0]

    def normalised_positions(self) -> NDArray[np.float32]:
        """A copy of `positions` with every sample normalised by its first person's first frame."""
        result = np.empty_like(self.positions)
        for sample in range(len(self)):
            reference = self.positions[self.start[sample, 0]]
            for start, length in zip(self.start[sample], self.length[sample], strict=True):
                rows = slice(start, start + length)
                try:
                    result[rows] = normalise(self.positions[rows], self.layout, reference)
                except ClipError as error:
                    raise DatasetError(f"data set {self.name!r}, sample {self.names[sample]}: {error}") from None
        return result

    def __iter__(self) -> Iterator[tuple[str, int, list[NDArray[np.float32]]]]:
        """Name, label and person tracks of each sample."""
        for sample in range(len(self)):
            yield self.names[sample], int(self.labels[sample]), self.tracks(sample)


class DatasetBuilder:
    """Collects samples one by one; :meth:`build` packs them into a SkeletonDataset."""

    def __init__(
        self, name: str, layout: SkeletonLayout, class_names: Sequence[str], rate: float | None = None
    ) -> None:
        self._name, self._layout, self._class_names, self._rate = name, layout, tuple(class_names), rate
        self._samples: list[tuple[str, int, str, str, list[NDArray[np.float32]]]] = []
        self._cleaning = Cleaning()

    def add(
        self,
        name: str,
        label: int,
        split: str,
        tracks: Sequence[NDArray[np.float32]],
        cleaning: Cleaning | None = None,
        group: str = "",
    ) -> None:
        """Add a sample: its unique name, label from 0, split, one checked (L, V, 3) track per person, its group."""
        self._samples.append((name, label, split, group, list(tracks)))
        self._cleaning += cleaning or Cleaning()

    def __len__(self) -> int:
        return len(self._samples)

    def build(self, left_out: Sequence[str] = ()) -> SkeletonDataset:
        """Pack what was added; raises DatasetError when nothing was, or when labels or names do not fit.

        left_out: what was wrong with each sample that was not added.
        """
        if not self._samples:
            raise DatasetError(f"data set {self._name!r}: expected at least one usable sample, found none")
        names, labels, splits, groups, all_tracks = zip(*self._samples, strict=True)
        if len(set(names)) != len(names):
            repeated = next(name for name in names if names.count(name) > 1)
            raise DatasetError(f"data set {self._name!r}: sample name {repeated!r} is used twice")
        persons = max(len(tracks) for tracks in all_tracks)
        length = np.zeros((len(names), persons), dtype=np.int64)
        for row, tracks in zip(length, all_tracks, strict=True):
            row[: len(tracks)] = [len(track) for track in tracks]
        start = np.concatenate([[0], np.cumsum(length.ravel())[:-1]]).reshape(length.shape)
        return SkeletonDataset(
            name=self._name,
            layout=self._layout,
            positions=np.concatenate([track for tracks in all_tracks for track in tracks]).astype(np.float32),
            start=np.where(length > 0, start, 0),
            length=length,
            labels=np.asarray(labels, dtype=np.int64),
            names=tuple(names),
            split=np.asarray(splits),
            class_names=self._class_names,
            left_out=tuple(left_out),
            groups=tuple(groups) if any(groups) else (),
            rate=self._rate,
            cleaning=self._cleaning,
        )
