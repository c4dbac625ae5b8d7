"""The rows of a table as bodies: numbers, missing ones, who is in which frame.

*Frames.* With a frame column its numbers, gaps included; with a time column the rank of the time. Without either, the
order of the rows and who is in them decide (:mod:`adasgn_edge.data.timeline`); so they do where every row of several
persons in turn has a time of its own.

*Missing.* A joint with an empty cell, a word such as nan, or a confidence of 0 (unless it is 0 throughout) is missing:
NaN. A row without any joint is a frame in which the person was not seen.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path

import numpy as np

from adasgn_edge.data.columns import Columns, find_columns
from adasgn_edge.data.joint_names import JointNames
from adasgn_edge.data.persons import Body
from adasgn_edge.data.tables import MISSING, Table, first_cells, read_table
from adasgn_edge.data.timeline import are_blocks, bodies_by_order, frames_by_turn, rows_of
from adasgn_edge.errors import ClipError, DatasetError
from adasgn_edge.wording import shown, warn

__all__ = ["read_table_bodies"]

NOT_SEEN = frozenset(
    {"false", "no", "nottracked", "not tracked", "not_tracked", "none", "lost", "invalid", "untracked"}
)
MOST_PERSONS = 256
"""More are something else than persons, such as numbers of lines."""
LARGEST_FRAME = 1 << 53
"""Frame numbers below this are exact as floating-point numbers too."""
ROUNDED = re.compile(r"\d[.,]\d+[eE]\+\d+")
"""How a table program writes numbers as large as Kinect's for bodies."""
CLOCK = re.compile(r"(?:(\d{4})[-/.](\d\d?)[-/.](\d\d?)[T ])?(\d\d?):(\d\d):(\d\d(?:[.,]\d+)?)(?:Z|[+-]\d\d:?\d\d)?")


def read_table_bodies(path: Path, names: JointNames) -> list[Body]:
    """The bodies in a text table, in the order in which they appear.

    Raises DatasetError for a text that is no such table, ClipError for what is in it; both name the line.
    """
    table = read_table(path)
    columns = find_columns(table, names)
    rows = _Rows(table, columns, names)
    if not rows.lines:
        raise ClipError(f"{path}: expected at least one frame, found none")
    rows.check_remarks()
    persons, frames = rows.persons(), rows.frames()
    if columns.joint is not None:
        persons, frames, rows = rows.gathered(persons, frames)
    if len(different := list(dict.fromkeys(persons))) > MOST_PERSONS:
        shown = first_cells([" ".join(person) for person in different])
        raise ClipError(
            f"{path}: expected at most {MOST_PERSONS} persons, found {len(different)} different ones: {shown}"
        )
    somebody = [row for row, person in enumerate(persons) if not any(name.lower() in MISSING for name in person)]
    if len(somebody) < len(persons):  # rows without a person, which have no joint either: a frame with nobody
        persons, rows = [persons[row] for row in somebody], rows.only(somebody)
        frames = None if frames is None else [frames[row] for row in somebody]
    if frames is None:
        return bodies_by_order(persons, rows.positions)
    return _by_frame(path, persons, frames, rows)


