"""What the readers share: the text of a file, rows of numbers from it, and what happens to a broken sample."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.errors import ClipError, DatasetError
from adasgn_edge.regular_file import read_regular_file
from adasgn_edge.wording import printable, shown, warn

__all__ = [
    "LARGEST_FILE",
    "BadSamples",
    "check_bad_sample_choice",
    "read_at_most",
    "read_bytes",
    "read_lines",
    "read_number_rows",
    "warn_left_out",
]

BAD_SAMPLE_CHOICES = ("error", "skip")
SKIPPING = "on_bad_sample='skip', as option --on-bad-sample skip, leaves such samples out"
MOST_NAMED = 10
"""Of so many broken samples a warning says what is wrong; a data set's `left_out` says it of all."""
LARGEST_FILE = 256 << 20
"""Bytes of a file that are read at most, and of what a compressed one becomes: hours of recording."""
_CHUNK = 1 << 20
BYTE_ORDER_MARKS = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


OTHER_KINDS = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook: save the sheet as .csv"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook: save the sheet as .csv"),
    (b"\x93NUMPY", "a NumPy array: call it .npy"),
)
"""First bytes of files that are given the name of a text."""


def read_bytes(path: Path) -> bytes:
    """The content of a regular file, decompressed when its name ends in ``.gz`` or its first bytes are gzip's.

    Raises DatasetError for what is no file (nothing, a folder, a pipe, a device), cannot be read, is damaged, or is
    larger than LARGEST_FILE before or after it is decompressed.
    """
    content = read_regular_file(path, "a file", LARGEST_FILE, DatasetError)
    if path.suffix.lower() != ".gz" and not content.startswith(b"\x1f\x8b"):
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            content = read_at_most(file, LARGEST_FILE + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(
            f"{path}: expected a file compressed by gzip, found a damaged or another one ({error})"
        ) from None
    if len(content) > LARGEST_FILE:
        raise DatasetError(f"{path}: expected at most {LARGEST_FILE >> 20} MB when decompressed, found more")
    return content


class Readable(Protocol):
    """An open file."""

    def read(self, size: int, /) -> bytes:
        """The next so many bytes at most."""


def read_at_most(file: Readable, most: int) -> bytes:
    """What is left of a compressed file, up to so many bytes; memory is taken for what comes and not for what may."""
    found = bytearray()
    while len(found) < most and (chunk := file.read(min(_CHUNK, most - len(found)))):
        found += chunk
    return bytes(found)


def read_lines(path: Path) -> list[str]:
    """Lines of a text file: UTF-8, or UTF-16 or UTF-32 with its byte order mark; ``.gz`` is decompressed.

    Raises DatasetError when it cannot be read (see :func:`read_bytes`) or is no such text.
    """
    content = read_bytes(path)
    if other := next((kind for start, kind in OTHER_KINDS if content.startswith(start)), None):
        raise DatasetError(f"{path}: expected text, found {other}")
    mark, encoding = next(((m, e) for m, e in BYTE_ORDER_MARKS if content.startswith(m)), (b"", "utf-8"))
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        found = "bytes that are not UTF-8" + (f" (nor {encoding.upper()}, which the first announce)" if mark else "")
        if encoding == "utf-8" and b"\0" not in content:
            line = content.count(b"\n", 0, error.start) + 1
            byte = content[error.start]
            found += f" (0x{byte:02X} in line {line}; perhaps Latin-1 or Windows-1252: save the file as UTF-8)"
        raise DatasetError(f"{path}: expected text, found {found}") from None
    if "\0" in text:
        hint = "UTF-16 without a byte order mark? save it as UTF-8" if text.count("\0") * 4 > len(text) else "not text"
        hint = "nothing else: writing it was cut off" if not text.strip("\0\r\n") else hint
        raise DatasetError(f"{path}: expected text, found NUL bytes ({hint})")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]


def read_number_rows(
    path: Path, columns: int, delimiter: str | None = None, header_rows: int = 0
) -> NDArray[np.float32]:
    """Rows of `columns` numbers from a text file, float32 (rows, columns); blank lines are passed over.

    Raises DatasetError that names file and line for a ragged row or a word that is no number.
    """
    lines = read_lines(path)
    rows = []
    for number, line in enumerate(lines, 1):
        if number <= header_rows or not line.strip():
            continue
        words = line.split(delimiter)
        if len(words) != columns:
            raise DatasetError(f"{path}, line {number}: expected {columns} numbers, found {len(words)}")
        try:
            rows.append([float(word) for word in words])
        except ValueError:
            word = next(word for word in words if not _is_number(word))
            raise DatasetError(f"{path}, line {number}: expected numbers, found {shown(word)}") from None
    with np.errstate(over="ignore"):  # a number beyond float32 becomes infinity, which is refused where it matters
        return np.asarray(rows, dtype=np.float32).reshape(len(rows), columns)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def check_bad_sample_choice(choice: str) -> None:
    """Raise DatasetError unless `choice` says what to do with a broken sample: "error" or "skip"."""
    if choice not in BAD_SAMPLE_CHOICES:
        raise DatasetError(f"on_bad_sample: expected one of {', '.join(BAD_SAMPLE_CHOICES)}, found {choice!r}")


class BadSamples:
    """Broken samples are fatal or skipped, by the caller's choice, and never silent."""

    def __init__(self, source: str, choice: str) -> None:
        check_bad_sample_choice(choice)
        self._source, self._choice = source, choice
        self.skipped: list[str] = []

    @contextmanager
    def guard(self, name: str) -> Iterator[None]:
        """Run the body for one sample; under "skip" a ClipError or DatasetError is kept for :meth:`report`."""
        try:
            yield
        except (ClipError, DatasetError) as error:
            message = str(error) if printable(name) in str(error) else f"{printable(name)}: {error}"
            if self._choice == "error":
                raise DatasetError(f"{message} ({SKIPPING})") from None
            self.skipped.append(message)

    def report(self) -> tuple[str, ...]:
        """Warn once, naming the first skipped samples, and return what is wrong with each."""
        warn_left_out(self._source, self.skipped, stacklevel=4)
        return tuple(self.skipped)


def warn_left_out(source: str, left_out: Sequence[str], stacklevel: int = 2) -> None:
    """Warn that samples are left out of a data set, with a line for each of the first; nothing when there are none."""
    if left_out:
        text = "\n  ".join(left_out[:MOST_NAMED])
        more = f"\n  … and {len(left_out) - MOST_NAMED} more" if len(left_out) > MOST_NAMED else ""
        warn(f"{source}: {len(left_out)} broken samples left out:\n  {text}{more}", stacklevel=stacklevel)
