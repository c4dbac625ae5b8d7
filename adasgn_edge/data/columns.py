"""What the columns of a table are: by their names where they have names, else by their number.

A joint's column is its name and an axis, in any case, in front or behind, with any separator or none: ``wrist_x``,
``x_wrist``, ``WRIST.X``, ``wristX``, ``left hand tip x``, ``HandTipLeft_X``; or the joint's number from 0 or 1: ``x0``,
``joint_0_x``, ``0_x``. Columns may come in any order. Columns numbered on and on (``0,1,2,…``, ``c0,c1,…``), or
``x,y,z,x,y,z,…``, are in the layout's order. Beside them are understood:

==============  =====================================================================================================
frame           ``frame``, ``frame_id``, …: the frame's number; ``time``, ``timestamp``, …: orders frames
person          ``person``, ``id``, ``track``, ``hand``, ``handedness``, …: who it is, all such columns together
confidence      ``wrist_confidence``, ``wrist_visibility``, … of a joint, or ``confidence``, ``score`` of the row: where
                it is 0, the joint, or all joints of the row, are missing; otherwise not used
index           a column without a name, ``Unnamed: 0``, ``index``: the line's number; not used
joint           with one column each of x, y, z: a row is one joint in one frame ("long" tables)
remarks         ``label``, ``subject``, ``file``, …: not used, but must be the same in every row of a clip
==============  =====================================================================================================

Rotations and velocities (``wrist_qx``, ``wrist_vx``) are passed over when all positions are there by name, and so are
columns that are not understood, with a warning. Anything else is an error that names what is missing.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.data.reading import shortened
from adasgn_edge.data.sources import Source, sources_for
from adasgn_edge.data.tables import UNITS, Table, first_cells
from adasgn_edge.errors import ClipError
from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["Columns", "JointNames", "find_columns", "shape_hint"]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


FRAME = _names(
    "frame frames frameid frameindex frameidx frameno framenr framenum framenumber nframe framecount fr seq sequence"
)
INDEX = _names("index idx row rowid rowindex line lineno nr no number unnamed0 level0 bodyparts coords scorer")
TIME = _names(
    "time times timestamp timestamps stamp t ts timems timens timeus timesec timeseconds timestampms timestampns "
    "timestampus timestampsec seconds sec secs ms msec milliseconds microseconds nanoseconds us ns date datetime "
    "elapsed elapsedtime clock headerstamp systemtime devicetime"
)
PERSON = _names(
    "person persons personid personindex personidx personname id body bodyid bodyindex bodyidx bodynumber track "
    "trackid tracker trackerid trackingid tracking hand handid handindex handidx handnumber handno handedness side "
    "user userid skeleton skeletonid skeletonindex player playerid object objectid people peopleid human humanid "
    "actor name"
)
JOINT = _names(
    "joint joints jointname jointid jointindex jointidx jointno jointnumber jointtype landmark landmarks landmarkname "
    "landmarkid landmarkindex landmarkidx keypoint keypointname keypointid keypointindex keypointidx kp kpid kpname "
    "bone marker markername markerid point pointid pointname node nodeid nodename part bodypart partname name id index "
    "idx type"
)
CONFIDENCE = _names(
    "c conf confidence score scores visibility vis visible presence likelihood prob probability valid isvalid tracked "
    "istracked state status quality certainty trackingstate trackingconfidence"
)
REMARKS = _names(
    "label labels gesture gestureid gesturename class classid classname action actionid actionname activity category "
    "target y_true subject subjectid session sessionid file filename path clip clipid video videoid sample sampleid "
    "take trial repetition rep essai split fps rate dataset camera view setup participant source device note comment"
)
FILLERS = _names(
    "pos position positions p t trans translation location loc world global camera coord coords coordinate landmark "
    "landmarks keypoint kp 3d tracking"
)
OTHER_QUANTITIES = _names(
    "q quat quaternion rot rotation r orientation orient o euler angle angles v vel velocity a acc acceleration speed "
    "w omega normal dir direction size width radius"
)
SYNONYMS = {"l": "left", "r": "right", "pinky": "little", "pinkie": "little", "centre": "center"}
AXES = "xyz"
NUMBERED_JOINT = re.compile(r"(?:j|jt|joint|kp|keypoint|lm|landmark|p|pt|point|marker|node|hand|pose|body)?0*(\d+)")
NUMBERED = re.compile(r"(.*?)(\d+)")


@dataclass(frozen=True)
class JointNames:
    """The joints that a file should hold, in its order, and whose they are: the layout's, or a source's."""

    joints: tuple[str, ...]
    layout: SkeletonLayout
    source: Source | None = None

    @classmethod
    def of(cls, layout: SkeletonLayout, source: Source | None) -> JointNames:
        """Those of the source, or without one of the layout."""
        return cls(source.joints if source else layout.joints, layout, source)

    @property
    def owner(self) -> str:
        """For messages."""
        return f"source {self.source.name!r}" if self.source else f"layout {self.layout.name!r}"


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
    sorted_columns = _sort_columns(table, table.header, names)
    if sorted_columns.is_long:
        return _long(table, table.header, names, sorted_columns)
    positions = _by_name(table, names, sorted_columns)
    if positions is None:
        positions = _in_order(table, names, sorted_columns)
    if positions is None:
        raise ClipError(_what_is_missing(table, names, sorted_columns))
    return sorted_columns.columns(positions, _scale(table, positions))


def shape_hint(joints: float, names: JointNames) -> str:
    """What a number of joints tells: the sources that have as many, and how they are read; else nothing."""
    if names.source is not None:
        return ""
    found = [source for source in sources_for(names.layout) if len(source.joints) == joints]
    if not found:
        return ""
    return f"; {joints:g} joints: perhaps those of {' or '.join(s.name for s in found)}: {_advice(found)}"


def _advice(found: Sequence[Source]) -> str:
    first = found[0]
    extra = first.options.removeprefix(f"--source {first.name}").strip()
    return f"read it with --source {first.name}" + (f" (recordings as they come: {extra} too)" if extra else "")


# Columns without names


def _without_header(table: Table, names: JointNames) -> Columns:
    count = 3 * len(names.joints)
    if table.width - table.spare <= count <= table.width:
        return Columns(np.arange(count).reshape(-1, 3))
    _, cells = next(table.rows())
    width = table.width - table.spare
    hint = shape_hint(width / 3, names)
    if not hint and width > count and width < count + 8:
        example = f"frame,{names.joints[0]}_x,{names.joints[0]}_y"
        hint = f"; a header line names further columns: {example},… or 0,1,2,… after it"
    if not hint and width == 2 * len(names.joints):
        hint = "; the model needs x, y and z"
    if not hint and width == 4 * len(names.joints):
        example = f"{names.joints[0]}_x,…,{names.joints[0]}_confidence"
        hint = f"; with a confidence, name the columns in a header line: {example}"
    raise ClipError(
        f"{table.path}, line {table.lines[0][0]}: expected {count} numbers (x, y, z of the {len(names.joints)} joints "
        f"of {names.owner}), found {width}: {first_cells(cells)}{hint}"
    )


# Columns with names


@dataclass
class _Sorted:
    """The columns by what their names say; numbers are columns."""

    joints: dict[tuple[int, int], int] = field(default_factory=dict)  # (joint, axis)
    confidences: dict[int, int] = field(default_factory=dict)
    numbered: dict[tuple[int, int], int] = field(default_factory=dict)  # (number in the name, axis); bare x: -1
    bare: list[tuple[int, int]] = field(default_factory=list)  # (axis, column) of each x, y, z without a name
    long_joint: list[int] = field(default_factory=list)
    special: dict[str, list[int]] = field(default_factory=dict)
    unknown: list[int] = field(default_factory=list)

    @property
    def is_long(self) -> bool:
        """Whether there is one column each of x, y and z, and one that may name the joint."""
        once = sorted(axis for axis, _ in self.bare) == [0, 1, 2] and all(number < 0 for number, _ in self.numbered)
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


def _sort_columns(table: Table, header: Sequence[str], names: JointNames) -> _Sorted:
    found = _Sorted()
    keys = _joint_keys(names.joints)
    named = Counter(name.strip().casefold() for name in header)
    for column, name in enumerate(header):
        words = _words(name)
        compact = "".join(words)
        if compact in JOINT:
            found.long_joint.append(column)
        kind = _special(compact)
        if kind:
            found.special.setdefault(kind, []).append(column)
            continue
        place = _joint_and_axis(words, keys)
        if place is None and len(words) > 1 and (joint := _joint_confidence(words, keys)) is not None:
            found.confidences[joint] = column
        elif place is None and (bare := _numbered_axis(words)) is not None:
            number, axis = bare
            if number < 0:
                found.bare.append((axis, column))
            if named[name.strip().casefold()] == 1:
                found.numbered[number, axis] = column
        elif place is None:
            if not _other_quantity(words, keys):
                found.unknown.append(column)
        elif place in found.joints:
            other = found.joints[place]
            twice = f"{names.joints[place[0]]} {AXES[place[1]]}"
            raise ClipError(
                f"{table.path}, line {table.header_line}: expected one column for {twice}, found two: column "
                f"{other + 1} ({shortened(header[other])}) and column {column + 1} ({shortened(name)})"
            )
        else:
            found.joints[place] = column
    for name, times in named.items():
        if times > 1 and name and name not in AXES and not name.isdecimal() and _special("".join(_words(name))):
            raise ClipError(
                f"{table.path}, line {table.header_line}: expected one column {shortened(name)}, found {times}"
            )
    return found


def _words(name: str) -> list[str]:
    """The words of a name in small letters: split at separators, and at capital letters after small ones."""
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", re.sub(r"([A-Z])([A-Z][a-z])", r"\1 \2", name))
    return re.findall(r"[^\W_]+", name.casefold())


def _key(words: Sequence[str]) -> str:
    """What is the same for all spellings of a joint's name: no separators, the side first."""
    key = "".join(SYNONYMS.get(word, word) for word in words)
    for side in ("left", "right"):
        if key.endswith(side) and key != side:
            return side + key[: -len(side)]
    return key


