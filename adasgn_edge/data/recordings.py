"""A folder of one's own recordings: clips (:mod:`adasgn_edge.data.clips`; sub-folders are fine) and a table of labels.

``labels.csv``   a line a clip: its file, label and, if you like, split and subject
                 (:mod:`adasgn_edge.data.label_table`)
``layout.json``  a skeleton layout of one's own (see :mod:`adasgn_edge.skeletons`), or just the name of a built-in one
                 such as ``"ntu25"``
``classes.txt``  (may be missing) a class name a line; labels are then such names, or numbers counted from 0 or 1

How a table may name a file is said in :mod:`adasgn_edge.data.clip_files`. Without a column ``split`` the test clips are
chosen by :func:`adasgn_edge.data.splits.default_splits`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from adasgn_edge.data.clip_files import ClipFiles, Suggestions
from adasgn_edge.data.clips import read_recording
from adasgn_edge.data.dataset import DatasetBuilder, SkeletonDataset
from adasgn_edge.data.label_table import LABEL_TABLE, LabelTable, numbered_labels, read_label_table
from adasgn_edge.data.playing import recorded_rate
from adasgn_edge.data.reading import BadSamples, read_lines
from adasgn_edge.data.splits import default_splits, split_notes
from adasgn_edge.data.walking import is_there
from adasgn_edge.errors import AdaSGNError, DatasetError, LayoutError
from adasgn_edge.lazy import cached_property
from adasgn_edge.progress import Progress
from adasgn_edge.skeletons import SkeletonLayout, builtin_layouts, load_layout
from adasgn_edge.wording import listed, shown, warn

__all__ = ["CLASS_LIST", "LABEL_TABLE", "LAYOUT", "Recording", "RecordingFolder", "read_layout", "read_recordings"]

LAYOUT, CLASS_LIST = "layout.json", "classes.txt"
READING = 2
"""Another number where the same files are read as more than before: what was kept of them is then passed over."""
CLASS_LISTS = ("class", "classes", "class_names", "classnames", "class_list")
"""What people may call the class list."""
TABLE = "a table with the first line file,label and a line for each clip, also where sub-folders are the classes"


def read_recordings(
    folder: Path | str, on_bad_sample: str = "error", progress: Progress | None = None, missing: str = "fill"
) -> SkeletonDataset:
    """Read a folder of recordings in the form that this module's text describes; the set is called as the folder is.

    on_bad_sample: "error" raises DatasetError at the first broken clip, "skip" names it in a warning and goes on;
    mistakes in the table itself are always errors. missing: see :mod:`adasgn_edge.data.cleaning`. Warns of what was
    passed over, of files that the table does not list, and of what is wrong with the splits.
    """
    plan = RecordingFolder.open(folder)
    plan.warn()
    dataset = plan.read(on_bad_sample, progress, missing)
    for note in split_notes(dataset):
        warn(note, stacklevel=2)
    return dataset


class Recording(NamedTuple):
    """A clip of the folder.

    name: its file, below the folder; label: from 0; subject: "" when not known; size, changed: of the file, in bytes
    and nanoseconds, 0 when there is none
    """

    name: str
    label: int
    split: str
    subject: str
    size: int
    changed: int


@dataclass(frozen=True)
class RecordingFolder:
    """What is to be read of a folder: everything but the clips themselves. notes: for a warning each."""

    folder: Path
    layout: SkeletonLayout
    class_names: tuple[str, ...]
    recordings: tuple[Recording, ...]
    notes: tuple[str, ...]

    @classmethod
    def open(cls, folder: Path | str) -> RecordingFolder:
        """Read the table, the classes and the layout, and find the files; raises DatasetError or LayoutError."""
        folder = Path(folder)
        table = read_label_table(_part(folder, LABEL_TABLE, TABLE))
        files = ClipFiles(folder)
        places = [files.find(row.file, table.where(row)) for row in table.rows]
        layout = read_layout(folder, [folder / place for place in places[:3]])
        class_names, labels, notes = numbered_labels(table, folder / CLASS_LIST)
        if others := [name for name in _similar(folder, CLASS_LISTS) if name != CLASS_LIST]:
            notes.append(f"{folder}: {listed(others)}: not read, a class list is called {CLASS_LIST}")
        kept, repeated = _distinct(table, files, places, labels)
        subjects = [table.rows[row].subject for row in kept]
        splits = [table.rows[row].split for row in kept]
        if not any(splits):
            splits, said = default_splits([labels[row] for row in kept], subjects)
            notes.append(f"{table.path}: {said}")
        recordings = []
        for row, split, subject in zip(kept, splits, subjects, strict=True):
            state = files.state(places[row])
            size, changed = (state.st_size, state.st_mtime_ns) if state else (0, 0)
            recordings.append(Recording(places[row], labels[row], split, subject, size, changed))
        notes = [*table.notes, *notes, *repeated, *files.unlisted(places)]
        return cls(folder, layout, class_names, tuple(recordings), tuple(notes))

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.resolve().name or "recordings"

    @cached_property
    def fingerprint(self) -> str:
        """Different when the table, the classes, the layout or a clip has changed, by size or time of change."""
        about = [READING, self.name, self.layout.to_dict(), self.class_names, self.recordings]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()

    def warn(self) -> None:
        """Give the notes as warnings."""
        for note in self.notes:
            warn(note, stacklevel=3)

    def read(
        self, on_bad_sample: str = "error", progress: Progress | None = None, missing: str = "fill"
    ) -> SkeletonDataset:
        """Read the clips, as :func:`read_recordings` does.

        The rate is known where every clip has stamps, and is then the usual one of the median clip.
        """
        builder = DatasetBuilder(self.name, self.layout, self.class_names)
        rates: list[float | None] = []
        bad = BadSamples(str(self.folder), on_bad_sample)
        suggestions = Suggestions(self.folder)
        for recording in (progress or Progress()).track(self.recordings, f"reading {self.name}"):
            path = self.folder / recording.name
            with bad.guard(str(path)):
                if not is_there(path):
                    raise DatasetError(
                        f"{path}: expected a clip, found no such file{suggestions.nearest(recording.name)}"
                    )
                tracks, cleaning = read_recording(path, self.layout, missing=missing)
                rates.append(recorded_rate(path))
                label, split, subject = recording.label, recording.split, recording.subject
                builder.add(recording.name, label, split, tracks, cleaning, subject)
        known = [rate for rate in rates if rate is not None]
        dataset = builder.build(left_out=bad.report())
        return replace(dataset, rate=float(np.median(known)) if known and len(known) == len(rates) else None)


def _part(folder: Path, name: str, what: str) -> Path:
    """The path of a part of the folder; raises DatasetError that names a file which may be meant when it is missing."""
    path = folder / name
    if path.is_file():
        return path
    stem = name.split(".")[0]
    similar = [other for other in _similar(folder, (stem, stem.rstrip("s"), f"{stem}s")) if other != name]
    if path.is_dir() or path.is_symlink():
        found = "a folder" if path.is_dir() else "a link to nothing"
    elif similar:
        found = f"{', '.join(similar[:2])}: write or call it {name}"
    else:
        found = "no such file"
    raise DatasetError(f"{path}: expected {what}; found {found}")


def _similar(folder: Path, stems: tuple[str, ...]) -> list[str]:
    """The names of what lies in the folder and is called so, whatever the case and ending."""
    try:
        entries = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise DatasetError(f"{folder}: expected a folder with {LABEL_TABLE}: {error.strerror or error}") from None
    return [name for name in entries if name.lower().split(".")[0] in stems]


def read_layout(folder: Path, clips: list[Path]) -> SkeletonLayout:
    """The layout in the folder's file, or the built-in one that it names; clips: to suggest one by."""
    try:
        path = _part(folder, LAYOUT, 'a layout, or the name of a built-in one such as "ntu25"')
    except DatasetError as error:
        fitting = [name for name in builtin_layouts() if clips and _fits(clips, name)]
        if not fitting:
            raise
        names = " or ".join(f'"{name}"' for name in fitting)
        hint = f"the clips have the joints of {' or '.join(fitting)}: if that is what they are, write {names} into it"
        raise DatasetError(f"{error}; {hint}") from None
    text = "\n".join(read_lines(path)).strip()
    bare = text.strip("\"'").strip()
    if bare.lower() in builtin_layouts():
        return load_layout(bare.lower())
    try:
        content = json.loads(text)
    except RecursionError:
        raise DatasetError(f"{path}: not valid JSON (nested too deeply)") from None
    except ValueError as error:
        names = ", ".join(f'"{name}"' for name in builtin_layouts())
        raise DatasetError(
            f"{path}: expected a layout as JSON or one of {names}, found {shown(text)} (not valid JSON: {error})"
        ) from None
    try:
        if isinstance(content, dict):
            return SkeletonLayout.from_dict(content)
        return load_layout(folder / content if str(content).endswith(".json") else content)
    except LayoutError as error:
        raise LayoutError(f"{path}: {error}") from None
    except (TypeError, ValueError, AttributeError, OverflowError, RecursionError):  # values of a kind no layout has
        raise LayoutError(f"{path}: expected a layout or the name of one in quotes, found {shown(content)}") from None


