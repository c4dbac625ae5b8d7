"""The table of labels of a folder of recordings, as people and programs write it: who, what and in which split.

A line a clip below a line with the columns' names, in any order and case; cells between ``,`` ``;`` or tabs:

``file``     the clip, relative to the folder (also: filename, path, clip, name, recording)
``label``    its class: a name or a number (also: class, gesture, action, category)
``split``    (may be missing) ``train`` or ``test``, for all or for none (also: set, subset, partition)
``subject``  (may be missing) who was recorded (also: person, performer, participant, actor, user, group, view)

Further columns are passed over and named in a note; an unnamed one of row numbers, as pandas writes it, without one.
Names of classes and subjects that differ only by case, blanks, Unicode form or a number's padding are an error: two
such classes are never meant. If all labels are whole numbers, 1, 01 and 1.0 are one class.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from adasgn_edge.data.reading import read_lines
from adasgn_edge.errors import DatasetError
from adasgn_edge.wording import listed, nearest, shown

__all__ = ["LABEL_TABLE", "LabelRow", "LabelTable", "numbered_labels", "read_label_table", "table_line"]

LABEL_TABLE = "labels.csv"
DELIMITERS = (",", ";", "\t", "|")
COLUMNS = {
    "file": ("file", "filename", "path", "filepath", "clip", "name", "recording"),
    "label": ("label", "class", "gesture", "action", "category", "classname", "labelname"),
    "split": ("split", "set", "subset", "partition"),
    "subject": ("subject", "person", "performer", "participant", "actor", "user", "group", "view"),
}
"""What a column may be called, without regard to case, blanks and underscores; the first name of each is preferred."""
SPLIT_WORDS = {"train": "train", "training": "train", "test": "test", "testing": "test", "eval": "test"}
VALIDATION_WORDS = ("val", "valid", "validation", "dev", "development")
BLANK_WORDS = ("nan", "n/a", "#n/a", "<na>")
"""What programs write for an empty cell."""
HEADINGS = (*COLUMNS["label"], "classes", "classnames", "gestures", "actions", "labels", "name", "names")
"""What is no class but the heading of a list of classes."""

_WHOLE = re.compile(r"[+-]?\d{1,100}([.,]0*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


class LabelRow(NamedTuple):
    """A line of the table. split: "train", "test", or "" without such a column; subject: "" without such a column."""

    line: int
    file: str
    label: str
    split: str
    subject: str


class LabelTable(NamedTuple):
    """A table that was read: at least one row; notes: what was passed over, for a warning each."""

    path: Path
    rows: tuple[LabelRow, ...]
    notes: tuple[str, ...]

    @property
    def says_split(self) -> bool:
        """Whether it says which clips test; all rows do or none."""
        return bool(self.rows[0].split)

    def where(self, row: LabelRow) -> str:
        """A row's place, for messages."""
        return f"{self.path}, line {row.line}"


def read_label_table(path: Path) -> LabelTable:
    """Read the table; raises DatasetError that names the line for anything that cannot be read in one way only."""
    lines = read_lines(path)
    start, delimiter, header = _header(path, lines)
    places, ignored = _columns(path, header)
    cells = _cells(path, lines, start, delimiter)
    if not cells:
        raise DatasetError(f"{path}: expected at least one recording below the first line, found none")
    for role in ("split", "subject"):  # a column that nobody filled in is as good as none
        if role in places and not any(row[places[role] : places[role] + 1] != [""] for _, row in cells):
            ignored.append(places.pop(role))
    rows = [_row(path, line, row, header, places, delimiter) for line, row in cells]
    rows = _canonical(path, rows, "label")
    rows = _canonical(path, rows, "subject")
    passed = [place for place in ignored if not _says_nothing(place, header[place], [row for _, row in cells])]
    notes = []
    if passed:
        names = [header[place] or f"column {place + 1} (without a name)" for place in passed]
        used = ", ".join(f"{header[place]!r} as the {role}" for role, place in places.items())
        notes.append(f"{path}: columns passed over: {listed(names)}; used are {used}")
    return LabelTable(path, tuple(rows), tuple(notes))