class _Rows:
    """The rows as arrays.

    lines: their numbers in the file; positions: (rows, V, 3), NaN where missing; the cells of other columns too.
    """

    def __init__(self, table: Table, columns: Columns, names: JointNames) -> None:
        self.path, self.columns, self.names, self._table = table.path, columns, names, table
        beside = [*columns.persons, *columns.remarks, *columns.row_confidences]
        beside += [column for _, column in columns.confidences]
        beside += [column for column in (columns.frame, columns.time, columns.joint) if column is not None]
        self._cells: dict[int, list[str]] = {column: [] for column in beside}
        self.lines: list[int] = []
        wanted = columns.positions.ravel().tolist()
        pick = itemgetter(*wanted)
        numbers = array("d")
        plain = not any("_" in text for _, text in table.lines)  # 1_0 is a number to Python alone
        for line, cells in table.rows():
            words = pick(cells)
            try:
                if not plain:
                    raise ValueError
                numbers.extend(table.dialect.numbers(words))
            except ValueError:
                numbers.extend(self._number(line, word, place) for place, word in enumerate(words))
            self.lines.append(line)
            for column in beside:
                self._cells[column].append(cells[column].strip())
        values = np.frombuffer(numbers, dtype=np.float64).reshape(len(self.lines), len(wanted) // 3, 3)
        with np.errstate(over="ignore"):
            self.positions = (values * columns.scale).astype(np.float32)
        self._check_finite()
        self.positions[np.isnan(self.positions).any(axis=2)] = np.nan
        self._apply_confidences()

    def _joint(self, place: int) -> str:
        if self.columns.joint is not None:
            return "xyz"[place % 3]
        return f"{self.names.joints[place // 3]} {'xyz'[place % 3]}"

    def _number(self, line: int, word: str, place: int) -> float:
        try:
            return self._table.dialect.number(word)
        except ValueError:
            where = f"{self.path}, line {line}, {self._joint(place)}"
            raise DatasetError(f"{where}: expected a number, found {shown(word.strip(), 30)}") from None

    def _check_finite(self) -> None:
        infinite = np.isinf(self.positions)
        if infinite.any():
            row, joint, axis = np.argwhere(infinite)[0].tolist()
            where = f"{self.path}, line {self.lines[row]}, {self._joint(3 * joint + axis)}"
            raise ClipError(
                f"{where}: expected a finite number (leave the cell empty if it is missing), found infinity"
            )

    def _apply_confidences(self) -> None:
        """Confidence 0 is a missing joint; where it is 0 throughout it is a column that nobody filled in.

        MediaPipe, for one, has a visibility for every landmark of a hand, and it is always 0.
        """
        rows = len(self.lines)
        seen = np.array([[self._is_seen(row, column) for row in range(rows)] for _, column in self.columns.confidences])
        if seen.any():
            for (joint, _), mine in zip(self.columns.confidences, seen, strict=True):
                self.positions[~mine, joint] = np.nan
        for column in self.columns.row_confidences:
            mine = np.array([self._is_seen(row, column) for row in range(rows)], dtype=bool)
            if mine.any():
                self.positions[~mine] = np.nan

    def _is_seen(self, row: int, column: int) -> bool:
        cell = self._cells[column][row].lower()
        if cell in MISSING:
            return True  # nothing is known of it
        try:
            return self._table.dialect.number(cell) > 0
        except ValueError:
            return cell not in NOT_SEEN

    def check_remarks(self) -> None:
        """Raise ClipError when a remark such as a label or a file's name changes: that is several clips in one file."""
        header = self._table.header or ()
        for column in self.columns.remarks:
            values = list(dict.fromkeys(self._cells[column]))
            if len(values) > 1:
                raise ClipError(
                    f"{self.path}: expected one clip in a file, found {len(values)} values in the column "
                    f"{shown(header[column])}: {first_cells(values)}"
                )

    def only(self, rows: Sequence[int]) -> _Rows:
        """These rows alone."""
        self.lines = [self.lines[row] for row in rows]
        self.positions = self.positions[list(rows)]
        return self

    def persons(self) -> list[tuple[str, ...]]:
        """Who is in each row, as text."""
        columns = [column for column in self.columns.persons if not self._is_line_number(column)]
        texts = [[re.sub(r"^([+-]?\d+)\.0*$", r"\1", cell) for cell in self._cells[column]] for column in columns]
        persons: list[tuple[str, ...]] = list(zip(*texts, strict=True)) if texts else [()] * len(self.lines)
        if rounded := next((name for person in set(persons) for name in person if ROUNDED.fullmatch(name)), None):
            warn(
                f"{self.path}: person {rounded} has lost digits, so that two may look like one: save them as text",
                stacklevel=2,
            )
        for row, person in enumerate(persons):
            if any(name.lower() in MISSING for name in person) and not np.isnan(self.positions[row]).all():
                raise ClipError(f"{self.path}, line {self.lines[row]}: expected a person, found an empty cell")
        return persons

    def _is_line_number(self, column: int) -> bool:
        """Whether a column called id numbers the lines."""
        if (self._table.header or ())[column].strip().lower() != "id":
            return False
        cells = self._cells[column]
        numbers = [int(cell) if cell.isdecimal() and len(cell) < 16 else -1 for cell in cells]
        return len(cells) > 2 and numbers == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[0] in (0, 1)

    def frames(self) -> list[int] | None:
        """The frame of each row, None when it follows from the order of the rows."""
        if self.columns.frame is not None:
            return self._frame_numbers(self.columns.frame)
        if self.columns.time is not None:
            times = [self._time(row, self.columns.time) for row in range(len(self.lines))]
            persons = self.persons()
            if self.columns.joint is None and len(set(zip(times, persons, strict=True))) < len(times):
                return None  # a clock coarser than the frames
            if self.columns.joint is None and len(set(times)) == len(times) > 1 and not are_blocks(persons):
                order = sorted(range(len(times)), key=times.__getitem__)
                turns = frames_by_turn([persons[row] for row in order], self.positions[order])
                return [turn for _, turn in sorted(zip(order, turns, strict=True))]
            ranks = {time: rank for rank, time in enumerate(sorted(set(times)))}
            return [ranks[time] for time in times]
        return None

    def _frame_numbers(self, column: int) -> list[int]:
        frames = []
        for row, cell in enumerate(self._cells[column]):
            match = re.fullmatch(r"(?:frame|f)?[_\- ]?([+-]?\d{1,15})(?:[.,]0*)?", cell.lower())
            value = int(match[1]) if match else None
            if value is None:
                try:
                    number = self._table.dialect.number(cell)
                    value = int(number) if number == np.floor(number) and abs(number) < LARGEST_FRAME else None
                except ValueError:
                    value = None
            if value is None:
                raise ClipError(
                    f"{self.path}, line {self.lines[row]}: expected the frame's number in the column "
                    f"{shown((self._table.header or ())[column])}, found {shown(cell, 30)}"
                )
            frames.append(value)
        return frames

    def _time(self, row: int, column: int) -> float | int:
        cell = self._cells[column][row]
        if cell.isdecimal() and len(cell) < 30:
            return int(cell)
        try:
            number = self._table.dialect.number(cell)
        except ValueError:
            number = np.nan
        if np.isfinite(number):
            return float(number)
        if match := CLOCK.fullmatch(cell):
            year, month, day, hours, minutes = (int(part or 0) for part in match.groups()[:5])
            days = (year * 12 + month) * 31 + day  # orders days, which is all that is needed
            return ((days * 24 + hours) * 60 + minutes) * 60 + float(match[6].replace(",", "."))
        raise ClipError(
            f"{self.path}, line {self.lines[row]}: expected a time in the column "
            f"{shown((self._table.header or ())[column])}, found {shown(cell, 30)}"
        )

    def gathered(
        self, persons: list[tuple[str, ...]], frames: list[int] | None
    ) -> tuple[list[tuple[str, ...]], list[int] | None, _Rows]:
        """Rows of one joint each gathered to rows of a person in a frame.

        Without frames, a person's next frame begins where one of their joints comes again.
        """
        assert self.columns.joint is not None
        joints = self.names.of_cells(self.path, self._cells[self.columns.joint])
        if frames is None:
            frames = []
            turn: dict[tuple[str, ...], int] = {}
            seen: set[tuple[tuple[str, ...], int, int]] = set()
            for person, joint in zip(persons, joints, strict=True):
                if (person, turn.setdefault(person, 0), joint) in seen:
                    turn[person] += 1
                seen.add((person, turn[person], joint))
                frames.append(turn[person])
        places: dict[tuple[tuple[str, ...], int], int] = {}
        taken: dict[tuple[int, int], int] = {}
        rows: list[int] = []
        for row, key in enumerate(zip(persons, frames, strict=True)):
            place = places.setdefault(key, len(places))
            if place == len(rows):
                rows.append(row)
            if (place, joints[row]) in taken:
                other = self.lines[taken[place, joints[row]]]
                raise ClipError(
                    f"{self.path}, line {self.lines[row]}: expected every joint once a frame, found "
                    f"{self.names.joints[joints[row]]} in line {other} too (several persons need a column person)"
                )
            taken[place, joints[row]] = row
        positions = np.full((len(rows), len(self.names.joints), 3), np.nan, dtype=np.float32)
        for (place, joint), row in taken.items():
            positions[place, joint] = self.positions[row, 0]
        self.lines = [self.lines[row] for row in rows]
        self.positions = positions
        return [persons[row] for row in rows], [frames[row] for row in rows], self


def _by_frame(path: Path, persons: Sequence[tuple[str, ...]], frames: Sequence[int], rows: _Rows) -> list[Body]:
    bodies = []
    for person, places in rows_of(persons).items():
        mine = np.array(places)
        numbers = np.array([frames[row] for row in mine], dtype=np.int64)
        order = np.argsort(numbers, kind="stable")
        mine, numbers = mine[order], numbers[order]
        twice = np.flatnonzero(np.diff(numbers) == 0)
        if len(twice):
            first, second = rows.lines[mine[twice[0]]], rows.lines[mine[twice[0] + 1]]
            who = f"person {shown(' '.join(person), 30)}" if person else "one person (others need a column person)"
            frame = numbers[twice[0]]
            raise ClipError(
                f"{path}, line {second}: expected {who} once a frame, found frame {frame} in line {first} too"
            )
        bodies.append(Body(numbers, rows.positions[mine]))
    return bodies
