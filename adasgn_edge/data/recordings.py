"""One's own recordings: single clips in three plain file formats, and a folder of them with a table of labels.

A clip is a file of one to M persons, V joints in the order of the layout:

``.npz``  array ``positions``: (L, V, 3) for one person, (M, L, V, 3) for several; written by ``numpy.savez``
``.csv``  a line a frame, 3V numbers x1,y1,z1,x2,… between commas. The first line may be a header (it is one when no
          cell is a number). With a header whose first column is called ``person``, a line is one person in one frame,
          and the whole number in that column tells persons apart; each one's lines are in the order of time
``.txt``  a line a frame, 3V numbers between blanks

A folder of recordings holds the clips (sub-folders are fine) and

``labels.csv``   a header line ``file,label`` or ``file,label,split`` and a line for each clip
``layout.json``  a skeleton layout of one's own (see :mod:`adasgn_edge.skeletons`), or just the name of a built-in one
                 in quotes, such as ``"ntu25"``
``classes.txt``  (may be missing) a class name a line; labels are then such names, or numbers counted from 0

Without ``classes.txt`` the classes are the different labels of the table, in order of number if all are whole numbers,
else of the alphabet. ``split`` is ``train`` or ``test``. Without that column the last fifth of each class, in the order
of the table, tests: rounded, but at least one clip where a class has two or more. Put the people to be tested last.
"""

from __future__ import annotations

import csv
import json
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.dataset import DatasetBuilder, SkeletonDataset
from adasgn_edge.data.preprocess import check_recording
from adasgn_edge.data.reading import BadSamples, read_lines, read_number_rows
from adasgn_edge.errors import ClipError, DatasetError
from adasgn_edge.progress import Progress
from adasgn_edge.skeletons import SkeletonLayout, load_layout

__all__ = ["LABEL_TABLE", "read_clip", "read_recordings"]

LABEL_TABLE = "labels.csv"
SPLITS = ("train", "test")
NPZ_ERRORS = (OSError, ValueError, KeyError, EOFError, MemoryError, NotImplementedError, zipfile.BadZipFile, zlib.error)
"""What NumPy and zipfile raise for damaged or hostile archives."""
LARGEST_PERSON = 1 << 24
"""Whole numbers below this are exact in float32."""


def read_clip(path: Path | str, layout: SkeletonLayout | str) -> list[NDArray[np.float32]]:
    """Read a clip file: one (L, V, 3) float32 track of at least two frames per person.

    Raises DatasetError when the file cannot be read as its format (missing, unknown ending, ragged or damaged), and
    ClipError for what is in it: a wrong number of joints, no or one frame, NaN or infinity.
    """
    path, layout = Path(path), load_layout(layout)
    readers = {".npz": _read_npz, ".csv": _read_csv, ".txt": _read_txt}
    ending = path.suffix.lower()
    if ending not in readers:
        raise DatasetError(f"{path}: expected a file ending in {', '.join(readers)}, found the ending {ending!r}")
    if not path.is_file():
        raise DatasetError(f"{path}: expected a file, found {'a folder' if path.is_dir() else 'nothing'}")
    persons = readers[ending](path, layout)
    tracks = []
    for number, positions in enumerate(persons, 1):
        what = str(path) if len(persons) == 1 else f"{path}, person {number}"
        track = check_recording(positions, layout, what)
        if len(track) < 2:
            raise ClipError(f"{what}: expected at least two frames to see a movement, found one")
        tracks.append(track)
    return tracks


def read_recordings(
    folder: Path | str, on_bad_sample: str = "error", progress: Progress | None = None
) -> SkeletonDataset:
    """Read a folder of recordings in the form that this module's text describes; the set is called as the folder is.

    on_bad_sample: "error" raises DatasetError at the first broken clip, "skip" names it in a warning and goes on;
    mistakes in the table itself are always errors.
    """
    folder = Path(folder)
    layout = _read_layout(folder / "layout.json")
    entries = _read_table(folder / LABEL_TABLE)
    class_names = _class_names(folder / "classes.txt", entries)
    builder = DatasetBuilder(folder.resolve().name, layout, class_names)
    bad = BadSamples(str(folder), on_bad_sample)
    labels = [_label(entry, class_names, numbered=(folder / "classes.txt").exists()) for entry in entries]
    splits = _splits(entries, labels)
    work = list(zip(entries, labels, splits, strict=True))
    for entry, label, split in (progress or Progress()).track(work, f"reading {folder.name}"):
        with bad.guard(str(folder / entry.file)):
            builder.add(entry.file, label, split, read_clip(folder / entry.file, layout))
    return builder.build(left_out=bad.report())


def _read_txt(path: Path, layout: SkeletonLayout) -> list[NDArray[np.float32]]:
    rows = read_number_rows(path, columns=3 * layout.joint_count)
    return [rows.reshape(-1, layout.joint_count, 3)]


