"""What the readers share: rows of numbers from text, and what happens to a broken sample."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.errors import ClipError, DatasetError

__all__ = ["BadSamples", "check_bad_sample_choice", "read_lines", "read_number_rows", "warn_left_out"]

BAD_SAMPLE_CHOICES = ("error", "skip")
MOST_NAMED = 10
"""Of so many broken samples a warning says what is wrong; a data set's `left_out` says it of all."""


def read_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 text file; raises DatasetError when it cannot be read or is no text."""
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{path}: expected text, found bytes that are not UTF-8") from None


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
        except ValueError as error:
            raise DatasetError(f"{path}, line {number}: expected numbers, found {error}") from None
    with np.errstate(over="ignore"):  # a number beyond float32 becomes infinity, which is refused where it matters
        return np.asarray(rows, dtype=np.float32).reshape(len(rows), columns)


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
            message = str(error) if name in str(error) else f"{name}: {error}"
            if self._choice == "error":
                raise DatasetError(f"{message} (on_bad_sample='skip' leaves such samples out)") from None
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
        warnings.warn(f"{source}: {len(left_out)} broken samples left out:\n  {text}{more}", stacklevel=stacklevel)
