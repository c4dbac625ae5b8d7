"""What the columns of a table are: by their names where they have names, else by their number.

A joint's column is its name and an axis, in any case, in front or behind, with any separator or none: ``wrist_x``,
``x_wrist``, ``WRIST.X``, ``wristX``, ``left hand tip x``, ``HandTipLeft_X``; or the joint's number from 0 or 1: ``x0``,
``joint_0_x``, ``0_x``. Columns may come in any order. Columns numbered on and on (``0,1,2,…``, ``c0,c1,…``), or
``x,y,z,x,y,z,…``, are in the layout's order. Beside them are understood:

==============  =====================================================================================================
frame           ``frame``, ``frame_id``, …: the frame's number; ``time``, ``timestamp``, …: orders frames
person          ``person``, ``id``, ``track``, ``hand``, ``handedness``, …: who it is, all such columns together
confidence      ``wrist_confidence``, ``visibility_0``, … of a joint, or ``confidence``, ``score``, … of the row: where
                it is 0, the joint, or all joints of the row, are missing; not used otherwise, nor when 0 throughout
index           a column without a name, ``Unnamed: 0``, ``index``: the line's number; not used
joint           with one column each of x, y, z: a row is one joint in one frame ("long" tables)
remarks         ``label``, ``subject``, ``file``, …: not used, but must be the same in every row of a clip
==============  =====================================================================================================

Rotations and velocities (``wrist_qx``, ``wrist_vx``) are passed over when all positions are there by name, and so are
columns that are not understood, with a warning. Anything else is an error that names what is missing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.joint_names import (
    AXES,
    CONFIDENCE,
    OTHER_QUANTITIES,
    JointNames,
    NumberedAxis,
    axis_splits,
    numbered_axis,
    numbered_confidence,
    other_quantity,
    split_words,
    word_set,
)
from adasgn_edge.data.tables import UNITS, Table, first_cells
from adasgn_edge.errors import ClipError
from adasgn_edge.wording import shown, warn

__all__ = ["Columns", "find_columns"]


FRAME = word_set(
    "frame frames frameid frameindex frameidx frameno framenr framenum framenumber nframe framecount fr seq sequence"
)
INDEX = word_set("index idx row rowid rowindex line lineno nr no number unnamed0 level0 bodyparts coords scorer")
TIME = word_set(
    "time times timestamp timestamps stamp t ts timems timens timeus timesec timeseconds timestampms timestampns "
    "timestampus timestampsec seconds sec secs ms msec milliseconds microseconds nanoseconds us ns date datetime "
    "elapsed elapsedtime clock headerstamp systemtime devicetime"
)
PERSON = word_set(
    "person persons personid personindex personidx personname id body bodyid bodyindex bodyidx bodynumber track "
    "trackid tracker trackerid trackingid tracking hand handid handindex handidx handnumber handno handedness side "
    "user userid skeleton skeletonid skeletonindex player playerid object objectid people peopleid human humanid "
    "actor name"
)
JOINT = word_set(
    "joint joints jointname jointid jointindex jointidx jointno jointnumber jointtype landmark landmarks landmarkname "
    "landmarkid landmarkindex landmarkidx keypoint keypointname keypointid keypointindex keypointidx kp kpid kpname "
    "bone marker markername markerid point pointid pointname node nodeid nodename part bodypart partname name id index "
    "idx type"
)
REMARKS = word_set(
    "label labels gesture gestureid gesturename class classid classname action actionid actionname activity category "
    "target ytrue subject subjectid session sessionid file filename path clip clipid video videoid sample sampleid "
    "take trial repetition rep essai split fps rate dataset camera view setup participant source device note comment"
)
NUMBERED = re.compile(r"(.*?)(\d+)")


@dataclass(frozen=True)
class Columns:
    """Which column is what, by index from 0.

    positions: (V, 3), or (1, 3) with a column `joint` for rows of one joint each; confidences: (joint, column);
    row_confidences, persons, remarks: columns; scale: factor that makes metres of the unit that the header gives.
    """

    positions: NDArray[np.int64]
    joint: int | None = None
    confidences: tuple[tuple[int, int], ...] = ()
    row_confidences: tuple[int, ...] = ()
    frame: int | None = None
    time: int | None = None
    persons: tuple[int, ...] = ()
    remarks: tuple[int, ...] = ()
    scale: float = 1.0


def find_columns(table: Table, names: JointNames) -> Columns:
    """What the table's columns are; raises ClipError that shows the columns when that cannot be told."""
    if table.header is None:
        return _without_header(table, names)
    header = table.header
    common = _common_words(header)
    for shared in (0, len(common)) if common else (0,):
        found = _sort_columns(table, header, names, common[:shared])
        if found.is_long:
            return _long(table, header, names, found)
        positions = _by_name(names, found)
        if positions is None:
            positions = _by_number(table, names, found)
        if positions is None:
            positions = _in_order(header, names, found)
        if positions is not None:
            _warn_of_others(table, found, positions)
            return found.columns(positions, _scale(table, positions))
    raise ClipError(_what_is_missing(table, header, names, _sort_columns(table, header, names, [])))


