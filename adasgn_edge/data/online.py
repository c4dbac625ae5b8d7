"""Continuous recordings: sequences of frames in which gestures lie between other movements, and where they lie.

Unlike a :class:`adasgn_edge.data.dataset.SkeletonDataset`, whose samples are trimmed clips with one label each, frames
are never left out here: an annotation counts them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.folds import natural
from adasgn_edge.errors import DatasetError
from adasgn_edge.lazy import cached_property
from adasgn_edge.skeletons import SkeletonLayout
from adasgn_edge.wording import listed, shown

__all__ = ["Annotation", "OnlineDataset", "SequenceFold", "plan_sequence_folds"]

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Annotation:
    """A gesture of a sequence. label: from 0; first, last: its frames, counted from 0, both inclusive."""

    label: int
    first: int
    last: int


@dataclass(frozen=True)
class OnlineDataset:
    """N sequences of one track each, every frame of them, with the gestures that occur in each.

    rate: recorded frames a second, evenly spaced
    positions: (F, V, 3) float32, metres, as recorded; the frames of all sequences one after another; NaN = not seen
    start, length: (N,) int64, the sequences' place in `positions`
    annotations: for each sequence its gestures in order of time; they do not overlap
    names: N names, unique
    split: (N,) of "train" or "test"
    class_names: one name a label, of gestures alone: what lies between them has no label
    corrected: what was made good in the annotations, a sentence each
    groups: whom or what each sequence belongs to that must not be in two folds; empty when not known
    sources: of several data sets joined, the one that each sequence is of; empty for a single one. Training draws from
    all of them alike
    """

    name: str
    layout: SkeletonLayout
    rate: float
    positions: NDArray[np.float32]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    annotations: tuple[tuple[Annotation, ...], ...]
    names: tuple[str, ...]
    split: NDArray[np.str_]
    class_names: tuple[str, ...]
    corrected: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @classmethod
    def of_recordings(cls, recordings: Sequence[NDArray[np.float32]], **about: Any) -> OnlineDataset:
        """From each sequence's frames (L, V, 3), and all other fields by name."""
        length = np.asarray([len(frames) for frames in recordings], dtype=np.int64)
        start = np.cumsum(length) - length
        return cls(positions=np.concatenate(recordings), start=start, length=length, **about)

    def __post_init__(self) -> None:
        count, joints = len(self.names), self.layout.joint_count
        if count == 0:
            self._fail("expected at least one sequence, found none")
        if len(set(self.names)) != count:
            repeated = next(name for name in self.names if self.names.count(name) > 1)
            self._fail(f"sequence name {shown(repeated)} is used twice")
        if not 0 < self.rate < float("inf"):
            self._fail(f"rate: expected frames a second, found {self.rate}")
        if self.positions.ndim != 3 or self.positions.shape[1:] != (joints, 3):
            self._fail(f"positions: expected (frames, {joints}, 3), found {self.positions.shape}")
        if np.isinf(self.positions).any():
            self._fail("positions: expected finite numbers, or NaN for joints that were not seen; found infinity")
        if self.start.shape != (count,) or self.length.shape != (count,):
            self._fail(f"start and length: expected ({count},), found {self.start.shape} and {self.length.shape}")
        if (self.length < 1).any() or (self.start < 0).any():
            self._fail("every sequence needs at least one frame")
        if (self.start + self.length).max() > len(self.positions):
            self._fail(f"a sequence ends after the last of {len(self.positions)} frames")
        if len(self.annotations) != count or len(self.split) != count:
            self._fail(
                f"expected annotations and a split of {count} sequences, found {len(self.annotations)} and "
                f"{len(self.split)}"
            )
        if self.groups and len(self.groups) != count:
            self._fail(f"groups: expected {count} or none, found {len(self.groups)}")
        if self.sources and len(self.sources) != count:
            self._fail(f"sources: expected {count} or none, found {len(self.sources)}")
        if not self.class_names or len(set(self.class_names)) != len(self.class_names):
            self._fail("class_names: expected different names, at least one")
        for name, frames, gestures in zip(self.names, self.length, self.annotations, strict=True):
            self._check_gestures(name, int(frames), gestures)

    def _check_gestures(self, name: str, frames: int, gestures: Sequence[Annotation]) -> None:
        before = -1
        for gesture in gestures:
            where = f"sequence {name}, frames {gesture.first} to {gesture.last}"
            if not 0 <= gesture.label < len(self.class_names):
                self._fail(f"{where}: expected a label from 0 to {len(self.class_names) - 1}, found {gesture.label}")
            if not 0 <= gesture.first <= gesture.last < frames:
                self._fail(f"{where}: expected a gesture within its {frames} frames, its first before its last")
            if gesture.first <= before:
                self._fail(f"{where}: expected gestures in order of time that do not overlap; one ends at {before}")
            before = gesture.last

    def _fail(self, message: str) -> None:
        raise DatasetError(f"data set {self.name!r}: {message}")

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of all that training and evaluation see: equal for equal data, wherever it lies."""
        gestures = [[(a.label, a.first, a.last) for a in sequence] for sequence in self.annotations]
        about: list[object] = [
            self.layout.to_dict(),
            self.rate,
            self.names,
            self.split.tolist(),
            self.class_names,
            gestures,
        ]
        about += [self.groups, *([self.sources] if self.sources else [])]
        digest = hashlib.sha256(json.dumps(about).encode())
        for array in (self.positions, self.start, self.length):
            digest.update(np.ascontiguousarray(array).data.cast("B"))
        return digest.hexdigest()

    def indices(self, split: str) -> NDArray[np.int64]:
        """Sequences of "train" or "test"; raises DatasetError when that split is empty."""
        chosen = np.flatnonzero(self.split == split)
        if len(chosen) == 0:
            found = ", ".join(sorted(set(self.split.tolist())))
            raise DatasetError(f"data set {self.name!r}: expected sequences in split {split!r}, found only {found}")
        return chosen

    def frames(self, sequence: int) -> NDArray[np.float32]:
        """The recorded frames (L, V, 3) of a sequence, without a copy."""
        return self.positions[self.start[sequence] : self.start[sequence] + self.length[sequence]]

    def stamps(self, sequence: int) -> NDArray[np.int64]:
        """When each frame of a sequence was captured: (L,) nanoseconds since its first."""
        return np.rint(np.arange(self.length[sequence]) * (NANOSECONDS / self.rate)).astype(np.int64)

    def seconds(self, sequences: Iterable[int] | None = None) -> float:
        """How long these sequences, by default all, last together."""
        chosen = self.length if sequences is None else self.length[list(sequences)]
        return int(chosen.sum()) / self.rate

    def class_counts(self, sequences: Iterable[int]) -> NDArray[np.int64]:
        """How often each class occurs in these sequences: (classes,)."""
        counts = np.zeros(len(self.class_names), dtype=np.int64)
        for sequence in sequences:
            for gesture in self.annotations[sequence]:
                counts[gesture.label] += 1
        return counts


@dataclass(frozen=True)
class SequenceFold:
    """Fold `number`, from 1, of `count`: sequences (indices, ascending) to train on, and those held out of it."""

    number: int
    count: int
    train: tuple[int, ...]
    held: tuple[int, ...]

    def __str__(self) -> str:
        return f"fold {self.number} of {self.count}"


def plan_sequence_folds(dataset: OnlineDataset, count: int, by: str | None = None) -> list[SequenceFold]:
    """Divide the training sequences into `count` folds; each is held out in exactly one. Test sequences are in none.

    by: "sequence" divides single sequences, "group" whole groups, so that nobody is on both sides; by default groups,
    where the data set knows them.

    From those with the most gestures to those with the fewest, each sequence (or group) joins the fold in which, after
    it, the squares of all classes' counts sum to the least growth: that with fewest of its classes; of equal folds the
    one with the fewest frames, then the first. Nothing is drawn at random.

    Raises DatasetError for fewer sequences or groups than folds, and for groups asked of a data set without.
    """
    where = f"data set {dataset.name!r}, folds"
    by = by or ("group" if dataset.groups else "sequence")
    if by not in ("sequence", "group"):
        raise DatasetError(f"{where}: expected them by sequence or group, found {shown(by)}")
    pool = dataset.indices("train").tolist()
    if by == "group" and not all(dataset.groups[sequence] if dataset.groups else "" for sequence in pool):
        raise DatasetError(f"{where}: expected a group for every training sequence, found a data set without")
    parts: dict[str, list[int]] = {}
    for sequence in pool:
        parts.setdefault(dataset.groups[sequence] if by == "group" else dataset.names[sequence], []).append(sequence)
    if not 2 <= count <= len(parts):
        kind = "training sequences" if by == "sequence" else f"groups ({listed(list(parts))})"
        raise DatasetError(f"{where}: expected 2 to {len(parts)} folds, since there are so many {kind}; found {count}")
    held: list[list[int]] = [[] for _ in range(count)]
    classes = np.zeros((count, len(dataset.class_names)), dtype=np.int64)
    frames = [0] * count
    for part in sorted(parts, key=lambda part: (-dataset.class_counts(parts[part]).sum(), natural(part))):
        own = dataset.class_counts(parts[part])
        growth = ((classes + own) ** 2 - classes**2).sum(axis=1)
        fold = min(range(count), key=lambda fold: (growth[fold], frames[fold], fold))
        held[fold] += parts[part]
        classes[fold] += own
        frames[fold] += int(dataset.length[parts[part]].sum())
    return [
        SequenceFold(number, count, tuple(sorted(set(pool) - set(own))), tuple(sorted(own)))
        for number, own in enumerate(held, 1)
    ]