def _joint_keys(joints: Sequence[str]) -> dict[str, int]:
    keys = {_key(_words(joint)): index for index, joint in enumerate(joints)}
    return keys if len(keys) == len(joints) else {"".join(_words(joint)): index for index, joint in enumerate(joints)}


def _find(words: Sequence[str], keys: dict[str, int]) -> int | None:
    for fillers in ((), FILLERS, {*FILLERS, "joint"}):
        kept = [word for word in words if word not in fillers]
        for key in (_key(kept), "".join(kept)):
            if key in keys:
                return keys[key]
    return None


def _axis_splits(words: Sequence[str]) -> list[tuple[int, list[str]]]:
    """The ways to split off an axis: a word of its own behind or in front, a letter at the end or the beginning."""
    splits = []
    if words and words[-1] in tuple(AXES):
        splits.append((AXES.index(words[-1]), list(words[:-1])))
    if words and words[0] in tuple(AXES):
        splits.append((AXES.index(words[0]), list(words[1:])))
    if words and len(words[-1]) > 1 and words[-1][-1] in AXES:
        splits.append((AXES.index(words[-1][-1]), [*words[:-1], words[-1][:-1]]))
    if words and len(words[0]) > 1 and words[0][0] in AXES:
        splits.append((AXES.index(words[0][0]), [words[0][1:], *words[1:]]))
    return splits


