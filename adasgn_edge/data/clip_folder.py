"""A folder of recordings that grows: a clip and its line in ``labels.csv``, both written whole or not at all.

A clip is an ``.npz`` file: ``positions`` (M, L, V, 3) float32, the layout's joints, metres, NaN = not seen, and
``stamps_ns`` (L,) int64. Nothing is lost: it is what the stream gave, to the last bit. The file comes first and its
line after it, so that a kill between the two leaves a clip that the table does not list, and never a line without one.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np

from adasgn_edge.data.label_table import (
    LABEL_TABLE,
    LabelRow,
    LabelTable,
    numbered_labels,
    read_label_table,
    table_line,
)
from adasgn_edge.data.reading import read_bytes
from adasgn_edge.data.recorder import Clip
from adasgn_edge.data.recordings import CLASS_LIST, LAYOUT, read_layout
from adasgn_edge.errors import DatasetError
from adasgn_edge.files import atomic_path, locked, write_text
from adasgn_edge.skeletons import SkeletonLayout, builtin_layouts, load_layout
from adasgn_edge.wording import shown

__all__ = ["ClipFolder"]

LONGEST_NAME, LONGEST_STEM = 200, 60


class ClipFolder:
    """Adds clips to a folder, which is made where it is not there yet.

    asked: the layout; without, that of the folder, or of a new one `default`. One process at a time writes to a folder:
    it is locked within the ``with`` block. Raises DatasetError for a folder of another layout or with other things in
    it, OutputError where it cannot be written.
    """

    def __init__(self, folder: Path, asked: SkeletonLayout | None = None, default: str = "shrec22") -> None:
        self.folder, self._locked = folder, ExitStack()
        self.layout = self._agreed(asked, default)

    def check(self, label: str, subject: str = "") -> None:
        """Raise DatasetError for a label or a subject ("" for none) that the folder's table cannot take."""
        for role, text in (("label", label), ("subject", subject)):
            if not text.isprintable() or len(text) > LONGEST_NAME or text != text.strip():
                raise DatasetError(f"{role}: expected up to {LONGEST_NAME} characters on one line, found {shown(text)}")
        if not label:
            raise DatasetError("label: expected a name, found none")
        table = self._table()
        table_line(table, "clip.npz", label, subject)
        classes = self.folder / CLASS_LIST
        if classes.exists():
            rows = table.rows if table else ()
            new = LabelRow(len(rows) + 2, "clip.npz", label, "", subject)
            numbered_labels(LabelTable(self.folder / LABEL_TABLE, (*rows, new), ()), classes)

    def __enter__(self) -> ClipFolder:
        with ExitStack() as stack:
            stack.enter_context(locked(self.folder))
            if not (self.folder / LAYOUT).exists():
                named = self.layout.name if _is_builtin(self.layout) else self.layout.to_dict()
                write_text(self.folder / LAYOUT, json.dumps(named, indent=1) + "\n")
            self._locked = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._locked.close()

    def add(self, clip: Clip, label: str, subject: str = "") -> str:
        """Write a clip and its line; the file's name, below the folder. Nothing that is there is written over."""
        name = self._free_name(label, subject)
        with atomic_path(self.folder / name) as temporary, temporary.open("wb") as file:
            np.savez(file, positions=clip.positions, stamps_ns=clip.stamps_ns)
        self._append(name, label, subject)
        return name

    def counts(self) -> Counter[tuple[str, str]]:
        """How many clips the table lists, by label and subject ("" where it says none)."""
        table = self._table()
        return Counter((row.label, row.subject) for row in table.rows) if table else Counter()

    def _agreed(self, asked: SkeletonLayout | None, default: str) -> SkeletonLayout:
        """The folder's layout, which is that asked for."""
        path = self.folder / LAYOUT
        if path.exists():
            found = read_layout(self.folder, [])
            if asked is not None and asked != found:
                raise DatasetError(f"{path}: expected layout {asked.name!r}, found {found.name!r}; record elsewhere")
            return found
        if self.folder.exists() and not self.folder.is_dir():
            raise DatasetError(f"{self.folder}: expected a folder, found a file")
        others = sorted(entry.name for entry in self.folder.iterdir()) if self.folder.is_dir() else []
        if others := [name for name in others if not name.startswith(".")]:
            raise DatasetError(
                f"{self.folder}: expected a new or empty folder, or one with {LABEL_TABLE} and {LAYOUT}; found "
                f"{len(others)} other things in it, such as {shown(others[0])}"
            )
        return asked or load_layout(default)

    def _table(self) -> LabelTable | None:
        path = self.folder / LABEL_TABLE
        return read_label_table(path) if path.exists() else None

    def _free_name(self, label: str, subject: str) -> str:
        """A name that no file has yet; numbers go on from the largest."""
        below = _as_file_name(label)
        stem = f"{_as_file_name(subject)}_" if subject else ""
        form = re.compile(re.escape(stem) + r"(\d+)\.npz")
        folder = self.folder / below
        there = [form.fullmatch(entry.name) for entry in folder.iterdir()] if folder.is_dir() else []
        number = max((int(match[1]) for match in there if match), default=0) + 1
        return f"{below}/{stem}{number:03d}.npz"

    def _append(self, name: str, label: str, subject: str) -> None:
        path, table = self.folder / LABEL_TABLE, self._table()
        if table is None:
            header = "file,label,subject\n" if subject else "file,label\n"
            text = header + table_line(None, name, label, subject)
        else:
            try:
                text = read_bytes(path).decode("utf-8")  # with a byte order mark, if it has one
            except UnicodeDecodeError:
                raise DatasetError(f"{path}: expected UTF-8, found another encoding; save it as UTF-8") from None
            text += "" if text.endswith("\n") else "\n"
            text += table_line(table, name, label, subject)
        with atomic_path(path) as temporary:
            temporary.write_bytes(text.encode())


def _as_file_name(text: str) -> str:
    return re.sub(r"[^\w-]+", "_", text).strip("_")[:LONGEST_STEM] or "clips"


def _is_builtin(layout: SkeletonLayout) -> bool:
    return layout.name in builtin_layouts() and load_layout(layout.name) == layout
