"""A long recording cut into clips: a table of when which label was performed, and by whom.

A line a clip below a line with the columns' names: ``start`` and ``end``, seconds from the recording's first frame;
``label``; ``subject``, if there is one, for every clip.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from adasgn_edge.data.reading import read_lines
from adasgn_edge.data.stream_frames import StreamFrame
from adasgn_edge.errors import DatasetError
from adasgn_edge.wording import shown

__all__ = ["Cut", "cut_frames", "read_cuts"]

NEEDED = ("start", "end", "label")


class Cut(NamedTuple):
    """line: of the table; start, end: seconds from the recording's first frame; subject: "" where none is named."""

    line: int
    start: float
    end: float
    label: str
    subject: str


def read_cuts(path: Path) -> list[Cut]:
    """The table's cuts in order of time; raises DatasetError that names the line of what is none."""
    lines = read_lines(path)
    delimiter = max(",;\t", key=lambda mark: lines[0].count(mark)) if lines else ","
    try:
        header, *rows = list(csv.reader((f"{line}\n" for line in lines), delimiter=delimiter)) or [[]]
    except csv.Error as error:
        raise DatasetError(f"{path}: expected lines of cells, found others ({error})") from None
    header = [name.strip().lower() for name in header]
    if missing := [name for name in NEEDED if name not in header]:
        raise DatasetError(
            f"{path}, line 1: expected the columns start,end,label (and subject), found no {missing[0]!r}"
        )
    cuts = []
    for number, row in enumerate(rows, 2):
        cells = dict(zip(header, map(str.strip, row), strict=False))
        if not any(cells.values()):
            continue
        where = f"{path}, line {number}"
        try:
            start, end = float(cells.get("start", "")), float(cells.get("end", ""))
        except ValueError:
            raise DatasetError(
                f"{where}: expected start and end in seconds, found {shown(delimiter.join(row))}"
            ) from None
        if not 0 <= start < end < float("inf"):
            raise DatasetError(f"{where}: expected a start before an end, both from 0, found {start:g} and {end:g}")
        if not cells.get("label"):
            raise DatasetError(f"{where}: expected a label, found none")
        cuts.append(Cut(number, start, end, cells["label"], cells.get("subject", "")))
    if not cuts:
        raise DatasetError(f"{path}: expected at least one line below the columns' names, found none")
    if len({bool(cut.subject) for cut in cuts}) > 1:
        raise DatasetError(f"{path}: expected a subject in every line or in none, found both")
    return sorted(cuts, key=lambda cut: (cut.start, cut.end))


def cut_frames(frames: Iterable[StreamFrame], cuts: Iterable[Cut]) -> Iterator[tuple[Cut, list[StreamFrame]]]:
    """Each cut and its frames, as soon as they are past; cuts: in order of time, and they may overlap."""
    waiting = [(cut, list[StreamFrame]()) for cut in cuts]
    first: int | None = None
    for frame in frames:
        first = frame.stamp_ns if first is None else first
        seconds = 1e-9 * (frame.stamp_ns - first)
        for cut, own in waiting:
            if cut.start <= seconds < cut.end:
                own.append(frame)
        for past in [pair for pair in waiting if pair[0].end <= seconds]:
            waiting.remove(past)
            yield past
    yield from waiting