def _fits(clips: list[Path], layout: str) -> bool:
    """Whether the first of the clips are of a layout, as far as their numbers of joints tell."""
    try:
        for path in clips:
            read_recording(path, layout)
    except AdaSGNError:
        return False
    return True


def _distinct(table: LabelTable, files: ClipFiles, places: list[str], labels: list[int]) -> tuple[list[int], list[str]]:
    """The table's rows without those that repeat another, by number, and notes.

    Raises DatasetError for a file that is listed twice with different labels, splits or subjects.
    """
    first: dict[object, int] = {}
    repeated = []
    for number, (row, place) in enumerate(zip(table.rows, places, strict=True)):
        other = first.setdefault(files.identity(place), number)
        if other == number:
            continue
        before = table.rows[other]
        same_label = labels[other] == labels[number]  # whatever its spelling
        for role in ("split", "subject") if same_label else ("label",):
            one, two = getattr(before, role), getattr(row, role)
            if one != two:
                spelt = "" if before.file == row.file else f" as {shown(before.file)}"
                raise DatasetError(
                    f"{table.where(row)}: the file {shown(row.file)} is also in line {before.line}{spelt}, there with "
                    f"the {role} {shown(one)}, here {shown(two)}"
                )
        repeated.append(f"{row.file} (lines {before.line} and {row.line})")
    notes = [f"{table.path}: files listed twice, read once: {listed(repeated)}"] if repeated else []
    return sorted(first.values()), notes