def _read_csv(path: Path, layout: SkeletonLayout) -> list[NDArray[np.float32]]:
    columns = 3 * layout.joint_count
    header = _csv_header(path)
    has_person = bool(header) and header[0].lower() == "person"
    rows = read_number_rows(path, columns + has_person, delimiter=",", header_rows=1 if header else 0)
    if not has_person:
        return [rows.reshape(-1, layout.joint_count, 3)]
    if len(rows) == 0:
        raise ClipError(f"{path}: expected at least one frame, found none")
    numbers = rows[:, 0]
    wrong = ~(np.abs(numbers) < LARGEST_PERSON) | (numbers != np.round(numbers))
    if wrong.any():
        raise ClipError(f"{path}: expected whole person numbers below {LARGEST_PERSON}, found {numbers[wrong][0]:g}")
    persons = dict.fromkeys(numbers.tolist())  # in order of appearance
    return [rows[numbers == person, 1:].reshape(-1, layout.joint_count, 3) for person in persons]


def _csv_header(path: Path) -> list[str]:
    """Cells of the first line when none of them is a number, else nothing."""
    lines = read_lines(path)
    cells = [cell.strip() for cell in lines[0].split(",")] if lines else []
    return [] if any(map(_is_number, cells)) else cells


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_npz(path: Path, layout: SkeletonLayout) -> list[NDArray[np.float32]]:
    if not zipfile.is_zipfile(path):
        raise DatasetError(f"{path}: expected a NumPy .npz archive, found another kind of file or a damaged one")
    try:
        with np.load(path, allow_pickle=False) as archive:  # a pickled (object) array is a ValueError
            names = archive.files
            positions = archive["positions"] if "positions" in names else None
    except NPZ_ERRORS as error:
        raise DatasetError(f"{path}: expected plain numbers in 'positions', found a damaged array ({error})") from None
    if positions is None:
        raise DatasetError(f"{path}: expected an array 'positions', found {', '.join(names) or 'no arrays'}")
    if positions.dtype.kind not in "fiu":
        raise ClipError(f"{path}: expected numbers in 'positions', found {positions.dtype}")
    if positions.ndim not in (3, 4):
        joints = layout.joint_count
        raise ClipError(
            f"{path}: expected shape (frames, {joints}, 3) or (persons, frames, {joints}, 3), found {positions.shape}"
        )
    if positions.ndim == 4 and len(positions) == 0:
        raise ClipError(f"{path}: expected at least one person, found none")
    return [positions] if positions.ndim == 3 else list(positions)


class _Entry(NamedTuple):
    """A line of the table; where: "file, line N" for messages; split: None when the table has no such column."""

    where: str
    file: str
    label: str
    split: str | None


def _read_layout(path: Path) -> SkeletonLayout:
    """The layout in the file, or the built-in one that it names."""
    if not path.exists():
        raise DatasetError(f'{path}: expected a layout, or the name of a built-in one such as "ntu25"; found nothing')
    try:
        content = json.loads("\n".join(read_lines(path)))
    except ValueError as error:
        raise DatasetError(f"{path}: not valid JSON ({error})") from None
    return load_layout(content if isinstance(content, str) else path)


def _read_table(path: Path) -> list[_Entry]:
    rows = [(f"{path}, line {number}", row) for number, row in enumerate(csv.reader(read_lines(path)), 1) if row]
    header = [cell.strip() for cell in rows[0][1]] if rows else []
    if header not in (["file", "label"], ["file", "label", "split"]):
        found = ",".join(header)
        raise DatasetError(f"{path}: expected the first line file,label or file,label,split, found {found!r}")
    entries = []
    for where, row in rows[1:]:
        cells = [cell.strip() for cell in row]
        if len(cells) != len(header) or not all(cells):
            raise DatasetError(f"{where}: expected {','.join(header)}, found {','.join(cells)!r}")
        if len(cells) == 3 and cells[2] not in SPLITS:
            raise DatasetError(f"{where}: expected the split train or test, found {cells[2]!r}")
        entries.append(_Entry(where, cells[0], cells[1], cells[2] if len(cells) == 3 else None))
    if not entries:
        raise DatasetError(f"{path}: expected at least one recording, found none")
    return entries


def _class_names(path: Path, entries: list[_Entry]) -> tuple[str, ...]:
    if path.exists():
        names = tuple(line.strip() for line in read_lines(path) if line.strip())
        if not names or len(set(names)) != len(names):
            found = ", ".join(names) or "none"
            raise DatasetError(f"{path}: expected different class names, a line each, found {found}")
        return names
    labels = {entry.label for entry in entries}
    return tuple(sorted(labels, key=int) if all(map(str.isdecimal, labels)) else sorted(labels))


def _label(entry: _Entry, class_names: tuple[str, ...], numbered: bool) -> int:
    """The label as a number from 0; numbered: numbers stand for places in a list of classes."""
    if entry.label in class_names:
        return class_names.index(entry.label)
    if numbered and entry.label.isdecimal() and int(entry.label) < len(class_names):
        return int(entry.label)
    known = f"a number from 0 to {len(class_names) - 1}, or one of {', '.join(class_names)}"
    raise DatasetError(f"{entry.where}: expected as label {known}; found {entry.label!r}")


def _splits(entries: list[_Entry], labels: list[int]) -> list[str]:
    """The table's splits, or by default the last fifth of each class as test."""
    if all(entry.split is not None for entry in entries):
        return [entry.split or "" for entry in entries]
    splits = ["train"] * len(entries)
    for label in set(labels):
        places = [place for place, found in enumerate(labels) if found == label]
        count = max(1, round(len(places) / 5)) if len(places) > 1 else 0
        for place in places[len(places) - count :]:
            splits[place] = "test"
    return splits