# Columns without names


def _without_header(table: Table, names: JointNames) -> Columns:
    count = 3 * len(names.joints)
    if table.width - table.spare <= count <= table.width:
        return Columns(np.arange(count).reshape(-1, 3))
    _, cells = next(table.rows())
    raise ClipError(
        f"{table.path}, line {table.lines[0][0]}: expected {count} numbers (x, y, z of the {len(names.joints)} joints "
        f"of {names.owner}), found {table.width - table.spare}: {first_cells(cells)}{_width_hint(table, names, cells)}"
    )


def _width_hint(table: Table, names: JointNames, cells: Sequence[str]) -> str:
    width, joints = table.width - table.spare, names.joints
    count = 3 * len(joints)
    if hint := names.other_owner(width / 3):
        return hint
    if width == 2 * count and table.dialect.delimiter == "," and all(cell.strip("+-").isdecimal() for cell in cells):
        return "; decimal commas between commas: write semicolons between cells, or decimal points"
    if width == 1 and cells[0].isdecimal():
        return "; a file of NTU RGB+D must end in .skeleton"
    if len(table.lines) == count:
        return "; a line is a frame: lines and columns look swapped"
    if width in (3, 4):
        return "; a line is a frame; where it is a joint, a header line says so: frame,joint,x,y,z"
    if count < width < count + 8:
        return f"; a header line tells what the others are: frame,{joints[0]}_x,{joints[0]}_y,… or frame,0,1,2,…"
    if width == 2 * len(joints):
        return "; the model needs x, y and z"
    if width == 4 * len(joints):
        return f"; with a confidence, a header line says so: {joints[0]}_x,…,{joints[0]}_confidence"
    return ""


# Columns with names


@dataclass
class _Sorted:
    """The columns by what their names say; numbers are columns."""

    joints: dict[tuple[int, int], int] = field(default_factory=dict)  # (joint, axis)
    confidences: dict[int, int] = field(default_factory=dict)
    numbered: dict[NumberedAxis, int] = field(default_factory=dict)
    numbered_confidences: dict[int, int] = field(default_factory=dict)  # number in the name
    bare: list[tuple[int, int]] = field(default_factory=list)  # (axis, column) of each x, y, z without a name
    long_joint: list[int] = field(default_factory=list)
    special: dict[str, list[int]] = field(default_factory=dict)
    unknown: list[int] = field(default_factory=list)

    @property
    def is_long(self) -> bool:
        """Whether there is one column each of x, y and z, and one that may name the joint."""
        once = sorted(axis for axis, _ in self.bare) == [0, 1, 2] and all(entry.number < 0 for entry in self.numbered)
        return once and not self.joints and bool(self.long_joint)

    def columns(self, positions: NDArray[np.int64], scale: float, joint: int | None = None) -> Columns:
        """All of it, with the columns of the positions."""

        def of(kind: str) -> list[int]:
            return [column for column in self.special.get(kind, []) if column != joint]

        return Columns(
            positions=positions,
            joint=joint,
            confidences=tuple(self.confidences.items()),
            row_confidences=tuple(of("confidence")),
            frame=next(iter(of("frame")), None),
            time=next(iter(of("time")), None),
            persons=tuple(of("person")),
            remarks=tuple(of("remark")),
            scale=scale,
        )


def _common_words(header: Sequence[str]) -> list[str]:
    """The words that all columns of an axis begin with, such as the name of the hand or of a message."""
    columns = [words for words in map(split_words, header) if _special(words) is None and axis_splits(words)]
    if len(columns) < 4:
        return []
    common: list[str] = []
    for words in zip(*columns, strict=False):
        if len(set(words)) > 1 or words[0] in OTHER_QUANTITIES:
            break
        common.append(words[0])
    return common