def _joint_and_axis(words: Sequence[str], keys: dict[str, int]) -> tuple[int, int] | None:
    for axis, rest in _axis_splits(words):
        if rest and (joint := _find(rest, keys)) is not None:
            return joint, axis
    return None


def _joint_confidence(words: Sequence[str], keys: dict[str, int]) -> int | None:
    for word, rest in ((words[-1], words[:-1]), (words[0], words[1:])):
        if word in CONFIDENCE and (joint := _find(rest, keys)) is not None:
            return joint
    return None


def _numbered_axis(words: Sequence[str]) -> tuple[int, int] | None:
    """Number and axis of names such as x0, joint_0_x; -1 for a bare x."""
    for axis, rest in _axis_splits(words):
        kept = "".join(word for word in rest if word not in FILLERS)
        if not kept:
            return -1, axis
        if (match := NUMBERED_JOINT.fullmatch(kept)) and len(match[1]) < 9:
            return int(match[1]), axis
    return None


def _other_quantity(words: Sequence[str], keys: dict[str, int]) -> bool:
    """Whether a name is that of a rotation, velocity and so on of a joint, or of a joint's confidence by number."""
    for rest in [list(words), *(rest for _, rest in _axis_splits(words))]:
        split = [
            part for word in rest for part in ((word[:-1], word[-1]) if word[-1:] in ("q", "r", "v", "w") else (word,))
        ]
        for attempt in (rest, split):
            kept = [word for word in attempt if word and word not in OTHER_QUANTITIES]
            numbered = NUMBERED_JOINT.fullmatch("".join(kept)) is not None
            if len(kept) < len([w for w in attempt if w]) and (numbered or _find(kept, keys) is not None):
                return True
    return bool(words) and words[-1] in CONFIDENCE and NUMBERED_JOINT.fullmatch("".join(words[:-1])) is not None