def table_line(table: LabelTable | None, file: str, label: str, subject: str) -> str:
    """A further line, with its end, in the form of a table: its columns, their order, its delimiter.

    table: None for one of the columns file, label and, where there is one, subject. Raises DatasetError for a table
    that cannot take the line: its columns say more or less of a clip, or a name differs from one of its names only in
    how it is written.
    """
    cells = {"file": file, "label": label, "subject": subject}
    header, delimiter = ["file", "label", *(["subject"] if subject else [])], ","
    places: dict[str, int] = {}
    if table is not None:
        lines = read_lines(table.path)
        _, delimiter, header = _header(table.path, lines)
        places, _ = _columns(table.path, header)
        has_subjects = any(row.subject for row in table.rows)
        if table.says_split:
            raise DatasetError(
                f"{table.path}: expected a table without the column split, found one: nobody knows the split of a new "
                "clip; take the column out, or record elsewhere"
            )
        if has_subjects != bool(subject):
            expected = "a subject, as its other clips have one" if has_subjects else "none, as its clips have none"
            raise DatasetError(f"{table.path}: expected {expected}; found {shown(subject) if subject else 'none'}")
        for role in ("label", "subject"):
            _canonical(table.path, [*table.rows, LabelRow(len(table.rows) + 2, file, label, "", subject)], role)
    else:
        places = {name: place for place, name in enumerate(header)}
    line = [""] * len(header)
    for role, place in places.items():
        line[place] = cells.get(role, "")
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="\n").writerow(line)
    return written.getvalue()


def numbered_labels(table: LabelTable, class_list: Path) -> tuple[tuple[str, ...], list[int], list[str]]:
    """The classes' names, each row's label as a number from 0, and notes.

    Without a class list the classes are the table's labels, in order of number or of the alphabet. With one, labels are
    names in it, or numbers: from 0 if some label is 0, from 1 if some label is the number of classes; raises
    DatasetError when neither or both is so, and when the names in the list are themselves numbers that labels miss.
    """
    if not (class_list.exists() or class_list.is_symlink()):
        found = sorted({row.label for row in table.rows})
        if all(map(_WHOLE.fullmatch, found)):
            found.sort(key=int)
        return tuple(found), [found.index(row.label) for row in table.rows], _class_notes(table.path, found, found)
    names = _class_list(class_list)
    places = {_spelling(name): place for place, name in enumerate(names)}
    numbered = not any(_WHOLE.fullmatch(name) for name in names)
    offset = _first_number(table, names, places) if numbered else 0
    labels: list[int] = []
    for row in table.rows:
        place = places.get(_spelling(row.label))
        if place is None and numbered and _WHOLE.fullmatch(row.label):
            place = int(_whole(row.label)) - offset
        if place is None or not 0 <= place < len(names):
            numbers = f"a number from {offset} to {len(names) - 1 + offset}, or " if numbered else ""
            like = nearest(row.label, names)
            raise DatasetError(
                f"{table.where(row)}: expected as label {numbers}one of {listed(names)} ({class_list.name}); "
                f"found {shown(row.label)}{f', is {shown(like)} meant?' if like else ''}"
            )
        labels.append(place)
    return names, labels, _class_notes(class_list, names, [names[place] for place in set(labels)])


def _header(path: Path, lines: Sequence[str]) -> tuple[int, str, list[str]]:
    """How many lines the header and what precedes it take, the delimiter, and the columns' names."""
    start = 0
    while start < len(lines) and (not lines[start].strip() or lines[start].lstrip().startswith("#")):
        start += 1
    delimiters: Sequence[str] = DELIMITERS
    if start < len(lines) and (told := re.fullmatch(r"\"?sep=(.)\"?[,;\t]*", lines[start].rstrip("\n"), re.IGNORECASE)):
        start, delimiters = start + 1, (told[1],)
    first = lines[start] if start < len(lines) else ""
    for delimiter in delimiters:
        header = [cell.strip() for cell in _split_line(first, delimiter)]
        plain = [_plain(cell) for cell in header]
        if all(any(name in plain for name in COLUMNS[role]) for role in ("file", "label")):
            return start + 1, delimiter, header
    raise DatasetError(
        f"{path}, line {start + 1}: expected the columns' names, file and label (and split, subject if you like), such "
        f"as file,label,split; found {shown(first, 100)}"
    )


