"""A text table of whatever dialect: its header and its rows of cells.

The dialect is decided by the content, never by the file's ending: cells between commas, semicolons, tabs, bars or
blanks; numbers with a decimal point or a decimal comma; cells in quotes; Excel's first line ``sep=;``. Blank lines and
lines that begin with ``#``, ``%`` or ``//`` are passed over, but the last comment before the first row that has a name
for each column is the header, as ``numpy.savetxt(header=...)`` writes it.

A header is one line of names; or of numbers 0, 1, 2, … as pandas writes for columns without names; or several lines: of
joints, then of axes (pandas' column levels), or of names, then of units. What the columns mean is decided in
:mod:`adasgn_edge.data.columns`.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from adasgn_edge.data.reading import read_lines
from adasgn_edge.errors import DatasetError
from adasgn_edge.wording import shown

__all__ = ["MISSING", "UNITS", "Dialect", "Table", "first_cells", "is_number", "read_table"]

MISSING = frozenset(
    {"", "nan", "na", "n/a", "#n/a", "#na", "#nv", "<na>", "null", "none", "nil", "missing", "-", "--", "-nan(ind)"}
    | {f"{sign}1.#{kind}" for sign in ("", "-") for kind in ("ind", "qnan", "snan")}  # as Microsoft's C library writes
)
"""Words, in small letters, for a value that is missing."""
UNITS = {
    "m": 1.0, "meter": 1.0, "meters": 1.0, "metre": 1.0, "metres": 1.0,
    "dm": 0.1, "cm": 0.01, "centimeters": 0.01, "centimetres": 0.01,
    "mm": 0.001, "millimeters": 0.001, "millimetres": 0.001, "in": 0.0254, "inch": 0.0254, "ft": 0.3048,
}  # fmt: skip
"""Units of length by the words for them, in metres."""
OTHER_UNITS = {"s", "sec", "seconds", "ms", "us", "ns", "hz", "px", "pixel", "pixels", "%", "1", "-", "", "norm", "deg"}
MOST_COLUMNS = 20_000
SAMPLE = 60
"""Lines from which the dialect is decided."""
COMMENT = re.compile(r"\s*(#(?!N/?A|NV)|%|//)")
QUOTED = re.compile(r'"[^"]*"')
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
COUNTED = re.compile(r"\d{1,8}(\.0)?")
WHOLE = re.compile(r"[+-]?\d+")
FRACTION = re.compile(r"[+-]?\d*[.,]\d+([eE][+-]?\d+)?|[+-]?\d+[eE][+-]?\d+")
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}


@dataclass(frozen=True)
class Dialect:
    """delimiter: one of DELIMITERS, a blank for any number of blanks and tabs; decimal_comma: whether 0,5 is a half."""

    delimiter: str
    decimal_comma: bool = False

    def cells(self, lines: Sequence[str]) -> Iterator[list[str]]:
        """The cells of each line, perhaps with blanks after them; raises csv.Error."""
        if self.delimiter == " ":
            lines = [line.replace("\t", " ").strip() for line in lines]
        return csv.reader(lines, delimiter=self.delimiter, skipinitialspace=True)

    def numbers(self, cells: Sequence[str]) -> list[float]:
        """The numbers in cells none of which is empty, in one go; raises ValueError where one needs a closer look."""
        if self.decimal_comma:
            joined = ";".join(cells)
            if "." in joined:
                raise ValueError(joined)
            cells = joined.replace(",", ".").split(";")
        return list(map(float, cells))

    def number(self, cell: str) -> float:
        """The number in a cell, NaN for a missing one; raises ValueError for anything else."""
        cell = cell.strip()
        if cell.lower() in MISSING:
            return math.nan
        if "_" in cell or (self.decimal_comma and "." in cell):
            raise ValueError(cell)
        return float(cell.replace(",", ".") if self.decimal_comma else cell)


@dataclass(frozen=True)
class Table:
    """A table's header and its lines.

    header: a name for each column, None without a header; header_line: its number in the file; units: for each column
    the unit that the header gives, None without; width: number of columns; spare: how many columns at the end are empty
    in every line, as separators at the end of a line make them; lines: (number in the file, text) of each row.
    """

    path: Path
    dialect: Dialect
    header: tuple[str, ...] | None
    header_line: int
    units: tuple[str | None, ...]
    width: int
    spare: int
    lines: Sequence[tuple[int, str]]

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Each row's line number and its `width` cells, perhaps with blanks after them.

        Raises DatasetError that names the line for a ragged row.
        """
        reader = self.dialect.cells([text for _, text in self.lines])
        place = 0
        try:
            for (number, text), cells in zip(self.lines, reader, strict=False):
                place = number
                if len(cells) != self.width:
                    if '"' in text and text.count('"') % 2:
                        raise DatasetError(f"{self.path}, line {number}: expected quotes in pairs, found an open one")
                    between = DELIMITERS[self.dialect.delimiter]
                    raise DatasetError(
                        f"{self.path}, line {number}: expected {self.width} cells between {between} "
                        f"as in the lines before, found {len(cells)}"
                    )
                yield number, cells
        except csv.Error as error:
            raise DatasetError(f"{self.path}, line {place + 1}: expected a row of a table, found {error}") from None


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, with a decimal point or a decimal comma."""
    try:
        float(cell.replace(",", ".", 1))
    except ValueError:
        return False
    return "_" not in cell


def first_cells(cells: Sequence[str], count: int = 4, length: int = 20) -> str:
    """The first cells of a row, for a message."""
    shown = ", ".join(cell if len(cell) <= length else f"{cell[: length - 1]}…" for cell in cells[:count])
    return f"{shown}, …" if len(cells) > count else shown


def read_table(path: Path) -> Table:
    """Read a text table. Raises DatasetError when there is none in the file, or its first lines do not fit together."""
    comments, lines = _content(path)
    delimiter = None
    if lines and (given := SEPARATOR_LINE.fullmatch(lines[0][1].strip())):
        delimiter, lines = given[1], lines[1:]
        if delimiter not in DELIMITERS:
            raise DatasetError(f"{path}, line 1: expected sep= and one of , ; tab | blank, found {shown(delimiter)}")
    if not lines:
        raise DatasetError(f"{path}: expected at least one frame, found none")
    sample = [text for _, text in lines[:SAMPLE]]
    if odd := next((number for number, text in lines[:SAMPLE] if text.count('"') % 2), None):
        raise DatasetError(f"{path}, line {odd}: expected quotes in pairs, found an open one")
    try:
        dialect = _dialect(path, sample, delimiter)
        head = [[cell.strip() for cell in row] for row in dialect.cells(sample)]
    except csv.Error as error:
        raise DatasetError(f"{path}: expected a table of numbers, found {error}") from None
    names, units, count = _header(path, lines, head)
    rows = head[count:]
    width = len(rows[0]) if rows else len(names or [])
    header_line = lines[0][0]
    for number, text in reversed(comments if names is None else []):
        if names := _comment_names(text, dialect, width):
            header_line = number
            break
    spare = 0
    while rows and spare < width and all(len(row) == width and row[width - 1 - spare] == "" for row in rows):
        spare += 1
    if width > MOST_COLUMNS:
        raise DatasetError(f"{path}: expected at most {MOST_COLUMNS} columns, found {width}")
    if names is not None and rows:
        names, units = _fitted(path, header_line, names, units, rows, spare)
    return Table(
        path=path,
        dialect=dialect,
        header=None if names is None else tuple(names),
        header_line=header_line,
        units=tuple([*(units or []), *[None] * width][:width]),
        width=width,
        spare=spare,
        lines=lines[count:],
    )


def _content(path: Path) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """The comments before the first row, and the lines that are neither blank nor comments, each with its number."""
    comments: list[tuple[int, str]] = []
    lines: list[tuple[int, str]] = []
    for number, text in enumerate(read_lines(path), 1):
        if match := COMMENT.match(text):
            if not lines:
                comments.append((number, text[match.end() :].lstrip("#%/ \t")))
        elif text.strip():
            lines.append((number, text))
    return comments, lines


def _dialect(path: Path, sample: Sequence[str], delimiter: str | None) -> Dialect:
    unquoted = [QUOTED.sub("Q", text).strip() for text in sample]

    def common(character: str) -> bool:
        return sum(character in text for text in unquoted) * 2 >= len(unquoted)

    if delimiter is None:
        delimiter = next((d for d in (";", "\t", "|", ",") if common(d)), " ")
        words = [word for text in unquoted[len(unquoted) // 2 :] for word in text.split()]
        if delimiter == "," and common(" "):
            # 0,5 0,25 or 0.5, 0.25: a decimal comma stands inside a word, one between cells at the end of one
            decimal = sum(DECIMAL_COMMA.fullmatch(word) is not None for word in words)
            whole = sum(WHOLE.fullmatch(word) is not None or word.lower() in MISSING for word in words)
            if decimal > 0 and decimal + whole == len(words):
                delimiter = " "
        elif delimiter == "\t":
            cells = [cell.split() for text in unquoted[len(unquoted) // 2 :] for cell in text.split("\t")]
            if any(len(parts) > 1 and all(map(is_number, parts)) for parts in cells):
                delimiter = " "  # blanks and tabs alike
    seen = [cell.strip() for row in Dialect(delimiter).cells(sample) for cell in row]
    decimal_comma = any(DECIMAL_COMMA.fullmatch(cell) for cell in seen)
    if decimal_comma and (point := next((c for c in seen if re.fullmatch(r"[+-]?\d*\.\d+", c)), None)):
        comma = next(cell for cell in seen if DECIMAL_COMMA.fullmatch(cell))
        found = first_cells([point, comma])
        raise DatasetError(f"{path}: expected decimal points or decimal commas, found both: {found}")
    return Dialect(delimiter, decimal_comma)


def _header(
    path: Path, lines: Sequence[tuple[int, str]], head: Sequence[list[str]]
) -> tuple[list[str] | None, list[str | None] | None, int]:
    """Names and units of the columns, None where there are none, and how many lines the header takes."""
    first = head[0]
    texts = [cell for cell in first if not is_number(cell) and cell.lower() not in MISSING]
    if not texts:
        filled = [cell for cell in first if cell]
        numbers = [int(cell.removesuffix(".0")) if COUNTED.fullmatch(cell) else -1 for cell in filled]
        counted = (
            len(filled) >= 6 and numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(filled)))
        )
        if counted and set(first[: len(first) - len(filled)]) <= {""}:
            return [cell.removesuffix(".0") for cell in first], None, 1
        return None, None, 0
    fractions = sum(FRACTION.fullmatch(cell) is not None for cell in first)
    if fractions * 2 > len(first):
        place = first.index(texts[0]) + 1
        raise DatasetError(
            f"{path}, line {lines[0][0]}: expected numbers, or a header with a name for every column; "
            f"found {shown(texts[0])} in column {place} among numbers"
        )
    axes = next((row for row in range(1, min(4, len(head))) if _is_axis_row(head[row])), None)
    units: list[str | None] | None
    if axes is None:
        names, units = _without_units(first)
        if len(head) > 1 and len(head[1]) == len(first) and _is_unit_row(head[1]):
            return names, [cell.strip("[]()").lower() or None for cell in head[1]], 2
        return names, units, 1
    names = _joined(head[axes - 1], head[axes])
    count = axes + 1
    if len(head) > count and head[count][:1] != [""] and not any(head[count][1:]):
        names[0], count = head[count][0], count + 1  # pandas' line with the name of the index
    elif len(head) > count and not any(head[count]):
        count += 1
    units = None
    if len(head) > count and len(head[count]) == len(names) and _is_unit_row(head[count]):
        units, count = [cell.strip("[]()").lower() or None for cell in head[count]], count + 1
    return names, units, count


def _is_axis_row(cells: Sequence[str]) -> bool:
    filled = [cell.lower() for cell in cells if cell]
    return len(filled) >= 3 and sum(cell in ("x", "y", "z") for cell in filled) * 2 >= len(filled)


def _is_unit_row(cells: Sequence[str]) -> bool:
    words = [cell.strip("[]()").lower() for cell in cells]
    return all(word in UNITS or word in OTHER_UNITS for word in words) and any(
        word in UNITS or word in ("px", "pixel", "pixels") for word in words
    )


def _joined(names: Sequence[str], axes: Sequence[str]) -> list[str]:
    """One name a column of a line of joints, perhaps empty where the one to the left goes on, and a line of axes."""
    joint = ""
    joined: list[str] = []
    for place, axis in enumerate(axes):
        name = names[place] if place < len(names) else ""
        joint = name or joint
        of_joint = axis.lower() in ("x", "y", "z") or (axis and joined and place > 0 and name == "")
        joined.append(f"{joint}_{axis}" if of_joint or (name and axis and name in names[:place]) else name or axis)
    return joined


def _without_units(names: Sequence[str]) -> tuple[list[str], list[str | None]]:
    """Names without units at their ends, such as "wrist_x (mm)", "wrist_x_mm" or "t [s]", and the units."""
    plain, units = [], []
    for name in names:
        match = re.fullmatch(r"(.*?)\s*[\[(]\s*([^\])]*?)\s*[\])]", name) or re.fullmatch(
            r"(.*[^a-zA-Z][xyzXYZ])[_\s.\-](m|mm|cm|px)", name
        )
        known = match is not None and match[1] != "" and (match[2].lower() in UNITS or match[2].lower() in OTHER_UNITS)
        plain.append(match[1] if match and known else name)
        units.append(match[2].lower() if match and known else None)
    return plain, units


def _comment_names(text: str, dialect: Dialect, width: int) -> list[str] | None:
    """The names in a comment, when there is one for each column: in the dialect of the rows or with commas."""
    for attempt in (dialect, Dialect(","), Dialect(" ")):
        names = [name.strip() for name in next(iter(attempt.cells([text])), [])]
        if len(names) == width and width > 2 and not all(map(is_number, names)):
            return names
    return None


def _fitted(
    path: Path,
    line: int,
    names: list[str],
    units: list[str | None] | None,
    rows: Sequence[list[str]],
    spare: int,
) -> tuple[list[str], list[str | None] | None]:
    """Names and units made as wide as the rows: empty ones at the end, or one for the line numbers that R writes."""
    width = len(rows[0])
    lacking = width - len(names)
    if 0 < lacking <= spare:
        return names + [""] * lacking, units + [None] * lacking if units else None
    if lacking == 1 and all(WHOLE.fullmatch(row[0]) for row in rows):
        return ["", *names], [None, *units] if units else None
    if lacking < 0 and not any(names[width:]):
        return names[:width], units[:width] if units else None
    if lacking:
        raise DatasetError(
            f"{path}, line {line}: expected a name for each of the {width} columns, found {len(names)} names: "
            f"{first_cells(names)}"
        )
    return names, units