def _special(compact: str) -> str | None:
    kinds = (("frame", FRAME), ("time", TIME), ("person", PERSON), ("confidence", CONFIDENCE), ("remark", REMARKS))
    if compact == "" or compact in INDEX:
        return "index"
    return next((kind for kind, words in kinds if compact in words), None)


def _by_name(table: Table, names: JointNames, found: _Sorted) -> NDArray[np.int64] | None:
    """The columns of every joint by its name, else by its number in its name; None when one is missing."""
    count = len(names.joints)
    if len(found.joints) == 3 * count:
        _warn_of_unknown(table, found, [*found.numbered.values()])
        return np.array([[found.joints[joint, axis] for axis in range(3)] for joint in range(count)])
    if found.joints:
        return None
    numbers = sorted({number for number, _ in found.numbered})
    first = 1 if numbers[:2] == [1, 2] else 0  # a bare x, pandas' name for the first of several, stands for 0
    if numbers and numbers[0] == -1:
        numbers, bare = [0, *numbers[1:]], True
    else:
        bare = False
    if numbers == list(range(first, first + count)) and len(found.numbered) == 3 * count:
        _warn_of_unknown(table, found, [])
        return np.array(
            [
                [found.numbered[-1 if bare and joint == 0 else joint + first, axis] for axis in range(3)]
                for joint in range(count)
            ]
        )
    return None


def _in_order(table: Table, names: JointNames, found: _Sorted) -> NDArray[np.int64] | None:
    """The columns in the layout's order: numbered on and on, or x, y, z again and again; None for other names."""
    count = 3 * len(names.joints)
    header = table.header or ()
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


def _warn_of_unknown(table: Table, found: _Sorted, more: Sequence[int]) -> None:
    header = table.header or ()
    unknown = sorted([*found.unknown, *more])
    if unknown:
        shown = first_cells([header[column] for column in unknown])
        warnings.warn(f"{table.path}: columns not used: {shown}", stacklevel=2)


def _what_is_missing(table: Table, names: JointNames, found: _Sorted) -> str:
    header, count = table.header or (), len(names.joints)
    where = f"{table.path}, line {table.header_line}"
    expected = f"{where}: expected columns x, y, z of the {count} joints of {names.owner}"
    whole = [joint for joint in range(count) if all((joint, axis) in found.joints for axis in range(3))]
    axes = {axis for _, axis in found.joints} | {axis for _, axis in found.numbered} | {axis for axis, _ in found.bare}
    if axes and 2 not in axes:
        return f"{expected}, found no z: {first_cells(header)}; the model needs three-dimensional coordinates"
    if hint := _source_hint(header, names):
        return f"{expected}, found those of {hint}"
    columns = len(found.numbered) or len(found.unknown)
    if not found.joints and columns:
        hint = shape_hint(max(len(found.numbered), len(found.bare), len(found.unknown)) / 3, names)
        how = hint or f", such as {names.joints[0]}_x, or without a header in the layout's order"
        return f"{expected}, found {columns} others: {first_cells(header, 6)}{how}"
    absent = [names.joints[joint] for joint in range(count) if joint not in whole]
    others = [header[column] for column in found.unknown]
    unknown = f"; not understood: {first_cells(others)}" if others else ""
    return f"{expected}; joints without columns: {first_cells(absent, 6)}{unknown or f'; found {first_cells(header)}'}"