def _columns(path: Path, header: Sequence[str]) -> tuple[dict[str, int], list[int]]:
    """The place of each column that is used, and the places of the others; an exact name goes before its synonyms."""
    plain = [_plain(cell) for cell in header]
    places: dict[str, int] = {}
    for role, names in COLUMNS.items():
        exact = [place for place, name in enumerate(plain) if name == names[0]]
        found = exact or [place for place, name in enumerate(plain) if name in names]
        if len(found) > 1:
            both = " and ".join(repr(header[place]) for place in found[:2])
            raise DatasetError(f"{path}: expected one column with the {role}, found {both}; call one of them {role!r}")
        if found:
            places[role] = found[0]
    return places, [place for place in range(len(header)) if place not in places.values()]


def _cells(path: Path, lines: Sequence[str], start: int, delimiter: str) -> list[tuple[int, list[str]]]:
    """Trimmed cells of every line below the header that has any, with the line's number from 1."""
    whole_lines = (f"{line}\n" for line in lines[start:])  # a cell in quotes may go over several
    reader = csv.reader(whole_lines, delimiter=delimiter, skipinitialspace=delimiter != "\t", strict=True)
    found = []
    try:
        for row in reader:
            cells = [_cell(text) for text in row]
            if any(cells):
                found.append((start + reader.line_num, cells))
    except csv.Error as error:  # an open quote would otherwise swallow all lines that follow
        raise DatasetError(
            f"{path}, line {start + reader.line_num}: expected cells and whole quotes ({error})"
        ) from None
    return found


def _cell(text: str) -> str:
    """What a cell says: one line, and nothing for what programs write when there is nothing."""
    text = " ".join(part.strip() for part in text.strip().split("\n"))
    return "" if text.lower() in BLANK_WORDS else text


def _row(
    path: Path, line: int, cells: list[str], header: Sequence[str], places: Mapping[str, int], delimiter: str
) -> LabelRow:
    where = f"{path}, line {line}"
    if any(cells[len(header) :]):
        raise DatasetError(
            f"{where}: expected {len(header)} cells, found {len(cells)}: {shown(delimiter.join(cells), 100)}; "
            f"a cell with {delimiter!r} in it needs quotes"
        )
    cells = cells + [""] * (len(header) - len(cells))
    for role, place in places.items():
        if not cells[place]:
            expected = ",".join(header[place] for place in sorted(places.values()))
            raise DatasetError(f"{where}: expected {expected}, found no {role} in {shown(delimiter.join(cells), 100)}")
    split = cells[places["split"]].lower() if "split" in places else ""
    if split in VALIDATION_WORDS:
        raise DatasetError(
            f"{where}: expected the split train or test, found {split!r}; there is no third: call clips to learn from "
            "train, those to measure on test, and take out the lines of the others"
        )
    if split and split not in SPLIT_WORDS:
        raise DatasetError(f"{where}: expected the split train or test, found {shown(cells[places['split']])}")
    subject = cells[places["subject"]] if "subject" in places else ""
    return LabelRow(line, cells[places["file"]], cells[places["label"]], SPLIT_WORDS.get(split, ""), subject)


def _canonical(path: Path, rows: Sequence[LabelRow], role: str) -> list[LabelRow]:
    """The rows with whole numbers written in one way where all are such; raises for names that are all but equal."""
    lines: dict[str, int] = {}
    for row in rows:
        lines.setdefault(getattr(row, role), row.line)
    names: Callable[[str], str] = str
    if all(map(_WHOLE.fullmatch, lines)):
        names = _whole
    elif role == "label" and all(map(_NUMBER.fullmatch, lines)):
        odd = next(name for name in lines if not _WHOLE.fullmatch(name))
        raise DatasetError(f"{path}, line {lines[odd]}: expected a name or a whole number as label, found {shown(odd)}")
    else:
        _check_spellings(str(path), role, lines)
    if role == "label":
        return [row._replace(label=names(row.label)) for row in rows]
    return [row._replace(subject=names(row.subject)) for row in rows]