def _sort_columns(table: Table, header: Sequence[str], names: JointNames, common: Sequence[str]) -> _Sorted:
    found = _Sorted()
    named = Counter(name.strip().casefold() for name in header)
    # Without any axis, v0 or c0 is a name for a column without one.
    axes = any(_special(words) is None and numbered_axis(words) is not None for words in map(split_words, header))
    for column, name in enumerate(header):
        words = split_words(name)
        if "".join(words) in JOINT:
            found.long_joint.append(column)
        if kind := _special(words):
            found.special.setdefault(kind, []).append(column)
            if kind != "index" and named[name.strip().casefold()] > 1:
                times = named[name.strip().casefold()]
                where = f"{table.path}, line {table.header_line}"
                raise ClipError(f"{where}: expected one column {shown(name)}, found {times}")
            continue
        if common and words[: len(common)] == list(common):
            words = words[len(common) :]
        place = names.joint_and_axis(words)
        if place is not None:
            if place in found.joints:
                raise ClipError(_twice(table, header, names, place, found.joints[place], column))
            found.joints[place] = column
        elif (joint := names.joint_with_confidence(words)) is not None:
            found.confidences[joint] = column
        elif (entry := numbered_axis(words)) is not None:
            if entry.number < 0:
                found.bare.append((entry.axis, column))
            if named[name.strip().casefold()] == 1:
                found.numbered[entry] = column
        elif (number := numbered_confidence(words)) is not None and (axes or len(words) > 1):
            found.numbered_confidences[number] = column
        elif not other_quantity(words, names):
            found.unknown.append(column)
    return found


def _twice(table: Table, header: Sequence[str], names: JointNames, place: tuple[int, int], one: int, other: int) -> str:
    return (
        f"{table.path}, line {table.header_line}: expected one column for {names.joints[place[0]]} {AXES[place[1]]}, "
        f"found two: column {one + 1} ({shown(header[one])}) and column {other + 1} ({shown(header[other])})"
    )


def _special(words: Sequence[str]) -> str | None:
    """What a column beside the joints is, None for one of a joint or an unknown one."""
    compact = "".join(words)
    if compact == "" or compact in INDEX:
        return "index"
    kinds = (("frame", FRAME), ("time", TIME), ("person", PERSON), ("confidence", CONFIDENCE), ("remark", REMARKS))
    return next((kind for kind, known in kinds if compact in known), None)


def _by_name(names: JointNames, found: _Sorted) -> NDArray[np.int64] | None:
    """The columns of every joint by its name; None when one is missing."""
    count = len(names.joints)
    if len(found.joints) < 3 * count:
        return None
    return np.array([[found.joints[joint, axis] for axis in range(3)] for joint in range(count)])


def _by_number(table: Table, names: JointNames, found: _Sorted) -> NDArray[np.int64] | None:
    """The columns of every joint by its number from 0 or 1; None when one is missing. A bare x stands for x0."""
    if found.joints:
        return None
    count = len(names.joints)
    groups: dict[str, dict[tuple[int, int], int]] = {}
    for entry, column in found.numbered.items():
        groups.setdefault(entry.prefix, {})[entry.number, entry.axis] = column
    complete = {}
    for prefix, columns in groups.items():
        numbers = sorted({number for number, _ in columns})
        for first in (0, 1):
            counted = list(range(first, first + count))
            if len(columns) == 3 * count and numbers in (counted, [-1, *counted[1:]]):
                start = -1 if numbers[0] == -1 else first
                order = [start, *counted[1:]]
                complete[prefix] = np.array([[columns[number, axis] for axis in range(3)] for number in order])
    if len(complete) > 1:
        raise ClipError(_side_by_side(table, list(complete)))
    if complete:
        first = min(set(found.numbered_confidences) | {entry.number for entry in found.numbered if entry.number >= 0})
        base = 1 if first == 1 and -1 not in {entry.number for entry in found.numbered} else 0
        for number, column in found.numbered_confidences.items():
            if number - base < count:
                found.confidences[number - base] = column
    return next(iter(complete.values()), None)


def _in_order(header: Sequence[str], names: JointNames, found: _Sorted) -> NDArray[np.int64] | None:
    """The columns in the layout's order: numbered on and on, or x, y, z again and again; None for other names."""
    count = 3 * len(names.joints)
    if found.joints:
        return None
    if len(found.bare) == count and [axis for axis, _ in found.bare] == [0, 1, 2] * len(names.joints):
        return np.array([column for _, column in found.bare]).reshape(-1, 3)
    matches = [NUMBERED.fullmatch(header[column].strip()) for column in found.unknown]
    if len(found.unknown) != count or not all(matches):
        return None
    numbers = [int(match[2]) for match in matches if match]
    same = len({match[1] for match in matches if match}) == 1
    if same and numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + count)):
        return np.array(found.unknown).reshape(-1, 3)
    return None


