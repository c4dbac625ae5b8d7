"""A folder of one's own recordings: clips (:mod:`adasgn_edge.data.clips`; sub-folders are fine) and a table of labels.

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
from pathlib import Path
from typing import NamedTuple

from adasgn_edge.data.clips import read_clip
from adasgn_edge.data.dataset import DatasetBuilder, SkeletonDataset
from adasgn_edge.data.reading import BadSamples, read_lines
from adasgn_edge.errors import DatasetError
from adasgn_edge.progress import Progress
from adasgn_edge.skeletons import SkeletonLayout, load_layout

__all__ = ["LABEL_TABLE", "read_recordings"]

LABEL_TABLE = "labels.csv"
SPLITS = ("train", "test")


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