def _source_hint(header: Sequence[str], names: JointNames) -> str:
    """The source whose joints' names the header has, nearly all of them, and how it is read."""
    if names.source is not None:
        return ""
    best: list[Source] = []
    for source in sources_for(names.layout):
        keys = _joint_keys(source.joints)
        hits = {_joint_and_axis(_words(name), keys) for name in header} - {None}
        if len(hits) >= 2.9 * len(source.joints):
            best.append(source)
    best.sort(key=lambda source: -len(source.joints))
    return f"{best[0].name}: {_advice(best)}" if best else ""


def _scale(table: Table, positions: NDArray[np.int64]) -> float:
    """The factor to metres of the columns' unit, where the header gives one."""
    units = {table.units[column] for column in positions.ravel().tolist()}
    if units == {None}:
        return 1.0
    if len(units) > 1 or not units <= set(UNITS):
        shown = ", ".join(sorted(str(unit) for unit in units))
        raise ClipError(
            f"{table.path}, line {table.header_line}: expected one unit of length for all joints, found {shown}"
        )
    return UNITS[str(units.pop())]


# Tables with a row for each joint


def _long(table: Table, header: Sequence[str], names: JointNames, found: _Sorted) -> Columns:
    joint = _joint_column(table, header, names, found)
    positions = np.array([[column for axis, column in sorted(found.bare)]])
    return found.columns(positions, _scale(table, positions), joint)


def _joint_column(table: Table, header: Sequence[str], names: JointNames, found: _Sorted) -> int:
    """The column that names or numbers the joint: one called so, or failing that an `id` or the like that does."""
    clear = [column for column in found.long_joint if _special("".join(_words(header[column]))) is None]
    if len(clear) == 1:
        return clear[0]
    candidates = clear or found.long_joint
    _, first = next(table.rows(), (0, []))
    for column in candidates:
        values = {cells[column] for _, (_, cells) in zip(range(4 * len(names.joints)), table.rows(), strict=False)}
        if len(values) == len(names.joints):
            return column
    raise ClipError(
        f"{table.path}, line {table.header_line}: expected columns of the {len(names.joints)} joints of {names.owner}, "
        f"or a column joint beside x, y, z; found {first_cells(header, 6)} with {first_cells(first, 6)}"
    )


def joint_numbers(path: Path, cells: Sequence[str], names: JointNames) -> list[int]:
    """The joint of each row of a long table: by its name, or its number from 0 or 1. Raises ClipError."""
    keys, count = _joint_keys(names.joints), len(names.joints)
    known = {cell: _find(_words(cell), keys) for cell in set(cells)}
    if any(joint is None for joint in known.values()):
        numbers = {cell: NUMBERED_JOINT.fullmatch(cell.removesuffix(".0").casefold()) for cell in known}
        if all(numbers.values()):
            values = {cell: int(match[1]) for cell, match in numbers.items() if match and len(match[1]) < 9}
            first = 1 if values and min(values.values()) == 1 and max(values.values()) == count else 0
            if len(values) == len(known) and max(values.values()) - first < count:
                return [values[cell] - first for cell in cells]
            hint = shape_hint(max(values.values(), default=0) - first + 1, names)
            raise ClipError(
                f"{path}: expected joints 0 to {count - 1} of {names.owner}, found {len(known)} others{hint}"
            )
        wrong = next(cell for cell, joint in known.items() if joint is None)
        hint = _source_hint([f"{cell}_{axis}" for cell in known for axis in AXES], names)
        hint = f": joints of {hint}" if hint else ""
        raise ClipError(f"{path}: expected joints of {names.owner}, found {shortened(wrong)}{hint}")
    return [joint for cell in cells if (joint := known[cell]) is not None]