def _warn_of_others(table: Table, found: _Sorted, positions: NDArray[np.int64]) -> None:
    """Warn of columns that look like coordinates or are not understood, and are not used."""
    used = set(positions.ravel().tolist())
    others = sorted({*found.unknown, *found.numbered.values()} - used)
    if others and table.header:
        shown = first_cells([table.header[column] for column in others])
        warn(f"{table.path}: columns not used: {shown}", stacklevel=2)


# What is wrong with the names


def _what_is_missing(table: Table, header: Sequence[str], names: JointNames, found: _Sorted) -> str:
    count = len(names.joints)
    expected = (
        f"{table.path}, line {table.header_line}: expected columns x, y, z of the {count} joints of {names.owner}"
    )
    axes = {axis for _, axis in found.joints} | {entry.axis for entry in found.numbered} | {a for a, _ in found.bare}
    if axes and 2 not in axes:
        return f"{expected}, found no z: {first_cells(header)}; the model needs three-dimensional coordinates"
    if groups := _persons_in_columns(header, names):
        return _side_by_side(table, groups)
    if hint := names.other_owner_of_names(header):
        return f"{expected}, found those of {hint}"
    columns = max(len(found.numbered), len(found.bare), len(found.unknown))
    if not found.joints and columns:
        hint = names.other_owner(columns / 3)
        how = hint or f", such as {names.joints[0]}_x, or without a header in the layout's order"
        return f"{expected}, found {columns} others: {first_cells(header, 6)}{how}"
    absent = [
        joint for number, joint in enumerate(names.joints) if any((number, a) not in found.joints for a in range(3))
    ]
    others = [header[column] for column in found.unknown]
    unknown = f"; not understood: {first_cells(others)}" if others else f"; found {first_cells(header)}"
    return f"{expected}; joints without columns: {first_cells(absent, 6)}{unknown}"


def _persons_in_columns(header: Sequence[str], names: JointNames) -> list[str]:
    """First words that two or more persons' columns begin with, when each has all joints; else nothing."""
    groups: dict[str, set[tuple[int, int]]] = {}
    for words in map(split_words, header):
        if len(words) > 1 and (place := names.joint_and_axis(words[1:])) is not None:
            groups.setdefault(words[0], set()).add(place)
    complete = [word for word, places in groups.items() if len(places) == 3 * len(names.joints)]
    return complete if len(complete) > 1 else []


def _side_by_side(table: Table, groups: Sequence[str]) -> str:
    return (
        f"{table.path}, line {table.header_line}: expected one person in a row, found {len(groups)} side by side: "
        f"{first_cells(groups)}; write a row for each, with columns frame and person"
    )


def _scale(table: Table, positions: NDArray[np.int64]) -> float:
    """The factor to metres of the columns' unit, where the header gives one."""
    units = {table.units[column] for column in positions.ravel().tolist()}
    if units == {None}:
        return 1.0
    if len(units) > 1 or not units <= set(UNITS):
        shown = ", ".join(sorted(str(unit) for unit in units))
        where = f"{table.path}, line {table.header_line}"
        raise ClipError(f"{where}: expected one unit of length for all joints, found {shown}")
    return UNITS[str(units.pop())]


# Tables with a row for each joint


def _long(table: Table, header: Sequence[str], names: JointNames, found: _Sorted) -> Columns:
    joint = _joint_column(table, header, names, found)
    positions = np.array([[column for axis, column in sorted(found.bare)]])
    return found.columns(positions, _scale(table, positions), joint)


def _joint_column(table: Table, header: Sequence[str], names: JointNames, found: _Sorted) -> int:
    """The column that names or numbers the joint: one called so, or failing that an `id` or the like that does."""
    clear = [column for column in found.long_joint if _special(split_words(header[column])) is None]
    if len(clear) == 1:
        return clear[0]
    candidates = clear or found.long_joint
    _, first = next(table.rows(), (0, []))
    for column in candidates:
        values = {
            cells[column].strip() for _, (_, cells) in zip(range(4 * len(names.joints)), table.rows(), strict=False)
        }
        if len(values) == len(names.joints):
            return column
    raise ClipError(
        f"{table.path}, line {table.header_line}: expected columns of the {len(names.joints)} joints of {names.owner}, "
        f"or a column joint beside x, y, z; found {first_cells(header, 6)} with {first_cells(first, 6)}"
    )