def _class_list(path: Path) -> tuple[str, ...]:
    lines = [line.strip() for line in read_lines(path)]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise DatasetError(f"{path}: expected different class names, a line each, found none")
    if any(_plain(cell) in HEADINGS for cell in re.split("[,;\t]", lines[0])):
        raise DatasetError(f"{path}, line 1: expected the name of a class, found the heading {shown(lines[0])}")
    first: dict[str, int] = {}
    for number, name in enumerate(lines, 1):
        if not name or name in first:
            found = f"{shown(name)} again (it is also line {first[name]})" if name else "none"
            raise DatasetError(f"{path}, line {number}: expected different class names, a line each, found {found}")
        first[name] = number
    _check_spellings(str(path), "class", first)
    return tuple(lines)


def _first_number(table: LabelTable, names: Sequence[str], places: Mapping[str, int]) -> int:
    """What labels that are numbers count from: 0 or 1."""
    rows = {
        int(_whole(row.label)): row
        for row in table.rows
        if _spelling(row.label) not in places and _WHOLE.fullmatch(row.label)
    }
    if not rows or 0 in rows:
        return 0
    if len(names) in rows and min(rows) > 0:
        return 1
    if all(0 < number < len(names) for number in rows):
        number, row = next(iter(rows.items()))
        raise DatasetError(
            f"{table.where(row)}: expected numbers from 0 or from 1, but none is 0 and none is {len(names)}, so that "
            f"{number} may be {shown(names[number])} or {shown(names[number - 1])}; write the classes' names as labels"
        )
    return 0


def _class_notes(path: Path, names: Sequence[str], used: Sequence[str]) -> list[str]:
    notes = []
    if unused := [name for name in names if name not in set(used)]:
        notes.append(f"{path}: classes without a clip: {listed(unused)}")
    if len(used) == 1:
        notes.append(f"{path}: all clips are of one class, {shown(used[0])}: there is nothing to learn")
    return notes


def _check_spellings(where: str, role: str, lines: Mapping[str, int]) -> None:
    """Raise DatasetError for two names that are all but equal; lines: each name and the line it is first found in."""
    seen: dict[str, str] = {}
    for name, line in lines.items():
        other = seen.setdefault(_spelling(name), name)
        if other != name:
            same = unicodedata.normalize("NFC", other) == unicodedata.normalize("NFC", name)
            one, two = (ascii(text) if same else repr(text) for text in (other[:60], name[:60]))
            raise DatasetError(
                f"{where}, lines {lines[other]} and {line}: the {role} names {one} and {two} differ only in how they "
                "are written (case, blanks, padding, Unicode form); write the same name everywhere"
            )


def _spelling(name: str) -> str:
    """The same for names that look or read alike: case, blanks, invisible characters and a number's padding aside."""
    if _WHOLE.fullmatch(name):
        return _whole(name)
    visible = "".join(letter for letter in unicodedata.normalize("NFC", name) if unicodedata.category(letter) != "Cf")
    return " ".join(unicodedata.normalize("NFC", visible.lower()).replace("_", " ").split())


def _whole(text: str) -> str:
    return str(int(re.split("[.,]", text)[0])) if text else ""


def _plain(name: str) -> str:
    """A column's name without case, blanks, invisible characters, underscores and hyphens."""
    return re.sub(r"[\s_\-\u200b\ufeff]+", "", name).lower()


def _split_line(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=delimiter != "\t"), [])
    except csv.Error:
        return []


def _says_nothing(place: int, name: str, rows: Sequence[Sequence[str]]) -> bool:
    """Whether a column may be passed over without a word: it is empty, or the row numbers that pandas writes."""
    cells = [row[place] if place < len(row) else "" for row in rows]
    if not any(cells):
        return True
    return place == 0 and (not name or name.lower().startswith("unnamed")) and all(map(_WHOLE.fullmatch, cells))
