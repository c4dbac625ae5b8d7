"""Reader of SHREC'21, "gestures in the wild" (Caputo et al., Computers & Graphics 99, 2021): continuous recordings.

180 sequences from a Leap sensor at 50 Hz, in which 17 gestures lie between other movements. As distributed a sequence
is ``{training,test}_set/sequences/NUMBER.txt``, a line a frame, 20 joints of ``x;y;z;qx;qy;qz;qw;``; annotations are
``annotations_revised_training.txt`` and ``annotations_revised.txt`` beside ``sequences``. In the compact form the
positions of a split's sequences are arrays (L, 20, 3) by their numbers in ``{training,test}.npz``, and the annotations
``{training,test}_annotations.txt``. A line of annotations is ``number;LABEL;first;last;LABEL;first;last;…``; frames are
lines of the sequence's file and count from 1, so an annotation may end with the number of frames.

**Flawed annotations.** One rule, and each use of it is a sentence in ``corrected``:

- An end after the sequence's end is cut to its last frame (in the data: test 136, 142, 145, 151).
- A first frame after the last one has a mistyped digit, and is read as :data:`MISTYPED` says. To swap the two would be
  wrong: training 64 TAP would run over two other gestures, test 155 V over a hand at rest. What was meant is the one
  reading with a digit more or another digit that holds the gesture's bounds in the annotations of the contest, before
  their revision.

All else that is wrong is an error: an unknown label or sequence, a sequence without recording or without annotations,
frames that are no numbers, below 1 or in another order, gestures that overlap.

The sequences come in five rounds of 36, three to train on and two to test, in each of which every gesture occurs eight
times (TAP six in the last, after the revision). Who performs is not said; the rounds are the data set's groups.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.arrays import read_arrays
from adasgn_edge.data.axes import parse_axes
from adasgn_edge.data.online import Annotation, OnlineDataset
from adasgn_edge.data.persons import whole_body
from adasgn_edge.data.preprocess import as_recording
from adasgn_edge.data.reading import read_lines
from adasgn_edge.data.sources import Orientation, load_source
from adasgn_edge.errors import DatasetError
from adasgn_edge.progress import Progress
from adasgn_edge.skeletons import SkeletonLayout, load_layout
from adasgn_edge.wording import listed, shown

__all__ = ["GESTURES", "MISTYPED", "read_leap_text", "read_shrec21"]

GESTURES = {
    "ONE": "One", "TWO": "Two", "THREE": "Three", "FOUR": "Four", "OK": "OK", "MENU": "Menu", "LEFT": "Left",
    "RIGHT": "Right", "CIRCLE": "Circle", "V": "V", "CROSS": "Cross", "GRAB": "Grab", "PINCH": "Pinch", "TAP": "Tap",
    "DENY": "Deny", "KNOB": "Knob", "EXPAND": "Expand",
}  # fmt: skip
"""The gestures in label order: as the annotations write them, and for people. The first six are held poses."""
MISTYPED = {("64", "TAP", 1135, 162): (1135, 1162), ("155", "V", 595, 528): (495, 528)}
"""Sequence, label and frames as the annotations have them, and the frames that were meant."""
RATE = 50.0
"""Frames a second."""
ROUND = 36
"""Sequences in which every gesture occurs eight times, as the annotations list them."""
_SPLITS = {"train": "training", "test": "test"}
_REVISED = {"train": "annotations_revised_training.txt", "test": "annotations_revised.txt"}
_JOINTS, _NUMBERS = 20, 7


def read_shrec21(root: Path, progress: Progress | None = None) -> OnlineDataset:
    """Read both splits below `root`, in either form (the compact one where both are), as layout "shrec22".

    Units, axes and the joints that a Leap lacks are made as source "leap-20" says. Raises DatasetError.
    """
    layout = load_layout("shrec22")
    recordings: list[NDArray[np.float32]] = []
    annotations: list[tuple[Annotation, ...]] = []
    names: list[str] = []
    splits: list[str] = []
    groups: list[str] = []
    corrected: list[str] = []
    for split in _SPLITS:
        found, table = _recordings(root, split, progress or Progress())
        gestures = _read_annotations(table, {name: len(frames) for name, frames in found.items()}, corrected)
        for place, (name, own) in enumerate(gestures.items()):
            names.append(name)
            splits.append(split)
            groups.append(f"{_SPLITS[split]}, round {place // ROUND + 1}")
            annotations.append(own)
            recordings.append(_onto(layout, found[name], f"sequence {name}"))
    return OnlineDataset.of_recordings(
        recordings,
        name="shrec21",
        layout=layout,
        rate=RATE,
        annotations=tuple(annotations),
        names=tuple(names),
        split=np.asarray(splits),
        class_names=tuple(GESTURES.values()),
        corrected=tuple(corrected),
        groups=tuple(groups),
    )


def read_leap_text(path: Path) -> NDArray[np.float32]:
    """The positions (L, 20, 3) of a sequence as distributed; its line numbers are its frames.

    Raises DatasetError for a line that has not 140 numbers, an empty one before the end among them.
    """
    lines = read_lines(path)
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise DatasetError(f"{path}: expected a line for each frame, found an empty file")
    columns = _JOINTS * _NUMBERS
    rows = np.empty((len(lines), columns), dtype=np.float64)
    for number, line in enumerate(lines):
        words = line.strip().removesuffix(";").split(";")
        if len(words) != columns:
            raise DatasetError(
                f"{path}, line {number + 1}: expected {columns} numbers between semicolons, found {len(words)}"
            )
        try:
            rows[number] = [float(word) for word in words]
        except ValueError as error:
            raise DatasetError(f"{path}, line {number + 1}: expected numbers, found {shown(str(error))}") from None
    with np.errstate(over="ignore"):  # becomes infinite, and is refused as that
        return rows.reshape(-1, _JOINTS, _NUMBERS)[..., :3].astype(np.float32)


def _recordings(root: Path, split: str, progress: Progress) -> tuple[dict[str, NDArray[np.float32]], Path]:
    """The positions (L, 20, 3) of each sequence of a split by its number, and the file of its annotations."""
    name = _SPLITS[split]
    archive, table = root / f"{name}.npz", root / f"{name}_annotations.txt"
    if archive.is_file():
        return _read_archive(archive), table
    for folder in (root / f"{name}_set", root / f"{name}_set" / f"{name}_set"):
        if (folder / "sequences").is_dir():
            paths = sorted((folder / "sequences").glob("*.txt"))
            found = {path.stem: read_leap_text(path) for path in progress.track(paths, f"reading SHREC'21, {name}")}
            return found, folder / _REVISED[split]
    raise DatasetError(f"{root}: expected {archive.name} or {name}_set/sequences of SHREC'21, found neither")


def _read_archive(path: Path) -> dict[str, NDArray[np.float32]]:
    arrays = read_arrays(path)
    if not arrays:
        raise DatasetError(f"{path}: expected an archive of NumPy arrays, found another kind of file")
    for name, array in arrays.items():
        if array.ndim != 3 or array.shape[1:] != (_JOINTS, 3) or len(array) == 0 or array.dtype.kind != "f":
            raise DatasetError(
                f"{path}, sequence {shown(name)}: expected numbers of shape (frames, {_JOINTS}, 3), found "
                f"{array.dtype} of {array.shape}"
            )
    return arrays


def _read_annotations(path: Path, frames: dict[str, int], corrected: list[str]) -> dict[str, tuple[Annotation, ...]]:
    """The gestures of each sequence, in the order of the file; frames: how many each recording has."""
    if not path.is_file():
        raise DatasetError(f"{path}: expected the annotations of SHREC'21, found no such file")
    found: dict[str, tuple[Annotation, ...]] = {}
    for number, line in enumerate(read_lines(path), 1):
        words = [word.strip() for word in line.strip().removesuffix(";").split(";")]
        if words == [""]:
            continue
        where = f"{path}, line {number}"
        name = words[0]
        if name not in frames:
            raise DatasetError(f"{where}: expected the number of a sequence that is there, found {shown(name)}")
        if name in found:
            raise DatasetError(f"{where}: sequence {name} is annotated twice")
        if len(words) % 3 != 1:
            raise DatasetError(f"{where}: expected LABEL;first;last for each gesture, found {len(words) - 1} words")

        def note(text: str, name: str = name) -> None:
            corrected.append(f"{path.name}, sequence {name}: {text}")

        gestures: list[Annotation] = []
        for place in range(1, len(words), 3):
            gesture = _gesture(f"{where}, sequence {name}", name, words[place : place + 3], frames[name], note)
            if gestures and gesture.first <= gestures[-1].last:
                raise DatasetError(
                    f"{where}, sequence {name}: expected gestures in order of time that do not overlap, found "
                    f"{';'.join(words[place : place + 3])} after one that ends at {gestures[-1].last + 1}"
                )
            gestures.append(gesture)
        found[name] = tuple(gestures)
    if lacking := [name for name in frames if name not in found]:
        raise DatasetError(f"{path}: expected a line for every sequence, found none for {listed(sorted(lacking))}")
    return found


def _gesture(where: str, name: str, words: list[str], frames: int, note: Callable[[str], None]) -> Annotation:
    """A gesture of three words, its frames counted from 0; what had to be corrected goes to `note`."""
    label = words[0]
    if label not in GESTURES:
        raise DatasetError(f"{where}: expected one of {', '.join(GESTURES)}, found {shown(label)}")
    if not all(word.isascii() and word.isdecimal() and len(word) < 9 and int(word) > 0 for word in words[1:]):
        raise DatasetError(f"{where}, {label}: expected two frames from 1, found {shown(';'.join(words[1:]))}")
    first, last = int(words[1]), int(words[2])
    if meant := MISTYPED.get((name, label, first, last)):
        note(f"{label} {first} to {last} has a mistyped digit, read as {meant[0]} to {meant[1]}")
        first, last = meant
    if first > last:
        raise DatasetError(f"{where}, {label}: expected its first frame before its last, found {first} and {last}")
    if first > frames:
        raise DatasetError(f"{where}, {label}: expected frames up to {frames}, found one that begins at {first}")
    if last > frames:
        note(f"{label} {first} to {last} ends after the sequence does, cut to its last frame, {frames}")
        last = frames
    return Annotation(list(GESTURES).index(label), first - 1, last - 1)


def _onto(layout: SkeletonLayout, positions: NDArray[np.float32], what: str) -> NDArray[np.float32]:
    """A Leap's positions as the layout's joints in its axes and units."""
    source = load_source("leap-20")
    assert source.axes == parse_axes("right up forward")
    body = source.onto(layout, whole_body(np.asarray(positions, dtype=np.float32)))
    # Not by an Adapter, whose order of additions differs: runs know the data by a digest of every bit.
    oriented = Orientation("z", False, source.units or 1.0).apply(layout, body)
    return as_recording(oriented.positions, layout, what)
