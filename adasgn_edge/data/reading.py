"""What the readers share: rows of numbers from text, and what happens to a broken sample."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.errors import ClipError, DatasetError

__all__ = ["BadSamples", "read_number_rows"]

BAD_SAMPLE_CHOICES = ("error", "skip")


def read_number_rows(
    path: Path, columns: int, delimiter: str | None = None, header_rows: int = 0
) -> NDArray[np.float32]:
    """Rows of `columns` numbers from a text file, float32 (rows, columns); blank lines are passed over.

    Raises DatasetError that names file and line for a ragged row or a word that is no number.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{path}: expected text, found bytes that are not UTF-8") from None
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
    return np.asarray(rows, dtype=np.float32).reshape(len(rows), columns)


class BadSamples:
    """Broken samples are fatal or skipped, by the caller's choice, and never silent."""

    def __init__(self, source: str, choice: str) -> None:
        if choice not in BAD_SAMPLE_CHOICES:
            raise DatasetError(f"on_bad_sample: expected one of {', '.join(BAD_SAMPLE_CHOICES)}, found {choice!r}")
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

    def report(self) -> None:
        """Warn once, naming every skipped sample."""
        if self.skipped:
            text = "\n  ".join(self.skipped)
            warnings.warn(f"{self._source}: {len(self.skipped)} broken samples left out:\n  {text}", stacklevel=3)
